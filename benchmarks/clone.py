"""Lets a benchmark find the package of its clone, whether that is installed or not: imported before the package."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

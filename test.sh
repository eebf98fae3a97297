#!/usr/bin/env bash
# Sets everything up, then checks the style and runs the tests; arguments go to pytest, such as -m "not slow".
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$HOME_DIR"
install requirements-dev.txt
ensure_java
ensure_chromium

"$PYTHON" -m ruff check
"$PYTHON" -m ruff format --check
"$PYTHON" -m pytest "$@"

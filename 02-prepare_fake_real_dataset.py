#!/usr/bin/env python3
"""Step 02: the crops by label, balanced, and split into train, val and test without a leak."""

from deepfake.commands.prepare_fake_real_dataset import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

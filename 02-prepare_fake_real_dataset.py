#!/usr/bin/env python3
"""Step 02: sort the crops by label, balance them, and split them into train, val and test without leaks."""

from deepfake.commands.prepare_fake_real_dataset import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Step 03a: predict the test set with a saved model, without training."""

from deepfake.commands.load_cnn import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

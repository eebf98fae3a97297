#!/usr/bin/env python3
"""Step 03: train a classifier on face crops, of single frames or of sequences, and predict the test set."""

from deepfake.commands.train_cnn import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

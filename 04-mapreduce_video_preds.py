#!/usr/bin/env python3
"""Step 04: combine the frame predictions of each video into one score: REAL above the threshold, else FAKE."""

from deepfake.commands.mapreduce_video_preds import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

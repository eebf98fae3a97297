#!/usr/bin/env python3
"""Step 04: each video's frame predictions as one number, and a verdict: REAL above the threshold, else FAKE."""

from deepfake.commands.mapreduce_video_preds import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

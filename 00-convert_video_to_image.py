#!/usr/bin/env python3
"""Step 00: take a few frames of each video. Finished videos are skipped."""

from deepfake.commands.convert_video_to_image import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

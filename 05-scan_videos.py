#!/usr/bin/env python3
"""Step 05: scan new videos and images: a verdict on each, with the faces that it is based on."""

from deepfake.commands.scan_videos import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

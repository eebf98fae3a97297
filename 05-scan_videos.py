#!/usr/bin/env python3
"""Step 05: is this video fake? A verdict on new videos and images, with the faces that it comes from."""

from deepfake.commands.scan_videos import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Step 01a: find the faces in the frames with MTCNN and cut them out. Finished videos are skipped."""

from deepfake.commands.crop_faces_with_mtcnn import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

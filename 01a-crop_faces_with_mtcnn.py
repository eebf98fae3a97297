#!/usr/bin/env python3
"""Step 01a: the faces in the frames, found by MTCNN. Videos that are done are not done again."""

from deepfake.commands.crop_faces_with_mtcnn import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Step 01b (optional): copy the crops, with eyes, nose and corners of the mouth marked in red."""

from deepfake.commands.mark_face_landmarks import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

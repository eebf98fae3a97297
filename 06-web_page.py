#!/usr/bin/env python3
"""Step 06: a page in the browser: drop a video or an image there, and see the verdict and the evidence."""

from deepfake.commands.web_page import main
from deepfake.core import cli

if __name__ == "__main__":
    cli.run(main)

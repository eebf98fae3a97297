"""The command lines: of the numbered scripts, and of `python -m deepfake.NAME`."""

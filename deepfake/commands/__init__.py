"""What is run as `python -m deepfake.NAME`."""

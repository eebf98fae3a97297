"""Run `python -m deepfake.sample`; see deepfake.sample.dataset."""

from deepfake.core import cli
from deepfake.sample.dataset import main

if __name__ == "__main__":
    cli.run(main)

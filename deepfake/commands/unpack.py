"""`python -m deepfake.unpack`: see deepfake.datasets.unpack."""

from deepfake.core import cli
from deepfake.datasets.unpack import main

if __name__ == "__main__":
    cli.run(main)

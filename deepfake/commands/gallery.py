"""`python -m deepfake.gallery`: see deepfake.explore.gallery."""

from deepfake.core import cli
from deepfake.explore.gallery import main

if __name__ == "__main__":
    cli.run(main)

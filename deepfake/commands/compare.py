"""`python -m deepfake.compare`: see deepfake.evaluation.compare."""

from deepfake.core import cli
from deepfake.evaluation.compare import main

if __name__ == "__main__":
    cli.run(main)

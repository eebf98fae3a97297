"""`python -m deepfake.publish`: see deepfake.models.publish."""

from deepfake.core import cli
from deepfake.models.publish import main

if __name__ == "__main__":
    cli.run(main)

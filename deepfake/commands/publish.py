"""`python -m deepfake.publish`: write a trained model as a small file to pass on, and what it was trained on beside it.

Scans and trainings take both as they take best_model.keras and best_model.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from deepfake.core import cli


def words(text: str) -> str:
    """An argparse type: some text on one line."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not text on one line")
    return text.strip()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__)
    parser.add_argument("model", type=Path, metavar="BEST_MODEL", help="a model of step 03, with its .json beside it")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the file to write, such as mine.keras")
    parser.add_argument("--name", type=words, help="what every verdict calls it (default: the name of --to)")
    parser.add_argument(
        "--trained-on", type=words, required=True, metavar="TEXT", help="the dataset, which every verdict names"
    )
    args = parser.parse_args(argv)

    from deepfake.models.publish import publish_model  # loads TensorFlow

    publish_model(args.model, args.to, args.name or args.to.stem, args.trained_on)


if __name__ == "__main__":
    cli.run(main)

"""`python -m deepfake.publish`: write a trained model as a small file for others, and what it was trained on beside it.

Scans and training accept both files like best_model.keras and best_model.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from deepfake.core import cli


def words(text: str) -> str:
    """Parse text on one line (an argparse type)."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not text on one line")
    return text.strip()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__)
    parser.add_argument("model", type=Path, metavar="BEST_MODEL", help="a model of step 03, with its .json beside it")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the file to write, such as mine.keras")
    parser.add_argument("--name", type=words, help="the model's name in verdicts (default: the name of --to)")
    parser.add_argument(
        "--trained-on", type=words, required=True, metavar="TEXT", help="the training dataset, shown in verdicts"
    )
    args = parser.parse_args(argv)

    from deepfake.models.publish import publish_model  # loads TensorFlow

    publish_model(args.model, args.to, args.name or args.to.stem, args.trained_on)


if __name__ == "__main__":
    cli.run(main)

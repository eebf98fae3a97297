"""Command-line options that say how crops were cut."""

import argparse

from deepfake.core.cli import number
from deepfake.core.crop_rule import MIN_MARGIN, Said


def add_crop_options(
    parser: argparse.ArgumentParser, what: str = "if the model does not say how its crops were cut"
) -> None:
    """Add options that say how external crops were cut; read them with `said_of_crops`."""
    parser.add_argument(
        "--crop-margin",
        type=number(MIN_MARGIN, 10),
        metavar="M",
        help=f"margin on each side of the face's box, as a share of the box, {what}",
    )
    parser.add_argument("--crop-square", choices=("yes", "no"), help="whether the box was first extended to a square")


def said_of_crops(args: argparse.Namespace) -> Said:
    """Return the values of the options of `add_crop_options`."""
    return Said(args.crop_margin, None if args.crop_square is None else args.crop_square == "yes")

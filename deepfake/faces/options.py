"""Options that say how crops were cut."""

import argparse

from deepfake.core.cli import number
from deepfake.core.crop_rule import LEAST_MARGIN, Said


def add_crop_options(
    parser: argparse.ArgumentParser, what: str = "where a model does not say how its crops were cut"
) -> None:
    """How crops that another tool made were cut; `said_of_crops` gives what was said."""
    parser.add_argument(
        "--crop-margin",
        type=number(LEAST_MARGIN, 10),
        metavar="M",
        help=f"on each side of the face's box, as a share of it, {what}",
    )
    parser.add_argument(
        "--crop-square", choices=("yes", "no"), help="whether the box was made square first, with its longer side"
    )


def said_of_crops(args: argparse.Namespace) -> Said:
    """What was said by the options of `add_crop_options`."""
    return Said(args.crop_margin, None if args.crop_square is None else args.crop_square == "yes")

"""Options that say which model, and what it is told."""

import argparse

from deepfake.core.cli import address


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """The option --model of a scan, for `starter.choose_model`."""
    parser.add_argument(
        "--model",
        type=address,
        metavar="FILE",
        help="a saved model, or starter, which comes with the project (default: tmp_checkpoint/best_model.keras; the "
        "starter where that is not there, or has learnt from the drawn sample only)",
    )


def add_aggregate_option(parser: argparse.ArgumentParser) -> None:
    """The option --aggregate: how the predictions of a video become one number."""
    parser.add_argument(
        "--aggregate",
        choices=("mean", "median", "confident", "per-face"),
        default="mean",
        help="mean or median of the frames; confident: the sure ones, if enough; per-face: the least real person",
    )

"""Options that say which model, and what it is told."""

import argparse

from deepfake.core.cli import address, number
from deepfake.core.labels import LABEL_NAMES
from deepfake.models.info import PIXEL_MAXIMA


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """The option --model of a scan, for `starter.choose_model`."""
    parser.add_argument(
        "--model",
        type=address,
        metavar="FILE",
        help="a saved model, or starter, which comes with the project (default: tmp_checkpoint/best_model.keras; the "
        "starter where that is not there, or has learnt from the drawn sample only)",
    )


def add_threshold_option(parser: argparse.ArgumentParser) -> None:
    """The option --threshold, in place of the model's own."""
    parser.add_argument(
        "--threshold",
        type=number(0, 1),
        metavar="P",
        help="real above this probability of real (default: the model's own, whose bands count only with it)",
    )


def add_aggregate_option(parser: argparse.ArgumentParser) -> None:
    """The option --aggregate: how the predictions of a video become one number."""
    parser.add_argument(
        "--aggregate",
        choices=("mean", "median", "confident", "per-face"),
        default="mean",
        help="mean or median of the frames; confident: the sure ones, if enough; per-face: the least real person",
    )


def add_foreign_options(parser: argparse.ArgumentParser) -> None:
    """What is to be said of another project's model, unless the .json beside it says so."""
    parser.add_argument(
        "--pixel-max",
        type=int,
        choices=PIXEL_MAXIMA,
        help="the pixel range that the model expects: 1, or 255 (default: by its .json, or 255)",
    )
    parser.add_argument(
        "--positive",
        choices=LABEL_NAMES[::-1],
        help="what the model's output is the probability of; of two outputs the last (default: by its .json, or real)",
    )

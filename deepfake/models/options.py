"""Command-line options about the model and how its outputs are used."""

import argparse

from deepfake.core.cli import address, number
from deepfake.core.labels import LABEL_NAMES
from deepfake.models.info import PIXEL_MAXIMA


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --model of a scan, for `starter.choose_model`."""
    parser.add_argument(
        "--model",
        type=address,
        metavar="FILE",
        help="a saved model, or starter, which comes with the project (default: tmp_checkpoint/best_model.keras, or "
        "the starter if that is missing or was trained on the drawn sample only)",
    )


def add_threshold_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --threshold, which replaces the model's own."""
    parser.add_argument(
        "--threshold",
        type=number(0, 1),
        metavar="P",
        help="a video is real above this p_real (default: the model's own; another one disables the model's bands)",
    )


def add_aggregate_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --aggregate: how the predictions of a video become one number."""
    parser.add_argument(
        "--aggregate",
        choices=("mean", "median", "confident", "per-face"),
        default="mean",
        help="mean or median of the frames; confident: only confident frames if there are enough; per-face: the person "
        "with the lowest p_real",
    )


def add_foreign_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for a model of another project that are not in a .json beside it."""
    parser.add_argument(
        "--pixel-max",
        type=int,
        choices=PIXEL_MAXIMA,
        help="upper end of the pixel range that the model expects: 1 or 255 (default: from its .json, or 255)",
    )
    parser.add_argument(
        "--positive",
        choices=LABEL_NAMES[::-1],
        help="the class of the model's output, or of the last of two outputs (default: from its .json, or real)",
    )

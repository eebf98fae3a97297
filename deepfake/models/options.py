"""Command-line options about the model and how its outputs are used."""

import argparse

from deepfake.core.cli import address


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --model of a scan, for `starter.choose_model`."""
    parser.add_argument(
        "--model",
        type=address,
        metavar="FILE",
        help="a saved model, or starter, which comes with the project (default: tmp_checkpoint/best_model.keras, or "
        "the starter if that is missing or was trained on the drawn sample only)",
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

"""Step 03a: predict the test set with a saved model, without training.

Reads:  a .keras or .h5 model, of step 03 or of another project built on the efficientnet package, and the .json
        beside it, if there is one; <split-dir>/ with manifest.csv, and the crops as step 03 reads them
Writes: <out-dir>/cnn_preds_values.json and .parquet, metrics_frames.json and .txt, Confusion.png, Curves.png;
        with --robustness also Robustness.png and robustness.csv
"""

from collections.abc import Sequence
from pathlib import Path

from deepfake.core import cli
from deepfake.models.info import Given


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--split-dir", "--out-dir")
    parser.add_argument(
        "--model", type=Path, default=Path("tmp_checkpoint/best_model.keras"), metavar="FILE", help="the saved model"
    )
    cli.add_options(parser, Given, "pixel_max", "positive")
    parser.add_argument(
        "--no-calibration",
        action="store_true",
        help="do not calibrate the predictions, whatever the model's .json says",
    )
    parser.add_argument(
        "--robustness", action="store_true", help="also predict the test crops compressed, shrunk, blurred and so on"
    )
    args = parser.parse_args(argv)

    from deepfake.evaluation.saved_model import load_and_predict

    return load_and_predict(
        args.model,
        args.split_dir,
        args.out_dir,
        cli.options_of(Given, args),
        args.quiet,
        not args.no_calibration,
        args.robustness,
    )

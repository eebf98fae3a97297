"""Step 03: train a classifier on face crops, of single frames or of sequences, and predict the test set.

Reads:  <split-dir>/ with manifest.csv, and the crops in it, or in Parquet at the address in its crops.json
Writes: <out-dir>/tmp_checkpoint/best_model.keras, .h5 and .json; cnn_preds_values.json and .parquet, and the
        mark of the model in _cnn_preds_values.json; Augmentation.png, Loss.png, Accuracy.png, Confusion.png,
        Curves.png; history.csv, logs/ for TensorBoard, run.json; metrics_frames.json and .txt
        A sequence model has no .h5; with --self-blend only, self_blended/ holds the fakes of its val and test sets.
"""

from argparse import Namespace
from collections.abc import Sequence

from deepfake.core import cli
from deepfake.split.manifest import check_manifest
from deepfake.training.options import Options


def arguments(argv: Sequence[str] | None = None) -> tuple[Namespace, Options]:
    """What the command line says, and the options of training; cluster/ looks at it before it submits a job."""
    parser = cli.parser(__doc__, "--split-dir", "--out-dir")
    cli.add_options(parser, Options)
    parser.add_argument("--resume", action="store_true", help="continue this run if it was interrupted")
    args = parser.parse_args(argv)
    init_from = args.new_head
    options = cli.options_of(Options, args, weights=args.weights or init_from or "", new_head=bool(init_from))
    options.check()
    return args, options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    args, options = arguments(argv)
    check_manifest(args.split_dir)  # before TensorFlow takes seconds to load

    from deepfake.training.loop import train

    return train(args.split_dir, args.out_dir, options, args.resume, args.quiet)

#!/usr/bin/env python3
"""Step 03: train the frame classifier, EfficientNetB0 on face crops, and predict the test set.

Reads:  <split-dir>/ with manifest.csv
Writes: <out-dir>/tmp_checkpoint/best_model.keras, .h5 and .json; cnn_preds_values.json and .parquet, and what the
        model is marked with in _cnn_preds_values.json; Loss.png, Accuracy.png, Confusion.png; history.csv, run.json;
        metrics_frames.json and .txt
"""

from deepfake import cli


def main() -> int:
    parser = cli.parser(__doc__, "--split-dir", "--out-dir")
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="imagenet|noisy-student|none|FILE",
        help="where training starts; FILE: a backbone's weights or a whole model of ours",
    )
    parser.add_argument("--epochs", type=cli.whole_number(1), default=20, help="at most")
    parser.add_argument("--patience", type=cli.whole_number(1), default=6, help="epochs to wait for a better one")
    parser.add_argument("--batch-size", type=cli.whole_number(1), default=32, help="crops a step")
    parser.add_argument("--image-size", type=cli.whole_number(32), default=128, help="pixels, both sides")
    parser.add_argument(
        "--learning-rate",
        type=cli.number(1e-9, 1),
        default=1e-3,
        help="Adam's, at its highest: it rises over the first tenth of the steps and then falls to nothing",
    )
    parser.add_argument("--seed", type=cli.whole_number(0), default=0, help="of weights, order and augmentation")
    args = parser.parse_args()

    from deepfake.training import Options, train

    options = Options(
        weights=args.weights,
        epochs=args.epochs,
        batch_size=args.batch_size,
        image_size=args.image_size,
        learning_rate=args.learning_rate,
        patience=args.patience,
        seed=args.seed,
    )
    return train(args.split_dir, args.out_dir, options, args.quiet)


if __name__ == "__main__":
    cli.run(main)

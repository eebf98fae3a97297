#!/usr/bin/env python3
"""Step 03: train the frame classifier, EfficientNetB0 on face crops, and predict the test set.

Reads:  <split-dir>/ with manifest.csv
Writes: <out-dir>/tmp_checkpoint/best_model.keras, .h5 and .json; cnn_preds_values.json and .parquet, and what the
        model is marked with in _cnn_preds_values.json; Augmentation.png, Loss.png, Accuracy.png, Confusion.png,
        Curves.png; history.csv, logs/ for TensorBoard, run.json; metrics_frames.json and .txt
"""

from dataclasses import fields

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
    parser.add_argument(
        "--head-epochs",
        type=cli.whole_number(0),
        default=2,
        help="of the epochs, those that train the new layers alone, before all learn at a tenth of the rate; "
        "not with --weights none",
    )
    parser.add_argument(
        "--augment",
        choices=("none", "standard", "strong"),
        default="standard",
        help="standard: flipped, turned, shifted, sheared, zoomed; strong: also colours, greyscale, blur, noise, "
        "smaller and back, JPEG, parts of the face cut out",
    )
    parser.add_argument(
        "--balance",
        choices=("none", "weights", "equal"),
        default="none",
        help="where step 02 kept an imbalance: weights of the classes, or as many crops of each in every epoch",
    )
    parser.add_argument(
        "--crops-per-video", type=cli.whole_number(1), metavar="K", help="each epoch takes K of each video at random"
    )
    parser.add_argument(
        "--label-smoothing", type=cli.number(0, 0.5), default=0.0, help="0.1: learn 0.95 and 0.05 instead of 1 and 0"
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        default="auto",
        help="auto: mixed_float16 on GPUs that are built for it, else float32",
    )
    parser.add_argument(
        "--cache",
        choices=("auto", "memory", "disk", "none"),
        default="auto",
        help="where decoded crops are kept; auto: memory up to 4 GB, then the disk of --out-dir, if it has room",
    )
    parser.add_argument("--no-calibration", action="store_true", help="leave the model's numbers as they are")
    parser.add_argument(
        "--fit-threshold", action="store_true", help="the threshold that is best in validation, instead of 0.5"
    )
    parser.add_argument("--resume", action="store_true", help="go on where this very run was cut off, if it was")
    args = parser.parse_args()

    from deepfake.training import Options, train

    given = vars(args) | {"calibrate": not args.no_calibration}
    options = Options(**{field.name: given[field.name] for field in fields(Options)})
    return train(args.split_dir, args.out_dir, options, args.resume, args.quiet)


if __name__ == "__main__":
    cli.run(main)

"""Step 03: train a classifier on face crops, of single frames or of sequences, and predict the test set.

Reads:  <split-dir>/ with manifest.csv, and the crops in it, or in Parquet at the address in its crops.json
Writes: <out-dir>/tmp_checkpoint/best_model.keras, .h5 and .json; cnn_preds_values.json and .parquet, and what the
        model is marked with in _cnn_preds_values.json; Augmentation.png, Loss.png, Accuracy.png, Confusion.png,
        Curves.png; history.csv, logs/ for TensorBoard, run.json; metrics_frames.json and .txt
        A sequence model has no .h5; with --self-blend only, self_blended/ holds the fakes that it was judged on.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import fields

from deepfake.core import cli


def arguments(argv: Sequence[str] | None = None) -> Namespace:
    """What the command line says; cluster/ looks at it before it submits a job."""
    parser = cli.parser(__doc__, "--split-dir", "--out-dir")
    add_model_options(parser)
    add_training_options(parser)
    add_data_options(parser)
    args = parser.parse_args(argv)
    if args.freeze_backbone and not (args.sequence and (args.init_from or args.weights != "none")):
        parser.error("--freeze-backbone goes with --sequence, and with --init-from or weights that were trained")
    if args.freeze_backbone and args.augment not in (None, "none"):
        parser.error("--freeze-backbone computes features once, of crops as they are; leave --augment out")
    if args.average_start and args.ema:
        parser.error("--average-start and --ema are two ways to average weights; give one")
    if args.sequence_frames and not args.sequence:
        parser.error("--sequence-frames goes with --sequence")
    if args.self_blend and args.sequence:
        parser.error("--self-blend is for frame models; --sequence --init-from can start from one that was trained so")
    if args.self_blend == "only" and args.balance != "none":
        parser.error("--self-blend makes as many fakes as there are real crops; leave --balance out")
    if args.mixup and (args.sequence or args.balance == "weights"):
        parser.error("--mixup is for frame models, and mixed labels have no weight of a class: use --balance equal")
    return args


def add_model_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="efficientnet-b0 to -b7, xception, mobilenet-v3, resnet50, small-cnn, meso4, or one that you have added "
        "(default: efficientnet-b0, or that of the FILE to start from)",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--weights",
        metavar="imagenet|noisy-student|none|starter|FILE",
        help="where training starts; FILE: a backbone's weights, a whole model of ours, such as the starter, or "
        "torchvision's .pth of an EfficientNet "
        "(default: imagenet, or none for a model that has no weights)",
    )
    start.add_argument(
        "--init-from",
        metavar="starter|FILE",
        help="start from the backbone of a whole model of ours, with a new head",
    )
    parser.add_argument(
        "--sequence",
        choices=("lstm", "gru", "transformer"),
        help="judge the frames of a person together, by such a head on the backbone",
    )
    parser.add_argument(
        "--sequence-frames", type=cli.whole_number(2), metavar="N", help="of a person, with --sequence (default: 10)"
    )
    parser.add_argument(
        "--freeze-backbone",
        action="store_true",
        help="with --sequence: compute what the backbone sees in each crop once, and train the head on that: "
        "minutes instead of hours, without augmentation",
    )


def add_training_options(parser: ArgumentParser) -> None:
    parser.add_argument("--epochs", type=cli.whole_number(1), default=20, help="at most")
    parser.add_argument("--patience", type=cli.whole_number(1), default=6, help="epochs to wait for a better one")
    parser.add_argument(
        "--batch-size", type=cli.whole_number(1), help="crops a step, or sequences (default: 32, or 8 sequences)"
    )
    parser.add_argument(
        "--image-size",
        type=cli.whole_number(32),
        help="pixels, both sides (default: the model's own; 128 for efficientnet-b0)",
    )
    parser.add_argument(
        "--learning-rate",
        type=cli.number(1e-9, 1),
        default=1e-3,
        help="Adam's, at its highest: it rises over the first tenth of the steps and then falls to nothing",
    )
    parser.add_argument(
        "--ema",
        type=cli.number(0, 0.99999),
        metavar="MOMENTUM",
        help="validate and keep the moving average of the weights, such as 0.99; 0: off (default: off)",
    )
    parser.add_argument(
        "--average-start",
        type=cli.number(0, 1),
        metavar="SHARE",
        help="validate and keep the mean of the weights and of those of the whole model that --weights starts from, "
        "which count so much, such as 0.5; 0: off (default: off)",
    )
    parser.add_argument("--seed", type=cli.whole_number(0), default=0, help="of weights, order and augmentation")
    parser.add_argument(
        "--head-epochs",
        type=cli.whole_number(0),
        default=2,
        help="epochs that train only the head; then everything is trained at a tenth of the rate; "
        "not with --weights none",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        default="auto",
        help="auto: mixed_float16 on GPUs that are built for it, else float32",
    )
    parser.add_argument("--no-calibration", action="store_true", help="leave the model's numbers as they are")
    parser.add_argument(
        "--fit-threshold", action="store_true", help="the threshold that is best in validation, instead of 0.5"
    )
    parser.add_argument("--resume", action="store_true", help="go on where this very run was cut off, if it was")


def add_data_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--augment",
        choices=("none", "standard", "strong"),
        help="standard: flipped, turned, shifted, sheared, zoomed; strong: also colours, greyscale, blur, noise, "
        "smaller and back, JPEG, parts of the face cut out (default: standard, or none with --freeze-backbone)",
    )
    parser.add_argument(
        "--self-blend",
        nargs="?",
        const="only",
        choices=("only", "add"),
        help="fakes that are made from real crops on the fly (Shiohara and Yamasaki 2022); only, also if nothing "
        "follows: train on real crops alone, with those; add: a quarter of the fakes of a batch are such",
    )
    parser.add_argument(
        "--leave-out-method",
        metavar="NAME",
        help="train without the fakes of a method, and test on them: how well unseen manipulations are found",
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
        "--mixup",
        type=cli.number(0, 10),
        metavar="ALPHA",
        help="mix each crop with another one of its batch, and their labels alike (Zhang et al. 2018), such as 0.2; "
        "0: off (default: off)",
    )
    parser.add_argument(
        "--cache",
        choices=("auto", "memory", "disk", "none"),
        default="auto",
        help="where decoded crops are kept; auto: memory up to 4 GB, then the disk of --out-dir, if it has room; "
        "none is not for crops in Parquet",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    args = arguments(argv)

    from deepfake.training.loop import train
    from deepfake.training.options import Options

    given = vars(args) | {"calibrate": not args.no_calibration, "new_head": args.init_from is not None}
    given["weights"] = args.weights or args.init_from
    given |= {name: given[name] or None for name in ("mixup", "ema", "average_start")}
    given["augment"] = args.augment or Options.augment
    given["sequence_frames"] = args.sequence_frames or Options.sequence_frames
    known = {field.name: given[field.name] for field in fields(Options)}
    options = Options(**{name: value for name, value in known.items() if value is not None})
    return train(args.split_dir, args.out_dir, options, args.resume, args.quiet)

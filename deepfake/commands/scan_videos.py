"""Step 05: scan new videos and images: a verdict on each, with the faces that it is based on.

Reads:  videos, images, folders of them, a .txt with a path on each line, or - for such lines on standard input;
        a saved model and the .json beside it: your own, or the starter that comes with the project
Writes: <out-dir>/report.html, with the evidence; verdicts.csv, verdicts.json, and submission.csv in Kaggle's form (the
        probability of fake, 0.01 to 0.99; 0.5 without a face); with --export the model as .onnx and .tflite, beside it
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deepfake.core import cli
from deepfake.core.errors import UserError
from deepfake.faces.options import add_crop_options, said_of_crops
from deepfake.jobs.options import add_pool_options
from deepfake.models.info import Given
from deepfake.models.options import add_aggregate_option, add_model_option


def deepfake_scan() -> NoReturn:
    """Run the command that pip installs: this step, from any folder."""
    cli.run(main)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="video, image, folder, .txt of paths, or -")
    add_model_option(parser)
    parser.add_argument("--out-dir", type=Path, default=Path("scan"), metavar="PATH", help="where verdicts go")
    parser.add_argument(
        "--runtime",
        choices=("auto", "onnx", "keras"),
        default="auto",
        help="onnx: the .onnx beside the model; keras: TensorFlow; auto: the .onnx, written if missing or old",
    )
    parser.add_argument("--export", action="store_true", help="first write the model as ONNX and TFLite, beside it")
    add_crop_options(parser)
    cli.add_options(parser, Given)
    add_aggregate_option(parser)
    add_pool_options(parser)
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any file is UNKNOWN")
    args = parser.parse_args(argv)
    if not args.files and not args.export:
        raise UserError("give videos, images, folders, a .txt of paths, or - (or --export)")

    from deepfake.models.starter import choose_model

    model = choose_model(args.model, "05")
    given = cli.options_of(Given, args, said=said_of_crops(args))
    if args.export:
        from deepfake.models.export import export_model

        export_model(model, given)
    if not args.files:
        return 0

    from deepfake.scanning.scan import Options, scan_all

    cli.end_gently()
    options = Options(workers=args.workers, timeout=args.timeout)
    return scan_all(
        args.files,
        model,
        args.out_dir,
        options,
        args.runtime,
        quiet=args.quiet,
        strict=args.strict,
        given=given,
        aggregate=args.aggregate,
    )

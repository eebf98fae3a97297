"""Step 04: combine the frame predictions of each video into one score: REAL above the threshold, else FAKE.

A Spark job. The threshold, and the bands in which a verdict is uncertain, come from --model-info, or from the model
that made the predictions, if it is known (tmp_checkpoint/best_model.json beside them); else 0.5 and no bands.

Reads:  <predictions> of step 03 or 03a: JSON or Parquet, a file or a folder
Writes: <out-dir>/video_verdicts.csv, mapreduce_res.txt, ConfusionVideo.png, CurvesVideo.png,
        metrics_videos.json and .txt; with --manifest Errors.png; with --report report.html
"""

from collections.abc import Sequence
from pathlib import Path

from deepfake.core import cli
from deepfake.core.errors import UserError
from deepfake.jobs.options import add_spark_option
from deepfake.models.info import Given
from deepfake.models.options import add_aggregate_option


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--predictions", "--out-dir")
    add_spark_option(parser, "local[*]", "the Spark master")
    parser.add_argument(
        "--model-info",
        type=Path,
        metavar="FILE",
        help="best_model.json of the model that made the predictions, for its threshold and bands (default: found "
        "beside them)",
    )
    cli.add_options(parser, Given, "threshold")
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the split's manifest.csv, for source groups, methods and people, which JSON predictions lack",
    )
    add_aggregate_option(parser)
    parser.add_argument(
        "--report", action="store_true", help="also write a report of all videos with the evidence, errors first"
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="the model, for heat maps in the report")
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="PATH",
        help="the folder of steps 00 and 01a, for times and frames in the report",
    )
    args = parser.parse_args(argv)
    if (args.model or args.work_dir) and not args.report:
        raise UserError("--model and --work-dir are for --report; add it")
    if args.model and not args.manifest:
        raise UserError("--model paints the crops: give --manifest, which lies in their folder")

    from deepfake.verdicts.judge import Sources, judge_videos

    sources = Sources(args.model, args.work_dir, args.quiet) if args.report else None
    return judge_videos(
        args.predictions,
        args.out_dir,
        args.master,
        model_info=args.model_info,
        manifest=args.manifest,
        aggregate=args.aggregate,
        sources=sources,
        threshold=args.threshold,
    )

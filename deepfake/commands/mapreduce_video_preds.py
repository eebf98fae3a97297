"""Step 04: each video's frame predictions as one number, and a verdict: REAL above the threshold, else FAKE.

A Spark job. The threshold, and the bands in which a verdict is uncertain, are those of --model-info, or of the model
that has made the predictions, where that is known (tmp_checkpoint/best_model.json beside them); else 0.5 and none.

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
    add_spark_option(parser, "local[*]", "the Spark cluster, or this machine")
    parser.add_argument(
        "--model-info",
        type=Path,
        metavar="FILE",
        help="best_model.json of the model that made the predictions: its threshold, bands and mark (default: found)",
    )
    cli.add_options(parser, Given, "threshold")
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the split's manifest.csv, for the source groups, methods and people that JSON predictions do not hold",
    )
    add_aggregate_option(parser)
    parser.add_argument(
        "--report", action="store_true", help="also a page of all videos with the evidence, errors first"
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="for heat maps in the report: the model itself")
    parser.add_argument(
        "--work-dir", type=Path, metavar="PATH", help="for times and frames in the report: where steps 00 and 01a wrote"
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

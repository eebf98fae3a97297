"""Step 01a: find the faces in the frames with MTCNN and cut them out. Finished videos are skipped.

Reads:  <work-dir>/<id>/frames.json and the frames that step 00 wrote; with --from-videos the videos themselves
Writes: <work-dir>/<id>/faces/<id>-FFF-NN.png, <work-dir>/<id>/faces.json, <work-dir>/failures.csv;
        with --crops Parquet files there in place of the folders <id>
"""

from collections.abc import Sequence

from deepfake.core import cli
from deepfake.core.crop_rule import FRAMES_PER_VIDEO, CropRule
from deepfake.core.errors import UserError
from deepfake.datasets.registry import add_dataset_option
from deepfake.jobs.options import add_run_options, add_spark_option


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument(
        "--from-videos",
        action="store_true",
        help="do step 00 in the same pass, without writing its frames; much faster",
    )
    parser.add_argument(
        "--frames", type=cli.whole_number(1), help=f"frames per video, with --from-videos (default: {FRAMES_PER_VIDEO})"
    )
    cli.add_options(parser, CropRule)
    add_dataset_option(parser)
    add_run_options(parser)
    add_spark_option(parser)
    parser.add_argument(
        "--crops",
        type=cli.address,
        metavar="ADDRESS",
        help="with --from-videos: a folder for the crops as Parquet, written by Spark: a path, file:///, hdfs://, s3a://",
    )
    args = parser.parse_args(argv)
    if args.crops and not args.from_videos:
        raise UserError("--crops goes with --from-videos; add it")
    if args.crops and args.shard != parser.get_default("shard"):
        raise UserError("--crops is written by one job, which Spark shares out itself; leave --shard out")
    if args.frames and not args.from_videos:
        raise UserError("--frames goes with --from-videos; without it, step 00 has chosen the frames")
    if args.crops_from == "full" and not args.from_videos:
        raise UserError("--crops-from full goes with --from-videos; step 00 keeps frames at standard size only")

    from deepfake.faces.files import crop_all_frames, crop_all_videos
    from deepfake.jobs.for_each import run_of

    rule = cli.options_of(CropRule, args, frames=args.frames or FRAMES_PER_VIDEO)
    run = run_of("01a", "faces", args)
    if args.crops:
        from deepfake.faces.table_writer import crop_into_table

        return crop_into_table(rule, args.videos_dir, run, args.overwrite, args.dataset)
    if args.from_videos:
        return crop_all_videos(rule, args.videos_dir, run, args.overwrite, args.dataset)
    return crop_all_frames(rule, run, args.overwrite)

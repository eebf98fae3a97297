#!/usr/bin/env python3
"""Step 01a: the faces in the frames, found by MTCNN. Videos that are done are not done again.

Reads:  <work-dir>/<id>/frames.json and the frames that step 00 wrote; with --from-videos the videos themselves
Writes: <work-dir>/<id>/faces/<id>-FFF-NN.png, <work-dir>/<id>/faces.json, <work-dir>/failures.csv;
        with --crops Parquet files there in place of the folders <id>
"""

from deepfake import cli


def main() -> int:
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument(
        "--from-videos", action="store_true", help="step 00 in the same pass, without writing its frames: much faster"
    )
    parser.add_argument("--frames", type=cli.whole_number(1), help="frames a video, with --from-videos (default: 11)")
    parser.add_argument("--min-confidence", type=cli.number(0, 1), default=0.95, help="least confidence of a face")
    parser.add_argument("--margin", type=cli.number(0, 10), default=0.3, help="on each side, as a share of the box")
    parser.add_argument(
        "--no-rescue",
        action="store_true",
        help="in a frame where no face is that sure, keep none (by default the surest one is kept, marked rescued)",
    )
    cli.add_dataset_option(parser)
    cli.add_run_options(parser)
    cli.add_spark_option(parser)
    parser.add_argument(
        "--crops",
        type=cli.address,
        metavar="ADDRESS",
        help="with --from-videos: a folder for the crops as Parquet, written by Spark: a path, file:///, hdfs://, s3a://",
    )
    args = parser.parse_args()
    if args.crops and not args.from_videos:
        parser.error("--crops goes with --from-videos")
    if args.crops and args.shard != parser.get_default("shard"):
        parser.error("--crops is written by one job, which Spark shares out itself; leave --shard out")
    if args.frames and not args.from_videos:
        parser.error("--frames goes with --from-videos; without it, step 00 has chosen the frames")

    from deepfake.faces import Options, crop_all_frames, crop_all_videos
    from deepfake.runner import run_of

    options = Options(args.min_confidence, args.margin, rescue=not args.no_rescue)
    run = run_of("01a", "faces", args)
    if args.crops:
        from deepfake.spark_crops import crop_into_table

        return crop_into_table(args.videos_dir, args.frames or 11, options, run, args.overwrite, args.dataset)
    if args.from_videos:
        return crop_all_videos(args.videos_dir, args.frames or 11, options, run, args.overwrite, args.dataset)
    return crop_all_frames(options, run, args.overwrite)


if __name__ == "__main__":
    cli.run(main)

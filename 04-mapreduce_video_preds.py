#!/usr/bin/env python3
"""Step 04: the mean of each video's frame predictions, and a verdict: REAL above 0.5, else FAKE. A Spark job.

Reads:  <predictions> of step 03 or 03a: JSON or Parquet, a file or a folder
Writes: <out-dir>/video_verdicts.csv, mapreduce_res.txt, ConfusionVideo.png, metrics_videos.json and .txt
"""

from pathlib import Path

from deepfake import cli


def main() -> int:
    parser = cli.parser(__doc__, "--predictions", "--out-dir")
    parser.add_argument("--master", default="local[*]", metavar="URL", help="the Spark cluster, or this machine")
    parser.add_argument(
        "--model-info",
        type=Path,
        metavar="FILE",
        help="best_model.json of the model that made the predictions (default: what 03 and 03a wrote beside them)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the split's manifest.csv, for the source groups and methods that JSON predictions do not hold",
    )
    args = parser.parse_args()

    from deepfake.verdicts import judge_videos

    return judge_videos(args.predictions, args.out_dir, args.master, args.model_info, args.manifest)


if __name__ == "__main__":
    cli.run(main)

"""Step 00: take a few frames of each video. Finished videos are skipped.

Reads:  the videos of <videos-dir>, and the dataset's tables
Writes: <work-dir>/<id>/<id>-000.png to -010.png, <work-dir>/<id>/frames.json, <work-dir>/failures.csv
"""

from collections.abc import Sequence

from deepfake.core import cli
from deepfake.core.crop_rule import DEFAULT
from deepfake.datasets.registry import add_dataset_option
from deepfake.jobs.options import add_run_options, add_spark_option


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir")
    parser.add_argument("--frames", type=cli.whole_number(1), default=DEFAULT.frames, help="frames per video")
    add_dataset_option(parser)
    add_run_options(parser)
    add_spark_option(parser)
    args = parser.parse_args(argv)

    from deepfake.frames.files import convert_videos
    from deepfake.jobs.for_each import run_of

    return convert_videos(args.videos_dir, args.frames, run_of("00", "frames", args), args.overwrite, args.dataset)

"""Step 02: the crops by label, balanced, and split into train, val and test without a leak.

A dataset that brings its own test set keeps it; any other is divided 80/10/10: by whole parts of DFDC where
there are ten or more, else by source group.

Reads:  what the dataset in <videos-dir> says of its videos, <work-dir>/<id>/faces/*.png, and faces.json;
        or, with --crops, Parquet, in which the crops stay
Writes: <prepared-dir>/{real,fake}/, <split-dir>/{train,val,test}/{real,fake}/, manifest.csv, and crops.json, the rule
        by which the crops were cut; with --crops <split-dir>/manifest.csv and crops.json alone
"""

from collections.abc import Sequence
from pathlib import Path

from deepfake.core import cli
from deepfake.datasets.registry import add_dataset_option
from deepfake.faces.options import add_crop_options, said_of_crops


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir", "--prepared-dir", "--split-dir")
    parser.add_argument(
        "--crops",
        type=cli.address,
        metavar="ADDRESS",
        help="crops in Parquet, as 01a --crops writes them, instead of --work-dir: a folder, hdfs://... or s3a://...",
    )
    parser.add_argument("--faces", default="faces", metavar="NAME", help="the crops' folder, such as marked_faces")
    parser.add_argument(
        "--group-by",
        choices=("part", "source", "video"),
        help="what is never split: a whole part of DFDC, so that no person is in two sets (part, the default from ten "
        "parts on); an original with all its fakes (source); or, weaker, each video by itself",
    )
    parser.add_argument(
        "--balance",
        choices=("drop", "none"),
        default="drop",
        help="drop: whole videos of the larger class are left out; none: all are kept, for step 03's --balance",
    )
    parser.add_argument(
        "--split",
        choices=("official", "own"),
        default="official",
        help="official: the dataset's own test and val sets, where it has them; own: 80/10/10 as --group-by says",
    )
    parser.add_argument("--exclude", type=Path, metavar="FILE", help="a csv whose column video names ids to leave out")
    parser.add_argument("--real-only", action="store_true", help="no fakes, for training that makes its own")
    add_dataset_option(parser)
    add_crop_options(parser, "of crops that another tool made; left out, it is estimated")
    args = parser.parse_args(argv)
    if args.crops and (args.work_dir or args.faces != parser.get_default("faces")):
        parser.error("--crops takes the place of --work-dir and --faces; leave them out")

    from deepfake.split.prepare import Splitting, prepare_dataset

    how = Splitting(
        dataset=args.dataset,
        split=args.split,
        group_by=args.group_by,
        balanced=args.balance == "drop",
        exclude=args.exclude,
        real_only=args.real_only,
        faces=args.faces,
        table=args.crops,
        said=said_of_crops(args),
    )
    return prepare_dataset(args.videos_dir, args.work_dir, args.prepared_dir, args.split_dir, how, args.quiet)

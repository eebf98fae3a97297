"""Step 02: sort the crops by label, balance them, and split them into train, val and test without leaks.

A dataset with its own test set keeps it. Others are divided by whole parts of DFDC if there are at least ten, else by
source group.

Reads:  the tables of the dataset in <videos-dir>, <work-dir>/<id>/faces/*.png, and faces.json;
        or, with --crops, Parquet, in which the crops stay
Writes: <prepared-dir>/{real,fake}/, <split-dir>/{train,val,test}/{real,fake}/, manifest.csv, and crops.json, the rule
        by which the crops were cut; with --crops <split-dir>/manifest.csv and crops.json alone
"""

from collections.abc import Sequence

from deepfake.core import cli
from deepfake.datasets.registry import add_dataset_option
from deepfake.faces.options import add_crop_options, said_of_crops
from deepfake.split.options import Splitting


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step as its script does; `argv` is the command line, by default that of the process."""
    parser = cli.parser(__doc__, "--videos-dir", "--work-dir", "--prepared-dir", "--split-dir")
    cli.add_options(parser, Splitting)
    add_dataset_option(parser)
    add_crop_options(parser, "of crops that another tool made; left out, it is estimated")
    args = parser.parse_args(argv)

    from deepfake.split.prepare import prepare_dataset

    how = cli.options_of(Splitting, args, said=said_of_crops(args))
    return prepare_dataset(args.videos_dir, args.work_dir, args.prepared_dir, args.split_dir, how, args.quiet)

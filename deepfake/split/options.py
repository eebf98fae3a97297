"""The options of step 02, each with its default and its help."""

from dataclasses import dataclass
from pathlib import Path

from deepfake.core.cli import address, option
from deepfake.core.crop_rule import NOT_SAID, Said

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
IN_PERCENT = "/".join(f"{100 * share:.0f}" for share in SHARES.values())


@dataclass(frozen=True)
class Splitting:
    """How to split a dataset; `said` is what the user said of how external crops were cut, the rest is estimated."""

    table: str | None = option(
        None,
        "crops in Parquet, as 01a --crops writes them, instead of --work-dir: a folder, hdfs://... or s3a://...",
        flag="--crops",
        type=address,
        metavar="ADDRESS",
    )
    faces: str = option("faces", "the crops' folder, such as marked_faces", metavar="NAME")
    group_by: str | None = option(
        None,
        "what is never split: a whole part of DFDC, so that no person is in two sets (part, the default from ten "
        "parts on); an original with all its fakes (source); or, weaker, each video by itself",
        choices=("part", "source", "video"),
    )
    balance: str = option(
        "drop",
        "drop: whole videos of the larger class are left out; none: all are kept, for step 03's --balance",
        choices=("drop", "none"),
    )
    split: str = option(
        "official",
        f"official: the dataset's own test and val sets, if it has them; own: {IN_PERCENT} as --group-by says",
        choices=("official", "own"),
    )
    exclude: Path | None = option(None, "a csv whose column video names ids to leave out", type=Path, metavar="FILE")
    real_only: bool = option(False, "no fakes, for training that makes its own")
    dataset: str = "auto"
    said: Said = NOT_SAID


DEFAULT = Splitting()

"""Read DFDC: one folder with its metadata.json, or all its parts as one dataset."""

from pathlib import Path

from deepfake.core.errors import UserError
from deepfake.core.files import read_json
from deepfake.datasets.listing import file_names, subfolders
from deepfake.datasets.locate import locate
from deepfake.datasets.name_ties import tie_by_names
from deepfake.datasets.tables import each_once, metadata_records
from deepfake.datasets.video import Record, Video, check_name, keep_splits, to_videos

# DFDC's, and its preview's
METADATA = ("metadata.json", "dataset.json")


def metadata_files(videos_dir: Path) -> list[Path]:
    """Return the metadata.json of a folder, or those of its parts, one or two folders below; in any case of letters."""
    own = {name.lower(): videos_dir / name for name in file_names(videos_dir)}
    if found := [own[name] for name in METADATA if name in own]:
        return found[:1]
    folders = subfolders(videos_dir)
    folders += [below for folder in folders for below in subfolders(folder)]
    return sorted(folder / name for folder in folders for name in file_names(folder) if name.lower() == METADATA[0])


def is_in_form(path: Path) -> bool:
    try:
        return bool(metadata_records(read_json(path, remedy=""), path))
    except UserError:
        return False


def read_dfdc(videos_dir: Path) -> list[Video]:
    """Read DFDC (Dolhansky et al., 2020): one folder, or all its parts as one dataset."""
    records: list[Record] = []
    for path in metadata_files(videos_dir) or [videos_dir / "metadata.json"]:
        content = read_json(path, remedy=f"{videos_dir} must hold the videos and DFDC's metadata.json")
        part = path.parent.relative_to(videos_dir).as_posix()
        if part != ".":
            check_name(part, videos_dir)
        records += metadata_records(content, path, part="" if part == "." else part)
    return to_videos(keep_splits(tie_by_names(each_once(locate(records, videos_dir)))))

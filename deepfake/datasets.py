"""Every dataset that people bring, read as the same records: what kind it is, and its videos."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from deepfake.academic import (
    is_celebdf,
    is_faceforensics,
    is_fakeavceleb,
    read_celebdf,
    read_faceforensics,
    read_fakeavceleb,
)
from deepfake.face_folders import is_face_folders, read_face_folders
from deepfake.files import UserError, read_json
from deepfake.listing import find_images, find_videos, is_visible, read_columns, subfolders, walk
from deepfake.name_ties import tie_by_names
from deepfake.on_disk import check_some_are_there, locate
from deepfake.tables import COUNTERS, columns_of, metadata_records, read_csv_records
from deepfake.videos import (
    FAKE,
    REAL,
    SPLIT_NAMES,
    Record,
    Video,
    bare_name,
    check_name,
    is_image,
    keep_splits,
    label_of_words,
    to_videos,
)

# what step 01a calls its crops; `face_records`, which has the rule, needs the datasets itself
OUR_CROP = re.compile(r".+-\d{3,}-\d{2,}\.png")

# DFDC's, and that of its preview
METADATA = ("metadata.json", "dataset.json")

# so few folders of real images are perhaps no videos
FEWEST_FOLDERS = 10

# kinds that hold crops of faces instead of videos
OF_OTHERS = ("faces", "images")


@dataclass(frozen=True)
class Kind:
    """A kind of dataset: what it is called, what is looked for to know it, and how it is read."""

    title: str
    looked_for: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], list[Video]]


def read_dataset(videos_dir: Path, dataset: str = "auto") -> list[Video]:
    """Read the videos of a dataset, sorted by id; `dataset` is its kind, of READERS, or "auto" to find it by looking.

    Raises:
        UserError: the kind cannot be told, the dataset is not in its form, or a name leaves the folder.
    """
    kind = READERS[find_kind(videos_dir, dataset)]
    videos = kind.read(videos_dir)
    if not videos:
        raise UserError(f"{videos_dir}: holds no video ({kind.title}: looked for {kind.looked_for})")
    return sorted(videos, key=lambda video: video.id)


def find_kind(videos_dir: Path, dataset: str = "auto") -> str:
    """The kind of a dataset, of READERS: `dataset` itself unless that is "auto".

    Raises:
        UserError: there is no such folder, no kind fits, or more than one does.
    """
    if not videos_dir.is_dir():
        raise UserError(f"{videos_dir}: no such folder; point --videos-dir at the folder of a dataset (--dataset)")
    if dataset not in ("auto", *READERS):
        raise UserError(f"--dataset {dataset}: not a kind of dataset; there are {', '.join(READERS)}")
    if dataset != "auto":
        return dataset
    found = _fitting(videos_dir)
    if len(found) > 1:
        raise UserError(f"{videos_dir}: can be read as {' or '.join(found)}; name the kind with --dataset")
    if not found:
        for folder in subfolders(videos_dir):  # archives often bring a folder of their own
            if kinds := _fitting(folder):
                raise UserError(f"{videos_dir}: the dataset is one folder below ({kinds[0]}); --videos-dir {folder}")
        if numbered := [folder.name for folder in subfolders(videos_dir) if folder.name in ("0", "1")]:
            names = " and ".join(f"{name}/" for name in numbered)
            raise UserError(
                f"{videos_dir}: {names}: numbers do not tell which is real; call the folders real/ and fake/"
            )
        kinds = ", no ".join(f"{kind.looked_for} ({name})" for name, kind in READERS.items())
        raise UserError(f"{videos_dir}: no dataset of any kind of --dataset in it: no {kinds}")
    return found[0]


def _fitting(folder: Path) -> list[str]:
    """The kinds of dataset that a folder can be read as."""
    found = [name for name, kind in READERS.items() if kind.fits(folder)]
    if (
        len(found) > 1
        and "csv" in found
        and not any({"file", "label"} <= set(read_columns(t)) for t in _tables(folder))
    ):
        found.remove("csv")  # a table of other columns may be about anything
    if len(found) > 1 and "dfdc" in found and not any(map(_is_in_form, _metadata_files(folder))):
        found.remove("dfdc")  # the JSON of something else
    if "dfdc" in found and "images" in found:  # those of its videos' frames and crops
        found.remove("images")
    if "faces" in found:  # whose tables have the forms of these two
        found = [name for name in found if name not in ("dfdc", "csv", "images")]
    if "faceforensics" in found:  # two of the folders of its mirrors are called as labels are
        found = [name for name in found if name not in ("folders", "images")]
    return found


def print_kind(videos_dir: str, dataset: str) -> None:
    """Read a dataset whole, for run.sh to know before all work that it can be, and print its kind on the last line.

    Raises:
        UserError: as `read_dataset`.
    """
    kind = find_kind(Path(videos_dir), dataset)
    read_dataset(Path(videos_dir), kind)
    print(kind)


def read_videos(videos_dir: Path, dataset: str, step: str) -> dict[str, Video]:
    """The videos of a dataset by id, for a step that opens them; prints what kind it is, unless DFDC.

    Raises:
        UserError: as `read_dataset`, the dataset holds crops instead of videos, or no video is there.
    """
    kind = find_kind(videos_dir, dataset)
    if kind in OF_OTHERS:
        raise UserError(f"{videos_dir}: holds crops of faces already; it enters at step 02")
    videos = {video.id: video for video in read_dataset(videos_dir, kind)}
    check_some_are_there(list(videos.values()), videos_dir)
    if kind != "dfdc":  # what is taken for granted needs no telling
        print(f"{step}: {READERS[kind].title} dataset, {len(videos)} videos")
    return videos


def _metadata_files(videos_dir: Path) -> list[Path]:
    """The metadata.json of a folder, or else those of its parts, one or two folders below."""
    for name in METADATA:
        if (videos_dir / name).exists():
            return [videos_dir / name]
    folders = subfolders(videos_dir)
    folders += [below for folder in folders for below in subfolders(folder)]
    return sorted(folder / "metadata.json" for folder in folders if (folder / "metadata.json").exists())


def _is_in_form(path: Path) -> bool:
    try:
        return bool(metadata_records(read_json(path, remedy=""), path))
    except UserError:
        return False


def _read_dfdc(videos_dir: Path) -> list[Video]:
    """Read DFDC (Dolhansky et al., 2020): one folder, or all its parts as one dataset."""
    records: list[Record] = []
    for path in _metadata_files(videos_dir) or [videos_dir / "metadata.json"]:
        content = read_json(path, remedy=f"{videos_dir} must hold the videos and DFDC's metadata.json")
        part = path.parent.relative_to(videos_dir).as_posix()
        if part != ".":
            check_name(part, videos_dir)
        records += metadata_records(content, path, part="" if part == "." else part)
    return to_videos(keep_splits(_each_once(locate(records, videos_dir))))


@dataclass(frozen=True)
class LabelFolder:
    """A folder of videos of one label, and the set that the folder around or in it says: `train/real`, `real/train`."""

    path: Path
    label: int
    split: str | None = None


def _label_folders(videos_dir: Path) -> list[LabelFolder]:
    """The folders of a dataset that are called after a label, in their order; those in folders called after a set."""
    found = []
    for folder in subfolders(videos_dir):
        label, inner = label_of_words(folder.name), subfolders(folder)
        if label is None and (split := _set_of(folder)):
            labels = [(path, label_of_words(path.name)) for path in inner]
            found += [LabelFolder(path, label, split) for path, label in labels if label is not None]
        elif label is not None and {"train", "test"} <= set(map(_set_of, inner)):
            found += [LabelFolder(path, label, _set_of(path)) for path in inner]
        elif label is not None:
            found.append(LabelFolder(folder, label))
    return found


def _set_of(folder: Path) -> str | None:
    return SPLIT_NAMES.get(folder.name.lower())


def _tell_of_other_folders(videos_dir: Path, read: list[LabelFolder], find: Callable[[Path], list[Path]]) -> None:
    """Print how many videos lie beside the folders that are read, in folders whose names tell no label."""
    tops = {folder.path.relative_to(videos_dir).parts[0] for folder in read}
    beside = [videos_dir / top for top in tops if label_of_words(top) is None]
    others = [path for folder in (videos_dir, *beside) for path in subfolders(folder)]
    left_out = {path: files for path in others if not _is_read(path, read) and (files := find(path))}
    if left_out:
        names = ", ".join(f"{path.relative_to(videos_dir).as_posix()}/" for path in sorted(left_out)[:3])
        print(
            f"{videos_dir}: left out, in folders whose names say neither real nor fake: "
            f"{sum(map(len, left_out.values()))}, in {names}; move what is real into real/ and what is fake into fake/"
        )


def _is_read(folder: Path, read: list[LabelFolder]) -> bool:
    return any(each.path.is_relative_to(folder) or folder.is_relative_to(each.path) for each in read)


def _is_folders(videos_dir: Path) -> bool:
    folders = _label_folders(videos_dir)
    labels = {folder.label for folder in folders}
    return labels == {FAKE, REAL} and any(find_videos(folder.path) for folder in folders)


def _read_folders(videos_dir: Path) -> list[Video]:
    """Read real/ and fake/, also below or above train/, val/ and test/; the first folder in fake/ is the method.

    Originals and identities are those that the names tell.
    """
    return _read_label_folders(videos_dir, find_videos)


def _is_images(videos_dir: Path) -> bool:
    folders = _label_folders(videos_dir)
    if {folder.label for folder in folders} != {FAKE, REAL} or _is_folders(videos_dir):
        return False
    return any(any(map(is_image, names)) for folder in folders for _, names in walk(folder.path))


def _read_images(videos_dir: Path) -> list[Video]:
    """Read images in folders as those of videos are: each is the one crop of a video of its own, which is printed.

    Where real images lie in folders of their own, each folder of images is a video: its crops belong together.
    """
    folders = _label_folders(videos_dir)
    real = {folder.path for folder in folders if folder.label == REAL}
    in_folders = any(path.parent != folder for folder in real for path in find_images(folder))

    def find(folder: Path) -> list[Path]:
        images = find_images(folder)
        if images and all(OUR_CROP.fullmatch(path.name) for path in images):
            if not _is_read(folder, folders):
                return []
            raise UserError(f"{folder}: holds crops that step 02 has sorted; give step 03 that folder, as --split-dir")
        places = [path.parent if in_folders and path.parent != folder else path for path in images]
        return list(dict.fromkeys(places))

    videos = _read_label_folders(videos_dir, find)
    what = "folders of images, each read as a video" if in_folders else "images, each read as a video of its own"
    print(f"{videos_dir}: {what}: {len(videos)}")
    if in_folders and sum(video.label == REAL for video in videos) < FEWEST_FOLDERS:
        print(
            f"{videos_dir}: fewer than {FEWEST_FOLDERS} of the folders are real; if they divide the images by where "
            "they come from and not by video, put the images right into real/ and fake/"
        )
    return videos


def _read_label_folders(videos_dir: Path, find: Callable[[Path], list[Path]]) -> list[Video]:
    records, folders = [], _label_folders(videos_dir)
    _tell_of_other_folders(videos_dir, folders, find)
    for folder in folders:
        for path in find(folder.path):
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            below = path.relative_to(folder.path).parts
            method = below[0] if folder.label == FAKE and len(below) > 1 else None
            records.append(Record(file, folder.label, str(videos_dir), method=method, split=folder.split))
    if len({record.split for record in records}) == 1:  # one set alone divides nothing
        records = [replace(record, split=None) for record in records]
    _tell_of_shared_names(records)
    return to_videos(keep_splits(tie_by_names(records)))


def _tell_of_shared_names(records: list[Record]) -> None:
    """Print how many videos lie in two sets by their names, which would be trained on and tested on."""
    sets: dict[tuple[int, str], dict[str, str]] = {}
    for record in records:
        if record.split:
            sets.setdefault((record.label, bare_name(record.file).lower()), {})[record.split] = record.file
    if shared := [list(files.values()) for files in sets.values() if len(files) > 1]:
        example = " and ".join(shared[0][:2])
        print(
            f"videos of one name in two sets: {len(shared)}, such as {example}; if they are the same, keep one of them"
        )


def _tables(videos_dir: Path) -> list[Path]:
    files = sorted(videos_dir.iterdir()) if videos_dir.is_dir() else []
    tables = [path for path in files if is_visible(path.name) and path.suffix.lower() == ".csv"]
    return [path for path in tables if _lists_videos(read_columns(path))]


def _lists_videos(columns: list[str]) -> bool:
    name, label = columns_of(columns)
    return bool(label) and name not in (None, *COUNTERS)


def _read_csv(videos_dir: Path) -> list[Video]:
    """Read the one table of a folder that has a column of names and one of labels."""
    tables = _tables(videos_dir)
    if len(tables) != 1:
        names = " and ".join(path.name for path in tables) or "none"
        raise UserError(f"{videos_dir}: needs one .csv with the columns file and label; it has {names}")
    records = locate(read_csv_records(tables[0]), videos_dir)
    return to_videos(keep_splits(tie_by_names(_each_once(records))))


def _each_once(records: list[Record]) -> list[Record]:
    first: dict[str, Record] = {}
    for record in records:
        if record.file in first:
            raise UserError(f"{record.source}: {record.file} stands in {first[record.file].source} too; keep one")
        first[record.file] = record
    return records


READERS = {
    "dfdc": Kind("DFDC", "metadata.json", lambda path: bool(_metadata_files(path)), _read_dfdc),
    "faceforensics": Kind("FaceForensics++", "original_sequences/", is_faceforensics, read_faceforensics),
    "celebdf": Kind("Celeb-DF", "Celeb-real/", is_celebdf, read_celebdf),
    "fakeavceleb": Kind("FakeAVCeleb", "RealVideo-RealAudio/", is_fakeavceleb, read_fakeavceleb),
    "folders": Kind("real and fake folders", "real/ and fake/", _is_folders, _read_folders),
    "csv": Kind("CSV", ".csv with file,label", lambda path: bool(_tables(path)), _read_csv),
    "images": Kind("images", "images in real/ and fake/", _is_images, _read_images),
    "faces": Kind("faces", "images with metadata*.csv", is_face_folders, read_face_folders),
}

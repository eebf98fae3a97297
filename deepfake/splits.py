"""Which crops train, which ones validate, which ones test: split by source group, then balanced by whole videos."""

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from deepfake.cli import progress
from deepfake.datasets import read_dataset
from deepfake.faces import is_crop, landmarks_in_crop, parse_crop_name, read_faces_json
from deepfake.files import UserError, whole_folder, write_csv
from deepfake.runner import VideoError
from deepfake.videos import FAKE, LABEL_NAMES, REAL, Video, source_groups

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Entry:
    """A row of manifest.csv: one crop, the set it is in, and all that is known of it.

    `file` is its path below the set's folder (`real/<id>-FFF-NN.png`), `frame` and `face` its FFF and NN;
    `landmarks` are five [x, y] in pixels of the crop, as JSON, or empty.
    """

    split: str
    label: int
    file: str
    video: str
    group: str
    original: str
    method: str
    frame: int
    face: int
    person: str
    landmarks: str
    sample: int


@dataclass(frozen=True)
class Crops:
    """A video with its source group and the paths of its crops, sorted by name."""

    video: Video
    group: str
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)


def find_crops(videos: Iterable[Video], work_dir: Path, faces: str, group_by: str) -> list[Crops]:
    """List the crops of each video that has any, in `work_dir/<id>/<faces>/`; `group_by` is "source" or "video"."""
    videos = list(videos)
    groups = source_groups(videos) if group_by == "source" else {video.id: video.id for video in videos}
    found = []
    for video in videos:
        paths = sorted((work_dir / video.id / faces).glob("*.png"))
        own = tuple(path for path in paths if is_crop(path.name) and parse_crop_name(path.name)[0] == video.id)
        if own:
            found.append(Crops(video, groups[video.id], own))
    return found


def assign_groups(crops: Iterable[Crops]) -> dict[str, str]:
    """Assign each source group to train, val or test, so that each set gets both labels.

    The sets get about SHARES of the crops of either label. First every set gets the group that fits its share best;
    the others follow, the largest first, each to the set that lacks most.

    Raises:
        UserError: fewer than three groups have real crops, or fake crops.
    """
    sizes: dict[str, Counter] = {}
    for item in crops:
        sizes.setdefault(item.group, Counter())[item.video.label] += len(item)
    totals = sum(sizes.values(), Counter())
    _check_groups(sizes)
    assigned: dict[str, str] = {}
    have = {split: Counter() for split in SHARES}

    def assign(group: str, split: str) -> None:
        assigned[group] = split
        have[split] += sizes[group]

    def missing(split: str, group: str) -> float:
        """How much of its share the set lacks, by the labels that the group has."""
        return min(1 - have[split][label] / (SHARES[split] * totals[label]) for label in sizes[group])

    for label in (REAL, FAKE):
        # the small sets choose first: they can take a group that is too large less well than train
        for split in sorted(SHARES, key=SHARES.__getitem__):
            if not have[split][label]:
                target = SHARES[split] * totals[label]
                free = [group for group in sizes if group not in assigned and sizes[group][label]]
                assign(min(free, key=lambda group: (abs(sizes[group][label] - target), group)), split)
    for group in sorted(sizes.keys() - assigned, key=lambda group: (-sizes[group].total(), group)):
        assign(group, max(SHARES, key=lambda split: missing(split, group)))
    return assigned


def _check_groups(sizes: dict[str, Counter]) -> None:
    for label in (REAL, FAKE):
        groups = sum(size[label] > 0 for size in sizes.values())
        if groups < len(SHARES):
            name = LABEL_NAMES[label]
            raise UserError(
                f"{groups or 'no'} source group{'s' * (groups != 1)} with {name} crops; train, val and test need one "
                f"each, so at least {len(SHARES)} (a source group is an original and the fakes made from it)"
            )


def balance(crops: Sequence[Crops]) -> list[Crops]:
    """Drop whole videos of the larger class, as long as it stays the larger one; sorted by video id.

    Real crops are only dropped where there are fewer fake ones.
    """
    by_label = {label: [item for item in crops if item.video.label == label] for label in (FAKE, REAL)}
    larger, smaller = sorted(by_label.values(), key=lambda items: -sum(map(len, items)))
    excess = sum(map(len, larger)) - sum(map(len, smaller))
    larger = keep_order(larger)
    while larger and len(larger[-1]) <= excess:
        excess -= len(larger.pop())
    return sorted([*larger, *smaller], key=lambda item: item.video.id)


def keep_order(crops: Iterable[Crops]) -> list[Crops]:
    """The order in which videos are kept: the first fake of each original (by name), then the others by name."""
    ordered = sorted(crops, key=lambda item: item.video.id)
    seen: set[str] = set()
    first = []
    for item in ordered:
        original = item.video.original or item.video.id
        first.append(original not in seen)
        seen.add(original)
    return [item for want in (True, False) for item, is_first in zip(ordered, first, strict=True) if is_first is want]


def split_and_balance(crops: Sequence[Crops], balanced: bool = True) -> dict[str, list[Crops]]:
    """The videos of each set, unless `balanced` is off with about as many real as fake crops.

    The same input gives the same result.

    Raises:
        UserError: as `assign_groups`.
    """
    assigned = assign_groups(crops)
    sets = {split: [item for item in crops if assigned[item.group] == split] for split in SHARES}
    return {split: balance(items) if balanced else items for split, items in sets.items()}


def read_manifest(split_dir: Path) -> list[Entry]:
    """Read `split_dir/manifest.csv`.

    Raises:
        UserError: it is missing, or not what step 02 writes.
    """
    return read_entries(split_dir / "manifest.csv")


def read_entries(path: Path) -> list[Entry]:
    """Read a manifest.csv, wherever it is.

    Raises:
        UserError: as `read_manifest`.
    """
    types = {field.name: field.type for field in fields(Entry)}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            entries = [Entry(**{key: types[key](row[key]) for key in types}) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run step 02 first, or give --split-dir") from None
    except (KeyError, TypeError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not the manifest that step 02 writes ({error!r}); run step 02 again") from None
    if not entries:
        raise UserError(f"{path}: lists no crop; run step 02 again")
    return entries


def _entries(split: str, item: Crops) -> list[Entry]:
    video = item.video
    try:
        records = {record["file"]: record for record in read_faces_json(item.paths[0].parent.parent)}
    except VideoError:  # crops alone are enough; then there are no landmarks
        records = {}
    entries = []
    for path in item.paths:
        _, frame, face = parse_crop_name(path.name)
        record = records.get(path.name)
        entries.append(
            Entry(
                split=split,
                label=video.label,
                file=f"{LABEL_NAMES[video.label]}/{path.name}",
                video=video.id,
                group=item.group,
                original=video.original or "",
                method=video.method or "",
                frame=frame,
                face=face,
                person=str(record.get("person", "")) if record else "",
                landmarks=json.dumps(landmarks_in_crop(record)) if record else "",
                sample=int(video.sample),
            )
        )
    return entries


def _link(source: Path, target: Path) -> None:
    """Put a file into a set: a hard link where the disk allows it, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _is_prepared(name: str) -> bool:
    label, _, crop = name.partition("/")
    return label in LABEL_NAMES and (not crop or is_crop(crop))


def _is_split(name: str) -> bool:
    split, _, rest = name.partition("/")
    return name == "manifest.csv" or (split in SHARES and (not rest or _is_prepared(rest)))


def write_sets(sets: dict[str, list[Crops]], prepared_dir: Path, split_dir: Path, quiet: bool = False) -> list[Entry]:
    """Write both folders and the manifest, whole or not at all, in place of older ones.

    Raises:
        UserError: one of the folders holds files that are not step 02's.
    """
    one, other = prepared_dir.resolve(), split_dir.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise UserError(f"{prepared_dir} and {split_dir} are one within the other; give two separate folders")
    items = [(split, item) for split, videos in sets.items() for item in videos]
    entries = []
    with whole_folder(prepared_dir, _is_prepared) as prepared, whole_folder(split_dir, _is_split) as folder:
        for label in LABEL_NAMES:
            (prepared / label).mkdir()
            for split in SHARES:
                (folder / split / label).mkdir(parents=True)
        for split, item in progress(items, quiet, desc="02", unit="video"):
            for path, entry in zip(item.paths, new := _entries(split, item), strict=True):
                _link(path, prepared / entry.file)
                _link(path, folder / split / entry.file)
            entries.extend(new)
        columns = [field.name for field in fields(Entry)]
        write_csv(folder / "manifest.csv", columns, ([getattr(entry, key) for key in columns] for entry in entries))
    return entries


def prepare_dataset(
    videos_dir: Path,
    work_dir: Path | None,
    prepared_dir: Path,
    split_dir: Path,
    faces: str = "faces",
    group_by: str = "source",
    quiet: bool = False,
    balanced: bool = True,
    dataset: str = "auto",
) -> int:
    """Step 02: the crops of a dataset, split and balanced; prints what each set got and returns the exit code.

    With `balanced` off no crop is left out.

    Raises:
        UserError: the dataset cannot be used, step 01a has not been run, or too few groups have crops.
    """
    work_dir = work_dir or videos_dir
    crops = find_crops(read_dataset(videos_dir, dataset), work_dir, faces, group_by)
    if not crops:
        raise UserError(f"{work_dir}: no crops in <id>/{faces}/ of any video of {videos_dir}; run step 01a first")
    if group_by == "video":
        print(
            "02: split by video, the weaker rule: a test video's original may be trained on, which flatters the figures"
        )
    try:
        sets = split_and_balance(crops, balanced)
    except UserError as error:
        raise UserError(f"{videos_dir / 'metadata.json'}, {work_dir}: {error}") from None
    entries = write_sets(sets, prepared_dir, split_dir, quiet)
    for split, items in sets.items():
        counts = Counter(entry.label for entry in entries if entry.split == split)
        labels = Counter(item.video.label for item in items)
        groups = len({item.group for item in items})
        print(
            f"02: {split}: {counts[REAL]} real and {counts[FAKE]} fake crops, "
            f"of {labels[REAL]} and {labels[FAKE]} videos, {groups} source groups"
        )
    dropped = sum(map(len, crops)) - len(entries)
    left = f"{dropped} left out for the balance" if balanced else "none left out: train with --balance weights or equal"
    print(f"02: {len(entries)} crops in {split_dir}, {left}")
    return 0

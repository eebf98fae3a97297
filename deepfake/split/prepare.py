"""Step 02: divide crops into train, val and test, balance the classes, and write the split."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deepfake.core.cli import progress
from deepfake.core.errors import UserError
from deepfake.core.files import whole_folder
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.core.messages import log
from deepfake.core.naming import crop_parts, file_in_set
from deepfake.datasets.copies import keep_copies_together
from deepfake.datasets.listing import read_columns, read_rows
from deepfake.datasets.name_ties import warning_of_untied
from deepfake.datasets.registry import OF_OTHERS, find_kind, read_dataset
from deepfake.datasets.video import Video, bare_name
from deepfake.faces.table import absolute
from deepfake.split.assign import LABELS, divide
from deepfake.split.balance import balance_sets
from deepfake.split.crops import Crops, Found, link
from deepfake.split.manifest import Entry, write_manifest
from deepfake.split.options import DEFAULT, IN_PERCENT, SHARES, Splitting
from deepfake.split.parts import part_of, parts_to_keep
from deepfake.split.rule import check_said
from deepfake.split.sources import FolderSource, ImageSource, Source, find_crops
from deepfake.split.store import MARK, FolderStore, TableStore, write_mark
from deepfake.split.table_reader import TableSource, list_crops


def leave_out(videos: Sequence[Video], path: Path) -> list[Video]:
    """Remove the videos that a csv lists in its column `video`, by id or file; logs how many.

    Raises:
        UserError: the file is missing, has no column `video`, or lists every video.
    """
    rows = read_rows(path)
    if "video" not in read_columns(path):
        raise UserError(f"{path}: has no column video; list the ids of the videos to leave out in it")
    id_of = {video.file: video.id for video in videos} | {video.id: video.id for video in videos}
    listed = {id_of.get(row["video"], bare_name(row["video"])) for _, row in rows if row["video"]}
    kept = [video for video in videos if video.id not in listed]
    log.info(f"02: videos left out by {path}: {len(videos) - len(kept)}")
    unknown = sorted(listed - {video.id for video in videos})
    if unknown:
        log.warning(
            f"02: warning: {path} lists videos that the dataset does not have: {len(unknown)}, the first {unknown[0]}"
        )
    if not kept:
        raise UserError(f"{path}: lists every video of the dataset; remove some from the list")
    return kept


def _entries(split: str, item: Crops, found: Iterable[Found]) -> list[Entry]:
    video = item.video
    return [
        Entry(
            split=split,
            label=video.label,
            file=file_in_set(video.label, video.id, frame, face),
            video=video.id,
            group=item.group,
            original=video.original or "",
            method=video.method or "",
            frame=frame,
            face=face,
            person=person,
            landmarks=landmarks,
            sample=int(video.sample),
            part=part_of(video.file) or "",
        )
        for frame, face, person, landmarks in found
    ]


def is_prepared(name: str) -> bool:
    """Whether a path belongs in a folder of real/ and fake/ crops."""
    label, _, crop = name.partition("/")
    return label in LABEL_NAMES and (not crop or crop_parts(crop) is not None)


def _is_split(name: str) -> bool:
    split, _, rest = name.partition("/")
    return name in ("manifest.csv", MARK) or (split in SHARES and (not rest or is_prepared(rest)))


def write_sets(
    sets: dict[str, list[Crops]],
    source: FolderSource | ImageSource,
    prepared_dir: Path,
    split_dir: Path,
    quiet: bool = False,
) -> list[Entry]:
    """Write both folders, manifest.csv and crops.json, all or nothing, replacing older ones.

    Raises:
        UserError: a folder holds files that step 02 did not write, all crops of a label are unreadable, or videos were
            cropped by different rules.
    """
    one, other = prepared_dir.resolve(), split_dir.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise UserError(f"{prepared_dir} and {split_dir}: one is inside the other; give two separate folders")
    items = [(split, item) for split, videos in sets.items() for item in videos]
    entries, unreadable, looked_up = [], [], []
    with whole_folder(prepared_dir, is_prepared) as prepared, whole_folder(split_dir, _is_split) as folder:
        for label in LABEL_NAMES:
            (prepared / label).mkdir()
            for split in SHARES:
                (folder / split / label).mkdir(parents=True)
        for split, item in progress(items, quiet, desc="02", unit="video"):
            found, recorded = source.look_up(item)
            looked_up.append((split, item, recorded))
            for path, entry in zip(item.paths, _entries(split, item, found), strict=True):
                if source.put(path, prepared / entry.file):
                    link(prepared / entry.file, folder / split / entry.file)
                    entries.append(entry)
                else:
                    unreadable.append(path)
        _check_unreadable(unreadable, sets, entries)
        write_manifest(folder, entries)
        write_mark(FolderStore(folder, source.rule_of(looked_up)))
    return entries


def write_sets_of_table(
    sets: dict[str, list[Crops]], source: TableSource, split_dir: Path, quiet: bool = False
) -> list[Entry]:
    """Write the manifest of crops in a crop table, with the table's address, replacing an older split folder.

    Raises:
        UserError: the folder holds files that step 02 did not write.
    """
    items = [(split, item) for split, videos in sets.items() for item in videos]
    with whole_folder(split_dir, _is_split) as folder:
        bar = progress(items, quiet, desc="02", unit="video")
        entries = [entry for split, item in bar for entry in _entries(split, item, source.look_up(item)[0])]
        write_manifest(folder, entries)
        write_mark(TableStore(folder, source.place, source.rule))
    return entries


def _check_unreadable(paths: Sequence[Path], sets: dict[str, list[Crops]], entries: Iterable[Entry]) -> None:
    """Warn of unreadable images, and raise a UserError if a set lacks a label because of them."""
    if not paths:
        return
    wanted = {(split, item.video.label) for split, items in sets.items() for item in items}
    for split, label in sorted(wanted - {(entry.split, entry.label) for entry in entries}):
        raise UserError(f"{paths[0]}: not a readable image, like all other {LABEL_NAMES[label]} crops of {split}")
    log.warning(f"02: warning: unreadable images left out: {len(paths)}, the first {paths[0]}")


def prepare_dataset(
    videos_dir: Path,
    work_dir: Path | None,
    prepared_dir: Path,
    split_dir: Path,
    how: Splitting = DEFAULT,
    quiet: bool = False,
) -> int:
    """Run step 02: split and balance the crops of a dataset and log the counts of each set; returns the exit code.

    External crops are images in `videos_dir/<video.file>/`.

    Raises:
        UserError: the dataset cannot be used, step 01a has not been run, too few groups have crops, or options do not
            go together.
    """
    if how.table and (work_dir or how.faces != DEFAULT.faces):
        raise UserError("--crops takes the place of --work-dir and --faces; leave them out")
    kind = find_kind(videos_dir, how.dataset)
    crops_of_others = kind in OF_OTHERS
    if how.table and crops_of_others:
        raise UserError(f"{videos_dir}: holds face crops itself; remove --crops")
    check_said(how.said, crops_of_others)
    videos = keep_copies_together(read_dataset(videos_dir, kind), videos_dir, how.split)
    videos = _chosen(videos, how.exclude, how.real_only)
    source = _source_of(how, videos_dir, work_dir or videos_dir, crops_of_others)
    crops = find_crops(videos, source, how.group_by)
    if not crops:
        nothing, remedy = source.nothing
        raise UserError(f"{source.place}: {nothing} of any video of {videos_dir}; {remedy}")
    official = how.split == "official" and any(video.split == "test" for video in videos)
    parts = parts_to_keep(videos_dir, videos, crops, how.group_by, official)
    _print_rule(official, "part" if parts else how.group_by or "source")
    if not parts and (warning := warning_of_untied([item.video for item in crops])):
        log.warning(f"02: warning: {warning}")
    try:
        sets = divide(crops, official, (REAL,) if how.real_only else LABELS, parts)
    except UserError as error:
        raise UserError(f"{videos_dir}, {source.place}: {error}") from None
    divided = _total(sets)
    if how.balance == "drop" and not how.real_only:
        sets = balance_sets(sets, keep_test=official)
    if isinstance(source, TableSource):
        entries = write_sets_of_table(sets, source, split_dir, quiet)
    else:
        entries = write_sets(sets, source, prepared_dir, split_dir, quiet)
    _print_counts(entries, parts)
    log.info(f"02: {len(entries)} crops in {split_dir}, {_left_out(divided - _total(sets), how)}")
    return 0


def _left_out(count: int, how: Splitting) -> str:
    if how.real_only:
        return "real crops only"
    if how.balance == "drop":
        return f"{count} left out for the balance"
    return "none left out: train with --balance weights or equal"


def _source_of(how: Splitting, videos_dir: Path, work_dir: Path, crops_of_others: bool) -> Source:
    if how.table:
        return list_crops(absolute(how.table))
    return ImageSource(videos_dir, how.said) if crops_of_others else FolderSource(work_dir, how.faces)


def _chosen(videos: list[Video], exclude: Path | None, real_only: bool) -> list[Video]:
    if exclude:
        videos = leave_out(videos, exclude)
    if real_only:
        log.info(f"02: real crops only; fakes left out: {sum(video.label == FAKE for video in videos)}")
        videos = [video for video in videos if video.label == REAL]
    return videos


def _print_rule(official: bool, group_by: str) -> None:
    if group_by == "video":
        log.info(
            "02: split by video, the weaker rule: a test video's original may be in training, so scores may be too high"
        )
    rule = "the dataset's own, its test set whole" if official else f"our own, {IN_PERCENT} by {group_by}"
    log.info(f"02: split: {rule}")


def _total(sets: dict[str, list[Crops]]) -> int:
    return sum(len(item) for items in sets.values() for item in items)


def _print_counts(entries: Iterable[Entry], parts: Mapping[str, str] | None) -> None:
    for split in SHARES:
        members = [entry for entry in entries if entry.split == split]
        crops = Counter(entry.label for entry in members)
        videos = Counter({entry.video: entry.label for entry in members}.values())
        groups = len({entry.group for entry in members})
        whole = len({entry.part for entry in members} - {""})
        of_parts = f", in {whole} part{'s' * (whole != 1)}" if parts else ""
        log.info(
            f"02: {split}: {crops[REAL]} real and {crops[FAKE]} fake crops, "
            f"of {videos[REAL]} and {videos[FAKE]} videos, {groups} source groups{of_parts}"
        )

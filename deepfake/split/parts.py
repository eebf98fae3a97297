"""Split DFDC by its parts (folders `dfdc_train_part_N`): no actor is in two parts, so no person is in two sets."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from deepfake.core.errors import UserError
from deepfake.core.messages import log
from deepfake.datasets.video import Video, source_groups
from deepfake.split.crops import Crops

MIN_PARTS = 10  # minimum parts for splitting by part as the default; one part is then about 10 %, as val and test need
PART = re.compile("dfdc_train_part_([0-9]+)", re.IGNORECASE)


def part_of(file: str) -> str | None:
    """Return a file's part of DFDC (Dolhansky et al. 2020), such as dfdc_train_part_3; None if it has none."""
    folders = PurePosixPath(file).parent.parts
    numbers = [int(found[1]) for folder in folders if (found := PART.fullmatch(folder))]
    return f"dfdc_train_part_{numbers[-1]}" if numbers else None


def join_parts(videos: Iterable[Video]) -> tuple[dict[str, str], list[list[str]]]:
    """Return the group of each video id, and the parts that were joined.

    A video's group is its part, or its source group if it has no part. Parts that share a source group are joined and
    get the name of the first.
    """
    videos = list(videos)
    parts = {video.id: part for video in videos if (part := part_of(video.file))}
    tied = [replace(video, ties=(*video.ties, *_tie(parts.get(video.id)))) for video in videos]
    groups = source_groups(tied)
    members: dict[str, set[str]] = defaultdict(set)
    for id, part in parts.items():
        members[groups[id]].add(part)
    ordered = {group: sorted(names, key=lambda name: (len(name), name)) for group, names in members.items()}
    wholes = {id: ordered[group][0] if group in ordered else group for id, group in groups.items()}
    return wholes, sorted(names for names in ordered.values() if len(names) > 1)


def _tie(part: str | None) -> tuple[str, ...]:
    return (f"part/{part}",) if part else ()


def parts_to_keep(
    videos_dir: Path, videos: Iterable[Video], crops: Sequence[Crops], group_by: str | None, official: bool
) -> dict[str, str] | None:
    """Return the group of each video id (see `join_parts`) if the dataset is split by part; else None.

    It is if `group_by` is "part", or if `group_by` is None and at least MIN_PARTS parts have crops, unless the
    dataset's `official` sets share parts. Logs if the same person can be in two sets.

    Raises:
        UserError: `group_by` is "part", but no video with crops is in a part.
    """
    found = {item.video.id for item in crops if part_of(item.video.file)}
    if group_by == "part" and not found:
        raise UserError(f"{videos_dir}: has no parts (folders like dfdc_train_part_0); give --group-by source")
    if not found or group_by == "video":
        return None
    wholes, joined = join_parts(videos)
    count = len({wholes[id] for id in found})
    if group_by == "source":
        if count > 1 and not official:
            log.warning("02: warning: DFDC's actors recur within a part: by source, the same person can be in two sets")
        return None
    if group_by is None and count < MIN_PARTS:
        if not official:
            apart = " without a common original" * bool(joined)
            log.info(
                f"02: {count} part{'s' * (count != 1)} of DFDC{apart}, fewer than {MIN_PARTS}, so by source: the same "
                "person can be in two sets"
            )
        return None
    if group_by is None and official and (shared := _in_two_sets(crops, wholes)):
        log.info(f"02: {shared} is in more than one of the dataset's own sets: the same person can be in two")
        return None
    if joined:
        log.info(
            f"02: parts that share an original are kept together: {sum(map(len, joined))}, "
            f"such as {joined[0][0]} and {joined[0][1]}"
        )
    return wholes


def _in_two_sets(crops: Iterable[Crops], wholes: Mapping[str, str]) -> str | None:
    """Return the first part with videos in two of the dataset's own sets; videos without a set count as train."""
    sets: dict[str, set[str]] = defaultdict(set)
    for item in crops:
        if part_of(item.video.file):
            sets[wholes[item.video.id]].add(item.video.split or "train")
    return min((part for part, names in sets.items() if len(names) > 1), default=None)

"""Keep copies of a file in one set: public datasets have hundreds of files under several names."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from deepfake.core.messages import log
from deepfake.datasets.listing import images_in
from deepfake.datasets.video import Video

COPY = "copy/"  # prefix of the ties of copies

# with the dataset's own sets, the first of these that has the file keeps it
KEPT_FIRST = ("test", "val", "train", None)


def find_copies(videos: Sequence[Video], videos_dir: Path) -> list[list[Video]]:
    """Return the videos whose files have the same bytes, in lists of two or more; empty and missing files are ignored.

    Folders of images are compared by the bytes of all their images, in any order. Only files of equal size are read.
    """
    files = {video.id: images_in(videos_dir / video.file) for video in videos}
    sizes = {id: sum(os.stat(path).st_size for path in paths) for id, paths in files.items()}
    by_size = _alike((video for video in videos if sizes[video.id]), lambda video: sizes[video.id])
    by_bytes = [_alike(same, lambda video: _digest(files[video.id])) for same in by_size]
    return [same for groups in by_bytes for same in groups]


def keep_copies_together(videos: Sequence[Video], videos_dir: Path, split: str) -> list[Video]:
    """Tie videos with the same bytes together, so that they come into one set, and log how many there are.

    If `split` is "official", only the copies in the first set of KEPT_FIRST are kept. Copies labelled both real and
    fake are always left out, since one label is wrong.
    """
    copies = find_copies(videos, videos_dir)
    if not copies:
        return list(videos)
    left_out, contradicting = set(), []
    ties: dict[str, str] = {}
    stands_for: dict[str | None, str] = {}
    for same in copies:
        kept = min(same, key=lambda video: KEPT_FIRST.index(video.split))
        if len({video.label for video in same}) > 1:
            contradicting.append(same)
            left_out |= {video.id for video in same}
        elif split == "official":
            left_out |= {video.id for video in same if video.split != kept.split}
        ties |= {video.id: f"{COPY}{same[0].id}" for video in same}
        stands_for |= {video.id: kept.id for video in same if video.id in left_out}  # as the original of its fakes
    example = copies[0]
    log.info(
        f"02: videos with the same bytes as another: {sum(map(len, copies)) - len(copies)}, such as "
        f"{example[0].file} and {example[1].file}; kept in one set, {len(left_out)} left out"
    )
    if contradicting:
        files = " and ".join(video.file for video in contradicting[0])
        log.warning(f"02: warning: files labelled both real and fake, left out: {len(contradicting)}, such as {files}")
    return [
        replace(
            video,
            original=stands_for.get(video.original, video.original),
            ties=(*video.ties, *filter(None, [ties.get(video.id)])),
        )
        for video in videos
        if video.id not in left_out
    ]


def is_copy(tie: str) -> bool:
    """Whether a tie marks a video as a copy."""
    return tie.startswith(COPY)


def _alike(videos: Iterable[Video], key: Callable[[Video], int | bytes]) -> list[list[Video]]:
    groups = defaultdict(list)
    for video in videos:
        groups[key(video)].append(video)
    return [same for same in groups.values() if len(same) > 1]


def _digest(paths: Sequence[Path]) -> bytes:
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return b"".join(sorted(digests))

"""Read Celeb-DF and Celeb-DF++ from their folders and file names."""

import re
from pathlib import Path

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.listing import file_names, find_videos, print_strays, subfolders
from deepfake.datasets.video import Record, Video, check_name, to_videos

CELEB_FOLDERS = {"celeb-real": REAL, "youtube-real": REAL, "celeb-synthesis": FAKE}
CELEB_NAMES = {
    "celeb-real": re.compile(r"(id\d+)_(\d+)"),
    "youtube-real": re.compile(r"\d+"),
    "celeb-synthesis": re.compile(r"(id\d+)_(id\d+)_(\d+)"),
}
# Celeb-DF++ has a folder for each method; its talking faces have no source
CELEB_METHODS = re.compile(r"(id\d+)_(?:(id\d+)_)?(\d+)(?:_\w+)?")
TESTING_LIST = "List_of_testing_videos.txt"


def is_celebdf(videos_dir: Path) -> bool:
    """Whether a folder holds Celeb-DF or a part of it."""
    return any(folder.name.lower() in ("celeb-real", "celeb-synthesis") for folder in subfolders(videos_dir))


def read_celebdf(videos_dir: Path) -> list[Video]:
    """Read Celeb-DF (Li et al., CVPR 2020), version 1 or 2, or Celeb-DF++ (Li et al., 2025).

    `id0_id1_0000.mp4` is the video `id0_0000` of target id0 with the face of source id1. The identities are the ties.
    If the list of testing videos is in the folder, it divides the videos into a test and a training set. Videos with
    other names are left out and counted in a message.

    Raises:
        UserError: the list contradicts the folders.
    """
    lists = [name for name in file_names(videos_dir) if name.lower() == TESTING_LIST.lower()]
    testing = _read_testing_list(videos_dir / lists[0]) if lists else None
    records, strays = [], []
    for folder in subfolders(videos_dir):
        label = CELEB_FOLDERS.get(folder.name.lower())
        if label is None:
            continue
        for path in find_videos(folder):
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            of_method = label == FAKE and path.parent != folder
            match = (CELEB_METHODS if of_method else CELEB_NAMES[folder.name.lower()]).fullmatch(path.stem)
            if not match:
                strays.append(file)
                continue
            original, ties = _celeb_identities(match.groups())
            split = None
            if testing is not None:
                split = "test" if {file.lower(), f"{folder.name}/{path.name}".lower()} & testing else "train"
            method = path.relative_to(folder).parent.as_posix() if of_method else "celeb-df" if label == FAKE else None
            records.append(Record(file, label, str(videos_dir), original, method, split, ties))
    print_strays(strays, "Celeb-DF", "id0_id1_0000.mp4")
    return to_videos(records)


def _celeb_identities(parts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Return a video's original and the identities in it, from the parts of its name."""
    if not parts:  # YouTube-real
        return None, ()
    *identities, number = parts
    original = f"{identities[0]}_{number}" if len(identities) > 1 else None
    return original, tuple(filter(None, identities))


def _read_testing_list(path: Path) -> set[str]:
    """Return the lower-case path of each video of the official test set."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as text ({error}); use Celeb-DF's own list") from None
    testing = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        number_said, _, place = line.strip().partition(" ")
        parts = place.strip().lower().split("/")
        top = next((at for at, part in enumerate(parts[:-1]) if part in CELEB_FOLDERS), None)
        if top is None or number_said not in ("0", "1"):
            raise UserError(f'{path}, line {number}: not of the form "1 YouTube-real/00170.mp4"; use Celeb-DF\'s own')
        if int(number_said) != CELEB_FOLDERS[parts[top]]:
            raise UserError(
                f"{path}, line {number}: {number_said} (1 is real) contradicts the folder {parts[top]}; correct it"
            )
        testing.add("/".join(parts[top:]))
    return testing

"""What the files of frames and crops are called: `<id>-FFF.png` and `<id>-FFF-NN.png`.

FFF counts the frames that were taken of the video `<id>`, and NN the faces of a frame. Names are read from the right,
since an id may hold dashes.
"""

import re

from deepfake.core.labels import LABEL_NAMES

FRAME = re.compile(r"([^/]+)-[0-9]{3,}\.png")
CROP = re.compile(r"([^/]+)-([0-9]{3,})-([0-9]{2,})\.png")


def frame_name(id: str, frame: int) -> str:
    """What the file of a frame is called."""
    return f"{id}-{frame:03d}.png"


def crop_name(id: str, frame: int, face: int) -> str:
    """What the file of a face's crop is called."""
    return f"{id}-{frame:03d}-{face:02d}.png"


def file_in_set(label: int, id: str, frame: int, face: int) -> str:
    """The path of a crop below the folder of its set, `real/<id>-FFF-NN.png`."""
    return f"{LABEL_NAMES[label]}/{crop_name(id, frame, face)}"


def parse_crop_name(name: str) -> tuple[str, int, int]:
    """Video id, frame and face of a crop, by the name of its file.

    Raises:
        ValueError: the name is of another form.
    """
    found = CROP.fullmatch(name)
    if not found:
        raise ValueError(f"{name!r} is not the name of a crop, <id>-FFF-NN.png")
    return found[1], int(found[2]), int(found[3])


def is_frame(name: str, id: str | None = None) -> bool:
    """Whether a file's name is that of a frame, of the video `id` if that is given."""
    return _is_of(FRAME.fullmatch(name), id)


def is_crop(name: str, id: str | None = None) -> bool:
    """Whether a file's name is that of a crop, of the video `id` if that is given."""
    return _is_of(CROP.fullmatch(name), id)


def _is_of(found: re.Match[str] | None, id: str | None) -> bool:
    return found is not None and id in (None, found[1])

"""File names of frames, `<id>-FFF.png`, and of crops, `<id>-FFF-NN.png`.

FFF counts the frames taken from the video `<id>`, NN the faces in a frame. Names are parsed from the right, since an
id may contain dashes.
"""

import re

from deepfake.core.labels import LABEL_NAMES

FRAME = re.compile(r"([^/]+)-[0-9]{3,}\.png")
CROP = re.compile(r"([^/]+)-([0-9]{3,})-([0-9]{2,})\.png")  # as step 01a writes them
ANY_CROP = re.compile(r"([^/]+)-([0-9]+)-([0-9]+)\.png")  # also with numbers of fewer digits


def frame_name(id: str, frame: int) -> str:
    """Return the file name of a frame."""
    return f"{id}-{frame:03d}.png"


def crop_name(id: str, frame: int, face: int) -> str:
    """Return the file name of a face's crop."""
    return f"{id}-{frame:03d}-{face:02d}.png"


def file_in_set(label: int, id: str, frame: int, face: int) -> str:
    """Return the path of a crop in the folder of its set, e.g. `real/<id>-FFF-NN.png`."""
    return f"{LABEL_NAMES[label]}/{crop_name(id, frame, face)}"


def crop_parts(name: str) -> tuple[str, int, int] | None:
    """Return the video id, frame and face of a crop from its file name, whose numbers may have fewer digits.

    None if the name has another form.
    """
    found = ANY_CROP.fullmatch(name)
    return (found[1], int(found[2]), int(found[3])) if found else None


def parse_crop_name(name: str) -> tuple[str, int, int]:
    """As `crop_parts`.

    Raises:
        ValueError: the name has another form.
    """
    if (parts := crop_parts(name)) is None:
        raise ValueError(f"{name!r} is not the file name of a crop, <id>-FFF-NN.png")
    return parts


def is_frame(name: str, id: str | None = None) -> bool:
    """Whether this is the file name of a frame (of the video `id`, if given)."""
    return _is_of(FRAME.fullmatch(name), id)


def is_crop(name: str, id: str | None = None) -> bool:
    """Whether this is the file name of a crop as step 01a writes it (of the video `id`, if given)."""
    return _is_of(CROP.fullmatch(name), id)


def _is_of(found: re.Match[str] | None, id: str | None) -> bool:
    return found is not None and id in (None, found[1])

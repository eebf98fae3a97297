"""The result of a scan: the verdict on a file, and the evidence that reports show."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepfake.core.decision import Band, Bands
from deepfake.faces.crop import Box
from deepfake.faces.find_crops import SMALL, STILL
from deepfake.faces.people import count_people
from deepfake.faces.records import why_no_crop
from deepfake.models.info import SAMPLE_ONLY_IN_SHORT, origin

VERDICTS = ("REAL", "FAKE", "UNCERTAIN", "UNKNOWN")


@dataclass(frozen=True)
class Seen:
    """A detected face, not judged yet.

    `frame` and `face` are FFF and NN of the crop's name; `index` and `time` (seconds) are the frame's place in the
    video. `box` is x, y, width, height in pixels of the upright video; `side` is the side of a square of the same area.
    A `still` face seems to be a photograph, but it is judged since the file has no other face.
    """

    frame: int
    face: int
    index: int
    time: float
    box: Box
    person: str
    confidence: float
    side: int = 0
    still: bool = False


@dataclass(frozen=True)
class FaceScore(Seen):
    """A face with the probability of real from the model."""

    p_real: float = field(kw_only=True)


@dataclass(frozen=True)
class NotJudged:
    """A detected face that is not judged, and `why`: it is too small or still. Other fields as in `FaceScore`."""

    frame: int
    index: int
    time: float
    box: Box
    side: int
    confidence: float
    why: str


@dataclass(frozen=True)
class Small:
    """A small frame with faces: its number, and H x W x 3 uint8 RGB at `scale` times the size of the video."""

    frame: int
    time: float
    scale: float
    image: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """The faces in the frames of a file, with a crop for each (H x W x 3 uint8 RGB).

    `frames` is the number of frames searched; `seconds` is the length of the video, 0 for an image. `problem` says what
    is wrong with the file, if anything. `small` holds the frames with faces, for a report. `turned` is the clockwise
    rotation in degrees that made the video upright.
    """

    frames: int
    seconds: float
    problem: str | None
    faces: tuple[Seen, ...]
    crops: tuple[np.ndarray, ...]
    small: tuple[Small, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
    turned: int = 0


@dataclass(frozen=True)
class CropPicture:
    """A crop as JPEG, and the same with its heat map, if there is one."""

    frame: int
    face: int
    crop: bytes
    heat: bytes | None = None


@dataclass(frozen=True)
class Pictures:
    """The pictures of a video in a report: a frame with the boxes of its faces (JPEG), and crops."""

    frame: bytes | None = None
    frame_time: float = 0.0  # seconds
    crops: tuple[CropPicture, ...] = ()


@dataclass(frozen=True)
class Scan:
    """A scanned video or image: its verdict (one of VERDICTS), its `p_real` as in step 04, and its faces.

    `name` is the user's name for the file: display it, never open it. If the file has no face or cannot be read, the
    verdict is UNKNOWN and `p_real` is None. `reason` says why, or holds remarks on a judged file. `turned` is the
    clockwise rotation in degrees that made the video upright. Scores within `band`, the band for this number of
    predictions, are UNCERTAIN. `label` (1 is real) and `group` are only known for a test set.
    """

    name: str
    verdict: str
    p_real: float | None
    reason: str | None = None
    frames: int = 0
    seconds: float = 0.0  # length of the video
    faces: tuple[FaceScore, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
    turned: int = 0
    band: Band | None = None
    pictures: Pictures = field(default=Pictures(), repr=False)
    label: int | None = None
    group: str | None = None
    method: str | None = None

    @property
    def people(self) -> list[str]:
        """The sorted numbers of the people, as strings; "0" is the person with the most faces."""
        return sorted({face.person for face in self.faces}, key=lambda person: (len(person), person))


def remarks_on(
    frames: int,
    faces: Sequence[Any],
    not_judged: Sequence[NotJudged],
    turned: int,
    problem: str | None = None,
    people: Sequence[str] = (),
) -> str | None:
    """Return remarks on a file besides its verdict, or why it has none; None if there are no remarks.

    `faces` need the attribute `still`; `people` are remarks on people, which come first.
    """
    small = [face.side for face in not_judged if face.why == SMALL]
    still = [face.frame for face in not_judged if face.why == STILL]
    remarks = [
        *people,
        None if faces else why_no_crop(small, frames),
        f"turned by {turned} degrees" if turned else None,
        "its only face is still, like a photograph" if any(face.still for face in faces) else None,
        f"not judged: {why_no_crop(small, frames)}" if faces and small else None,
        f"not judged: {_still_faces(max(Counter(still).values()))}" if still else None,
        problem,
    ]
    return "; ".join(filter(None, remarks)) or None


def _still_faces(at_once: int) -> str:
    return "a still face, like a photograph" if at_once == 1 else f"{at_once} still faces, like photographs"


@dataclass(frozen=True)
class ModelCard:
    """The facts about the model behind verdicts; `metrics` is the content of metrics_videos.json, if known.

    `crops` describes how its crops are cut, if not by the default rule.
    """

    model: str
    backbone: str
    image_size: int
    threshold: float
    bands: Bands
    temperature: float
    sample_only: bool
    metrics: dict | None = None
    crops: str = ""
    pixel_max: int = 255
    positive: str = "real"
    name: str = ""
    trained_on: str = ""
    aggregate: str = "mean"

    @property
    def note(self) -> str:
        """The training data in a few words, to go with each verdict; "" if unknown."""
        return SAMPLE_ONLY_IN_SHORT if self.sample_only else origin(self.name, self.trained_on)


def people_in(scan: Scan) -> int:
    """Return the number of people in a scan, counted as in step 04."""
    return count_people((face.frame, face.person) for face in scan.faces) or 0

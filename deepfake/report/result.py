"""What a scan says of a file: the verdict, and the evidence that reports show."""

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
    """A face that was found, before a model has said anything of it.

    `frame` and `face` are FFF and NN of a crop's name, `index` and `time` (seconds) say where in the video the frame
    is. The box x, y, width, height is in pixels of the video's own frames, turned upright; a square of the same
    area has `side`. A `still` face seems to be a photograph, but is all that there is.
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
    """A face, and the probability of real that a model gives it."""

    p_real: float = field(kw_only=True)


@dataclass(frozen=True)
class NotJudged:
    """A face that was found and not judged, and `why`: it is small or still; else as in `FaceScore`."""

    frame: int
    index: int
    time: float
    box: Box
    side: int
    confidence: float
    why: str


@dataclass(frozen=True)
class Small:
    """A frame with faces, by its number: H x W x 3 uint8 RGB, and `scale` times as large as the video's own."""

    frame: int
    time: float
    scale: float
    image: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """The faces in the frames of a file, and for each its crop, H x W x 3 uint8 RGB.

    `frames` were looked at; `seconds` is the length of the video, 0 for an image. `problem` says what is wrong with the
    file, if anything. `small` has the frames with faces, for a report. The video was `turned` clockwise by this many
    degrees to be upright.
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
    """A crop as JPEG, and with what the model looked at laid over it, if that was asked for."""

    frame: int
    face: int
    crop: bytes
    heat: bytes | None = None


@dataclass(frozen=True)
class Pictures:
    """What a report shows of a video: one whole frame with the boxes of its faces (JPEG), and crops."""

    frame: bytes | None = None
    frame_time: float = 0.0  # seconds
    crops: tuple[CropPicture, ...] = ()


@dataclass(frozen=True)
class Scan:
    """A scanned video or image: verdict (of VERDICTS), the video's `p_real` as step 04 has it, and all its faces.

    `name` is what the user called the file: text to show, never a path to open. Without a face, or unreadable, it is
    UNKNOWN and `p_real` is None; `reason` says why, or what is to be known of a file that was judged all the same. It
    was `turned` by so many degrees clockwise to be upright. Within `band`, that for a mean of as many predictions, it
    is UNCERTAIN. `label` (1 is real) and `group` are known in a test set only.
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
        """The numbers of its people, as strings, in order: "0" is the one with most faces."""
        return sorted({face.person for face in self.faces}, key=lambda person: (len(person), person))


def remarks_on(
    frames: int,
    faces: Sequence[Any],
    not_judged: Sequence[NotJudged],
    turned: int,
    problem: str | None = None,
    people: Sequence[str] = (),
) -> str | None:
    """What is to be known of a file besides its verdict, or why there is none; None if there is nothing.

    Of its `faces` counts whether they are `still`; what is to be said of its `people` comes first.
    """
    small = [face.side for face in not_judged if face.why == SMALL]
    still = [face.frame for face in not_judged if face.why == STILL]
    remarks = [
        *people,
        None if faces else why_no_crop(small, frames),
        f"turned by {turned} degrees" if turned else None,
        "its only face is still, as a photograph is" if any(face.still for face in faces) else None,
        f"not judged: {why_no_crop(small, frames)}" if faces and small else None,
        f"not judged: {_still_faces(max(Counter(still).values()))}" if still else None,
        problem,
    ]
    return "; ".join(filter(None, remarks)) or None


def _still_faces(at_once: int) -> str:
    return "a still face, as of a photograph" if at_once == 1 else f"{at_once} still faces, as of photographs"


@dataclass(frozen=True)
class Judge:
    """The model behind verdicts, and how they come about; `metrics` is the content of metrics_videos.json, if known.

    `crops` says in words how its crops are cut, where that is not by the default rule.
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
        """What the model has learnt from, in the few words that go with each verdict; "" where that is not told."""
        return SAMPLE_ONLY_IN_SHORT if self.sample_only else origin(self.name, self.trained_on)


def people_in(scan: Scan) -> int:
    """How many people count in a scan, as step 04 counts them."""
    return count_people((face.frame, face.person) for face in scan.faces) or 0

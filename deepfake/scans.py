"""What a scan says of a file: the verdict, and the evidence that reports show."""

from dataclasses import dataclass, field

from deepfake.faces import Box

VERDICTS = ("REAL", "FAKE", "UNCERTAIN", "UNKNOWN")


@dataclass(frozen=True)
class FaceScore:
    """A face and what the model says of it.

    `frame` and `face` are FFF and NN of a crop's name, `index` and `time` (seconds) say where in the video the frame
    is. The box x, y, width, height is in pixels of the video's own frames.
    """

    frame: int
    face: int
    index: int
    time: float
    box: Box
    person: str
    confidence: float
    p_real: float


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
    UNKNOWN and `p_real` is None; `reason` says why, or what is wrong with a file that was judged all the same. `label`
    (1 is real) and `group` are known in a test set only.
    """

    name: str
    verdict: str
    p_real: float | None
    reason: str | None = None
    frames: int = 0
    seconds: float = 0.0  # length of the video
    faces: tuple[FaceScore, ...] = ()
    pictures: Pictures = field(default=Pictures(), repr=False)
    label: int | None = None
    group: str | None = None
    method: str | None = None

    @property
    def people(self) -> list[str]:
        """The numbers of its people, as strings, in order: "0" is the one with most faces."""
        return sorted({face.person for face in self.faces}, key=lambda person: (len(person), person))


@dataclass(frozen=True)
class Judge:
    """The model behind some verdicts, and how they come about; `metrics` is metrics_videos.json, where it is known."""

    model: str
    backbone: str
    image_size: int
    threshold: float
    band: tuple[float, float] | None
    temperature: float
    sample_only: bool
    metrics: dict | None = None

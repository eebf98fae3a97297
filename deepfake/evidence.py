"""What there is to judge in a file: the faces of a few frames, cut out as training cuts them. Needs no model."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from deepfake.crop_rule import CropRule
from deepfake.cropping import Box, own_box
from deepfake.decoding import Frame, to_standard_size
from deepfake.display import over_grey
from deepfake.face_crops import FaceCrop, LeftOut, look_at
from deepfake.files import UserError
from deepfake.frames import check_file, read_video
from deepfake.runner import VideoError, reason_of
from deepfake.scans import NotJudged
from deepfake.videos import is_image

# of the phones' format FFmpeg sees single tiles, which would be judged as if they were the picture
NOT_READ = (".heic", ".heif", ".avif")
# Pillow knows many more, some of which it hands to other programs
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MOST_PIXELS = 128_000_000  # of an image: 400 MB in memory

SMALL_SIDE = 480  # pixels of the longer side of frames that are shown


@dataclass(frozen=True)
class Seen:
    """A face as in `scans.FaceScore`, before a model has said anything of it."""

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
class Evidence:
    """The faces in the frames of a file, and for each its crop, H x W x 3 uint8 RGB.

    `frames` were looked at; `seconds` is the length of the video, 0 of an image. `problem` says what is wrong with the
    file, if anything. `small` has the frames with faces, for a report. The video was `turned` by so many degrees
    clockwise to be upright.
    """

    frames: int
    seconds: float
    problem: str | None
    faces: tuple[Seen, ...]
    crops: tuple[np.ndarray, ...]
    small: tuple["Small", ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
    turned: int = 0


@dataclass(frozen=True)
class Small:
    """A frame with faces, by its number: H x W x 3 uint8 RGB, and `scale` times as large as the video's own."""

    frame: int
    time: float
    scale: float
    image: np.ndarray


def gather(
    path: Path, rule: CropRule, with_pictures: bool = False, frames_read: Callable[[], None] = lambda: None
) -> Evidence | VideoError:
    """The evidence in a video or an image, cut out by a rule; a VideoError with the reason if nothing can be read.

    In the way of steps 00 and 01a, and with their functions. `small` is filled `with_pictures` only. `frames_read` is
    called when the frames are there, and faces are to be found in them.
    """
    try:
        return _gather(path, rule, with_pictures, frames_read)
    except (VideoError, UserError) as error:
        return VideoError(str(error))
    except Exception as error:  # whatever a strange file does to a decoder or a detector, the others go on
        return VideoError(reason_of(error))


def _gather(path: Path, rule: CropRule, with_pictures: bool, frames_read: Callable[[], None]) -> Evidence:
    if path.suffix.lower() in NOT_READ:
        raise VideoError(f"{path.suffix} is a format that is not read; save it as JPEG or PNG")
    if is_image(path.name):
        frames, seconds, problem, more = [read_image(path)], 0.0, None, None
    else:
        frames, total, problem = read_video(path, rule.frames)
        seconds, more = length_of(frames, total), lambda k: read_video(path, k)[0]
    frames_read()
    look = look_at(frames, rule, more)
    shown = sorted({crop.number for crop in look.crops}) if with_pictures else []
    return Evidence(
        frames=len(look.frames),
        seconds=seconds,
        problem="; ".join(filter(None, (problem, look.problem))) or None,
        faces=tuple(map(_seen, look.crops)),
        crops=tuple(crop.pixels for crop in look.crops),
        small=tuple(_small(number, look.frames[number]) for number in shown),
        not_judged=tuple(map(_not_judged, look.left_out)),
        turned=look.turned,
    )


def _seen(crop: FaceCrop) -> Seen:
    frame, box = crop.frame, own_box(crop.face.box, crop.frame.scale)
    person, confidence = str(crop.person), crop.face.confidence
    return Seen(crop.number, crop.rank, frame.index, frame.time, box, person, confidence, crop.side, crop.still)


def _not_judged(face: LeftOut) -> NotJudged:
    frame, box = face.frame, own_box(face.box, face.frame.scale)
    return NotJudged(face.number, frame.index, frame.time, box, face.side, face.confidence, face.why)


def _small(number: int, frame: Frame) -> Small:
    image = shrink(frame.image, SMALL_SIDE)
    return Small(number, frame.time, frame.scale * image.shape[1] / frame.image.shape[1], image)


def read_image(path: Path) -> Frame:
    """An image as the one frame of a video: upright, and at standard size; of a moving image the first picture.

    Raises:
        VideoError, OSError: it is no image, a damaged one, or one of more than MOST_PIXELS.
    """
    if not check_file(path).st_size:
        raise VideoError("is empty: 0 bytes")
    with warnings.catch_warnings(action="ignore"):  # of large images, and of odd notes in the files of cameras
        try:
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise Image.DecompressionBombError
                pixels = np.asarray(_with_8_bits(ImageOps.exif_transpose(image)).convert("RGB"))
        except Image.DecompressionBombError:
            raise VideoError(f"is too large: more than {MOST_PIXELS / 1e6:.0f} million pixels") from None
        except Image.UnidentifiedImageError:
            raise VideoError("is not an image that can be read") from None
        except (OSError, SyntaxError, ValueError) as error:  # all three Pillow's, for bytes that make no sense
            if getattr(error, "strerror", None):
                raise
            raise VideoError(f"is damaged ({error})") from None
    image, scale = to_standard_size(pixels)
    return Frame(0, 0.0, scale, image, lambda: pixels)


def _with_8_bits(image: Image.Image) -> Image.Image:
    """16 bits of grey as 8: of those alone `convert` would keep the darkest and make the rest white.

    What is transparent is laid over mid-grey, as in videos.
    """
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        return Image.fromarray(over_grey(pixels[..., :3], pixels[..., 3]))
    return image.point(lambda value: value / 256) if image.mode.startswith("I;16") else image


def length_of(frames: Sequence[Frame], total: int) -> float:
    """The seconds that a video of `total` frames lasts, going by the times of a few of them; 0 if that is one."""
    first, last = frames[0], frames[-1]
    if first.lasts:  # of a varying frame rate numbers say nothing
        return round(first.lasts, 3)
    if last.index == first.index:
        return 0.0
    return round(total * (last.time - first.time) / (last.index - first.index), 3)


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """H x W x 3 uint8 with a longer side of at most so many pixels."""
    scale = min(1.0, side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image

"""What there is to judge in a file: the faces of a few frames, cut out as training cuts them. Needs no model."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import av
import numpy as np
import pillow_heif
from PIL import Image, ImageOps

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import UserError, VideoError
from deepfake.faces.crop import own_box
from deepfake.faces.find_crops import FaceCrop, LeftOut, look_at
from deepfake.frames.choose import choose_by_time, choose_frames, length_of_frames
from deepfake.frames.content import HEAD, HEIF_SUFFIXES, is_picture, is_piece, read_suffix
from deepfake.frames.decoding import Frame, to_standard_size
from deepfake.frames.display import over_grey
from deepfake.frames.read import check_file, read_video
from deepfake.jobs.work import reason_of
from deepfake.report.pictures import SMALL_SIDE, shrink
from deepfake.report.result import Evidence, NotJudged, Seen, Small

pillow_heif.register_heif_opener(decode_threads=1)  # gives Pillow the format of phones, and calls it HEIF
# Pillow knows many more, some of which it hands to other programs
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "HEIF")
MOVING = ("WEBP", "AVIF")  # read by Pillow when they move: FFmpeg cannot, or sees the first picture only
MOST_PIXELS = 128_000_000  # of an image: 400 MB in memory

HDR_IMAGE = "an HDR image, whose colours are not brought to SDR"
HDR_TRANSFERS = (16, 18)  # ITU-T H.273: PQ, HLG

PIECE = "is a piece of a stream; join it to the stream's first file (cat init.mp4 piece.m4s > whole.mp4)"


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
        return VideoError(PIECE if isinstance(error, av.InvalidDataError) and is_piece(path) else reason_of(error))


def _gather(path: Path, rule: CropRule, with_pictures: bool, frames_read: Callable[[], None]) -> Evidence:
    read = _reader_of(path)
    frames, total, problem = read(path, rule.frames)
    seconds, more = length_of(frames, total), (lambda k: read(path, k)[0]) if total > 1 else None
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


# what Pillow raises for bytes that make no sense, or end too early
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, RuntimeError)

Reader = Callable[[Path, int], tuple[list[Frame], int, str | None]]


def _reader_of(path: Path) -> Reader:
    """The function that reads frames of a file as `read_video` does: of a video, an image or a moving image."""
    if not is_picture(path):
        return read_video
    with _opened(path) as image:
        moves = getattr(image, "is_animated", False)  # the pictures of other formats, such as phones' bursts, are one
        if moves and image.format == "PNG":
            return read_video
        if moves and image.format in MOVING:
            return read_moving_image
    problem = HDR_IMAGE if _is_hdr(path) else None
    return lambda path, _: ([read_image(path)], 1, problem)


def _is_hdr(path: Path) -> bool:
    """Whether an image in ISO's format has the transfer of HDR, PQ or HLG, by its colour box (ISO/IEC 14496-12)."""
    with path.open("rb") as file:
        _, found, colours = file.read(HEAD).partition(b"colrnclx")
    return bool(found) and int.from_bytes(colours[2:4]) in HDR_TRANSFERS


def read_image(path: Path) -> Frame:
    """An image as the one frame of a video: upright, and at standard size; of a moving image the first picture.

    Raises:
        VideoError, OSError: it is no image, a damaged one, or one of more than MOST_PIXELS.
    """
    with _opened(path) as image:
        pixels = _pixels(image)
    image, scale = to_standard_size(pixels)
    return Frame(0, 0.0, scale, image, lambda: pixels)


def read_moving_image(path: Path, k: int) -> tuple[list[Frame], int, str | None]:
    """k pictures of a moving image, how many it has, and what is wrong with it; as `read_video`, and chosen as there.

    Raises:
        VideoError, OSError: as `read_image`, where not even the first of them can be read.
    """
    frames: list[Frame] = []
    with _opened(path) as image:
        total, times = getattr(image, "n_frames", 1), _times_of(image)
        by_time = choose_by_time(times, k) if len(times) == total else None
        wanted = choose_frames(total, k) if by_time is None else by_time
        lasts = None if by_time is None else length_of_frames(times) / 1000
        for index in wanted:
            try:
                image.seek(index)
                standard, scale = to_standard_size(_pixels(image))
            except DAMAGE:
                if not frames:
                    raise
                return frames, total, f"damaged: {len(frames)} of {len(wanted)} frames could be decoded"
            make_full = partial(_moving_pixels, path, index)
            frames.append(Frame(index, times[index] / 1000, scale, standard, make_full, lasts=lasts))
    return frames, total, None


def _times_of(image: Image.Image) -> list[int]:
    """When each picture of a moving image is shown, in milliseconds; as far as they can be read."""
    times = []
    with suppress(*DAMAGE):
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()  # which is when its time is read
            times.append(image.info.get("timestamp", 0))
    return times


def _moving_pixels(path: Path, index: int) -> np.ndarray:
    with _opened(path) as image:
        image.seek(index)
        return _pixels(image)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image that Pillow has opened, and what it raises in the block as what is wrong with the file.

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
                yield image
        except Image.DecompressionBombError:
            raise VideoError(f"is too large: more than {MOST_PIXELS / 1e6:.0f} million pixels") from None
        except Image.UnidentifiedImageError:
            raise VideoError(_not_an_image(path)) from None
        except DAMAGE as error:
            if getattr(error, "strerror", None):
                raise
            raise VideoError(f"is damaged ({error or 'it ends too early'})") from None


def _not_an_image(path: Path) -> str:
    """What is said of a file that Pillow does not know; of a phone's photo also what to do, whatever its name is."""
    suffix = read_suffix(path)
    if suffix not in (".heic", ".avif"):
        return "is not an image that can be read"
    called = "" if path.suffix.lower() in HEIF_SUFFIXES else f", though it is called {path.suffix or 'otherwise'},"
    kind = "a HEIC" if suffix == ".heic" else "an AVIF"
    return f"is {kind} image{called} and damaged or of a kind that is not read; save it as JPEG or PNG"


def _pixels(image: Image.Image) -> np.ndarray:
    """An opened image, upright, as H x W x 3 uint8 RGB; transparent parts are grey, as in a video."""
    return np.asarray(_with_8_bits(ImageOps.exif_transpose(image)).convert("RGB"))


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

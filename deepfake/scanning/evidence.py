"""Gather the evidence in a file: face crops of a few frames, cut as in training. Needs no model."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import UserError, VideoError
from deepfake.faces.crop import load_detector, own_box
from deepfake.faces.find_crops import FaceCrop, LeftOut, look_at
from deepfake.frames.choose import choose_by_time, choose_frames, length_of_frames
from deepfake.frames.content import HEAD, HEIF_SUFFIXES, is_picture, is_piece, read_suffix
from deepfake.frames.decoding import Frame, to_standard_size
from deepfake.frames.display import over_grey
from deepfake.frames.read import check_file, read_video
from deepfake.jobs.work import reason_of
from deepfake.report.pictures import SMALL_SIDE, shrink
from deepfake.report.result import Evidence, NotJudged, Seen, Small

# only these, since Pillow passes some other formats to external programs
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
MOVING = ("WEBP", "AVIF")  # animations read by Pillow, since FFmpeg reads at most the first picture
MAX_PIXELS = 128_000_000  # per image: 400 MB in memory

HDR_IMAGE = "an HDR image; its colours are not converted to SDR"
HDR_TRANSFERS = (16, 18)  # ITU-T H.273: PQ, HLG

PIECE = "is a piece of a stream; join it to the stream's first file (cat init.mp4 piece.m4s > whole.mp4)"


def gather(
    path: Path,
    rule: CropRule,
    with_pictures: bool = False,
    frames_read: Callable[[], None] = lambda: None,
    threads: int = 1,
) -> Evidence | VideoError:
    """Find and cut the faces of a video or image, as steps 00 and 01a do; returns a VideoError if it cannot be read.

    `small` is only filled `with_pictures`. `frames_read` is called between reading the frames and finding faces.
    `threads` decode a video.
    """
    try:
        return _gather(path, rule, with_pictures, frames_read, threads)
    except (VideoError, UserError) as error:
        return VideoError(str(error))
    except Exception as error:  # a strange file may break a decoder or detector; the others continue
        return VideoError(PIECE if isinstance(error, av.InvalidDataError) and is_piece(path) else reason_of(error))


def _gather(path: Path, rule: CropRule, with_pictures: bool, frames_read: Callable[[], None], threads: int) -> Evidence:
    read = _reader_of(path, threads)
    with ThreadPoolExecutor(1) as beside:  # the first time, loading the detector takes as long as reading an image
        loading = beside.submit(load_detector)
        frames, total, problem = read(path, rule.frames)
    loading.result()
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


# what Pillow raises for damaged or truncated files
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, RuntimeError)

Reader = Callable[[Path, int], tuple[list[Frame], int, str | None]]


def _reader_of(path: Path, threads: int) -> Reader:
    """Return the function that reads the frames of this file: a video, an image or an animation."""
    read_all = partial(read_video, threads=threads)
    if not is_picture(path):
        return read_all
    with _opened(path) as image:
        moves = getattr(image, "is_animated", False)  # other formats, such as bursts of phones, count as one image
        if moves and image.format == "PNG":
            return read_all
        if moves and image.format in MOVING:
            return read_moving_image
    problem = HDR_IMAGE if _is_hdr(path) else None
    return lambda path, _: ([read_image(path)], 1, problem)


def _is_hdr(path: Path) -> bool:
    """Whether the colour box of an ISO image (ISO/IEC 14496-12) has an HDR transfer function, PQ or HLG."""
    with path.open("rb") as file:
        _, found, colours = file.read(HEAD).partition(b"colrnclx")
    return bool(found) and int.from_bytes(colours[2:4]) in HDR_TRANSFERS


def read_image(path: Path) -> Frame:
    """Read an image as a single frame, upright and at standard size; of an animation, the first picture.

    Raises:
        VideoError, OSError: the file is not an image, is damaged, or has more than MAX_PIXELS.
    """
    with _opened(path) as image:
        pixels = _pixels(image)
    image, scale = to_standard_size(pixels)
    return Frame(0, 0.0, scale, image, lambda: pixels)


def read_moving_image(path: Path, k: int) -> tuple[list[Frame], int, str | None]:
    """Read k pictures of an animation, chosen as in `read_video`; returns them, their total number, and any problem.

    Raises:
        VideoError, OSError: as `read_image`, if the first chosen picture cannot be read.
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
    """Return when each picture of an animation is shown, in milliseconds, up to the first damaged picture."""
    times = []
    with suppress(*DAMAGE):
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()  # sets the timestamp
            times.append(image.info.get("timestamp", 0))
    return times


def _moving_pixels(path: Path, index: int) -> np.ndarray:
    with _opened(path) as image:
        image.seek(index)
        return _pixels(image)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image with Pillow; errors in the block become errors about the file.

    Raises:
        VideoError, OSError: the file is not an image, is damaged, or has more than MAX_PIXELS.
    """
    if not check_file(path).st_size:
        raise VideoError("is empty: 0 bytes")
    with warnings.catch_warnings(action="ignore"):  # about large images and unusual camera metadata
        try:
            with Image.open(path, formats=_formats_of(path)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                yield image
        except Image.DecompressionBombError:
            raise VideoError(f"is too large: more than {MAX_PIXELS / 1e6:.0f} million pixels") from None
        except Image.UnidentifiedImageError:
            raise VideoError(_not_an_image(path)) from None
        except DAMAGE as error:
            if getattr(error, "strerror", None):
                raise
            raise VideoError(f"is damaged ({error or 'it ends too early'})") from None


def _formats_of(path: Path) -> tuple[str, ...]:
    """Return the formats that Pillow may read a file as; HEIC, the format of phones, needs a library of its own.

    Raises:
        VideoError: it is a HEIC, and this library is not installed.
    """
    if read_suffix(path) != ".heic":
        return FORMATS
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise VideoError("is a HEIC image; to read these: pip install pillow-heif") from None
    pillow_heif.register_heif_opener(decode_threads=1)
    return ("HEIF",)


def _not_an_image(path: Path) -> str:
    """Return the reason for a file that Pillow cannot read; for photos of phones, with a remedy."""
    suffix = read_suffix(path)
    if suffix not in (".heic", ".avif"):
        return "is not a supported image"
    called = "" if path.suffix.lower() in HEIF_SUFFIXES else f" (though named {path.suffix or 'otherwise'})"
    kind = "a HEIC" if suffix == ".heic" else "an AVIF"
    return f"is {kind} image{called}, damaged or of an unsupported kind; save it as JPEG or PNG"


def _pixels(image: Image.Image) -> np.ndarray:
    """Convert an opened image to upright H x W x 3 uint8 RGB; transparent parts become grey, as in videos."""
    return np.asarray(_with_8_bits(ImageOps.exif_transpose(image)).convert("RGB"))


def _with_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits, since `convert` would clip it, and lay transparent parts over mid-grey."""
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        return Image.fromarray(over_grey(pixels[..., :3], pixels[..., 3]))
    return image.point(lambda value: value / 256) if image.mode.startswith("I;16") else image


def length_of(frames: Sequence[Frame], total: int) -> float:
    """Estimate the length in seconds of a video of `total` frames from the times of a few; 0 for one frame."""
    first, last = frames[0], frames[-1]
    if first.lasts:  # with a varying frame rate, frame numbers do not give times
        return round(first.lasts, 3)
    if last.index == first.index:
        return 0.0
    return round(total * (last.time - first.time) / (last.index - first.index), 3)

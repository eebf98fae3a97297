"""A decoded frame as a player displays it: interlaced, HDR, transparent, of oblong pixels, mirrored or turned."""

from fractions import Fraction

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type

from deepfake.frames.hdr import is_hdr, to_sdr

MID_GREY = 128
NEARLY_SQUARE = 0.01  # encoders round: such a stretch is none
MOST_STRETCHED = 4  # to 1; no real format has more than 3, broken headers have


def displayed(frame: av.VideoFrame, aspect: Fraction = Fraction(1)) -> np.ndarray:
    """H x W x 3 uint8 RGB of a decoded frame as it is meant to be seen; its pixels are `aspect` times as wide as high.

    Of an interlaced frame, which shows two moments, the upper field is taken and its height doubled. HDR is brought to
    SDR. What is transparent is laid over mid-grey. The width is scaled until the pixels are square. Then the picture is
    mirrored and turned as its display matrix says. Without any of these it is PyAV's `to_ndarray(format="rgb24")`.
    """
    field = upper_field(frame) if frame.interlaced_frame else frame
    image = to_sdr(field) if is_hdr(field) else field.to_ndarray(format="rgb24")
    if _can_be_transparent(field.format):
        image = over_grey(image, field.to_ndarray(format="rgba")[..., 3])
    image = _resized(image, round(frame.width * aspect), frame.height)
    mirrored, quarters = orientation(frame)
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, quarters))


def upper_field(frame: av.VideoFrame) -> av.VideoFrame:
    """The even lines of a frame, brightness and colour each, as a frame of half the height."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("field", "top"), graph.add("buffersink")).configure()
    graph.push(frame)
    field = graph.vpull()
    field.colorspace, field.color_range = frame.colorspace, frame.color_range
    field.color_trc, field.color_primaries = frame.color_trc, frame.color_primaries
    return field


def over_grey(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """H x W x 3 uint8 of an opacity of H x W uint8, laid over mid-grey; what is opaque stays as it is.

    So does a picture of which nothing would be seen: raw videos of 32 bits often leave the fourth byte at 0, unused.
    """
    if not alpha.any():
        return image
    alpha = alpha[..., None].astype(np.uint16)
    return ((image * alpha + MID_GREY * (255 - alpha) + 127) // 255).astype(np.uint8)


def _can_be_transparent(format: av.VideoFormat) -> bool:
    return format.has_palette or any(component.is_alpha for component in format.components)


def pixel_aspect(stream: av.VideoStream) -> Fraction:
    """How many times as wide as high the pixels of a stream are; 1 where it is nearly so, or cannot be meant."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if abs(aspect - 1) < NEARLY_SQUARE or not 1 / MOST_STRETCHED <= aspect <= MOST_STRETCHED:
        return Fraction(1)
    return aspect


def orientation(frame: av.VideoFrame) -> tuple[bool, int]:
    """Whether a frame is to be mirrored left to right, and by how many quarters to be turned then, as np.rot90 turns.

    Of its display matrix (FFmpeg's libavutil/display.h), which moves the point x, y to a x + c y, b x + d y, the
    nearest of these eight is taken.
    """
    try:
        data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]  # PyAV types it as a TypedDict
    except ValueError:  # PyAV does not know the types of all side data, such as EXIF's
        return False, round(frame.rotation / 90) % 4
    if data is None:
        return False, 0
    a, b, _, c, d, *_ = np.frombuffer(data, np.int32).astype(float)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return bool(mirrored), round(np.degrees(np.arctan2(c - b, a + d)) / 90) % 4


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    if image.shape[:2] == (height, width):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    return cv2.resize(image, (max(1, width), height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)

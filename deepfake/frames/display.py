"""Convert a decoded frame to what a player shows: deinterlaced, SDR, opaque, square pixels, mirrored and rotated."""

from fractions import Fraction

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type

from deepfake.frames.hdr import is_hdr, to_sdr

MID_GREY = 128
NEARLY_SQUARE = 0.01  # ignore smaller stretches: they come from rounding in encoders
MAX_STRETCH = 4  # to 1; real formats have at most 3, so more means a broken header


def displayed(frame: av.VideoFrame, aspect: Fraction = Fraction(1), is_field: bool = False) -> np.ndarray:
    """Return a decoded frame as a player shows it, H x W x 3 uint8 RGB; `aspect` is the width / height of its pixels.

    An interlaced frame shows two moments, so only its upper field is used, at double height; so is a frame that
    `is_field` by itself. HDR becomes SDR.
    Transparent pixels are blended with mid-grey. The width is scaled to square pixels. Finally the image is mirrored
    and rotated by its display matrix. If none of these apply, the result is PyAV's `to_ndarray(format="rgb24")`.
    """
    field = upper_field(frame) if frame.interlaced_frame and not is_field else frame
    image = to_sdr(field) if is_hdr(field) else field.to_ndarray(format="rgb24")
    if _can_be_transparent(field.format):
        image = over_grey(image, field.to_ndarray(format="rgba")[..., 3])
    image = _resized(image, round(frame.width * aspect), frame.height * (1 + is_field))
    mirrored, quarters = orientation(frame)
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, quarters))


def upper_field(frame: av.VideoFrame) -> av.VideoFrame:
    """Return the even lines of a frame (luma and chroma) as a frame of half the height."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("field", "top"), graph.add("buffersink")).configure()
    graph.push(frame)
    field = graph.vpull()
    field.colorspace, field.color_range = frame.colorspace, frame.color_range
    field.color_trc, field.color_primaries = frame.color_trc, frame.color_primaries
    return field


def over_grey(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Blend an H x W x 3 uint8 image with mid-grey by its H x W uint8 alpha channel.

    A fully transparent image is returned unchanged, since raw 32-bit videos often leave the unused alpha byte at 0.
    """
    if not alpha.any():
        return image
    alpha = alpha[..., None].astype(np.uint16)
    return ((image * alpha + MID_GREY * (255 - alpha) + 127) // 255).astype(np.uint8)


def _can_be_transparent(format: av.VideoFormat) -> bool:
    return format.has_palette or any(component.is_alpha for component in format.components)


def pixel_aspect(stream: av.VideoStream) -> Fraction:
    """Return the width / height of a stream's pixels; 1 if it is nearly square or implausible."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if abs(aspect - 1) < NEARLY_SQUARE or not 1 / MAX_STRETCH <= aspect <= MAX_STRETCH:
        return Fraction(1)
    return aspect


def orientation(frame: av.VideoFrame) -> tuple[bool, int]:
    """Return whether to mirror a frame left to right, and then by how many quarter turns to rotate it with np.rot90.

    The display matrix (FFmpeg's libavutil/display.h) maps the point x, y to a x + c y, b x + d y. The nearest of the
    eight possible orientations is used.
    """
    try:
        data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]  # PyAV types it as a TypedDict
    except ValueError:  # PyAV does not know all types of side data, e.g. EXIF
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

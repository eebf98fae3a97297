"""A decoded frame as a player displays it: HDR, pixels that are not square, mirrors and turns."""

from fractions import Fraction

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type

from deepfake.hdr import is_hdr, to_sdr

NEARLY_SQUARE = 0.01  # encoders round: such a stretch is none
MOST_STRETCHED = 4  # to 1; no real format has more than 3, broken headers have


def displayed(frame: av.VideoFrame, aspect: Fraction = Fraction(1)) -> np.ndarray:
    """H x W x 3 uint8 RGB of a decoded frame as it is meant to be seen; its pixels are `aspect` times as wide as high.

    HDR is brought to SDR. The width is scaled until the pixels are square. Then the picture is mirrored and turned as
    its display matrix says. Without any of these it is PyAV's `to_ndarray(format="rgb24")`.
    """
    image = to_sdr(frame) if is_hdr(frame) else frame.to_ndarray(format="rgb24")
    image = _resized(image, round(frame.width * aspect), frame.height)
    mirrored, quarters = orientation(frame)
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, quarters))


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
    data = frame.side_data.get(Type.DISPLAYMATRIX)
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

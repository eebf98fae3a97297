"""A decoded frame as a player shows it: colours of SDR, square pixels, upright."""

import cv2
import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorPrimaries, ColorTrc

# the transfers of HDR, PQ and HLG: without conversion their faces are dark and pale
HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)

GREY = 128  # behind what is transparent

# Shapes of pixels, width to height: others than these are mistakes of a header. A frame that would change by less than
# a percent stays as it is.
SQUAREST, LEAST_SQUARE = 1.01, 4.0


def as_shown(frame: VideoFrame, aspect: float = 1.0) -> np.ndarray:
    """A frame as H x W x 3 uint8 RGB, as a player shows it; `aspect` is the width of a pixel to its height.

    Of an interlaced frame it is one field, and transparent parts are grey. HDR is brought to BT.709 by FFmpeg's
    scaler. The shorter side of pixels that are not square is made longer, so that no detail is lost.
    """
    matrix, interlaced = matrix_of(frame), frame.interlaced_frame
    if frame.color_trc in HDR:
        frame = frame.reformat(format="rgb24", dst_color_trc=ColorTrc.BT709, dst_color_primaries=ColorPrimaries.BT709)
    if any(component.is_alpha for component in frame.format.components):
        image = over_grey(frame.to_ndarray(format="rgba"))
    else:
        image = frame.to_ndarray(format="rgb24")
    if interlaced:
        image = first_field(image)
    return upright(with_square_pixels(image, aspect), matrix)


def over_grey(image: np.ndarray) -> np.ndarray:
    """H x W x 4 uint8 RGBA over mid-grey, as H x W x 3: what nobody sees can be of any colour."""
    colours, alpha = image[:, :, :3], image[:, :, 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(colours)
    share = alpha.astype(np.float32) / 255
    return np.rint(colours * share + GREY * (1 - share)).astype(np.uint8)


def first_field(image: np.ndarray) -> np.ndarray:
    """One of the two fields of an interlaced frame, H x W x 3, at the frame's size: they are of two moments."""
    height, width = image.shape[:2]
    return cv2.resize(image[::2], (width, height), interpolation=cv2.INTER_CUBIC)


def with_square_pixels(image: np.ndarray, aspect: float) -> np.ndarray:
    """H x W x 3 whose pixels are `aspect` times as wide as high, with square ones; unchanged where that is absurd."""
    height, width = image.shape[:2]
    if SQUAREST <= aspect <= LEAST_SQUARE:
        width = round(width * aspect)
    elif SQUAREST <= 1 / max(aspect, 1e-9) <= LEAST_SQUARE:
        height = round(height / aspect)
    else:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def matrix_of(frame: VideoFrame) -> np.ndarray | None:
    """The upper left 2 x 2 of a frame's display matrix, from old to new x and y; None where it has none.

    It is nine int32 in rows, as FFmpeg's AV_FRAME_DATA_DISPLAYMATRIX has them.
    """
    data = next((bytes(data) for data in frame.side_data if data.type == Type.DISPLAYMATRIX), None)
    return None if data is None else np.frombuffer(data, np.int32, 9).reshape(3, 3)[:2, :2].T


def upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """H x W x 3 turned and mirrored as a display matrix (2 x 2) asks, to the nearest quarter turn."""
    if matrix is None:
        return image
    (a, c), (b, d) = matrix  # x' = a x + c y, y' = b x + d y
    if abs(int(b)) + abs(int(c)) > abs(int(a)) + abs(int(d)):
        image, right, down = image.transpose(1, 0, 2), c, b
    else:
        right, down = a, d
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])

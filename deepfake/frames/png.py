"""Read and write PNG images, in memory and on disk."""

from pathlib import Path

import cv2
import numpy as np

from deepfake.core.errors import VideoError
from deepfake.core.files import whole_file


def png_of(image: np.ndarray) -> bytes:
    """Encode an H x W x 3 uint8 RGB image as PNG."""
    # the default level takes three times as long and saves only a tenth of the size
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an H x W x 3 uint8 RGB image as a PNG file, completely or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(png_of(image))


def read_png(path: Path, step: str = "00") -> np.ndarray:
    """Read an image that a step wrote, as H x W x 3 uint8 RGB; an error names that step.

    Raises:
        VideoError: the file is missing or is not an image.
    """
    # decode from memory: cv2.imread prints to stderr and gives no reason
    return decode_png(path.read_bytes() if path.is_file() else b"", path.name, step)


def decode_png(data: bytes, name: str, step: str = "00") -> np.ndarray:
    """Decode the bytes of an image file (empty if it is missing); `name` is for the error, otherwise as `read_png`."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise VideoError(f"{name} is missing or not an image; delete it and run step {step} again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

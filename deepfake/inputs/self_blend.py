"""Make self-blended images: fakes made by blending a real face with a slightly changed copy of itself.

Shiohara and Yamasaki, Detecting Deepfakes with Self-Blended Images, CVPR 2022: all kinds of fakes have a seam whose two
sides do not quite match. Self-blended images have little else, so a model learns this and not the artifacts of one
method. The paper's masks are hulls of 68 or 81 landmarks; here they are drawn from five.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from deepfake.faces.crop import TYPICAL_LANDMARKS

# half of a face's width (in eye distances) by height (0 at the eyes, 1 at the mouth)
HEIGHTS = (-0.9, -0.65, -0.4, 0.0, 0.6, 1.0, 1.4, 1.6, 1.7)
HALF_WIDTHS = (0.5, 0.85, 1.0, 1.05, 0.98, 0.85, 0.55, 0.35, 0.2)
NOSE_LEAD = 0.8  # the outline shifts away from the nose by this many times the nose's offset
# range of heights that a mask covers; the brows are at -0.4, the chin is at 1.7
PARTS = {
    "from the brows to the chin": (-0.4, 1.7),
    "with the forehead": (-0.9, 1.7),
    "below the eyes": (0.25, 1.7),
    "from the brows to the nose": (-0.4, 0.75),
    "from the brows to below the mouth": (-0.4, 1.3),
}
WHOLE = PARTS["from the brows to the chin"]

# share of the crop spanned by eyes and mouth: with less the mask is empty, with more nothing is left around it
MIN_SPAN, MAX_SPAN = 0.003, 0.15
MIN_COVERED = 0.02  # minimum share of the crop in a mask


@dataclass(frozen=True)
class Blending:
    """Maxima or ranges of the random changes (uniform); a *unit* is the distance from the eyes to the mouth."""

    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # opacity of the source in the mask; as in the paper
    size: tuple[float, float] = (0.85, 1.1)  # scale of the mask around the middle of the face
    elastic: float = 0.12  # standard deviation of the mask's deformation, in units
    growth: float = 0.12  # dilation or erosion of the mask, in units
    softness: tuple[float, float] = (0.02, 0.16)  # standard deviation of the mask's Gaussian blur, in units
    zoom: float = 0.05  # of the source, width and height separately; as in the paper
    shift: tuple[float, float] = (0.015, 0.03)  # of the source, in shares of width and height; as in the paper
    channels: float = 10.0  # added to red, green and blue separately; of 255
    hue: float = 5.0  # degrees
    saturation: float = 0.15
    value: float = 0.08
    brightness: float = 0.05  # of 255
    contrast: float = 0.1
    shrink: tuple[float, float] = (1.3, 2.4)  # times smaller, and back
    sharpen: tuple[float, float] = (0.3, 1.2)  # times the difference from a blurred copy


def self_blend(
    images: np.ndarray, landmarks: np.ndarray, seed: tuple[int, ...], ranges: Blending = Blending()
) -> np.ndarray:
    """Make a self-blended fake of each real crop, deterministic given the seed.

    `images` and the result are B x S x S x 3 uint8 RGB. `landmarks` are B x 5 x 2 float32 in shares of the crop's sides
    (left eye, right eye, nose, left and right corner of the mouth); implausible ones are replaced by typical ones.
    """
    rng = np.random.default_rng(seed)
    fakes = np.empty_like(images)
    for image, points, fake in zip(images, usable_landmarks(landmarks), fakes, strict=True):
        image = image.astype(np.float32)
        changed = change_frequencies(recolour(image, rng, ranges), rng, ranges)
        source, target = (changed, image) if rng.random() < 0.5 else (image, changed)
        mask = make_mask(points, len(image), rng, ranges) * np.float32(rng.choice(ranges.ratios))
        fake[:] = blend(move(source, rng, ranges), target, mask)
    return fakes


def usable_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """Replace unknown or implausible landmarks (B x 5 x 2, in shares of the sides) by typical ones."""
    points = np.where(np.isfinite(landmarks), landmarks, 0)
    across, down = points[:, 1] - points[:, 0], points[:, 3:].mean(axis=1) - points[:, :2].mean(axis=1)
    spans = abs(across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0])
    centres = points.mean(axis=1)
    usable = np.isfinite(landmarks).all(axis=(1, 2)) & (spans > MIN_SPAN) & (spans < MAX_SPAN)
    usable &= ((centres > 0) & (centres < 1)).all(axis=1)
    return np.where(usable[:, None, None], points, TYPICAL_LANDMARKS).astype(np.float32)


def make_mask(points: np.ndarray, size: int, rng: np.random.Generator, ranges: Blending) -> np.ndarray:
    """Draw a random blending mask (size x size float32, 0 to 1) for a face with landmarks `points` (5 x 2, shares)."""
    pixels = points * size - 0.5
    unit = float(np.linalg.norm(pixels[3:].mean(axis=0) - pixels[:2].mean(axis=0)))
    scale = rng.uniform(*ranges.size)
    mask = draw_part(pixels, size, list(PARTS.values())[rng.integers(len(PARTS))], scale)
    if mask.mean() < MIN_COVERED:  # the part is outside the crop, so the fake would equal the real crop
        mask = draw_part(pixels, size, WHOLE, scale)
    mask = deform(mask, ranges.elastic * unit, rng)
    mask = grow(mask, round(rng.uniform(-1, 1) * ranges.growth * unit))
    return cv2.GaussianBlur(mask, (0, 0), max(0.3, rng.uniform(*ranges.softness) * unit))


def draw_part(pixels: np.ndarray, size: int, part: tuple[float, float], scale: float = 1.0) -> np.ndarray:
    """Draw a part of a face (a range of heights) as 1 in size x size float32; landmarks are 5 x 2 in pixels."""
    eyes, mouth = pixels[:2].mean(axis=0), pixels[3:].mean(axis=0)
    across, down = pixels[1] - pixels[0], mouth - eyes
    # if a face is turned away, the distance of its eyes shrinks more than its outline
    across = across * max(1, 0.75 * np.linalg.norm(down) / np.linalg.norm(across))
    heights = np.linspace(*part, 16)
    widths = np.interp(heights, HEIGHTS, HALF_WIDTHS)
    outline = np.concatenate([np.stack([widths, heights], 1), np.stack([-widths, heights], 1)[::-1]])
    centre = np.array([0, np.mean(part)])
    outline = (outline - centre) * scale + centre
    # and the middle of the outline shifts away from the nose
    turn = np.linalg.solve(np.stack([across, down], axis=1), pixels[2] - eyes)[0]
    corners = eyes - NOSE_LEAD * np.clip(turn, -0.5, 0.5) * across + outline @ np.stack([across, down])
    mask = np.zeros((size, size), np.float32)
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], 1.0)
    return mask


def deform(mask: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Deform a mask (S x S float32) by smooth random displacements with this standard deviation in pixels."""
    size = len(mask)
    coarse = rng.standard_normal((5, 5, 2), np.float32) * deviation
    places = np.arange(size, dtype=np.float32)
    displaced = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    displaced[..., 0] += places
    displaced[..., 1] += places[:, None]
    return cv2.remap(mask, displaced, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def grow(mask: np.ndarray, radius: int) -> np.ndarray:
    """Dilate a mask (S x S) by a number of pixels; a negative number erodes it."""
    if radius == 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(radius) + 1,) * 2)
    return cv2.dilate(mask, kernel) if radius > 0 else cv2.erode(mask, kernel)


def recolour(image: np.ndarray, rng: np.random.Generator, ranges: Blending) -> np.ndarray:
    """Shift the channels of an image (S x S x 3 float32) and change its hue, saturation, value and contrast."""
    draws = rng.uniform(-1, 1, 8)
    shifted = scale_and_shift(image / np.float32(255), (1, 1, 1), draws[:3] * ranges.channels / 255).clip(0, 1)
    hsv = cv2.cvtColor(shifted, cv2.COLOR_RGB2HSV)
    scales = 1, 1 + draws[4] * ranges.saturation, 1 + draws[5] * ranges.value
    # OpenCV handles hues above 360 degrees, but not below 0
    hsv = scale_and_shift(hsv, scales, (draws[3] * ranges.hue % 360, 0, 0))
    np.minimum(hsv[..., 1:], 1, out=hsv[..., 1:])
    changed = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    contrast = 255 * (1 + draws[6] * ranges.contrast)
    offset = changed.mean() * (255 - contrast) + draws[7] * ranges.brightness * 255
    return scale_and_shift(changed, [contrast] * 3, [offset] * 3).clip(0, 255)


def scale_and_shift(image: np.ndarray, scales: ArrayLike, shifts: ArrayLike) -> np.ndarray:
    """Multiply each channel of an image (S x S x 3 float32) by its scale and add its shift."""
    return cv2.transform(image, np.column_stack([np.diag(scales), shifts]))


def change_frequencies(image: np.ndarray, rng: np.random.Generator, ranges: Blending) -> np.ndarray:
    """Remove the finest detail of an image (S x S x 3 float32), or sharpen it."""
    size = len(image)
    if rng.random() < 0.5:
        side = max(1, round(size / rng.uniform(*ranges.shrink)))
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    sharpened = image + rng.uniform(*ranges.sharpen) * (image - cv2.GaussianBlur(image, (0, 0), 1))
    return np.clip(sharpened, 0, 255)


def move(image: np.ndarray, rng: np.random.Generator, ranges: Blending) -> np.ndarray:
    """Zoom an image (S x S x 3) around its centre, width and height separately, and shift it."""
    size = len(image)
    zoom = 1 + rng.uniform(-1, 1, 2) * ranges.zoom
    shift = rng.uniform(-1, 1, 2) * ranges.shift * size
    offset = (1 - zoom) * (size - 1) / 2 + shift
    matrix = np.array([[zoom[0], 0, offset[0]], [0, zoom[1], offset[1]]])
    return cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)


def blend(source: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Blend source and target (S x S x 3, 0 to 255) by a mask (S x S): 1 is the source; returns uint8."""
    blended = target + mask[..., None] * (source - target)
    return blended.round().clip(0, 255).astype(np.uint8)

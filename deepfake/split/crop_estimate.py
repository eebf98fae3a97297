"""Estimate from external crops how they were cut: their margin, and whether as squares."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deepfake.core.crop_rule import DEFAULT
from deepfake.faces.crop import BORDER
from deepfake.frames.choose import choose_frames
from deepfake.split.crops import decode

MAX_CROPS = 300
MIN_FACES = 30  # with fewer, nothing is estimated
SIDE = 128  # pixels of a crop's longer side when its face is detected

# Width / height of the detector's boxes, as medians over many faces. In frames of ten real clips it is SHAPE. In square
# crops of these clips and of thirty drawn people it is 0.74 to 0.80 if squares were cut, and 0.86 to 0.89 if boxes were
# cut and then stretched. A single person has up to 0.85 in the former and down to 0.82 in the latter. Landmarks give no
# further information.
SHAPE = 0.756
STRETCHED_SHAPE = 0.82  # minimum for stretched boxes
UNSURE = 0.015  # the result is uncertain within this distance of STRETCHED_SHAPE


@dataclass(frozen=True)
class Estimate:
    """The estimated rule of some crops, from the `faces` found in them; unknown values are None.

    `margin` (left and right) and `margin_y` (top and bottom) are medians, as shares of the sides of MTCNN's box, or of
    the square around it if `square`; negative if crops are tighter. `spread` and `spread_y` are their lower and upper
    quartiles. `shape` is the median width / height of the boxes, if all crops have one square size and `square` was
    derived from it; otherwise None, and `square` was derived from the shapes of the crops.
    """

    crops: int
    faces: int
    margin: float | None = None
    margin_y: float | None = None
    spread: tuple[float, float] | None = None
    spread_y: tuple[float, float] | None = None
    square: bool | None = None
    shape: float | None = None

    @property
    def known(self) -> bool:
        """Whether a face was found in enough crops."""
        return self.square is not None


def sample_crops(paths: Sequence[Path], most: int = MAX_CROPS) -> Iterator[np.ndarray]:
    """Yield up to `most` images, chosen evenly, as H x W x 3 uint8 RGB; unreadable ones are skipped."""
    for number in choose_frames(len(paths), most):
        try:
            image = decode(np.fromfile(paths[number], np.uint8))
        except OSError:
            continue
        if image is not None:
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def estimate_rule(images: Iterable[np.ndarray], square: bool | None = None) -> Estimate:
    """Estimate how crops were cut, from H x W x 3 uint8 RGB images of any size; pass `square` if it is known.

    Images of one square size were either cut as squares or stretched from boxes that are higher than wide; the shape of
    the faces decides. Other images are assumed to have kept the shape in which they were cut.
    """
    sizes, crops = [], []
    for image in images:
        sizes.append(image.shape[:2])
        crops.append(_shrink(image))
    faces = _measure(crops)
    if len(faces) < MIN_FACES:
        return Estimate(len(crops), len(faces))
    one_size, shape = _are_squares_of_one_size(sizes), None
    if square is None and one_size:
        shape = round(float(np.median(faces[:, 0] / faces[:, 1])), 3)
        square = shape <= STRETCHED_SHAPE
    if square is None:
        square = _nearer_to_squares(faces)
    if one_size and not square:
        # undo the stretching, since the detector's box gets wider by less than the face
        narrow = [cv2.resize(crop, (round(SHAPE * SIDE), SIDE), interpolation=cv2.INTER_AREA) for crop in crops]
        faces = _measure(narrow)
        if len(faces) < MIN_FACES:
            return Estimate(len(crops), len(faces))
    boxes = faces[:, :2].max(axis=1, keepdims=True) if square else faces[:, :2]
    quartiles = np.percentile((faces[:, 2:] / boxes - 1) / 2, [25, 50, 75], axis=0).round(3)
    (low, margin, high), (low_y, margin_y, high_y) = quartiles.T.tolist()
    return Estimate(len(crops), len(faces), margin, margin_y, (low, high), (low_y, high_y), square, shape)


def in_words(estimate: Estimate) -> str:
    """Describe the estimate, or why there is none, in one line."""
    found = f"a face was found in {estimate.faces} of {estimate.crops} crops"
    if not (estimate.known and estimate.spread and estimate.spread_y):
        return f"rule of the crops: unknown ({found}; {MIN_FACES} are needed)"
    margin = f"margin {estimate.margin:z.2f} (half of the crops {_between(estimate.spread)})"
    if not estimate.square:
        margin += f" left and right, {estimate.margin_y:z.2f} ({_between(estimate.spread_y)}) at the top and bottom"
    square = "square" if estimate.square else "not square"
    unsure = estimate.shape and abs(estimate.shape - STRETCHED_SHAPE) < UNSURE
    doubt = " (uncertain)" if unsure else ""
    return f"rule of the crops, estimated: {margin}, {square}{doubt} ({found})"


def _between(spread: tuple[float, float]) -> str:
    return f"{spread[0]:z.2f} to {spread[1]:z.2f}"


def _nearer_to_squares(faces: np.ndarray) -> bool:
    """Whether crops are nearer to squares than to the shape of their boxes; frame edges may clip both."""
    boxes, crops = np.log(faces[:, 0] / faces[:, 1]), np.log(faces[:, 2] / faces[:, 3])
    return bool(np.median(np.abs(crops)) < np.median(np.abs(crops - boxes)))


def _are_squares_of_one_size(sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether most images are squares of the same size."""
    ((height, width), count), *_ = Counter(sizes).most_common(1)
    return height == width and count > len(sizes) / 2


def _shrink(image: np.ndarray) -> np.ndarray:
    """Resize an image so that its longer side has SIDE pixels."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _measure(crops: Sequence[np.ndarray]) -> np.ndarray:
    """Measure width and height of the face's box and of the crop, in pixels; n x 4 for the n crops with a face."""
    # imported here, since step 02 only needs the networks for external crops
    from deepfake.faces.mtcnn import Mtcnn

    border = round(BORDER * SIDE)  # without a border, boxes end at the crop's edge; with it, no bias was measured
    bordered = [
        cv2.copyMakeBorder(crop, *[border] * 4, cv2.BORDER_CONSTANT, value=crop.mean(axis=(0, 1)).tolist())
        for crop in crops
    ]
    measured = [np.empty((0, 4))]
    for crop, found in zip(crops, Mtcnn().detect(bordered), strict=True):
        middle = border + np.array(crop.shape[1::-1]) / 2
        lefts_and_tops, rights_and_bottoms = found.boxes[:, :2], found.boxes[:, 2:]
        in_middle = ((lefts_and_tops < middle) & (middle < rights_and_bottoms)).all(axis=1)
        confidences = found.confidences * in_middle
        if confidences.max(initial=0) >= DEFAULT.min_confidence:
            surest = confidences.argmax()
            box = rights_and_bottoms[surest] - lefts_and_tops[surest]
            measured.append(np.array([[*box, crop.shape[1], crop.shape[0]]]))
    return np.concatenate(measured)

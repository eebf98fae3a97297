"""MTCNN face detector with the weights and results of the `mtcnn` package, in a fraction of its time."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from onnxruntime import InferenceSession

from deepfake.faces.mtcnn_networks import LAYOUTS, load_network

MIN_FACE = 20  # pixels; the finest scale of the pyramid
CELL = 12  # side of P-Net's input window in pixels
STRIDE = 2  # of P-Net, in pixels
SCALE_FACTOR = 0.709

# minimum probability of a face, and the overlap above which the less probable of two boxes is dropped
PNET_CONFIDENCE, RNET_CONFIDENCE, ONET_CONFIDENCE = 0.6, 0.7, 0.8
OVERLAP_IN_SCALE, OVERLAP = 0.5, 0.7

MAX_CANDIDATES = 1000  # per frame and scale; all pairs are compared, which takes memory
PATCHES = 64  # batch size of R-Net and O-Net; larger ones do not fit the CPU cache


@dataclass(frozen=True)
class Detections:
    """The faces found in a frame: n x 4 boxes (left, top, right, bottom), n x 5 x 2 landmarks, n confidences."""

    boxes: np.ndarray
    landmarks: np.ndarray
    confidences: np.ndarray


class Mtcnn:
    """The MTCNN detector; loads its three networks once."""

    def __init__(self) -> None:
        self._pnet, self._rnet, self._onet = (load_network(name) for name in LAYOUTS)

    def detect(self, frames: Sequence[np.ndarray]) -> list[Detections]:
        """Find the faces in H x W x 3 uint8 RGB frames."""
        return self.detect_at(frames, [self._propose(frame) for frame in frames])

    def detect_at(self, frames: Sequence[np.ndarray], proposals: Sequence[np.ndarray]) -> list[Detections]:
        """Find faces in given squares only; `proposals` has n x 4 boxes (left, top, right, bottom) for each frame."""
        owners = np.repeat(np.arange(len(frames)), [len(boxes) for boxes in proposals])
        boxes = np.concatenate([np.empty((0, 4)), *proposals])
        owners, boxes = self._refine(frames, owners, boxes)
        heads = self._run(self._onet, frames, owners, boxes)
        confidences = _probability(heads[:, -1])
        sure = confidences > ONET_CONFIDENCE
        owners, boxes, heads, confidences = owners[sure], boxes[sure], heads[sure], confidences[sure]
        sizes = boxes[:, 2:] - boxes[:, :2] + 1
        landmarks = heads[:, 4:14].reshape(-1, 2, 5).transpose(0, 2, 1) * sizes[:, None] + boxes[:, None, :2] - 1
        boxes = _adjust(boxes, heads[:, :4])
        kept = _suppress(owners, boxes, confidences, of_smaller=True)
        return [
            Detections(_clip(boxes[rows], frame), landmarks[rows], confidences[rows])
            for rows, frame in ((kept[owners[kept] == number], frame) for number, frame in enumerate(frames))
        ]

    def _propose(self, frame: np.ndarray) -> np.ndarray:
        """Run P-Net over an image pyramid of a frame; returns n x 4 square boxes."""
        found = [np.empty((0, 5))]
        source = frame
        for scale in _pyramid(*frame.shape[:2]):
            height, width = int(frame.shape[0] * scale), int(frame.shape[1] * scale)
            small = cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA)
            if source is frame:  # make coarser levels from the finest one, which halves the time
                source = small
            (heads,) = self._pnet.run(None, {"pixels": small[None]})
            found.append(_candidates(heads[0], scale))
        found = np.concatenate(found)
        found = found[_suppress(np.zeros(len(found)), found[:, :4], found[:, 4])]
        return _to_squares(found[:, :4])

    def _refine(
        self, frames: Sequence[np.ndarray], owners: np.ndarray, boxes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run R-Net over the proposals; returns the frame numbers and refined boxes of those that remain."""
        heads = self._run(self._rnet, frames, owners, boxes)
        confidences = _probability(heads[:, -1])
        likely = confidences > RNET_CONFIDENCE
        owners, boxes = owners[likely], _adjust(boxes[likely], heads[likely, :4])
        kept = _suppress(owners, boxes, confidences[likely])
        return owners[kept], _to_squares(boxes[kept])

    def _run(
        self, network: InferenceSession, frames: Sequence[np.ndarray], owners: np.ndarray, boxes: np.ndarray
    ) -> np.ndarray:
        side = network.get_inputs()[0].shape[1]
        results = [np.empty((0, network.get_outputs()[0].shape[1]), np.float32)]
        for start in range(0, len(boxes), PATCHES):
            part = slice(start, start + PATCHES)
            patches = [_patch(frames[i], box, side) for i, box in zip(owners[part], boxes[part], strict=True)]
            results += network.run(None, {"pixels": np.stack(patches)})
        return np.concatenate(results)


def _pyramid(height: int, width: int) -> np.ndarray:
    """Return the scales of the pyramid; at the coarsest, the frame's shorter side is about CELL pixels."""
    count = round(-(np.log(min(height, width) / CELL) / np.log(SCALE_FACTOR)) - 1)
    scales = CELL / MIN_FACE * SCALE_FACTOR ** np.arange(max(0, count))
    return scales[scales * min(height, width) >= CELL]


def _candidates(heads: np.ndarray, scale: float) -> np.ndarray:
    """Convert P-Net's output at one scale to n x 5: boxes in pixels of the frame, and their probabilities."""
    rows, columns = np.nonzero(heads[4] > _logit(PNET_CONFIDENCE))
    values = heads[:, rows, columns].T
    corners = np.stack([columns, rows], axis=1) * STRIDE
    cells = np.concatenate([corners, corners + CELL], axis=1)
    # the `mtcnn` package starts its cells one pixel further in, but still scales offsets by sides of CELL - 1
    cells[:, :2] += 1
    sides = CELL - 1
    boxes = (cells + values[:, :4] * sides) / scale
    best = np.argsort(-values[:, 4], kind="stable")[:MAX_CANDIDATES]
    boxes, confidences = boxes[best], _probability(values[best, 4])
    kept = _suppress(np.zeros(len(boxes)), boxes, confidences, OVERLAP_IN_SCALE)
    return np.column_stack([boxes, confidences])[kept]


def _suppress(
    owners: np.ndarray, boxes: np.ndarray, confidences: np.ndarray, most: float = OVERLAP, of_smaller: bool = False
) -> np.ndarray:
    """Non-maximum suppression within each frame; returns the rows of the boxes that remain, most confident first.

    Overlap is intersection over union, or over the smaller box. Unlike greedy suppression, a box is dropped even if the
    box that it overlaps is dropped too, as in the `mtcnn` package.
    """
    order = np.argsort(-confidences, kind="stable")
    kept = [np.empty(0, int)]
    for owner in np.unique(owners):
        rows = order[owners[order] == owner]
        left, top, right, bottom = boxes[rows].T
        areas = (right - left) * (bottom - top)
        width = np.minimum.outer(right, right) - np.maximum.outer(left, left)
        height = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        whole = np.minimum.outer(areas, areas) if of_smaller else np.add.outer(areas, areas) - shared
        kept.append(rows[~np.triu(shared > most * whole, k=1).any(axis=0)])
    return np.concatenate(kept)


def _adjust(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * np.tile(sizes, 2)


def _to_squares(boxes: np.ndarray) -> np.ndarray:
    """Extend boxes to squares around their centres."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _patch(frame: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """Resize a box of a frame to side x side x 3 with aligned corners; pixels outside the frame are grey."""
    height, width = frame.shape[:2]
    left, top, right, bottom = box * np.tile([(width - 1) / width, (height - 1) / height], 2)
    matrix = np.array([[(right - left) / (side - 1), 0, left], [0, (bottom - top) / (side - 1), top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, matrix, (side, side), flags=flags, borderValue=(128, 128, 128))


def _clip(boxes: np.ndarray, frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return np.clip(boxes, 0, np.tile([width - 1, height - 1], 2))


def _logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def _probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))

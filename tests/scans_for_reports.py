"""Hand-made scans for the tests of reports."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from deepfake.report.result import CropPicture, FaceScore, ModelCard, Pictures, Scan

FIGURE = {"value": 0.9, "low": 0.8, "high": 0.97}
CARD = ModelCard(
    "best_model.keras",
    "efficientnet-b0",
    128,
    threshold=0.5,
    bands={1: (0.4, 0.6)},
    temperature=1.2,
    sample_only=False,
    metrics={"what": "videos", "count": 40, "interval": "95%", "metrics": {"accuracy": FIGURE, "roc_auc": FIGURE}},
)


def jpeg(colour: tuple[int, int, int] = (90, 120, 150), side: int = 32) -> bytes:
    """A picture of one colour, RGB."""
    return cv2.imencode(".jpg", np.full((side, side, 3), colour[::-1], np.uint8))[1].tobytes()


def scan_of(
    name: str,
    p_real: float | None,
    people: Sequence[str] = ("0",),
    frames: int = 3,
    pictures: bool = True,
    **more,
) -> Scan:
    """A scan whose faces all have the video's p_real, one second apart; the verdict is CARD's unless given."""
    faces = tuple(
        FaceScore(frame, int(person), 25 * frame, float(frame), (10, 20, 30, 40), person, 0.99, p_real=p_real)
        for frame in range(frames if p_real is not None else 0)
        for person in people
    )
    shown = Pictures(
        jpeg(), 1.0, tuple(CropPicture(face.frame, face.face, jpeg(), jpeg((200, 80, 0))) for face in faces)
    )
    if p_real is None or not math.isfinite(p_real):
        verdict = "UNKNOWN"
    else:
        verdict = "UNCERTAIN" if 0.4 <= p_real <= 0.6 else "REAL" if p_real > 0.5 else "FAKE"
    facts = {
        "verdict": verdict,
        "frames": frames,
        "seconds": float(frames),
        "band": (0.4, 0.6),
        "pictures": shown if pictures else Pictures(),
    }
    return Scan(name=name, p_real=p_real, faces=faces, **facts | more)

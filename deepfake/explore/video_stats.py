"""Collect facts about a dataset's videos after steps 00 and 01a, and find outliers."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from deepfake.core import cli
from deepfake.core.crop_rule import recorded_rule
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import read_json, write_csv
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.datasets.video import Video
from deepfake.faces.people import count_people
from deepfake.faces.records import read_faces_json
from deepfake.faces.table import hint_at_table
from deepfake.frames.png import read_png
from deepfake.split.crops import Crops, decode
from deepfake.split.sources import ImageSource, find_crops

# crops read per video, so that 10,000 videos take minutes; more would hardly change the means
CROPS_READ = 4


@dataclass(frozen=True)
class Facts:
    """Facts about one video after step 01a; unknown facts are nan.

    `faces` is nan if step 01a has not processed the video. `crop_side` is the median of the crops' shorter sides, in
    pixels of the frame at standard size; `luma` is the mean brightness of the crops, 0 to 255 (ITU-R BT.601).
    """

    video: str
    label: int
    method: str
    frames: float = math.nan
    faces: float = math.nan
    frames_with_face: float = math.nan
    share_with_face: float = math.nan
    faces_a_frame: float = math.nan
    people: float = math.nan
    confidence: float = math.nan
    share_rescued: float = math.nan
    crop_side: float = math.nan
    luma: float = math.nan
    damaged: int = 0


@dataclass(frozen=True)
class Rule:
    """A rule for outliers: a fact below or above a limit."""

    reason: str
    fact: str
    side: str
    limit: float
    unit: str

    def broken(self, values: Any) -> Any:
        """Whether a value, or each value of a series, is beyond the limit; False if unknown."""
        return values < self.limit if self.side == "below" else values > self.limit

    def __str__(self) -> str:
        return f"{self.reason} ({self.side} {self.limit:g} {self.unit})"


RULES = (
    Rule("no face", "faces", "below", 1, "faces"),
    Rule("few frames with a face", "share_with_face", "below", 0.5, "of its frames"),
    Rule("unsure detections", "share_rescued", "above", 0.5, "of its faces rescued"),
    Rule("many faces", "faces_a_frame", "above", 3, "faces a frame"),
    Rule("tiny crops", "crop_side", "below", 64, "pixels"),  # half of the classifier's input size
    Rule("too dark", "luma", "below", 40, "mean luma of 255"),
    Rule("too bright", "luma", "above", 215, "mean luma of 255"),
    Rule("damaged files", "damaged", "above", 0, "files"),
)

# the lines of the text: fact, name, decimals
DESCRIBED = {
    "frames": ("frames taken", 0),
    "frames_with_face": ("frames with a face", 0),
    "faces": ("faces", 0),
    "people": ("people", 0),
    "confidence": ("mean confidence of its faces", 3),
    "crop_side": ("shorter side of its crops, pixels", 0),
    "luma": ("mean luma of its crops, 0 to 255", 0),
}


def look_at(video: Video, work_dir: Path) -> Facts:
    """Collect the facts of one video; unreadable files count as damaged and are left out of the other facts."""
    folder = work_dir / video.id
    known: dict[str, Any] = {"video": video.id, "label": video.label, "method": video.method or ""}
    if not (folder / "faces.json").is_file():
        return Facts(**known)
    try:
        return Facts(**known, **_facts_of_faces(read_faces_json(folder).faces, folder))
    except (VideoError, KeyError, TypeError, ValueError):
        return Facts(**known, damaged=1)


def _facts_of_faces(faces: list[dict], folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"faces": len(faces), "frames_with_face": 0, "frames": _frames_taken(folder)}
    if not faces:
        return facts
    numbers = [face["frame"] for face in faces]
    with_face = len(set(numbers))
    lumas, damaged = _lumas([folder / "faces" / face["file"] for face in faces])
    people = count_people((number, str(face.get("person", ""))) for number, face in zip(numbers, faces, strict=True))
    return facts | {
        "frames_with_face": with_face,
        "share_with_face": with_face / facts["frames"],
        "faces_a_frame": len(faces) / with_face,
        "people": math.nan if people is None else people,
        "confidence": float(np.mean([face["confidence"] for face in faces])),
        "share_rescued": float(np.mean([face["rescued"] for face in faces])),
        "crop_side": float(np.median([min(face["crop"][2:]) for face in faces])),
        "luma": float(np.mean(lumas)) if lumas else math.nan,
        "damaged": damaged,
    }


def look_at_crops(crops: Crops) -> Facts:
    """Collect the facts of a video with external crops: their number, size and brightness."""
    images = [decode(np.fromfile(path, np.uint8)) for path in _spread(crops.paths)]
    found = [image for image in images if image is not None]
    facts: dict[str, Any] = {"faces": len(crops), "damaged": len(images) - len(found)}
    if found:
        facts["crop_side"] = float(np.median([min(image.shape[:2]) for image in found]))
        facts["luma"] = float(np.mean([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean() for image in found]))
    return Facts(crops.video.id, crops.video.label, crops.video.method or "", **facts)


def _frames_taken(folder: Path) -> float:
    """Return the number of searched frames, from faces.json, since step 01a can run without frame files."""
    content = read_json(folder / "faces.json", remedy="step 01a writes it")
    looked_at = content.get("looked_at", recorded_rule(content).frames)
    return float(min(looked_at, content["video"]["frames"])) or math.nan


def _spread(paths: Sequence[Path]) -> list[Path]:
    """Choose CROPS_READ of the paths evenly."""
    return [paths[number] for number in np.linspace(0, len(paths) - 1, min(CROPS_READ, len(paths))).round().astype(int)]


def _lumas(paths: Sequence[Path]) -> tuple[list[float], int]:
    """Return the mean luma of each of CROPS_READ crops, and how many of them cannot be read."""
    chosen, lumas = _spread(paths), []
    for path in chosen:
        try:
            lumas.append(float(cv2.cvtColor(read_png(path), cv2.COLOR_RGB2GRAY).mean()))
        except VideoError:
            continue
    return lumas, len(chosen) - len(lumas)


def look_at_all(
    videos: Sequence[Video], work_dir: Path, quiet: bool = False, crops_of_others: bool = False
) -> pd.DataFrame:
    """Return a row of `Facts` for each video, in order; with `crops_of_others`, crops are in `work_dir/<video.file>`.

    Raises:
        UserError: step 01a has not processed any of the videos.
    """
    with ThreadPoolExecutor(cli.cores()) as pool:  # OpenCV decodes without holding the GIL
        looked: Iterable[Facts] = pool.map(partial(look_at, work_dir=work_dir), videos)
        if crops_of_others:  # not in threads, since `decode` redirects the process's standard error
            looked = map(look_at_crops, find_crops(videos, ImageSource(work_dir), "source"))
        bar = cli.progress(looked, quiet, desc="looking", total=len(videos), unit="video", leave=False)
        rows = [asdict(facts) for facts in bar]
    facts = pd.DataFrame(rows, columns=[field.name for field in fields(Facts)])
    if facts["faces"].isna().all():
        remedy = hint_at_table(work_dir) or "run steps 00 and 01a, or give --work-dir"
        raise UserError(f"{work_dir}: holds no faces of these videos; {remedy}")
    return facts


def find_outliers(facts: pd.DataFrame) -> pd.DataFrame:
    """Return the videos that break RULES, a row for each reason, sorted by video: video, reason, value."""
    found = [
        pd.DataFrame({"video": rows["video"], "reason": rule.reason, "value": rows[rule.fact].astype(float)})
        for rule in RULES
        for rows in [facts[rule.broken(facts[rule.fact])]]
    ]
    return pd.concat(found).sort_values("video", kind="stable", ignore_index=True)


def fakes_of_originals(videos: Sequence[Video]) -> Counter[str]:
    """Count the fakes of each original, also of originals that are not in the dataset."""
    counts = Counter({video.id: 0 for video in videos if video.label == REAL})
    counts.update(video.original for video in videos if video.label == FAKE and video.original)
    return counts


def describe(videos: Sequence[Video], facts: pd.DataFrame, outliers: pd.DataFrame) -> str:
    """Return the content of the picture as text."""
    listed, fakes = {video.id for video in videos}, fakes_of_originals(videos)
    counts = Counter((video.label, video.method or "") for video in videos)
    lines = [f"{len(videos)} videos, by label and method:"]
    for (label, method), count in sorted(counts.items(), key=lambda item: (-item[0][0], item[0][1])):
        lines.append(f"  {LABEL_NAMES[label] + (': ' + method if method else ''):34}{count:7}")
    without = sum(video.label == FAKE and not video.original for video in videos)
    elsewhere = sum(count for id, count in fakes.items() if id not in listed)
    lines += ["", "fakes per original (number of originals):"]
    lines += [f"  {count:<34}{number:7}" for count, number in sorted(Counter(fakes.values()).items())]
    lines += [f"  fakes whose original is not named   {without:5}"] if without else []
    lines += [f"  fakes whose original is not listed  {elsewhere:5}"] if elsewhere else []
    lines += ["", *_describe_facts(facts), "", *_describe_outliers(facts, outliers)]
    return "\n".join(lines) + "\n"


def _describe_facts(facts: pd.DataFrame) -> list[str]:
    lines = [f"{'per video':36}{'':>6}{'lowest':>8}{'5 %':>8}{'median':>8}{'95 %':>8}{'highest':>8}"]
    for fact, (name, decimals) in DESCRIBED.items():
        for label in (REAL, FAKE):
            values = facts.loc[facts["label"] == label, fact].dropna()
            if len(values):
                quantiles = values.quantile([0, 0.05, 0.5, 0.95, 1])
                lines.append(f"  {name:34}{LABEL_NAMES[label]:>6}" + "".join(f"{q:8.{decimals}f}" for q in quantiles))
    return lines


def _describe_outliers(facts: pd.DataFrame, outliers: pd.DataFrame) -> list[str]:
    counts = outliers["reason"].value_counts()
    lines = [f"outliers: {outliers['video'].nunique()} of {len(facts)} videos"]
    known = [rule for rule in RULES if facts[rule.fact].notna().any()]
    lines += [f"  {rule!s:58}{counts.get(rule.reason, 0):7}" for rule in known]
    not_cropped = facts.loc[facts["faces"].isna() & (facts["damaged"] == 0), "video"]
    if len(not_cropped):
        lines += [
            f"without faces.json: {len(not_cropped)} ({not_cropped.iloc[0]} ...); run step 01a, or see failures.csv"
        ]
    return lines


def write_outliers(outliers: pd.DataFrame, path: Path) -> None:
    """Write the rows of `find_outliers` as CSV: video, reason, value."""
    values = (f"{value:.4g}" for value in outliers["value"])
    rows = zip(outliers["video"], outliers["reason"], values, strict=True)
    write_csv(path, ["video", "reason", "value"], rows)

"""Prepare a test set for a report: the verdicts of step 04, with the scores and pictures of their crops."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepfake.core.cli import progress
from deepfake.core.crop_rule import in_words
from deepfake.core.decision import Bands, band_for
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import read_json
from deepfake.core.labels import LABEL_NAMES
from deepfake.core.naming import file_in_set
from deepfake.evaluation.predictions import JudgedCrop
from deepfake.faces.crop import own_box
from deepfake.faces.records import Recorded, read_faces_json
from deepfake.frames.files import read_frame
from deepfake.frames.png import read_png
from deepfake.inputs.sequences import person_of
from deepfake.models.info import ModelInfo
from deepfake.models.opened import Opened, open_model
from deepfake.models.safe_load import check_model
from deepfake.report.heatmaps import find_signs
from deepfake.report.pictures import (
    FRAME_QUALITY,
    MAX_CROPS,
    SMALL_SIDE,
    choose_faces,
    crop_pictures,
    draw_boxes,
    jpeg,
    shrink,
)
from deepfake.report.result import CropPicture, FaceScore, ModelCard, NotJudged, Pictures, Scan, Small, remarks_on
from deepfake.split.manifest import Entry

WITH_PICTURES = 500  # videos; pictures of more do not fit into one file
UNKNOWN_BOX = (0, 0, 0, 0)


@dataclass(frozen=True)
class Sources:
    """The sources of a report: the model for heat maps, the folder of steps 00 and 01a for times and frames."""

    model: Path | None = None
    work_dir: Path | None = None
    quiet: bool = False

    def check(self) -> None:
        """Raise a UserError if a source is missing or the model contains code, before the long work starts."""
        if self.model:
            check_model(self.model)
        if self.work_dir and not self.work_dir.is_dir():
            raise UserError(f"{self.work_dir}: no such folder; give the folder of steps 00 and 01a as --work-dir")


def judged_crops(rows: Iterable[Any], entries: Sequence[Entry]) -> list[JudgedCrop]:
    """Return the crops behind predictions, each with its p_real; a sequence gives all crops of its person.

    `rows` have video, label, frame, face, person (None: unknown) and p_real; `entries` are from a manifest, if any.
    """
    rows = list(rows)
    if any(row.frame for row in rows) or not entries:
        people = {(entry.video, entry.frame, entry.face): entry.person for entry in entries}
        return [
            JudgedCrop(
                row.video,
                row.label,
                row.frame,
                row.face or 0,
                row.person or people.get((row.video, row.frame, row.face or 0)) or str(row.face or 0),
                row.p_real,
            )
            for row in rows
        ]
    judged = {(row.video, row.face or 0): row.p_real for row in rows}
    crops = [(entry, judged.get((entry.video, person_of(entry)))) for entry in entries if entry.split == "test"]
    return [
        JudgedCrop(entry.video, entry.label, entry.frame, entry.face, str(person_of(entry)), p_real)
        for entry, p_real in crops
        if p_real is not None
    ]


def card_of(
    info: ModelInfo,
    sources: Sources,
    sample_only: bool | None,
    threshold: float,
    bands: Bands,
    out_dir: Path,
) -> ModelCard:
    """Describe the model behind a test set's verdicts, with the metrics that step 04 has just written."""
    return ModelCard(
        model=sources.model.name if sources.model else "the model of step 03",
        backbone=info.backbone,
        image_size=info.image_size,
        threshold=threshold,
        bands=bands,
        temperature=info.temperature,
        sample_only=bool(sample_only),
        pixel_max=info.pixel_max,
        positive=info.positive,
        name=info.name,
        trained_on=info.trained_on,
        metrics=read_json(out_dir / "metrics_videos.json", "run step 04 again"),
        crops=in_words(info.crop_rule) if info.crop_rule else "",
    )


def errors_first(verdicts: pd.DataFrame, certain: pd.Series) -> pd.DataFrame:
    """Sort the verdicts for a report and add a column certain: errors first, worst first, then uncertain ones.

    `verdicts` has a row for each video: video, label, average, correct.
    """
    error, right = (verdicts["average"] - verdicts["label"]).abs(), verdicts["correct"] | ~certain
    ordered = verdicts.assign(right=right, certain=certain, error=error)
    return ordered.sort_values(["right", "certain", "error", "video"], ascending=[True, True, False, True])


def scans_of(
    verdicts: pd.DataFrame, crops: Sequence[JudgedCrop], sources: Sources, split_dir: Path | None, card: ModelCard
) -> list[Scan]:
    """Convert all verdicts to scans, with the scores of their crops; the first WITH_PICTURES scans have pictures.

    `verdicts` has a row for each video: video, label, group, method, average, frames, is_real, certain.

    Raises:
        UserError: the model cannot be loaded.
    """
    by_video: dict[str, list[JudgedCrop]] = {}
    for crop in crops:
        by_video.setdefault(crop.video, []).append(crop)
    model = open_model(sources.model, "ready") if sources.model and split_dir else None
    scans = []
    for number, row in enumerate(progress(verdicts.itertuples(), sources.quiet, desc="report", total=len(verdicts))):
        own = by_video.get(row.video, [])
        recorded = _recorded(row.video, sources.work_dir) if own else None
        records = {(face["frame"], face["face"]): face for face in recorded.faces} if recorded else {}
        scan = _scan(
            row, tuple(_face(crop, records.get((crop.frame, crop.face))) for crop in own), recorded, card.bands
        )
        if number < WITH_PICTURES and own:
            scan = replace(scan, pictures=_pictures(scan, records, split_dir, sources.work_dir, card, model))
        scans.append(scan)
    return scans


def _recorded(id: str, work_dir: Path | None) -> Recorded | None:
    """Read the faces.json of a video; None if there is none, e.g. for external crops."""
    try:
        return read_faces_json(work_dir / id) if work_dir else None
    except VideoError:
        return None


def _scan(row: Any, faces: tuple[FaceScore, ...], recorded: Recorded | None, bands: Bands) -> Scan:
    frames = len({face.frame for face in faces}) or int(row.frames)
    not_judged = tuple(map(_not_judged, recorded.left_out)) if recorded else ()
    turned = recorded.turned if recorded else 0
    return Scan(
        name=row.video,
        verdict=LABEL_NAMES[int(row.is_real)].upper() if row.certain else "UNCERTAIN",
        p_real=float(row.average),
        band=band_for(bands, int(row.frames)),
        reason=remarks_on(frames, faces, not_judged, turned) if faces else None,
        frames=frames,
        seconds=max((face.time for face in faces if face.box != UNKNOWN_BOX), default=0.0),
        faces=faces,
        not_judged=not_judged,
        turned=turned,
        label=int(row.label),
        group=row.group if isinstance(row.group, str) else None,
        method=row.method if isinstance(row.method, str) and row.method else None,
    )


def _not_judged(record: dict) -> NotJudged:
    """Convert a record of a face that step 01a left out."""
    same = {key: record[key] for key in ("frame", "index", "time", "side", "confidence", "why")}
    return NotJudged(box=own_box(record["box"], record["scale"]), **same)


def _face(crop: JudgedCrop, record: dict | None) -> FaceScore:
    """Convert a judged crop to a face of a report; without a record, its time and confidence are nan."""
    known = record or {"index": crop.frame, "time": np.nan, "confidence": np.nan}
    return FaceScore(
        frame=crop.frame,
        face=crop.face,
        index=known["index"],
        time=known["time"],
        box=own_box(record["box"], record["scale"]) if record else UNKNOWN_BOX,
        person=crop.person,
        confidence=known["confidence"],
        p_real=crop.p_real,
        side=known.get("side", 0),
        still=known.get("still", False),
    )


def _pictures(
    scan: Scan,
    records: dict[tuple[int, int], dict],
    split_dir: Path | None,
    work_dir: Path | None,
    card: ModelCard,
    model: Opened | None,
) -> Pictures:
    least = min(scan.faces, key=lambda face: face.p_real)
    frame = _frame(scan, least, records, work_dir) if records and work_dir else None
    crops = _crops(scan, split_dir / "test", card, model) if split_dir else ()
    if frame is None:
        return Pictures(crops=crops)
    boxed = draw_boxes(frame, [face for face in scan.faces if face.box != UNKNOWN_BOX], card.threshold)
    return Pictures(jpeg(boxed, FRAME_QUALITY), least.time, crops)


def _crops(scan: Scan, folder: Path, card: ModelCard, model: Opened | None) -> tuple[CropPicture, ...]:
    if scan.label is None:
        return ()
    faces = choose_faces(scan.faces, MAX_CROPS)
    images = [_read(folder / file_in_set(scan.label, scan.name, face.frame, face.face)) for face in faces]
    found = [(face, image) for face, image in zip(faces, images, strict=True) if image is not None]
    signs: dict[tuple[int, int], np.ndarray | None] = {}
    for person in scan.people:
        own = {(face.frame, face.face): image for face, image in found if face.person == person}
        if own and model:
            signs |= zip(own, find_signs(model, list(own.values()), card), strict=True)
    return crop_pictures(
        [face for face, _ in found], [image for _, image in found], model.image_size if model else 0, signs
    )


def _frame(scan: Scan, face: FaceScore, records: dict[tuple[int, int], dict], work_dir: Path) -> Small | None:
    """Read the frame of a face that step 00 wrote, and shrink it; None if it cannot be read."""
    record = records.get((face.frame, face.face))
    if record is None:
        return None
    try:
        image = read_frame(work_dir / scan.name, record["index"], scan.turned)
    except VideoError:
        return None
    if image is None:
        return None
    small = shrink(image, SMALL_SIDE)
    return Small(face.frame, face.time, record["scale"] * small.shape[1] / image.shape[1], small)


def _read(path: Path) -> np.ndarray | None:
    try:
        return read_png(path)
    except VideoError:
        return None  # moved or never written; the report leaves it out

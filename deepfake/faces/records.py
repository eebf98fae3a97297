"""Read and write faces.json, the record of a video's faces beside its crops (step 01a)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake.core.crop_rule import CropRule, as_json, recorded_rule
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import read_json
from deepfake.core.naming import crop_name, parse_crop_name
from deepfake.faces.crop import LANDMARKS, Point, points_in_crop
from deepfake.faces.people import join_people
from deepfake.frames.read import VideoFile

if TYPE_CHECKING:
    from deepfake.faces.find_crops import FaceCrop, LeftOut, Look


@dataclass(frozen=True)
class Recorded:
    """The content of a faces.json: crop rule, rotation of the video (degrees clockwise), and records of the faces.

    In a record, `frame` and `face` are FFF and NN of the crop's name; `index` is the frame's number in the video.
    `left_out` holds the faces that are not used.
    """

    rule: CropRule
    turned: int
    faces: list[dict]
    left_out: list[dict]


def content_of(id: str, source: VideoFile, rule: CropRule, look: "Look") -> dict:
    """Return the content of faces.json for a video; `faces` has the crops of the look in the same order."""
    return {
        "video": asdict(source),
        "crop_rule": as_json(rule),
        "looked_at": len(look.frames),
        "turned": look.turned,
        "problem": look.problem,
        "faces": [_record(id, crop) for crop in look.crops],
        "left_out": [_record_left_out(face) for face in look.left_out],
    }


def _record(id: str, crop: "FaceCrop") -> dict:
    landmarks = dict(zip(LANDMARKS, crop.face.landmarks, strict=True))
    return {
        "file": crop_name(id, crop.number, crop.rank),
        "frame": crop.number,
        "face": crop.rank,
        "index": crop.frame.index,
        "time": crop.frame.time,
        "scale": crop.frame.scale,
        "crop": crop.crop,
        **asdict(crop.face),
        "landmarks": landmarks,
        "side": crop.side,
        "still": crop.still,
        "person": str(crop.person),
    }


def _record_left_out(face: "LeftOut") -> dict:
    return {
        "frame": face.number,
        "index": face.frame.index,
        "time": face.frame.time,
        "scale": face.frame.scale,
        "box": face.box,
        "confidence": face.confidence,
        "side": face.side,
        "why": face.why,
    }


def why_no_crop(sides: Sequence[int], frames: int | None) -> str:
    """Say why a video has no crop: its faces are too small (`sides` in pixels), or none of its `frames` has a face."""
    if sides:
        least, most = min(sides), max(sides)
        return f"faces too small: {least} to {most} pixels" if least < most else f"face too small: {least} pixels"
    if frames == 1:
        return "no face"
    return f"no face in any frame ({frames} looked at)" if frames else "no face in any frame"


def landmarks_in_crop(record: dict, rule: CropRule) -> list[Point]:
    """Return the five landmarks of a face in faces.json, in pixels of its crop and the order of LANDMARKS."""
    points = [record["landmarks"][name] for name in LANDMARKS]
    return points_in_crop(points, record["crop"], record.get("scale", 1.0), rule.crops_from)


def read_faces_json(folder: Path) -> Recorded:
    """Read the faces.json in a video's folder.

    Raises:
        VideoError: faces.json is missing or was not written by step 01a.
    """
    try:
        content = read_json(folder / "faces.json", remedy="step 01a writes it")
        rule = recorded_rule(content)
        faces = [_in_todays_form(face) for face in content["faces"]]
        for face in faces:
            landmarks_in_crop(face, rule)
        return Recorded(rule, content.get("turned", 0), faces, content.get("left_out", []))
    except (UserError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise VideoError(f"faces.json cannot be used; run step 01a again ({error})") from None


def _in_todays_form(face: dict) -> dict:
    """Convert a face of an older faces.json: its `frame` is today's `index`, other numbers are in the file name."""
    if "index" in face:
        return face
    _, frame, rank = parse_crop_name(face["file"])
    return {**face, "frame": frame, "face": rank, "index": face.get("frame", frame)}


def add_people(records: Sequence[dict]) -> list[dict]:
    """Add `person`, a number as a string, to the records of a video's faces in faces.json."""
    numbers = [_in_todays_form(record)["frame"] for record in records]
    frames = [
        [record for at, record in zip(numbers, records, strict=True) if at == number]
        for number in range(max(numbers, default=-1) + 1)
    ]
    people = join_people([[record["box"] for record in frame] for frame in frames])
    return [
        {**record, "person": str(person)}
        for frame, persons in zip(frames, people, strict=True)
        for record, person in zip(frame, persons, strict=True)
    ]

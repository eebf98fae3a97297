"""faces.json, which step 01a writes beside the crops of a video: what is known of each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake.core.crop_rule import CropRule, as_json, recorded_rule
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import read_json
from deepfake.core.naming import crop_name, parse_crop_name
from deepfake.faces.crop import LANDMARKS, Point, points_in_crop
from deepfake.frames.read import VideoFile

if TYPE_CHECKING:
    from deepfake.faces.find_crops import FaceCrop, LeftOut, Look


@dataclass(frozen=True)
class Recorded:
    """A faces.json: the rule of the crops, by how many degrees clockwise the video was turned, and all that it says of
    each face (`frame` and `face` are FFF and NN of its name, `index` is the number of its frame in the video), and of
    those that were left out.
    """

    rule: CropRule
    turned: int
    faces: list[dict]
    left_out: list[dict]


def content_of(id: str, source: VideoFile, rule: CropRule, look: "Look") -> dict:
    """What faces.json says of what was seen in a video; the crops are those of the look, in their order."""
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
    """Why a video has no crop: its faces are too small (sides in pixels), or none of its `frames` has a face."""
    if sides:
        least, most = min(sides), max(sides)
        return f"faces too small: {least} to {most} pixels" if least < most else f"face too small: {least} pixels"
    if frames == 1:
        return "no face"
    return f"no face in any frame ({frames} looked at)" if frames else "no face in any frame"


def landmarks_in_crop(record: dict, rule: CropRule) -> list[Point]:
    """The five landmarks of a face of faces.json, in pixels of its crop, in the order of LANDMARKS."""
    points = [record["landmarks"][name] for name in LANDMARKS]
    return points_in_crop(points, record["crop"], record.get("scale", 1.0), rule.crops_from)


def read_faces_json(folder: Path) -> Recorded:
    """What step 01a recorded of the faces in a video's folder.

    Raises:
        VideoError: faces.json is missing or not what step 01a writes.
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
    """A face of faces.json; older versions called `frame` what is `index` now, and had the rest in the name."""
    if "index" in face:
        return face
    _, frame, rank = parse_crop_name(face["file"])
    return {**face, "frame": frame, "face": rank, "index": face.get("frame", frame)}


def add_people(records: Sequence[dict]) -> list[dict]:
    """The faces of a video, as faces.json has them, with the number of each one's `person`, as a string."""
    # imported here, since sorting and training need the rest of this module without scipy
    from deepfake.faces.people import join_people

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

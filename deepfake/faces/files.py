"""Step 01a: write the crops of each video with faces.json beside them. Step 01b: mark the landmarks in crops."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake.core.crop_rule import FRAMES_PER_VIDEO, CropRule, recorded_rule
from deepfake.core.errors import UserError
from deepfake.core.files import check_replaceable, whole_folder, write_json
from deepfake.core.naming import is_crop
from deepfake.datasets.registry import read_videos
from deepfake.datasets.video import Video
from deepfake.faces.crop import mark
from deepfake.faces.records import add_people, content_of, landmarks_in_crop, read_faces_json, why_no_crop
from deepfake.frames.decoding import Frame
from deepfake.frames.files import Taken, folder_of, read_done, read_frames_json, read_whole, remove_crops
from deepfake.frames.png import png_of, read_png, write_png
from deepfake.frames.read import check_file, length_of, read_video, take_frames
from deepfake.jobs.for_each import for_each_video, warn_of_full_disk
from deepfake.jobs.work import Outcome, Run

if TYPE_CHECKING:
    from deepfake.faces.find_crops import Look


CROP_BYTES = 40_000  # of a crop's PNG, measured on real and drawn videos


def crop_frames(id: str, work_dir: Path, rule: CropRule, overwrite: bool = False) -> Outcome:
    """Write the crops and faces.json for the frames of a video on disk, unless they exist already.

    The rule's number of frames is replaced by that of step 00. The video is read again if its frames are not enough.

    Raises:
        VideoError: the frames are missing or damaged.
    """
    folder = work_dir / id
    taken = read_frames_json(folder)
    rule = replace(rule, frames=taken.wanted)
    read = partial(_read_again, taken.path) if taken.path and taken.is_there() else None
    done = None if overwrite else read_whole(folder / "faces.json")
    same = done and done["video"] == asdict(taken.video) and recorded_rule(done) == rule
    if done and same and not (read and done.get("problem")):  # the video was missing before and can be used now
        return _outcome(_with_people(folder, done), done_before=True)
    _clear(id, folder)
    # imported here, since splitting and training use this module without the detector
    from deepfake.faces.find_crops import NO_MORE, look_at

    look = look_at(_frames_on_disk(folder, taken, read), rule, read)
    if read is None and not look.crops:
        look = replace(look, problem=NO_MORE)
    return _outcome(_write_crops(folder, content_of(id, taken.video, rule, look), pngs_of(look)))


def _read_again(path: Path, k: int) -> list[Frame]:
    return read_video(path, k)[0]


def _frames_on_disk(folder: Path, taken: Taken, read: Callable[[int], Sequence[Frame]] | None) -> list[Frame]:
    """Load the frames that step 00 wrote; `read` gives full-size ones if the video is there."""

    @cache
    def in_video() -> dict[int, Frame]:
        return {frame.index: frame for frame in (read(taken.wanted) if read else ())}

    def full(index: int) -> np.ndarray | None:
        return in_video()[index].full() if index in in_video() else None

    return [
        Frame(file.index, file.time, file.scale, read_png(folder / file.file), read and partial(full, file.index))
        for file in taken.frames
    ]


def crop_video(video: Video, videos_dir: Path, work_dir: Path, rule: CropRule, overwrite: bool = False) -> Outcome:
    """Write the crops and faces.json of a video, without its frames, unless they exist already.

    Raises:
        VideoError, av.FFmpegError, OSError: no frame could be read.
    """
    folder = folder_of(video.id, work_dir)
    stat = check_file(videos_dir / video.file)  # first, so that nothing is removed if the video is missing
    content = None if overwrite else read_done(folder / "faces.json", video, stat)
    if content is not None and recorded_rule(content) == rule:
        return outcome_of(_with_people(folder, content), done_before=True)
    _clear(video.id, folder)
    return outcome_of(_write_crops(folder, *crops_of_video(video, videos_dir, rule)))


def _clear(id: str, folder: Path) -> None:
    # faces.json goes first: without it, crops of an interrupted run count as unfinished
    check_replaceable(folder / "faces", is_crop)
    remove_crops(id, folder)


def _outcome(content: dict, done_before: bool = False) -> Outcome:
    """Return the outcome of a video by its faces.json."""
    problem = content.get("problem")
    if not content["faces"]:
        sides = [face["side"] for face in content.get("left_out", ())]
        problem = "; ".join(filter(None, (why_no_crop(sides, content.get("looked_at")), problem)))
    return Outcome(len(content["faces"]), problem, done_before)


def outcome_of(content: dict, done_before: bool = False) -> Outcome:
    """As `_outcome`, but report problems of the video file too, since step 00 has not run."""
    outcome = _outcome(content, done_before)
    return replace(outcome, problem=content["video"].get("problem") or outcome.problem)


def crops_of_video(video: Video, videos_dir: Path, rule: CropRule) -> tuple[dict, list[bytes]]:
    """Make the content of a video's faces.json and the PNG of each crop, without writing them.

    Raises:
        VideoError, av.FFmpegError, OSError: no frame could be read.
    """
    from deepfake.faces.find_crops import look_at

    source, frames = take_frames(video, videos_dir, rule.frames)
    look = look_at(frames, rule, lambda k: take_frames(video, videos_dir, k)[1])
    return content_of(video.id, source, rule, look), pngs_of(look)


def pngs_of(look: "Look") -> list[bytes]:
    """Encode each crop as PNG."""
    return [png_of(crop.pixels) for crop in look.crops]


def _write_crops(folder: Path, content: dict, pngs: Sequence[bytes]) -> dict:
    """Write crops to `faces/`, and then faces.json."""
    with whole_folder(folder / "faces", is_crop) as crops:
        for face, png in zip(content["faces"], pngs, strict=True):
            (crops / face["file"]).write_bytes(png)
    write_json(folder / "faces.json", content)
    return content


def _with_people(folder: Path, content: dict) -> dict:
    """Return the content of a faces.json, with people added if an older version wrote none."""
    if all("person" in record for record in content["faces"]):
        return content
    content = {**content, "faces": add_people(content["faces"])}
    write_json(folder / "faces.json", content)
    return content


def mark_landmarks(id: str, work_dir: Path) -> Outcome:
    """Copy a video's crops to `marked_faces/`, with the five landmarks drawn as red points.

    Raises:
        VideoError: the crops or faces.json are missing or damaged.
    """
    folder = work_dir / id
    recorded = read_faces_json(folder)
    with whole_folder(folder / "marked_faces", is_crop) as marked:
        for record in recorded.faces:
            crop = read_png(folder / "faces" / record["file"], step="01a")
            mark(crop, landmarks_in_crop(record, recorded.rule))
            write_png(marked / record["file"], crop)
    return Outcome(len(recorded.faces), None if recorded.faces else "no face to mark")


def _folders_with(work_dir: Path, name: str, step: str) -> list[str]:
    ids = sorted(path.parent.name for path in work_dir.glob(f"*/{name}"))
    if not ids:
        raise UserError(f"{work_dir}: no folder in it holds {name}; run step {step} first")
    return ids


def crop_all_frames(rule: CropRule, run: Run, overwrite: bool = False) -> int:
    """Run step 01a: crop the faces of every video that step 00 processed; returns the exit code.

    The rule's number of frames is replaced by that of step 00. Videos are read again if their frames are not enough.

    Raises:
        UserError: step 00 has not been run, or no video has a face.
    """
    ids = _folders_with(run.work_dir, "frames.json", step="00")
    warn_of_full_disk(run, ids, "faces.json", FRAMES_PER_VIDEO * CROP_BYTES, overwrite)
    work = partial(crop_frames, work_dir=run.work_dir.absolute(), rule=rule, overwrite=overwrite)
    return for_each_video(run, {id: id for id in ids}, work)


def crop_all_videos(rule: CropRule, videos_dir: Path, run: Run, overwrite: bool = False, dataset: str = "auto") -> int:
    """Run steps 00 and 01a in one pass, without writing frames; returns the exit code.

    Raises:
        UserError: the dataset cannot be used, or no video has a face.
    """
    videos = read_videos(videos_dir, dataset, run.step)
    warn_of_full_disk(run, videos, "faces.json", rule.frames * CROP_BYTES, overwrite)
    # absolute, since other machines of a cluster use them
    videos_dir, work_dir = videos_dir.absolute(), run.work_dir.absolute()
    work = partial(crop_video, videos_dir=videos_dir, work_dir=work_dir, rule=rule, overwrite=overwrite)
    return for_each_video(replace(run, length=partial(length_of, videos_dir=videos_dir)), videos, work)


def mark_all_landmarks(run: Run) -> int:
    """Run step 01b: mark the crops of every video that step 01a processed; returns the exit code.

    Raises:
        UserError: step 01a has not been run.
    """
    ids = _folders_with(run.work_dir, "faces.json", step="01a")
    return for_each_video(run, {id: id for id in ids}, partial(mark_landmarks, work_dir=run.work_dir))

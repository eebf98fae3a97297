"""A dataset in the shape of DFDC, as a list: metadata, empty crops and their faces.json, but nothing to look at."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import clone  # noqa: F401
import numpy as np
from aggregate import names

from deepfake.core.crop_rule import CropRule, as_json
from deepfake.core.files import write_json
from deepfake.core.naming import crop_name
from deepfake.faces.crop import LANDMARKS, Face, crop_box

# of DFDC's training set (Dolhansky et al., 2020), rounded
VIDEOS = 115_000
REALS = 19_000
PARTS = 50
FRAMES = 11
TWO_PEOPLE_EVERY = 36  # for 1.3 million crops
LINKED_VIDEOS = 500  # step 02 links to their crops twice more
FRAME_SIZE = (960, 540)  # pixels of the standard frame


@dataclass(frozen=True)
class Listed:
    """A video of the list: its part, its name without the suffix, and the name of its original, None for a real one."""

    part: int
    name: str
    original: str | None
    people: int


def draw_list(share: float = 1) -> list[Listed]:
    """The videos of a `share` of DFDC: as many a part as it has, every original in the part of its fakes."""
    videos = round(VIDEOS * share)
    part_of = np.arange(videos) * max(1, round(PARTS * share)) // videos
    called = names(np.arange(videos))
    listed = []
    for part in range(part_of.max() + 1):
        members = np.flatnonzero(part_of == part)
        reals = members[: round(len(members) * REALS / VIDEOS)]
        for place, number in enumerate(members):
            original = None if place < len(reals) else str(called[reals[place % len(reals)]])
            people = 1 if number % TWO_PEOPLE_EVERY else 2
            listed.append(Listed(part, str(called[number]), original, people))
    return listed


def count_crops(videos: list[Listed]) -> int:
    """How many crops the videos of a list have."""
    return sum(FRAMES * video.people for video in videos)


def write_crops(videos: list[Listed], work_dir: Path) -> None:
    """What step 01a leaves of each video: `<name>/faces/`, with empty files as crops, and `<name>/faces.json`."""
    work_dir.mkdir(parents=True)
    contents = {people: _faces_json(people, work_dir) for people in (1, 2)}
    files = {people: _crop_names(people) for people in (1, 2)}
    empty = _empty_files(work_dir)
    for video in videos:
        folder = f"{work_dir}/{video.name}"
        os.makedirs(f"{folder}/faces")
        Path(folder, "faces.json").write_text(contents[video.people].replace("NAME", video.name))
        file = next(empty)
        for name in files[video.people]:
            os.link(file, f"{folder}/faces/{name.replace('NAME', video.name)}")


def _empty_files(folder: Path) -> Iterator[Path]:
    """Empty files to link to: making a file takes several times as long as a link, of which ext4 allows 65,000."""
    for number in count():
        path = folder / f".empty{number // LINKED_VIDEOS}"
        path.touch()
        yield path


def _crop_names(people: int) -> list[str]:
    return [crop_name("NAME", frame, face) for frame in range(FRAMES) for face in range(people)]


def _faces_json(people: int, folder: Path) -> str:
    """The faces.json of a video called NAME, as step 01a writes it."""
    rng = np.random.default_rng(people)
    records = []
    for number, file in enumerate(_crop_names(people)):
        frame, person = divmod(number, people)
        left, top, side = (int(value) for value in rng.integers((100, 100, 90), (300, 200, 130)))
        face = Face(
            (left + 400 * person, top, side, side),
            tuple((left + 400 * person + 20 * place, top + 15 * place) for place in range(len(LANDMARKS))),
            round(float(rng.uniform(0.95, 1)), 6),
        )
        index = 14 + 27 * frame
        numbers = {"frame": frame, "face": person, "index": index, "time": round(index / 30, 6), "scale": 0.5}
        place = {"file": file, **numbers}
        crop = crop_box(face.box, CropRule(), *FRAME_SIZE)
        points = dict(zip(LANDMARKS, face.landmarks, strict=True))
        records.append({**place, "crop": crop, **asdict(face), "landmarks": points, "person": str(person)})
    source = {"file": "NAME.mp4", "size": 4_100_000, "modified": 1_575_000_000_000_000_000, "frames": 300}
    content = {"video": source, "crop_rule": as_json(CropRule(frames=FRAMES)), "faces": records}
    write_json(folder / "NAME.json", content)
    text = (folder / "NAME.json").read_text(encoding="utf-8")
    (folder / "NAME.json").unlink()
    return text


# the list in the form of each kind of dataset


def write_dfdc(videos: list[Listed], folder: Path) -> None:
    """DFDC's parts, each with its metadata.json; without the videos, which its reader does not look for."""
    parts: dict[int, dict[str, dict]] = {}
    for video in videos:
        record = {"label": "FAKE", "split": "train", "original": f"{video.original}.mp4"}
        real = {"label": "REAL", "split": "train"}
        parts.setdefault(video.part, {})[f"{video.name}.mp4"] = record if video.original else real
    for part, records in parts.items():
        path = folder / f"dfdc_train_part_{part:02d}"
        path.mkdir(parents=True)
        (path / "metadata.json").write_text(json.dumps(records))


def write_csv_table(videos: list[Listed], folder: Path) -> None:
    """One table."""
    rows = (f"{video.name}.mp4,{'FAKE' if video.original else 'REAL'},{video.original or ''}" for video in videos)
    folder.mkdir(parents=True)
    (folder / "videos.csv").write_text("\n".join(["file,label,original", *rows, ""]))


def write_folders(videos: list[Listed], folder: Path) -> None:
    """real/ and fake/<method>/, each fake called as its original where the method has none of it yet."""
    _touch_all(folder, (f"{place}/{stem}.mp4" for place, stem in _by_method(videos, "real", "fake/method{:02d}")))


def write_faceforensics(videos: list[Listed], folder: Path) -> None:
    """FaceForensics++ with so many originals and methods; two originals each are the other's source, as there."""
    numbers = {video.name: number for number, video in enumerate(video for video in videos if not video.original)}
    files = []
    for place, stem in _by_method(videos, "original_sequences/youtube", "manipulated_sequences/Method{:02d}"):
        target = numbers[stem]
        pair = f"{target:05d}" if place.startswith("original") else f"{target:05d}_{target ^ 1:05d}"
        files.append(f"{place}/c23/videos/{pair}.mp4")
    _touch_all(folder, files)


def write_celebdf(videos: list[Listed], folder: Path) -> None:
    """Celeb-DF of 59 identities: `id3_0042` and, with the face of another one, `id3_id7_0042`."""
    numbers = {video.name: number for number, video in enumerate(video for video in videos if not video.original)}
    files = []
    for place, stem in _by_method(videos, "Celeb-real", "{:d}"):
        clip, target = divmod(numbers[stem], 59)
        other = "" if place == "Celeb-real" else f"_id{(target + 1 + int(place)) % 59}"
        files.append(f"{'Celeb-synthesis' if other else place}/id{target}{other}_{clip:04d}.mp4")
    _touch_all(folder, files)


def write_faces(videos: list[Listed], folder: Path) -> None:
    """Crops that someone else made: a folder of empty images for each video, and a table."""
    folder.mkdir(parents=True)
    empty = _empty_files(folder)
    for video in videos:
        os.mkdir(folder / video.name)
        file = next(empty)
        for number in range(FRAMES * video.people):
            os.link(file, f"{folder}/{video.name}/{number}.png")
    rows = (f"{video.name},{'FAKE' if video.original else 'REAL'},{video.original or ''}" for video in videos)
    (folder / "metadata.csv").write_text("\n".join(["video,label,original", *rows, ""]))


def _by_method(videos: list[Listed], real: str, fake: str) -> Iterator[tuple[str, str]]:
    """The place of each video and the name of its original: its n-th fake is in the n-th place."""
    times: dict[str, int] = {}
    for video in videos:
        if video.original is None:
            yield real, video.name
        else:
            times[video.original] = times.get(video.original, -1) + 1
            yield fake.format(times[video.original]), video.original


def _touch_all(folder: Path, files) -> None:
    for path in map(folder.joinpath, files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


WRITERS: dict[str, Callable[[list[Listed], Path], None]] = {
    "dfdc": write_dfdc,
    "csv": write_csv_table,
    "folders": write_folders,
    "faceforensics": write_faceforensics,
    "celebdf": write_celebdf,
    "faces": write_faces,
}

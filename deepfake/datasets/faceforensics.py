"""Read FaceForensics++ and its mirrors from their folders and file names."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepfake.core.errors import UserError
from deepfake.core.files import read_json
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.listing import file_names, find_videos, print_strays, subfolders, walk
from deepfake.datasets.video import Video, check_name, is_image, is_video, unique_ids

ORIGINALS, FAKES = "original_sequences", "manipulated_sequences"
COMPRESSION = re.compile(r"raw|c\d+")  # other folders hold masks
ORIGINAL = re.compile(r"\d+(__\w+)?")
FAKE_NAME = re.compile(r"\d{3}_\d{3}(\.|_?$)|\d\d_\d\d__")  # target and source: a video, or a folder of its frames
FAKE_NAMES = {
    "youtube": re.compile(r"(\d+)_(\d+)"),
    "actors": re.compile(r"(\d+)_(\d+)__(\w+)__[^\W_]+"),
}

# folders of mirrors that lack the two folders above, and their place in FaceForensics++
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "DeepFakeDetection")
FLAT = {name.lower(): (FAKES, name) for name in METHODS}
FLAT |= dict.fromkeys(("original", "youtube"), (ORIGINALS, "youtube"))
FLAT |= {"dfdoriginalsequences": (ORIGINALS, "actors"), "dfdmanipulatedsequences": FLAT["deepfakedetection"]}


def _flat(folder: Path) -> tuple[str, str] | None:
    return FLAT.get(re.sub(r"[\s_-]", "", folder.name.lower()))


@dataclass(frozen=True)
class Clip:
    """A video by its place: `519_515` of the method `Deepfakes` in `c23`; an original has its source as the method."""

    kind: str
    method: str
    compression: str
    stem: str

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the parts of the id; in mirrors the compression is empty."""
        return tuple(filter(None, (self.method, self.compression, self.stem)))

    @property
    def file(self) -> str:
        """Return the path of the video in the dataset."""
        return f"{self.kind}/{self.method}/{self.compression}/videos/{self.stem}.mp4"


def is_faceforensics(videos_dir: Path) -> bool:
    """Whether a folder holds FaceForensics++, a part of it, or a mirror with a folder for each method."""
    if (videos_dir / ORIGINALS).is_dir() or (videos_dir / FAKES).is_dir():
        return True
    flat = {folder: found[0] for folder in subfolders(videos_dir) if (found := _flat(folder))}
    if set(flat.values()) != {ORIGINALS, FAKES}:
        return False
    # users' own folders may have these names, but not these file names
    names = [name for folder, kind in flat.items() if kind == FAKES for name in _names_in(folder)]
    names = [name for name in names if "mask" not in name.lower()]
    return sum(bool(FAKE_NAME.match(name)) for name in names) > len(names) / 2


def _names_in(folder: Path) -> Iterator[str]:
    """Yield the names of the videos below a folder, and of the folders of images."""
    for place, names in walk(folder):
        yield from filter(is_video, names)
        if any(map(is_image, names)):
            yield place.name


def read_faceforensics(videos_dir: Path) -> list[Video]:
    """Read FaceForensics++ (Roessler et al., ICCV 2019), with the actors of Google's DeepFakeDetection.

    A fake is tied to its target and its source, since it shows the target's scene and the source's face. Its original
    is the target's video with the same compression. Videos with other names are left out and counted in a message.

    Raises:
        UserError: an official split cannot be used.
    """
    clips = _find_clips(videos_dir)
    files = {clip: file for file, clip in clips.items()}
    splits = _official_splits(videos_dir)
    people = {file: _people(clip) for file, clip in clips.items()}
    originals = {file: _original(clip) for file, clip in clips.items() if clip.kind == FAKES}
    # originals that are not in the folder get the ids that they would have
    absent = {clip.file: clip for clip in originals.values() if clip not in files}
    named = clips | absent
    ids = unique_ids(named, parts=lambda file: named[file].parts)
    videos = []
    for file, clip in clips.items():
        target = originals.get(file)
        videos.append(
            Video(
                id=ids[file],
                file=file,
                label=FAKE if target else REAL,
                original=ids[files.get(target, target.file)] if target else None,
                method=clip.method if target else None,
                split=splits.get(people[file]),
                ties=tuple(dict.fromkeys(people[file])),
            )
        )
    return videos


def _find_clips(videos_dir: Path) -> dict[str, Clip]:
    """Return the videos in the folder, by relative path."""
    clips, strays = {}, []
    for kind, method, compression, paths in _places_of_clips(videos_dir):
        patterns = [ORIGINAL] if kind == ORIGINALS else FAKE_NAMES.values()
        for path in paths:
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            clip = Clip(kind, method, compression, path.stem)
            if any(pattern.fullmatch(clip.stem) for pattern in patterns):
                clips[file] = clip
            else:
                strays.append(file)
    print_strays(strays, "FaceForensics++", "519_515.mp4")
    return clips


def _places_of_clips(videos_dir: Path) -> Iterator[tuple[str, str, str, list[Path]]]:
    """Yield the kind, method, compression and paths of the videos, in the dataset's own folders or those of FLAT."""
    for kind in (ORIGINALS, FAKES):
        for folder in subfolders(videos_dir / kind):
            # some copies lack the folder `youtube`, or the compression
            whole = kind == ORIGINALS and (folder.name == "videos" or COMPRESSION.fullmatch(folder.name))
            for place in (folder,) if whole else (folder, *subfolders(folder)):
                compressed = COMPRESSION.fullmatch(place.name)
                if compressed or place == folder:
                    here = [place / name for name in file_names(place) if is_video(name)]
                    method, compression = "youtube" if whole else folder.name, place.name if compressed else ""
                    yield kind, method, compression, [*find_videos(place / "videos"), *here]
    for folder in subfolders(videos_dir):
        if flat := _flat(folder):
            yield *flat, "", find_videos(folder)


def _people(clip: Clip) -> tuple[str, ...]:
    """Return whom a clip shows: the person of an original; the target and source of a fake."""
    if clip.kind == ORIGINALS:
        return (f"{clip.method}/{clip.stem.split('__')[0]}",)
    source, match = _parse_fake(clip)
    return f"{source}/{match[1]}", f"{source}/{match[2]}"


def _original(clip: Clip) -> Clip:
    """Return the target's video that a fake was made from."""
    source, match = _parse_fake(clip)
    stem = match[1] if source == "youtube" else f"{match[1]}__{match[3]}"
    return Clip(ORIGINALS, source, clip.compression, stem)


def _parse_fake(clip: Clip) -> tuple[str, re.Match]:
    """Return the source of a fake's original, and the parts of its name."""
    return next((source, match) for source, pattern in FAKE_NAMES.items() if (match := pattern.fullmatch(clip.stem)))


def _official_splits(videos_dir: Path) -> dict[tuple[str, ...], str]:
    """Return the official set of each original and each (target, source), from the split files in the folder."""
    splits: dict[tuple[str, ...], str] = {}
    for split in ("train", "val", "test"):
        path = next((p for p in _places(videos_dir, f"{split}.json") if p.is_file()), None)
        for one, other in _read_pairs(path) if path else []:
            one, other = f"youtube/{one}", f"youtube/{other}"
            for people in ((one,), (other,), (one, other), (other, one)):
                if splits.setdefault(people, split) != split:
                    raise UserError(
                        f"{path}: {' and '.join(people)} is also in {splits[people]}.json; keep one of them"
                    )
    return splits


def _places(videos_dir: Path, name: str) -> list[Path]:
    return [videos_dir / name, videos_dir / "splits" / name]


def _read_pairs(path: Path) -> list[list[str]]:
    remedy = 'it must be a list of pairs like ["071", "054"]; use FaceForensics++\'s own'
    pairs = read_json(path, remedy)
    if not isinstance(pairs, list):
        raise UserError(f"{path}: {remedy}")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(id, str) for id in pair):
            raise UserError(f"{path}: {json.dumps(pair)[:100]} cannot be used; {remedy}")
    return pairs

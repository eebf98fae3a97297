"""Datasets whose folders and file names say everything: FaceForensics++, Celeb-DF and FakeAVCeleb."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepfake.files import UserError, read_json
from deepfake.listing import file_names, find_videos, subfolders, walk
from deepfake.videos import FAKE, REAL, Record, Video, check_name, is_image, is_video, to_videos, unique_ids

ORIGINALS, FAKES = "original_sequences", "manipulated_sequences"
COMPRESSION = re.compile(r"raw|c\d+")  # beside them are masks, whose videos are not of people
ORIGINAL = re.compile(r"\d+(__\w+)?")
FAKE_NAME = re.compile(r"\d+_\d+(__|\.|_?$)")  # target and source, of a video or of a folder of its frames
YOUTUBE_FAKE = re.compile(r"(\d+)_(\d+)")
ACTORS_FAKE = re.compile(r"(\d+)_(\d+)__(\w+)__[^\W_]+")

# mirrors without those two folders: what theirs are called, and which of FaceForensics++ they are
FLAT = {"original": (ORIGINALS, "youtube"), "dfd_original sequences": (ORIGINALS, "actors")} | {
    name.lower(): (FAKES, name)
    for name in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "DeepFakeDetection")
}
FLAT["dfd_manipulated_sequences"] = FLAT["deepfakedetection"]

CELEB_FOLDERS = {"celeb-real": REAL, "youtube-real": REAL, "celeb-synthesis": FAKE}
CELEB_NAMES = {
    "celeb-real": re.compile(r"(id\d+)_(\d+)"),
    "youtube-real": re.compile(r"\d+"),
    "celeb-synthesis": re.compile(r"(id\d+)_(id\d+)_(\d+)"),
}
# of Celeb-DF++, in folders of their methods: those of talking faces have no source
CELEB_METHODS = re.compile(r"(id\d+)_(?:(id\d+)_)?(\d+)(?:_\w+)?")
TESTING_LIST = "List_of_testing_videos.txt"


@dataclass(frozen=True)
class Clip:
    """A video of FaceForensics++ by its place: `519_515` of `Deepfakes` in `c23`; of an original, its source."""

    kind: str
    method: str
    compression: str
    stem: str

    @property
    def parts(self) -> tuple[str, ...]:
        """What its id is made of; mirrors say nothing of the compression."""
        return tuple(filter(None, (self.method, self.compression, self.stem)))

    @property
    def file(self) -> str:
        """Where the dataset has it."""
        return f"{self.kind}/{self.method}/{self.compression}/videos/{self.stem}.mp4"


def is_faceforensics(videos_dir: Path) -> bool:
    """Whether a folder holds FaceForensics++, or a part of it, or a mirror with a folder for each method."""
    if (videos_dir / ORIGINALS).is_dir() or (videos_dir / FAKES).is_dir():
        return True
    flat = [(folder, *FLAT[name]) for folder in subfolders(videos_dir) if (name := folder.name.lower()) in FLAT]
    if {kind for _, kind, _ in flat} != {ORIGINALS, FAKES}:
        return False
    # people call folders so too: then what is in them has other names
    fakes = [folder for folder, kind, _ in flat if kind == FAKES]
    inside = [name for folder in fakes for place, names in walk(folder) for name in (place.name, *names)]
    return any(FAKE_NAME.match(name) for name in inside)


def read_faceforensics(videos_dir: Path) -> list[Video]:
    """Read FaceForensics++ (Roessler et al., ICCV 2019), with the actors of Google's DeepFakeDetection.

    A fake is tied to its target and its source, since it shows the one's scene and the other's face. Its original is
    the target's video of the same compression. Videos of other names are left out, and counted in a printed line.

    Raises:
        UserError: an official split cannot be used, or there are frames instead of videos.
    """
    clips = _find_clips(videos_dir)
    if not clips and any(any(map(is_image, names)) for _, names in walk(videos_dir)):
        raise UserError(
            f"{videos_dir}: holds frames of FaceForensics++, not its videos; give the videos, or crops of faces as "
            "--dataset faces reads them: a folder of images for each video, and a metadata.csv with file,label,original"
        )
    files = {clip: file for file, clip in clips.items()}
    splits = _official_splits(videos_dir)
    people = {file: _people(clip) for file, clip in clips.items()}
    originals = {file: _original(clip) for file, clip in clips.items() if clip.kind == FAKES}
    # those that are not in the folder get the ids that they would have
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
    """The videos that are in the folder, by their file names relative to it."""
    clips, strays = {}, []
    for kind, method, compression, paths in _places_of_clips(videos_dir):
        for path in paths:
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            clip = Clip(kind, method, compression, path.stem)
            if ORIGINAL.fullmatch(clip.stem) if kind == ORIGINALS else _parse_fake(clip):
                clips[file] = clip
            else:
                strays.append(file)
    _print_strays(strays, "FaceForensics++", "519_515.mp4")
    return clips


def _places_of_clips(videos_dir: Path) -> Iterator[tuple[str, str, str, list[Path]]]:
    """The kind, method and compression of all videos, as the dataset has them or in the folders of FLAT."""
    for kind in (ORIGINALS, FAKES):
        for folder in subfolders(videos_dir / kind):
            # some copies lack the level of `youtube`
            inner = [("youtube", folder)] if kind == ORIGINALS and COMPRESSION.fullmatch(folder.name) else []
            for method, place in inner or [(folder.name, below) for below in subfolders(folder)]:
                if COMPRESSION.fullmatch(place.name):
                    here = [place / name for name in file_names(place) if is_video(name)]
                    yield kind, method, place.name, [*find_videos(place / "videos"), *here]
    for folder in subfolders(videos_dir):
        if flat := FLAT.get(folder.name.lower()):
            yield *flat, "", find_videos(folder)


def _print_strays(files: list[str], dataset: str, example: str) -> None:
    if files:  # such as "519_515 (1).mp4", of a second download
        print(f"videos not named as {dataset} names them ({example}), left out: {len(files)}, such as {files[0]}")


def _people(clip: Clip) -> tuple[str, ...]:
    """Whom a clip shows: the person of an original; the target and then the source of a fake."""
    if clip.kind == ORIGINALS:
        return (f"{clip.method}/{clip.stem.split('__')[0]}",)
    source, match = _parse_fake(clip)
    return f"{source}/{match[1]}", f"{source}/{match[2]}"


def _original(clip: Clip) -> Clip:
    """The target's video that a fake was made from."""
    source, match = _parse_fake(clip)
    stem = match[1] if source == "youtube" else f"{match[1]}__{match[3]}"
    return Clip(ORIGINALS, source, clip.compression, stem)


def _parse_fake(clip: Clip) -> tuple[str, re.Match] | None:
    """The kind of its original and the parts of its name; None where it is not named as a fake is."""
    for source, pattern in (("youtube", YOUTUBE_FAKE), ("actors", ACTORS_FAKE)):
        if match := pattern.fullmatch(clip.stem):
            return source, match
    return None


def _official_splits(videos_dir: Path) -> dict[tuple[str, ...], str]:
    """The official split of each original and of each pair of target and source, as far as they are in the folder."""
    splits: dict[tuple[str, ...], str] = {}
    for split in ("train", "val", "test"):
        path = next((p for p in _places(videos_dir, f"{split}.json") if p.is_file()), None)
        for one, other in _read_pairs(path) if path else []:
            one, other = f"youtube/{one}", f"youtube/{other}"
            for people in ((one,), (other,), (one, other), (other, one)):
                if splits.setdefault(people, split) != split:
                    raise UserError(f"{path}: {' and '.join(people)} is in {splits[people]}.json too; keep one of them")
    return splits


def _places(videos_dir: Path, name: str) -> list[Path]:
    return [videos_dir / name, videos_dir / "splits" / name]


def _read_pairs(path: Path) -> list[list[str]]:
    remedy = 'it must be a list of pairs like ["071", "054"]; take FaceForensics++\'s own'
    pairs = read_json(path, remedy)
    if not isinstance(pairs, list):
        raise UserError(f"{path}: {remedy}")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(id, str) for id in pair):
            raise UserError(f"{path}: {json.dumps(pair)[:100]} cannot be used; {remedy}")
    return pairs


def is_celebdf(videos_dir: Path) -> bool:
    """Whether a folder holds Celeb-DF, or a part of it."""
    return any(folder.name.lower() in ("celeb-real", "celeb-synthesis") for folder in subfolders(videos_dir))


def read_celebdf(videos_dir: Path) -> list[Video]:
    """Read Celeb-DF (Li et al., CVPR 2020), version 1 or 2, or Celeb-DF++ (Li et al., 2025).

    `id0_id1_0000.mp4` is the video `id0_0000` of target id0 with the face of source id1. The identities are the ties.
    With the list of testing videos there, each video is of the test set or of the training set. Videos of other names
    are left out, and counted in a printed line.

    Raises:
        UserError: the list contradicts the folders.
    """
    testing = _read_testing_list(videos_dir / TESTING_LIST)
    records, strays = [], []
    for folder in subfolders(videos_dir):
        label = CELEB_FOLDERS.get(folder.name.lower())
        for path in find_videos(folder) if label is not None else []:
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            of_method = label == FAKE and path.parent != folder
            match = (CELEB_METHODS if of_method else CELEB_NAMES[folder.name.lower()]).fullmatch(path.stem)
            if not match:
                strays.append(file)
                continue
            original, ties = _celeb_identities(match.groups())
            split = None
            if testing is not None:
                split = "test" if {file.lower(), f"{folder.name}/{path.name}".lower()} & testing else "train"
            method = path.relative_to(folder).parent.as_posix() if of_method else "celeb-df" if label == FAKE else None
            records.append(Record(file, label, str(videos_dir), original, method, split, ties))
    _print_strays(strays, "Celeb-DF", "id0_id1_0000.mp4")
    return to_videos(records)


def _celeb_identities(parts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The original of a video of Celeb-DF, and the identities in it, from the parts of its name."""
    if not parts:  # of YouTube-real
        return None, ()
    *identities, number = parts
    original = f"{identities[0]}_{number}" if len(identities) > 1 else None
    return original, tuple(filter(None, identities))


def _read_testing_list(path: Path) -> set[str] | None:
    """The place of each video of the official test set, in small letters; None where there is no list."""
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as text ({error}); take Celeb-DF's own") from None
    testing = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        number_said, _, place = line.strip().partition(" ")
        parts = place.strip().lower().split("/")
        top = next((at for at, part in enumerate(parts[:-1]) if part in CELEB_FOLDERS), None)
        label = CELEB_FOLDERS[parts[top]] if top is not None and number_said in ("0", "1") else None
        if label is None:
            raise UserError(f'{path}, line {number}: not of the form "1 YouTube-real/00170.mp4"; take Celeb-DF\'s own')
        if int(number_said) != label:
            raise UserError(
                f"{path}, line {number}: says {number_said} (1 is real) of a video in {parts[top]}; mend it"
            )
        testing.add("/".join(parts[top:]))
    return testing


FAKEAVCELEB = {  # folders, and the label of the pictures in them: a fake voice alone changes none
    "realvideo-realaudio": REAL,
    "realvideo-fakeaudio": REAL,
    "fakevideo-realaudio": FAKE,
    "fakevideo-fakeaudio": FAKE,
}
IDENTITY = re.compile(r"id\d+")


def is_fakeavceleb(videos_dir: Path) -> bool:
    """Whether a folder holds FakeAVCeleb, or enough of it for both labels."""
    labels = {FAKEAVCELEB.get(folder.name.lower()) for folder in subfolders(videos_dir)}
    return {REAL, FAKE} <= labels


def read_fakeavceleb(videos_dir: Path) -> list[Video]:
    """Read FakeAVCeleb (Khalid et al., NeurIPS 2021): `FakeVideo-RealAudio/African/men/id00076/00109_id00166.mp4`.

    The identities in a video's folder and name are its ties. What is real and fake is that of the pictures, not of the
    voice, which is printed.
    """
    records = []
    for folder in subfolders(videos_dir):
        label = FAKEAVCELEB.get(folder.name.lower())
        for path in find_videos(folder) if label is not None else []:
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            method, ties = folder.name if label == FAKE else None, tuple(dict.fromkeys(IDENTITY.findall(file)))
            records.append(Record(file, label, str(videos_dir), method=method, ties=ties))
    print("FakeAVCeleb: by its pictures; those of RealVideo-FakeAudio, whose voice alone is fake, are real")
    return to_videos(records)

"""What file names say: which real video a fake was made from, and whom both show."""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath

from deepfake.core.labels import FAKE, REAL
from deepfake.core.messages import log
from deepfake.datasets.video import FAKE_WORDS, REAL_WORDS, SEPARATORS, SPLIT_NAMES, Record, Video, bare_name

# what people and datasets add to a name to say what a video is; it says nothing of whom the video shows
METHODS = "swap swapped faceswap fs face2face f2f neuraltextures nt faceshifter fsh deepfakedetection dfd df"
OTHER_WORDS = "synthesized synthesis generated faked youtube actor actors raw c0 c23 c40"
METHOD_WORDS = set(METHODS.split())
KIND_WORDS = REAL_WORDS | FAKE_WORDS | METHOD_WORDS | set(OTHER_WORDS.split())

# a naming is believed if this share of the fakes that it fits have their original in the dataset
BORNE_OUT = 0.2

# beginnings of names count if this share of the other fakes begin with the name of a real video
BEGINNING = 0.5

# the share of fakes with a known original up to which a split by source keeps little apart
NEARLY_NONE = 0.05


@dataclass(frozen=True)
class Naming:
    """How a dataset names its fakes and originals: patterns of both, and templates of what a fake's name says."""

    dataset: str
    fake: re.Pattern[str]
    real: re.Pattern[str]
    original: str
    ties: tuple[str, ...]  # of a fake
    real_tie: str


def _naming(dataset: str, fake: str, real: str, original: str, ties: tuple[str, ...], real_tie: str) -> Naming:
    # beside it may stand the method, or the number of a frame
    around = rf"(?:.*?_)??{fake}(?:_.*)?"
    return Naming(dataset, re.compile(around), re.compile(real), original, ties, real_tie)


# by names without KIND_WORDS, whose parts are joined by single underscores
NAMINGS = (
    # Roessler et al. 2019: target_source
    _naming("FaceForensics++", r"(\d{3,4})_(\d{3,4})", r"(\d{3,4})", r"\1", (r"\1", r"\2"), r"\1"),
    # Dufour and Gully 2019: target_source__scene__code
    _naming(
        "DeepFakeDetection",
        r"(\d\d)_(\d\d)_(\w*[a-z]\w*)_([a-z0-9]{8})",
        r"(\d\d)_(\w*[a-z]\w*)",
        r"\1_\3",
        (r"\1", r"\2"),
        r"\1",
    ),
    # Li et al. 2020: target_source_number
    _naming("Celeb-DF", r"(id\d+)_(id\d+)_(\d+)", r"(id\d+)_(\d+)", r"\1_\3", (r"\1", r"\2"), r"\1"),
    # Jiang et al. 2020: target of FaceForensics++, source an actor
    _naming("DeeperForensics", r"(\d{3,4})_([mw]\d{2,4})", r"(\d{3,4})", r"\1", (r"\1", r"\2"), r"\1"),
)


def core_of(file: str) -> str:
    """A file's name in small letters without suffix and KIND_WORDS, its parts joined by `_`: `000_003` of all of
    `fake/000_003.mp4`, `Deepfakes_000_003_c23.mp4` and `000_003_fake.mp4`."""
    parts = [part for part in SEPARATORS.split(bare_name(file).lower()) if part]
    return "_".join([part for part in parts if part not in KIND_WORDS] or parts)


def tie_by_names(records: Sequence[Record]) -> list[Record]:
    """The records with the originals and ties that their names tell; an original that a table names is kept.

    A naming of NAMINGS counts where a fifth of the fakes that it fits have their original among the real videos. Other
    fakes have the real video as their original that has the same `core_of`, or where that is the custom of at least
    half of them, whose parts theirs begins with; in a folder of the same name if real and fake videos share folders.
    Prints how many fakes a naming tells of, and how many could be of several real videos.
    """
    by_core = defaultdict(list)
    for record in records:
        if record.label == REAL:
            by_core[core_of(record.file)].append(record)
    fakes = [record for record in records if record.label == FAKE]
    shared = _folders(fakes) & _folders(record for same in by_core.values() for record in same)
    cores = {record.file: core_of(record.file) for record in fakes}  # of the original, once a naming tells it
    ties: dict[str, list[str]] = defaultdict(list)
    for naming in NAMINGS:
        fitting = {file: match for file, core in cores.items() if (match := naming.fake.fullmatch(core))}
        originals = {file: match.expand(naming.original) for file, match in fitting.items()}
        borne_out = sum(core in by_core for core in originals.values())
        if not borne_out or borne_out < BORNE_OUT * len(fitting):
            continue
        log.info(f"fakes named as those of {naming.dataset}, tied to their targets and sources: {len(fitting)}")
        cores |= originals
        for file, match in fitting.items():
            ties[file] += [f"{naming.dataset}/{match.expand(tie)}" for tie in naming.ties]
        for core, reals in by_core.items():
            if match := naming.real.fullmatch(core):
                for real in reals:
                    ties[real.file].append(f"{naming.dataset}/{match.expand(naming.real_tie)}")
    others = [file for file, core in cores.items() if core not in by_core and not ties[file]]
    beginnings = {file: core for file in others if (core := _beginning(cores[file], by_core))}
    if beginnings and len(beginnings) >= BEGINNING * len(others):
        for file, original in beginnings.items():
            # alice_bob shows the scene of alice and the face of bob; a number counts the fakes of one video
            source = cores[file].removeprefix(f"{original}_")
            if source in by_core and not source.isdecimal():
                for each in (file, *(real.file for real in by_core[source])):
                    ties[each].append(f"name/{source}")
        cores |= beginnings
    unclear = []

    def told(record: Record) -> Record:
        original = record.original
        if record.label == FAKE and not original and (alike := by_core.get(cores[record.file])):
            original = _the_one(alike, record, shared)
            unclear.extend([] if original else [record.file])
        return replace(record, original=original, ties=tuple(dict.fromkeys((*record.ties, *ties[record.file]))))

    result = [told(record) for record in records]
    if unclear:
        log.info(
            f"fakes called as real videos of other folders, or as several, so without an original: {len(unclear)}, "
            f"such as {unclear[0]}; put both into folders of one name, or name originals in a table (column original)"
        )
    return result


def named_as_fakes(files: Iterable[str]) -> set[str]:
    """Those of the files that are named, as a dataset of NAMINGS has it, as fakes of others of the files."""
    cores = {file: core_of(file) for file in files}
    present = set(cores.values())
    return {
        file
        for naming in NAMINGS
        for file, core in cores.items()
        if (match := naming.fake.fullmatch(core)) and match.expand(naming.original) in present
    }


def _beginning(core: str, cores: Container[str]) -> str | None:
    """The longest of the cores that a core begins with, in whole parts; None where there is none."""
    parts = core.split("_")
    starts = ("_".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((start for start in starts if start in cores), None)


def _folders(records: Iterable[Record]) -> set[str]:
    return {folder for record in records for folder in _own_folders(record)}


def _own_folders(record: Record) -> frozenset[str]:
    """The folders that a video is in, in small letters, without those that only tell what it is, or its set."""
    return _all_folders(record) - KIND_WORDS - SPLIT_NAMES.keys()


def _all_folders(record: Record) -> frozenset[str]:
    return _folders_of(record.file)


@lru_cache(1 << 16)
def _folders_of(file: str) -> frozenset[str]:
    return frozenset(folder.lower() for folder in PurePosixPath(file).parent.parts)


def _the_one(reals: Sequence[Record], fake: Record, shared: set[str]) -> str | None:
    """The file of the one real video that a fake can be of; None if there are several, or it is of other folders.

    `shared` are the folders that real and fake videos have in common, such as one for each person.
    """
    at = _own_folders(fake) & shared
    # where people have folders, a fake in none of theirs can only be of a real video that is in none at all
    looked_at = shared if at or not shared else _folders(reals)
    found = [real for real in reals if _own_folders(real) & looked_at == at]
    nearest = max((len(_all_folders(real) & _all_folders(fake)) for real in found), default=0)
    files = [real.file for real in found if len(_all_folders(real) & _all_folders(fake)) == nearest]
    same = [file for file in files if bare_name(file) == bare_name(fake.file)] if len(files) > 1 else files
    return same[0] if len(same) == 1 else None


def warning_of_untied(videos: Sequence[Video]) -> str | None:
    """What it means for a split by source that fakes are tied to no other video; None where all are tied."""
    fakes = [video for video in videos if video.label == FAKE]
    of_reals = {tie for video in videos if video.label == REAL for tie in video.ties}
    tied = sum(bool(video.original or of_reals.intersection(video.ties)) for video in fakes)
    if not fakes or len(fakes) == len(videos) or tied == len(fakes):
        return None
    if tied > NEARLY_NONE * len(fakes):
        return f"{len(fakes) - tied} of {len(fakes)} fakes have no known original and may be tested on beside it"
    return (
        f"{tied} of {len(fakes)} fakes have a known original, so a fake can be tested on while its original, or "
        "another fake of that, is trained on: figures may be too good; name originals in a table (column original)"
    )

"""Find a fake's original, and the people in both, from file names."""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import PurePosixPath

from deepfake.core.labels import FAKE, REAL
from deepfake.core.messages import log
from deepfake.datasets.video import FAKE_WORDS, REAL_WORDS, SEPARATORS, SPLIT_NAMES, Record, Video, bare_name

Files = dict[str, list[str]]

# words in names that describe the kind of video rather than the people in it
METHODS = "swap swapped faceswap fs face2face f2f neuraltextures nt faceshifter fsh deepfakedetection dfd df"
OTHER_WORDS = "synthesized synthesis generated faked youtube actor actors raw c0 c23 c40"
METHOD_WORDS = set(METHODS.split())
KIND_WORDS = REAL_WORDS | FAKE_WORDS | METHOD_WORDS | set(OTHER_WORDS.split())

# a naming is used if this share of the fakes that match it have their original in the dataset
BORNE_OUT = 0.2

# prefixes are used if this share of the other fakes begin with the name of a real video
BEGINNING = 0.5

# up to this share of fakes with a known original, a split by source separates little
NEARLY_NONE = 0.05


@dataclass(frozen=True)
class Naming:
    """How a dataset names its fakes and originals: patterns of both, and templates for `re.Match.expand`."""

    dataset: str
    fake: re.Pattern[str]
    real: re.Pattern[str]
    original: str
    ties: tuple[str, ...]  # of a fake
    real_tie: str


def _naming(dataset: str, fake: str, real: str, original: str, ties: tuple[str, ...], real_tie: str) -> Naming:
    # the method or a frame number may precede or follow
    around = rf"(?:.*?_)??{fake}(?:_.*)?"
    return Naming(dataset, re.compile(around), re.compile(real), original, ties, real_tie)


# patterns for names as `core_of` returns them
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
    """Return a file's lower-case name without suffix and KIND_WORDS, its parts joined by `_`.

    `fake/000_003.mp4`, `Deepfakes_000_003_c23.mp4` and `000_003_fake.mp4` all become `000_003`.
    """
    parts = [part for part in SEPARATORS.split(bare_name(file).lower()) if part]
    return "_".join([part for part in parts if part not in KIND_WORDS] or parts)


def tie_by_names(records: Sequence[Record]) -> list[Record]:
    """Add originals and ties to records by their file names; originals that a table names are kept.

    The original of a fake is the real video with the same `core_of`, if there is one. One of NAMINGS is used if a fifth
    (BORNE_OUT) of the other fakes that match it have their original among the real videos. If at least half (BEGINNING)
    of the remaining fakes begin with the name of a real video, that video is their original. If real and fake videos
    share folder names, both must be in folders of the same name. Logs how many fakes match a naming, and how many match
    several real videos.
    """
    by_core: Files = defaultdict(list)
    for record in records:
        if record.label == REAL:
            by_core[core_of(record.file)].append(record.file)
    fakes = [record for record in records if record.label == FAKE]
    cores = {record.file: core_of(record.file) for record in fakes}  # replaced by the original's, once known
    ties: Files = defaultdict(list)
    for naming in NAMINGS:
        _use_naming(naming, by_core, cores, ties)
    _use_beginnings(by_core, cores, ties)
    original_of = _finder_of_originals(by_core, list(cores))
    originals = {
        fake.file: original_of(cores[fake.file], fake.file)
        for fake in fakes
        if not fake.original and cores[fake.file] in by_core
    }
    if unclear := [file for file, original in originals.items() if original is None]:
        log.info(
            f"fakes whose name matches several real videos, or one in another folder, left without an original: "
            f"{len(unclear)}, such as {unclear[0]}; put both into folders of one name, or name originals in a table "
            "(column original)"
        )
    return [
        replace(
            record,
            original=originals.get(record.file, record.original),
            ties=tuple(dict.fromkeys((*record.ties, *ties[record.file]))),
        )
        for record in records
    ]


def _use_naming(naming: Naming, by_core: Files, cores: dict[str, str], ties: Files) -> None:
    """Update the cores and ties of the fakes that match a naming, if enough of their originals are there."""
    fitting = {file: match for file, core in cores.items() if (match := naming.fake.fullmatch(core))}
    # a fake with exactly the name of a real video is made of that one
    originals = {file: match.expand(naming.original) for file, match in fitting.items() if cores[file] not in by_core}
    borne_out = sum(core in by_core for core in originals.values())
    if not borne_out or borne_out < BORNE_OUT * len(originals):
        return
    log.info(f"fakes named as in {naming.dataset}, tied to their targets and sources: {len(fitting)}")
    cores |= originals
    for file, match in fitting.items():
        ties[file] += [f"{naming.dataset}/{match.expand(tie)}" for tie in naming.ties]
    for core, reals in by_core.items():
        if match := naming.real.fullmatch(core):
            for real in reals:
                ties[real].append(f"{naming.dataset}/{match.expand(naming.real_tie)}")


def _use_beginnings(by_core: Files, cores: dict[str, str], ties: Files) -> None:
    """Update the cores and ties of the fakes that begin with a real video's name, if enough of the others do."""
    others = [file for file, core in cores.items() if core not in by_core and not ties[file]]
    beginnings = {file: core for file in others if (core := _beginning(cores[file], by_core))}
    if len(beginnings) < BEGINNING * len(others):
        return
    sources = set()
    for file, original in beginnings.items():
        # alice_bob shows alice's scene and bob's face; in alice_2 the number only counts fakes
        source = cores[file].removeprefix(f"{original}_")
        if source in by_core and not source.isdecimal():
            ties[file].append(f"name/{source}")
            sources.add(source)
    for source in sources:
        for real in by_core[source]:
            ties[real].append(f"name/{source}")
    cores |= beginnings


def named_as_fakes(files: Iterable[str]) -> set[str]:
    """Return the files whose names, by one of NAMINGS, are those of fakes of other files in the list."""
    cores = {file: core_of(file) for file in files}
    present = set(cores.values())
    return {
        file
        for naming in NAMINGS
        for file, core in cores.items()
        if (match := naming.fake.fullmatch(core)) and match.expand(naming.original) in present
    }


def _beginning(core: str, cores: Container[str]) -> str | None:
    """Return the longest of `cores` that is a prefix of `core` in whole parts; None if there is none."""
    parts = core.split("_")
    starts = ("_".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((start for start in starts if start in cores), None)


def _finder_of_originals(by_core: Files, fakes: Iterable[str]) -> Callable[[str, str], str | None]:
    """Return a function that finds a fake's original by core and file; it returns None if several fit, or none.

    If real and fake videos share folder names, e.g. one for each person, both must be in the same of these folders.
    """
    reals = [file for files in by_core.values() for file in files]
    shared = _own_folders(*fakes) & _own_folders(*reals)
    of_reals = {folder for file in reals for folder in _all_folders(file)}
    candidates: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for core, files in by_core.items():
        for file in files:
            own = _own_folders(file)
            # if people have folders, a fake outside them can only belong to a real video outside all folders
            candidates[core, own & shared if own & shared or not shared else own].append(file)

    @cache  # a name can repeat in thousands of folders
    def the_one(core: str, at: frozenset[str], folders: frozenset[str], name: str) -> str | None:
        found = candidates.get((core, at), [])
        nearest = max((len(_all_folders(real) & folders) for real in found), default=0)
        files = [real for real in found if len(_all_folders(real) & folders) == nearest]
        same = [file for file in files if bare_name(file) == name] if len(files) > 1 else files
        return same[0] if len(same) == 1 else None

    return lambda core, fake: the_one(core, _own_folders(fake) & shared, _all_folders(fake) & of_reals, bare_name(fake))


def _own_folders(*files: str) -> frozenset[str]:
    """Return the folders of videos in lower case, without those that only name a kind or set."""
    return frozenset().union(*map(_all_folders, files)).difference(KIND_WORDS, SPLIT_NAMES)


@lru_cache(1 << 16)
def _all_folders(file: str) -> frozenset[str]:
    return frozenset(folder.lower() for folder in PurePosixPath(file).parent.parts)


def warning_of_untied(videos: Sequence[Video]) -> str | None:
    """Return a warning about fakes that are not tied to a real video, for a split by source; None if all are."""
    fakes = [video for video in videos if video.label == FAKE]
    of_reals = {tie for video in videos if video.label == REAL for tie in video.ties}
    tied = sum(bool(video.original or of_reals.intersection(video.ties)) for video in fakes)
    if not fakes or len(fakes) == len(videos) or tied == len(fakes):
        return None
    if tied > NEARLY_NONE * len(fakes):
        return f"{len(fakes) - tied} of {len(fakes)} fakes have no known original, which may be in another set"
    return (
        f"{tied} of {len(fakes)} fakes have a known original, so training and test sets may share sources and scores "
        "may be too high; name originals in a table (column original)"
    )

"""Prepare sets for training with self-blended fakes, made from real crops: alone, or in addition to other fakes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from deepfake.core.cli import progress
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import whole_folder
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.core.messages import log
from deepfake.core.naming import file_in_set
from deepfake.faces.crop import find_landmarks
from deepfake.frames.png import decode_png, write_png
from deepfake.inputs.crop_set import cached, crop_set, readable_crops
from deepfake.inputs.self_blend import self_blend
from deepfake.split.manifest import Entry, write_manifest
from deepfake.split.prepare import is_prepared
from deepfake.split.store import CropStore, FolderStore, write_mark

METHOD = "self-blend"
FOLDER = "self_blended"


def with_landmarks(entries: Sequence[Entry], store: CropStore, quiet: bool = False) -> list[Entry]:
    """Return the entries with landmarks, detected in the crop if the manifest has none; others are left out.

    Raises:
        UserError: as `look_for_landmarks`.
    """
    known = [entry for entry in look_for_landmarks(entries, store, quiet) if entry.landmarks]
    if lost := len(entries) - len(known):
        log.info(f"03: {lost} of {len(entries)} real crops are left out: no face was found in them")
    return known


def look_for_landmarks(entries: Sequence[Entry], store: CropStore, quiet: bool = False) -> list[Entry]:
    """Add landmarks to real crops that have none in the manifest, if a face is found in the crop.

    Raises:
        UserError: a crop cannot be read, or no crop has landmarks.
    """
    unknown = [entry for entry in entries if not entry.landmarks]
    if not unknown:
        return list(entries)
    found = {}
    for number, png in progress(
        store.read(unknown), quiet, total=len(unknown), desc="landmarks", unit="crop", leave=False
    ):
        file = unknown[number].file
        found[file] = find_landmarks(_decode(png, file, store))
    lost = sum(points is None for points in found.values())
    if lost == len(entries):
        raise UserError(
            f"{store.folder}: no face was found in any real crop, as self-blending needs; leave --self-blend out"
        )
    return [
        replace(entry, landmarks=json.dumps(found[entry.file])) if found.get(entry.file) else entry for entry in entries
    ]


def beside_fakes(entries: Sequence[Entry], store: CropStore, quiet: bool = False) -> list[Entry]:
    """Return a training set in which the real crops have landmarks, if a face is found in them.

    Real crops without landmarks are kept, since leaving them out would unbalance the classes; fakes made from them use
    typical landmarks (`crop_set`).

    Raises:
        UserError: as `look_for_landmarks`.
    """
    real = look_for_landmarks([entry for entry in entries if entry.label == REAL], store, quiet)
    return real + [entry for entry in entries if entry.label == FAKE]


def blend_set(
    entries: Sequence[Entry], store: CropStore, folder: Path, image_size: int, seed: int, quiet: bool = False
) -> list[Entry]:
    """Write a set of real crops, each with a self-blended fake, into a folder; returns the set's entries.

    The entries must have landmarks. As in training, a crop is resized to the model's input before it is blended. The
    video id of a fake is `<id>_self-blend`.

    Raises:
        UserError: a crop cannot be read, or the folder holds other files.
    """
    split, made = entries[0].split, []
    unused = folder / f".{split}.cache"
    with (
        readable_crops(store),
        cached(crop_set(entries, store, image_size), "memory", unused, quiet) as crops,
        whole_folder(folder / split, is_prepared) as part,
    ):
        for label in LABEL_NAMES:
            (part / label).mkdir()
        pixels, points = crops.cached()
        for number, entry in enumerate(progress(entries, quiet, desc="blending", unit="crop", leave=False)):
            fake, one = _fake_of(entry), slice(number, number + 1)
            write_png(part / fake.file, self_blend(pixels[one], points[one], (seed, number))[0])
            made += [entry, fake]
        store.copy(entries, part)
    return made


def _fake_of(entry: Entry) -> Entry:
    video = f"{entry.video}_{METHOD}"
    file = file_in_set(FAKE, video, entry.frame, entry.face)
    return replace(entry, label=FAKE, file=file, video=video, original=entry.video, method=METHOD)


def _decode(png: bytes, file: str, store: CropStore) -> np.ndarray:
    try:
        return decode_png(png, Path(file).name, step="02")
    except VideoError as error:
        raise UserError(f"{store.folder}: {error}") from None


def without_fakes(
    sets: dict[str, list[Entry]], store: CropStore, out_dir: Path, image_size: int, seed: int, quiet: bool = False
) -> tuple[dict[str, list[Entry]], dict[str, CropStore]]:
    """Return the sets for training on real crops alone, and the store of each set.

    The training set holds real crops only. The validation set gets a self-blended fake for each real crop; so does the
    test set, if it has no fakes. These sets are written to `out_dir/self_blended`, with a manifest, for step 03a.

    Raises:
        UserError: as `with_landmarks` and `blend_set`.
    """
    real = {
        split: [entry for entry in entries if entry.label == REAL] for split, entries in sets.items() if split != "test"
    }
    stores, made = dict.fromkeys(sets, store), FolderStore(out_dir / FOLDER, store.rule)
    if all(entry.label == REAL for entry in sets["test"]):
        real["test"] = sets["test"]
    real = {split: with_landmarks(entries, store, quiet) for split, entries in real.items()}
    for split in real.keys() - {"train"}:
        real[split] = blend_set(real[split], store, made.folder, image_size, seed, quiet)
        stores[split] = made
    write_mark(made)
    write_manifest(made.folder, [entry for split in ("val", "test") for entry in real.get(split, ())])
    return sets | real, stores

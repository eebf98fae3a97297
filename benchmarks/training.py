#!/usr/bin/env python3
"""Measure images per second of five ways to feed training, on the crops of a drawn sample or on your own.

a: Keras' ImageDataGenerator, from the files, with the usual augmentation
b: only the project's pipeline, with the same augmentation and a warm cache
c: fit on tensors in memory, without augmentation
d: fit on the project's pipeline
e: c with the batch norms of Keras, not the fused ones of step 03

With TF_ENABLE_ONEDNN_OPTS=0 in the environment, TensorFlow does without oneDNN.

Prints the median of several rounds; a first round does not count.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import clone  # noqa: F401
import numpy as np
from test_sets import find_faces, run_step

from deepfake.evaluation.evaluate import read_sets
from deepfake.inputs.augmentation import LEVELS, Augmentation, augmenting
from deepfake.inputs.batches import training_batches
from deepfake.inputs.crop_set import CropSet, cached, crop_set
from deepfake.models.batch_norm import fuse_batch_norms
from deepfake.models.model import build_model
from deepfake.models.runtime import gpus, keras, tf
from deepfake.split.store import open_store

BATCH = 32
# so that each way takes about the same time on two cores
BATCHES = {"a": 30, "b": 150, "c": 12, "d": 12, "e": 12}
WAYS = {
    "a": "ImageDataGenerator",
    "b": "our pipeline",
    "c": "fit on tensors",
    "d": "fit on our pipeline",
    "e": "fit with Keras' batch norms",
}


def draw_crops(folder: Path) -> Path:
    """Draw and split a small sample; returns the split folder."""
    videos_dir, split_dir = folder / "videos", folder / "split_dataset"
    run_step("-m deepfake.sample", "--videos-dir", videos_dir, "--originals", 16)
    find_faces(videos_dir)
    folders = ("--prepared-dir", folder / "prepared", "--split-dir", split_dir)
    run_step("02-prepare_fake_real_dataset.py", "--videos-dir", videos_dir, *folders)
    return split_dir


def generator_flow(split_dir: Path, image_size: int, level: Augmentation):
    """Return Keras' ImageDataGenerator with the project's standard augmentation."""
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=math.degrees(level.rotation),
        width_shift_range=level.shift,
        height_shift_range=level.shift,
        shear_range=math.degrees(level.shear),
        zoom_range=level.zoom,
        horizontal_flip=True,
        fill_mode="reflect",
    )
    return generator.flow_from_directory(
        split_dir / "train",
        target_size=(image_size, image_size),
        classes=["fake", "real"],
        class_mode="binary",
        interpolation="bilinear",
        batch_size=BATCH,
    )


def speed(work: Callable[[int], None], batches: int) -> float:
    """Return the images per second of a way over a number of batches."""
    began = time.perf_counter()
    work(batches)
    return batches * BATCH / (time.perf_counter() - began)


def ways(split_dir: Path, crops: CropSet, image_size: int) -> dict[str, Callable[[int], None]]:
    """Return the five ways, each a function of the number of batches."""
    level = LEVELS["standard"]
    flow = generator_flow(split_dir, image_size, level)
    ours = iter(training_batches(crops, BATCH, level))
    model, plain = build_model(image_size, "none"), build_model(image_size, "none")
    fuse_batch_norms(model)
    trained = augmenting(model, level) if gpus() else model
    for each in (model, trained, plain):
        each.compile(keras.optimizers.Adam(1e-3), loss="binary_crossentropy", metrics=["accuracy"])
    chosen = np.resize(np.arange(len(crops)), BATCHES["c"] * BATCH)
    images, labels = tf.constant(crops.pixels[chosen], tf.float32), tf.constant(crops.labels[chosen])

    def take(batches: Iterator, count: int) -> None:
        for _ in range(count):
            next(batches)

    def fit_ours(count: int) -> None:
        batches = training_batches(crops, BATCH, level, on_accelerator=bool(gpus()))
        trained.fit(batches, steps_per_epoch=count, verbose=0, shuffle=False)

    return {
        "a": lambda count: take(flow, count),
        "b": lambda count: take(ours, count),
        "c": lambda count: model.fit(images, labels, batch_size=BATCH, verbose=0),
        "d": fit_ours,
        "e": lambda count: plain.fit(images, labels, batch_size=BATCH, verbose=0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split-dir", type=Path, help="crops of step 02 (default: a sample is drawn)")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        split_dir = args.split_dir or draw_crops(Path(folder))
        store = open_store(split_dir)
        crops = crop_set(read_sets(store)["train"], store, args.image_size)
        with cached(crops, "memory", Path(folder) / "unused") as crops:
            work = ways(split_dir, crops, args.image_size)
            speeds: dict[str, list[float]] = {way: [] for way in WAYS}
            for number in range(args.rounds + 1):
                for way, run in work.items():
                    images = speed(run, BATCHES[way])
                    if number:
                        speeds[way].append(images)
    medians = {way: statistics.median(values) for way, values in speeds.items()}
    ratios = {pair: medians[pair[0]] / medians[pair[2]] for pair in ("b/a", "d/c", "c/e")}
    for way, name in WAYS.items():
        values = ", ".join(f"{value:.0f}" for value in sorted(speeds[way]))
        print(f"{way} {name:26}{medians[way]:8.1f} images/s   (rounds: {values})")
    print(", ".join(f"{pair} {value:.2f}" for pair, value in ratios.items()))
    if args.json:
        args.json.write_text(
            json.dumps({"images_a_second": medians, "rounds": speeds, "ratios": ratios}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()

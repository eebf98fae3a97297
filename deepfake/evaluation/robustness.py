"""Measure a model's robustness: its metrics on test crops with compression, scaling, blur, noise and brightness."""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deepfake.core import cli
from deepfake.core.decision import apply_temperature
from deepfake.core.files import write_csv
from deepfake.core.messages import log
from deepfake.evaluation.calibration import video_means
from deepfake.evaluation.evaluate import crops_for, judge
from deepfake.evaluation.metrics import Figure, Ranking, auc_with_interval
from deepfake.evaluation.robustness_plot import plot_robustness
from deepfake.inputs.augmentation import compress, shrink
from deepfake.inputs.crop_set import MEMORY_BYTES, CropSet, cached, readable_crops
from deepfake.inputs.sequences import judged
from deepfake.models.info import IMAGE_SIZE, UNKNOWN, ModelInfo
from deepfake.models.model import frames_of
from deepfake.models.runtime import keras
from deepfake.split.manifest import Entry
from deepfake.split.store import CropStore

# the test set is kept in memory and predicted at every level, so videos of a larger one are left out
MAX_CROPS = 20_000

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def blur(image: np.ndarray, deviation: float, _: np.random.Generator) -> np.ndarray:
    """Apply a Gaussian blur with this standard deviation in pixels."""
    return cv2.GaussianBlur(image, (0, 0), deviation)


def add_noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise with this standard deviation (of 255) to each value."""
    noise = rng.standard_normal(image.shape, np.float32)
    return (image + deviation * noise).round().clip(0, 255).astype(np.uint8)


def brighten(image: np.ndarray, factor: float, _: np.random.Generator) -> np.ndarray:
    """Multiply all values by a factor and clip them to 255."""
    return cv2.convertScaleAbs(image, alpha=factor)


@dataclass(frozen=True)
class Damage:
    """A way to damage a crop (S x S x 3 uint8 RGB), with five levels in a `unit`.

    `change` gets the same random generator for the same crop at every level.
    """

    kind: str
    unit: str
    levels: tuple[float, ...]
    change: Change


DAMAGES = (
    Damage("JPEG", "quality", (90, 70, 50, 30, 10), lambda image, level, _: compress(image, int(level))),
    Damage("scale", "size, and back", (0.75, 0.5, 0.35, 0.25, 0.15), lambda image, level, _: shrink(image, 1 / level)),
    Damage("blur", "standard deviation, pixels", (0.5, 1, 1.5, 2, 3), blur),
    Damage("noise", "standard deviation, of 255", (4, 8, 16, 24, 32), add_noise),
    Damage("brightness", "factor", (0.3, 0.5, 0.75, 1.33, 2), brighten),
)


@dataclass(frozen=True)
class Result:
    """The ROC AUC of videos (with interval) and of frames at one level of damage."""

    kind: str
    level: float
    video_auc: Figure
    frame_auc: float


def damaged(crops: CropSet, damage: Damage, level: float, seed: int = 0) -> CropSet:
    """Damage the pixels of cached crops, deterministic given the seed."""

    cached, _ = crops.cached()
    pixels = np.empty_like(cached)

    def change(number: int) -> None:
        pixels[number] = damage.change(cached[number], level, np.random.default_rng((seed, number)))

    with ThreadPoolExecutor(cli.cores()) as pool:  # OpenCV and numpy release the GIL
        list(pool.map(change, range(len(pixels))))  # list() raises the errors of the threads
    return dataclasses.replace(crops, pixels=pixels)


def measure_robustness(
    crops: CropSet, groups: Sequence[str], judge: Callable[[CropSet], np.ndarray], seed: int = 0, quiet: bool = False
) -> tuple[Result, list[Result]]:
    """Measure the metrics of undamaged crops, and of each level of each kind in DAMAGES.

    `crops` are N cached crops, `groups` their source groups (N), and `judge` predicts p_real (N floats) of such crops.
    """
    labels = crops.labels[:, 0].astype(int)
    _, first = np.unique(crops.videos, return_index=True)  # in the order of video_means

    def result(kind: str, level: float, changed: CropSet) -> Result:
        p_real = judge(changed)
        of_videos, means = video_means(crops.videos, labels, p_real)
        auc = auc_with_interval(of_videos, means, np.asarray(groups)[first])
        return Result(kind, level, auc, Ranking(labels, p_real).auc())

    undamaged = result("none", 0, crops)
    passes = [(damage, level) for damage in DAMAGES for level in damage.levels]
    bar = cli.progress(passes, quiet, desc="damaging", unit="level", leave=False)
    return undamaged, [result(damage.kind, level, damaged(crops, damage, level, seed)) for damage, level in bar]


def report_robustness(
    model: keras.Model,
    entries: Sequence[Entry],
    store: CropStore,
    out_dir: Path,
    info: ModelInfo = UNKNOWN,
    quiet: bool = False,
) -> None:
    """Write robustness.csv and Robustness.png for some test crops, and log the worst level of each kind.

    Raises:
        UserError: a crop cannot be read.
    """
    chosen = some_videos(entries, most_crops(model.input_shape[-2] or IMAGE_SIZE))
    if len(chosen) < len(entries):
        log.info(f"03a: robustness is measured on {len(chosen)} of {len(entries)} test crops")

    def p_real(crops: CropSet) -> np.ndarray:
        return apply_temperature(judge(model, crops, info, quiet=True), info.temperature)

    crops, groups = crops_for(model, chosen, store), [entry.group for entry in judged(chosen, frames_of(model))]
    with readable_crops(store), cached(crops, "memory", out_dir / ".robustness.cache", quiet) as crops:
        undamaged, results = measure_robustness(crops, groups, p_real, quiet=quiet)
    columns = ["kind", "level", "video_auc", "video_auc_low", "video_auc_high", "frame_auc"]
    write_csv(out_dir / "robustness.csv", columns, map(_row, [undamaged, *results]))
    curves = {damage: [result for result in results if result.kind == damage.kind] for damage in DAMAGES}
    plot_robustness(
        {
            (damage.kind, damage.unit): [(f"{result.level:g}", result.video_auc) for result in of_kind]
            for damage, of_kind in curves.items()
        },
        undamaged.video_auc,
        out_dir / "Robustness.png",
    )
    log.info(f"03a: ROC AUC by video {undamaged.video_auc.value:.3f}; at the worst level of each kind of damage:")
    for damage, of_kind in curves.items():
        worst = min(of_kind, key=lambda result: (result.video_auc.value, result.frame_auc))
        log.info(f"03a:   {damage.kind:10} {worst.level:<4g} {worst.video_auc.value:.3f}")


def _row(result: Result) -> tuple:
    figure = result.video_auc
    return result.kind, result.level, figure.value, figure.low, figure.high, result.frame_auc


def most_crops(image_size: int) -> int:
    """Return the maximum number of crops of S x S pixels; originals and damaged ones must fit into MEMORY_BYTES."""
    return min(MAX_CROPS, MEMORY_BYTES // (2 * 3 * image_size**2))


def some_videos(entries: Sequence[Entry], most: int) -> list[Entry]:
    """Choose whole videos, spread evenly in order, so that they have about `most` crops; returns their crops."""
    videos = list(dict.fromkeys(entry.video for entry in entries))
    count = min(len(videos), max(1, len(videos) * most // len(entries)))
    kept = {videos[number] for number in np.linspace(0, len(videos) - 1, count).round().astype(int)}
    return [entry for entry in entries if entry.video in kept]

import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest
from conftest import move_to_table

from deepfake.commands.load_cnn import main
from deepfake.core.errors import UserError
from deepfake.core.files import write_csv
from deepfake.evaluation.evaluate import read_sets
from deepfake.evaluation.metrics import measure_with_intervals
from deepfake.evaluation.robustness import (
    DAMAGES,
    damaged,
    measure_robustness,
    most_crops,
    some_videos,
)
from deepfake.evaluation.saved_model import load_and_predict
from deepfake.frames.png import write_png
from deepfake.inputs.crop_set import MEMORY_BYTES, cached, crop_set
from deepfake.models.info import ModelInfo, write_model_info
from deepfake.split.manifest import Entry
from deepfake.split.store import open_store

SIZE = 32
BY_KIND = {damage.kind: damage for damage in DAMAGES}
FEW = tuple(dataclasses.replace(damage, levels=damage.levels[:1]) for damage in DAMAGES[:2])


def write_split(folder, crops):
    """A split of test crops alone, given as label, group, frame and pixels; each group has one video of a label."""
    entries = []
    for label, group, frame, pixels in crops:
        name = ("fake", "real")[label]
        file = f"{name}/{group}{name}-{frame:03d}-00.png"
        write_png(folder / "test" / file, pixels.astype(np.uint8))
        entries.append(Entry("test", label, file, f"{group}{name}", group, "", "", frame, 0, "0", "", 1))
    columns = [field.name for field in dataclasses.fields(Entry)]
    write_csv(folder / "manifest.csv", columns, [dataclasses.astuple(entry) for entry in entries])
    return folder


def write_model(path, weight, bias):
    """A model that knows the mean grey of a crop only: its logit is weight times that, plus the bias."""
    from deepfake.models.runtime import keras

    output = keras.layers.Dense(1, activation="sigmoid")
    layers = [keras.layers.Rescaling(1.0), keras.layers.GlobalAveragePooling2D(), output]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])
    output.set_weights([np.full((3, 1), weight / 3), np.array([bias])])
    model.save(path)
    return path


@pytest.fixture(scope="module")
def split_dir(tmp_path_factory):
    """Test crops of six groups: real ones have fine stripes, fake ones are smooth, with equal brightness."""
    rng, crops = np.random.default_rng(0), []
    stripes = 40 * (-1) ** np.arange(SIZE)[None, :, None]
    for group in range(6):
        for label in (0, 1):
            for frame in range(2):
                pixels = 120 + label * stripes + rng.integers(-3, 4, (SIZE, SIZE, 3))
                crops.append((label, f"g{group}", frame, pixels))
    return write_split(tmp_path_factory.mktemp("split"), crops)


@pytest.fixture
def crops(split_dir, tmp_path):
    with cached(
        crop_set(read_sets(open_store(split_dir), ("test",))["test"], open_store(split_dir), SIZE),
        "memory",
        tmp_path / "c",
        True,
    ) as c:
        yield c


def stripes_of(crops):
    """How striped each crop is, as a p_real."""
    grey = crops.pixels.astype(float).mean(axis=3)
    return np.clip(np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2)) / 255, 0, 1)


LEVELS = [(damage.kind, damage.levels) for damage in DAMAGES if damage.kind != "brightness"]


@pytest.mark.parametrize(("kind", "levels"), [*LEVELS, ("brightness", (0.75, 0.5, 0.3)), ("brightness", (1.33, 2))])
def test_each_level_damages_more_than_the_one_before(crops, kind, levels):
    rng = np.random.default_rng(0)
    coarse_to_fine = [cv2.resize(rng.normal(0, 20, (n, n, 3)), (SIZE, SIZE)) for n in (2, 4, 8, 16, 32)]
    pixels = np.repeat((120 + sum(coarse_to_fine)).clip(0, 255).astype(np.uint8)[None], len(crops), axis=0)
    crops = dataclasses.replace(crops, pixels=pixels)
    distances = [np.abs(damaged(crops, BY_KIND[kind], level).pixels - pixels.astype(float)).mean() for level in levels]
    assert set(levels) <= set(BY_KIND[kind].levels) and len(BY_KIND[kind].levels) == 5
    assert distances[0] > 0 and (np.diff(distances) > 0).all()


@pytest.mark.parametrize("damage", DAMAGES, ids=list(BY_KIND))
def test_damage_is_deterministic_and_leaves_the_original_crops_unchanged(crops, damage):
    before = crops.pixels.copy()
    first, again = (damaged(crops, damage, damage.levels[2], seed=3) for _ in range(2))
    assert first.pixels.dtype == np.uint8 and first.pixels.shape == crops.pixels.shape
    assert (first.pixels == again.pixels).all() and (crops.pixels == before).all()
    other = damaged(crops, damage, damage.levels[2], seed=4)
    assert (first.pixels == other.pixels).all() == (damage.kind != "noise")


def test_damage_is_what_its_level_says(crops):
    brighter = damaged(crops, BY_KIND["brightness"], 2).pixels
    assert np.abs(brighter - np.clip(2.0 * crops.pixels, 0, 255)).max() <= 0.5
    noise = damaged(crops, BY_KIND["noise"], 16).pixels.astype(float) - crops.pixels
    assert noise.std() == pytest.approx(16, rel=0.02) and abs(noise.mean()) < 0.5
    assert np.abs(noise[0] - noise[1]).mean() > 10  # each crop has its own
    blurred = damaged(crops, BY_KIND["blur"], 2).pixels[0]
    assert (blurred == cv2.GaussianBlur(crops.pixels[0], (0, 0), 2)).all()


def test_blur_and_scaling_hurt_a_model_that_relies_on_fine_stripes(crops, split_dir, monkeypatch):
    some = tuple(dataclasses.replace(damage, levels=damage.levels[:1] + damage.levels[3:]) for damage in DAMAGES)
    monkeypatch.setattr("deepfake.evaluation.robustness.DAMAGES", some)
    entries = read_sets(open_store(split_dir), ("test",))["test"]
    groups = [entry.group for entry in entries]
    undamaged, results = measure_robustness(crops, groups, stripes_of, quiet=True)
    assert undamaged.video_auc.value == undamaged.frame_auc == 1
    assert [(result.kind, result.level) for result in results] == [
        (damage.kind, level) for damage in some for level in damage.levels
    ]
    values = {(result.kind, result.level): result.video_auc.value for result in results}
    assert values["brightness", 0.3] == values["JPEG", 90] == values["blur", 0.5] == 1
    assert values["blur", 3] < 1 and values["scale", 0.25] < 1


def test_the_intervals_are_those_of_the_videos_and_their_groups(crops, split_dir, monkeypatch):
    monkeypatch.setattr("deepfake.evaluation.robustness.DAMAGES", ())
    entries = read_sets(open_store(split_dir), ("test",))["test"]
    scores = dict(zip([entry.file for entry in entries], np.random.default_rng(1).random(len(entries)), strict=True))
    undamaged, _ = measure_robustness(
        crops, [entry.group for entry in entries], lambda _: np.array(list(scores.values())), quiet=True
    )
    videos = sorted({entry.video for entry in entries})
    of = {video: [entry for entry in entries if entry.video == video] for video in videos}
    expected = measure_with_intervals(
        np.array([of[video][0].label for video in videos]),
        np.array([np.mean([scores[entry.file] for entry in of[video]]) for video in videos]),
        [of[video][0].group for video in videos],
    )["roc_auc"]
    assert dataclasses.astuple(undamaged.video_auc) == pytest.approx(dataclasses.astuple(expected))


def test_a_large_test_set_is_reduced_by_whole_videos():
    entries = [
        Entry("test", n // 50, "", f"v{n}", f"g{n}", "", "", frame, 0, "", "", 0)
        for n in range(100)
        for frame in range(3)
    ]
    chosen = some_videos(entries, 60)
    assert len(chosen) == 60 and len({entry.video for entry in chosen}) == 20
    assert sum(entry.label for entry in chosen) == 30
    assert some_videos(entries, 1000) == entries


def test_fewer_large_crops_are_used_to_fit_into_memory_twice():
    assert most_crops(128) == 20_000
    assert most_crops(600) < 20_000 and 2 * most_crops(600) * 600 * 600 * 3 <= MEMORY_BYTES


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "best_model.keras", weight=0.02, bias=-2.4)


def test_robustness_option_of_03a_writes_a_plot_and_a_table(split_dir, model_path, tmp_path, capsys, monkeypatch):
    folders = ["--model", str(model_path), "--split-dir", str(split_dir), "--out-dir", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["03a", *folders, "--robustness", "--quiet"])
    assert main() == 0
    with (tmp_path / "robustness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 26 and rows[0]["kind"] == "none"
    assert {row["kind"] for row in rows[1:]} == set(BY_KIND)
    assert all(0 <= float(row["video_auc_low"]) <= float(row["video_auc_high"]) <= 1 for row in rows)
    by_frame = json.loads((tmp_path / "metrics_frames.json").read_text())["metrics"]["roc_auc"]["value"]
    assert float(rows[0]["frame_auc"]) == pytest.approx(by_frame)
    assert cv2.imread(str(tmp_path / "Robustness.png")).shape[1] > 1800
    assert not (tmp_path / ".robustness.cache").exists()
    said = capsys.readouterr().out.splitlines()[-6:]
    assert said[0].startswith(f"03a: ROC AUC by video {float(rows[0]['video_auc']):.3f}")
    assert [line.split()[1] for line in said[1:]] == list(BY_KIND)


def test_crops_in_parquet_are_judged_as_those_in_files(split_dir, model_path, tmp_path, monkeypatch):
    monkeypatch.setattr("deepfake.evaluation.robustness.DAMAGES", FEW)
    moved = move_to_table(split_dir, tmp_path / "moved")
    for folder, out in ((split_dir, "files"), (moved, "table")):
        load_and_predict(model_path, folder, tmp_path / out, quiet=True, robustness=True)
    for name in ("cnn_preds_values.json", "metrics_frames.json", "robustness.csv"):
        assert (tmp_path / "files" / name).read_bytes() == (tmp_path / "table" / name).read_bytes()
    assert not list((tmp_path / "table").glob(".*"))


def test_a_temperature_is_applied_to_frames_and_not_to_videos(tmp_path, monkeypatch):
    """Without temperature, one very confident frame outweighs the others of its video."""
    greys = [(0, 0, 180), (0, 1, 90), (1, 0, 130), (1, 1, 135)]  # logits 8 and -1 of the fake, 3 and 3.5 of the real
    crops = [(label, "g", frame, np.full((SIZE, SIZE, 3), grey)) for label, frame, grey in greys]
    split_dir = write_split(tmp_path / "split", crops)
    model = write_model(tmp_path / "model.keras", weight=0.1, bias=-10)
    write_model_info(ModelInfo(temperature=20.0), tmp_path / "model.json")
    monkeypatch.setattr("deepfake.evaluation.robustness.DAMAGES", FEW)
    for calibrated, video_auc in ((False, "1.0"), (True, "0.0")):
        load_and_predict(model, split_dir, tmp_path, quiet=True, calibrated=calibrated, robustness=True)
        undamaged = (tmp_path / "robustness.csv").read_text().splitlines()[1]
        assert undamaged.split(",")[:3] == ["none", "0", video_auc]


def test_a_crop_that_is_not_an_image_is_the_users_error(split_dir, model_path, tmp_path):
    for path in (split_dir / "manifest.csv", *split_dir.glob("test/*/*.png")):
        (tmp_path / path.relative_to(split_dir)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(split_dir)).write_bytes(path.read_bytes())
    next(tmp_path.glob("test/real/*.png")).write_bytes(b"no image")
    with pytest.raises(UserError, match="not an image"):
        load_and_predict(model_path, tmp_path, tmp_path / "out", quiet=True, robustness=True)

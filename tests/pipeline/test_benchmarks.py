"""The benchmarks: re-encoded videos, test sets of all crops, and printed tables."""

import argparse
import json
import os
import re
import subprocess
import sys
import zipfile

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, make_crops, make_video, touch, write_metadata

from deepfake.core.files import digest_of
from deepfake.datasets.video import Video
from deepfake.faces.crop import Face
from deepfake.models.info import ModelInfo, write_model_info
from deepfake.split.manifest import Entry, read_manifest

sys.path.append(str(ROOT / "benchmarks"))  # as for a script that is started there

import augmentation
import compare_models
import real_faces as of_real_faces
import recall
import sample_accuracy
import test_sets
import uncertain
import unseen_methods
import variants
from augmentation import Damage, Result


@pytest.mark.slow
def test_benchmarks_find_the_package_from_any_folder(tmp_path):
    for path in (ROOT / "benchmarks").glob("*.py"):
        needed = re.search(r"^(import|from) deepfake\b", path.read_text(), re.MULTILINE)
        assert not needed or "\nimport clone  # noqa: F401\n" in path.read_text()[: needed.start()], path.name
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, ROOT / "benchmarks" / "uncertain.py", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("usage: uncertain.py"), done.stderr


def frames_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("damage", augmentation.HARDER.values(), ids=augmentation.HARDER)
def test_encoding_again_keeps_the_frames_and_loses_detail(tmp_path, damage):
    source = make_video(tmp_path / "good.mp4", frames=12, size=(98, 74))
    augmentation.encode_again(source, tmp_path / "worse.mp4", damage)
    before, after = frames_of(source), frames_of(tmp_path / "worse.mp4")
    assert len(after) == len(before)
    assert after[0].shape[:2] == ((74, 98) if damage.shrink == 1 else (36, 48))
    detail = [
        np.mean([cv2.Laplacian(cv2.cvtColor(cv2.resize(image, (98, 74)), cv2.COLOR_RGB2GRAY), cv2.CV_64F).std()])
        for image in (before[5], after[5])
    ]
    assert detail[1] < 0.9 * detail[0]


def test_encoding_again_gives_the_same_bytes(tmp_path):
    source = make_video(tmp_path / "good.mp4")
    for name in ("one.mp4", "two.mp4"):
        augmentation.encode_again(source, tmp_path / name, Damage(crf=35, shrink=2))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_a_damaged_dataset_has_the_chosen_videos_with_their_records(tmp_path):
    records = {f"{name}.mp4": {"label": "REAL", "sample": True} for name in "ab"}
    for name in records:
        make_video(tmp_path / "videos" / name, frames=3)
    (tmp_path / "videos" / "metadata.json").write_text(json.dumps(records))
    worse = tmp_path / "worse"
    augmentation.damage_videos(tmp_path / "videos", {"b"}, Damage(crf=35), worse)
    assert json.loads((worse / "metadata.json").read_text()) == {"b.mp4": records["b.mp4"]}
    assert sorted(path.name for path in worse.iterdir()) == ["b.mp4", "metadata.json"]


def test_a_test_set_holds_every_crop_and_nothing_else(tmp_path):
    records = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}}
    for id, crops in {"a": 1, "b": 3}.items():
        (tmp_path / "videos" / id / "faces").mkdir(parents=True)
        for number in range(crops):
            cv2.imwrite(str(tmp_path / "videos" / id / "faces" / f"{id}-{number:03d}-00.png"), np.zeros((9, 9, 3)))
    (tmp_path / "videos" / "metadata.json").write_text(json.dumps(records))
    test_sets.split_as_test(tmp_path / "videos", tmp_path / "split_dataset")
    entries = read_manifest(tmp_path / "split_dataset")
    assert [entry.video for entry in entries] == ["a", "b", "b", "b"]
    assert {(entry.split, entry.group) for entry in entries} == {("test", "a")}
    assert all((tmp_path / "split_dataset" / "test" / entry.file).is_file() for entry in entries)


@pytest.mark.slow
def test_a_failed_step_shows_its_output():
    with pytest.raises(SystemExit, match="--epochs"):
        test_sets.run_step("03-train_cnn.py", "--epochs", 0)


def test_videos_are_judged_by_the_mean_of_their_frames(tmp_path):
    table = {"video": list("aaabb"), "label": [1, 1, 1, 0, 0], "p_real": [0.9, 0.8, 0.1, 0.2, 0.7]}
    pd.DataFrame(table).to_parquet(tmp_path / "predictions.parquet")
    result = augmentation.judge(tmp_path / "predictions.parquet")
    assert (result.frames_right, result.frames, result.videos_right, result.videos) == (3, 5, 2, 2)
    assert result.roc_auc == pytest.approx(4 / 6)


def test_results_are_pooled_by_adding_counts():
    assert augmentation.pool([Result(1, 2, 1, 1, 0.5), Result(8, 8, 0, 1, 1.0)]) == Result(9, 10, 1, 2, 0.75)


def test_the_table_has_a_row_for_each_test_and_a_column_for_each_variant():
    results = {"clean": {"none": Result(9, 10, 1, 2, 0.75), "strong": Result(10, 10, 2, 2, 1.0)}}
    lines = augmentation.table(results, {"none": 12.0, "strong": 15.5})
    assert [line.split() for line in lines] == [
        ["none", "strong"],
        ["clean", "(10", "crops,", "2", "videos)", "0.900", "0.500", "0.750", "1.000", "1.000", "1.000"],
        ["seconds", "an", "epoch", "12.0", "15.5"],
    ]


@pytest.mark.slow
def test_the_seconds_of_the_median_epoch_are_read():
    lines = ["03: epoch 1 of 3, step 4 of 7: loss 0.512, accuracy 0.741, 21.3 crops/s, 1 min left"]
    lines += [f"03: epoch 1 of 3: loss 0.5; in validation loss 0.6; {count} s, 21.3 crops/s" for count in (44, 12, 14)]
    printed = "\n".join(["03: training", *lines])
    assert augmentation.seconds_an_epoch(printed) == 14


def test_a_variant_is_a_name_and_options():
    assert augmentation.variant("long=--augment strong --epochs 12") == ("long", "--augment strong --epochs 12")


def test_figures_are_shown_with_their_intervals():
    rows = {
        "frames": {
            "accuracy": {"value": 0.9, "low": 0.851, "high": 0.95},
            "roc_auc": {"value": None, "low": None, "high": None},
        }
    }
    head, line = sample_accuracy.figure_lines("seed 0", rows, ("accuracy", "roc_auc"))
    assert head.split() == ["seed", "0", "accuracy", "ROC", "AUC"]
    assert line.split() == ["frames", "0.900", "(0.85-0.95)", "-"]


def test_the_log_loss_is_shown_before_and_after_calibration(tmp_path):
    losses = {"val_log_loss_before": 0.4, "val_log_loss_after": 0.3}
    losses |= {"test_log_loss_before": 0.5, "test_log_loss_after": 0.45}
    (tmp_path / "run.json").write_text(json.dumps({"calibration": {"temperature": 1.5} | losses}))
    assert sample_accuracy.calibration_line(tmp_path) == (
        "  calibration: temperature 1.50; log loss val 0.400 before, 0.300 after; test 0.500 before, 0.450 after"
    )


def test_uncertain_and_right_videos_are_counted_by_number_of_crops():
    scores = {"a": (1, [0.9, 0.5, 0.9]), "b": (1, [0.6, 0.6, 0.6]), "c": (0, [0.1, 0.1, 0.1]), "d": (0, [0.9] * 3)}
    entries = [
        Entry("test", label, "", video, video, "", "", frame, 0, "", "", 0)
        for video, (label, values) in scores.items()
        for frame in range(len(values))
    ]
    raw = np.concatenate([values for _, values in scores.values()])
    info = ModelInfo(temperature=2.0, bands={1: (0.3, 0.6), 3: None})  # 0.5 and 0.55 of these lie within
    rows = [dict(zip(uncertain.HEAD, row[:6], strict=False)) for row in uncertain.rows_of("test", entries, raw, info)]
    assert [row["crops"] for row in rows] == ["1", "3", "all"]
    assert [row["uncertain"] for row in rows] == ["0.500", "0.000", "0.000"]
    assert [row["right"] for row in rows] == ["0.500", "0.750", "0.750"]
    assert [row["of certain"] for row in rows] == ["0.500", "0.750", "0.750"]


def test_a_method_is_measured_against_all_real_videos(tmp_path):
    rows = [("r1", 1, "", 0.9), ("r1", 1, "", 0.7), ("r2", 1, "", 0.3)]
    rows += [
        (f"{method}{number}", 0, method, p) for method in unseen_methods.METHODS for number, p in enumerate((0.1, 0.5))
    ]
    table = pd.DataFrame(rows, columns=["video", "label", "method", "p_real"])
    table.loc[table["video"] == "seam1", "p_real"] = 0.2
    table.to_parquet(tmp_path / "predictions.parquet")
    found = unseen_methods.auc_by_method(tmp_path / "predictions.parquet")
    assert found == {"seam": 1.0} | dict.fromkeys(("colour", "blur", "warp", "flicker"), 0.75)


def test_a_sequence_model_is_compared_after_the_model_it_starts_from():
    names = list(compare_models.RUNS)
    assert names.index("efficientnet-b0-lstm") > names.index("efficientnet-b0")


def test_a_sample_drawn_with_other_arguments_is_refused(tmp_path):
    split_dir = tmp_path / "split_dataset"
    assert not test_sets.is_drawn(split_dir, ["--originals", 48])
    split_dir.mkdir()
    (split_dir / "manifest.csv").touch()
    assert test_sets.is_drawn(split_dir, ["--originals", 48])
    with pytest.raises(SystemExit, match="drawn with --originals 48, not --originals 60; give another --dir"):
        test_sets.is_drawn(split_dir, ["--originals", 60])
    (tmp_path / "sample.json").unlink()  # one that was drawn before there were notes
    assert test_sets.is_drawn(split_dir, ["--originals", 60])


def test_a_complete_frame_model_is_not_retrained(tmp_path):
    note = tmp_path / "meso4" / "options.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"options": [*compare_models.RUNS["meso4"].split(), "--seed", "0"]}))
    compare_models.train("meso4", note.parent, tmp_path / "no_split", seed=0)  # step 03 would fail without a split
    assert note.exists()


@pytest.mark.slow
def test_a_sequence_model_is_retrained_from_another_start(tmp_path):
    start = tmp_path / "efficientnet-b0" / "tmp_checkpoint" / "best_model.keras"
    start.parent.mkdir(parents=True)
    start.write_bytes(b"a model")
    note = tmp_path / "efficientnet-b0-lstm" / "options.json"
    note.parent.mkdir()
    options = compare_models.RUNS["efficientnet-b0-lstm"].replace("MODEL", str(start)).split()
    for of_start in ({}, {"start": digest_of(start)}):  # an older note says nothing of it
        note.write_text(json.dumps({"options": [*options, "--seed", "0"]} | of_start))
        compare_models.train(note.parent.name, note.parent, tmp_path / "no_split", seed=0)
    start.write_bytes(b"the model of another training")
    with pytest.raises(SystemExit, match=r"03-train_cnn\.py .* failed"):
        compare_models.train(note.parent.name, note.parent, tmp_path / "no_split", seed=0)
    assert not note.exists()


@pytest.mark.slow
def test_a_failed_run_of_a_left_out_method_is_incomplete(tmp_path):
    args = argparse.Namespace(model="meso4", image_size=None, epochs=1, training="")
    (tmp_path / "options.json").write_text('{"options": ["--others"]}')
    with pytest.raises(SystemExit, match=r"03-train_cnn\.py .* failed"):
        unseen_methods.train_and_test(tmp_path, unseen_methods.WAYS["plain"], "seam", args, 0, (tmp_path, tmp_path))
    assert not (tmp_path / "options.json").exists()


def test_variants_of_videos_are_short_and_the_same_for_the_same_seed(tmp_path):
    source = make_video(tmp_path / "a.mp4", frames=30, size=(98, 74))
    made = []
    for folder, seed in (("one", 3), ("other", 3), ("next", 4)):
        variants.make_variants([source], 3, seed, tmp_path / folder)
        made.append([path.read_bytes() for path in sorted((tmp_path / folder).iterdir())])
    assert made[0] == made[1] != made[2]
    frames = frames_of(tmp_path / "one" / "002-a.mp4")
    assert len(made[0]) == 3 and len(frames) == 11
    assert 0.3 * 74 < frames[0].shape[0] <= 2 * 74 and frames[0].shape[1] <= 2 * 98


def test_faces_are_found_kept_lost_or_more_by_confidence_and_size():
    frame = np.zeros((200, 200, 3), np.uint8)
    theirs = [((0, 0, 30, 40), 0.99), ((100, 0, 50, 50), 0.96), ((100, 100, 50, 50), 0.85)]
    ours = [Face((1, 0, 30, 40), (), 0.97), Face((100, 1, 50, 50), (), 0.94), Face((20, 120, 50, 50), (), 0.9)]
    faces = recall.see("a", frame, theirs, ours) + recall.see("b", frame, theirs[1:2], ours[1:2])
    rows = {(row[0], row[1]): row[2:] for row in map(str.split, recall.table(recall.Comparison(1, faces))[1:-1])}
    assert rows["0.95", "20-40"] == ["1", "1", "1", "0", "0", "1.0000"]
    assert rows["0.95", "40-80"] == ["2", "0", "1", "1", "0", "0.5000"]  # the surest face of the second is rescued
    assert rows["0.8", "40-80"] == ["3", "2", "1", "1", "1", "0.6667"]
    assert rows["0.8", "all"] == ["4", "3", "2", "1", "1", "0.7500"]


def test_the_figures_of_real_faces_name_the_fakes_and_what_the_band_leaves():
    labels, p_real = np.array([1, 1, 0, 0, 0, 1]), np.array([0.9, 0.6, 0.2, 0.45, 0.8, 0.55])
    info = ModelInfo(threshold=0.5, bands={1: (0.4, 0.55)})
    lines = dict(
        re.split("  +", line.strip(), maxsplit=1)
        for line in of_real_faces.figure_lines(labels, p_real, list("abcdef"), info)
    )
    assert list(lines)[:8] == list(of_real_faces.FIGURES.values())
    assert re.fullmatch(r"0\.667 \(0\.\d{3} to 1\.000\)", lines["recall of fakes"])
    assert lines["precision of fakes"].startswith("1.000") and lines["specificity"].startswith("1.000")
    assert lines["uncertain"] == "0.333 (2 of 6)" and lines["right among the certain"] == "0.750 (3 of 4)"
    assert of_real_faces.band_lines(labels, p_real, ModelInfo()) == ["the model has no uncertain band"]


def test_clips_are_listed_with_their_truth_and_faceless_ones_do_not_count():
    videos = {f"x/{name}.mp4": Video(name, f"{name}.mp4", label) for name, label in (("a", 1), ("b", 0), ("c", 0))}
    rows = [
        {"name": "x/a.mp4", "verdict": "REAL", "p_real": 0.9, "frames": 11, "reason": np.nan},
        {"name": "x/b.mp4", "verdict": "FAKE", "p_real": 0.1, "frames": 10, "reason": np.nan},
        {"name": "x/c.mp4", "verdict": "UNKNOWN", "p_real": np.nan, "frames": 0, "reason": "no face in any frame"},
    ]
    lines = of_real_faces.clip_lines(videos, rows)
    assert [line.split() for line in lines[:3]] == [
        ["REAL", "REAL", "p_real", "0.900,", "11", "frames", "a.mp4"],
        ["FAKE", "FAKE", "p_real", "0.100,", "10", "frames", "b.mp4"],
        ["FAKE", "UNKNOWN", "no", "face", "in", "any", "frame", "c.mp4"],
    ]
    assert lines[3].startswith("  ROC AUC by video 1.000") and lines[3].endswith("2 of 3 clips, 2 source groups")


def test_the_robustness_of_real_faces_is_read_by_kind(tmp_path):
    head = "kind,level,video_auc,video_auc_low,video_auc_high,frame_auc\n"
    (tmp_path / "robustness.csv").write_text(f"{head}none,0,0.9,0.8,1,0.9\nJPEG,30,0.7,0.6,0.8,0.7\nblur,2,0.5,,,0.5\n")
    (line,) = of_real_faces.robustness_lines(tmp_path / "robustness.csv")
    assert line.split() == ["more", "compressed", "JPEG", "30", "0.700", "(0.600", "to", "0.800)"]


def test_a_split_of_other_faces_and_faces_without_a_test_set_are_refused(tmp_path):
    for name, split in (("own", "test"), ("none", "")):
        touch(tmp_path / name, "a/0.png")
        (tmp_path / name / "metadata.csv").write_text(f"file,label,split\na,REAL,{split}\n")
    with pytest.raises(SystemExit, match=r"none: has no test set of its own"):
        of_real_faces.prepare(tmp_path / "none", tmp_path)
    (tmp_path / "videos").mkdir()
    make_crops(tmp_path / "videos", "b")
    write_metadata(tmp_path / "videos", {"b.mp4": "REAL"})
    test_sets.split_as_test(tmp_path / "videos", tmp_path / "split_dataset")
    with pytest.raises(SystemExit, match=r"own; give another --work"):
        of_real_faces.prepare(tmp_path / "own", tmp_path)


@pytest.mark.slow
def test_real_faces_are_judged_from_their_folders_to_the_figures(real_faces, tmp_path, capsys):
    for name, part in (("train-0", 0), ("val-test", 38)):
        with zipfile.ZipFile(real_faces / f"{name}.zip") as archive:
            names = [file for file in archive.namelist() if file.startswith(f"dfdc_train_part_{part}/")]
            images = [file for file in names if file.endswith(".jpg")]
            archive.extractall(tmp_path / "faces", [*(set(names) - set(images)), *images[:: len(images) // 30]])
    from deepfake.models.runtime import keras

    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, activation="sigmoid")]
    keras.Sequential([keras.Input((32, 32, 3)), *layers]).save(tmp_path / "grey.keras")
    write_model_info(ModelInfo("grey", 32, bands={1: (0.4, 0.6)}), tmp_path / "grey.json")
    options = {"robustness": False, "clips": None}
    args = argparse.Namespace(faces_dir=tmp_path / "faces", model=tmp_path / "grey.keras", **options)
    of_real_faces.measure(args, tmp_path / "work")
    out = capsys.readouterr().out
    tested = sum(entry.split == "test" for entry in read_manifest(tmp_path / "work" / "split_dataset"))
    assert tested >= 30 and f"band 0.4 to 0.6: {tested} test crops of {tested} videos" in out
    assert re.search(r"ROC AUC +0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\)", out)
    assert re.search(rf"AUC of dfdc_train_part_38 +0\.\d{{3}} \({tested} crops\)", out) and "Seferbekov 2020" in out

"""What the benchmarks make and print: worse copies of videos, test sets of all crops, and their tables."""

import argparse
import json
import sys

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, make_video

from deepfake.cropping import Face
from deepfake.files import digest_of
from deepfake.splits import read_manifest

sys.path.append(str(ROOT / "benchmarks"))  # as for a script that is started there

import augmentation
import compare_models
import recall
import sample_accuracy
import test_sets
import unseen_methods
import variants
from augmentation import Damage, Result


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


def test_a_step_that_fails_shows_its_words():
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


def test_a_sample_that_was_drawn_otherwise_is_not_taken_for_this_one(tmp_path):
    split_dir = tmp_path / "split_dataset"
    assert not test_sets.is_drawn(split_dir, ["--originals", 48])
    split_dir.mkdir()
    (split_dir / "manifest.csv").touch()
    assert test_sets.is_drawn(split_dir, ["--originals", 48])
    with pytest.raises(SystemExit, match="drawn with --originals 48, not --originals 60; give another --dir"):
        test_sets.is_drawn(split_dir, ["--originals", 60])
    (tmp_path / "sample.json").unlink()  # one that was drawn before there were notes
    assert test_sets.is_drawn(split_dir, ["--originals", 60])


def test_a_frame_model_that_is_there_whole_is_not_trained_again(tmp_path):
    note = tmp_path / "meso4" / "options.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"options": [*compare_models.RUNS["meso4"].split(), "--seed", "0"]}))
    compare_models.train("meso4", note.parent, tmp_path / "no_split", seed=0)  # step 03 would fail without a split
    assert note.exists()


def test_a_sequence_model_is_trained_again_from_another_start_and_is_not_whole_until_that_ends(tmp_path):
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


def test_a_run_of_a_left_out_method_that_fails_is_not_whole(tmp_path):
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

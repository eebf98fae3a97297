import json

import numpy as np
import pandas as pd
import pytest

from deepfake.core.errors import UserError
from deepfake.core.files import digest_of
from deepfake.evaluation.compare_runs import as_text, compare, compare_all, in_words, read_runs, short_names
from deepfake.evaluation.predictions import write_predictions
from deepfake.split.manifest import Entry


def write_run(folder, skill, groups=40, first=0, seed=0, **fields):
    """A run on an original and a fake of each group, three frames each; `skill` is how far apart they are judged."""
    rng, entries, p_real = np.random.default_rng(seed), [], []
    for group in range(first, first + groups):
        # what is hard of a group is hard for every run: the same for the same group
        hard = np.random.default_rng(group).normal(0, 0.2)
        for label in (0, 1):
            for frame in range(3):
                id = f"g{group}-{label}"
                file = f"{['fake', 'real'][label]}/{id}-{frame:03d}-00.png"
                entries.append(Entry("test", label, file, id, f"g{group}", "", "", frame, 0, "0", "", 1))
                p_real.append(0.5 + hard + skill * (label - 0.5) + rng.normal(0, 0.05))
    folder.mkdir(parents=True)
    write_predictions(entries, np.clip(p_real, 0.001, 0.999), folder)
    arguments = {"weights": "none", "split_dir": "split_dataset"}
    (folder / "run.json").write_text(json.dumps({"arguments": arguments} | fields))
    return folder / "run.json"


def test_a_run_is_measured_by_video_with_its_own_threshold(tmp_path):
    path = write_run(tmp_path / "a", 0.3, model="meso4", parameters=27977, seconds_per_step=0.25, threshold=0.6)
    (run,) = read_runs([path])
    frames = pd.read_parquet(tmp_path / "a" / "cnn_preds_values.parquet")
    means = frames.groupby("video")["p_real"].mean()
    labels = frames.groupby("video")["label"].first()
    assert len(run.videos) == 80
    assert run.figures["accuracy"].value == pytest.approx(((means > 0.6) == (labels == 1)).mean())
    above = np.subtract.outer(means[labels == 1].to_numpy(), means[labels == 0].to_numpy()) > 0
    assert run.figures["roc_auc"].value == pytest.approx(above.mean())
    assert (run.name, run.model, run.weights, run.parameters, run.seconds_per_step) == (
        ("a", "meso4", "none", 27977, 0.25)
    )


def test_an_older_run_without_these_fields_has_dashes(tmp_path):
    row = as_text(read_runs([write_run(tmp_path / "old", 0.3)]), []).splitlines()[1].split()
    assert row[:8] == ["old", "-", "none", "split_dataset", "-", "-", "80", "40"]


@pytest.mark.slow
def test_a_much_better_run_is_better_than_chance_and_its_twin_is_not(tmp_path):
    good, twin, poor = (
        write_run(tmp_path / name, skill, seed=seed)
        for seed, (name, skill) in enumerate([("good", 0.6), ("twin", 0.6), ("poor", 0.1)])
    )
    runs = read_runs([poor, good, twin])
    words = [in_words(comparison) for comparison in compare_all(runs)]
    assert words[0].startswith("good is better than poor by 0.") and words[0].endswith(": more than chance")
    assert words[1].startswith("twin is better than poor by 0.") and words[1].endswith(": more than chance")
    assert words[2].endswith(": no more than chance")


def test_the_same_predictions_are_equal(tmp_path):
    runs = read_runs([write_run(tmp_path / name, 0.3) for name in "ab"])
    assert in_words(compare(*runs)) == "a and b are equal (0.000 to 0.000), p 1.000: no more than chance"


def test_five_source_groups_decide_nothing(tmp_path):
    runs = read_runs([write_run(tmp_path / name, skill, groups=5) for name, skill in (("a", 0.8), ("b", -0.8))])
    assert in_words(compare(*runs)).endswith(": 5 source groups are too few to tell from chance")


def test_one_source_group_has_no_interval(tmp_path):
    runs = read_runs([write_run(tmp_path / name, skill, groups=1) for name, skill in (("a", 0.8), ("b", -0.8))])
    expected = "a is better than b by 1.000: one source group is too few to tell from chance"
    assert in_words(compare(*runs)) == expected
    assert "nan" not in as_text(runs, compare_all(runs))


def test_runs_on_different_videos_are_compared_on_those_in_common(tmp_path):
    runs = read_runs([write_run(tmp_path / "a", 0.6), write_run(tmp_path / "b", 0.1, first=20)])
    text = as_text(runs, compare_all(runs))
    assert "tested on different videos" in text
    assert ", on the 40 videos in common: more than chance" in text
    assert compare(*runs).groups == 20


def test_runs_without_a_video_in_common_are_not_compared(tmp_path):
    runs = read_runs([write_run(tmp_path / "a", 0.6), write_run(tmp_path / "b", 0.1, first=90)])
    assert in_words(compare(*runs)) == "a and b have no test videos in common: not compared"


@pytest.mark.slow
def test_many_runs_are_compared_with_the_best_one_only(tmp_path):
    runs = read_runs([write_run(tmp_path / f"r{n}", 0.1 * n, groups=10) for n in range(1, 6)])
    comparisons = compare_all(runs)
    assert len(comparisons) == 4
    best = max(runs, key=lambda run: run.figures["roc_auc"].value).name
    assert all(best in (comparison.better.name, comparison.other.name) for comparison in comparisons)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/x/runs/a", "/x/runs/b"], ["a", "b"]),
        (["/x/seed0/variants/a", "/x/seed1/variants/a"], ["seed0", "seed1"]),
        (["/x/seed0/v/a", "/x/seed1/v/a", "/x/seed0/v/b"], ["seed0/a", "seed1/a", "seed0/b"]),
        (["/x/a", "/x/a/b"], ["a", "b"]),
        (["/a", "/x/a"], ["/", "x"]),
        (["/x/y/a"], ["a"]),
        (["split", "split"], ["split", "split"]),
        ([], []),
    ],
)
def test_names_are_short_and_unique(paths, names):
    short = short_names(paths)
    assert [short[path] for path in paths] == names


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not readable as JSON"),
        ("[]", "has no arguments of a run"),
        ('{"arguments": {}, "threshold": "high"}', "threshold is 'high'"),
        ('{"arguments": {"split_dir": 3}}', "split_dir is 3"),
    ],
)
def test_a_file_that_is_no_run_is_the_users_error(tmp_path, content, told):
    path = write_run(tmp_path / "a", 0.3, groups=2)
    path.write_text(content)
    with pytest.raises(UserError, match=told):
        read_runs([path])


def test_predictions_that_are_missing_or_damaged_are_the_users_error(tmp_path):
    path = write_run(tmp_path / "a", 0.3, groups=2)
    predictions = tmp_path / "a" / "cnn_preds_values.parquet"
    predictions.write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not predictions of step 03"):
        read_runs([path])
    predictions.unlink()
    with pytest.raises(UserError, match="not found beside"):
        read_runs([path])
    with pytest.raises(UserError, match="given twice"):
        read_runs([path, tmp_path / "a"])


def test_predictions_that_are_not_those_of_their_run_json_are_refused(tmp_path):
    path = write_run(tmp_path / "a", 0.3, groups=2)
    own = digest_of(tmp_path / "a" / "cnn_preds_values.parquet")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"predictions": own}))
    assert [run.name for run in read_runs([path])] == ["a"]
    write_run(tmp_path / "other", 0.5, groups=2)
    (tmp_path / "other" / "cnn_preds_values.parquet").replace(tmp_path / "a" / "cnn_preds_values.parquet")
    with pytest.raises(UserError, match=r"run step 03 again, or give 03a .*--out-dir"):
        read_runs([path])


@pytest.mark.slow
def test_the_table_shows_weights_file_and_dataset(tmp_path):
    arguments = {"weights": "/runs/faces/tmp_checkpoint/best_model.keras", "split_dir": "/data/dfdc/split_dataset"}
    text = as_text(read_runs([write_run(tmp_path / "a", 0.3, arguments=arguments)]), [])
    assert text.splitlines()[1].split()[2:4] == ["best_model.keras", "dfdc/split_dataset"]
    assert "a step is one batch of the run" in text

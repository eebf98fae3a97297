from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfake.core.errors import UserError
from deepfake.core.files import write_json
from deepfake.evaluation.predictions import COLUMNS
from deepfake.split.manifest import Entry
from deepfake.verdicts.aggregates import aggregate_videos
from deepfake.verdicts.combining import AGGREGATES, combine
from deepfake.verdicts.read_predictions import (
    FEW,
    SEQUENCES,
    add_people,
    facts_of_frames,
    is_empty,
    json_to_parquet,
    read_predictions,
    scratch_folder,
)


def draw(frame_numbers: int, seed: int = 0) -> pd.DataFrame:
    """Videos of 1 to 40 frames with 1 to 3 people, strays and faces of nobody; some numbers tie or are at the edges."""
    rng = np.random.default_rng(seed)
    rows = []
    for video in range(150):
        level = rng.choice([0.1, 0.5, 0.95])
        for frame in rng.choice(frame_numbers, rng.integers(1, 41), replace=False):
            for face in range(rng.integers(1, 4)):
                p_real = rng.choice([0.8, 0.2, 0.5, rng.random(), *np.clip(rng.normal(level, 0.1, 3), 0, 1)])
                person = rng.choice([str(face), str(rng.integers(0, 9)), ""], p=[0.8, 0.1, 0.1])
                rows.append([video % 2, f"v{video:03d}", f"g{video % 7}", "", frame, face, person, p_real])
    return pd.DataFrame(rows, columns=[*COLUMNS, "p_real"])


def write(table: pd.DataFrame, path):
    columns = {key: pa.array(table[key], kind) for key, kind in COLUMNS.items() if key in table}
    pq.write_table(pa.table(columns | {"p_real": table["p_real"].to_numpy(float)}), path)
    return path


def counted_people(video: pd.DataFrame) -> dict[str, float]:
    """The mean p_real of each person who is in three frames, or in a quarter of the video's."""
    people = {person: rows for person, rows in video.groupby("person") if person}
    frames = video["frame"].nunique()
    enough = {
        key for key, rows in people.items() if rows["frame"].nunique() >= 3 or rows["frame"].nunique() >= frames / 4
    }
    return {key: people[key]["p_real"].mean() for key in enough}


def confident(p_real: np.ndarray) -> float:
    fake, real = p_real[1 - p_real > 0.8], p_real[p_real > 0.8]
    if len(fake) / len(p_real) > 0.4:
        return fake.mean()
    return real.mean() if len(real) / len(p_real) > 0.9 else p_real.mean()


REFERENCES = {
    "mean": lambda video: video["p_real"].mean(),
    "median": lambda video: median(video["p_real"]),
    "confident": lambda video: confident(video["p_real"].to_numpy()),
    "per-face": lambda video: min(counted_people(video).values(), default=video["p_real"].mean()),
}


def aggregates(spark, path, aggregate) -> pd.DataFrame:
    frames = read_predictions(spark, path)
    return aggregate_videos(frames, aggregate).toArrow().to_pandas().set_index("video").sort_index()


@pytest.mark.spark
@pytest.mark.parametrize("frame_numbers", [40, 500], ids=["few", "many"])
@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_every_aggregate_is_that_of_a_plain_reference(spark, tmp_path, aggregate, frame_numbers):
    table = draw(frame_numbers)
    path = write(table, tmp_path / "p.parquet")
    assert facts_of_frames([path]) == {FEW: frame_numbers == 40, SEQUENCES: False}
    videos = dict(list(table.groupby("video")))
    result = aggregates(spark, path, aggregate)
    expected = [REFERENCES[aggregate](video) for video in videos.values()]
    assert np.abs(result["average"].to_numpy() - expected).max() < 1e-9
    in_python = [
        combine(*(video[name].tolist() for name in ("p_real", "frame", "person")), aggregate)
        for video in videos.values()
    ]
    assert np.abs(np.array(in_python) - expected).max() < 1e-9
    assert result["frames"].tolist() == [len(video) for video in videos.values()]
    known = {key: video["person"].any() for key, video in videos.items()}
    people = {key: len(counted_people(video)) if known[key] else None for key, video in videos.items()}
    assert {key: None if np.isnan(count) else count for key, count in result["people"].items()} == people


FACES = {
    "confident": {
        "two of five are not more than two fifths": ([0.1, 0.1, 0.5, 0.5, 0.5], 0.34),
        "more than two fifths are sure of a fake": ([0.1, 0.15, 0.1, 0.9, 0.9], 0.35 / 3),
        "exactly 0.2 is not sure": ([0.2, 0.2, 0.2, 0.6], 0.3),
        "nearly all are sure of a real": ([0.9] * 11 + [0.0], 0.9),
        "nine of ten are not more than nine tenths": ([0.9] * 9 + [0.3], 0.84),
        "exactly 0.8 is not sure": ([0.8, 0.8, 0.9], 2.5 / 3),
    },
    "median": {"odd": ([0.1, 0.9, 0.2], 0.2), "even": ([0.1, 0.9, 0.2, 0.4], 0.3), "one": ([0.7], 0.7)},
    "mean": {"two": ([0.1, 0.4], 0.25)},
}
FACES_OF_PEOPLE = {
    "the least real of two": ([(i, "01"[j], [0.9, 0.3][j]) for i in range(11) for j in range(2)], 0.3, 2),
    "a stray decides nothing": ([*((i, "0", 0.9) for i in range(11)), (5, "1", 0.0)], 0.9, 1),
    "two of nine frames are a stray": ([*((i, "0", 0.9) for i in range(9)), (1, "1", 0.0), (2, "1", 0.0)], 0.9, 1),
    "two of eight frames count": ([*((i, "0", 0.9) for i in range(8)), (1, "1", 0.0), (2, "1", 0.2)], 0.1, 2),
    "one of four frames counts": ([*((i, "0", 0.9) for i in range(4)), (1, "1", 0.2)], 0.2, 2),
    "two faces of a frame are one frame": (
        [*((i, "0", 0.9) for i in range(9)), *((1, "1", 0.0) for _ in range(3))],
        0.9,
        1,
    ),
    "crops of nobody do not count": ([*((i, "0", 0.9) for i in range(3)), *((i, "", 0.0) for i in range(3))], 0.9, 1),
    "frames of nobody are frames": ([(0, "0", 0.9), *((i, None, 0.1) for i in range(1, 9))], 1.7 / 9, 0),
    "nobody is known": ([(0, "", 0.9), (1, None, 0.1)], 0.5, None),
}


def table_of(video: str, faces) -> pd.DataFrame:
    rows = [[1, video, "g", "", frame, 0, person, p_real] for frame, person, p_real in faces]
    return pd.DataFrame(rows, columns=[*COLUMNS, "p_real"])


@pytest.mark.spark
@pytest.mark.parametrize("aggregate", FACES)
def test_each_rule_on_cases_made_by_hand(spark, tmp_path, aggregate):
    cases = FACES[aggregate]
    tables = [table_of(name, [(i, "", p) for i, p in enumerate(p_real)]) for name, (p_real, _) in cases.items()]
    result = aggregates(spark, write(pd.concat(tables), tmp_path / "p.parquet"), aggregate)
    expected = {name: average for name, (_, average) in cases.items()}
    assert result["average"].to_dict() == pytest.approx(expected, abs=1e-12)


@pytest.mark.spark
def test_a_video_is_as_real_as_its_least_real_person_who_counts(spark, tmp_path):
    tables = [table_of(name, faces) for name, (faces, _, _) in FACES_OF_PEOPLE.items()]
    result = aggregates(spark, write(pd.concat(tables), tmp_path / "p.parquet"), "per-face")
    expected = {name: average for name, (_, average, _) in FACES_OF_PEOPLE.items()}
    assert result["average"].to_dict() == pytest.approx(expected, abs=1e-12)
    people = {name: None if np.isnan(count) else count for name, count in result["people"].items()}
    assert people == {name: count for name, (_, _, count) in FACES_OF_PEOPLE.items()}


@pytest.mark.spark
@pytest.mark.parametrize("aggregate", ["mean", "median", "confident"])
def test_older_predictions_without_people_and_frames_are_aggregated_too(spark, tmp_path, aggregate):
    table = draw(40)
    old = table.drop(columns=["person", "frame", "face"])
    result = aggregates(spark, write(old, tmp_path / "old.parquet"), aggregate)
    expected = aggregates(spark, write(table, tmp_path / "new.parquet"), aggregate)
    pd.testing.assert_series_equal(result["average"], expected["average"], check_exact=False, atol=1e-12)
    assert result["people"].isna().all()


@pytest.mark.spark
@pytest.mark.parametrize("plain", [True, False], ids=["a row a line", "one line"])
def test_a_manifest_tells_the_people_of_json_predictions(spark, tmp_path, plain):
    table = draw(40)
    table["face"] = table.groupby(["video", "frame"]).cumcount()
    names = [f"{['fake', 'real'][r.label]}/{r.video}-{r.frame:03d}-{r.face:02d}.png" for r in table.itertuples()]
    rows = [list(row) for row in zip(names, table["p_real"].tolist(), strict=True)]
    path = tmp_path / "p.json"
    write_json(path, rows if plain else [rows[0]])
    if not plain:
        path.write_text(str(rows).replace("'", '"'))
    entries = [
        Entry("test", row.label, name, row.video, "g", "", "", row.frame, row.face, row.person, "", 0)
        for row, name in zip(table.itertuples(), names, strict=True)
    ]
    frames = add_people(read_predictions(spark, path, tmp_path), entries, tmp_path)
    result = aggregate_videos(frames, "per-face").toArrow().to_pandas().set_index("video").sort_index()
    expected = aggregates(spark, write(table, tmp_path / "p.parquet"), "per-face")
    for column in ("average", "people", "frames"):
        pd.testing.assert_series_equal(result[column], expected[column], check_exact=False, atol=1e-12)


@pytest.mark.spark
def test_the_face_is_the_person_in_predictions_of_sequences(spark, tmp_path):
    path = tmp_path / "p.json"
    write_json(path, [["real/a-000-00.png", 0.2], ["real/a-000-01.png", 0.9]])
    entries = [Entry("test", 1, "real/a-004-00.png", "a", "g", "", "", 4, 0, "7", "", 0)]
    frames = add_people(read_predictions(spark, path, tmp_path), entries, tmp_path)
    assert sorted((row.face, row.person) for row in frames.collect()) == [(0, "0"), (1, "1")]


def test_a_column_is_empty_only_if_the_statistics_of_all_row_groups_say_so(tmp_path):
    for number, (people, empty) in enumerate(
        [(["", ""], True), ([None, None], True), (["", None], True), (["", "0"], False), ([None, "0"], False)]
    ):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"person": pa.array(people, pa.string())}), path, row_group_size=1)
        assert is_empty("person", [path]) == empty
        pq.write_table(pa.table({"person": pa.array(people, pa.string())}), path, write_statistics=False)
        assert not is_empty("person", [path])
    pq.write_table(pa.table({"other": [1]}), tmp_path / "other.parquet")
    assert not is_empty("person", [tmp_path / "other.parquet"])  # it may be the name of a folder


ROWS = [["real/a-000-00.png", 1e-07], ["fake/b-x-010-01.png", 1], ["fake/b-x-1234-00.png", 0.25]]
LINES = ",\n  ".join(['["real/a-000-00.png", 1e-07]', '["fake/b-x-010-01.png", 1]', '["fake/b-x-1234-00.png", 0.25]'])


@pytest.mark.parametrize(
    "text",
    [
        f"[\n  {LINES}\n]\n",
        f"[\n  {LINES}\n]",
        f"[{LINES}]",
        f"[\r\n{LINES}\r\n]",
        "[" + LINES.replace("\n", "") + "]",
        "[\n  " + LINES.replace("real/", "test/real/") + "\n]",
        "[\n  " + LINES.replace("real/", r"\u0072eal/") + "\n]",
    ],
    ids=["as written", "no last line end", "tight", "Windows", "one line", "deeper path", "escapes"],
)
def test_json_of_every_layout_gives_the_same_rows(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    table = pq.read_table(json_to_parquet(tmp_path / "p.json", tmp_path / "p.parquet"))
    assert table.to_pylist() == [
        {"video": "a", "label": 1, "frame": 0, "face": 0, "p_real": 1e-07},
        {"video": "b-x", "label": 0, "frame": 10, "face": 1, "p_real": 1.0},
        {"video": "b-x", "label": 0, "frame": 1234, "face": 0, "p_real": 0.25},
    ]


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("1],", "1]", "not a JSON list"),
        ("\n]\n", "\n", "not a JSON list"),
        ("[\n", "", "not a JSON list"),
        ("0.25]", "0.25],", "not a JSON list"),
        ("0.25", "2.5", "malformed row 3"),
        ("0.25", "true", "malformed row 3"),
        ("0.25", '"0.25"', "malformed row 3"),
        ("0.25", "NaN", "malformed row 3"),
        ("b-x-1234-00.png", "b-x.png", "malformed row 3"),
        ("-1234-", "-1234567890-", "malformed row 3"),
    ],
)
def test_damage_in_json_of_a_row_a_line_is_found(tmp_path, old, new, shown):
    write_json(tmp_path / "p.json", ROWS)
    text = (tmp_path / "p.json").read_text()
    assert old in text
    (tmp_path / "p.json").write_text(text.replace(old, new))
    with pytest.raises(UserError, match=shown):
        json_to_parquet(tmp_path / "p.json", tmp_path / "p.parquet")


def test_on_a_cluster_scratch_files_are_beside_the_predictions_then_removed(tmp_path):
    with scratch_folder("spark://host:7077", tmp_path / "p.json") as scratch:
        assert scratch.parent == tmp_path
    with scratch_folder("local[*]", tmp_path / "p.json") as other:
        assert tmp_path not in other.parents
    assert not scratch.exists() and not other.exists()

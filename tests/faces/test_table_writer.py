"""Writing crop tables with local Spark: which runs continue a table, and which are refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from conftest import ROOT, run_step
from spark_work import draw_videos

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import UserError
from deepfake.core.signals import OUT_OF_TIME
from deepfake.faces.crop import LANDMARKS
from deepfake.faces.files import crop_all_videos
from deepfake.faces.table import CROP_COLUMNS, SCHEMA
from deepfake.faces.table_writer import crop_into_table, full_address, make_ready
from deepfake.jobs.spark_session import QUICK, spark_session
from deepfake.jobs.spark_tasks import ATTEMPTS, SETTINGS, spark_for
from deepfake.jobs.work import Run

FRAMES = 2
MASTER = "local[1]"


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    return draw_videos(tmp_path_factory.mktemp("videos"), ["a-b", "c é"])


@pytest.fixture(scope="module")
def local(videos, tmp_path_factory) -> Path:
    """The result of the same videos on this machine."""
    folder = tmp_path_factory.mktemp("local")
    crop_all_videos(CropRule(frames=FRAMES), videos, Run("01a", "faces", folder))
    return folder


@pytest.fixture(scope="module", autouse=True)
def nodes() -> Iterator[None]:
    """One Spark for all tests of this file."""
    with spark_session(MASTER, "tests", SETTINGS | QUICK, ATTEMPTS + 1):
        yield


def go(videos: Path, folder: Path, rule: CropRule | None = None, **more) -> int:
    run = Run("01a", "faces", folder / "work", master=MASTER, crops=str(folder / "crops"))
    return crop_into_table(rule or CropRule(frames=FRAMES), videos, run, **more)


@pytest.fixture(scope="module")
def written(videos, tmp_path_factory) -> Path:
    """A folder with the table of crops of the videos."""
    folder = tmp_path_factory.mktemp("written")
    go(videos, folder)
    return folder


def rows_of(crops: Path) -> list[dict]:
    return ds.dataset(crops, format="parquet", partitioning="hive").to_table().to_pylist()


def check_rows(rows: list[dict], local: Path) -> None:
    """Each crop and each video of a local run is in a row, once, and nothing else."""
    for content in (json.loads(path.read_text()) for path in sorted(local.glob("*/faces.json"))):
        id = content["video"]["file"].removesuffix(".mp4")
        (video,) = [row for row in rows if (row["kind"], row["video"]) == ("video", id)]
        assert {name: video[name] for name in content["video"]} == content["video"]
        assert json.loads(video["options"]) == content["crop_rule"] and video["count"] == len(content["faces"])
        crops = {
            f"{id}-{row['frame']:03d}-{row['face']:02d}.png": row
            for row in rows
            if (row["kind"], row["video"]) == ("crop", id)
        }
        assert crops.keys() == {face["file"] for face in content["faces"]}
        for face in content["faces"]:
            row = crops[face["file"]]
            assert row["png"] == (local / id / "faces" / face["file"]).read_bytes()
            assert row["landmarks"] == [value for name in LANDMARKS for value in face["landmarks"][name]]
            for name in CROP_COLUMNS.keys() - {"landmarks", "png"}:
                assert row[name] == face[name]
    assert len(rows) == sum(len(list(path.iterdir())) + 1 for path in local.glob("*/faces"))


@pytest.mark.spark
def test_rows_hold_what_the_files_hold_and_a_second_run_adds_nothing(tmp_path, videos, local, written, capsys):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    crops = tmp_path / "crops"
    assert {field.name for field in ds.dataset(crops, format="parquet", partitioning="hive").schema} == {*SCHEMA.names}
    check_rows(rows_of(crops), local)
    assert (tmp_path / "work" / "failures.csv").read_bytes() == (local / "failures.csv").read_bytes()
    before = sorted(crops.rglob("*.parquet"))
    go(videos, tmp_path)
    assert f"4 faces of 3 videos in {crops} (2 done before)" in capsys.readouterr().out
    assert sorted(crops.rglob("*.parquet")) == before


@pytest.mark.spark
def test_a_table_of_other_options_videos_or_files_is_refused(tmp_path, videos, local, written):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    shutil.copytree(videos, tmp_path / "videos")
    with pytest.raises(UserError, match=r"margin 0.3 and 0.5; give another --crops"):
        go(tmp_path / "videos", tmp_path, CropRule(frames=FRAMES, margin=0.5))
    (tmp_path / "videos" / "a-b.mp4").write_bytes((videos / "c é.mp4").read_bytes())
    with pytest.raises(UserError, match=r"a-b\.mp4 has changed since .*--overwrite"):
        go(tmp_path / "videos", tmp_path)
    go(videos, tmp_path, overwrite=True)
    check_rows(rows_of(tmp_path / "crops"), local)
    (tmp_path / "crops" / "mine.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"holds other files \(mine\.txt\)"):
            go(videos, tmp_path, overwrite=overwrite)
    assert rows_of(tmp_path / "crops" / "kind=video")


@pytest.mark.spark
def test_a_half_moved_batch_of_a_killed_run_is_removed(tmp_path, videos, local, written):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    crops = tmp_path / "crops"
    (file,) = crops.glob("kind=video/*.parquet")
    # Spark moves a file of a batch after the other; here it did not come to the last one
    unmoved = crops / "_temporary" / "0" / "task_1" / "kind=video" / file.name
    unmoved.parent.mkdir(parents=True)
    file.rename(unmoved)
    go(videos, tmp_path)
    check_rows(rows_of(crops), local)
    assert not (crops / "_temporary").exists()


@pytest.mark.spark
def test_where_spark_cannot_write_is_told_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with spark_for(Run("01a", "faces", tmp_path, master=MASTER)) as spark:
        for address in (f"{tmp_path}/file/x", "hdfs://nowhere.invalid/x", "a://b/c"):
            with pytest.raises(UserError, match=rf"{address}: (Spark cannot write there|cannot be created)"):
                make_ready(spark, full_address(address), overwrite=False)


@pytest.mark.spark
def test_a_queue_warning_to_all_processes_ends_a_run_with_its_code(videos, tmp_path):
    command = [sys.executable, next(ROOT.glob("01a-*.py")), "--from-videos", "--videos-dir", videos, "--crops", "crops"]
    command += ["--work-dir", "work", "--master", MASTER]
    started = subprocess.Popen(
        [*map(str, command)], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (tmp_path / "crops").exists() and started.poll() is None:
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGUSR1)
    _, err = started.communicate(timeout=120)
    assert started.returncode == OUT_OF_TIME and err.strip().startswith("stopped; ") and "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "says"), [(("--crops", "crops", "--shard", "0/2"), "leave --shard out"), (("--crops", ""), "is empty")]
)
def test_shards_and_an_empty_address_are_refused(videos, tmp_path, options, says):
    refused = run_step("01a", "--from-videos", "--videos-dir", videos, *options, cwd=tmp_path)
    assert refused.returncode == 2 and says in refused.stderr and not any(tmp_path.iterdir())


def test_a_path_is_of_this_machine_and_an_address_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert full_address("a b/crops") == f"file://{tmp_path}/a b/crops"
    for address in ("file:///x", "hdfs://node:8020/crops", "s3a://bucket/crops", "file:/x", "file:///x y"):
        assert full_address(address) == address
    assert full_address("file:///x%20y") == "file:///x y"

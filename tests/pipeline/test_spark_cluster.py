"""The steps on a real Spark cluster without the project installed give the results of one machine."""

import csv
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, run_step, tree
from spark_cluster import SPARK, below, kill_with_all_below
from spark_work import draw_videos, nodes_that_know_this_module, someone_at_work, times_begun, work_by_name
from test_table_writer import check_rows, rows_of

from deepfake.core.crop_rule import CropRule
from deepfake.faces.files import crop_all_videos
from deepfake.jobs.work import Run
from deepfake.verdicts.judge import judge_videos

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

FRAMES = 2
IDS = ["a-b", "c é", "d"]
PATIENCE = 1800  # seconds, on a busy machine
# a machine whose name has no address has a cluster all the same
ENVIRONMENT = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    return draw_videos(tmp_path_factory.mktemp("videos"), IDS)


@pytest.fixture(scope="module")
def local(videos, tmp_path_factory) -> Path:
    """The result of the same videos on this machine."""
    folder = tmp_path_factory.mktemp("local")
    crop_all_videos(CropRule(frames=FRAMES), videos, Run("01a", "faces", folder))
    return folder


def test_crops_are_those_of_one_machine_and_a_second_run_does_nothing(cluster, videos, local, tmp_path):
    options = ("--from-videos", "--frames", FRAMES, "--videos-dir", videos, "--master", cluster.complete().master)
    for before in ("", " (3 done before)"):
        done = run_step("01a", *options, "--work-dir", "work", cwd=tmp_path, env=ENVIRONMENT, timeout=PATIENCE)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"01a: 6 faces of 4 videos in work{before}\n")
        assert tree(tmp_path / "work") == tree(local)
    with (local / "failures.csv").open() as file:
        assert [row["video"] for row in csv.DictReader(file)] == ["bad"]


def test_spark_submit_with_py_files_writes_a_table_without_setup_of_nodes(cluster, videos, local, tmp_path):
    # the script alone, and the package as docs/spark.md says to pack it: neither side can import it from elsewhere
    (script,) = ROOT.glob("01a-*.py")
    shutil.copy(script, tmp_path)
    package = tmp_path / "deepfake.zip"
    subprocess.run([sys.executable, "-m", "zipfile", "-c", package, "deepfake"], cwd=ROOT, check=True)
    spark = (
        SPARK / "spark-submit",
        "--master",
        cluster.complete().master,
        "--py-files",
        package,
        tmp_path / script.name,
    )
    options = ("--from-videos", "--frames", FRAMES, "--videos-dir", videos, "--work-dir", "work", "--crops", "crops")
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, (*spark, *options))),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert "01a: 6 faces of 4 videos in crops\n" in done.stdout
    check_rows(rows_of(tmp_path / "crops"), local)
    assert (tmp_path / "work" / "failures.csv").read_bytes() == (local / "failures.csv").read_bytes()


def test_a_lost_worker_or_node_loses_no_video(cluster, tmp_path):
    from deepfake.jobs.spark_tasks import in_spark_tasks

    names = [*(f"{number:02d}" for number in range(40)), "kills itself"]
    outcomes, killed = {}, []
    with nodes_that_know_this_module(cluster.complete().master):
        run = Run("00", "frames", tmp_path, master=cluster.master)
        for id, outcome in in_spark_tasks(run, {name: name for name in names}, partial(work_by_name, folder=tmp_path)):
            assert id not in outcomes
            outcomes[id] = outcome
            if len(outcomes) == 4:
                worker = psutil.Process(someone_at_work(tmp_path)).parent()
                assert "pyspark.daemon" in worker.cmdline()
                killed.append(worker.pid)
                worker.kill()
            if len(outcomes) == 20:
                at_work = someone_at_work(tmp_path)
                node = next(node for node in cluster.workers if at_work in [process.pid for process in below(node)])
                killed.append(kill_with_all_below(node))
    assert len(killed) == 2
    assert outcomes.keys() == set(names)
    assert [id for id, outcome in outcomes.items() if outcome.problem] == ["kills itself"]
    assert "third attempt" in outcomes["kills itself"].problem and times_begun(tmp_path, "kills itself") == 2
    others = [name for name in names if name != "kills itself"]
    assert all((tmp_path / name / "a.png").read_text() == name for name in others)
    again = [name for name in others if times_begun(tmp_path, name) > 1]
    print(f"killed Python worker {killed[0]} and the processes of a node {killed[1]}; {again} were done again")
    assert again  # what was being worked on when its process died
    assert not [name for name in tree(tmp_path) if ".tmp" in name]


def test_a_master_without_free_nodes_is_reported_and_waited_for(cluster, tmp_path):
    """More memory than any node has is asked for, so that none comes."""
    command = [sys.executable, *map(str, ROOT.glob("00-*.py")), "--videos-dir", tmp_path / "videos"]
    draw_videos(tmp_path / "videos", [])
    environment = ENVIRONMENT | {"PYSPARK_SUBMIT_ARGS": "--executor-memory 90g pyspark-shell"}
    with subprocess.Popen(
        [*map(str, command), "--master", cluster.complete().master],
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert "no free node" in process.stderr.readline()
            os.killpg(process.pid, 2)  # Ctrl-C
            assert process.stderr.read().strip().startswith("stopped;")
            assert process.wait(60) == 130
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)


def test_step_04_on_partitioned_parquet_gives_the_files_of_one_machine(cluster, tmp_path):
    rows = [(video, frame, (video * 7 + frame * 13) % 100 / 99) for video in range(30) for frame in range(11)]
    for label in (0, 1):
        for part in range(2):
            kept = [row for row in rows if (row[0] % 2, row[0] // 2 % 2) == (label, part)]
            folder = tmp_path / "predictions" / f"label={label}"
            folder.mkdir(parents=True, exist_ok=True)
            columns = {
                "video": [f"v-{video}" for video, _, _ in kept],
                "frame": pa.array([frame for _, frame, _ in kept], pa.int32()),
                "p_real": [p_real for _, _, p_real in kept],
            }
            pq.write_table(pa.table(columns), folder / f"part-{part}.parquet")
    for master in ("local[1]", cluster.complete().master):
        judge_videos(tmp_path / "predictions", tmp_path / master[:5], master)
    here, there = tree(tmp_path / "local"), tree(tmp_path / "spark")
    assert here == there and "video_verdicts.csv" in here
    table = pd.read_csv(tmp_path / "spark" / "video_verdicts.csv", index_col="video")
    mean = pd.DataFrame(rows, columns=["video", "frame", "p"]).groupby("video")["p"].mean()
    assert table["average_prediction"].to_dict() == pytest.approx({f"v-{id}": p for id, p in mean.items()}, abs=1e-9)
    assert json.loads((tmp_path / "spark" / "metrics_videos.json").read_text())["metrics"]

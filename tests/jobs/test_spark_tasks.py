"""Videos as local Spark tasks: the outcomes are the same as without Spark."""

import csv
import re
import zipfile
from functools import partial

import pytest
from conftest import make_video, tree, write_metadata
from spark_work import nodes_that_know_this_module, times_begun, work_by_name

from deepfake.core.errors import UserError
from deepfake.frames.files import convert_videos
from deepfake.jobs import spark_tasks as spark_runner
from deepfake.jobs.for_each import for_each_video
from deepfake.jobs.spark_tasks import reason_of, zip_package
from deepfake.jobs.work import Run

MASTER = "local[2]"


@pytest.fixture(scope="module")
def nodes():
    """One Spark for all tests of this file."""
    with nodes_that_know_this_module(MASTER):
        yield


def go(folder, names, **options) -> int:
    work = partial(work_by_name, folder=folder)
    return for_each_video(Run("00", "frames", folder, master=MASTER, **options), {n: n for n in names}, work)


@pytest.mark.spark
@pytest.mark.usefixtures("nodes")
def test_a_failing_hanging_or_killing_video_fails_alone(tmp_path, capsys):
    good = ["a", "b-é", "c 🙂", "d"]
    names = [good[0], "bad", "hangs", good[1], "kills itself", good[2], "kills its worker", good[3]]
    assert go(tmp_path, names, timeout=3, strict=True) == 1
    out, err = capsys.readouterr()
    assert "of 8 videos" in out and "4 with a problem" in out and err == ""
    with (tmp_path / "failures.csv").open(newline="", encoding="utf-8") as file:
        listed = {video: reason for _, video, reason in csv.reader(file)}
    assert listed["bad"] == "is bad" and "longer than 3 s" in listed["hangs"]
    assert "third attempt" in listed["kills itself"] and "third attempt" in listed["kills its worker"]
    # the third attempt does not touch the video, and what hangs once is not tried again
    begun = {name: times_begun(tmp_path, name) for name in names}
    assert begun == dict.fromkeys(names, 1) | {"kills itself": 2, "kills its worker": 2}
    assert all((tmp_path / name / "a.png").read_text() == name for name in good)
    assert not [name for name in tree(tmp_path) if ".tmp" in name]


@pytest.mark.spark
@pytest.mark.usefixtures("nodes")
def test_a_full_disk_ends_the_run_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(spark_runner, "JOBS", 2)  # so that most videos are not handed out yet
    with pytest.raises(UserError) as error:
        go(tmp_path, ["disk", *map(str, range(40))])
    assert str(error.value).startswith(f"{tmp_path}: No space left") and "\n" not in str(error.value)
    assert len(list(tmp_path.glob("* begun"))) < 41


@pytest.mark.spark
@pytest.mark.usefixtures("nodes")
def test_step_00_writes_the_same_files_and_does_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # so that folders are given relative to where the script is
    write_metadata(tmp_path / "videos", {f"{name}.mp4": "REAL" for name in ("a", "b", "missing")})
    for name in ("a", "b"):
        make_video(tmp_path / "videos" / f"{name}.mp4")
    folders = [tmp_path / "here", tmp_path / "spark"]
    for folder, master in zip(folders, (None, MASTER), strict=True):
        run = Run("00", "frames", folder.relative_to(tmp_path), master=master)
        convert_videos((tmp_path / "videos").relative_to(tmp_path), 3, run)
    assert tree(folders[0]) == tree(folders[1])
    assert len(list(folders[1].glob("*/*.png"))) == 6


def test_the_package_goes_to_the_nodes_as_a_zip_that_can_be_imported(tmp_path):
    path = zip_package(tmp_path)
    names = zipfile.ZipFile(path).namelist()
    assert {"deepfake/__init__.py", "deepfake/jobs/spark_tasks.py", "deepfake/sample/scenes.py"} <= set(names)
    assert all(name.startswith("deepfake/") and name.endswith(".py") for name in names)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "An error occurred while calling o1.x.\n: org.apache.spark.SparkException: Job aborted due to stage "
            "failure: Task 0 in stage 0.0 failed 4 times, most recent failure: Lost task 0.3 in stage 0.0 (TID 14) "
            '(node executor 1): java.io.IOException: Cannot run program "/nowhere": error=2\n\tat a.b\n'
            "Caused by: java.io.IOException: 2",
            'java.io.IOException: Cannot run program "/nowhere": error=2',
        ),
        (
            "An exception was thrown from the Python worker:\nTraceback (most recent call last):\n  File x\n"
            "ModuleNotFoundError: No module named 'pyarrow'\n",
            "ModuleNotFoundError: No module named 'pyarrow'",
        ),
        ("An error occurred.\n: java.lang.ClassNotFoundException: Class S3A\n\tat a.b", "java.lang.Cl.*: Class S3A"),
        ("something else\nin lines", "something else in lines"),
    ],
)
def test_a_spark_failure_is_reported_in_one_line(text, reason):
    assert re.fullmatch(reason, reason_of(Exception(text)))

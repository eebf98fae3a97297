"""Parallel shards, and the warning signal of a queue."""

import argparse
import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from conftest import ROOT, make_video, run_step, tree, write_metadata

from deepfake.core.errors import UserError
from deepfake.core.signals import OUT_OF_TIME, OutOfTime, heed_warning, warning_waits
from deepfake.frames.files import convert_videos
from deepfake.jobs.for_each import for_each_video
from deepfake.jobs.shards import Shard, shard
from deepfake.jobs.work import Outcome, Run

COUNT = 4  # shards


@pytest.fixture(scope="module")
def videos_dir(tmp_path_factory):
    """Ten videos; every other one is damaged."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(10):
        path = make_video(folder / f"{number}.mp4", frames=3)
        if number % 2:
            path.write_bytes(b"not a video")
    return write_metadata(folder, {f"{number}.mp4": "REAL" for number in range(10)})


def reasons_in(*files):
    """The rows of some lists of failures: the reasons by video; no video is in two of them."""
    found = {}
    for file in files:
        with file.open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert all(row["step"] == "00" for row in rows) and not found.keys() & {row["video"] for row in rows}
        found |= {row["video"]: row["reason"] for row in rows}
    return found


@pytest.mark.parametrize(("text", "expected"), [("0/1", (0, 1)), ("0/16", (0, 16)), ("15/16", (15, 16))])
def test_a_shard_is_read(text, expected):
    assert shard(text) == Shard(*expected)


@pytest.mark.parametrize("text", ["16/16", "0/0", "-1/16", "1", "1/", "/16", "a/b", "1/16/2", "1.0/2", "", "/16 1"])
def test_another_text_is_no_shard(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not I/N"):
        shard(text)


@pytest.mark.slow
def test_a_wrong_shard_is_refused_before_anything_is_done(videos_dir, tmp_path):
    for step in ("00", "01a"):
        refused = run_step(step, "--videos-dir", videos_dir, "--work-dir", tmp_path / "work", "--shard", "16/16")
        assert refused.returncode == 2 and "'16/16' is not I/N, with I from 0 to N - 1" in refused.stderr
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("count", [1, 3, 7, 20])
def test_every_video_is_in_one_shard_whatever_the_order(count):
    videos = {f"v{number}": number for number in (3, 0, 2, 1, 6, 5, 4)}
    shares = [Shard(index, count).of(videos) for index in range(count)]
    assert sorted(id for share in shares for id in share) == sorted(videos)
    assert sorted(shares[0]) == sorted(videos)[::count]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.slow
def test_parallel_shards_write_the_same_files_and_failures_as_one_run(videos_dir, tmp_path):
    work_dir, script = tmp_path / "work", next(ROOT.glob("00-*.py"))
    command = [sys.executable, script, "--videos-dir", videos_dir, "--work-dir", work_dir, "--workers", "0"]
    shards = [
        subprocess.Popen([*map(str, command), "--shard", f"{index}/{COUNT}"], stderr=subprocess.PIPE, text=True)
        for index in range(COUNT)
    ]
    assert [process.communicate()[1] for process in shards] == [""] * COUNT
    assert [process.returncode for process in shards] == [0] * COUNT
    convert_videos(videos_dir, 11, Run("00", "frames", tmp_path / "one", quiet=True))
    lists = sorted(work_dir.glob("failures*"))
    assert [path.name for path in lists] == [f"failures-00-{index}-of-{COUNT}.csv" for index in range(COUNT)]
    assert reasons_in(*lists) == reasons_in(tmp_path / "one" / "failures.csv")
    assert len(reasons_in(*lists)) == 5
    # a run of all videos has the last word, and does nothing again
    convert_videos(videos_dir, 11, Run("00", "frames", work_dir, quiet=True))
    assert tree(work_dir) == tree(tmp_path / "one")


@pytest.mark.slow
def test_a_shard_without_a_usable_video_is_fine_as_others_may_be(videos_dir, tmp_path, capsys):
    run = partial(Run, "00", "frames", tmp_path, quiet=True)
    assert convert_videos(videos_dir, 11, run(shard=Shard(9, 10))) == 0  # its only video is damaged
    assert "00: 0 frames of 1 videos of shard 9/10" in capsys.readouterr().out
    assert set(reasons_in(tmp_path / "failures-00-9-of-10.csv")) == {"9"}
    assert convert_videos(videos_dir, 11, run(shard=Shard(12, 16), workers=2)) == 0  # it has none
    assert "00: 0 frames of 0 videos of shard 12/16" in capsys.readouterr().out
    assert convert_videos(videos_dir, 11, run(shard=Shard(9, 10), strict=True)) == 1
    with pytest.raises(UserError, match="none of 1 videos could be used"):
        for_each_video(run(), {"a": "a"}, lambda id: Outcome(0, "is empty"))


# the warning


@pytest.fixture
def handler():
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_queue_warning_ends_a_step_once_and_waits_if_deferred(handler):
    heed_warning()
    with warning_waits() as warned:
        assert not warned()
        signal.raise_signal(signal.SIGUSR1)
        assert warned()
    with pytest.raises(OutOfTime):
        signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)  # while it cleans up


@pytest.mark.slow
def test_a_queue_warning_ends_a_step_with_its_code_and_no_failures(tmp_path):
    slow = make_video(tmp_path / "videos" / "000.mp4", frames=60, size=(320, 240))
    names = [f"{number:03d}.mp4" for number in range(200)]
    for name in names[1:]:
        (slow.parent / name).hardlink_to(slow)
    write_metadata(slow.parent, dict.fromkeys(names, "REAL"))
    command = [sys.executable, next(ROOT.glob("00-*.py")), "--videos-dir", slow.parent, "--work-dir", tmp_path / "work"]
    started = subprocess.Popen([*map(str, command), "--workers", "1"], stderr=subprocess.PIPE, start_new_session=True)
    while not list(tmp_path.glob("work/*/frames.json")) and started.poll() is None:
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGUSR1)  # as Grid Engine sends it: to its workers too
    _, err = started.communicate(timeout=60)
    assert started.returncode == OUT_OF_TIME, err
    assert err.decode().strip().startswith("stopped; ") and err.count(b"\n") <= 2
    assert not reasons_in(tmp_path / "work" / "failures.csv")
    assert not [path for path in (tmp_path / "work").rglob("*") if ".tmp" in path.name]

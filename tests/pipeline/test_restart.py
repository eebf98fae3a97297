"""Stopped, killed or repeated runs: finished work stays, missing work is done, no half-written files."""

import csv
import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import cut_in_half, make_video, run_main, run_step, step_command, tree, write_metadata

from deepfake.core.crop_rule import CropRule
from deepfake.faces.files import crop_all_frames, crop_all_videos
from deepfake.frames.files import convert_videos
from deepfake.jobs.work import Run
from deepfake.sample.dataset import draw_dataset

pytestmark = pytest.mark.slow

KILLS = 4
KILLS_OF_TWO_STEPS = 1  # of each

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Eight drawn videos."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, originals=4, fakes=1, size=(300, 256), seconds=0.6, workers=1, quiet=True)
    return folder


def crop_in_two_steps(videos_dir: Path, work_dir: Path, **options) -> None:
    convert_videos(videos_dir, options.pop("k", 2), Run("00", "frames", work_dir, quiet=True))
    crop_all_frames(CropRule(**options), Run("01a", "faces", work_dir, quiet=True))


def crop_in_one_pass(videos_dir: Path, work_dir: Path, **options) -> None:
    k = options.pop("k", 2)
    crop_all_videos(CropRule(frames=k, **options), videos_dir, Run("01a", "faces", work_dir, quiet=True))


@pytest.fixture(scope="module")
def undisturbed(drawn, tmp_path_factory) -> dict[str, Path]:
    """The work folders of each step on the drawn videos."""
    folders = {step: tmp_path_factory.mktemp("work") / "work" for step in ("00", "01a", "01a --from-videos")}
    convert_videos(drawn, 11, Run("00", "frames", folders["00"], quiet=True))
    shutil.copytree(folders["00"], folders["01a"])
    crop_all_frames(CropRule(), Run("01a", "faces", folders["01a"], quiet=True))
    crop_in_one_pass(drawn, folders["01a --from-videos"], k=11)
    return folders


def crops_in(work_dir: Path) -> dict[str, bytes | None]:
    """All files of step 01a, without those of step 00."""
    return {
        name: content
        for name, content in tree(work_dir).items()
        if name.endswith("faces.json") or "/faces/" in name or name.endswith("/faces")
    }


def times_in(work_dir: Path) -> dict[str, int]:
    """When each file of the videos was written."""
    return {str(path.relative_to(work_dir)): path.stat().st_mtime_ns for path in work_dir.glob("*/**/*")}


def failures_in(work_dir: Path) -> dict[tuple[str, str], str]:
    with (work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
        return {(row["step"], row["video"]): row["reason"] for row in csv.DictReader(file)}


def written_since(before: dict[str, int], work_dir: Path) -> set[str]:
    """The ids of the videos whose files were written or removed."""
    after = times_in(work_dir)
    return {name.split("/")[0] for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


# a second run


@pytest.fixture
def videos_dir(drawn, tmp_path) -> Path:
    """Three of the drawn videos, to be changed."""
    folder = tmp_path / "videos"
    folder.mkdir()
    names = sorted(path.name for path in drawn.glob("*.mp4"))[:3]
    for name, copy in zip(names, ("a.mp4", "b.mp4", "c.mp4"), strict=True):
        shutil.copy(drawn / name, folder / copy)
    return write_metadata(folder, {"a.mp4": "REAL", "b.mp4": "FAKE", "c.mp4": "FAKE"})


WAYS = {"one pass": crop_in_one_pass, "two steps": crop_in_two_steps}


@pytest.mark.parametrize("way", WAYS)
def test_a_second_run_writes_nothing_and_says_so(videos_dir, tmp_path, capsys, way):
    WAYS[way](videos_dir, tmp_path / "work")
    assert "done before" not in capsys.readouterr().out
    files, before = tree(tmp_path / "work"), times_in(tmp_path / "work")
    assert sum(name.endswith("faces.json") for name in files) == 3
    WAYS[way](videos_dir, tmp_path / "work")
    out = capsys.readouterr().out.splitlines()
    assert out and all("(3 done before)" in line for line in out)
    assert (tree(tmp_path / "work"), times_in(tmp_path / "work")) == (files, before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lost", ["faces.json", "other size", "other time"])
def test_a_second_run_does_what_is_missing_and_no_more(videos_dir, tmp_path, capsys, way, lost):
    work_dir = tmp_path / "work"
    WAYS[way](videos_dir, work_dir)
    before = times_in(work_dir)
    capsys.readouterr()
    if lost == "faces.json":
        (work_dir / "b" / "faces.json").unlink()
    elif lost == "other size":
        shutil.copy(videos_dir / "a.mp4", videos_dir / "b.mp4")
    else:
        os.utime(videos_dir / "b.mp4", ns=(1, 1))
    WAYS[way](videos_dir, work_dir)
    assert "(2 done before)" in capsys.readouterr().out.splitlines()[-1]
    assert written_since(before, work_dir) == {"b"}
    WAYS[way](videos_dir, tmp_path / "afresh")
    assert tree(work_dir) == tree(tmp_path / "afresh")


@pytest.mark.parametrize("way", WAYS)
def test_other_options_do_all_again(videos_dir, tmp_path, way):
    work_dir = tmp_path / "work"
    for options in ({}, {"k": 1}, {"margin": 0.1}):
        before = times_in(work_dir)
        WAYS[way](videos_dir, work_dir, **options)
        assert written_since(before, work_dir) == {"a", "b", "c"}
    WAYS[way](videos_dir, tmp_path / "afresh", **options)
    assert tree(work_dir) == tree(tmp_path / "afresh")


def test_overwrite_does_all_again(videos_dir, tmp_path, capsys):
    work_dir = tmp_path / "work"
    for step, *options in (["00", "--frames", 2], ["01a"], ["01a", "--from-videos", "--frames", 2]):
        command = [step, "--videos-dir", videos_dir, "--work-dir", work_dir, "--workers", "0", *options]
        assert run_main(*command) == 0
        files, before, _ = tree(work_dir), times_in(work_dir), capsys.readouterr()
        assert run_main(*command, "--overwrite") == 0 and "done before" not in capsys.readouterr().out
        assert tree(work_dir) == files
        assert written_since(before, work_dir) == {"a", "b", "c"}


def test_a_video_without_a_face_is_done_too_and_listed_again(videos_dir, tmp_path, capsys):
    make_video(videos_dir / "b.mp4")
    for way in (crop_in_one_pass, crop_in_one_pass):
        way(videos_dir, tmp_path / "work")
        assert failures_in(tmp_path / "work") == {("01a", "b"): "no face in any frame (6 looked at)"}
    assert "(3 done before)" in capsys.readouterr().out


def test_a_file_of_the_users_own_is_left_alone_by_every_run(videos_dir, tmp_path):
    work_dir = tmp_path / "work"
    for _ in range(2):
        crop_in_one_pass(videos_dir, work_dir)
        (work_dir / "a" / "notes.txt").write_text("mine")
        (work_dir / "a" / "frames.json").unlink(missing_ok=True)
    crop_in_two_steps(videos_dir, work_dir, k=1)
    assert (work_dir / "a" / "notes.txt").read_text() == "mine"


# one pass and two steps


@pytest.mark.parametrize("options", [{"margin": 0.0, "min_confidence": 0.999}, {"rescue": False}])
def test_one_pass_gives_byte_for_byte_what_two_steps_give(videos_dir, tmp_path, options):
    shutil.copy(videos_dir / "a.mp4", videos_dir / "cut.mp4")
    cut_in_half(make_video(videos_dir / "cut.ts", frames=40, size=(320, 240)))
    make_video(videos_dir / "none.mp4", frames=3)
    write_metadata(videos_dir, dict.fromkeys(["a.mp4", "b.mp4", "c.mp4", "none.mp4", "cut.ts"], "REAL"))
    crop_in_two_steps(videos_dir, tmp_path / "two", **options)
    crop_in_one_pass(videos_dir, tmp_path / "one", **options)
    crops = crops_in(tmp_path / "two")
    assert crops and crops_in(tmp_path / "one") == crops == tree_of_ids(tmp_path / "one")


def test_one_pass_agrees_with_two_steps_on_a_truncated_video(drawn, tmp_path):
    videos_dir = tmp_path / "videos"
    videos_dir.mkdir()
    source = sorted(drawn.glob("*.mp4"))[0]
    for suffix in ("mkv", "mp4"):
        remux(source, videos_dir / f"{suffix}.{suffix}")
        path = videos_dir / f"{suffix}.{suffix}"
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    write_metadata(videos_dir, {"mkv.mkv": "REAL", "mp4.mp4": "REAL"})
    crop_in_two_steps(videos_dir, tmp_path / "two")
    crop_in_one_pass(videos_dir, tmp_path / "one")
    assert crops_in(tmp_path / "one") == crops_in(tmp_path / "two")
    for id in ("mkv", "mp4"):
        content = json.loads((tmp_path / "one" / id / "faces.json").read_text())
        assert "truncated" in content["video"]["problem"] and len(content["faces"]) >= 2
        assert "truncated" in failures_in(tmp_path / "one")["01a", id]


@pytest.mark.parametrize("way", WAYS)
def test_a_truncated_video_done_before_stays_in_the_failures(drawn, tmp_path, way):
    videos_dir = tmp_path / "videos"
    videos_dir.mkdir()
    source = sorted(drawn.glob("*.mp4"))[0]
    remux(source, videos_dir / "cut.mp4")
    whole = (videos_dir / "cut.mp4").read_bytes()
    (videos_dir / "cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    (videos_dir / "metadata.json").write_text('{"cut.mp4": {"label": "REAL"}}')
    lists = []
    for _ in range(2):
        WAYS[way](videos_dir, tmp_path / "work")
        lists.append(failures_in(tmp_path / "work"))
    assert lists[0] == lists[1] and "truncated" in str(lists[0])


def test_step_00_keeps_one_pass_crops_only_of_the_same_number_of_frames(videos_dir, tmp_path):
    crop_in_one_pass(videos_dir, tmp_path / "work")
    crops = crops_in(tmp_path / "work")
    convert_videos(videos_dir, 2, Run("00", "frames", tmp_path / "work", quiet=True))
    assert crops_in(tmp_path / "work") == crops
    convert_videos(videos_dir, 3, Run("00", "frames", tmp_path / "work", quiet=True))
    assert not list((tmp_path / "work").glob("*/faces.json"))


def test_an_empty_crop_is_cut_again(videos_dir, tmp_path):
    crop_in_one_pass(videos_dir, tmp_path / "work")
    before = tree(tmp_path / "work")
    crop = next((tmp_path / "work").glob("*/faces/*.png"))
    crop.write_bytes(b"")
    crop_in_one_pass(videos_dir, tmp_path / "work")
    assert tree(tmp_path / "work") == before


def remux(source: Path, target: Path) -> None:
    import av

    with av.open(str(source)) as read, av.open(str(target), "w", options={"movflags": "faststart"}) as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                write.mux(packet)


def tree_of_ids(work_dir: Path) -> dict[str, bytes | None]:
    """All below the folders of the videos."""
    return {name: content for name, content in tree(work_dir).items() if "/" in name}


# killed at any moment


class Killable:
    """A numbered script in processes that can be told from all others."""

    def __init__(self, step: str, *arguments: object) -> None:
        self.mark = f"TEST_RUN={uuid.uuid4().hex}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            step_command(step, *arguments),
            env=os.environ | {name: value},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def living(self) -> list[int]:
        """The processes of this script, its workers included, that have not ended."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # ended meanwhile
                continue
        return found

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether a condition comes true in time and before the script ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if condition():
                return True
            time.sleep(0.01)
        return condition()

    def all_end(self, seconds: float) -> bool:
        """Whether every process of it ends in time."""
        end = time.monotonic() + seconds
        while self.living() and time.monotonic() < end:
            time.sleep(0.02)
        return not self.living()


def count_done(work_dir: Path, name: str = "faces.json") -> int:
    return len(list(work_dir.glob(f"*/{name}")))


def leftovers(work_dir: Path) -> list[Path]:
    return [path for path in work_dir.rglob("*") if ".tmp" in path.name]


def kill_at_random(steps: list[list[object]], work_dir: Path, kills: int, seed: int, undisturbed: Path) -> None:
    """Kill the main process of one step after the other at random moments; again and again run to the end."""
    rng, number = np.random.default_rng(seed), 0
    expected, total = tree(undisturbed), count_done(undisturbed)
    for command in steps:
        record = "frames.json" if command[0] == "00" else "faces.json"
        before, last = 0, number + kills
        while number < last:
            # one in five while the processes start, the others while they work
            target, delay = int(rng.integers(before, total)), rng.uniform(0, 0.15)
            starting = rng.random() < 0.2
            began, script = time.monotonic(), Killable(*command, "--work-dir", work_dir)
            if not starting:
                script.wait_for(lambda target=target, record=record: count_done(work_dir, record) > target, 60)
            time.sleep(delay)
            moment = time.monotonic() - began
            script.process.kill()
            code = script.process.wait()
            gone = script.all_end(5)  # a fifth of a second, where nothing else wants the processors
            done = count_done(work_dir, record)
            if code == -signal.SIGKILL:
                number += 1
                print(
                    f"step {command[0]}: kill {number:2} after {moment:.2f} s, {done} of {total} videos done "
                    f"({before} before), {len(leftovers(work_dir))} temporary files, no process left: {gone}",
                    flush=True,
                )
            assert gone, f"still alive five seconds after the kill: {script.living()}"
            before = done
            if done >= total - 1 or number == last:
                finish = run_step(*command, "--work-dir", work_dir)
                assert finish.returncode == 0, finish.stderr
                assert not leftovers(work_dir)
                assert tree(work_dir).items() <= expected.items()
            if done >= total - 1 and number < last:  # afresh, with what the steps before have done
                before = 0
                for path in work_dir.glob("*"):
                    forget(path, record)
    assert tree(work_dir) == expected


def forget(path: Path, name: str) -> None:
    """Remove the files that a step wrote for a video, so that it must write them again."""
    if path.is_dir() and name == "frames.json":
        shutil.rmtree(path)
    elif path.is_dir():
        shutil.rmtree(path / "faces", ignore_errors=True)
        (path / name).unlink(missing_ok=True)


@needs_proc
def test_killed_at_random_moments_the_next_run_ends_as_if_undisturbed(drawn, undisturbed, tmp_path):
    command = ["01a", "--from-videos", "--videos-dir", drawn, "--workers", "2"]
    kill_at_random([command], tmp_path / "work", KILLS, seed=0, undisturbed=undisturbed["01a --from-videos"])


@needs_proc
def test_two_steps_killed_at_random_moments_end_as_if_undisturbed(drawn, undisturbed, tmp_path):
    steps = [["00", "--videos-dir", drawn, "--workers", "2"], ["01a", "--videos-dir", drawn, "--workers", "2"]]
    kill_at_random(steps, tmp_path / "work", KILLS_OF_TWO_STEPS, seed=1, undisturbed=undisturbed["01a"])


@needs_proc
def test_ctrl_c_ends_with_one_line_and_the_next_run_goes_on(drawn, tmp_path):
    work_dir, total = tmp_path / "work", len(list(drawn.glob("*.mp4")))
    command = ["01a", "--from-videos", "--videos-dir", drawn, "--work-dir", work_dir, "--workers", "2"]
    script = Killable(*command)
    assert script.wait_for(lambda: work_dir.exists() and count_done(work_dir) >= total // 3, 180)
    os.killpg(script.process.pid, signal.SIGINT)
    _, err = script.process.communicate(timeout=30)
    assert script.process.returncode == 130, err
    assert err.strip().splitlines() == ["stopped; all written files are complete; run the same command to continue"]
    assert script.all_end(1)
    assert not leftovers(work_dir)
    before, done = times_in(work_dir), count_done(work_dir)
    assert done < total
    again = run_step(*command)
    assert again.returncode == 0 and (f"({done} done before)" in again.stdout) == (done > 0)
    changed = written_since(before, work_dir)
    assert len(changed) == total - done and count_done(work_dir) == total


# a full disk


@pytest.fixture
def small_disk(tmp_path) -> Iterator[tuple[Path, Callable[[int], None]]]:
    """A folder on a disk of its own, and a function that sets how many bytes can be written there from now on."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root, and not in every container, can mount a small disk")

    def leave(size: int) -> None:
        used = shutil.disk_usage(folder).used
        subprocess.run(["mount", "-o", f"remount,size={used + size}", str(folder)], check=True)

    try:
        yield folder, leave
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def assert_whole(work_dir: Path) -> None:
    """Every file there is whole."""
    assert not leftovers(work_dir)
    for path in work_dir.rglob("*.png"):
        assert cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None, path
    for path in work_dir.rglob("*.json"):
        content = json.loads(path.read_text())
        folder = path.parent / "faces" if path.name == "faces.json" else path.parent
        assert all((folder / record["file"]).exists() for record in content[path.stem])


@pytest.mark.parametrize(("step", "workers"), [("00", 0), ("01a", 2), ("01a --from-videos", 2)])
def test_a_full_disk_ends_a_step_with_one_line_and_no_half_file(drawn, undisturbed, small_disk, step, workers):
    disk, leave = small_disk
    command = [*step.split(), "--videos-dir", drawn, "--work-dir", disk / "work", "--workers", workers]
    leave(50_000_000)
    if step == "01a":
        shutil.copytree(undisturbed["00"], disk / "work")
    leave(300_000)
    done = run_step(*command)
    warning, error = done.stderr.splitlines()
    assert warning.startswith("warning: ") and "will be written" in warning and "are free" in warning
    assert error.startswith("error: ") and "No space left on device" in error and str(disk / "work") in error
    assert done.returncode == 2 and done.stdout == ""
    assert_whole(disk / "work")
    assert count_done(disk / "work", "frames.json" if step == "00" else "faces.json") < 8
    leave(50_000_000)
    done = run_step(*command)
    assert (done.returncode, done.stderr) == (0, "")  # and no warning
    assert tree(disk / "work") == tree(undisturbed[step])

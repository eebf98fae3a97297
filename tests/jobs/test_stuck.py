"""Videos that hang or crash their worker process do not affect others."""

import csv
import os
import signal
import time
from pathlib import Path

import pytest

from deepfake.jobs.for_each import for_each_video
from deepfake.jobs.work import Outcome, Run

pytestmark = pytest.mark.slow


def failures_in(work_dir: Path) -> dict[tuple[str, str], str]:
    with (work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
        return {(row["step"], row["video"]): row["reason"] for row in csv.DictReader(file)}


def hang_or_crash(name: str) -> Outcome:
    """Stands for a decoder that hangs or crashes on some videos; others return their process id."""
    if name == "hangs":
        time.sleep(60)
    if name == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "ends":
        os._exit(3)
    time.sleep(0.05)
    return Outcome(os.getpid())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hanging_or_crashing_video_fails_alone(tmp_path, capsys, workers):
    bad = {"hangs": "longer than 2 s", "crashes": "crashed its process", "ends": "crashed its process"}
    good = [f"good{number}" for number in range(12)]
    names = [*good[:3], "hangs", *good[3:6], "crashes", *good[6:9], "ends", *good[9:]]
    code = for_each_video(
        Run("00", "frames", tmp_path, workers=workers, timeout=2, quiet=True), {n: n for n in names}, hang_or_crash
    )
    listed = failures_in(tmp_path)
    assert code == 0 and listed.keys() == {("00", name) for name in bad}
    assert all(reason in listed["00", name] for name, reason in bad.items())
    out = capsys.readouterr().out
    assert "of 15 videos" in out and "3 with a problem" in out


def tell_process(file: str) -> Outcome:
    """Write down by which process each video was worked on."""
    path = Path(file)
    path.write_text(str(os.getpid()))
    return hang_or_crash(path.stem)


def sleep_a_little(name: str) -> Outcome:
    time.sleep(1.5)
    return Outcome(1)


def test_a_longer_video_gets_more_time(tmp_path):
    run = Run("00", "frames", tmp_path, workers=2, timeout=0.5, quiet=True, length={"short": 0, "long": 9}.get)
    for_each_video(run, {name: name for name in ("short", "long")}, sleep_a_little)
    assert failures_in(tmp_path).keys() == {("00", "short")}


def test_the_worker_of_a_video_that_crashed_is_replaced(tmp_path):
    names = ["a", "crashes", "b", "hangs", "c", "d"]
    videos = {name: str(tmp_path / f"{name}.pid") for name in names}
    for_each_video(Run("00", "frames", tmp_path / "work", workers=1, timeout=2, quiet=True), videos, tell_process)
    processes = {name: int(Path(file).read_text()) for name, file in videos.items()}
    assert processes["a"] == processes["crashes"] != processes["b"] == processes["hangs"] != processes["c"]
    assert processes["c"] == processes["d"] != os.getpid()
    assert not [id for id in processes.values() if Path(f"/proc/{id}").exists()]


def leave_half(name: str) -> Outcome:
    """Leave temporary files behind, as a process that dies while it writes."""
    folder = Path(name)
    (folder / ".faces.tmp").mkdir(parents=True)
    (folder / ".faces.tmp" / "a-000-00.png").write_bytes(b"half")
    (folder / ".faces.json.tmp.json").write_bytes(b"half")
    return hang_or_crash(folder.name)


def test_half_written_files_of_a_crashed_video_are_removed(tmp_path):
    videos = {name: str(tmp_path / name) for name in ("crashes", "hangs")}
    good = {"good": str(tmp_path / "elsewhere" / "good")}
    for_each_video(Run("00", "frames", tmp_path, workers=2, timeout=2, quiet=True), videos | good, leave_half)
    left = {path.parent.name for path in tmp_path.rglob(".*.tmp*")}
    assert left == {"good"}  # which is in no folder of a video: the others have been swept

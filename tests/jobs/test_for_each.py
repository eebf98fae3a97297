"""The same work on every video: a failing video is recorded and does not stop the others."""

import csv
import errno
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from conftest import tree

from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import whole_file, whole_folder
from deepfake.jobs.for_each import for_each_video
from deepfake.jobs.processes import at_work
from deepfake.jobs.work import Outcome, Run, limit_for


def go(work_dir, ids, work, step: str = "00", **options) -> int:
    """Work on every id, in this process unless `workers` says otherwise."""
    return for_each_video(Run(step, "frames", work_dir, **options), {id: id for id in ids}, work)


def rows_of(work_dir) -> list[tuple[str, ...]]:
    with (work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)]


def fail(error: BaseException):
    raise error


ERRORS = {
    "reason": (VideoError("is missing"), "is missing"),
    "bug": (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    "lines": (ValueError("one\n  two"), "ValueError: one two"),
    "system": (PermissionError(errno.EACCES, "Permission denied", "a.mp4"), "Permission denied"),
    "memory": (MemoryError(), "MemoryError"),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("place", range(3))
def test_a_video_that_fails_never_stops_the_others(tmp_path, capsys, kind, place):
    error, reason = ERRORS[kind]
    ids = ["a", "b", "c"]
    done = []

    def work(id: str) -> Outcome:
        if id == ids[place]:
            raise error
        done.append(id)
        return Outcome(11)

    assert go(tmp_path, ids, work) == 0
    assert done == [id for id in ids if id != ids[place]]
    assert "22 frames of 3 videos" in capsys.readouterr().out
    header, (step, video, written) = rows_of(tmp_path)
    assert header == ("step", "video", "reason")
    assert (step, video) == ("00", ids[place]) and reason in written and "\n" not in written


def test_a_video_that_gives_something_and_has_a_problem_is_kept_and_listed(tmp_path, capsys):
    go(tmp_path, ["a", "b"], {"a": Outcome(5, "truncated"), "b": Outcome(11)}.get)
    assert "16 frames of 2 videos" in capsys.readouterr().out
    assert rows_of(tmp_path)[1:] == [("00", "a", "truncated")]


def test_each_run_replaces_the_failures_of_its_own_step_only(tmp_path):
    go(tmp_path, ["a", "b"], {"a": Outcome(1, "first"), "b": Outcome(1, "first")}.get)
    go(tmp_path, ["a"], {"a": Outcome(1, "no face")}.get, step="01a")
    go(tmp_path, ["a", "b"], {"a": Outcome(1), "b": Outcome(1, "second")}.get)
    assert rows_of(tmp_path) == [("step", "video", "reason"), ("00", "b", "second"), ("01a", "a", "no face")]
    go(tmp_path, ["a"], {"a": Outcome(1)}.get)
    assert rows_of(tmp_path)[1:] == [("01a", "a", "no face")]


def test_failures_are_read_back_whatever_the_names_and_reasons_hold(tmp_path):
    id, reason = 'a, "b" 🙂', 'said "no", twice'
    go(tmp_path, [id], {id: Outcome(1, reason)}.get)
    go(tmp_path, [id], {id: Outcome(1)}.get, step="01a")
    assert rows_of(tmp_path)[1:] == [("00", id, reason)]


def test_a_failures_file_that_another_program_has_changed_stops_nothing(tmp_path, capsys):
    (tmp_path / "failures.csv").write_bytes("step;video;reason\r\n00;é;zu kurz\r\n".encode("latin-1"))
    assert go(tmp_path, ["a", "b"], {"a": Outcome(1), "b": Outcome(0, "no face")}.get, step="01a") == 0
    assert "of 2 videos" in capsys.readouterr().out
    assert ("01a", "b", "no face") in rows_of(tmp_path)


def test_if_all_videos_fail_the_error_names_the_list_and_first_reason(tmp_path):
    with pytest.raises(UserError) as error:
        go(tmp_path, ["a", "b"], lambda id: fail(VideoError(f"{id} is empty")))
    assert str(tmp_path / "failures.csv") in str(error.value) and "a is empty" in str(error.value)
    assert rows_of(tmp_path)[1:] == [("00", "a", "a is empty"), ("00", "b", "b is empty")]


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS"])
def test_a_disk_that_takes_no_more_ends_the_run_with_one_line(tmp_path, code):
    done = []

    def work(id: str) -> Outcome:
        if id == "b":
            raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)), f"{id}.png")
        done.append(id)
        return Outcome(1)

    with pytest.raises(UserError) as error:
        go(tmp_path, ["a", "b", "c"], work)
    assert done == ["a"]
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert os.strerror(getattr(errno, code)) in str(error.value)


def test_a_folder_that_cannot_be_replaced_fails_only_its_video(tmp_path, capsys):
    def work(id: str) -> Outcome:
        return fail(UserError("b/faces: holds other files")) if id == "b" else Outcome(1)

    assert go(tmp_path, ["a", "b", "c"], work, step="01a") == 0
    assert "2 frames of 3 videos" in capsys.readouterr().out
    assert rows_of(tmp_path)[1:] == [("01a", "b", "b/faces: holds other files")]


def test_ctrl_c_passes_through_and_what_failed_until_then_is_listed(tmp_path):
    def work(id: str) -> Outcome:
        return fail(KeyboardInterrupt()) if id == "b" else Outcome(1, "truncated")

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, ["a", "b", "c"], work)
    assert rows_of(tmp_path)[1:] == [("00", "a", "truncated")]


@pytest.mark.parametrize(
    ("outcomes", "strict", "code"),
    [
        ({"a": Outcome(11), "b": Outcome(11)}, False, 0),
        ({"a": Outcome(11), "b": Outcome(11)}, True, 0),
        ({"a": Outcome(11), "b": Outcome(0, "is empty")}, False, 0),
        ({"a": Outcome(11), "b": Outcome(0, "is empty")}, True, 1),
        ({"a": Outcome(11), "b": Outcome(3, "truncated")}, True, 1),
        ({"a": Outcome(11, done_before=True), "b": Outcome(11)}, True, 0),
        ({"a": Outcome(11), "b": Outcome(3, "truncated", done_before=True)}, True, 1),
    ],
)
def test_the_summary_counts_and_the_exit_code_is_one_only_if_strict(tmp_path, capsys, outcomes, strict, code):
    assert go(tmp_path, outcomes, outcomes.get, strict=strict) == code
    lines = capsys.readouterr().out.splitlines()
    total, problems = sum(o.count for o in outcomes.values()), sum(bool(o.problem) for o in outcomes.values())
    before = sum(o.done_before for o in outcomes.values())
    assert f"{total} frames" in lines[0] and "2 videos" in lines[0]
    assert (f"{before} done before" in lines[0]) if before else ("before" not in lines[0])
    assert len(lines) == 1 + (problems > 0)
    assert not problems or (f"{problems} with a problem" in lines[1] and "failures.csv" in lines[1])


# in processes of their own


def work_that_can_go_wrong(id: str, work_dir) -> Outcome:
    """Write half of a file and of a folder, then do what the video's name says."""
    with whole_folder(work_dir / id / "faces", str.isascii), whole_file(work_dir / id / "a.png") as temporary:
        temporary.write_bytes(b"half")
        if id in ERRORS:
            raise ERRORS[id][0]
        if id == "hangs":
            time.sleep(600)
        if id == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if id == "exits":
            os._exit(3)
        if id == "disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Outcome(11)


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def work_for(seconds: float) -> Outcome:
    return Outcome(bool(sleep(seconds)))


@pytest.mark.slow
def test_a_longer_video_gets_more_time(tmp_path):
    videos, lengths = {"short": 1.5, "long": 1.6}, {1.5: 0, 1.6: 9}
    for_each_video(Run("00", "frames", tmp_path, workers=2, timeout=0.5, length=lengths.get), videos, work_for)
    ((_, video, reason),) = rows_of(tmp_path)[1:]
    assert video == "short" and "longer than 0.5 s" in reason
    assert (limit_for(120, 0), limit_for(120, 300), limit_for(120, 10**9)) == (120, 720, 7320)


@pytest.mark.slow
def test_a_length_that_is_not_told_in_time_is_the_end_of_the_item():
    with at_work(abs, [600, 0], 1, timeout=2, length=sleep) as results:
        found = dict(results)
        assert found[0] == 0 and str(found[600]) == "took longer than 2 s; --timeout gives it more"


@pytest.mark.slow
def test_a_failing_hanging_or_crashing_video_fails_alone(tmp_path, capsys):
    good = [f"good {number}" for number in range(4)]
    ids = [good[0], *ERRORS, good[1], "hangs", good[2], "is killed", "exits", good[3]]
    work = partial(work_that_can_go_wrong, work_dir=tmp_path)
    assert go(tmp_path, ids, work, workers=2, timeout=2, strict=True) == 1
    out, err = capsys.readouterr()
    assert f"44 frames of {len(ids)} videos" in out and err == ""
    listed = {video: reason for _, video, reason in rows_of(tmp_path)[1:]}
    assert listed.keys() == set(ids) - set(good) and list(listed) == sorted(listed)
    assert all(reason in listed[kind] for kind, (_, reason) in ERRORS.items())
    assert "longer than 2 s" in listed["hangs"]
    assert "crashed" in listed["is killed"] and "crashed" in listed["exits"] and "3" in listed["exits"]
    # and nothing half-made is left of it
    assert {name for name, content in tree(tmp_path).items() if content is not None} == {
        "failures.csv",
        *(f"{id}/a.png" for id in good),
    }
    assert not [name for name in tree(tmp_path) if ".tmp" in name]


def tell_process(id: str, work_dir) -> Outcome:
    """Write down by which process a video is worked on."""
    (work_dir / f"{id}.pid").write_text(str(os.getpid()))
    return work_that_can_go_wrong(id, work_dir)


@pytest.mark.slow
def test_the_worker_of_a_video_that_crashed_is_replaced(tmp_path):
    ids = ["a", "is killed", "b", "hangs", "c", "d"]
    go(tmp_path, ids, partial(tell_process, work_dir=tmp_path), workers=1, timeout=2)
    assert [video for _, video, _ in rows_of(tmp_path)[1:]] == ["hangs", "is killed"]
    processes = {id: int((tmp_path / f"{id}.pid").read_text()) for id in ids}
    assert processes["a"] == processes["is killed"] != processes["b"] == processes["hangs"] != processes["c"]
    assert processes["c"] == processes["d"] != os.getpid()
    assert not [id for id in processes.values() if Path(f"/proc/{id}").exists()]


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_one_line_from_another_process_too(tmp_path):
    work = partial(work_that_can_go_wrong, work_dir=tmp_path)
    with pytest.raises(UserError) as error:
        go(tmp_path, ["disk", "hangs", *map(str, range(20))], work, workers=2, timeout=60)
    assert str(tmp_path) in str(error.value) and os.strerror(errno.ENOSPC) in str(error.value)
    assert "\n" not in str(error.value)
    assert not [name for name in tree(tmp_path) if ".tmp" in name]


@pytest.mark.slow
def test_more_workers_than_videos_are_no_error(tmp_path):
    work = partial(work_that_can_go_wrong, work_dir=tmp_path)
    assert go(tmp_path, ["a"], work, workers=3, strict=True) == 0
    assert rows_of(tmp_path)[1:] == []

"""The same work on every video: one that fails costs that one, and what failed is written down."""

import csv
import errno
import os

import pytest

from deepfake.files import UserError
from deepfake.runner import Outcome, VideoError, for_each_video, summarise


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
def test_a_video_that_fails_never_stops_the_others(tmp_path, kind, place):
    error, reason = ERRORS[kind]
    ids = ["a", "b", "c"]
    done = []

    def work(id: str) -> Outcome:
        if id == ids[place]:
            raise error
        done.append(id)
        return Outcome(11)

    outcomes = for_each_video("00", ids, work, tmp_path)
    assert done == [id for id in ids if id != ids[place]]
    assert {id: outcome.count for id, outcome in outcomes.items()} == {id: 11 * (id in done) for id in ids}
    header, (step, video, written) = rows_of(tmp_path)
    assert header == ("step", "video", "reason")
    assert (step, video) == ("00", ids[place]) and reason in written and "\n" not in written


def test_a_video_that_gives_something_and_has_a_problem_is_kept_and_listed(tmp_path):
    outcomes = for_each_video("00", ["a", "b"], {"a": Outcome(5, "truncated"), "b": Outcome(11)}.get, tmp_path)
    assert outcomes["a"] == Outcome(5, "truncated")
    assert rows_of(tmp_path)[1:] == [("00", "a", "truncated")]


def test_each_run_replaces_the_failures_of_its_own_step_only(tmp_path):
    for_each_video("00", ["a", "b"], {"a": Outcome(1, "first"), "b": Outcome(1, "first")}.get, tmp_path)
    for_each_video("01a", ["a"], {"a": Outcome(1, "no face")}.get, tmp_path)
    for_each_video("00", ["a", "b"], {"a": Outcome(1), "b": Outcome(1, "second")}.get, tmp_path)
    assert rows_of(tmp_path) == [("step", "video", "reason"), ("00", "b", "second"), ("01a", "a", "no face")]
    for_each_video("00", ["a"], {"a": Outcome(1)}.get, tmp_path)
    assert rows_of(tmp_path)[1:] == [("01a", "a", "no face")]


def test_failures_are_read_back_whatever_the_names_and_reasons_hold(tmp_path):
    id, reason = 'a, "b" 🙂', 'said "no", twice'
    for_each_video("00", [id], {id: Outcome(1, reason)}.get, tmp_path)
    for_each_video("01a", [id], {id: Outcome(1)}.get, tmp_path)
    assert rows_of(tmp_path)[1:] == [("00", id, reason)]


def test_a_failures_file_that_another_program_has_changed_stops_nothing(tmp_path):
    (tmp_path / "failures.csv").write_bytes("step;video;reason\r\n00;é;zu kurz\r\n".encode("latin-1"))
    outcomes = for_each_video("01a", ["a", "b"], {"a": Outcome(1), "b": Outcome(0, "no face")}.get, tmp_path)
    assert len(outcomes) == 2
    assert ("01a", "b", "no face") in rows_of(tmp_path)


def test_where_not_one_video_could_be_used_the_list_and_the_first_reason_are_named(tmp_path):
    with pytest.raises(UserError) as error:
        for_each_video("00", ["a", "b"], lambda id: fail(VideoError(f"{id} is empty")), tmp_path)
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
        for_each_video("00", ["a", "b", "c"], work, tmp_path)
    assert done == ["a"]
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert os.strerror(getattr(errno, code)) in str(error.value)


def test_a_folder_that_cannot_be_replaced_in_one_video_costs_that_video_only(tmp_path):
    def work(id: str) -> Outcome:
        return fail(UserError("b/faces: holds other files")) if id == "b" else Outcome(1)

    outcomes = for_each_video("01a", ["a", "b", "c"], work, tmp_path)
    assert [outcome.count for outcome in outcomes.values()] == [1, 0, 1]
    assert rows_of(tmp_path)[1:] == [("01a", "b", "b/faces: holds other files")]


def test_ctrl_c_passes_through_and_what_failed_until_then_is_listed(tmp_path):
    def work(id: str) -> Outcome:
        return fail(KeyboardInterrupt()) if id == "b" else Outcome(1, "truncated")

    with pytest.raises(KeyboardInterrupt):
        for_each_video("00", ["a", "b", "c"], work, tmp_path)
    assert rows_of(tmp_path)[1:] == [("00", "a", "truncated")]


@pytest.mark.parametrize(
    ("outcomes", "strict", "code"),
    [
        ({"a": Outcome(11), "b": Outcome(11)}, False, 0),
        ({"a": Outcome(11), "b": Outcome(11)}, True, 0),
        ({"a": Outcome(11), "b": Outcome(0, "is empty")}, False, 0),
        ({"a": Outcome(11), "b": Outcome(0, "is empty")}, True, 1),
        ({"a": Outcome(11), "b": Outcome(3, "truncated")}, True, 1),
    ],
)
def test_the_summary_counts_and_the_exit_code_is_one_only_if_strict(tmp_path, capsys, outcomes, strict, code):
    assert summarise("00", outcomes, "frames", tmp_path, strict) == code
    lines = capsys.readouterr().out.splitlines()
    total, problems = sum(o.count for o in outcomes.values()), sum(bool(o.problem) for o in outcomes.values())
    assert f"{total} frames" in lines[0] and "2 videos" in lines[0]
    assert len(lines) == 1 + (problems > 0)
    assert not problems or (f"{problems} with a problem" in lines[1] and "failures.csv" in lines[1])

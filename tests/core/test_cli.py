"""What all scripts share: quick help, numbers that are checked, bars that can be silenced, and how they end."""

import argparse
import os
import pty
import subprocess
import sys
import termios
from dataclasses import dataclass

import pytest
from conftest import ROOT, Script, make_video, refused_options, step_command, write_metadata

from deepfake.core.cli import add_options, hushed, number, option, options_of, parser, progress, whole_number
from deepfake.jobs.options import SUBMITTED, add_spark_option

SCRIPTS = sorted(ROOT.glob("[0-9]*.py"))
MODULES = ("compare", "explore", "gallery", "publish", "unpack")
HEAVY = {"tensorflow", "keras", "pyspark"}
SLOW = {"onnxruntime", "matplotlib", "sklearn", "pandas", "pyarrow", "av"}  # less so, yet seconds in all


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def help_of(run: str) -> subprocess.CompletedProcess:
    """Run a line of Python with --help; the last line shows the exit code and which slow packages were loaded."""
    code = (
        "import runpy, sys\n"
        "sys.argv[1:] = ['--help']\n"
        f"try: {run}\n"
        f"except SystemExit as end: print('ended:', end.code, sorted({HEAVY | SLOW} & set(sys.modules)))"
    )
    return python(code)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_help_of_a_script_loads_nothing_that_takes_long(script):
    shown = help_of(f"runpy.run_path({str(script)!r}, run_name='__main__')")
    assert shown.stdout.splitlines()[-1] == "ended: 0 []" and not shown.stderr
    assert "usage: " in shown.stdout and "Reads:" in shown.stdout and "Writes:" in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_help_of_a_module_loads_nothing_that_takes_long(module):
    shown = help_of(f"runpy.run_module('deepfake.{module}', run_name='__main__', alter_sys=True)")
    assert shown.stdout.splitlines()[-1] == "ended: 0 []"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("faces.files", HEAVY),
        ("split.prepare", HEAVY),
        ("evaluation.predictions", HEAVY),
        ("verdicts.judge", {"tensorflow", "keras"}),
    ],
)
def test_a_module_loads_only_the_framework_that_it_works_with(module, absent):
    shown = python(f"import sys, deepfake.{module}; print(sorted({absent} & set(sys.modules)))")
    assert shown.stdout.splitlines()[-1:] == ["[]"], shown.stderr


@pytest.mark.slow
def test_training_loads_no_spark(tmp_path):
    (tmp_path / "program.py").write_text("import sys, deepfake.training.loop; print('pyspark' in sys.modules)")
    done = Script(tmp_path / "program.py").ended(120)  # in a process that has loaded this module alone
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_an_option_that_does_not_exist_is_refused(script):
    assert "--no-such-option" in refused_options(script.name.partition("-")[0], "--no-such-option")


@dataclass(frozen=True)
class Cutting:
    margin: float = option(0.3, "share of the box", type=number(0, 1))
    square: bool = option(False, "a square")
    rescue: bool = option(True, "keep none", flag="--no-rescue")
    by_box: str = option("", "a file", one_of="way", metavar="FILE")
    by_points: str = option("", "a file", one_of="way", metavar="FILE")
    marked: bool = False


def cutting(*arguments: str, **others: object) -> Cutting:
    shown = parser("")
    add_options(shown, Cutting)
    return options_of(Cutting, shown.parse_args(arguments), **others)


def test_a_command_line_fills_a_dataclass_of_options():
    assert cutting() == Cutting()
    given = cutting("--margin", "0.5", "--square", "--no-rescue", "--by-box", "a.csv")
    assert given == Cutting(margin=0.5, square=True, rescue=False, by_box="a.csv")
    assert cutting("--margin", "0.5", margin=0.1, marked=True) == Cutting(margin=0.1, marked=True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--margin", "2"], "--margin: '2' is not a number from 0 to 1"),
        (["--rescue"], "unrecognized"),
        (["--marked"], "unrecognized"),
        (["--by-box", "a", "--by-points", "b"], "--by-points: not allowed with argument --by-box"),
    ],
    ids=str,
)
def test_an_option_that_its_field_does_not_allow_is_refused(capsys, arguments, says):
    with pytest.raises(SystemExit, match="2"):
        cutting(*arguments)
    assert says in capsys.readouterr().err


def test_the_help_shows_the_defaults_of_the_fields_but_not_of_switches():
    shown = parser("")
    add_options(shown, Cutting, "rescue", "margin")
    lines = [line.split("  ") for line in shown.format_help().splitlines()[-2:]]
    assert [(line[1].strip(), line[-1].strip()) for line in lines] == [
        ("--no-rescue", "keep none"),
        ("--margin MARGIN", "share of the box (default: 0.3)"),
    ]


@pytest.mark.parametrize(("minimum", "text", "value"), [(1, "1", 1), (1, "11", 11), (0, "0", 0), (-5, "-3", -3)])
def test_a_whole_number_is_taken(minimum, text, value):
    assert whole_number(minimum)(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "eleven", "", "--1"])
def test_another_text_is_no_whole_number(text):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        whole_number(1)(text)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("1", 1), ("0.95", 0.95), ("1e-2", 0.01)])
def test_a_number_within_its_bounds_is_taken(text, value):
    assert number(0, 1)(text) == value


@pytest.mark.parametrize("text", ["-0.1", "1.1", "95%", "nan", "inf", "", "a"])
def test_another_text_is_no_number_within_the_bounds(text):
    with pytest.raises(argparse.ArgumentTypeError):
        number(0, 1)(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("main", "code", "line"),
    [
        ("lambda: 0", 0, ""),
        ("lambda: 1", 1, ""),
        ("lambda: None", 0, ""),
        ("lambda: fail(UserError('a.json: not found; run step 00'))", 2, "error: a.json: not found; run step 00"),
        ("lambda: fail(KeyboardInterrupt())", 130, "stopped"),
    ],
)
def test_a_script_ends_with_its_code_and_at_most_one_line(main, code, line):
    shown = python(
        "from deepfake.core.cli import run\nfrom deepfake.core.errors import UserError\n"
        f"def fail(error): raise error\nrun({main})"
    )
    assert shown.returncode == code and "Traceback" not in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == bool(line)
    assert line in shown.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("module", "extra"), [("pyspark.sql", "spark"), ("tensorflow", "train"), ("pandas", "train")])
def test_what_is_not_installed_is_one_line_with_the_file_that_has_it(module, extra):
    missing = f"import sys; sys.modules['{module.partition('.')[0]}'] = None"
    done = python(f"{missing}; from deepfake.core import cli; cli.run(lambda: __import__('{module}'))")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"pip install -r {ROOT / f'requirements-{extra}.txt'}" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_costs_no_traceback(tmp_path, unbuffered):
    write_metadata(tmp_path, {"a.mp4": "REAL"})
    make_video(tmp_path / "a.mp4")
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    command = step_command("00", "--videos-dir", tmp_path)
    shown = subprocess.run(command, env=environment, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert shown.stderr == ""
    assert (tmp_path / "a" / "frames.json").exists()


@pytest.mark.parametrize("default", [None, "local[*]"])
def test_a_master_is_the_users_or_that_of_spark_submit_or_the_default(monkeypatch, default):
    def master(*arguments: str) -> str | None:
        parser = argparse.ArgumentParser()
        add_spark_option(parser, default)
        return parser.parse_args(arguments).master

    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    assert (master(), master("--master", "yarn")) == (default, "yarn")
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1234")  # as spark-submit does
    assert (master(), master("--master", "yarn")) == (SUBMITTED, "yarn")


def test_progress_is_silent_where_standard_error_is_no_terminal(capsys):
    assert list(progress(range(3), quiet=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_shows_a_bar_unless_it_is_to_be_quiet(tmp_path, quiet):
    write_metadata(tmp_path, {"a.mp4": "REAL"})
    make_video(tmp_path / "a.mp4")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    arguments = ["--videos-dir", tmp_path, *["--quiet"] * quiet]
    shown = subprocess.run(step_command("00", *arguments), stdout=subprocess.PIPE, stderr=theirs, timeout=120)
    os.write(theirs, b".")
    written = os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert shown.returncode == 0
    assert (b"1/1" in written) is not quiet
    assert not quiet or written == b"."


def test_hushed_keeps_back_what_is_written_below_python(capfd):
    with hushed():
        os.write(2, b"noise of a library")
    assert capfd.readouterr().err == ""


def test_hushed_shows_what_it_kept_if_the_work_fails(capfd):
    with pytest.raises(RuntimeError), hushed():
        os.write(2, b"the reason")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason"
    os.write(2, b"shown again")
    assert capfd.readouterr().err == "shown again"


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(path.name for path in ROOT.glob("0*.py")))
def test_on_windows_itself_every_script_is_one_line_with_the_remedy(script):
    as_there = f"import sys, runpy; sys.platform = 'win32'; runpy.run_path({str(ROOT / script)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", as_there], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "WSL" in done.stderr

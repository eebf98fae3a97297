"""Steps 00 to 02 as a user runs them: exit codes, one line for each mistake, and nothing written by mistake."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
from conftest import ROOT, make_crops, make_video, refused_options, run_main, run_step, tree, write_metadata

from deepfake.core.errors import UserError


def beside_a_good_one(text: str) -> str:
    return '{"good.mp4": {"label": "REAL"}, ' + text + "}"


def failures(work_dir: Path) -> list[tuple[str, ...]]:
    with (work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def one_line(shown: subprocess.CompletedProcess) -> str:
    """The one line on standard error of a script that refused to work."""
    assert shown.returncode == 2, shown
    assert "Traceback" not in shown.stderr and len(shown.stderr.splitlines()) == 1
    assert shown.stderr.startswith("error: ")
    return shown.stderr


# what is refused


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "no dataset found"),
        ("label,name\n", "not readable as JSON"),
        ("{}", "no video"),
        (beside_a_good_one('"x.mp4": {"label": "MAYBE"}'), "MAYBE"),
        (beside_a_good_one('"../x.mp4": {"label": "FAKE"}'), "leaves the folder"),
        (beside_a_good_one('"...mp4": {"label": "FAKE"}'), "...mp4"),
        (beside_a_good_one('"\\ud800.mp4": {"label": "FAKE"}'), "ud800"),
        (beside_a_good_one('"sub/good.avi": {"label": "FAKE"}, "sub/good.mp4": {"label": "FAKE"}'), "good"),
        ("[" * 100_000, "not readable as JSON"),
    ],
)
def test_metadata_that_cannot_be_used_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, metadata, says):
    folder = tmp_path / "above" / "videos"
    make_video(folder / "good.mp4")
    make_crops(folder, "good")
    if metadata is not None:
        (folder / "metadata.json").write_text(metadata)
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)
    for step in ("00", "02"):
        with pytest.raises(UserError) as error:
            run_main(step, "--videos-dir", folder, "--work-dir", tmp_path / "work")
        line = str(error.value)
        assert says in line and (str(folder) in line or "would both be called" in line) and "\n" not in line
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "says"),
    [("00", "no such folder"), ("01a", "run step 00"), ("01b", "run step 01a"), ("02", "no such folder")],
)
def test_a_step_without_its_input_names_what_is_missing_and_writes_nothing(tmp_path, step, says):
    assert says in one_line(run_step(step, "--videos-dir", "no/such/folder", cwd=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_step_02_before_01a_names_the_step_to_run(tmp_path):
    write_metadata(tmp_path / "train_sample_videos", {"a.mp4": "REAL"})
    before = tree(tmp_path)
    assert "run step 01a" in one_line(run_step("02", cwd=tmp_path))
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(("step", "options"), [("03", ["--weights", "none"]), ("03", ["--resume"]), ("03a", [])])
def test_steps_03_and_03a_before_02_name_the_step_to_run_and_write_nothing(tmp_path, monkeypatch, step, options):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run step 02 first"):
        run_main(step, *options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        ("00", ["--frames", "0"]),
        ("00", ["--frames", "many"]),
        ("00", ["--workers", "-1"]),
        ("01a", ["--timeout", "0"]),
        ("01a", ["--min-confidence", "95"]),
        ("01a", ["--margin", "-1"]),
        ("02", ["--group-by", "person"]),
        ("03", ["--label-smoothing", "0.9"]),
        ("03", ["--crops-per-video", "0"]),
        ("03", ["--precision", "float8"]),
        ("03", ["--cache", "tape"]),
        ("03a", ["--pixel-max", "100"]),
    ],
)
def test_an_option_out_of_its_range_is_refused(tmp_path, monkeypatch, step, arguments):
    monkeypatch.chdir(tmp_path)
    assert arguments[0] in refused_options(step, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("work_dir", ["file.txt", "file.txt/below"])
def test_a_work_dir_that_cannot_be_a_folder_is_one_line(tmp_path, work_dir):
    make_video(tmp_path / "a.mp4")
    write_metadata(tmp_path, {"a.mp4": "REAL"})
    (tmp_path / "file.txt").write_text("mine")
    before = tree(tmp_path)
    assert "file.txt" in one_line(run_step("00", "--videos-dir", ".", "--work-dir", work_dir, cwd=tmp_path))
    assert tree(tmp_path) == before


# what works


@pytest.fixture
def mixed(tmp_path) -> Path:
    """A dataset of two good videos, a cut one, an empty one, a text and one that is missing."""
    folder = write_metadata(
        tmp_path / "train_sample_videos",
        {
            "a-b 🙂.mp4": "REAL",
            "sub/c.mp4": {"label": "FAKE", "original": "a-b 🙂.mp4"},
            "cut.mp4": "FAKE",
            "empty.mp4": "FAKE",
            "text.mp4": "FAKE",
            "gone.mp4": "FAKE",
        },
    )
    make_video(folder / "a-b 🙂.mp4")
    make_video(folder / "sub" / "c.mp4", frames=4)
    cut = make_video(folder / "cut.mp4", frames=60, size=(96, 64), options={"movflags": "faststart"})
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video\n" * 50)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("options", "code"), [([], 0), (["--strict"], 1), (["--quiet"], 0)])
def test_bad_videos_cost_themselves_and_the_exit_code_only_if_strict(mixed, options, code):
    shown = run_step("00", *options, cwd=mixed.parent)
    assert (shown.returncode, shown.stderr) == (code, "")
    assert [row[:2] for row in failures(mixed)] == [("00", id) for id in ("cut", "empty", "gone", "text")]
    counts = {path.name: len(list(path.glob("*.png"))) for path in mixed.iterdir() if (path / "frames.json").exists()}
    assert counts.pop("cut") >= 9
    assert counts == {"a-b 🙂": 11, "c": 4}
    assert "6 videos" in shown.stdout and "4 with a problem" in shown.stdout
    assert len(shown.stdout.splitlines()) == 2


@pytest.mark.slow
def test_a_dataset_without_readable_videos_exits_with_2(mixed):
    for name in ("a-b 🙂.mp4", "sub/c.mp4", "cut.mp4"):
        (mixed / name).unlink()
    assert "failures.csv" in one_line(run_step("00", cwd=mixed.parent))
    assert len(failures(mixed)) == 6


@pytest.mark.slow
def test_a_read_only_dataset_is_left_alone_with_a_work_dir(mixed):
    before = tree(mixed)
    work = mixed.parent / "work"
    assert run_step("00", "--work-dir", work, "--frames", "2", cwd=mixed.parent).returncode == 0
    assert tree(mixed) == before
    assert {path.name for path in work.iterdir()} == {"a-b 🙂", "c", "cut", "failures.csv"}


@pytest.mark.slow
def test_a_failed_video_of_another_step_stays_listed(mixed):
    (mixed / "failures.csv").write_text("step,video,reason\n01a,x,no face\n00,y,is gone\n")
    assert run_step("00", cwd=mixed.parent).returncode == 0
    assert ("01a", "x", "no face") in failures(mixed) and ("00", "y", "is gone") not in failures(mixed)


@pytest.mark.slow
def test_the_defaults_of_step_02_are_the_folders_below_the_current_one(tmp_path):
    records = {f"o{number}.mp4": "REAL" for number in range(3)}
    records |= {f"f{number}.mp4": {"label": "FAKE", "original": f"o{number}.mp4"} for number in range(3)}
    folder = write_metadata(tmp_path / "train_sample_videos", records)
    for name in records:
        make_crops(folder, name.removesuffix(".mp4"))
    shown = run_step("02", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"train_sample_videos", "prepared_dataset", "split_dataset"}
    for split in ("train", "val", "test"):
        assert len(list((tmp_path / "split_dataset" / split / "real").iterdir())) == 3
        assert len(list((tmp_path / "split_dataset" / split / "fake").iterdir())) == 3
        assert f"{split}: 3 real and 3 fake" in shown.stdout
    shown = run_step("02", "--group-by", "video", cwd=tmp_path)
    assert shown.returncode == 0 and "by video" in shown.stdout
    shown = run_step("02", "--split-dir", "train_sample_videos", cwd=tmp_path)
    assert "train_sample_videos" in one_line(shown) and (folder / "metadata.json").exists()


@pytest.mark.slow
def test_step_02_names_the_label_of_which_there_is_too_little(tmp_path):
    records = {"o.mp4": "REAL"} | {f"f{number}.mp4": "FAKE" for number in range(3)}
    write_metadata(tmp_path, records)
    for name in records:
        make_crops(tmp_path, name.removesuffix(".mp4"))
    before = tree(tmp_path)
    assert "1 source group with real crops" in one_line(run_step("02", "--videos-dir", ".", cwd=tmp_path))
    assert tree(tmp_path) == before


# what comes between


@pytest.mark.slow
def test_ctrl_c_ends_with_one_line_and_what_exists_is_whole(tmp_path):
    first = make_video(tmp_path / "v00.mp4", frames=20, size=(640, 480))
    for number in range(1, 60):
        os.link(first, tmp_path / f"v{number:02d}.mp4")
    write_metadata(tmp_path, {f"v{number:02d}.mp4": "REAL" for number in range(60)})
    script = next(ROOT.glob("00-*.py"))
    command = [sys.executable, str(script), "--videos-dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/frames.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and len(err.strip().splitlines()) == 1
    whole = list(tmp_path.glob("*/frames.json"))
    assert 1 <= len(whole) < 60
    for path in whole:
        assert len(json.loads(path.read_text())["frames"]) == len(list(path.parent.glob("*.png"))) == 11
    assert all(cv2.imread(str(path)) is not None for path in tmp_path.rglob("*.png"))
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


def on_small_disk(disk: Path, *command: object, before: str = "true", after: str = "true"):
    """Run a command where `disk` is a disk of 256 KB of its own; skip where that is not allowed."""
    disk.mkdir()
    unshare = ["unshare", "-rm", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=256k none "$0"'
    try:
        allowed = subprocess.run([*unshare, mount, disk], capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("a small disk cannot be mounted here")
    script = f'{mount}; {before}; "$@"; code=$?; {after}; exit $code'
    return subprocess.run([*unshare, script, disk, *map(str, command)], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("true", "No space left"),
        ('cat /dev/zero > "$0"/large 2> /dev/null', "No space left"),
        ('mount -o remount,ro "$0"', "Read-only"),
    ],
    ids=["fills up", "is full", "is read-only"],
)
def test_a_disk_that_takes_no_more_ends_step_00_with_one_line(tmp_path, before, says):
    videos, disk = tmp_path / "videos", tmp_path / "disk"
    write_metadata(videos, {f"v{number}.mp4": "REAL" for number in range(3)})
    for number in range(3):
        make_video(videos / f"v{number}.mp4", size=(320, 240))
    script = next(ROOT.glob("00-*.py"))
    shown = on_small_disk(disk, sys.executable, script, "--videos-dir", videos, "--work-dir", disk, before=before)
    assert (shown.returncode, shown.stdout) == (2, "")
    warning, line = shown.stderr.splitlines()  # what is needed is known before the work begins
    assert warning.startswith("warning: ") and str(disk) in warning
    assert line.startswith("error: ") and str(disk) in line and says in line and "--work-dir" in line


@pytest.mark.slow
def test_a_full_disk_ends_step_02_with_one_line_and_leaves_no_half_set(tmp_path):
    records = {f"o{number}.mp4": "REAL" for number in range(3)}
    records |= {f"f{number}.mp4": {"label": "FAKE", "original": f"o{number}.mp4"} for number in range(3)}
    videos, disk = write_metadata(tmp_path / "videos", records), tmp_path / "disk"
    for name in records:
        make_crops(videos, name.removesuffix(".mp4"), frames=40)
    command = [sys.executable, next(ROOT.glob("02-*.py")), "--videos-dir", videos]
    command += ["--prepared-dir", disk / "prepared", "--split-dir", disk / "split"]
    shown = on_small_disk(disk, *command, after='ls -A "$0"')
    assert "No space left" in one_line(shown)
    assert all(line.startswith("02: ") for line in shown.stdout.splitlines())  # and `ls` has nothing to show


# the steps together


@pytest.mark.slow
def test_real_clips_go_from_videos_to_sets(real_clips, real_work, tmp_path):
    (tmp_path / "clips").mkdir()
    names = ["004.mp4", "004_982.mp4", "519.mp4", "519_515.mp4", "634.mp4", "634_660.mp4"]
    for name in names:
        (tmp_path / "clips" / name).symlink_to(real_clips / name)
        id = Path(name).stem
        shutil.copytree(
            real_work / id, tmp_path / "work" / id, ignore=shutil.ignore_patterns(f"{id}-[0-9][0-9][0-9].png")
        )
    records = json.loads((real_clips / "metadata.json").read_text())
    write_metadata(tmp_path / "clips", {name: records[name] for name in names})
    folders = ["--videos-dir", "clips", "--work-dir", "work"]
    for step, options in {"01b": [], "02": ["--faces", "marked_faces"]}.items():
        shown = run_step(step, *folders, *options, cwd=tmp_path)
        assert (shown.returncode, shown.stderr) == (0, ""), step
        assert shown.stdout.splitlines()[-1].startswith(f"{step}: ")
    assert failures(real_work) == []
    with (tmp_path / "split_dataset" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert {row["group"] for row in rows} == {"004", "519", "634"}
    for row in rows:
        path = tmp_path / "split_dataset" / row["split"] / row["file"]
        height, width = cv2.imread(str(path)).shape[:2]
        assert all(0 <= x < width and 0 <= y < height for x, y in json.loads(row["landmarks"]))

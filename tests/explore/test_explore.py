import subprocess
import sys

import pytest
from conftest import ROOT, write_metadata
from test_video_stats import write_faces

pytestmark = pytest.mark.slow


def test_the_command_writes_text_list_and_pictures(tmp_path):
    write_metadata(tmp_path, {"a.mp4": "REAL", "b.mp4": {"label": "FAKE", "original": "a.mp4"}, "c.mp4": "REAL"})
    for id, luma in (("a", 120), ("b", 90), ("c", 20)):
        write_faces(tmp_path, id, luma=luma)
    command = [
        sys.executable,
        "-m",
        "deepfake.explore",
        "--videos-dir",
        str(tmp_path),
        "--out-dir",
        str(tmp_path / "x"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    names = {path.name for path in (tmp_path / "x").iterdir()}
    assert names == {"Exploration.png", "Pairs.png", "exploration.txt", "outliers.csv"}
    assert (tmp_path / "x" / "outliers.csv").read_text().splitlines() == ["video,reason,value", "c,too dark,20"]
    assert done.stdout.startswith((tmp_path / "x" / "exploration.txt").read_text())

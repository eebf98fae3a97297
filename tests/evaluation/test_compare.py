import csv
import subprocess
import sys

import cv2
import pytest
from conftest import ROOT
from test_compare_runs import write_run

pytestmark = pytest.mark.slow


def test_the_command_writes_table_and_picture(tmp_path):
    paths = [write_run(tmp_path / name, skill) for name, skill in (("a", 0.6), ("b", 0.1))]
    command = [sys.executable, "-m", "deepfake.compare", *map(str, paths), "--out-dir", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith((tmp_path / "out" / "comparison.txt").read_text())
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["a", "b"]
    assert all(float(r["roc_auc_low"]) <= float(r["roc_auc"]) <= float(r["roc_auc_high"]) for r in rows)
    assert cv2.imread(str(tmp_path / "out" / "Comparison.png")).shape[1] > 1500

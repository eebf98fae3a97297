"""The Python API, as a user's program calls it."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT, make_video, run_step

import deepfake

pytestmark = pytest.mark.slow


def test_a_program_loads_a_model_and_scans_files_with_it(tmp_path):
    make_video(tmp_path / "nobody.mp4")
    program = (
        "import json, deepfake\n"
        "model = deepfake.load()\n"
        "results = [deepfake.scan(name, model) for name in ('nobody.mp4', 'away.mp4')]\n"
        "print(json.dumps([[r.verdict, r.p_real, r.people, list(r.faces), r.reason] for r in results]))\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    nobody, away = json.loads(done.stdout)  # and nothing else: messages are for `logging`
    assert nobody[:4] == away[:4] == ["UNKNOWN", None, [], []]
    assert "no face" in nobody[4] and away[4] == "is missing"


def test_the_python_api_gives_the_results_of_step_05(real_clips, tmp_path):
    clip = sorted(real_clips.glob("*.mp4"))[0]
    assert run_step("05", clip, "--model", "starter", "--out-dir", tmp_path, "--quiet").returncode == 0
    (expected,) = json.loads((tmp_path / "verdicts.json").read_text())["files"]
    result = deepfake.scan(clip, deepfake.load("starter"))
    assert result.verdict == expected["verdict"] and result.p_real == pytest.approx(expected["p_real"], abs=1e-6)
    assert [(face.frame, face.person) for face in result.faces] == [
        (f["frame"], f["person"]) for f in expected["faces"]
    ]


def test_the_public_names_are_there_and_no_others():
    assert {name for name in deepfake.__all__ if getattr(deepfake, name)} == set(deepfake.__all__)
    with pytest.raises(AttributeError, match="no attribute 'away'"):
        _ = deepfake.away
    with pytest.raises(deepfake.UserError, match=r"away\.keras"):
        deepfake.load("away.keras")

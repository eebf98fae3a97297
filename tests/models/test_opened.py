"""Opening models: the current export by ONNX Runtime, which is written once, or TensorFlow."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from conftest import ROOT
from onnx import TensorProto, helper, numpy_helper

from deepfake.core.errors import UserError
from deepfake.core.files import digest_of
from deepfake.models.info import MAPS_KEY, P_REAL, SOURCE_KEY
from deepfake.models.opened import open_model, open_session
from deepfake.models.starter import STARTER
from deepfake.sample.scenes import Plan, Scene

ABSENT = ("tensorflow", "keras", "pyspark", "pandas", "pyarrow", "matplotlib", "scipy", "sklearn", "h5py")
CROPS = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)


@pytest.mark.slow
def test_a_scan_by_the_starter_needs_neither_tensorflow_nor_spark(tmp_path):
    plan = Plan(originals=2, seed=0, width=400, height=200, seconds=0.1, fps=10, people=2, fakes=1)
    cv2.imwrite(str(tmp_path / "people.png"), next(Scene(plan, 0).frames())[:, :, ::-1])
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({ABSENT}))\n")
    command = [sys.executable, ROOT / "05-scan_videos.py", "people.png", "--model", "starter"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads((tmp_path / "scan" / "verdicts.json").read_text())["files"]
    assert found["verdict"] in ("REAL", "FAKE", "UNCERTAIN") and found["people"] == 2
    assert (tmp_path / "scan" / "report.html").read_text().count('<img class="heat"') == 2


def test_the_export_of_the_starter_is_of_the_model_beside_it():
    carried = open_session(STARTER.with_suffix(".onnx")).get_modelmeta().custom_metadata_map
    assert carried[SOURCE_KEY] == digest_of(STARTER) and carried[MAPS_KEY] == "true"


@pytest.fixture
def model(tmp_path) -> Path:
    """A saved model of crops of 32 pixels."""
    return save(tmp_path / "m.keras", 1)


def save(path: Path, seed: int) -> Path:
    from deepfake.models.runtime import keras

    keras.utils.set_random_seed(seed)
    crop = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(4, 8, strides=8)(keras.layers.Rescaling(1 / 255)(crop))
    features = keras.layers.GlobalAveragePooling2D()(maps)
    keras.Model(crop, keras.layers.Dense(1, activation="sigmoid")(features), name="mine").save(path)
    return path


@pytest.mark.slow
def test_a_model_is_exported_once_and_again_when_it_has_changed(model, capsys):
    exported = model.with_suffix(".onnx")
    by_keras = open_model(model, "keras").run(CROPS)
    assert not exported.exists()
    first = open_model(model)
    assert "it is exported, once" in capsys.readouterr().out and first.info.backbone == "mine"
    for found, expected in zip(first.run(CROPS), by_keras, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    written = exported.stat().st_mtime_ns
    open_model(model)
    assert not capsys.readouterr().out and exported.stat().st_mtime_ns == written
    save(model, 2)
    with pytest.raises(UserError, match=r"exported from another version of m\.keras; run --export"):
        open_model(model, "onnx")
    assert not np.allclose(open_model(model).run(CROPS)[0], by_keras[0])
    assert "it is exported, once" in capsys.readouterr().out
    assert set(model.parent.iterdir()) == {model, exported}


@pytest.mark.slow
def test_tensorflow_runs_what_cannot_be_exported_and_a_line_says_so(model, capsys):
    exported = model.with_suffix(".onnx")
    exported.mkdir()  # so that no file of this name can be written, not even by root
    expected = open_model(model, "keras").run(CROPS)[0]
    np.testing.assert_allclose(open_model(model).run(CROPS)[0], expected)
    assert "; TensorFlow runs the model (in step 05, --runtime keras" in capsys.readouterr().out
    exported.rmdir()
    exported.write_bytes(b"no model")
    np.testing.assert_allclose(open_model(model).run(CROPS)[0], expected)
    assert f"{exported}: not an ONNX model" in capsys.readouterr().out and exported.read_bytes() == b"no model"


def foreign(path: Path, operation: str, **attributes) -> onnx.ModelProto:
    """A model of one operation, saved; its weight is all ones."""
    crops = helper.make_tensor_value_info("crops", TensorProto.FLOAT, [None, 32, 32, 3])
    output = helper.make_tensor_value_info(P_REAL, TensorProto.FLOAT, None)
    weight = numpy_helper.from_array(np.ones((32, 32, 3), np.float32), "weight")
    node = helper.make_node(operation, ["crops", "weight"], [P_REAL], **attributes)
    graph = helper.make_graph([node], "foreign", [crops], [output], [weight])
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("theirs", 1)]
    made = helper.make_model(graph, opset_imports=domains, ir_version=9)
    onnx.save(made, path)
    return made


@pytest.mark.slow
def test_an_onnx_file_runs_no_code_and_reads_no_other_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, secret = tmp_path / "m.onnx", tmp_path / "weights"
    foreign(path, "Run", domain="theirs")
    with pytest.raises(UserError, match="not an ONNX model"):
        open_session(path)
    foreign(path, "Mul")
    assert open_session(path).run(None, {"crops": CROPS})[0].shape == CROPS.shape
    secret.write_bytes(np.ones((32, 32, 3), np.float32).tobytes())
    for location in ("weights", "../weights", str(secret)):
        made = foreign(path, "Mul")
        onnx.external_data_helper.set_external_data(made.graph.initializer[0], location)
        made.graph.initializer[0].ClearField("raw_data")
        path.write_bytes(made.SerializeToString())
        with pytest.raises(UserError, match="not an ONNX model"):
            open_session(path)


@pytest.mark.slow
def test_an_onnx_file_of_another_project_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"name": "m"}}))
    foreign(tmp_path / "m.onnx", "Mul")
    with pytest.raises(UserError, match=r"m\.onnx: not an export of m\.keras"):
        open_model(tmp_path / "m.keras", "onnx")

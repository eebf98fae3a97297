"""The starter: which model a scan uses, and how verdicts name it."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, picture
from scipy.special import logit

from deepfake.commands.scan_videos import main
from deepfake.core.errors import UserError
from deepfake.models import starter
from deepfake.models.info import SAMPLE_ONLY_NAME, ModelInfo, read_model_info, write_model_info
from deepfake.models.opened import open_model
from deepfake.models.starter import OWN, choose_model, find_model
from deepfake.sample.scenes import Plan, Scene

pytestmark = pytest.mark.slow

INFO = ModelInfo("small-cnn", 32, temperature=1.4, threshold=0.45, bands={1: (0.4, 0.5)})
# from dark to bright
CROPS = np.random.default_rng(1).uniform(0, np.linspace(20, 255, 32)[:, None, None, None], (32, 32, 32, 3))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A current folder where a starter would be in models/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starter, "STARTER", tmp_path / "models" / "starter.keras")
    return tmp_path


def write_file(path: Path, name: str = "deepfake", info: ModelInfo | None = None) -> Path:
    """A file with only the name of a Keras model."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"name": name}}))
    if info:
        write_model_info(info, path.with_suffix(".json"))
    return path


def write_starter() -> Path:
    return write_file(starter.STARTER, info=ModelInfo(name="starter", trained_on="DFDC"))


@pytest.mark.parametrize("info", [ModelInfo(), None], ids=["with its .json", "without"])
def test_an_own_model_that_has_seen_real_people_comes_first(project, info, capsys):
    write_starter()
    write_file(OWN, info=info)
    assert choose_model(None, "05") == OWN
    assert capsys.readouterr().out == "05: by tmp_checkpoint/best_model.keras\n"


@pytest.mark.parametrize(
    ("name", "info"),
    [("deepfake", ModelInfo(sample_only=True)), (SAMPLE_ONLY_NAME, None), (SAMPLE_ONLY_NAME, ModelInfo())],
    ids=["by its .json", "by its name", "by its name alone"],
)
def test_the_starter_comes_before_a_sample_only_model(project, name, info, capsys):
    write_file(OWN, name, info)
    assert choose_model(None, "05") == OWN and "but there is no starter" in capsys.readouterr().out
    written = write_starter()
    assert choose_model(None, "06") == written
    said = "06: by models/starter.keras (starter: trained on DFDC); tmp_checkpoint/best_model.keras knows the drawn"
    assert capsys.readouterr().out == f"{said} sample only\n"


def test_without_an_own_model_the_starter_is_used_or_the_remedy_named(project, capsys):
    with pytest.raises(UserError, match=r"best_model.keras: not found, nor .*starter.keras; run step 03"):
        choose_model(None, "05")
    written = write_starter()
    assert choose_model(None, "05") == written
    assert "there is no tmp_checkpoint/best_model.keras" in capsys.readouterr().out


def test_a_model_that_is_named_is_taken(project):
    write_file(OWN, info=ModelInfo())
    with pytest.raises(UserError, match=r"starter.keras: not found; .* give another model"):
        find_model("starter")
    written = write_starter()
    assert choose_model("starter", "05") == written
    assert choose_model("mine.keras", "05") == Path("mine.keras")


def test_choosing_a_model_does_not_load_tensorflow(tmp_path):
    write_file(tmp_path / OWN, info=ModelInfo())
    code = "import sys; from deepfake.models.starter import choose_model; choose_model(None, '05'); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode == 0 and b"tensorflow" not in done.stdout


# with real models


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A model with spread scores as step 03 saves it, including the optimizer."""
    from deepfake.models.model import build_model
    from deepfake.models.runtime import keras

    path = tmp_path_factory.mktemp("trained") / "best_model.keras"
    keras.utils.set_random_seed(0)
    model = build_model(32, "none", name="small-cnn")
    last = model.get_layer("p_real")
    kernel = np.random.default_rng(0).normal(0, 0.1, (128, 1))
    last.set_weights([kernel, np.zeros(1)])
    given = logit(model.predict(CROPS, verbose=0).astype(float))
    last.set_weights([kernel / given.std(), -given.mean(keepdims=True).ravel() / given.std()])
    model.compile("adam", "binary_crossentropy")
    model.optimizer.build(model.trainable_variables)
    model.save(path)
    write_model_info(INFO, path.with_suffix(".json"))
    return path


@pytest.fixture(scope="module")
def published(trained, tmp_path_factory) -> Path:
    """The file of a published model, beside all that is published with it."""
    from deepfake.models.publish import publish_model

    path = tmp_path_factory.mktemp("published") / "starter.keras"
    with redirect_stdout(io.StringIO()) as said:
        publish_model(trained, path, "starter", "DFDC")
    assert "scores (" in said.getvalue()
    return path


def test_a_published_model_is_small_and_scores_as_the_one_that_was_trained(trained, published):
    from deepfake.models.model import load_model

    assert published.stat().st_size < trained.stat().st_size / 5
    assert {path.name for path in published.parent.iterdir()} == {"starter.keras", "starter.json", "starter.onnx"}
    exported = published.with_suffix(".onnx")
    assert exported.stat().st_size < 0.6 * trained.stat().st_size / 3  # a third: without the optimizer
    info = read_model_info(published.with_suffix(".json"))
    assert (info.name, info.trained_on) == ("starter", "DFDC")
    assert (info.crop_rule, info.temperature, info.bands) == (INFO.crop_rule, INFO.temperature, INFO.bands)
    before, after = load_model(trained), load_model(published)
    assert {weight.dtype for weight in after.weights} == {"float32"}
    by_export = open_model(published, "onnx").run(CROPS.astype(np.float32))[0]
    assert np.abs(by_export - after.predict(CROPS, verbose=0)).max() < 1e-4
    scores = before.predict(CROPS, verbose=0)
    assert scores.std() > 0.1 and np.abs(after.predict(CROPS, verbose=0) - scores).max() < 0.005


def test_a_model_that_needs_full_precision_is_not_published(trained, project):
    from deepfake.models.publish import publish_model
    from deepfake.models.runtime import keras

    for target, says in (("mine.h5", "ends in .keras"), (str(trained), "overwrite the model itself")):
        with pytest.raises(UserError, match=says):
            publish_model(trained, Path(target), "mine", "x")
    # what it makes of grey hangs on the third digit of its weights
    crop = keras.Input((32, 32, 3))
    dense = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(crop, dense(keras.layers.GlobalAveragePooling2D()(crop)))
    dense.set_weights([np.array([[100.03], [-50.01], [-50.02]]), np.zeros(1)])
    model.save(project / "fine.keras")
    write_model_info(INFO, project / "fine.json")
    with pytest.raises(UserError, match=r"mine.keras: not written.* differ by 0\.\d+"):
        publish_model(project / "fine.keras", project / "mine.keras", "mine", "x")
    assert {path.name for path in project.iterdir()} == {"fine.keras", "fine.json"}


def test_a_scan_without_a_model_uses_the_starter_and_names_it(published, project, monkeypatch, capsys):
    shutil.copytree(published.parent, starter.STARTER.parent)
    plan = Plan(originals=2, seed=0, width=400, height=200, seconds=0.1, fps=10, people=2, fakes=1)
    cv2.imwrite("people.png", next(Scene(plan, 0).frames())[:, :, ::-1])
    monkeypatch.setattr(sys, "argv", ["05", "people.png", "nobody.png", "--workers", "0"])
    cv2.imwrite("nobody.png", picture(3, 64, 64))
    assert main() == 0
    out = capsys.readouterr().out
    assert "05: by models/starter.keras (starter: trained on DFDC); there is no tmp_checkpoint" in out
    assert out.count("  [starter: trained on DFDC]  ") == 2 and "05: note: by starter: trained on DFDC\n" in out
    content = json.loads(Path("scan/verdicts.json").read_text())
    assert content["model"]["name"] == "starter" and content["model"]["trained_on"] == "DFDC"
    assert [item["note"] for item in content["files"]] == ["starter: trained on DFDC"] * 2
    assert Path("scan/report.html").read_text().count("starter: trained on DFDC") == 3
    rows = Path("scan/verdicts.csv").read_text().splitlines()
    assert rows[0].endswith(",note") and all(row.endswith(",no,starter: trained on DFDC") for row in rows[1:])


def test_training_starts_from_the_starter_in_single_precision(published, project):
    from test_training import write_split

    from deepfake.models.model import load_model
    from deepfake.training.loop import train
    from deepfake.training.options import Options

    shutil.copytree(published.parent, starter.STARTER.parent)
    split_dir = write_split(project / "split_dataset")
    options = Options(weights="starter", new_head=True, epochs=1, head_epochs=0, batch_size=8, augment="none")
    assert train(split_dir, project / "run", options, quiet=True) == 0
    model = load_model(project / "run" / "tmp_checkpoint" / "best_model.keras")
    assert model.input_shape[1:] == (32, 32, 3) and {weight.dtype for weight in model.weights} == {"float32"}
    record = json.loads((project / "run" / "run.json").read_text())
    assert record["model"] == "small-cnn" and record["arguments"]["weights"] == str(starter.STARTER)

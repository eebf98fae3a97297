"""Untrusted model files: files with code are refused before it runs, with the reason."""

import base64
import json
import marshal
import zipfile

import h5py
import pytest

from deepfake.core.errors import UserError
from deepfake.models.model import load_model
from deepfake.models.runtime import keras
from deepfake.models.safe_load import check_model

pytestmark = pytest.mark.slow


def malicious_model(target) -> keras.Model:
    """A model whose Lambda layer writes a file when called, which happens when Keras loads the model."""
    code = f"lambda x: (open({str(target)!r}, 'w').write('was here'), x)[1]"
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(eval(code)), keras.layers.Flatten(),
                             keras.layers.Dense(1, activation="sigmoid")])  # fmt: skip


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_model_is_refused_and_does_not_run(tmp_path, suffix):
    target, path = tmp_path / "written", tmp_path / f"model{suffix}"
    malicious_model(target).save(path)
    target.unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"model\S+: holds Python code \(.*Lambda.*would run on this machine"):
        load_model(path)
    assert not target.exists()
    # Keras itself would have run it
    keras.saving.load_model(path, safe_mode=False)
    assert target.exists()


def test_code_deep_inside_a_model_is_found(tmp_path):
    inner = malicious_model(tmp_path / "written")
    outer = keras.Sequential([keras.Input((2, 8, 8, 3)), keras.layers.TimeDistributed(inner), keras.layers.Flatten()])
    outer.save(tmp_path / "outer.h5")
    with pytest.raises(UserError, match="holds Python code"):
        check_model(tmp_path / "outer.h5")


def test_code_that_is_hidden_in_an_argument_is_found(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]).save(path)
    code = base64.b64encode(marshal.dumps((lambda x: x).__code__)).decode()
    hidden = {"class_name": "__lambda__", "config": {"value": [code, None, None]}}
    rewrite(path, lambda config: config["config"]["layers"][-1]["config"].update(activation=hidden))
    with pytest.raises(UserError, match="__lambda__"):
        load_model(path)


def rewrite(path, change) -> None:
    """Change the description in a .keras file."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def test_unknown_layers_and_functions_of_other_modules_are_refused(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]).save(path)
    unknown = {"module": "os", "class_name": "system", "registered_name": "Evil>Layer", "config": {"command": "true"}}
    rewrite(path, lambda config: config["config"]["layers"].insert(1, unknown))
    with pytest.raises(UserError, match=r"model\.keras: not a Keras model that can be loaded"):
        load_model(path)


def test_a_file_that_is_not_a_model_is_a_one_line_error(tmp_path):
    (tmp_path / "text.keras").write_text("not a model\n")
    (tmp_path / "text.h5").write_text("not a model\n")
    (tmp_path / "empty.keras").touch()
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("a.txt", "a")
    with zipfile.ZipFile(tmp_path / "list.keras", "w") as archive:
        archive.writestr("config.json", "[" * 100_000)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["a"] = 1
    for path in tmp_path.iterdir():
        with pytest.raises(UserError, match=r"not a Keras model: .*; give a \.keras or \.h5 of step 03") as error:
            check_model(path)
        assert "\n" not in str(error.value) and str(path) in str(error.value)
    with pytest.raises(UserError, match="is a folder"):
        check_model(tmp_path)


def test_a_file_of_both_kinds_is_read_as_keras_will_read_it(tmp_path):
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]).save(tmp_path / "good.h5")
    malicious_model(tmp_path / "written").save(tmp_path / "bad.keras")
    both = tmp_path / "both.keras"
    both.write_bytes((tmp_path / "good.h5").read_bytes() + (tmp_path / "bad.keras").read_bytes())
    with pytest.raises(UserError, match="holds Python code"):
        check_model(both)

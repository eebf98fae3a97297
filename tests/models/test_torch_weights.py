"""Torchvision weights: the same network in Keras, and damaged or malicious files."""

import collections
import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from deepfake.core.errors import UserError
from deepfake.models.backbones import build_backbone
from deepfake.models.torch_weights import LEGACY_MAGIC, read_state_dict
from deepfake.training.options import Options
from deepfake.training.start import check_start, resolved

SIZE = 32
FORMS = ("zip", "legacy")


class FloatStorage:
    """Stands for torch.FloatStorage; a pickle only has its name."""


class Stored(collections.namedtuple("Stored", "key count")):
    """Numbers that stand outside of the pickle."""


class Tensor:
    """A tensor as PyTorch pickles it."""

    def __init__(self, stored, shape, strides, offset=0):
        self.parts = stored, offset, shape, strides, False, collections.OrderedDict()

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


class Pickler(pickle.Pickler):
    def persistent_id(self, found):
        return ("storage", FloatStorage, found.key, "cpu", found.count, None) if isinstance(found, Stored) else None


def pickled(found) -> bytes:
    file = io.BytesIO()
    Pickler(file, protocol=2).dump(found)
    return file.getvalue()


@pytest.fixture
def torch(monkeypatch):
    """Fake modules with PyTorch's names, so that pickles can refer to them."""

    def _rebuild_tensor_v2():
        raise AssertionError

    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    module.FloatStorage, utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2
    monkeypatch.setattr(FloatStorage, "__module__", "torch")
    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def write_pth(path, what, numbers=(), form="zip", compression=zipfile.ZIP_STORED):
    """A file as PyTorch writes it: `what` is pickled, and `numbers` are the storages, by their keys."""
    numbers = {key: np.asarray(values, "<f4") for key, values in dict(numbers).items()}
    if form == "zip":
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("weights/data.pkl", what if isinstance(what, bytes) else pickled(what))
            for key, values in numbers.items():
                archive.writestr(f"weights/data/{key}", values.tobytes())
    else:
        head = [LEGACY_MAGIC, 1001, {"little_endian": True}]
        parts = [pickle.dumps(each, 2) for each in head] + [what if isinstance(what, bytes) else pickled(what)]
        parts.append(pickle.dumps(list(numbers), 2))
        parts += [len(values).to_bytes(8, "little") + values.tobytes() for values in numbers.values()]
        path.write_bytes(b"".join(parts))
    return path


def write_state(path, state, form="zip"):
    """A state dict, with the storages and the attribute that PyTorch gives it."""
    tensors, numbers = collections.OrderedDict(), {}
    for number, (name, values) in enumerate(state.items()):
        strides = tuple(step // values.itemsize for step in values.strides)
        tensors[name] = Tensor(Stored(str(number), values.size), values.shape, strides)
        numbers[str(number)] = values.ravel()
    tensors._metadata = collections.OrderedDict(version=1)
    return write_pth(path, tensors, numbers, form)


# torchvision's EfficientNet-B0, in its own names: expansion, kernel, stride, channels in and out, blocks
STAGES = [(1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3), (6, 5, 1, 80, 112, 3),
          (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1)]  # fmt: skip


def torchvision_b0(x, weights_of):
    """Its feature maps (B x H x W x 1280), with TensorFlow's padding; `weights_of` gives weights by name and shape."""

    def convolve(x, name, out, kernel=1, stride=1, groups=False, bias=False):
        shape = (out, 1 if groups else x.shape[-1], kernel, kernel)
        strides = [1, stride, stride, 1]
        weight = weights_of(f"{name}.weight", shape)
        if groups:
            return tf.nn.depthwise_conv2d(x, weight.transpose(2, 3, 0, 1), strides, "SAME")
        x = tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0), strides, "SAME")
        return x + weights_of(f"{name}.bias", (out,)) if bias else x

    def norm(x, name):
        gamma, beta, mean, variance = (
            weights_of(f"{name}.{kind}", x.shape[-1:]) for kind in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    x = tf.nn.silu(norm(convolve(x, "features.0.0", 32, 3, 2), "features.0.1"))
    for stage, (expansion, kernel, stride, taken, given, blocks) in enumerate(STAGES, 1):
        for block in range(blocks):
            before, inner, at = x, expansion * taken, f"features.{stage}.{block}.block"
            part = 0
            if expansion > 1:
                x = tf.nn.silu(norm(convolve(x, f"{at}.0.0", inner), f"{at}.0.1"))
                part = 1
            x = convolve(x, f"{at}.{part}.0", inner, kernel, 1 if block else stride, groups=True)
            x = tf.nn.silu(norm(x, f"{at}.{part}.1"))
            squeezed = tf.reduce_mean(x, (1, 2), keepdims=True)
            squeezed = tf.nn.silu(convolve(squeezed, f"{at}.{part + 1}.fc1", taken // 4, bias=True))
            x *= tf.nn.sigmoid(convolve(squeezed, f"{at}.{part + 1}.fc2", inner, bias=True))
            x = norm(convolve(x, f"{at}.{part + 2}.0", given), f"{at}.{part + 2}.1")
            x = x + before if block else x
            taken = given
    return tf.nn.silu(norm(convolve(x, "features.8.0", 1280), "features.8.1"))


@pytest.fixture(scope="module")
def network():
    """A state dict of torchvision's B0, two images, and the features that it makes of them."""
    rng, state = np.random.default_rng(0), {}

    def weights_of(name, shape):
        kind = name.rpartition(".")[2]
        # small variances, where the epsilon counts
        spread = {"weight": (0.5, 1.5), "running_var": (1e-4, 1e-2)}.get(kind, (-0.1, 0.1))
        if len(shape) == 4:
            values = rng.normal(0, 0.1 / np.sqrt(np.prod(shape[1:])), shape)
        else:
            values = rng.uniform(*spread, tuple(shape))
        state[name] = values.astype(np.float32)
        if kind == "running_var":
            state[name.replace(kind, "num_batches_tracked")] = np.float32(7)
        return state[name]

    images = rng.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    features = tf.reduce_max(torchvision_b0(images, weights_of), (1, 2)).numpy()
    state["classifier.1.weight"] = np.zeros((5, 1280), np.float32)
    return state, images, features


@pytest.mark.slow
def test_the_network_of_torchvision_gives_the_same_features_in_keras(network, torch, tmp_path):
    state, images, features = network
    backbone = build_backbone("efficientnet-b0", SIZE, str(write_state(tmp_path / "b0.pth", state)))
    found = backbone(images).numpy()
    assert np.isfinite(features).all() and (features > 1).mean() > 0.1
    np.testing.assert_allclose(found, features, rtol=1e-3, atol=1e-4 * features.max())


@pytest.mark.slow
def test_training_can_start_from_a_pth_of_the_same_network_only(network, torch, tmp_path):
    path = str(write_state(tmp_path / "b0.pth", network[0]))
    assert resolved(Options(weights=path)).weights == path
    check_start("efficientnet-b0", path, str(SIZE))
    with pytest.raises(UserError, match=r"b0\.pth: not torchvision's efficientnet-b1 \(it has 130 layers, not 184\)"):
        check_start("efficientnet-b1", path, str(SIZE))
    with pytest.raises(UserError, match=r"b0\.pth: .* only be used for EfficientNets, not for meso4"):
        check_start("meso4", path, str(SIZE))
    odd = network[0] | {"features.0.0.weight": np.zeros((32, 3), np.float32)}
    with pytest.raises(UserError, match=r"features\.0\.0 is not as stem_conv"):
        check_start("", str(write_state(tmp_path / "odd.pth", odd)), str(SIZE))
    del odd["features.0.1.running_var"]
    with pytest.raises(UserError, match="is not as stem_"):
        check_start("", str(write_state(tmp_path / "odd.pth", odd)), str(SIZE))


@pytest.mark.parametrize("form", FORMS)
def test_tensors_are_read_as_they_lie_in_their_storage(torch, tmp_path, form):
    stored = Stored("a", 12)
    what = {"plain": Tensor(stored, (3, 4), (4, 1)), "turned": Tensor(stored, (2, 2), (1, 4), 5), "epoch": 3}
    path = write_pth(tmp_path / "weights.pt", {"state_dict": what}, {"a": range(12)}, form)
    found, numbers = read_state_dict(path), np.arange(12).reshape(3, 4)
    assert list(found) == ["plain", "turned"]
    assert (found["plain"] == numbers).all()
    assert (found["turned"] == numbers[1:, 1:3].T).all()


# files of strangers


class Runs:
    """Runs a function when it is read by pickle."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HUGE = (10**6, 10**6)


def hostile(target):
    """Hostile contents of a file by their attack, with storages of four numbers."""
    write = f"open({str(target)!r}, 'w').write('was here')"
    four = Stored("a", 4)
    return {
        "os.system": {"a": Runs(os.system, f"touch {target}")},
        "eval": {"a": Runs(eval, write)},
        "a whole model": {"a": types.SimpleNamespace(weights=Tensor(four, (4,), (1,)))},
        "beyond the storage": {"a": Tensor(four, (5,), (1,))},
        "an offset beyond the storage": {"a": Tensor(four, (2,), (1,), 3)},
        "before the storage": {"a": Tensor(four, (2,), (-1,))},
        "strides beyond 64 bits": {"a": Tensor(four, (5,), (2**62,))},
        "out of one number": {"a": Tensor(four, HUGE, (0, 0))},
        "a shape of no numbers": {"a": Tensor(four, ("4",), (1,))},
        "a count that lies": {"a": Tensor(Stored("a", 400), (300,), (1,))},
        "a count that lies by much": {"a": Tensor(Stored("a", 2**60), (4,), (1,))},
        "a count below 0": {"a": Tensor(Stored("a", -1), (4,), (1,))},
        "a storage that is not there": {"a": Tensor(Stored("b", 4), (4,), (1,))},
        "no tensors": {"a": 1},
        "memory for a thousand million objects": b"\x80\x02}r\xff\xff\xff\x3f.",
        "an attribute of a builder": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00ais}b.",
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", hostile(""))
def test_a_hostile_file_is_refused_in_one_line_and_runs_nothing(torch, tmp_path, what, form):
    target, path = tmp_path / "written", tmp_path / "weights.pth"
    write_pth(path, hostile(target)[what], {"a": range(4)}, form)
    refused(path)
    assert not target.exists()


def refused(path):
    with pytest.raises(UserError, match=r"not a readable PyTorch state dict .*torch\.save\(model\.state_dict") as error:
        read_state_dict(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_grows_while_it_is_read_is_refused(torch, tmp_path):
    stored = Stored("a", 10**6)
    path = tmp_path / "weights.pth"
    write_pth(path, {"a": Tensor(stored, (10**6,), (1,))}, {"a": np.zeros(10**6)}, compression=zipfile.ZIP_DEFLATED)
    refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_file_is_refused_in_one_line(torch, tmp_path, form):
    path = write_state(tmp_path / "whole.pth", {"a": np.arange(1000, dtype=np.float32)}, form)
    content, part = path.read_bytes(), tmp_path / "part.pth"
    for count in (0, 1, len(content) // 2, len(content) - 1):
        part.write_bytes(content[:count])
        refused(part)
    part.write_text("not weights\n" * 99)
    refused(part)
    with pytest.raises(UserError, match=r"nothere\.pth: cannot be read \(No such file"):
        read_state_dict(tmp_path / "nothere.pth")

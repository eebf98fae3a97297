"""Load torchvision's EfficientNet weights (.pth) into the same Keras network, without PyTorch.

A .pth is a pickle, which could run any code when it is read. Here it may only build dictionaries and descriptions of
tensors.
"""

import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from deepfake.core.errors import UserError
from deepfake.models.runtime import keras

SUFFIXES = (".pth", ".pt")

# start of the format before PyTorch 1.6: several pickles, then the numbers
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}

MAX_REMEMBERED = 1_000_000  # limit of a pickle's memo; ten bytes can request memory for two billion objects

# torchvision's batch norm epsilon for B0 to B4; B5 to B7 use that of Keras
TORCH_EPSILON = 1e-5
SAME_EPSILON = ("efficientnet-b5", "efficientnet-b6", "efficientnet-b7")


@dataclass(frozen=True)
class Storage:
    """A block of numbers in the file, identified by its key; tensors are views of it."""

    kind: str
    key: str
    count: int


class TensorPlace(NamedTuple):
    """The position of a tensor in a storage; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Unpickler that only builds dictionaries and tensor places; it collects all `storages`."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        # new functions every time, since a file could set attributes on shared ones
        builders = {
            "collections.OrderedDict": lambda: OrderedDict(),
            "torch._utils._rebuild_tensor_v2": lambda *values: TensorPlace(*values[:4]),
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
            **{f"torch.{kind}": kind for kind in DTYPES},
        }
        if f"{module}.{name}" not in builders:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights do not need")
        return builders[f"{module}.{name}"]

    def persistent_load(self, found: Any) -> Storage:
        _, kind, key, _, count = found[:5]
        storage = Storage(kind, key, count)
        if kind not in DTYPES or type(key) is not str or type(count) is not int or count < 0 or any(found[5:]):
            raise pickle.UnpicklingError("not a valid storage")
        if self.storages.setdefault(key, storage) != storage:
            raise pickle.UnpicklingError(f"storage {key} is described twice")
        return storage


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a .pth by name, in the order of the file.

    Raises:
        UserError: the file is missing or damaged, or is not a state dict of plain tensors.
    """
    try:
        with path.open("rb") as file:
            places, read = (_read_zip if zipfile.is_zipfile(file) else _read_legacy)(file)
            return _tensors(_state_dict_in(places), read, path.stat().st_size)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # a damaged pickle raises many types
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: not a readable PyTorch state dict ({type(error).__name__}: {reason}); save one with "
            "torch.save(model.state_dict(), FILE)"
        ) from None


def _load(file: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    """Read the next pickle of a file; returns its content and its storages."""
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        if "PUT" in opcode.name and (argument or 0) > MAX_REMEMBERED:
            raise ValueError("it asks for more memory than weights need")
    file.seek(start)
    unpickler = _Unpickler(file)
    return unpickler.load(), unpickler.storages


def _read_zip(file: IO[bytes]) -> tuple[Any, Callable[[Storage], bytes]]:
    archive = zipfile.ZipFile(file)
    # PyTorch does not compress, so refuse compressed files: they could be zip bombs
    if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
        raise ValueError("compressed, which PyTorch does not do")
    (index,) = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    folder = index.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("big-endian")
    with archive.open(index) as pickled:
        places, _ = _load(pickled)
    return places, lambda storage: archive.read(f"{folder}data/{storage.key}")


def _read_legacy(file: IO[bytes]) -> tuple[Any, Callable[[Storage], bytes]]:
    file.seek(0)
    if _load(file)[0] != LEGACY_MAGIC:
        raise ValueError("not a PyTorch file")
    _protocol, _system = _load(file), _load(file)
    (places, storages), (keys, _) = _load(file), _load(file)
    starts = {}
    for key in keys:  # storages follow one another, each after its count
        if int.from_bytes(file.read(8), "little") != storages[key].count:
            raise ValueError(f"storage {key} has another size")
        starts[key] = file.tell()
        file.seek(_bytes_of(storages[key]), 1)

    def read(storage: Storage) -> bytes:
        file.seek(starts[storage.key])
        return file.read(_bytes_of(storage))

    return places, read


def _bytes_of(storage: Storage) -> int:
    return storage.count * DTYPES[storage.kind].itemsize


def _state_dict_in(places: Any) -> dict[str, TensorPlace]:
    """Return the tensors of a state dict, or of one inside a checkpoint of a training script."""
    if isinstance(places, dict):
        inner = next((places[key] for key in ("state_dict", "model") if isinstance(places.get(key), dict)), places)
        found = {str(name): place for name, place in inner.items() if isinstance(place, TensorPlace)}
        if found:
            return found
    raise ValueError("no tensors in it")


def _tensors(places: dict[str, TensorPlace], read: Callable[[Storage], bytes], file_size: int) -> dict[str, np.ndarray]:
    """Read the tensors at these places of a file of `file_size` bytes, each into its own array."""
    result, storages, size_read, size_made = {}, {}, 0, 0
    for name, (storage, offset, shape, strides) in places.items():
        if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
            raise ValueError(f"{name} has no place")
        # numpy's own check of such a view can overflow
        last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
        if 0 not in shape and last >= storage.count:
            raise ValueError(f"{name} leaves its storage")
        dtype = DTYPES[storage.kind]
        # limit the total: a stride of 0 makes a huge tensor from one number, and members of a zip can overlap
        size_made += math.prod(shape) * dtype.itemsize
        size_read += 0 if storage in storages else _bytes_of(storage)
        if max(size_made, size_read) > file_size:
            raise ValueError(f"{name} is more than the file can hold")
        if storage not in storages:
            storages[storage] = read(storage)
            if len(storages[storage]) != _bytes_of(storage):
                raise ValueError(f"storage {storage.key} has another size")
        steps = [stride * dtype.itemsize for stride in strides]
        result[name] = np.ndarray(shape, dtype, storages[storage], offset * dtype.itemsize, steps).copy()
    return result


def load_torchvision(backbone: keras.Model, path: Path) -> None:
    """Load torchvision's weights into an EfficientNet of the `efficientnet` package (without its top).

    Both have the same layers in the same order. The features differ slightly, since for stride 2 PyTorch pads both
    sides and TensorFlow only the far one; training compensates for this.

    Raises:
        UserError: as `read_state_dict`, or the weights are of another network.
    """
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, value in read_state_dict(path).items():
        module, _, kind = name.removeprefix("module.").rpartition(".")
        if module.startswith("features.") and kind != "num_batches_tracked":
            modules.setdefault(module, {})[kind] = value.astype(np.float32)
    own = [layer for layer in backbone.layers if layer.weights]
    if len(own) != len(modules):
        raise UserError(f"{path}: not torchvision's {backbone.name} (it has {len(modules)} layers, not {len(own)})")
    for layer, (name, values) in zip(own, modules.items(), strict=True):
        try:
            layer.set_weights(_as_keras(layer, values, backbone.name))
        except (KeyError, ValueError):
            raise UserError(f"{path}: not torchvision's {backbone.name} ({name} is not as {layer.name})") from None


def _as_keras(layer: keras.Layer, values: dict[str, np.ndarray], network: str) -> list[np.ndarray]:
    if isinstance(layer, keras.layers.BatchNormalization):
        epsilon = layer.epsilon if network in SAME_EPSILON else TORCH_EPSILON
        variance = values["running_var"]
        # rescale gamma so that Keras' epsilon gives the same result
        gamma = values["weight"] * np.sqrt((variance + layer.epsilon) / (variance + epsilon))
        return [gamma, values["bias"], values["running_mean"], variance]
    # a depthwise kernel is C x 1 x H x W in PyTorch, H x W x C x 1 in Keras
    axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [np.transpose(values["weight"], axes), *(values[kind] for kind in ("bias",) if kind in values)]

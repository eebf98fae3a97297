"""Untrusted model files: a saved Keras model can hold code that runs when it is loaded, so it is checked first."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from deepfake.core.errors import UserError

# layers and functions that hold Python code, or a pickle, in the file itself
CODE = ("Lambda", "__lambda__", "TorchModuleWrapper")
HDF5 = (".h5", ".hdf5")
MOST_BYTES = 64 << 20  # of a description: zip files can claim to hold very little and unpack to fill the memory


def check_model(path: Path) -> None:
    """Make sure that a model file, .keras or .h5, brings no Python code along; nothing of it is run to find out.

    Raises:
        UserError: it does, or it is neither, or it is not there.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "not found"
        raise UserError(f"{path}: {found}; run step 03 first, or give --model FILE")
    found = sorted({name for name in _class_names(read_config(path)) if name in CODE})
    if found:
        raise UserError(
            f"{path}: holds Python code ({', '.join(found)}), which would run on this machine when the model is loaded;"
            " only models without it are loaded: ask its author to build it of Keras' own layers"
        )


def read_config(path: Path) -> Any:
    """What a model file says of the model's layers.

    Raises:
        UserError: it is not a Keras model.
    """
    try:
        if path.suffix in HDF5:  # as Keras goes by the name too: a file can be both
            with h5py.File(path) as file:
                config = file.attrs["model_config"]
                return json.loads(config if isinstance(config, str) else bytes(config))
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > MOST_BYTES:
                raise ValueError("its description is too large")
            return json.loads(archive.read("config.json"))
    except KeyError:
        what = "holds weights or data, but no model"
    except (OSError, ValueError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        what = f"neither of Keras' kinds of file ({' '.join(str(error).split())[:200]})"
    raise UserError(f"{path}: not a Keras model: {what}; give a .keras or .h5 of step 03")


def _class_names(config: Any) -> Iterator[str]:
    """The names of all classes in a description, however deep."""
    remaining = [config]
    while remaining:
        item = remaining.pop()
        if isinstance(item, dict):
            yield str(item.get("class_name"))
            remaining.extend(item.values())
        elif isinstance(item, list):
            remaining.extend(item)

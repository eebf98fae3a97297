"""Check untrusted model files before loading, since a saved Keras model can contain code that runs on loading."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepfake.core.errors import UserError

# layers and functions that store Python code or a pickle in the file
CODE = ("Lambda", "__lambda__", "TorchModuleWrapper")
HDF5 = (".h5", ".hdf5")
MAX_BYTES = 64 << 20  # of a configuration, against zip bombs


def check_model(path: Path) -> None:
    """Check that a model file (.keras or .h5) contains no Python code, without running any of it.

    Raises:
        UserError: it contains code, is not a model, or is missing.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "not found"
        raise UserError(f"{path}: {found}; run step 03 first, or give --model FILE")
    found = sorted({name for name in _class_names(read_config(path)) if name in CODE})
    if found:
        raise UserError(
            f"{path}: holds Python code ({', '.join(found)}), which would run on this machine when loaded, so it is "
            "refused; ask its author to build it from Keras layers"
        )


def read_config(path: Path) -> Any:
    """Read the configuration of a model file, which describes its layers.

    Raises:
        UserError: it is not a Keras model.
    """
    try:
        if path.suffix in HDF5:  # by name, as Keras does: a file can be valid as both
            import h5py  # not above, since most scans do not need it

            with h5py.File(path) as file:
                config = file.attrs["model_config"]
                return json.loads(config if isinstance(config, str) else bytes(config))
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > MAX_BYTES:
                raise ValueError("its configuration is too large")
            return json.loads(archive.read("config.json"))
    except KeyError:
        what = "it contains weights or data, but no model"
    except (OSError, ValueError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        what = f"neither .keras nor .h5 ({' '.join(str(error).split())[:200]})"
    raise UserError(f"{path}: not a Keras model: {what}; give a .keras or .h5 of step 03")


def _class_names(config: Any) -> Iterator[str]:
    """Yield the names of all classes in a configuration, at any depth."""
    remaining = [config]
    while remaining:
        item = remaining.pop()
        if isinstance(item, dict):
            yield str(item.get("class_name"))
            remaining.extend(item.values())
        elif isinstance(item, list):
            remaining.extend(item)

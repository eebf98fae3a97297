"""Choose the model of a scan: the user's own, or the starter, a trained model that comes with the project."""

from pathlib import Path

from deepfake.core.errors import UserError
from deepfake.core.messages import log
from deepfake.models.info import SAMPLE_ONLY_NAME, info_beside, origin
from deepfake.models.safe_load import read_config

NAME = "starter"
# in a clone, the folder is a link to models/
STARTER = Path(__file__).with_name("trained").resolve() / "starter.keras"
OWN = Path("tmp_checkpoint/best_model.keras")


def find_model(named: str) -> Path:
    """Return the file of a model given by its path or as `starter`.

    Raises:
        UserError: the starter is missing.
    """
    if named != NAME:
        return Path(named)
    for file in (STARTER, STARTER.with_suffix(".json")):
        if not file.is_file():
            raise UserError(
                f"{file}: not found; restore it with `git checkout -- models/`, download the project again, or give "
                "another model"
            )
    return STARTER


def choose_model(named: str | None, step: str) -> Path:
    """Choose the model of a scan: the named one, else the user's own if it has seen real people, else the starter.

    Logs the choice and the reason.

    Raises:
        UserError: there is no model, or the user's own cannot be read.
    """
    if named is not None:
        return find_model(named)
    there = OWN.is_file()
    if there and not _knows_sample_only(OWN):
        model, why = OWN, None
    elif STARTER.is_file():
        model, why = find_model(NAME), f"{OWN} knows the drawn sample only" if there else f"there is no {OWN}"
    elif there:
        model, why = OWN, "it knows the drawn sample only, but there is no starter"
    else:
        raise UserError(f"{OWN}: not found, nor {STARTER}; run step 03 first, or give --model FILE")
    here, info = Path.cwd(), info_beside(model)
    shown = model.relative_to(here) if model.is_relative_to(here) else model
    told = origin(info.name, info.trained_on)
    log.info(f"{step}: by {shown}" + (f" ({told})" if told else "") + (f"; {why}" if why else ""))
    return model


def _knows_sample_only(path: Path) -> bool:
    """As `model.knows_sample_only`, but from the file and the .json beside it, without loading TensorFlow."""
    config = read_config(path)
    inner = config.get("config") if isinstance(config, dict) else None
    marked = isinstance(inner, dict) and inner.get("name") == SAMPLE_ONLY_NAME
    return marked or info_beside(path).sample_only

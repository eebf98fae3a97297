"""Step 03a: evaluate a saved model, of this or another project, on the test set."""

import dataclasses
from pathlib import Path

from deepfake.core.crop_rule import CropRule, difference
from deepfake.core.decision import THRESHOLD
from deepfake.core.messages import log
from deepfake.evaluation.evaluate import read_sets, report_test
from deepfake.evaluation.robustness import report_robustness
from deepfake.models.info import NOTHING, SAMPLE_ONLY, Given, info_beside
from deepfake.models.model import knows_sample_only, load_model
from deepfake.split.store import open_store


def load_and_predict(
    model_path: Path,
    split_dir: Path,
    out_dir: Path,
    given: Given = NOTHING,
    quiet: bool = False,
    calibrated: bool = True,
    robustness: bool = False,
) -> int:
    """Run step 03a: predict the test set with a saved model, optionally also damaged; returns the exit code.

    `given` are the user's options, which override the .json beside the model.

    Raises:
        UserError: the model cannot be loaded, step 02 has not been run, or a crop cannot be read.
    """
    store = open_store(split_dir)
    entries = read_sets(store, ("test",))["test"]
    out_dir.mkdir(parents=True, exist_ok=True)
    model = load_model(model_path)
    info_path, info = model_path.with_suffix(".json"), info_beside(model_path, given)
    info = dataclasses.replace(info, sample_only=info.sample_only or knows_sample_only(model))
    _tell_of_other_crops(info.crop_rule, store.rule)
    if not calibrated:
        # threshold and bands were fitted on calibrated predictions
        info = dataclasses.replace(info, temperature=1.0, threshold=THRESHOLD, bands={})
    elif not info_path.is_file():
        log.info(f"03a: no {info_path.name} beside the model, so its predictions are not calibrated")
    report_test("03a", model, entries, store, out_dir, info, quiet=quiet, model_path=model_path)
    if robustness:
        report_robustness(model, entries, store, out_dir, info, quiet)
    if info.sample_only:
        log.info(f"03a: {SAMPLE_ONLY}")
    return 0


def _tell_of_other_crops(own: CropRule | None, given: CropRule | None) -> None:
    """Warn if the crops of a split are cut differently from the model's training crops."""
    if own and given and own != given:
        log.warning(f"03a: warning: these crops are cut differently from the model's: {difference(given, own)}")

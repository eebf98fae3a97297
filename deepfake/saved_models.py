"""Step 03a: a saved model, ours or another project's, on the test set."""

import dataclasses
from pathlib import Path

from deepfake.evaluation import read_sets, report_test
from deepfake.modelinfo import SAMPLE_ONLY, ModelInfo, read_model_info
from deepfake.models import knows_sample_only, load_model
from deepfake.robustness import report_robustness


def load_and_predict(
    model_path: Path,
    split_dir: Path,
    out_dir: Path,
    pixel_max: float = 255,
    quiet: bool = False,
    calibrated: bool = True,
    robustness: bool = False,
) -> int:
    """Step 03a: the test set's predictions by a saved model, and how they bear damage; returns the exit code.

    Raises:
        UserError: the model cannot be loaded, step 02 has not been run, or a crop cannot be read.
    """
    entries = read_sets(split_dir, ("test",))["test"]
    out_dir.mkdir(parents=True, exist_ok=True)
    model = load_model(model_path)
    info_path = model_path.with_suffix(".json")
    info = read_model_info(info_path) if info_path.is_file() else ModelInfo()
    info = dataclasses.replace(info, sample_only=info.sample_only or knows_sample_only(model))
    if not calibrated:
        info = dataclasses.replace(info, temperature=1.0)
    elif not info_path.is_file():
        print(f"03a: {info_path.name} is not beside the model, so its numbers are taken as they are")
    report_test("03a", model, entries, split_dir, out_dir, info, pixel_max, quiet)
    if robustness:
        report_robustness(model, entries, split_dir, out_dir, info.temperature, pixel_max, quiet)
    if info.sample_only:
        print(f"03a: {SAMPLE_ONLY}")
    return 0

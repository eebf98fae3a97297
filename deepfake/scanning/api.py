"""Scan from Python: load a model, scan a file."""

from dataclasses import dataclass
from pathlib import Path

from deepfake.core.crop_rule import CropRule
from deepfake.models.info import NOTHING, Given
from deepfake.models.starter import NAME, find_model
from deepfake.report.result import Scan
from deepfake.scanning.classifier import Classifier, judging_by, open_classifier
from deepfake.scanning.rule import rule_for
from deepfake.scanning.scan import Options, scan_file


@dataclass(frozen=True)
class Model:
    """A loaded model: its `path`, the `rule` for cutting its crops, and its `classifier`."""

    path: Path
    rule: CropRule
    classifier: Classifier


def load(model: str | Path = NAME, runtime: str = "auto", aggregate: str = "mean", given: Given = NOTHING) -> Model:
    """Load a model: a .keras or .h5 file with its .json beside it, or "starter", the project's own.

    Args:
        model: the file, or "starter".
        runtime: "onnx" for the model's export beside it (`05-scan_videos.py --export`), "keras" for TensorFlow, or
            "auto": the export, which is written if it is missing or old, or TensorFlow if it cannot be.
        aggregate: how to combine the scores of a video: "mean", "median", "confident" or "per-face".
        given: values that the model's .json lacks, or that replace them.

    Raises:
        UserError: it cannot be loaded, or its crop rule is unknown.
    """
    path = find_model(str(model))
    rule = rule_for(path, "load", given)
    classifier = judging_by(open_classifier(path, runtime, given), rule, aggregate, given.threshold)
    return Model(path, rule, classifier)


def scan(file: str | Path, model: Model | None = None) -> Scan:
    """Scan a video or an image, as step 05 does: the same frames, crops, scores and verdict.

    Runs in this process, without a time limit. If the file cannot be read, the verdict is UNKNOWN and `reason` says
    why; no exception is raised.

    Args:
        file: a video or an image.
        model: the result of `load`; by default the starter, which is loaded each time.

    Returns:
        `verdict` (REAL, FAKE, UNCERTAIN or UNKNOWN), `p_real` (probability of real or None), `people` (their numbers),
        and `faces` with box (pixels of the video), time (seconds), person and p_real.
    """
    model = model or load()
    path = Path(file)
    return scan_file(path, path.name, model.classifier, Options(model.rule, workers=0, pictures=False))

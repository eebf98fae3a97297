"""The project from Python: load a model, scan a file."""

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
    """A model that is ready to scan: its `path`, the `rule` by which its crops are cut, and its `classifier`."""

    path: Path
    rule: CropRule
    classifier: Classifier


def load(model: str | Path = NAME, runtime: str = "keras", aggregate: str = "mean", given: Given = NOTHING) -> Model:
    """Load a model: a .keras or .h5 file with its .json beside it, or "starter", which comes with the project.

    Args:
        model: the file, or "starter".
        runtime: "keras", or "onnx" for a model that `05-scan_videos.py --export` has exported.
        aggregate: how the scores of a video become one: "mean", "median", "confident" or "per-face".
        given: what is not in the .json of another project's model, or counts instead of it.

    Raises:
        UserError: it cannot be loaded, or how its crops were cut is not known.
    """
    path = find_model(str(model))
    rule = rule_for(path, "load", given)
    classifier = judging_by(open_classifier(path, runtime, given), rule, aggregate, given.threshold)
    return Model(path, rule, classifier)


def scan(file: str | Path, model: Model | None = None) -> Scan:
    """Scan a video or an image, as step 05 does: the same frames, crops, scores and verdict.

    The work is done in this process, without a time limit. A file that cannot be read raises nothing: its verdict is
    UNKNOWN, and `reason` says why.

    Args:
        file: a video or an image.
        model: what `load` gave; without one, the starter is loaded, which takes seconds each time.

    Returns:
        `verdict` is REAL, FAKE, UNCERTAIN or UNKNOWN, `p_real` the probability of real or None, `people` the numbers
        of the people, `faces` all faces with box (pixels of the video), time (seconds), person and p_real.
    """
    model = model or load()
    path = Path(file)
    return scan_file(path, path.name, model.classifier, Options(model.rule, workers=0, pictures=False))

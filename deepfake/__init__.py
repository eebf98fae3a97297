"""Detect deepfakes: read videos of faces and give a verdict for each video.

From Python:

    import deepfake

    model = deepfake.load()  # the starter, or a file
    result = deepfake.scan("clip.mp4", model)
    print(result.verdict, result.p_real, result.people, result.faces)

The rooms, in the order of a video's way. Each imports only from those before it, which tests/test_rooms.py checks:

    core        What every other room may use: errors, files, labels, the decision, the rule of crops, the command line.
    datasets    Which videos there are, and what is known of each: a module for each kind of dataset.
    sample      The sample dataset, which the project draws itself.
    jobs        The same work on many videos: in processes, as tasks of Spark, as shards of a queue.
    frames      Step 00: from a video's file to a few exact frames.
    faces       Steps 01a and 01b: from frames to crops of faces, and to people.
    split       Step 02: which crops train, which validate and which test.
    models      Models: built, loaded safely, described, exported.
    inputs      From the crops of a set to batches for a model.
    evaluation  What predictions are worth: metrics, calibration, plots. Step 03a.
    training    Step 03: the training loop and its options.
    report      The report on videos: one HTML file with verdicts and evidence.
    verdicts    Step 04: from predictions of frames to verdicts on videos, with Spark.
    scanning    Step 05: verdicts on new videos.
    web         Step 06: the local page.
    explore     A look at a dataset: statistics, outliers, pairs, the gallery.
    commands    The command lines: of the numbered scripts, and of `python -m deepfake.NAME`.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfake.core.errors import UserError
    from deepfake.report.result import Scan
    from deepfake.scanning.api import Model, load, scan

__all__ = ["Model", "Scan", "UserError", "__version__", "load", "scan"]
__version__ = "0.1.0"

PUBLIC = {
    "UserError": "deepfake.core.errors",
    "Scan": "deepfake.report.result",
    "Model": "deepfake.scanning.api",
    "load": "deepfake.scanning.api",
    "scan": "deepfake.scanning.api",
}

if sys.platform == "win32":  # it lacks the signals, locks and links that every step needs
    print(
        "error: Windows is not supported; run this in WSL (wsl --install), or in a Linux container",
        file=sys.stderr,
    )
    sys.exit(2)

# otherwise ONNX Runtime's Linux builds report each model that they run to Microsoft; set it before they are loaded
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# lets `python -m deepfake.unpack` find commands/unpack.py
__path__.append(os.path.join(os.path.dirname(__file__), "commands"))


def __getattr__(name: str) -> Any:
    """Import a name of PUBLIC on first use: every process imports this package, but few load a model."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'deepfake' has no attribute {name!r}")
    value = getattr(importlib.import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value

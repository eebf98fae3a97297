"""What a model looked at, laid over the crops of a scan."""

from collections.abc import Sequence

import numpy as np

from deepfake.classifiers import Classifier
from deepfake.scan_pictures import CROP_SIDE


def paint(classifier: Classifier, crops: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """A person's crops (H x W x 3 uint8 RGB) as small pictures with heat maps; None where the model has no maps."""
    from deepfake.heatmaps import painted  # loads TensorFlow

    return painted(classifier.model, crops, CROP_SIDE, classifier.judge)

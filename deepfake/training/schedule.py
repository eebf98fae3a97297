"""The phases of a training, and how the learning rate goes in each."""

from dataclasses import dataclass

from deepfake.models.runtime import keras
from deepfake.training.options import Options


@dataclass(frozen=True)
class Phase:
    """Some epochs in a row (from `first` up to, not including, `last`) at one rate, with the backbone frozen or not."""

    first: int
    last: int
    learning_rate: float
    frozen: bool = False


def phases(options: Options) -> list[Phase]:
    """One phase from scratch; from pretrained weights first the head alone, then all at a tenth of the rate.

    One as well where the head alone is trained, on features.
    """
    if options.weights == "none" or options.freeze_backbone:
        return [Phase(0, options.epochs, options.learning_rate)]
    head = min(options.head_epochs, options.epochs - 1)
    found = [
        Phase(0, head, options.learning_rate, frozen=True),
        Phase(head, options.epochs, options.learning_rate / 10),
    ]
    return [phase for phase in found if phase.first < phase.last]


def learning_rate(phase: Phase, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up to the phase's rate over the first tenth of all its steps, then down to nothing along half a cosine.

    `steps` are those of an epoch.
    """
    steps *= phase.last - phase.first
    warm_up = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        phase.learning_rate / 10,
        max(1, steps - warm_up),
        warmup_target=phase.learning_rate,
        warmup_steps=warm_up,
    )

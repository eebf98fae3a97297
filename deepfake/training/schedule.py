"""The phases of a training, and their learning rates."""

from dataclasses import dataclass

from deepfake.models.runtime import keras
from deepfake.training.options import Options


@dataclass(frozen=True)
class Phase:
    """Epochs `first` to `last` - 1 with one peak learning rate, and a frozen backbone or not."""

    first: int
    last: int
    learning_rate: float
    frozen: bool = False


def phases(options: Options) -> list[Phase]:
    """Return one phase from scratch; from pretrained weights the head alone, then the model at a tenth of the rate.

    With a frozen backbone there is one phase, too.
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
    """Return a schedule: a linear rise over the first tenth of the phase, then half a cosine down to 0.

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

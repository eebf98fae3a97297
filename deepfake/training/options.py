"""How to train: the options of step 03, what the model brings of them, and the phases and rates that follow."""

from dataclasses import dataclass, replace
from pathlib import Path

from deepfake.core.errors import UserError
from deepfake.models.backbones import BACKBONES
from deepfake.models.model import DEFAULT, SequenceKind, backbone_of, build_model, frames_of, is_whole_model, load_model
from deepfake.models.runtime import keras
from deepfake.models.starter import find_model
from deepfake.training.checkpoints import Phase

CROPS_A_STEP = 32
SEQUENCES_A_STEP = 8


@dataclass(frozen=True)
class Options:
    """How to train; `patience` is the epochs without a better validation accuracy after which training ends.

    What is empty or 0 is the model's own: see `resolved`.
    """

    model: str = ""
    weights: str = ""
    new_head: bool = False
    sequence: str | None = None
    sequence_frames: int = 10
    freeze_backbone: bool = False
    epochs: int = 20
    head_epochs: int = 2
    batch_size: int = 0
    image_size: int = 0
    learning_rate: float = 1e-3
    patience: int = 6
    seed: int = 0
    augment: str = "standard"
    self_blend: str | None = None
    leave_out_method: str | None = None
    balance: str = "none"
    crops_per_video: int | None = None
    label_smoothing: float = 0.0
    mixup: float | None = None
    ema: float | None = None
    average_start: float | None = None
    precision: str = "auto"
    cache: str = "auto"
    calibrate: bool = True
    fit_threshold: bool = False

    @property
    def frames(self) -> int | None:
        """How many frames the model judges together; None where it judges each by itself."""
        return self.sequence_frames if self.sequence else None

    @property
    def name(self) -> str:
        """What the model is called, such as `meso4` or `meso4+gru`."""
        return f"{self.model}+{self.sequence}" if self.sequence else self.model

    @property
    def sequence_kind(self) -> SequenceKind | None:
        return SequenceKind(self.sequence, self.sequence_frames) if self.sequence else None


def resolved(options: Options) -> Options:
    """The options with all that was left to the model: its name, weights, image size and batch size.

    A trained model to start from, which can be named as `starter`, brings its name and image size along. Before a
    frozen backbone nothing is augmented.

    Raises:
        UserError: there is no such model, it cannot be loaded, it is to be frozen before it has learnt anything, or
            a new head is to be put on something else than a whole frame model.
    """
    if options.weights:
        options = replace(options, weights=str(find_model(options.weights)))
    name, image_size = options.model, options.image_size
    known = load_model(Path(options.weights)) if options.weights and is_whole_model(options.weights) else None
    backbone = None if known is None else backbone_of(known)
    if options.new_head and (backbone is None or frames_of(known)):
        found = "not a whole frame model of ours" if Path(options.weights).exists() else "not found"
        raise UserError(f"--init-from {options.weights}: {found}; give the best_model.keras of a frame model")
    if options.average_start and (known is None or options.new_head):
        raise UserError("--average-start goes with --weights FILE of a whole model, whose weights are averaged with")
    if known is not None:
        name = name or (DEFAULT if backbone is None else backbone.name)
        image_size = image_size or known.input_shape[-2]
    name = name or DEFAULT
    if name not in BACKBONES:
        raise UserError(f"--model {name}: no such model; there are {', '.join(BACKBONES)}")
    kind = BACKBONES[name]
    weights = options.weights or ("imagenet" if "imagenet" in kind.urls else "none")
    if options.freeze_backbone and weights == "none":
        raise UserError(
            f"--freeze-backbone needs {name} with trained weights: add --init-from FILE or --weights imagenet"
        )
    return replace(
        options,
        model=name,
        weights=weights,
        augment="none" if options.freeze_backbone else options.augment,
        batch_size=options.batch_size or (SEQUENCES_A_STEP if options.sequence else CROPS_A_STEP),
        image_size=image_size or kind.image_size,
    )


def check_start(model: str, weights: str, image_size: str) -> None:
    """Build what training will start from, for run.sh to know before all work that it can be had; "" is the default.

    Raises:
        UserError: as `resolved`, or the weights cannot be downloaded or do not fit.
    """
    options = resolved(Options(model, weights, image_size=int(image_size or 0)))
    build_model(options.image_size, options.weights, name=options.model)


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

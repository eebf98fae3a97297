"""The start of a training: options that depend on the model, and its weights."""

from dataclasses import replace
from pathlib import Path

from deepfake.core.errors import UserError
from deepfake.models.backbones import BACKBONES
from deepfake.models.model import DEFAULT, backbone_of, build_model, frames_of, is_whole_model, load_model
from deepfake.models.starter import find_model
from deepfake.training.options import CROPS_A_STEP, SEQUENCE_FRAMES, SEQUENCES_A_STEP, Options


def resolved(options: Options) -> Options:
    """Fill in the options that depend on the model: its name, weights, image size and batch size.

    A trained model to start from (a file, or `starter`) sets its name and image size. With a frozen backbone there is
    no augmentation.

    Raises:
        UserError: as `Options.check`, there is no such model, it cannot be loaded, an untrained backbone is to be
            frozen, or a new head is put on something other than a whole frame model.
    """
    options.check()
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
        augment=options.augment or ("none" if options.freeze_backbone else "standard"),
        sequence_frames=options.sequence_frames or SEQUENCE_FRAMES,
        batch_size=options.batch_size or (SEQUENCES_A_STEP if options.sequence else CROPS_A_STEP),
        image_size=image_size or kind.image_size,
        mixup=options.mixup or None,
        ema=options.ema or None,
        average_start=options.average_start or None,
    )


def check_start(model: str, weights: str, image_size: str) -> None:
    """Check that the start weights are available, before run.sh begins; "" is the default.

    Raises:
        UserError: as `resolved`, or the weights cannot be downloaded or do not fit.
    """
    options = resolved(Options(model, weights, image_size=int(image_size or 0)))
    build_model(options.image_size, options.weights, name=options.model)

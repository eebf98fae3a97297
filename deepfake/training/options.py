"""The options of step 03, each with its default and help; quick to import."""

from dataclasses import dataclass

from deepfake.core.cli import address, number, option, whole_number
from deepfake.core.errors import UserError

CROPS_A_STEP = 32
SEQUENCES_A_STEP = 8
SEQUENCE_FRAMES = 10


@dataclass(frozen=True)
class Options:
    """How to train; `start.resolved` replaces empty or 0 by the model's own value."""

    model: str = option(
        "",
        "efficientnet-b0 to -b7, xception, mobilenet-v3, resnet50, small-cnn, meso4, or one that you have added "
        "(default: efficientnet-b0, or that of the FILE to start from)",
        metavar="NAME",
    )
    weights: str = option(
        "",
        "where training starts; FILE: a backbone's weights, a whole model of ours, such as the starter, or "
        "torchvision's .pth of an EfficientNet "
        "(default: imagenet, or none for a model that has no weights)",
        metavar="imagenet|noisy-student|none|starter|FILE",
        one_of="start",
    )
    # on the command line a FILE, which goes into `weights`
    new_head: bool = option(
        False,
        "start from the backbone of a whole model of ours, with a new head",
        flag="--init-from",
        action="store",
        type=address,
        metavar="starter|FILE",
        one_of="start",
    )
    sequence: str | None = option(
        None,
        "classify the frames of a person together, with this head on the backbone",
        choices=("lstm", "gru", "transformer"),
    )
    sequence_frames: int = option(
        0, f"frames per person, with --sequence (default: {SEQUENCE_FRAMES})", type=whole_number(2), metavar="N"
    )
    freeze_backbone: bool = option(
        False,
        "with --sequence: compute what the backbone sees in each crop once, and train the head on that: "
        "minutes instead of hours, without augmentation",
    )
    epochs: int = option(20, "maximum number of epochs", type=whole_number(1))
    patience: int = option(6, "stop after this many epochs without improvement", type=whole_number(1))
    batch_size: int = option(
        0,
        f"crops per batch, or sequences (default: {CROPS_A_STEP}, or {SEQUENCES_A_STEP} sequences)",
        type=whole_number(1),
    )
    image_size: int = option(
        0, "pixels, both sides (default: the model's own; 128 for efficientnet-b0)", type=whole_number(32)
    )
    learning_rate: float = option(
        1e-3,
        "Adam's peak learning rate: it rises over the first tenth of the steps and then falls to zero",
        type=number(1e-9, 1),
    )
    ema: float | None = option(
        None,
        "validate and keep the moving average of the weights, such as 0.99; 0: off (default: off)",
        type=number(0, 0.99999),
        metavar="MOMENTUM",
    )
    average_start: float | None = option(
        None,
        "validate and keep the weighted mean of the weights and the start weights (--weights, a whole model), whose "
        "share is SHARE, such as 0.5; 0: off (default: off)",
        type=number(0, 1),
        metavar="SHARE",
    )
    seed: int = option(0, "seed of weights, order and augmentation", type=whole_number(0))
    head_epochs: int = option(
        2,
        "epochs that train only the head; then everything is trained at a tenth of the rate; not with --weights none",
        type=whole_number(0),
    )
    precision: str = option(
        "auto",
        "auto: mixed_float16 on GPUs with tensor cores, else float32",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
    )
    calibrate: bool = option(True, "do not calibrate the probabilities", flag="--no-calibration")
    fit_threshold: bool = option(False, "use the threshold with the best validation accuracy instead of 0.5")
    augment: str = option(
        "",
        "standard: flipped, turned, shifted, sheared, zoomed; strong: also colours, greyscale, blur, noise, "
        "smaller and back, JPEG, parts of the face cut out (default: standard, or none with --freeze-backbone)",
        choices=("none", "standard", "strong"),
    )
    self_blend: str | None = option(
        None,
        "make fakes from real crops on the fly (Shiohara and Yamasaki 2022); only (the default without a value): train "
        "on real crops and these fakes; add: they replace a quarter of the fakes in each batch",
        nargs="?",
        const="only",
        choices=("only", "add"),
    )
    leave_out_method: str | None = option(
        None,
        "train without the fakes of this method, and test on them, to measure unseen manipulations",
        metavar="NAME",
    )
    balance: str = option(
        "none",
        "if step 02 kept an imbalance: class weights, or equally many crops of each class per epoch",
        choices=("none", "weights", "equal"),
    )
    crops_per_video: int | None = option(
        None, "use K random crops of each video per epoch", type=whole_number(1), metavar="K"
    )
    label_smoothing: float = option(0.0, "0.1: learn 0.95 and 0.05 instead of 1 and 0", type=number(0, 0.5))
    mixup: float | None = option(
        None,
        "mix each crop and its label with another of its batch (Zhang et al. 2018), such as 0.2; 0: off (default: off)",
        type=number(0, 10),
        metavar="ALPHA",
    )
    cache: str = option(
        "auto",
        "where to cache decoded crops; auto: memory up to 4 GB, else the disk of --out-dir, if it has room; "
        "none does not work for crops in Parquet",
        choices=("auto", "memory", "disk", "none"),
    )

    @property
    def frames(self) -> int | None:
        """Frames that the model classifies together; None for single frames."""
        return (self.sequence_frames or SEQUENCE_FRAMES) if self.sequence else None

    @property
    def name(self) -> str:
        """The model's name, such as `meso4` or `meso4+gru`."""
        return f"{self.model}+{self.sequence}" if self.sequence else self.model

    def check(self) -> None:
        """Raise a UserError if options contradict each other."""
        starts_anew = self.weights == "none" and not self.new_head
        if self.freeze_backbone and (starts_anew or not self.sequence):
            raise UserError("--freeze-backbone goes with --sequence, and with --init-from or trained weights")
        if self.freeze_backbone and self.augment not in ("", "none"):
            raise UserError("--freeze-backbone computes features once, of unchanged crops; leave --augment out")
        if self.average_start and self.ema:
            raise UserError("--average-start and --ema are two ways to average weights; give one")
        if self.sequence_frames and not self.sequence:
            raise UserError("--sequence-frames goes with --sequence")
        if self.self_blend and self.sequence:
            raise UserError("--self-blend is for frame models; a sequence model can start from one with --init-from")
        if self.self_blend == "only" and self.balance != "none":
            raise UserError("--self-blend makes one fake for each real crop; leave --balance out")
        if self.mixup and (self.sequence or self.balance == "weights"):
            raise UserError("--mixup is for frame models, and mixed labels have no class weight: use --balance equal")

"""The arithmetic of docs/scale.md: core hours, GPU hours, disk, network and money, from a few figures."""

from dataclasses import dataclass, field
from typing import Any

CROP_PIXELS = 128 * 128 * 3  # bytes of a decoded crop of EfficientNetB0


def figure(default: float, help: str) -> Any:
    """A figure of the plan, and where it is from."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Plan:
    """What is known of a dataset, its crops, the machines and their prices; hours and money follow from it."""

    videos: float = figure(115_000, "DFDC")
    reals: float = figure(19_000, "DFDC")
    gigabytes: float = figure(472, "of the videos: DFDC")
    crops: float = figure(1_300_000, "of all videos")
    core_seconds: float = figure(1.16, "a video: scale.py durations, mean")
    crop_bytes: float = figure(14_571, "as PNG: scale.py durations")
    cores: float = figure(16, "a node: an example")
    images_a_second: float = figure(752, "of training on one GPU: an assumption, see docs/scale.md")
    gpus: float = figure(8, "of the one node of step 03")
    efficiency: float = figure(0.75, "of that many GPUs together: an assumption, see docs/scale.md")
    epochs: float = figure(20, "step 03's default, at most")
    core_price: float = figure(0.05, "an hour: an example")
    gpu_price: float = figure(3.0, "an hour: an example")
    disk_price: float = figure(0.023, "a GB and month: an example")

    @property
    def core_hours(self) -> float:
        """Of steps 00 and 01a in one pass."""
        return self.videos * self.core_seconds / 3600

    @property
    def crops_gigabytes(self) -> float:
        return self.crops * self.crop_bytes / 1e9

    @property
    def cache_gigabytes(self) -> float:
        """Of all crops decoded, as step 03 caches them."""
        return self.crops * CROP_PIXELS / 1e9

    @property
    def balanced_crops(self) -> float:
        """Of step 02, which leaves out fakes until there are as many as real crops."""
        return 2 * self.crops * self.reals / self.videos

    def epoch_minutes(self, crops: float, gpus: float = 1) -> float:
        """Of training on 80 % of so many crops; validation on another tenth of them is left out."""
        speed = self.images_a_second * gpus * (self.efficiency if gpus > 1 else 1)
        return 0.8 * crops / speed / 60

    def reading(self, nodes: float) -> float:
        """GB/s of videos that so many nodes read, all cores at work."""
        return nodes * self.cores / self.core_seconds * self.gigabytes / self.videos


def report(plan: Plan, nodes: list[int]) -> list[str]:
    """The plan in lines."""
    lines = [
        f"steps 00, 01a: {plan.videos:,.0f} videos x {plan.core_seconds} s / 3600 = {plan.core_hours:.1f} core hours, "
        f"{plan.core_hours * plan.core_price:.2f} at {plan.core_price} an hour",
        f"disk: {plan.gigabytes:.0f} GB of videos, {plan.crops_gigabytes:.0f} GB of crops; "
        f"{plan.cache_gigabytes:.0f} GB of them decoded; "
        f"{(plan.gigabytes + plan.crops_gigabytes) * plan.disk_price:.2f} a month at {plan.disk_price} a GB",
    ]
    for name, crops in {"balanced": plan.balanced_crops, "all": plan.crops}.items():
        one, many = (plan.epoch_minutes(crops, gpus) for gpus in (1, plan.gpus))
        hours = plan.epochs * one / 60, plan.epochs * many / 60
        lines.append(
            f"step 03, {name}: 80 % of {crops:,.0f} crops; an epoch {one:.1f} min on one GPU, {many:.1f} on "
            f"{plan.gpus:.0f}; {plan.epochs:.0f} epochs {hours[0]:.1f} h, or {hours[1]:.1f} h: "
            f"{hours[1] * plan.gpus * plan.gpu_price:.0f} at {plan.gpu_price} a GPU hour"
        )
    for count in nodes:
        minutes = 60 * plan.core_hours / (count * plan.cores)
        lines.append(f"{count:3} nodes: {minutes:6.1f} min at least, reading {plan.reading(count):.2f} GB/s")
    return lines

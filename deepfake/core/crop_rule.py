"""The crop rule: all settings that decide the pixels of a crop, stored with the crops, the split and the model."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from deepfake.core.cli import number, option, whole_number

FRAMES_PER_VIDEO = 11
DETECTOR = "mtcnn 1"  # raise the number when the faces or boxes change
CROPS_FROM = ("standard", "full")
MIN_MARGIN = -0.4  # crops of other tools can be tighter than the box of the face
MINIMA = {"frames": 1, "margin": MIN_MARGIN, "margin_y": MIN_MARGIN}  # smallest values; others: 0

# the text before and after each value when a rule is printed
WORDS = {
    "frames": ("", " frames per video"),
    "min_confidence": ("minimum confidence ", ""),
    "margin": ("margin ", ""),
    "rescue": ("rescue ", ""),
    "margin_y": ("margin at top and bottom ", ""),
    "square": ("square ", ""),
    "crops_from": ("cut from the ", " frame"),
    "marked": ("landmarks marked ", ""),
    "min_face_pixels": ("faces of at least ", " pixels"),
    "detector": ("faces found by ", ""),
}


@dataclass(frozen=True)
class CropRule:
    """How faces are chosen and cut out.

    Attributes:
        frames: number of frames per video.
        min_confidence: lowest detector confidence of a face that is kept.
        margin: margin on the left and right, as a fraction of the box's width.
        rescue: keep the most confident face of a frame if none reaches `min_confidence`.
        margin_y: margin at the top and bottom, as a fraction of the box's height; None: as `margin`.
        square: extend the box to a square with the longer side.
        crops_from: cut from the frame at "standard" size, in which faces are found, or at "full" size.
        marked: draw the five landmarks on the crop.
        min_face_pixels: drop faces with less area than a square of this side, in pixels of the original video.
        detector: name and version of the face detector.
    """

    frames: int = FRAMES_PER_VIDEO
    min_confidence: float = option(0.95, "minimum confidence of a face", type=number(0, 1))
    margin: float = option(0.3, "margin on each side, as a share of the box", type=number(0, 10))
    rescue: bool = option(
        True,
        "do not keep (and mark as rescued) the most confident face if none in a frame reaches --min-confidence",
        flag="--no-rescue",
    )
    margin_y: float | None = None
    square: bool = option(False, "first extend the box to a square of its longer side")
    crops_from: str = option(
        "standard",
        "full, with --from-videos: cut crops out of the full frames; faces are still found at standard size",
        choices=CROPS_FROM,
    )
    marked: bool = False
    min_face_pixels: int = option(
        40, "leave out faces smaller than a square of N x N pixels of the video; 0 takes all", type=whole_number(0)
    )
    detector: str = DETECTOR

    @property
    def margins(self) -> tuple[float, float]:
        """Return the margins left and right, and at the top and bottom, as fractions of the box's sides."""
        return self.margin, self.margin if self.margin_y is None else self.margin_y


DEFAULT = CropRule()


@dataclass(frozen=True)
class Said:
    """The user's description of crops that another tool made: --crop-margin and --crop-square."""

    margin: float | None = None
    square: bool | None = None

    def __bool__(self) -> bool:
        return self.margin is not None or self.square is not None

    @property
    def whole(self) -> bool:
        """Whether both options are given."""
        return self.margin is not None and self.square is not None

    @property
    def rule(self) -> CropRule:
        """Return the rule of another tool's crops, which are cut from full frames."""
        return self.over(CropRule(crops_from="full"))

    def over(self, rule: CropRule) -> CropRule:
        """Return the rule with its values replaced by the given options."""
        if self.margin is not None:
            rule = replace(rule, margin=self.margin, margin_y=None)
        return rule if self.square is None else replace(rule, square=self.square)


NOT_SAID = Said()


def as_json(rule: CropRule | None) -> dict | None:
    """Return a rule as a dict for JSON; None if it is unknown."""
    return asdict(rule) if rule else None


def rule_of(content: dict | None) -> CropRule | None:
    """Return the rule of a record; missing values, as in older records, get their defaults. None if it is unknown.

    Raises:
        ValueError: a field is unknown or its value is invalid.
    """
    if content is None:
        return None
    if not isinstance(content, dict):
        raise ValueError(f"the crop rule is {content!r}")
    names = {field.name for field in fields(CropRule)}
    for name, value in content.items():
        if name not in names or not _fits(name, value):
            raise ValueError(f"the crop rule has {name} {value!r}")
    return CropRule(**content)


def recorded_rule(content: dict) -> CropRule:
    """Return the rule of a faces.json; older versions stored it as `options`.

    Raises:
        ValueError: as `rule_of`.
    """
    return rule_of(content.get("crop_rule", content.get("options", {}))) or DEFAULT


def _fits(name: str, value: Any) -> bool:
    default = getattr(DEFAULT, name)
    if name == "crops_from":
        return value in CROPS_FROM
    if isinstance(default, bool | str):
        return isinstance(value, type(default))
    if value is None:
        return name == "margin_y"
    kind, least = int if isinstance(default, int) else int | float, MINIMA.get(name, 0)
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= 1e6


def in_words(rule: CropRule, other: CropRule = DEFAULT) -> str:
    """Describe how a rule differs from another, e.g. `margin 0.1, square yes`; empty if they are equal."""
    return ", ".join(_said(name, getattr(rule, name), rule) for name in differing(rule, other))


def difference(one: CropRule, other: CropRule) -> str:
    """Describe how two rules differ, with both values, e.g. `margin 0.1 and 0.3`."""
    parts = []
    for name in differing(one, other):
        before, after = WORDS[name]
        values = (_value(name, getattr(rule, name), rule) for rule in (one, other))
        parts.append(f"{before}{' and '.join(values)}{after}")
    return ", ".join(parts)


def differing(one: CropRule, other: CropRule) -> list[str]:
    """Return the names of the fields in which two rules differ."""
    return [name for name in WORDS if getattr(one, name) != getattr(other, name)]


def _said(name: str, value: Any, rule: CropRule) -> str:
    before, after = WORDS[name]
    return f"{before}{_value(name, value, rule)}{after}"


def _value(name: str, value: Any, rule: CropRule) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{rule.margins[1]:g}" if name == "margin_y" else f"{value:g}" if isinstance(value, float) else str(value)

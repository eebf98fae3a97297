"""The crop rule: everything that decides the pixels of a crop. It goes with the crops, their split and the model."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from deepfake.core.cli import number, option, whole_number

FRAMES_PER_VIDEO = 11
DETECTOR = "mtcnn 1"  # the number grows when other faces are found, or other boxes
CROPS_FROM = ("standard", "full")
LEAST_MARGIN = -0.4  # crops of other tools can be tighter than the box of a face
LEAST = {"frames": 1, "margin": LEAST_MARGIN, "margin_y": LEAST_MARGIN}  # others: 0

# how a rule is put into words: what stands before a value, and after it
WORDS = {
    "frames": ("", " frames a video"),
    "min_confidence": ("least confidence ", ""),
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

    Of `frames` a video those faces are kept that have at least `min_confidence`, or else, with `rescue`, the surest
    one; none that is smaller than a square of `min_face_pixels` a side, in the video's own pixels. A `square` box has
    the longer side of the face's box both ways. The `margin` is added to it on the left and right, and `margin_y`
    (None: the same) at the top and bottom, in shares of its sides. It is cut from the frame at standard size, in which
    faces are found, or from the full one. `marked` crops have the five landmarks drawn on them. `detector` names what
    has found the faces.
    """

    frames: int = FRAMES_PER_VIDEO
    min_confidence: float = option(0.95, "least confidence of a face", type=number(0, 1))
    margin: float = option(0.3, "on each side, as a share of the box", type=number(0, 10))
    rescue: bool = option(
        True,
        "in a frame where no face is that sure, keep none (by default the surest one is kept, marked rescued)",
        flag="--no-rescue",
    )
    margin_y: float | None = None
    square: bool = option(False, "make the box square first, with its longer side")
    crops_from: str = option(
        "standard",
        "full, with --from-videos: cut crops out of frames at the video's own size; faces are found as ever",
        choices=CROPS_FROM,
    )
    marked: bool = False
    min_face_pixels: int = option(
        40, "leave out faces smaller than a square of N x N pixels of the video; 0 takes all", type=whole_number(0)
    )
    detector: str = DETECTOR

    @property
    def margins(self) -> tuple[float, float]:
        """The margins left and right, and at the top and bottom, in shares of the box's sides."""
        return self.margin, self.margin if self.margin_y is None else self.margin_y


DEFAULT = CropRule()


@dataclass(frozen=True)
class Said:
    """What a user says of crops that another tool made: --crop-margin and --crop-square."""

    margin: float | None = None
    square: bool | None = None

    def __bool__(self) -> bool:
        return self.margin is not None or self.square is not None

    @property
    def whole(self) -> bool:
        """Whether all is said that a rule needs."""
        return self.margin is not None and self.square is not None

    @property
    def rule(self) -> CropRule:
        """The rule of crops of another tool, which cuts them out of a video's own frames."""
        return self.over(CropRule(crops_from="full"))

    def over(self, rule: CropRule) -> CropRule:
        """A rule with what is said in place of what it has."""
        if self.margin is not None:
            rule = replace(rule, margin=self.margin, margin_y=None)
        return rule if self.square is None else replace(rule, square=self.square)


NOT_SAID = Said()


def as_json(rule: CropRule | None) -> dict | None:
    """A rule as a record has it; None where it is not known."""
    return asdict(rule) if rule else None


def rule_of(content: dict | None) -> CropRule | None:
    """The rule in a record; what an older one does not hold has its default. None where it says so: it is not known.

    Raises:
        ValueError: a value is not one that a rule can have.
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
    """The rule in a faces.json, where older versions called it the options.

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
    kind, least = int if isinstance(default, int) else int | float, LEAST.get(name, 0)
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= 1e6


def in_words(rule: CropRule, other: CropRule = DEFAULT) -> str:
    """In what a rule differs from another, such as `margin 0.1, square yes`; nothing where they are the same."""
    return ", ".join(_said(name, getattr(rule, name), rule) for name in differing(rule, other))


def difference(one: CropRule, other: CropRule) -> str:
    """In what two rules differ, with both values, such as `margin 0.1 here and 0.3 there`."""
    parts = []
    for name in differing(one, other):
        before, after = WORDS[name]
        values = (_value(name, getattr(rule, name), rule) for rule in (one, other))
        parts.append(f"{before}{' and '.join(values)}{after}")
    return ", ".join(parts)


def differing(one: CropRule, other: CropRule) -> list[str]:
    """The names of the fields in which two rules differ."""
    return [name for name in WORDS if getattr(one, name) != getattr(other, name)]


def _said(name: str, value: Any, rule: CropRule) -> str:
    before, after = WORDS[name]
    return f"{before}{_value(name, value, rule)}{after}"


def _value(name: str, value: Any, rule: CropRule) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{rule.margins[1]:g}" if name == "margin_y" else f"{value:g}" if isinstance(value, float) else str(value)

"""By which rule the crops of a split were cut, as far as step 02 can know: recorded, said, or estimated."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deepfake.core.crop_rule import DEFAULT, CropRule, Said, difference
from deepfake.core.crop_rule import in_words as rule_in_words
from deepfake.core.errors import UserError
from deepfake.core.messages import log
from deepfake.split.crop_estimate import estimate_rule, in_words, sample_crops

FACES, MARKED = "faces", "marked_faces"
UNKNOWN = (
    "02: warning: how these crops were cut is not known: steps 05 and 06 will ask for --crop-margin and --crop-square, "
    "or give both here"
)


def one_rule(folders: Mapping[CropRule | None, Sequence[Path]]) -> CropRule | None:
    """The one rule that is recorded in some folders of crops, from the folders of each rule; None where none is.

    Says of how many it is not known.

    Raises:
        UserError: there are two.
    """
    known = [rule for rule in folders if rule]
    if len(known) > 1:
        one, other = (folders[rule][0] for rule in known[:2])
        raise UserError(
            f"{one} and {other}: cropped by different rules: {difference(*known[:2])}; "
            "run step 01a for all videos with the same options"
        )
    if without := folders.get(None):
        cut = "as the others" if known else "by the default rule"
        count = f"{len(without)}, the first {without[0]}"
        log.info(f"02: videos without a faces.json that can be used, taken to be cut {cut}: {count}")
    return known[0] if known else None


def rule_of_folder(recorded: CropRule | None, faces: str = FACES) -> CropRule:
    """The rule of the crops in the folders `faces` of step 01a's videos.

    `recorded` is what faces.json has; older versions wrote none.
    """
    rule = recorded or DEFAULT
    if faces not in (FACES, MARKED):
        log.warning(f"02: warning: what was done to the crops in {faces}/ is not known; scans cut as step 01a did")
    return replace(rule, marked=True) if faces == MARKED else rule


def rule_of_others(images: Sequence[Path], said: Said) -> CropRule | None:
    """The rule of crops that someone else made, as it is said or, for the rest, estimated; None if it is not known.

    Prints which. Others cut crops out of a video's own frames.
    """
    rule = said.rule
    if not said.whole:
        estimate = estimate_rule(sample_crops(images), said.square)
        log.info(f"02: {in_words(estimate)}")
        if estimate.margin is None or estimate.square is None:
            log.info(UNKNOWN)
            return None
        margin_y = None if estimate.margin_y == estimate.margin else estimate.margin_y
        cut = CropRule(margin=estimate.margin, margin_y=margin_y, square=estimate.square, crops_from="full")
        rule = said.over(cut)
    if said:
        parts = {"margin": said.margin, "square": said.square}
        given = " and ".join(f"--crop-{name}" for name, value in parts.items() if value is not None)
        log.info(f"02: by {given}: {rule_in_words(rule)}")
    return rule


def check_said(said: Said, crops_of_others: bool) -> None:
    """Raise a UserError where a rule is said of crops that bring their own."""
    if said and not crops_of_others:
        raise UserError(
            "--crop-margin and --crop-square are for crops of other tools; those of step 01a bring their rule"
        )

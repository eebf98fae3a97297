"""Find the crop rule of a split's crops: recorded by step 01a, given by options, or estimated."""

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
    "02: warning: it is unknown how these crops were cut; give --crop-margin and --crop-square here, "
    "or later to steps 05 and 06"
)


def one_rule(folders: Mapping[CropRule | None, Sequence[Path]]) -> CropRule | None:
    """Return the single rule recorded for crops, given the folders of each rule; None if none is recorded.

    Logs how many folders have no recorded rule.

    Raises:
        UserError: there are two different rules.
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
        log.info(f"02: videos without a usable faces.json, assumed to be cut {cut}: {count}")
    return known[0] if known else None


def rule_of_folder(recorded: CropRule | None, faces: str = FACES) -> CropRule:
    """Return the rule of the crops in the folders `faces`; `recorded` is from faces.json (None in older versions)."""
    rule = recorded or DEFAULT
    if faces not in (FACES, MARKED):
        log.warning(f"02: warning: changes to the crops in {faces}/ are unknown; scans will cut crops as step 01a did")
    return replace(rule, marked=True) if faces == MARKED else rule


def rule_of_others(images: Sequence[Path], said: Said) -> CropRule | None:
    """Return the rule of external crops, as given by options, else estimated; None if it stays unknown.

    Logs the rule. External crops are assumed to be cut from full frames.
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
    """Raise a UserError if options give a rule for crops that have a recorded one."""
    if said and not crops_of_others:
        raise UserError(
            "--crop-margin and --crop-square are only for crops of other tools, not of step 01a; remove them"
        )

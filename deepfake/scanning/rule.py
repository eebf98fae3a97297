"""Find the crop rule of a scan: the one that the model's training crops were cut by."""

from dataclasses import replace
from pathlib import Path

from deepfake.core.crop_rule import DEFAULT, DETECTOR, CropRule, in_words
from deepfake.core.errors import UserError
from deepfake.core.files import read_json
from deepfake.core.messages import log
from deepfake.models.info import NOTHING, Given, info_beside

TAKEN = f"margin {DEFAULT.margin:g}; to change it, give --crop-margin and --crop-square"


def rule_for(model: Path, step: str, given: Given = NOTHING) -> CropRule:
    """Return the rule that a model's crops were cut by, and log it if it is not the default.

    Raises:
        UserError: the rule is unknown and no options give it, or it is known and options give another.
    """
    beside, said = model.with_suffix(".json"), given.said
    content = read_json(beside, "") if beside.is_file() else {}
    recorded = info_beside(model).crop_rule
    if "crop_rule" not in content:  # an older model of ours, or one of another project
        if not said and "backbone" not in content:
            log.info(f"{step}: {beside.name} is missing or has no crop rule; crops are cut by ours, {TAKEN}")
        recorded = None if said else DEFAULT
    elif recorded and said:
        raise UserError(f"{beside}: says how the model's crops were cut; remove --crop-margin and --crop-square")
    elif not recorded and not said.whole:
        raise UserError(
            f"{beside}: does not say how the model's crops were cut; give --crop-margin M and --crop-square yes or no"
        )
    rule = recorded or said.rule
    if rule.detector != DETECTOR:
        log.warning(f"{step}: warning: the model's faces were found by {rule.detector}; the scan uses {DETECTOR}")
    rule = replace(rule, detector=DETECTOR)
    if rule != DEFAULT:
        log.info(f"{step}: crops are cut as for the model: {in_words(rule)}")
    changes = {name: value for name in ("frames", "min_face_pixels") if (value := getattr(given, name)) is not None}
    changed = replace(rule, **changes)
    if changed != rule:
        log.info(f"{step}: changed by options: {in_words(changed, rule)}")
    return changed

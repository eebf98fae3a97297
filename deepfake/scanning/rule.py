"""By which rule a scan cuts its crops: that of the model's own crops."""

from dataclasses import replace
from pathlib import Path

from deepfake.core.crop_rule import DEFAULT, DETECTOR, CropRule, in_words
from deepfake.core.errors import UserError
from deepfake.core.files import read_json
from deepfake.core.messages import log
from deepfake.models.info import NOTHING, Given, info_beside

TAKEN = f"margin {DEFAULT.margin:g}; --crop-margin and --crop-square say it otherwise"


def rule_for(model: Path, step: str, given: Given = NOTHING) -> CropRule:
    """The rule by which a model's crops were cut, which is printed where it is not the default.

    Raises:
        UserError: it is not known and not said, or is known, so that nothing is to be said of it.
    """
    beside, said = model.with_suffix(".json"), given.said
    content = read_json(beside, "") if beside.is_file() else {}
    recorded = info_beside(model).crop_rule
    if "crop_rule" not in content:  # of ours that is older, or of another project
        if not said and "backbone" not in content:
            log.info(f"{step}: no {beside.name} says how the model's crops were cut; taken to be cut as ours, {TAKEN}")
        recorded = None if said else DEFAULT
    elif recorded and said:
        raise UserError(f"{beside}: says how the model's crops were cut; leave out --crop-margin and --crop-square")
    elif not recorded and not said.whole:
        raise UserError(
            f"{beside}: how the model's crops were cut is not known; give --crop-margin M and --crop-square yes or no"
        )
    rule = recorded or said.rule
    if rule.detector != DETECTOR:
        log.warning(f"{step}: warning: the model's faces were found by {rule.detector}, and are by {DETECTOR} now")
    rule = replace(rule, detector=DETECTOR)
    if rule != DEFAULT:
        log.info(f"{step}: crops are cut as the model's were: {in_words(rule)}")
    changes = {name: value for name in ("frames", "min_face_pixels") if (value := getattr(given, name)) is not None}
    changed = replace(rule, **changes)
    if changed != rule:
        log.info(f"{step}: but, as given, {in_words(changed, rule)}")
    return changed

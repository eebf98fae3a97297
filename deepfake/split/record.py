"""crops.json, beside a split's manifest: how its crops were cut, and where they are if they are not files beside it."""

from dataclasses import dataclass
from pathlib import Path

from deepfake.core.crop_rule import DEFAULT, CropRule, as_json, rule_of
from deepfake.core.errors import UserError
from deepfake.core.files import read_json, write_json

MARK = "crops.json"
REMEDY = "run step 02 again"


@dataclass(frozen=True)
class SplitRecord:
    """What is known of a split's crops: their rule (None: not known), and the address of their table, if any."""

    rule: CropRule | None = DEFAULT
    address: str | None = None


def write_record(split_dir: Path, record: SplitRecord) -> None:
    """Write crops.json into a split folder."""
    write_json(split_dir / MARK, {"crops": record.address, "crop_rule": as_json(record.rule)})


def read_record(split_dir: Path) -> SplitRecord:
    """Read the crops.json of a split folder; what an older one does not hold has its default.

    Raises:
        UserError: it is not what step 02 writes.
    """
    path = split_dir / MARK
    if not path.exists():
        return SplitRecord()
    content = read_json(path, REMEDY)
    try:
        address = content.get("crops")
        if address is not None and not isinstance(address, str):
            raise ValueError(f"crops is {address!r}")
        return SplitRecord(rule_of(content.get("crop_rule", {})), address)
    except (AttributeError, ValueError) as error:
        raise UserError(f"{path}: does not say how and where the crops are ({error}); {REMEDY}") from None


def read_address(split_dir: Path) -> str | None:
    """Where the crops of a split folder are in Parquet; None if they are files in it. Raises as `read_record`."""
    return read_record(split_dir).address

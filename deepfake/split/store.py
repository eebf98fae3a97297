"""The crops of a split: files below its folder or rows of a table, opened once and read in the same way.

`crops.json` in the folder says which, and how the crops were cut.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deepfake.core.crop_rule import DEFAULT, CropRule, as_json, rule_of
from deepfake.core.errors import UserError
from deepfake.core.files import read_json, write_json
from deepfake.split.crops import link
from deepfake.split.table_reader import Place, find_places, read_places

MARK = "crops.json"
REMEDY = "run step 02 again"

Crop = Any  # with split, file, video, frame and face, as an `Entry` has them


@dataclass(frozen=True)
class FolderStore:
    """Crops as files of a split folder, which can be read in any order; `rule` is None where it is not known.

    As text, a store is where its crops are.
    """

    folder: Path
    rule: CropRule | None = DEFAULT
    address: ClassVar[None] = None
    in_any_order: ClassVar[bool] = True  # so no cache is needed
    written_by: ClassVar[str] = "step 02"

    def __str__(self) -> str:
        return str(self.folder)

    def path_of(self, crop: Crop) -> Path:
        """The file of a crop."""
        return self.folder / crop.split / crop.file

    def check(self, crops: Iterable[Crop]) -> None:
        """Raise a UserError if a crop is gone."""
        for path in map(self.path_of, crops):
            if not path.is_file():
                raise UserError(f"{path}: listed in manifest.csv but not there; {REMEDY}")

    def read(self, crops: Sequence[Crop]) -> Iterator[tuple[int, bytes]]:
        """The bytes of some crops, none for one that is missing, with the number of each among them; in any order."""
        for number, path in enumerate(map(self.path_of, crops)):
            yield number, path.read_bytes() if path.is_file() else b""

    def copy(self, crops: Sequence[Crop], set_dir: Path) -> None:
        """Put some crops into the folder of another set, as links where the disk allows it."""
        for crop in crops:
            link(self.path_of(crop), set_dir / crop.file)


@dataclass(frozen=True)
class TableStore:
    """Crops as rows of a table at an address, which can only be read in one pass, in the order of the table.

    All methods raise a UserError where a crop is not in the table, or that cannot be read.
    """

    folder: Path
    address: str
    rule: CropRule | None = DEFAULT
    in_any_order: ClassVar[bool] = False
    written_by: ClassVar[str] = "01a --crops"

    def __str__(self) -> str:
        return self.address

    def check(self, crops: Iterable[Crop]) -> None:
        """Raise a UserError if a crop is gone."""
        self._find(crops)

    def read(self, crops: Sequence[Crop]) -> Iterator[tuple[int, bytes]]:
        """The bytes of some crops, with the number of each among them; in any order."""
        for numbers, pngs in self.read_some_at_a_time(crops):
            yield from zip(numbers.tolist(), pngs, strict=True)

    def read_some_at_a_time(self, crops: Sequence[Crop]) -> Iterator[tuple[np.ndarray, list[bytes]]]:
        """The same, with the numbers (B int64) and the bytes of up to READ_AT_ONCE crops at a time."""
        return read_places(self._find(crops), self.address)

    def copy(self, crops: Sequence[Crop], set_dir: Path) -> None:
        """Put some crops into the folder of another set, as files."""
        for number, png in self.read(crops):
            (set_dir / crops[number].file).write_bytes(png)

    def _find(self, crops: Iterable[Crop]) -> list[Place]:
        return find_places(self.address, ((crop.video, crop.frame, crop.face) for crop in crops))


CropStore = FolderStore | TableStore


def write_mark(store: CropStore) -> None:
    """Write the crops.json of a store into its folder."""
    write_json(store.folder / MARK, {"crops": store.address, "crop_rule": as_json(store.rule)})


def open_store(split_dir: Path) -> CropStore:
    """The crops of a split folder, by its crops.json; what an older one does not hold has its default.

    Raises:
        UserError: it is not what step 02 writes.
    """
    path = split_dir / MARK
    if not path.exists():
        return FolderStore(split_dir)
    content = read_json(path, REMEDY)
    try:
        address, rule = content.get("crops"), rule_of(content.get("crop_rule", {}))
        if address is not None and not isinstance(address, str):
            raise ValueError(f"crops is {address!r}")
    except (AttributeError, ValueError) as error:
        raise UserError(f"{path}: does not say how and where the crops are ({error}); {REMEDY}") from None
    return FolderStore(split_dir, rule) if address is None else TableStore(split_dir, address, rule)

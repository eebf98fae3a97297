"""The crops in a table of Parquet files: which there are, and their PNGs in the order in which they lie there."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from deepfake.core.crop_rule import CropRule, difference
from deepfake.core.errors import UserError
from deepfake.core.naming import crop_name
from deepfake.datasets.video import Video
from deepfake.faces.crop import points_in_crop
from deepfake.faces.table import open_rows, rule_of_row, told
from deepfake.split.crops import Crops, Found

KEY = ("video", "frame", "face")
LISTED = (*KEY, "crop", "scale", "landmarks", "person")  # what step 02 reads: all but the pixels

READ_AT_ONCE = 256  # crops
KEYS_AT_ONCE = 16  # files whose keys are read at a time, for filesystems that take long to answer


@dataclass(frozen=True)
class TableSource:
    """The M crops of a table at an address, where they stay, without their pixels; by video, frame and face.

    `rows` says where those of each video are. `frames` and `faces` are M int32, `landmarks` M x 5 x 2 int32 in pixels
    of the crop, `people` M strings, empty where they are not known. `rule` is that of all of them.
    """

    place: str
    rows: dict[str, range]
    frames: np.ndarray
    faces: np.ndarray
    landmarks: np.ndarray
    people: list[str]
    rule: CropRule
    nothing: ClassVar = ("no crops", "give the address of theirs, as 01a --crops was given it")

    def crops_of(self, video: Video, group: str) -> Crops:
        """The crops of a video."""
        return Crops(video, group, rows=self.rows.get(video.id, range(0)))

    def look_up(self, item: Crops) -> tuple[list[Found], CropRule]:
        """What is known of each crop of a video, and the rule of all."""
        found = [
            (int(self.frames[row]), int(self.faces[row]), self.people[row], json.dumps(self.landmarks[row].tolist()))
            for row in item.rows
        ]
        # in the order of files: frame 1000 comes before 200
        return sorted(found, key=lambda crop: crop_name(item.video.id, *crop[:2])), self.rule


@dataclass(frozen=True)
class Place:
    """Where some wanted crops are in a table: `rows` of a row group, in order, hold those of the `numbers`."""

    group: ds.ParquetFileFragment
    rows: np.ndarray
    numbers: np.ndarray


# what is in a table


def list_crops(address: str) -> TableSource:
    """All crops of a table, without reading their pixels.

    Crops that two runs have written alike count once.

    Raises:
        UserError: nothing is there, it cannot be read, files of it are missing, or its runs have cropped in different
            ways.
    """
    rows = open_rows(address, "crop", LISTED)
    with told(address):
        table = rows.to_table().sort_by([(name, "ascending") for name in KEY])
    if not len(table):
        raise UserError(f"{address}: holds no crop; run step 01a --crops on videos with faces")
    boxes, landmarks = _numbers(table, "crop", 4, address), _numbers(table, "landmarks", 10, address)
    videos = table["video"].combine_chunks().dictionary_encode()
    frames, faces = table["frame"].to_numpy(), table["face"].to_numpy()
    people = table["person"].combine_chunks().fill_null("")
    keys = np.column_stack([videos.indices.to_numpy(), frames, faces])
    again = np.append(False, (keys[1:] == keys[:-1]).all(axis=1))
    facts = np.column_stack([boxes, landmarks, people.dictionary_encode().indices.to_numpy()])
    unlike = again & np.append(False, (facts[1:] != facts[:-1]).any(axis=1))
    ids = videos.dictionary.to_pylist()
    if unlike.any():
        raise _two_runs(address, ids[keys[unlike.argmax(), 0]])
    kept = ~again
    ends = np.cumsum(np.bincount(keys[kept, 0], minlength=len(ids))).tolist()
    places = {id: range(start, end) for id, start, end in zip(ids, [0, *ends], ends, strict=False)}
    rule = _check_whole(address, {id: len(place) for id, place in places.items()})
    inside = _in_crops(landmarks[kept], boxes[kept], table["scale"].to_numpy()[kept], rule)
    return TableSource(
        address, places, frames[kept], faces[kept], inside, people.filter(pa.array(kept)).to_pylist(), rule
    )


def _in_crops(landmarks: np.ndarray, boxes: np.ndarray, scales: np.ndarray, rule: CropRule) -> np.ndarray:
    """Landmarks of the standard frame (M x 10) in pixels of their crops, which boxes (M x 4) were cut: M x 5 x 2."""
    points = landmarks.reshape(-1, 5, 2)
    if rule.crops_from == "standard":  # all at once, since there can be millions
        return points - boxes[:, None, :2]
    rows = zip(points.tolist(), boxes.tolist(), scales.tolist(), strict=True)
    return np.array([points_in_crop(own, box, scale, rule.crops_from) for own, box, scale in rows], np.int32)


def _numbers(table: pa.Table, name: str, length: int, address: str) -> np.ndarray:
    """A column of lists of `length` numbers: M x length int32."""
    lists = table[name].combine_chunks()
    if not pc.all(pc.equal(pc.fill_null(pc.list_value_length(lists), -1), length)).as_py():
        raise UserError(f"{address}: has crops whose {name} is not {length} numbers; 01a --crops writes one that has")
    return lists.flatten().to_numpy().reshape(-1, length)


def _check_whole(address: str, found: dict[str, int]) -> CropRule:
    """The rule of all videos; a UserError unless each has as many crops as its own row says, and all the same rule."""
    columns = ("video", "size", "modified", "options", "count")
    rows = open_rows(address, "video", columns)
    with told(address):
        # a video that gave nothing at first may have been taken up again
        table = rows.to_table(filter=pc.field("count") > 0).group_by(list(columns)).aggregate([])
    written: dict[str, int] = {}
    for id, count in zip(table["video"].to_pylist(), table["count"].to_pylist(), strict=True):
        if id in written:
            raise _two_runs(address, id)
        written[id] = count
    for id in found | written:
        if found.get(id, 0) != written.get(id, 0):
            raise UserError(
                f"{address}: has {found.get(id, 0)} crops of {id} where {written.get(id, 0)} were written; let a job "
                "that is still writing end, or crop into an empty folder (01a --crops)"
            )
    return _one_rule(address, table["options"].unique().to_pylist())


def _one_rule(address: str, texts: Iterable[str]) -> CropRule:
    rules = list(dict.fromkeys(map(rule_of_row, texts)))
    if len(rules) > 1:
        raise UserError(
            f"{address}: holds crops of two rules: {difference(*rules[:2])}; crop into an empty folder (01a --crops)"
        )
    return rules[0]


def _two_runs(address: str, id: str) -> UserError:
    return UserError(
        f"{address}: holds {id} from two runs that differ, in options or in the video; "
        "crop into an empty folder (01a --crops)"
    )


# the crops themselves


def find_places(address: str, keys: Iterable[tuple[str, int, int]]) -> list[Place]:
    """Where the crops of some videos, frames and faces are, numbered in the order of `keys`.

    Raises:
        UserError: one of them is not there, or the table cannot be read.
    """
    rows = open_rows(address, "crop", (*KEY, "png"))
    with told(address), ThreadPoolExecutor(KEYS_AT_ONCE) as pool:
        files = list(pool.map(_keys_of, rows.get_fragments()))
    groups = [group for file in files for group in file]
    wanted = pa.array([f"{video}-{frame}-{face}" for video, frame, face in keys], pa.string())
    held = pa.chunked_array([names for _, names in groups], pa.string())
    places = pc.index_in(wanted, value_set=held)
    if places.null_count:
        name = wanted[pc.index(places.is_null(), True).as_py()]
        raise UserError(f"{address}: has no crop {name}, of a video, frame and face of manifest.csv; run step 02 again")
    order = np.argsort(places.to_numpy(), kind="stable")
    ordered = places.to_numpy()[order]
    starts = np.cumsum([0, *(len(names) for _, names in groups)])
    cuts = np.searchsorted(ordered, starts)
    return [
        Place(group, ordered[first:last] - start, order[first:last])
        for (group, _), start, first, last in zip(groups, starts, cuts, cuts[1:], strict=False)
        if last > first
    ]


def _keys_of(file: ds.ParquetFileFragment) -> list[tuple[ds.ParquetFileFragment, pa.ChunkedArray]]:
    """Each row group of a file, with the names of its crops."""
    found = []
    for group in file.split_by_row_group():
        keys = group.to_table(columns=list(KEY))
        texts = [keys[name].cast(pa.string()) for name in KEY]
        found.append((group, pc.binary_join_element_wise(*texts, "-")))
    return found


def read_places(places: Iterable[Place], address: str) -> Iterator[tuple[np.ndarray, list[bytes]]]:
    """The PNGs of some crops, and the number of each, a few at a time and in the order of the table.

    No more than a row group is held in memory, and one in which no crop is wanted is not read.

    Raises:
        UserError: the table cannot be read.
    """
    for place in places:
        at = 0
        with told(address):
            for batch in place.group.to_batches(columns=["png"], batch_size=READ_AT_ONCE):
                first, last = np.searchsorted(place.rows, (at, at + len(batch)))
                if last > first:
                    chosen = batch.column(0).take(pa.array(place.rows[first:last] - at))
                    yield place.numbers[first:last], [png or b"" for png in chosen.to_pylist()]
                at += len(batch)

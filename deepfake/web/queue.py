"""Queue uploads, scan them one at a time, and keep the last scans in memory."""

import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from pebble import ProcessFuture, ProcessPool

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import VideoError
from deepfake.faces.crop import find_faces
from deepfake.frames.streams import length_by_header
from deepfake.jobs.processes import process_pool, result_of
from deepfake.jobs.work import limit_for, reason_of
from deepfake.report.result import Evidence, ModelCard, Scan, Seen, Small
from deepfake.scanning.classifier import Classifier
from deepfake.scanning.evidence import gather
from deepfake.scanning.inputs import Source
from deepfake.scanning.scan import Options, judge_evidence
from deepfake.web.uploads import Limits

MAX_WAITING = 10  # limits the disk space
MAX_KEPT = 30  # limits the memory for pictures

STAGES = ("reading the frames", "looking for faces", "judging the faces")
READING, LOOKING, JUDGING = range(3)

# in the worker process: shared memory for the number of its stage
_stage: Any = None


@dataclass
class Item:
    """An upload: waiting until `begun`, done when it has a `scan`."""

    id: str
    name: str
    path: Path
    begun: bool = False
    scan: Scan | None = None


class Scanner:
    """Finds faces in a worker process, which may crash or hang without harm, and judges them in this one."""

    def __init__(
        self, pool: ProcessPool, shared: Any, classifier: Classifier, limits: Limits, options: Options
    ) -> None:
        self._pool, self._shared = pool, shared
        self._classifier, self._limits, self._options = classifier, limits, options
        self._job: ProcessFuture | None = None

    @property
    def stage(self) -> str:
        """The stage of the current scan: one of STAGES."""
        return STAGES[self._shared.value]

    def scan(self, path: Path, name: str) -> Scan:
        """Scan a file, and call it `name`."""
        self._shared.value = READING
        timeout = self._options.timeout
        found = self._call(timeout, length_by_header, path)
        if not isinstance(found, VideoError):
            problem = self._limits.too_long(found)
            limit = limit_for(timeout, found)
            found = (
                VideoError(problem) if problem else self._call(limit, look_at, path, self._options.rule, self._limits)
            )
        self._shared.value = JUDGING
        return judge_evidence(Source(path, name), found, self._classifier, self._options)

    def _call(self, limit: float, function: Callable, *arguments: Any) -> Any:
        """Call a function in the worker process; returns a VideoError after `limit` seconds or a crash."""
        self._job = self._pool.schedule(function, arguments, timeout=limit)
        return result_of(self._job, limit)

    def stop(self) -> None:
        """Cancel the current file, if there is one."""
        if self._job:
            self._job.cancel()


class ScanQueue:
    """A thread that scans added files in order, and deletes each file after its scan."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._items: dict[str, Item] = {}
        self._changed = threading.Condition()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="scans")
        self._thread.start()

    def add(self, path: Path, name: str) -> Item:
        """Append a file to the queue; it is deleted after the scan."""
        item = Item(secrets.token_urlsafe(12), name, path)
        with self._changed:
            self._items[item.id] = item
            self._changed.notify()
        return item

    def get(self, id: str) -> Item | None:
        """Return the upload with this id, or None if it has been removed."""
        return self._items.get(id)

    def items(self) -> list[tuple[Item, str]]:
        """Return all uploads with their progress, newest first."""
        with self._changed:
            known = list(self._items.values())
        waiting = [item.id for item in known if not item.scan]
        return [(item, self._progress(item, waiting)) for item in reversed(known)]

    def waiting(self) -> int:
        """Return the number of uploads that are not done."""
        with self._changed:
            return sum(not item.scan for item in self._items.values())

    def end(self) -> None:
        """Cancel the current scan and start no other."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        while self._thread.is_alive():  # repeat, since a scan may be about to start
            self._scanner.stop()
            self._thread.join(0.1)

    def _progress(self, item: Item, waiting: list[str]) -> str:
        if item.id not in waiting:
            return "done"
        if item.begun:
            return self._scanner.stage
        return f"{waiting.index(item.id)} before it"

    def _run(self) -> None:
        while item := self._next():
            try:
                scan = self._scanner.scan(item.path, item.name)
            except Exception as error:  # no file may stop the queue
                scan = Scan(item.name, "UNKNOWN", None, reason_of(error))
                if not self._ends:
                    traceback.print_exc()
            item.path.unlink(missing_ok=True)
            item.scan = scan

    def _next(self) -> Item | None:
        with self._changed:
            done = [id for id, item in self._items.items() if item.scan]
            for id in done[:-MAX_KEPT]:
                del self._items[id]
            while not self._ends:
                for item in self._items.values():
                    if not item.scan:
                        item.begun = True
                        return item
                self._changed.wait()
        return None


@contextmanager
def open_queue(
    load: Callable[[], Classifier], limits: Limits, options: Options
) -> Iterator[tuple[ScanQueue, ModelCard]]:
    """Yield a queue that scans with the model from `load`, and the model's card; scans stop with the block."""
    shared = get_context("spawn").RawValue("B", READING)
    with process_pool(1, _prepare, shared) as pool:
        classifier = load()
        _try_out(classifier, options)
        queue = ScanQueue(Scanner(pool, shared, classifier, limits, options))
        try:
            yield queue, classifier.card
        finally:
            queue.end()


def _try_out(classifier: Classifier, options: Options) -> None:
    """Judge a dark crop, since the first prediction of a model takes seconds."""
    box = (0, 0, 64, 64)
    seen, frame = Seen(0, 0, 0, 0.0, box, "0", 1.0), np.zeros((64, 64, 3), np.uint8)
    dark = Evidence(1, 0.0, None, (seen,), (frame,), (Small(0, 0.0, 1.0, frame),))
    judge_evidence(Source(Path("dark"), "dark"), dark, classifier, options)


def _prepare(stage: Any) -> None:
    """Prepare a worker process: set the shared stage and load the face detector."""
    global _stage
    _stage = stage
    find_faces([np.zeros((48, 64, 3), np.uint8)])


def look_at(path: Path, rule: CropRule, limits: Limits) -> Evidence | VideoError:
    """Gather the evidence in a file, or return the reason why there is none; runs in a prepared worker."""
    found = gather(path, rule, True, _faces_next)
    problem = limits.too_long(found.seconds) if isinstance(found, Evidence) else None
    return VideoError(problem) if problem else found


def _faces_next() -> None:
    _stage.value = LOOKING

"""Serves the local page for tests; everything is real except the classifier, which needs no training."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil

from deepfake.report.result import ModelCard
from deepfake.sample.dataset import write_video
from deepfake.sample.scenes import Plan, Scene
from deepfake.scanning.classifier import Classifier
from deepfake.scanning.scan import Options
from deepfake.web.app import create_app, listen, server
from deepfake.web.queue import open_queue
from deepfake.web.uploads import Limits

CARD = ModelCard("brightness.keras", "none", 16, threshold=0.5, bands={}, temperature=1.0, sample_only=True)


def brightness(images: np.ndarray) -> tuple[np.ndarray, None]:
    """The brighter a crop, the more real."""
    return np.clip(images.mean((1, 2, 3))[:, None] / 180, 0, 1), None


CLASSIFIER = Classifier(CARD, None, brightness)
LIMITS = Limits(1, 5)


def draw_clips(folder: Path) -> dict[str, Path]:
    """Two drawn people in three lights, for half a second: the classifier says another thing of each."""
    plan = Plan(originals=2, seed=0, width=320, height=240, seconds=0.1, fps=10, people=2, fakes=1)
    frame = next(Scene(plan, 0).frames())
    paths = {name: folder / f"{name}.mp4" for name in ("bright", "dim", "dark")}
    for path, light in zip(paths.values(), (1.3, 0.8, 0.45), strict=True):
        write_video(path, [np.uint8(np.clip(frame * light, 0, 255))] * 20, 40)
    return paths


@dataclass(frozen=True)
class Served:
    """A page that is served: its address, and the folder of its uploads."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Status, content and headers of an answer; headers are named as in Python: file_name is X-File-Name."""
        names = {key: f"X-{key.replace('_', '-')}" for key in headers} | {"host": "Host", "origin": "Origin"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            # an answer may come, and the connection end, before all is sent
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, {names[key]: value for key, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def send(self, content: bytes, name: str = "a.mp4", **headers: str) -> tuple[int, dict]:
        """Upload a file; returns the status and the answer."""
        status, answer, _ = self.ask("POST", "/scans", content, file_name=quote(name), **headers)
        return status, json.loads(answer)

    def scans(self) -> dict[str, dict]:
        """Return the listed scans by id."""
        return {scan["id"]: scan for scan in json.loads(self.ask("GET", "/scans")[1])}

    def wait(self, id: str, until: str = "done") -> dict:
        """Wait until the progress of a scan is this."""
        end = time.monotonic() + 150
        while (scan := self.scans()[id])["progress"] != until:
            assert time.monotonic() < end and scan["progress"] != "done", scan
            time.sleep(0.01)
        return scan


@contextmanager
def serving(folder: Path, timeout: float = 60, limits: Limits = LIMITS) -> Iterator[Served]:
    """Serve the page from a thread."""
    options = Options(timeout=timeout)
    with listen(0) as listener, open_queue(lambda: CLASSIFIER, limits, options) as (queue, card):
        running = server(create_app(queue, card, folder, limits))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Served(listener.getsockname()[1], folder)
        finally:
            running.should_exit = True
            thread.join()


def workers() -> set[psutil.Process]:
    """The processes that look at uploads, of all pages that are served here."""
    return {each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())}

"""Serve the local page: it scans videos and images dropped into a browser, and shows them as in a report.

A Starlette app on uvicorn that listens on 127.0.0.1. It keeps only the last scans, in memory.
"""

import base64
import errno
import shutil
import signal
import socket
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deepfake.core.cli import end_gently
from deepfake.core.errors import UserError
from deepfake.models.info import NOTHING, Given
from deepfake.report.page import render_page, render_scan
from deepfake.report.result import ModelCard
from deepfake.report.timeline import clock, percent
from deepfake.scanning.classifier import Classifier, check_classifier, judging_by, open_classifier
from deepfake.scanning.rule import rule_for
from deepfake.scanning.scan import Options, said_of_verdicts
from deepfake.web.queue import MAX_WAITING, Item, ScanQueue, open_queue
from deepfake.web.uploads import Limits, RefusedError, receive, shown_name, suffix_of, upload_folder

HOST = "127.0.0.1"
# accepted host names, also through an ssh tunnel; refusing others prevents DNS rebinding, where the name of another
# website points to this page
HOSTS = (HOST, "localhost")
SPARE_BYTES = 1_000_000_000  # disk space that uploads leave free

STATIC = {"report.css": "text/css", "page.css": "text/css", "page.js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


def serve_page(
    model: Path, port: int, limits: Limits, timeout: float, given: Given = NOTHING, aggregate: str = "mean"
) -> None:
    """Run step 06: serve the page until Ctrl-C. `given` holds the user's values, which replace those of the .json.

    Raises:
        UserError: the model cannot be used, or the port is taken.
        KeyboardInterrupt: at the end.
    """
    check_classifier(model, "auto")
    for said in said_of_verdicts(model, given, aggregate):
        print(f"06: {said}")
    rule = rule_for(model, "06", given)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells turn SIGINT off for background jobs
    end_gently(lambda *_: signal.raise_signal(signal.SIGINT))  # uvicorn shuts down on SIGINT
    try:
        # listen before the model is loaded, so that a browser opened at once waits rather than fails
        with listen(port) as listener, upload_folder() as folder:
            print(f"06: open http://{HOST}:{listener.getsockname()[1]} in a browser (Ctrl-C to stop)", flush=True)
            options = Options(rule, timeout=timeout)

            def load() -> Classifier:
                return judging_by(open_classifier(model, given=given), rule, aggregate, given.threshold)

            with open_queue(load, limits, options) as (queue, card):
                app = create_app(queue, card, folder, limits)
                server(app).run(sockets=[listener])
    except KeyboardInterrupt:
        raise KeyboardInterrupt("all uploads are deleted") from None


def listen(port: int) -> socket.socket:
    """Open a socket that only this computer can reach; port 0 takes any free port.

    Raises:
        UserError: the port is taken, or needs more rights.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise UserError(f"port {port}: {error.strerror}; give another --port") from None


def server(app: Starlette) -> uvicorn.Server:
    """Return an HTTP server for an app, which sends HEADERS with each answer."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            headers=list(HEADERS),
            log_level="error",
            server_header=False,
            proxy_headers=False,
            http="h11",
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )


def create_app(queue: ScanQueue, card: ModelCard, folder: Path, limits: Limits) -> Starlette:
    """Return the page's app for a queue of scans; `folder` takes the uploads."""
    page = Page(queue, card, folder, limits)
    return Starlette(
        routes=[
            Route("/", page.index),
            Route("/static/{name}", _static),
            Route("/check", page.check_upload),
            Route("/scans", page.list_scans),
            Route("/scans", page.add_scan, methods=["POST"]),
            Route("/scans/{id}", page.show_scan),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={RefusedError: _refused, ClientDisconnect: _nobody_there},
    )


@dataclass
class Page:
    """The answers of the page, each for one route of `create_app`; `uploading` counts the uploads in progress."""

    queue: ScanQueue
    card: ModelCard
    folder: Path
    limits: Limits
    uploading: int = 0

    async def index(self, request: Request) -> Response:
        """Return the page itself."""
        longest = clock(self.limits.seconds)
        return HTMLResponse(render_page("page.html", card=self.card, limits=self.limits, longest=longest, heat=True))

    async def list_scans(self, request: Request) -> Response:
        """Return the scans in the queue, with their progress."""
        return JSONResponse([_as_json(item, progress, self.card) for item, progress in self.queue.items()])

    async def show_scan(self, request: Request) -> Response:
        """Return the evidence of a finished scan."""
        item = self.queue.get(request.path_params["id"])
        if item is None or item.scan is None:
            raise HTTPException(404, "This scan has been removed; upload the file again.")
        return HTMLResponse(render_scan(item.scan, self.card))

    async def check_upload(self, request: Request) -> Response:
        """Say whether an upload would be refused, by its size and first bytes, and whether it may be tried later."""
        try:
            self._check_room(int(request.headers.get("x-file-size", "")))
            suffix_of(base64.b64decode(request.headers.get("x-file-head", ""), validate=True))
        except RefusedError as error:
            return JSONResponse({"refused": str(error), "later": error.status == 503})
        except ValueError:
            raise HTTPException(400) from None
        return JSONResponse({"refused": None, "later": False})

    async def add_scan(self, request: Request) -> Response:
        """Receive a file and add it to the queue."""
        _check_origin(request)
        self._check_room(int(request.headers.get("content-length", 0)))
        self.uploading += 1
        try:
            path = await receive(request.stream(), self.folder, self.limits)
        finally:
            self.uploading -= 1
        item = self.queue.add(path, shown_name(request.headers.get("x-file-name", "")))
        return JSONResponse({"id": item.id}, 201)

    def _check_room(self, size: int) -> None:  # 0: unknown
        self.limits.check_size(size)
        if self.uploading + self.queue.waiting() >= MAX_WAITING:
            raise RefusedError(503, f"has to wait: {MAX_WAITING} files are before it; try again in a minute")
        if shutil.disk_usage(self.folder).free < SPARE_BYTES + (size or self.limits.megabytes * 1e6):
            raise RefusedError(507, "cannot be stored: the disk of this computer is nearly full; free some space")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    content = (files("deepfake.report") / "templates" / name).read_text(encoding="utf-8")
    return Response(content, media_type=STATIC[name])


def _check_origin(request: Request) -> None:
    """Refuse requests of other websites in the browser. Programs send no Origin."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{request.headers['host']}":
        raise RefusedError(403, "comes from another website; only this page can send files")


def _as_json(item: Item, progress: str, card: ModelCard) -> dict[str, Any]:
    scan, said = item.scan, {}
    if scan:
        said = {"verdict": scan.verdict.lower(), "said": f"{percent(scan.p_real)} real" if scan.faces else scan.reason}
        said["note"] = card.note
    return {"id": item.id, "name": item.name, "begun": item.begun, "progress": progress, **said}


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    # do not wait for the rest of the upload
    return JSONResponse({"error": str(error)}, error.status, headers={"Connection": "close"})


async def _nobody_there(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # the browser has closed the connection during an upload

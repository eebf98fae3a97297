"""The HTTP interface of the local page: limits, queue, hostile names and websites, and cleaning up."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, make_video, run_step
from served_page import CLASSIFIER, Served, draw_clips, serving, workers

from deepfake.scanning.scan import Options, scan_file
from deepfake.web import app as web_page
from deepfake.web import queue as scan_queue
from deepfake.web.uploads import MAX_NAME_LENGTH, Limits, RefusedError, shown_name, upload_folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    return draw_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("uploads")) as page:
        yield page


@pytest.fixture(autouse=True)
def nothing_is_left(request):
    """After each test, no upload is in the page's folder, and none is waiting."""
    yield
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        assert all(scan["progress"] == "done" for scan in page.scans().values())
        assert not list(page.folder.iterdir())


# one at a time, and each its own


@pytest.mark.slow
def test_three_uploads_at_once_queue_up_and_get_their_own_verdicts(page, clips):
    expected = {name: scan_file(path, name, CLASSIFIER, Options(workers=0)) for name, path in clips.items()}
    assert len({scan.p_real for scan in expected.values()}) == 3
    assert {scan.verdict for scan in expected.values()} == {"REAL", "FAKE"}
    ids: dict[str, str] = {}
    together = threading.Barrier(3)

    def upload(name: str) -> None:
        together.wait()
        status, answer = page.send(clips[name].read_bytes(), name)
        assert status == 201
        ids[name] = answer["id"]

    threads = [threading.Thread(target=upload, args=(name,)) for name in clips]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {scan["progress"] for scan in page.scans().values()}
    assert "2 before it" in seen and len(set(ids.values())) == 3
    for name, id in ids.items():
        scan = page.wait(id)
        assert (scan["name"], scan["verdict"].upper()) == (name, expected[name].verdict)
        html = page.ask("GET", f"/scans/{id}")[1].decode()
        scores = re.findall(r"<td class=\"number\">(\d\.\d{4})</td>", html)
        assert scores == [f"{face.p_real:.4f}" for face in expected[name].faces] and scores


@pytest.mark.slow
def test_the_progress_of_a_scan_is_told(page, clips):
    list(map(page.wait, page.scans()))
    _, answer = page.send(clips["bright"].read_bytes())
    seen = []
    while not seen or seen[-1] != "done":
        progress = page.scans()[answer["id"]]["progress"]
        seen += [progress] * (progress not in seen)
    assert "looking for faces" in seen and set(seen) <= {"0 before it", *scan_queue.STAGES, "done"}


@pytest.mark.slow
def test_an_image_is_scanned_whatever_it_is_called(page, tmp_path, clips):
    import cv2

    capture = cv2.VideoCapture(str(clips["bright"]))
    image = cv2.imencode(".png", capture.read()[1])[1].tobytes()
    scan = page.wait(page.send(image, "holiday.mp4")[1]["id"])
    assert scan["verdict"] == "real" and scan["name"] == "holiday.mp4"
    assert scan["note"] == "drawn sample only, never saw a real person"


@pytest.mark.slow
def test_only_the_last_scans_are_kept(page, monkeypatch):
    monkeypatch.setattr(scan_queue, "MAX_KEPT", 2)
    ids = [page.send(b"BM nothing", f"{number}.bmp")[1]["id"] for number in range(5)]
    scan = page.wait(ids[-1])
    assert scan["verdict"] == "unknown" and "not a supported image" in scan["said"]
    page.wait(page.send(b"BM nothing", "last.bmp")[1]["id"])
    assert [scan["name"] for scan in page.scans().values()][:2] == ["last.bmp", "4.bmp"] and len(page.scans()) <= 3
    assert page.ask("GET", f"/scans/{ids[0]}")[0] == 404


# what crashes or hangs costs itself only


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "timeout", "says"), [(signal.SIGKILL, 150, "crashed its process"), (signal.SIGSTOP, 8, "took longer than")]
)
def test_a_crashing_or_hanging_scan_fails_alone(tmp_path, clips, what, timeout, says):
    others = workers()
    with serving(tmp_path, timeout) as page:
        before = page.send(clips["bright"].read_bytes())[1]["id"]
        page.wait(before)
        hostile = page.send(clips["bright"].read_bytes())[1]["id"]
        after = page.send(clips["dark"].read_bytes())[1]["id"]
        page.wait(hostile, "looking for faces")
        (workers() - others).pop().send_signal(what)
        assert says in page.wait(hostile)["said"]
        verdicts = {id: page.wait(id)["verdict"] for id in (before, hostile, after)}
        assert verdicts == {before: "real", hostile: "unknown", after: "fake"}
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_stopping_the_page_does_not_wait_for_a_hanging_scan(tmp_path, clips):
    others = workers()
    with serving(tmp_path, timeout=1000) as page:
        page.wait(page.send(clips["bright"].read_bytes())[1]["id"], "looking for faces")
        (workers() - others).pop().send_signal(signal.SIGSTOP)
        start = time.monotonic()
    assert time.monotonic() - start < 500 and not list(tmp_path.iterdir())


# limits


@pytest.mark.slow
def test_an_upload_that_is_too_large_is_refused_before_or_while_it_comes(page):
    status, answer = page.send(bytes(1_000_001))
    assert status == 413 and "is larger than 1 MB" in answer["error"] and "--max-mb" in answer["error"]
    # one that does not tell its size, and would never end
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as connection:
        connection.sendall(b"POST /scans HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk, sent = b"10000\r\n" + b"\0\0\0\x20ftypisom" + bytes(65_536 - 12) + b"\r\n", 0
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            for _ in range(3000):
                connection.sendall(chunk)
                sent += len(chunk)
        assert sent < 60_000_000  # what the kernel takes ahead of the server
    assert page.ask("GET", "/")[0] == 200


@pytest.mark.slow
def test_a_limit_beyond_the_disk_does_not_refuse_what_has_room(tmp_path):
    with serving(tmp_path, limits=Limits(1e12, 5)) as page:
        answer = json.loads(page.ask("GET", "/check", file_size="35", file_head="R0lGODlhAQABAAAAACw=")[1])
        assert answer["refused"] is None
        assert "nearly full" in json.loads(page.ask("GET", "/check", file_size=str(10**17))[1])["refused"]


@pytest.mark.slow
def test_the_file_type_is_detected_from_content_as_soon_as_possible(page, clips):
    for content in (b"", b"no video", b"%PDF-1.7" + bytes(900_000), b"PK\3\4" + bytes(1000), b"#EXTM3U\nfile:///etc"):
        status, answer = page.send(content, "film.mp4")
        assert status == 415 and re.search("is empty|not a supported video or image", answer["error"])
    scan = page.wait(page.send(b"\0\0\0\x18ftypheic" + bytes(1000), "photo.jpg")[1]["id"])
    assert scan["verdict"] == "unknown" and "save it as JPEG" in scan["said"]
    assert page.wait(page.send(clips["dark"].read_bytes(), "film.txt")[1]["id"])["verdict"] == "fake"
    assert page.scans() and sum(scan["name"] == "film.mp4" for scan in page.scans().values()) == 0


@pytest.mark.slow
def test_a_check_before_the_upload_says_the_same(page, monkeypatch):
    def refused(size: int, head: str) -> str | None:
        answer = json.loads(page.ask("GET", "/check", file_size=str(size), file_head=head)[1])
        assert answer["later"] == ("has to wait" in (answer["refused"] or ""))
        return answer["refused"]

    gif = "R0lGODlhAQABAAAAACw="
    assert refused(35, gif) is None
    assert (
        "larger than 1 MB" in refused(10**10, gif)
        and "not a supported" in refused(35, "AAAA")
        and "empty" in refused(0, "")
    )
    assert page.ask("GET", "/check", file_size="many", file_head=gif)[0] == 400
    assert page.ask("GET", "/check", file_size="1", file_head="%")[0] == 400
    monkeypatch.setattr(web_page, "MAX_WAITING", 0)
    assert "has to wait" in refused(35, gif)
    assert page.send(b"GIF89a")[0] == 503
    monkeypatch.setattr(web_page, "MAX_WAITING", 10)
    monkeypatch.setattr(web_page, "SPARE_BYTES", 10**18)
    assert "nearly full" in refused(35, gif) and page.send(b"GIF89a")[0] == 507


@pytest.mark.slow
def test_a_video_that_is_too_long_is_unknown_with_the_limit_named(page, tmp_path):
    path = make_video(tmp_path / "long.avi", frames=60, fps=10, codec="mpeg4")
    data = bytearray(path.read_bytes())
    for lies in (False, True):
        if lies:
            struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, 3)
            struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, 3)
        scan = page.wait(page.send(bytes(data))[1]["id"])
        assert scan["verdict"] == "unknown" and "lasts 0:06, longer than 0:05" in scan["said"]
        assert "--max-seconds" in scan["said"]


@pytest.mark.slow
def test_an_interrupted_upload_leaves_nothing(page, clips):
    before = page.scans()
    with socket.create_connection(("127.0.0.1", page.port)) as connection:
        connection.sendall(b"POST /scans HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        connection.sendall(clips["dark"].read_bytes()[:5000])
        end = time.monotonic() + 20
        while not list(page.folder.iterdir()) and time.monotonic() < end:
            time.sleep(0.01)
        assert len(list(page.folder.iterdir())) == 1
    while list(page.folder.iterdir()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not list(page.folder.iterdir()) and page.scans() == before


# hostile names and pages


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../x", "../../x"),
        ("/etc/passwd", "/etc/passwd"),
        ("<script>alert(1)</script>.mp4", "<script>alert(1)</script>.mp4"),
        ("", "unnamed"),
        (" \n\t", "unnamed"),
        ("a\r\nSet-Cookie: b\0.mp4", "a  Set-Cookie: b .mp4"),
        ("\u202egpj.mp4", "gpj.mp4"),
        ("файл 🙂.mp4", "файл 🙂.mp4"),
    ],
)
def test_a_hostile_name_is_text_to_show_and_never_a_path(page, name, shown):
    around = sorted(page.folder.parent.rglob("*"))
    id = page.send(b"BM nothing", name)[1]["id"]
    assert page.wait(id)["name"] == shown
    assert sorted(page.folder.parent.rglob("*")) == around
    html = page.ask("GET", f"/scans/{id}")[1].decode()
    assert "<script" not in html and ("&lt;script&gt;alert(1)" in html) == ("<script" in name)


def test_a_long_or_broken_name_is_shown_short_and_whole():
    name = shown_name("x" * 300 + ".mp4")
    assert len(name) == MAX_NAME_LENGTH and name.endswith("x.mp4") and "…" in name
    assert shown_name("%ff%zz%ed%a0%80") == "\ufffd%zz\ufffd\ufffd\ufffd"


@pytest.mark.slow
def test_other_websites_cannot_use_the_page(page):
    bmp = b"BM nothing"
    own = f"http://localhost:{page.port}"
    assert page.send(bmp, host=f"localhost:{page.port}", origin=own)[0] == 201
    for origin in (
        "http://evil.example",
        "null",
        f"http://localhost:{page.port + 1}",
        f"https://localhost:{page.port}",
    ):
        status, answer = page.send(bmp, host=f"localhost:{page.port}", origin=origin)
        assert status == 403 and "another website" in answer["error"]
    # a name of theirs that leads here
    for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1.evil.example", "localhost.evil.example", ""):
        for method, path in (("GET", "/"), ("GET", "/scans"), ("POST", "/scans")):
            assert page.ask(method, path, bmp if method == "POST" else None, host=host)[0] == 400
    list(map(page.wait, page.scans()))


@pytest.mark.slow
def test_every_answer_forbids_scripts_frames_and_addresses_of_others(page):
    for method, path in (
        ("GET", "/"),
        ("GET", "/scans"),
        ("GET", "/nothing"),
        ("GET", "/static/page.js"),
        ("PUT", "/"),
    ):
        headers = page.ask(method, path)[2]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
        assert "Access-Control-Allow-Origin" not in headers
    for path in ("/", "/static/report.css", "/static/page.css", "/static/page.js"):
        status, content, _ = page.ask("GET", path)
        assert status == 200 and not re.search(rb"https?://(?!www\.w3\.org)", content)
    assert page.ask("GET", "/static/scan.html")[0] == page.ask("GET", "/static/..%2f..%2fcli.py")[0] == 404


@pytest.mark.slow
def test_the_page_listens_on_this_computer_only(page):
    listening = [each.laddr for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    assert ("127.0.0.1", page.port) in listening and {address.ip for address in listening} == {"127.0.0.1"}


def test_refusals_name_their_limits():
    limits = Limits(0.5, 90)
    limits.check_size(500_000)
    with pytest.raises(RefusedError, match=r"larger than 0\.5 MB"):
        limits.check_size(500_001)
    assert limits.too_long(90) is None and "longer than 1:30" in limits.too_long(91)


# the script


@pytest.mark.slow
def test_errors_of_the_script_are_one_line(tmp_path):
    missing = run_step("06", "--model", "mine.keras", cwd=tmp_path)
    assert missing.returncode == 2 and "mine.keras: not found" in missing.stderr
    with pytest.raises(web_page.UserError, match="give another --port"), web_page.listen(0) as taken:
        web_page.listen(taken.getsockname()[1])


def test_only_leftover_uploads_of_killed_pages_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("deepfake-page-killed", "of-another-program"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "somebody.mp4").write_bytes(b"x")
    with upload_folder() as first, upload_folder() as second:
        assert set(tmp_path.iterdir()) == {first, second, tmp_path / "of-another-program"}
    assert os.listdir(tmp_path) == ["of-another-program"]


@contextmanager
def started(model: Path, uploads: Path) -> Iterator[tuple[subprocess.Popen, Served]]:
    """The script as users run it, when it has said where its page is."""
    uploads.mkdir()
    command = [sys.executable, str(ROOT / "06-web_page.py"), "--model", str(model), "--port", "0"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    options["preexec_fn"] = lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)  # not so under nohup
    with subprocess.Popen(command, **options, env=os.environ | {"TMPDIR": str(uploads)}) as process:
        try:
            (port,) = re.findall(r"open http://127\.0\.0\.1:(\d+) ", process.stdout.readline())
            yield process, Served(int(port), uploads)
        finally:
            process.kill()


@pytest.mark.slow
def test_the_script_scans_with_a_saved_model_and_ends_clean(tmp_path, clips):
    from deepfake.models.export import export_model
    from deepfake.models.info import ModelInfo, write_model_info
    from deepfake.models.model import build_model

    model = tmp_path / "model.keras"
    build_model(32, "none", name="meso4").save(model)
    write_model_info(ModelInfo(sample_only=True), model.with_suffix(".json"))
    export_model(model, suffixes=(".onnx",))
    with started(model, tmp_path / "uploads") as (process, page):
        taken = run_step("06", "--model", model, "--port", page.port)
        assert taken.returncode == 2 and taken.stderr.count("\n") == 1 and f"port {page.port}: " in taken.stderr
        assert "never seen a real person" in page.ask("GET", "/")[1].decode()
        id = page.send(clips["bright"].read_bytes())[1]["id"]
        assert page.wait(id)["verdict"] in ("real", "fake")
        assert page.ask("GET", f"/scans/{id}")[1].decode().count('class="heat"') == 12
        (folder,) = page.folder.glob("deepfake-page-*")
        assert folder.stat().st_mode & 0o077 == 0 and not list(folder.iterdir())
        page.wait(page.send(clips["bright"].read_bytes())[1]["id"], "looking for faces")
        assert len(list(folder.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "\nstopped; all uploads are deleted\n")
        assert process.returncode == 130
        assert not list(page.folder.glob("deepfake-page-*"))
    # told to end while it loads the model, and left by its terminal
    for end in (signal.SIGTERM, signal.SIGHUP):
        with started(model, tmp_path / end.name) as (process, page):
            process.send_signal(end)
            assert process.communicate(timeout=60) == ("", "\nstopped; all uploads are deleted\n")
            assert process.returncode == 130 and not list(page.folder.iterdir())

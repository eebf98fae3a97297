"""The local page in Chromium: an upload, its progress and verdict, and refused files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from served_page import Served, draw_clips, serving, workers

from deepfake.web import app as web_page

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)<\u2215script>.mp4"
SECONDS = 90_000  # a busy machine is no reason to fail


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    return draw_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("uploads")) as served:
        yield served


@contextmanager
def opened(browser, served: Served, **options) -> Iterator:
    """The page in a window of its own; nobody else may be asked for anything, and nothing go wrong on it."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    problems, asked = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served.url)
    yield page
    picture = os.environ.get("SCREENSHOTS")  # a folder, for people who want to look
    if picture:
        name = os.environ["PYTEST_CURRENT_TEST"].split("::")[1].split()[0]
        page.screenshot(path=Path(picture) / f"{name}.png", full_page=True)
    assert not problems
    assert all(url.startswith((f"{served.url}/", "data:")) for url in asked)
    context.close()


def row(page, name: str):
    """The row of the last scan or upload of that name."""
    return page.locator(".rows li").filter(has=page.get_by_text(name, exact=True)).first


def choose(page, *files: Path | dict) -> None:
    page.get_by_label("Choose a video or an image").set_input_files(list(files))


def test_an_upload_shows_its_progress_its_verdict_and_the_evidence(browser, served, clips):
    with opened(browser, served) as page:
        # all that the row says, from the first on
        page.evaluate(
            """() => {
                window.said = new Set();
                const look = () => document.querySelectorAll(".rows li").forEach((row) => said.add(row.innerText));
                new MutationObserver(look).observe(document.body, {subtree: true, childList: true});
            }"""
        )
        (worker,) = workers()
        worker.suspend()  # too quick for eyes
        choose(page, clips["bright"])
        row(page, "bright.mp4").get_by_text("reading the frames").wait_for()
        assert row(page, "bright.mp4").locator("progress").is_visible()
        worker.resume()
        page.locator("#result h3").wait_for()
        said = " ".join(page.evaluate("() => [...said]"))
        assert "waiting" in said and "sending" in said and "scanning" in said
        assert row(page, "bright.mp4").locator(".badge").inner_text() == "real"
        assert page.locator("#result h3").inner_text() == "bright.mp4"
        assert page.get_by_role("status").inner_text().startswith("bright.mp4: real, ")
        assert page.locator("#result .crops img").count() == 12
        assert page.get_by_role("img", name="Probability of real over the video").is_visible()
        assert page.locator("#result").get_by_text("Trained on drawn faces only").is_visible()
        assert not row(page, "bright.mp4").locator("progress").is_visible()
    assert not list(served.folder.iterdir())


def test_unsupported_files_are_refused_before_the_upload(browser, served, tmp_path):
    (tmp_path / "large.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(1_000_001))
    (tmp_path / "notes.mp4").write_text("no video " * 1000)
    (tmp_path / "empty.mp4").touch()
    with opened(browser, served) as page:
        sent = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        choose(page, tmp_path / "large.mp4", tmp_path / "notes.mp4", tmp_path / "empty.mp4")
        for name, says in (
            ("large.mp4", "is larger than 1 MB, the limit (--max-mb)"),
            ("notes.mp4", "is not a supported video or image"),
            ("empty.mp4", "is empty"),
        ):
            row(page, name).get_by_text(says).wait_for()
            assert row(page, name).locator(".badge").inner_text() == "refused"
        assert page.get_by_role("status").inner_text() == "empty.mp4 is empty"
        assert not sent


def test_two_users_see_their_own_verdicts_and_both_in_the_list(browser, served, clips):
    with opened(browser, served) as ann, opened(browser, served) as ben:
        choose(ann, {"name": HOSTILE, "mimeType": "video/mp4", "buffer": clips["dark"].read_bytes()})
        choose(ben, clips["bright"])
        for page, name, verdict in ((ann, HOSTILE, "fake"), (ben, "bright.mp4", "real")):
            page.locator("#result h3").wait_for()
            assert page.locator("#result h3").inner_text() == name
            assert page.locator("#result .badge").inner_text() == verdict
        assert ben.locator("img[src=x]").count() == 0
        row(ben, HOSTILE).get_by_role("button").wait_for()


def test_the_page_works_with_the_keyboard_only(browser, served, clips):
    with opened(browser, served) as page:
        page.on("filechooser", lambda chooser: None)  # from now on, since the key is quicker than the wish for it
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.id") == "file"
        assert page.evaluate("() => getComputedStyle(document.getElementById('drop')).outlineStyle") == "solid"
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files([clips["dim"], clips["dark"]])
        row(page, "dim.mp4").locator("button:enabled").wait_for()
        row(page, "dark.mp4").locator("button:enabled").focus()
        page.keyboard.press("Enter")
        page.locator("#result h3").get_by_text("dark.mp4").wait_for()
        page.locator("#result:focus").wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.innerText") == "All numbers"


def test_a_file_waits_while_the_queue_is_full(browser, served, clips, monkeypatch):
    with opened(browser, served) as page:
        monkeypatch.setattr(web_page, "MAX_WAITING", 0)
        with page.expect_response("**/check"), page.expect_response("**/check"):
            choose(page, clips["bright"], clips["dark"])
        assert row(page, "bright.mp4").locator(".badge").inner_text() == "waiting"
        monkeypatch.setattr(web_page, "MAX_WAITING", 1)
        page.locator("#result h3").get_by_text("dark.mp4").wait_for()


def test_a_file_can_be_dropped_anywhere(browser, served, clips):
    with opened(browser, served) as page:
        dropped = page.evaluate_handle("() => new DataTransfer()")
        page.evaluate(
            """([transfer, bytes]) => transfer.items.add(new File([new Uint8Array(bytes)], "dropped.mp4"))""",
            [dropped, list(clips["dark"].read_bytes())],
        )
        page.dispatch_event("h1", "dragover", {"dataTransfer": dropped})
        assert page.locator("#drop.over").count() == 1
        page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
        assert page.locator("#drop.over").count() == 0
        page.locator("#result h3").get_by_text("dropped.mp4").wait_for()
        assert page.locator("#result .badge").inner_text() == "fake"


def test_the_page_has_a_dark_mode_and_fits_a_phone(browser, served, clips):
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with opened(browser, served, color_scheme="dark", **phone) as page:
        long = {"name": "long" * 60 + ".mp4", "mimeType": "video/mp4", "buffer": clips["dim"].read_bytes()}
        choose(page, long)
        page.locator("#result h3").wait_for()
        assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(18, 25, 31)"
        assert page.evaluate("() => document.documentElement.scrollWidth") == 360


def test_a_page_whose_server_has_ended_says_so(browser, tmp_path, clips):
    with serving(tmp_path) as served:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.goto(served.url)
    choose(page, clips["dark"])
    row(page, "dark.mp4").get_by_text("06-web_page.py is still running").wait_for()
    context.close()

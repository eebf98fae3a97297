"""The report in Chromium: sorting, filters, keyboard, dark mode, phone, print."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scans_for_reports import CARD, scan_of

from deepfake.report.page import write_report

pytestmark = pytest.mark.browser

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A report of a test set, with names of every kind."""
    scans = [
        scan_of("beta.mp4", 0.91, label=1, method=None),
        scan_of("alpha-10.mp4", 0.07, label=0, method="seam"),
        scan_of("alpha-9.mp4", 0.85, label=0, people=("0", "1")),
        scan_of("unsure.mp4", 0.5, label=1),
        scan_of("empty.mp4", None, reason="no face in any frame"),
        scan_of(HOSTILE, 0.2, label=0),
        scan_of("\u05e9\u05dc\u05d5\u05dd \u202egpj.mp4", 0.8, label=1),
        scan_of("long" * 75, 0.95, label=1),
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(scans, CARD, path)
    return path


@contextmanager
def opened(browser, path, **options) -> Iterator:
    """The report in a window of its own; nothing may be asked of a network, and nothing go wrong on the page."""
    context = browser.new_context(**options)
    page = context.new_page()
    problems, asked = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert not problems
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    context.close()


@pytest.fixture
def page(browser, path):
    with opened(browser, path) as page:
        yield page


def names(page) -> list[str]:
    """The names in the rows that are shown, in their order."""
    return page.locator("#table tbody tr:visible th a").all_inner_texts()


def test_errors_come_first_and_names_stay_text(page):
    assert names(page)[0] == "alpha-9.mp4" and HOSTILE in names(page)
    assert page.locator("#table tr", has_text="alpha-9").get_by_text("wrong").is_visible()
    assert page.locator("img[src=x]").count() == 0


def test_rows_and_their_evidence_are_sorted_by_numbers_and_by_names(page):
    name = page.get_by_role("columnheader", name="Name")
    name.get_by_role("button").click()
    assert name.get_attribute("aria-sort") == "ascending"
    assert names(page).index("alpha-9.mp4") < names(page).index("alpha-10.mp4") < names(page).index("beta.mp4")
    probability = page.get_by_role("columnheader", name="Probability")
    probability.get_by_role("button").click()
    assert name.get_attribute("aria-sort") is None
    assert names(page)[0] == "alpha-10.mp4" and names(page)[-1] == "empty.mp4"
    probability.get_by_role("button").click()
    assert probability.get_attribute("aria-sort") == "descending"
    assert names(page)[0] == "long" * 75 and names(page)[-1] == "empty.mp4"
    assert page.locator("article h3").all_inner_texts() == names(page)


def test_rows_are_found_by_name_verdict_and_error_and_their_number_is_told(page):
    shown = page.get_by_role("status")
    assert shown.inner_text() == "8 of 8 shown"
    page.get_by_label("Search").fill("ALPHA mp4")
    assert sorted(names(page)) == ["alpha-10.mp4", "alpha-9.mp4"] and shown.inner_text() == "2 of 8 shown"
    assert page.locator("article:visible").count() == 2
    page.get_by_label("wrong ones only").check()
    assert names(page) == ["alpha-9.mp4"]
    page.get_by_label("real", exact=True).uncheck()
    assert names(page) == [] and shown.inner_text() == "0 of 8 shown"
    page.get_by_role("button", name="Show all").click()
    assert len(names(page)) == 8


def test_a_video_is_opened_and_its_heat_maps_switched_by_keyboard(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#table tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("article details[open] .crops")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    article = page.locator("article").first
    assert (
        article.locator(".heat").first.is_visible()
        and not article.get_by_alt_text("Face of person 0").first.is_visible()
    )
    article.get_by_role("checkbox").focus()
    page.keyboard.press("Space")
    assert (
        not article.locator(".heat").first.is_visible()
        and article.get_by_alt_text("Face of person 0").first.is_visible()
    )
    assert article.get_by_role("img", name="Probability of real over the video: person 0").is_visible()
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")
    assert all(alt for alt in page.locator("img").evaluate_all("images => images.map((image) => image.alt)"))


def test_the_report_has_a_dark_mode_and_respects_reduced_motion(browser, path):
    with opened(browser, path, color_scheme="dark", reduced_motion="reduce") as page:
        background, colour = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert background == "rgb(18, 25, 31)" and colour == "rgb(230, 235, 240)"
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        assert page.evaluate("document.getAnimations().length") == 0


def test_the_report_fits_a_phone(browser, path):
    with opened(browser, path, viewport={"width": 360, "height": 740}, has_touch=True) as page:
        for summary in page.locator("article > details > summary").all():
            summary.tap()
        page.locator(".numbers > summary").first.tap()
        assert page.locator("article > details[open]").count() == 8
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.get_by_role("columnheader", name="real", exact=True).is_visible()  # of what it is the probability


def test_the_report_is_complete_without_javascript(browser, path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert len(names(page)) == 8 and not page.get_by_label("Search").is_visible()
    page.locator("article summary").first.click()
    assert page.locator("article").first.locator(".crops .heat").first.is_visible()
    context.close()


def test_printing_opens_everything_and_hides_controls(page):
    # what browsers do; the same pictures are in it once: a frame or crop, and a heat map
    assert page.pdf(format="A4").count(b"/Subtype /Image") == 2
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("article .sentence:visible").count() == 8
    assert not page.locator(".filters").is_visible() and not page.locator(".switch").first.is_visible()
    first = page.locator("article").first
    assert first.locator(".heat").first.is_visible() and first.get_by_alt_text("Face of person 0").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("article > details[open]").count() == 0


def test_a_report_of_500_videos_opens_and_can_be_searched(browser, tmp_path):
    scans = [scan_of(f"video-{number:03d}.mp4", number % 97 / 96, frames=11) for number in range(500)]
    write_report(scans, CARD, tmp_path / "many.html")
    assert (tmp_path / "many.html").stat().st_size < 60_000_000
    with opened(browser, tmp_path / "many.html") as page:
        page.get_by_label("Search").fill("video-12")
        assert page.get_by_role("status").inner_text() == "10 of 500 shown"
        # what is folded costs next to nothing until it is opened
        assert page.evaluate("document.querySelectorAll('*').length") < 20_000

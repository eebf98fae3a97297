"""The report as a file: content, order, size, and escaping of names."""

import hashlib
import math
import re
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace

import pytest
from scans_for_reports import CARD, jpeg, scan_of

from deepfake.report import page as report
from deepfake.report.page import confusion_of, in_words, render_scan, style_sheet, thinned, write_report
from deepfake.report.result import CropPicture, FaceScore, Pictures, Scan


def text_of(path, *scans, card=CARD, **options):
    write_report(scans, card, path / "report.html", **options)
    return (path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_report_has_every_video_with_its_verdict_and_its_evidence(tmp_path):
    html = text_of(tmp_path, scan_of("a.mp4", 0.97), scan_of("b.mp4", 0.02), scan_of("c.mp4", 0.5))
    for text in (
        "a.mp4",
        "b.mp4",
        "c.mp4",
        "Very likely real",
        "Very likely fake",
        "Uncertain: 50",
        "best_model.keras",
    ):
        assert text in html
    assert html.count("<article") == 3 and html.count('role="img"') == 3
    assert "judged 90\N{NO-BREAK SPACE}% of 40 videos" in html and "not a proof" in html
    assert "never seen a real person" not in html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_heat_maps_are_explained_where_there_are_some(tmp_path):
    scan = scan_of("a.mp4", 0.9)
    plain = tuple(replace(crop, heat=None) for crop in scan.pictures.crops)
    assert "Grad-CAM" in text_of(tmp_path, scan)
    assert "Grad-CAM" not in text_of(tmp_path, replace(scan, pictures=replace(scan.pictures, crops=plain)))


def test_people_who_do_not_count_are_mentioned(tmp_path):
    stray = FaceScore(0, 1, 0, 0.0, (0, 0, 9, 9), "1", 0.96, p_real=0.3)
    scan = scan_of("a.mp4", 0.9, frames=11)
    html = text_of(tmp_path, replace(scan, faces=(*scan.faces, stray)))
    assert '<dd>1 <span class="muted">and 1 in very few frames</span></dd>' in html
    assert "very few frames" not in text_of(tmp_path, scan)


def test_a_model_of_the_sample_only_is_told_of_loudly_and_with_every_video(tmp_path):
    html = text_of(tmp_path, scan_of("a", 0.9), scan_of("b", 0.1), card=replace(CARD, sample_only=True))
    assert "This model has never seen a real person" in html
    assert html.count("Trained on drawn faces only") == 2


def test_names_stay_text_wherever_they_stand(tmp_path):
    names = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</noscript>{{ 7 * 7 }}", "half \ud800.mp4"]
    scans = [scan_of(name, 0.9, reason=name, group=name, method=name, label=1) for name in names]
    html = text_of(tmp_path, *scans, title=names[0], note=names[1], card=replace(CARD, model=names[0]))
    assert html.count("<script>") == html.count("</script>") == 1
    assert "<img src=x" not in html and "49" not in re.sub(r"base64,[^\"]*|#\w+|sha256-\S+", "", html)
    assert html.count("</noscript>") == len(names) and "half ?.mp4" in html


def test_the_report_loads_and_runs_nothing_external(tmp_path):
    html = text_of(tmp_path, scan_of("a", 0.9))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag in ("style", "script"):
        source = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "://" not in html and "@import" not in html and " style=" not in html and "url(" not in html


def test_where_the_truth_is_known_errors_come_first_and_are_counted(tmp_path):
    scans = [
        scan_of("right", 0.1, label=0),
        scan_of("wrong", 0.3, label=1),
        scan_of("very-wrong", 0.99, label=0),
        scan_of("unsure", 0.55, label=0),
        scan_of("unseen", None, label=1),
    ]
    html = text_of(tmp_path, *scans)
    names = re.findall(r'<h3 id="[^"]*"><bdi>([^<]*)', html)
    assert names == ["very-wrong", "wrong", "unsure", "unseen", "right"]
    assert html.count("data-wrong>") == 2 and "wrong ones only" in html
    assert confusion_of(scans) == {
        "FAKE": {"FAKE": 1, "REAL": 1, "UNCERTAIN": 1, "UNKNOWN": 0},
        "REAL": {"FAKE": 1, "REAL": 0, "UNCERTAIN": 0, "UNKNOWN": 1},
    }


def test_without_labels_videos_keep_their_order_and_none_is_wrong(tmp_path):
    html = text_of(tmp_path, scan_of("z", 0.9), scan_of("a", 0.1))
    assert html.index(">z<") < html.index(">a<")
    assert confusion_of([scan_of("z", 0.9)]) is None and "wrong ones only" not in html


@pytest.mark.parametrize(
    ("p_real", "threshold", "words"),
    [
        (0.999, 0.5, "Virtually certainly real: the model gives real a probability of 99.9 %."),
        (1.0, 0.5, "Virtually certainly real: the model gives real a probability of over 99.9 %."),
        (0.05, 0.5, "Very likely fake: the model gives fake a probability of 95 %."),
        (0.3, 0.5, "Likely fake: the model gives fake a probability of 70 %."),
        (0.62, 0.5, "More likely than not real: the model gives real a probability of 62 %."),
        (0.62, 0.7, "Judged fake: 62 % real, with a threshold of 70 %."),
        (None, 0.5, "No verdict: nothing could be judged. This does not mean that it is real."),
    ],
)
def test_a_probability_is_put_into_words(p_real, threshold, words):
    verdict = "UNKNOWN" if p_real is None else "REAL" if p_real > threshold else "FAKE"
    scan = Scan("a", verdict, p_real)
    assert in_words(scan, replace(CARD, threshold=threshold)).replace("\N{NO-BREAK SPACE}", " ") == words


def test_too_many_pictures_are_dropped_evenly_then_from_confident_videos():
    crops = tuple(CropPicture(number, 0, jpeg()) for number in range(11))
    scans = [
        replace(scan_of(name, p_real), pictures=Pictures(None, 0.0, crops))
        for name, p_real in (("sure", 0.99), ("fake", 0.2), ("unsure", 0.5))
    ]
    one = 4 * -(-len(jpeg()) // 3)
    assert thinned(scans, 33 * one) == scans
    eight = thinned(scans, 30 * one)
    assert [len(scan.pictures.crops) for scan in eight] == [8, 8, 8]
    frames = [crop.frame for crop in eight[0].pictures.crops]
    assert frames[0] == 0 and frames[-1] == 10 and frames == sorted(set(frames))
    assert [len(scan.pictures.crops) for scan in thinned(scans, 7 * one)] == [0, 3, 3]


def test_more_videos_than_a_report_holds_are_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MAX_VIDEOS", 2)
    html = text_of(tmp_path, scan_of("real", 0.9), scan_of("fake", 0.1), scan_of("unsure", 0.5), note="A word more.")
    assert "These are 2 of 3 videos" in html and ">real</bdi>" not in html and "A word more." in html
    assert html.index(">fake</bdi>") < html.index(">unsure</bdi>")


@pytest.mark.parametrize(
    "scan",
    [
        scan_of("no face", None, reason="no face in any frame"),
        scan_of("picture.png", 0.7, frames=1, seconds=0.0),
        scan_of("crowd", 0.3, people=[str(number) for number in range(30)]),
        scan_of("undefined", math.nan),
        scan_of("of unknown length", 0.7, seconds=math.nan),
        scan_of("long", 0.7, seconds=3 * 3600.0),
        scan_of("bare", 0.7, pictures=False),
        replace(scan_of("crops only", 0.7), faces=()),
    ],
    ids=lambda scan: scan.name,
)
def test_a_scan_with_missing_parts_can_be_shown(tmp_path, scan):
    card = replace(CARD, bands={}, metrics={"metrics": {"accuracy": {"value": None}, "roc_auc": {}}})
    html = text_of(tmp_path, scan, card=card)
    assert scan.name in html and ">nan" not in html and "None" not in html
    assert "there is no metrics_videos.json of this model" in html


def test_an_empty_report_says_so(tmp_path):
    html = text_of(tmp_path, card=replace(CARD, metrics=None))
    assert "There was nothing to judge" in html and "<article" not in html


def test_a_scan_alone_is_a_piece_for_another_page():
    html = render_scan(scan_of("a<b", 0.2), CARD, id="job-7")
    assert html.startswith("<article") and html.rstrip().endswith("</article>")
    assert "a&lt;b" in html and "<details>" not in html and "noscript" not in html and "<script" not in html
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids)) and all(id.startswith("job-7") for id in ids)
    assert html.__html__() == html and ".scan" in style_sheet()


def test_text_has_contrast_in_the_light_and_in_the_dark():
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    screen = style_sheet().split("@media print")[0].split("(prefers-color-scheme: dark)")
    light, dark = (dict(re.findall(r"--([\w-]+): ?(#\w{6});", part)) for part in screen)
    for colours in (light, dark):
        for text in ("ink", "muted", "fake-text", "real-text"):
            for ground in ("paper", "ground"):
                one, other = sorted((luminance(colours[text]), luminance(colours[ground])))
                assert (other + 0.05) / (one + 0.05) >= 4.5, (text, ground)


@pytest.mark.slow
def test_importing_the_report_loads_neither_tensorflow_nor_matplotlib():
    code = "import sys, deepfake.report.page; print({'tensorflow', 'matplotlib', 'pyspark'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"

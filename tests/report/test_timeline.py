"""The timeline of a report: its dots, its axis, and its people."""

import math
from dataclasses import replace

import pytest
from scans_for_reports import CARD, scan_of

from deepfake.report.timeline import MAX_PEOPLE, MAX_TICKS, clock, percent, timeline_of


def test_dots_are_at_their_times_and_scores_real_at_the_top():
    scan = scan_of("a", 0.9, frames=3, seconds=4.0)
    scan = replace(scan, faces=(*scan.faces[:2], replace(scan.faces[2], p_real=0.25)))
    timeline = timeline_of(scan, CARD)
    assert [(dot.x, dot.y) for dot in timeline.lines[0].dots] == [(0, 10), (25, 10), (50, 75)]
    assert timeline.threshold == 50 and timeline.band == (40, 20) and timeline.axis == "time"
    assert timeline.ticks[0] == (0, "0.0\N{NO-BREAK SPACE}s") and len(timeline.ticks) <= MAX_TICKS + 1
    assert "person 0 from 25\N{NO-BREAK SPACE}% to 90" in timeline.text


def test_where_no_time_is_known_frames_are_counted():
    scan = scan_of("a", 0.9, frames=11)
    scan = replace(scan, faces=tuple(replace(face, time=math.nan) for face in scan.faces), seconds=0.0)
    timeline = timeline_of(scan, CARD)
    assert timeline.axis == "frame number"
    assert [name for _, name in timeline.ticks] == ["0", "2", "4", "6", "8", "10"]


def test_of_many_people_those_with_most_faces_have_colours():
    timeline = timeline_of(scan_of("a", 0.9, people=[str(number) for number in range(30)]), CARD)
    assert [line.person for line in timeline.named] == [str(number) for number in range(MAX_PEOPLE)]
    assert len(timeline.lines) == 30 and "22 more people" in timeline.text


@pytest.mark.parametrize("scan", [scan_of("a", None), scan_of("a", 0.5, frames=1), scan_of("a", math.nan)])
def test_too_few_scores_give_no_timeline(scan):
    assert timeline_of(replace(scan, seconds=0.0), CARD) is None


def test_a_video_of_hours_has_few_ticks_in_hours():
    scan = scan_of("a", 0.9, seconds=3 * 3600.0)
    names = [name for _, name in timeline_of(scan, CARD).ticks]
    assert names == ["0:00", "30:00", "1:00:00", "1:30:00", "2:00:00", "2:30:00", "3:00:00"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (3599.7, "1:00:00"), (7509, "2:05:09")]
)
def test_times_are_as_on_a_clock(seconds, text):
    assert clock(seconds) == text and clock(math.nan) == "unknown"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "under 0.1 %"),
        (0.004, "0.4 %"),
        (0.5, "50 %"),
        (0.994, "99.4 %"),
        (0.9996, "over 99.9 %"),
        (None, "unknown"),
    ],
)
def test_a_probability_is_never_quite_nothing_or_all(share, text):
    assert percent(share).replace("\N{NO-BREAK SPACE}", " ") == text

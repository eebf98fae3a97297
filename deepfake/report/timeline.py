"""Lay out the scores of a video's people over time for a report; positions are in percent of the picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from deepfake.report.result import FaceScore, ModelCard, Scan

MAX_PEOPLE = 8  # with a colour of their own; more cannot be distinguished
MAX_TICKS = 6
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000, 36000)


@dataclass(frozen=True)
class Dot:
    """A face in the timeline: its position and tooltip."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """The faces of one person, sorted by time; `kind` is the number of its colour, None if all colours are taken."""

    person: str
    kind: int | None
    mean: float
    dots: list[Dot]


@dataclass(frozen=True)
class Timeline:
    """A timeline: lines, ticks (position, name), the height of the threshold, and the band as top and height."""

    lines: list[Line]
    ticks: list[tuple[float, str]]
    axis: str
    threshold: float
    band: tuple[float, float] | None
    text: str

    @property
    def named(self) -> list[Line]:
        """The people with a colour of their own."""
        return [line for line in self.lines if line.kind is not None]


def timeline_of(scan: Scan, card: ModelCard) -> Timeline | None:
    """Return the timeline of a scan, real at the top; None if all faces are in one frame, or there are none.

    If times are unknown, frame numbers are used.
    """
    faces = [face for face in scan.faces if math.isfinite(face.p_real)]
    timed = all(math.isfinite(face.time) for face in faces) and len({face.time for face in faces}) > 1
    start, end = _span(faces, scan.seconds if timed else 0.0, timed)
    if start >= end:
        return None
    lines = [_line(faces, person, number, start, end, timed) for number, person in enumerate(scan.people)]
    lines = [line for line in lines if line.dots]
    return Timeline(
        lines=lines,
        ticks=_ticks(start, end, timed),
        axis="time" if timed else "frame number",
        threshold=_height(card.threshold),
        band=scan.band and (_height(scan.band[1]), _height(scan.band[0]) - _height(scan.band[1])),
        text=_text(lines, card),
    )


def clock(seconds: float, exactly: bool = False) -> str:
    """Format a time as 0:07, 12:30 or 2:05:09; with `exactly`, as 7.2 s in the first minute."""
    if not math.isfinite(seconds):
        return "unknown"
    if exactly and abs(seconds) < 60:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def percent(share: float | None) -> str:
    """Format a probability as per cent, never as 0 or 100."""
    if share is None or not math.isfinite(share):
        return "unknown"
    if 0.01 <= share <= 0.99:
        return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
    if 0.001 <= share <= 0.999:
        return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
    return "under 0.1\N{NO-BREAK SPACE}%" if share < 0.5 else "over 99.9\N{NO-BREAK SPACE}%"


def place_of(face: FaceScore, timed: bool = True) -> str:
    """Return in words where in the video a face is."""
    return f"at {clock(face.time, exactly=True)}" if timed and math.isfinite(face.time) else f"in frame {face.frame}"


def _span(faces: Sequence[FaceScore], seconds: float, timed: bool) -> tuple[float, float]:
    places = [_place(face, timed) for face in faces]
    if timed:
        return 0.0, max(*places, seconds if math.isfinite(seconds) else 0.0)
    return min(places, default=0.0), max(places, default=0.0)


def _place(face: FaceScore, timed: bool) -> float:
    return face.time if timed else float(face.frame)


def _line(faces: Sequence[FaceScore], person: str, number: int, start: float, end: float, timed: bool) -> Line:
    own = sorted((face for face in faces if face.person == person), key=lambda face: (face.frame, face.face))
    dots = [
        Dot(
            round(100 * (_place(face, timed) - start) / (end - start), 2),
            _height(face.p_real),
            f"person {person} {place_of(face, timed)}: {percent(face.p_real)} real",
        )
        for face in own
    ]
    mean = sum(face.p_real for face in own) / max(1, len(own))
    return Line(person, number if number < MAX_PEOPLE else None, mean, dots)


def _height(p_real: float) -> float:
    return round(100 * (1 - p_real), 2)


def _ticks(start: float, end: float, timed: bool) -> list[tuple[float, str]]:
    steps = [step for step in STEPS if timed or step >= 1]
    step = next((step for step in steps if (end - start) / step <= MAX_TICKS), (end - start) / MAX_TICKS)
    values = [number * step for number in range(math.ceil(start / step), math.floor(end / step + 1e-6) + 1)]
    names = [clock(value, exactly=end < 60) if timed else f"{value:.0f}" for value in values]
    return [(round(100 * (value - start) / (end - start), 2), name) for value, name in zip(values, names, strict=True)]


def _text(lines: Sequence[Line], card: ModelCard) -> str:
    parts = [
        f"person {line.person} from {percent(1 - max(dot.y for dot in line.dots) / 100)} to "
        f"{percent(1 - min(dot.y for dot in line.dots) / 100)}, {percent(line.mean)} on average"
        for line in lines[:MAX_PEOPLE]
    ]
    others = f", and {len(lines) - MAX_PEOPLE} more people" if len(lines) > MAX_PEOPLE else ""
    return f"Probability of real over the video: {'; '.join(parts)}{others}. Threshold {percent(card.threshold)}."

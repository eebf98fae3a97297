"""Write the report: verdicts and evidence in one HTML file that works without other files or a network."""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from deepfake.core.decision import is_real
from deepfake.core.files import whole_file
from deepfake.core.labels import LABEL_NAMES
from deepfake.report.result import ModelCard, Pictures, Scan, people_in
from deepfake.report.timeline import Timeline, clock, percent, place_of, timeline_of

MAX_VIDEOS = 2000  # in one report; browsers are slow with more
MAX_PICTURE_BYTES = 40_000_000  # of all pictures of a report, as base64
CROPS_LEFT = (8, 5, 3)  # per video, tried in turn if the report is too large
MAX_ROWS = 60  # in the table of a video's faces

# words for probabilities from Mastrandrea et al. 2010 (Guidance Note for Lead Authors of the IPCC Fifth Assessment
# Report on Consistent Treatment of Uncertainties)
LIKELIHOODS = ((0.99, "virtually certainly"), (0.9, "very likely"), (0.66, "likely"), (0.5, "more likely than not"))

ORDER = ("FAKE", "REAL", "UNCERTAIN", "UNKNOWN")  # of verdicts, on the page

FIGURES = {
    "accuracy": "accuracy",
    "fake_recall": "fakes found",
    "fake_specificity": "reals passed",
    "fake_precision": "fake verdicts that are right",
    "roc_auc": "ROC AUC",
    "equal_error_rate": "equal error rate",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}
SHARES = ("accuracy", "fake_recall", "fake_specificity", "fake_precision", "equal_error_rate")


@dataclass(frozen=True)
class View:
    """A scan as a page shows it, with an `id` that is unique on the page, its texts and its timeline."""

    id: str
    scan: Scan
    sentence: str
    timeline: Timeline | None
    wrong: bool | None

    @property
    def outcome(self) -> str:
        """The verdict as a CSS class."""
        return self.scan.verdict.lower()

    @property
    def truth(self) -> str | None:
        """REAL or FAKE; None if unknown."""
        return None if self.scan.label is None else LABEL_NAMES[self.scan.label].upper()


def write_report(
    scans: Sequence[Scan],
    card: ModelCard,
    path: Path,
    title: str = "Which of these videos are fake?",
    note: str | None = None,
) -> None:
    """Write the report of some scans, in their order, as one HTML file below 60 MB, whole or not at all.

    If labels are known, wrong verdicts come first. At most MAX_VIDEOS are shown. If there are too many pictures, those
    of the most confident verdicts are left out first. The report states what is left out, and shows `note`.
    """
    chosen = chosen_of(scans)
    shown = thinned(chosen)
    style, script = style_sheet(), _source("report.js")
    html = (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            views=[view_of(scan, card, f"v{number}") for number, scan in enumerate(shown, 1)],
            card=card,
            notes=[*([note] if note else []), *_left_out(scans, chosen, shown)],
            counts=Counter(scan.verdict for scan in shown),
            confusion=confusion_of(shown),
            heat=any(crop.heat for scan in shown for crop in scan.pictures.crops),
            style=Markup(style),
            script=Markup(script),
            policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
            "base-uri 'none'; form-action 'none'",
        )
    )
    with whole_file(path) as temporary:
        # file names can hold lone surrogates, which UTF-8 cannot encode
        temporary.write_text(html, encoding="utf-8", errors="replace")


def render_scan(scan: Scan, card: ModelCard, id: str = "scan") -> str:
    """Return a scan's part of a report as escaped HTML, for a page with `style_sheet`.

    `id` must be unique on the page; the ids of the part start with it.
    """
    page = _environment().get_template("scan.html")
    return Markup(page.render(view=view_of(scan, card, id), card=card, folded=False))


def render_page(template: str, **values: object) -> str:
    """Render a template, which may include model.html, as a page that uses `style_sheet`."""
    return _environment().get_template(template).render(values)


def style_sheet() -> str:
    """Return the CSS of the report and of `render_scan`."""
    return _source("report.css")


def view_of(scan: Scan, card: ModelCard, id: str) -> View:
    """Return what a page needs to show a scan."""
    return View(id, scan, in_words(scan, card), timeline_of(scan, card), _is_wrong(scan))


def in_words(scan: Scan, card: ModelCard) -> str:
    """Return the verdict as a sentence with its probability."""
    if scan.p_real is None or not math.isfinite(scan.p_real):
        return "No verdict: nothing could be judged. This does not mean that it is real."
    if scan.verdict == "UNCERTAIN":
        band = f" between {percent(scan.band[0])} and {percent(scan.band[1])}" if scan.band else ""
        return f"Uncertain: {percent(scan.p_real)} real. Scores{band} are too often wrong for a verdict."
    kind = scan.verdict.lower()
    probability = scan.p_real if kind == "real" else 1 - scan.p_real
    word = next((word for least, word in LIKELIHOODS if probability >= least), None)
    if word is None:
        return f"Judged {kind}: {percent(scan.p_real)} real, with a threshold of {percent(card.threshold)}."
    return f"{word.capitalize()} {kind}: the model gives {kind} a probability of {percent(probability)}."


def confusion_of(scans: Sequence[Scan]) -> dict[str, dict[str, int]] | None:
    """Count the scans of each label by verdict, leaving out unused verdicts; None without labels."""
    counts = Counter((scan.label, scan.verdict) for scan in scans if scan.label is not None)
    columns = [name for name in ORDER if name in ("REAL", "FAKE") or any(verdict == name for _, verdict in counts)]
    rows = {
        name.upper(): {column: counts[label, column] for column in columns} for label, name in enumerate(LABEL_NAMES)
    }
    return rows if counts else None


def chosen_of(scans: Sequence[Scan]) -> list[Scan]:
    """Return at most MAX_VIDEOS scans for a report: in their order, or errors first if there are labels."""
    if any(scan.label is not None for scan in scans):
        return sorted(scans, key=_rank)[:MAX_VIDEOS]
    numbers = sorted(range(len(scans)), key=lambda number: _rank(scans[number]))[:MAX_VIDEOS]
    return [scans[number] for number in sorted(numbers)]


def thinned(scans: Sequence[Scan], budget: int = MAX_PICTURE_BYTES) -> list[Scan]:
    """Return the scans in the same order, with as many pictures as fit into a budget of bytes (as base64).

    First all scans get fewer crops; if that is not enough, the most confident ones lose all pictures.
    """
    fewer = list(scans)
    for most in CROPS_LEFT:
        if sum(map(_picture_bytes, fewer)) <= budget:
            return fewer
        fewer = [_with_crops(scan, most) for scan in scans]
    kept, total = set(), 0
    for number in sorted(range(len(fewer)), key=lambda number: _rank(fewer[number])):
        total += _picture_bytes(fewer[number])
        if total <= budget:
            kept.add(number)
    return [scan if number in kept else replace(scan, pictures=Pictures()) for number, scan in enumerate(fewer)]


def _with_crops(scan: Scan, most: int) -> Scan:
    crops = scan.pictures.crops
    if len(crops) <= most:
        return scan
    places = [round(number * (len(crops) - 1) / (most - 1)) for number in range(most)]
    return replace(scan, pictures=replace(scan.pictures, crops=tuple(crops[place] for place in places)))


def _picture_bytes(scan: Scan) -> int:
    pictures = [scan.pictures.frame, *(data for crop in scan.pictures.crops for data in (crop.crop, crop.heat))]
    return sum(4 * -(-len(data) // 3) for data in pictures if data)


def _left_out(scans: Sequence[Scan], chosen: Sequence[Scan], shown: Sequence[Scan]) -> list[str]:
    notes = []
    if len(chosen) < len(scans):
        notes.append(f"These are {len(chosen):,} of {len(scans):,} videos: errors, uncertain ones and fakes first.")
    if fewer := sum(_picture_bytes(few) < _picture_bytes(all) for few, all in zip(shown, chosen, strict=True)):
        notes.append(f"To keep this file small, {fewer:,} videos are shown with fewer pictures, or with none.")
    return notes


def _rank(scan: Scan) -> tuple:
    """Return a sort key: errors first, worst first, then uncertain verdicts, then fakes."""
    p_real = scan.p_real if scan.p_real is not None and math.isfinite(scan.p_real) else 0.5
    if scan.label is None:
        kind, doubt = ("UNCERTAIN", "FAKE", "UNKNOWN", "REAL").index(scan.verdict), -abs(p_real - 0.5)
    else:
        kind, doubt = (0 if _is_wrong(scan) else 1 if scan.verdict == "UNCERTAIN" else 2), abs(p_real - scan.label)
    return kind, -doubt, scan.name


def _is_wrong(scan: Scan) -> bool | None:
    """Whether a verdict is wrong; None if the label is unknown or the verdict is neither REAL nor FAKE."""
    if scan.label is None or scan.verdict not in ("REAL", "FAKE"):
        return None
    return scan.verdict.lower() != LABEL_NAMES[scan.label]


def figures_of(card: ModelCard) -> list[tuple[str, str, str]]:
    """Return the figures of a model on its own test set: names, values and intervals, as text."""
    known = (card.metrics or {}).get("metrics") or {}
    rows = []
    for key, name in FIGURES.items():
        figure = known.get(key) or {}
        value, low, high = (_number(figure.get(part), key in SHARES) for part in ("value", "low", "high"))
        if value:
            # an interval without width, from a few videos judged alike, means nothing
            rows.append((name, value, f"{low} to {high}" if low and high and low != high else ""))
    return rows


def _number(value: float | None, is_share: bool) -> str:
    """Return a figure as text, "" if it is undefined."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{100 * value:.3g}\N{NO-BREAK SPACE}%" if is_share else f"{value:.3g}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("deepfake.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "clock": clock,
        "jpeg": _data_uri,
        "pairs": pairwise,
        "people": people_in,
    }
    environment.globals |= {
        "figures_of": figures_of,
        "is_real": is_real,
        "isfinite": _is_known,
        "most_rows": MAX_ROWS,
        "order": ORDER,
        "place_of": place_of,
        "scores_of": lambda scan: {(face.frame, face.face): face for face in scan.faces},
    }
    return environment


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _data_uri(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


@cache
def _source(name: str) -> str:
    return (files("deepfake.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    """Return the hash by which a Content-Security-Policy allows an inline style sheet or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"

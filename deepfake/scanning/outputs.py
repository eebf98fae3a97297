"""Write the results of a scan: a line per file, verdicts.csv, verdicts.json, and submission.csv for Kaggle."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath

from deepfake.core.files import digest_of, write_csv, write_json
from deepfake.report.result import VERDICTS, ModelCard, Scan, people_in

# Kaggle scores by log loss, where one confident mistake outweighs everything else
CLIP = 0.01
NO_OPINION = 0.5

# this many different files with the same score point to an error
SUSPICIOUS = 5
SAME = 1e-3

# the columns of verdicts.csv
COLUMNS: dict[str, Callable[[Scan, ModelCard], object]] = {
    "name": lambda scan, card: scan.name,
    "verdict": lambda scan, card: scan.verdict,
    "p_real": lambda scan, card: "" if scan.p_real is None else f"{scan.p_real:.10f}",
    "people": lambda scan, card: people_in(scan),
    "frames": lambda scan, card: scan.frames,
    "faces": lambda scan, card: len(scan.faces),
    "seconds": lambda scan, card: f"{scan.seconds:.3f}",
    "reason": lambda scan, card: scan.reason or "",
    "sample_only": lambda scan, card: "yes" if card.sample_only else "no",
    "note": lambda scan, card: card.note,
}


def line_of(scan: Scan, card: ModelCard) -> str:
    """Return the line to print for a file; a line break in its name is escaped."""
    what = scan.reason if scan.p_real is None else f"{percent(1 - scan.p_real)} fake"
    parts = [f"{scan.verdict:9}  {what}"]
    if scan.p_real is not None:
        parts[0] = f"{scan.verdict:9}  {what:>12}"
        parts += [counted(people_in(scan), "person", "people"), counted(scan.frames, "frame", "frames")]
        parts += [scan.reason] if scan.reason else []
    parts += [f"[{card.note}]"] if card.note else []  # in each line, since single lines are passed on
    return "  ".join([*parts, one_line(scan.name)])


def percent(share: float) -> str:
    """Return a share as per cent, never 0 % or 100 %."""
    if share < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def counted(count: int, one: str, more: str) -> str:
    """Return a number with its noun, singular or plural."""
    return f"{count} {one if count == 1 else more}"


def one_line(name: str) -> str:
    """Return a name with line breaks and other control characters escaped."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in name)


def doubt_of(judged: Sequence[tuple[Path, float]]) -> str | None:
    """Return a warning if at least SUSPICIOUS files all have the same score, else None.

    `judged` are the files and their p_real. Copies of a file count once.
    """
    scores = [p_real for _, p_real in judged]
    if len(scores) < SUSPICIOUS or max(scores) - min(scores) > SAME:
        return None
    known: set[str] = set()
    for path, _ in judged:
        known |= {digest_of(path)} if path.is_file() else set()
        if len(known) == SUSPICIOUS:
            return (
                f"The scores of all {len(scores)} files agree to {SAME:g}: the model or its input is probably wrong "
                "(see --pixel-max)."
            )
    return None


def write_scans(scans: Sequence[Scan], card: ModelCard, out_dir: Path, doubt: str | None = None) -> None:
    """Write verdicts.csv and verdicts.json of all scans, and submission.csv; `doubt` goes into the JSON."""
    rows = [[value_of(scan, card) for value_of in COLUMNS.values()] for scan in scans]
    write_csv(out_dir / "verdicts.csv", list(COLUMNS), rows)
    about = {key: value for key, value in asdict(card).items() if key != "metrics"}
    files = [_content(scan, card) for scan in scans]
    write_json(out_dir / "verdicts.json", {"model": about, "doubt": doubt, "files": files})
    names = [PurePath(scan.name).name for scan in scans]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    rows = [(scan.name if name in repeated else name, _label(scan)) for name, scan in zip(names, scans, strict=True)]
    write_csv(out_dir / "submission.csv", ("filename", "label"), rows)


def _content(scan: Scan, card: ModelCard) -> dict:
    facts = {
        key: getattr(scan, key)
        for key in ("name", "verdict", "p_real", "band", "reason", "frames", "seconds", "turned")
    }
    faces, not_judged = ([asdict(face) for face in some] for some in (scan.faces, scan.not_judged))
    about = {"people": people_in(scan), "sample_only": card.sample_only, "note": card.note}
    return {**facts, **about, "faces": faces, "not_judged": not_judged}


def _label(scan: Scan) -> str:
    """Return the probability of fake, as Kaggle wants it."""
    p_fake = NO_OPINION if scan.p_real is None else min(1 - CLIP, max(CLIP, 1 - scan.p_real))
    return f"{p_fake:.6f}"


def summary(scans: Sequence[Scan], out_dir: Path) -> str:
    """Return the count of each verdict, and the folder of the results, in one line."""
    counts = Counter(scan.verdict for scan in scans)
    found = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{counted(len(scans), 'file', 'files')}: {found}; in {out_dir}"

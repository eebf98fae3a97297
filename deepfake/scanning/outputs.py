"""What a scan writes: a line for each file, verdicts.csv, verdicts.json, and submission.csv for Kaggle."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath

from deepfake.core.files import digest_of, write_csv, write_json
from deepfake.report.result import VERDICTS, Judge, Scan, people_in

# Kaggle's score is a log loss: a sure mistake would cost more than all else
CLIP = 0.01
NO_OPINION = 0.5

# this many different files never have the same score
SUSPICIOUS = 5
SAME = 1e-3

# of verdicts.csv: what each column says of a scan
COLUMNS: dict[str, Callable[[Scan, Judge], object]] = {
    "name": lambda scan, judge: scan.name,
    "verdict": lambda scan, judge: scan.verdict,
    "p_real": lambda scan, judge: "" if scan.p_real is None else f"{scan.p_real:.10f}",
    "people": lambda scan, judge: people_in(scan),
    "frames": lambda scan, judge: scan.frames,
    "faces": lambda scan, judge: len(scan.faces),
    "seconds": lambda scan, judge: f"{scan.seconds:.3f}",
    "reason": lambda scan, judge: scan.reason or "",
    "sample_only": lambda scan, judge: "yes" if judge.sample_only else "no",
    "note": lambda scan, judge: judge.note,
}


def line_of(scan: Scan, judge: Judge) -> str:
    """What is printed of a file, on one line whatever its name holds."""
    what = scan.reason if scan.p_real is None else f"{percent(1 - scan.p_real)} fake"
    parts = [f"{scan.verdict:9}  {what}"]
    if scan.p_real is not None:
        parts[0] = f"{scan.verdict:9}  {what:>12}"
        parts += [counted(people_in(scan), "person", "people"), counted(scan.frames, "frame", "frames")]
        parts += [scan.reason] if scan.reason else []
    parts += [f"[{judge.note}]"] if judge.note else []  # in each line, since verdicts are passed on one by one
    return "  ".join([*parts, one_line(scan.name)])


def percent(share: float) -> str:
    """A share as per cent, never as certain as none or all."""
    if share < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def counted(count: int, one: str, more: str) -> str:
    """A number with what it counts."""
    return f"{count} {one if count == 1 else more}"


def one_line(name: str) -> str:
    """A name with its line breaks and other control characters written as escapes."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in name)


def doubt_of(judged: Sequence[tuple[Path, float]]) -> str | None:
    """What is to be said where the scores of at least SUSPICIOUS files are all the same; None where they are not.

    `judged` are the files and their p_real. Copies of a file count once: what they share is no sign of anything.
    """
    scores = [p_real for _, p_real in judged]
    if len(scores) < SUSPICIOUS or max(scores) - min(scores) > SAME:
        return None
    known: set[str] = set()
    for path, _ in judged:
        known |= {digest_of(path)} if path.is_file() else set()
        if len(known) == SUSPICIOUS:
            return (
                f"The scores of all {len(scores)} files agree to {SAME:g}: probably the model is wrong, or what it is "
                "given (see --pixel-max)."
            )
    return None


def write_scans(scans: Sequence[Scan], judge: Judge, out_dir: Path, doubt: str | None = None) -> None:
    """Write verdicts.csv and verdicts.json of all scans, and submission.csv; `doubt` is told in the JSON."""
    rows = [[value_of(scan, judge) for value_of in COLUMNS.values()] for scan in scans]
    write_csv(out_dir / "verdicts.csv", list(COLUMNS), rows)
    about = {key: value for key, value in asdict(judge).items() if key != "metrics"}
    files = [_content(scan, judge) for scan in scans]
    write_json(out_dir / "verdicts.json", {"model": about, "doubt": doubt, "files": files})
    names = [PurePath(scan.name).name for scan in scans]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    rows = [(scan.name if name in repeated else name, _label(scan)) for name, scan in zip(names, scans, strict=True)]
    write_csv(out_dir / "submission.csv", ("filename", "label"), rows)


def _content(scan: Scan, judge: Judge) -> dict:
    facts = {
        key: getattr(scan, key)
        for key in ("name", "verdict", "p_real", "band", "reason", "frames", "seconds", "turned")
    }
    faces, not_judged = ([asdict(face) for face in some] for some in (scan.faces, scan.not_judged))
    about = {"people": people_in(scan), "sample_only": judge.sample_only, "note": judge.note}
    return {**facts, **about, "faces": faces, "not_judged": not_judged}


def _label(scan: Scan) -> str:
    """Kaggle's number: the probability of fake."""
    p_fake = NO_OPINION if scan.p_real is None else min(1 - CLIP, max(CLIP, 1 - scan.p_real))
    return f"{p_fake:.6f}"


def summary(scans: Sequence[Scan], out_dir: Path) -> str:
    """How many verdicts there were of each kind, and where they are."""
    counts = Counter(scan.verdict for scan in scans)
    found = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{counted(len(scans), 'file', 'files')}: {found}; in {out_dir}"

"""Step 05: scan files. Worker processes find the faces, and this process judges them."""

import dataclasses
import importlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deepfake.core.cli import VideoBar
from deepfake.core.crop_rule import DEFAULT, CropRule
from deepfake.core.decision import band_for, is_certain, is_real
from deepfake.core.errors import VideoError
from deepfake.core.messages import log
from deepfake.jobs.processes import at_work
from deepfake.models.info import NOTHING, SAMPLE_ONLY, Given, said_of_threshold
from deepfake.report.pictures import take_pictures
from deepfake.report.result import Evidence, FaceScore, ModelCard, Pictures, Scan, remarks_on
from deepfake.scanning.classifier import Classifier, check_classifier, classify, judging_by, open_classifier
from deepfake.scanning.inputs import Source, list_sources
from deepfake.scanning.outputs import doubt_of, line_of, percent, summary, write_scans
from deepfake.scanning.rule import rule_for
from deepfake.verdicts.combining import combine, means_by_person, said_of_aggregate

# with more files, the pictures would fill the memory and the report would be too large for a browser
MAX_IN_REPORT = 1000
# a person is mentioned if their p_real differs this much from the video's
APART = 0.2
TOO_MANY = f"No pictures are shown for more than {MAX_IN_REPORT} files."


@dataclass(frozen=True)
class Options:
    """How to scan: by the model's crop rule, in `workers` processes with `timeout` seconds a file.

    Long videos get more time. With 0 workers, the scan runs in this process without a limit. `pictures` are taken for a
    report.
    """

    rule: CropRule = DEFAULT
    workers: int = 1
    timeout: float = 120
    pictures: bool = True


def scan_files(sources: Sequence[Source], load: Callable[[], Classifier], options: Options) -> Iterator[Scan]:
    """Scan files and yield each scan when it is done, in any order; no file stops the others.

    `load` returns the classifier. It is called when the workers have started, so that they decode meanwhile.

    Raises:
        UserError: the model cannot be loaded, or its output is not a probability.
    """
    workers = min(options.workers, len(sources))
    threads = options.workers // max(1, workers) or 1  # in each worker: the cores that no file needs
    job = partial(_gather, rule=options.rule, with_pictures=options.pictures, threads=threads)
    if options.workers == 0:
        classifier = load()
        yield from (judge_evidence(source, job(source), classifier, options) for source in sources)
        return
    with at_work(job, sources, workers, options.timeout, _length) as results:
        classifier = load()
        yield from (judge_evidence(source, found, classifier, options) for source, found in results)


def scan_file(path: Path, name: str, classifier: Classifier, options: Options) -> Scan:
    """Scan one file, and call it `name`; in a worker process unless `workers` is 0."""
    (scan,) = scan_files([Source(path, name)], lambda: classifier, options)
    return scan


def _gather(source: Source, rule: CropRule, with_pictures: bool, threads: int) -> Evidence | VideoError:
    from deepfake.scanning.evidence import gather  # not above, since only the workers need it

    return gather(source.path, rule, with_pictures, threads=threads)


def _length(source: Source) -> float:
    from deepfake.frames.streams import length_by_header

    return length_by_header(source.path)


def judge_evidence(
    source: Source, found: Evidence | VideoError, classifier: Classifier, options: Options = Options()
) -> Scan:
    """Judge the evidence in a file; the verdict is UNKNOWN, with a reason, if there is none."""
    if isinstance(found, VideoError):
        return Scan(source.name, "UNKNOWN", None, str(found))
    p_real, of_faces = classify(classifier, found.faces, found.crops)
    faces = tuple(
        FaceScore(**vars(seen), p_real=judged.p_real)
        for seen, judged in zip(found.faces, of_faces, strict=True)
        if judged.p_real is not None
    )
    pictures = Pictures()
    if options.pictures:
        signs = {(seen.frame, seen.face): judged.signs for seen, judged in zip(found.faces, of_faces, strict=True)}
        pictures = take_pictures(found, faces, classifier.card, signs)
    # a sequence model has one prediction per person, shared by all their faces
    judged = list({face.person: face for face in faces}.values()) if classifier.frames else faces
    values, people = [face.p_real for face in judged], [face.person for face in judged]
    frames = [0 if classifier.frames else face.frame for face in judged]
    card, count = classifier.card, len(judged)
    if judged and card.aggregate != "mean":
        p_real = combine(values, frames, people, card.aggregate)
    verdict = verdict_of(p_real, count, card)
    apart = people_apart(verdict, p_real, means_by_person(values, frames, people), card)
    return Scan(
        name=source.name,
        verdict=verdict,
        p_real=p_real,
        band=None if p_real is None else band_for(card.bands, count),
        reason=remarks_on(found.frames, found.faces, found.not_judged, found.turned, found.problem, apart),
        frames=found.frames,
        seconds=found.seconds,
        faces=faces,
        not_judged=found.not_judged,
        turned=found.turned,
        pictures=pictures,
    )


def verdict_of(p_real: float | None, frames: int, card: ModelCard) -> str:
    """Return REAL above the model's threshold, else FAKE; UNCERTAIN within its band for this number of frames.

    Without a p_real it is UNKNOWN.
    """
    if p_real is None:
        return "UNKNOWN"
    if not is_certain(p_real, frames, card.bands):
        return "UNCERTAIN"
    return "REAL" if is_real(p_real, card.threshold) else "FAKE"


def people_apart(verdict: str, p_real: float | None, means: dict[str, tuple[float, int]], card: ModelCard) -> list[str]:
    """Return a remark on each person whose verdict differs from the video's, since a mean can hide one fake face.

    `means` holds the mean and the number of predictions of each person who counts. People closer than APART to the
    video's `p_real` are left out.
    """
    verdicts = {person: verdict_of(mean, count, card) for person, (mean, count) in means.items()}
    return [
        f"person {person} alone: {percent(1 - means[person][0])} fake"
        for person, own in verdicts.items()
        if p_real is not None and own in ("REAL", "FAKE") and own != verdict and abs(means[person][0] - p_real) >= APART
    ]


def said_of_verdicts(model: Path, given: Given, aggregate: str) -> list[str]:
    """Return log lines on threshold and bands, if they are not the model's own."""
    if aggregate != "mean" and given.threshold is None:
        return [said_of_aggregate(aggregate, model.with_suffix(".json"))]
    return list(said_of_threshold(model, given))


def scan_all(
    arguments: Sequence[str],
    model: Path,
    out_dir: Path,
    options: Options,
    runtime: str = "auto",
    *,
    quiet: bool = False,
    strict: bool = False,
    given: Given = NOTHING,
    aggregate: str = "mean",
) -> int:
    """Run step 05: scan the files that the arguments name, print a line for each, and return the exit code.

    `given` holds the user's values, which replace those of the .json. Crops are cut by the model's rule, not by
    `options.rule`.

    Raises:
        UserError: there are no files to scan, or the model cannot be used.
    """
    sources = list_sources(arguments, sys.stdin.buffer if sys.stdin else None)
    check_classifier(model, runtime)
    for said in said_of_verdicts(model, given, aggregate):
        log.info(f"05: {said}")
    rule = rule_for(model, "05", given)
    out_dir.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=out_dir).close()  # find a read-only folder before hours of work
    pictures = options.pictures and len(sources) <= MAX_IN_REPORT
    options = dataclasses.replace(options, rule=rule, pictures=pictures)
    opened: list[Classifier] = []

    def load() -> Classifier:
        importlib.import_module("deepfake.report.page")  # now, while the workers look for faces
        opened.append(judging_by(open_classifier(model, runtime, given), rule, aggregate, given.threshold))
        return opened[0]

    scans: dict[str, Scan] = {}
    try:
        with VideoBar("05", "faces", len(sources), quiet) as bar:
            for scan in scan_files(sources, load, options):
                scans[scan.name] = scan
                with bar.external_write_mode(sys.stdout):
                    print(line_of(scan, opened[0].card), flush=True)  # at once, through a pipe too
                bar.advance(len(scan.faces), failed=scan.p_real is None, done_before=False)
    except KeyboardInterrupt:
        if opened and scans:
            _finish(sources, scans, opened[0].card, out_dir)
            raise KeyboardInterrupt(f"{len(scans)} of {len(sources)} files are in {out_dir}") from None
        raise
    unknown = _finish(sources, scans, opened[0].card, out_dir)
    return 1 if strict and unknown else 0


def _finish(sources: Sequence[Source], scans: dict[str, Scan], card: ModelCard, out_dir: Path) -> int:
    """Write and log the results in the order of the sources; returns the number of UNKNOWN files."""
    from deepfake.report.page import write_report  # not above, since workers start sooner without it

    ordered = [scans[source.name] for source in sources if source.name in scans]
    paths = {source.name: source.path for source in sources}
    doubt = doubt_of([(paths[scan.name], scan.p_real) for scan in ordered if scan.p_real is not None])
    write_scans(ordered, card, out_dir, doubt)
    report = out_dir / "report.html"
    notes = [doubt, TOO_MANY if len(ordered) > MAX_IN_REPORT else None]
    write_report(ordered, card, report, note=" ".join(filter(None, notes)) or None)
    log.info(f"05: {summary(ordered, out_dir)}")
    log.info(f"05: the report is {report}; it opens in any browser")
    if doubt:
        log.info(f"05: {doubt}")
    if card.note:
        log.info(f"05: {SAMPLE_ONLY if card.sample_only else f'note: by {card.note}'}")
    return sum(scan.verdict == "UNKNOWN" for scan in ordered)

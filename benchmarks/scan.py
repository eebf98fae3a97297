#!/usr/bin/env python3
"""Time step 05 with a loaded model, against decoding alone and the plain way, in turns on the same clips.

  s  step 05 by TensorFlow                     o  step 05 by ONNX Runtime (after --export)
  d  only the decoding of the needed frames    p  every frame read, an MTCNN for each, the model crop by crop

Prints wall and CPU seconds per clip (CPU seconds depend less on other work on the machine), as medians of several
rounds. The time for two clips of one frame is subtracted, so starting processes does not count. Then prints the
seconds of the whole script on one small image with each runtime, i.e. its start-up. Without --clips, four 1080p clips
are drawn.

--cold instead times the whole script, from the command to the report, on one clip and on one image, by TensorFlow and
by ONNX Runtime in turns, and prints what takes the time with ONNX Runtime: the seconds of each stage in one process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import clone  # noqa: F401
import cv2
import numpy as np
from plain_way import convert, crop
from preprocess import FULL_HD, ROOT, VIDEO_SUFFIXES, draw_clips, longer_side

from deepfake.core.cli import cores
from deepfake.core.crop_rule import FRAMES_PER_VIDEO
from deepfake.frames.read import read_video
from deepfake.jobs.processes import at_work
from deepfake.models.options import add_model_option
from deepfake.models.starter import choose_model
from deepfake.sample.dataset import draw_dataset
from deepfake.scanning.classifier import Classifier, open_classifier
from deepfake.scanning.inputs import Source
from deepfake.scanning.scan import Options, scan_files

NAMES = {"s": "step 05", "o": "step 05, ONNX Runtime", "d": "only decoding", "p": "the plain way"}

Way = Callable[[list[Path]], None]


def scan(classifier: Classifier, clips: list[Path]) -> None:
    """Run step 05 with a loaded model."""
    sources = [Source(clip, clip.name) for clip in clips]
    verdicts = [item.verdict for item in scan_files(sources, lambda: classifier, Options(workers=cores()))]
    if "UNKNOWN" in verdicts:
        sys.exit(f"{sources[0].path.parent}: a clip has no verdict; give clips with faces")


def decode_one(clip: Path) -> int:
    """Decode the needed frames of a clip and discard them."""
    return len(read_video(clip, FRAMES_PER_VIDEO)[0])


def decode(clips: list[Path]) -> None:
    """Only decode, in as many processes as cores."""
    with at_work(decode_one, clips, min(cores(), len(clips)), timeout=120) as results:
        for clip, count in results:
            assert count, clip


def plain(model, clips: list[Path]) -> None:
    """Read all frames, find their faces and predict each crop, one after the other."""
    side = model.input_shape[-2]
    with tempfile.TemporaryDirectory() as name:
        for number, clip in enumerate(clips):
            folder = Path(name, str(number))
            convert(clip, folder, FRAMES_PER_VIDEO)
            crop(folder)
            for path in sorted((folder / "faces").glob("*.png")):
                image = cv2.resize(cv2.imread(str(path))[:, :, ::-1], (side, side))
                model.predict(image[None].astype(np.float32), verbose=0)


def seconds(work: Callable[[], object]) -> np.ndarray:
    """Measure some work: wall seconds, and CPU seconds of this process and its children."""
    began = _now()
    work()
    return _now() - began


def _now() -> np.ndarray:
    return np.array([time.monotonic(), sum(os.times()[:4])])


def start_up(file: Path, model: Path, runtime: str, out_dir: Path) -> None:
    """Run the script on one file, as a user does."""
    files = [file, "--model", model, "--runtime", runtime, "--out-dir", out_dir, "--quiet"]
    command = [sys.executable, ROOT / "05-scan_videos.py", *files]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)})


def measure(ways: dict[str, Way], groups: dict[str, list[Path]], small: list[Path], repeat: int) -> None:
    """Print the seconds per clip of each way after start-up, and their ratios."""
    times: dict[tuple[str, str], list[np.ndarray]] = {}
    for _ in range(repeat):
        for name, way in ways.items():
            before = seconds(partial(way, small))
            for group, clips in groups.items():
                taken = seconds(partial(way, clips)) - before
                times.setdefault((group, name), []).append(taken / len(clips))
    for group, clips in groups.items():
        print(f"{len(clips)} {group}:")
        median = {name: np.median(times[group, name], axis=0) for name in ways}
        for name, (clock, processors) in median.items():
            rounds = ", ".join(f"{value:.2f}" for value, _ in times[group, name])
            print(f"  {name}  {NAMES[name]:<22} {clock:6.2f} s a clip ({rounds}), {processors:.2f} s of processors")
        for name in set(ways) - {"d"} if "d" in ways else ():
            clock, processors = median[name] / median["d"]
            print(f"  {name}/d {clock:.2f} by the clock, {processors:.2f} of processors")
        print(f"  load {os.getloadavg()[0]:.1f} on {cores()} cores", flush=True)


STAGES = """
import sys, time
from pathlib import Path
last = time.monotonic()
def stage(name):
    global last
    print(f"    {name:<22} {time.monotonic() - last:6.2f} s")
    last = time.monotonic()
file, model, out_dir = map(Path, sys.argv[1:])
import deepfake.scanning.scan as step
import deepfake.scanning.evidence, deepfake.report.page
from deepfake.faces.crop import load_detector
from deepfake.scanning.classifier import open_classifier
from deepfake.scanning.rule import rule_for
import onnxruntime
stage("imports")
load_detector()
stage("start of the detector")
classifier = open_classifier(model, "onnx")
stage("start of the model")
options = step.Options(rule_for(model, "scan"))
found = deepfake.scanning.evidence.gather(file, options.rule, True, lambda: stage("decoding"))
stage("detection and crops")
classify = step.classify
def timed(*arguments):
    result = classify(*arguments)
    stage("judging")
    return result
step.classify = timed
source = step.Source(file, file.name)
scan = step.judge_evidence(source, found, classifier, options)
stage("pictures and heat maps")
step._finish([source], {file.name: scan}, classifier.card, out_dir)
stage("report and tables")
"""


def cold(clip: Path, model: Path, repeat: int, scratch: Path) -> None:
    """Time the whole script on a clip and on a frame of it, by both runtimes in turns, and print the stages."""
    image = scratch / "frame.jpg"
    cv2.imwrite(str(image), read_video(clip, 1)[0][0].full()[:, :, ::-1])
    for name, file in {"a clip": clip, "an image": image}.items():
        times: dict[str, list[np.ndarray]] = {"keras": [], "onnx": []}
        for number in range(repeat + 1):  # the first round only fills the file cache
            for runtime, taken in times.items():
                one = seconds(partial(start_up, file, model, runtime, scratch))
                if number:
                    taken.append(one)
        medians = {runtime: np.median(taken, axis=0) for runtime, taken in times.items()}
        for runtime, (clock, processors) in medians.items():
            rounds = ", ".join(f"{value:.1f}" for value, _ in times[runtime])
            print(f"the script on {name}, {runtime:<5} {clock:5.1f} s ({rounds}), {processors:.1f} s of processors")
        clock, processors = medians["keras"] / medians["onnx"]
        print(f"  keras/onnx {clock:.1f} by the clock, {processors:.1f} of processors; by ONNX Runtime:", flush=True)
        command = [sys.executable, "-c", STAGES, file, model, scratch]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    print(f"load {os.getloadavg()[0]:.1f} on {cores()} cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_option(parser)
    parser.add_argument("--clips", type=Path, help="a folder of videos with faces (default: 1080p clips are drawn)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--ways", default="sodp", help="which ways, such as sd")
    parser.add_argument(
        "--cold", action="store_true", help="time the whole script, on the first clip and a frame of it"
    )
    args = parser.parse_args()
    given = sorted(path for path in args.clips.iterdir() if path.suffix in VIDEO_SUFFIXES) if args.clips else []
    if args.clips and not given:
        parser.error(f"{args.clips}: no videos in it")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        clips = given or draw_clips(scratch / "clips")
        if args.cold:
            return cold(clips[0], choose_model(args.model, "scan"), args.repeat, scratch)
        large = [clip for clip in clips if longer_side(clip) > FULL_HD]
        groups = {"1080p clips": large, "smaller clips": [clip for clip in clips if clip not in large]}
        draw_dataset(scratch / "small", 2, size=(320, 272), seconds=0.1, fps=10, fakes=1, quiet=True)
        small = sorted((scratch / "small").glob("*.mp4"))[:2]
        model = choose_model(args.model, "scan")
        ways: dict[str, Way] = {"d": decode}
        if "s" in args.ways:
            ways["s"] = partial(scan, open_classifier(model, "keras"))
        if "p" in args.ways:
            from deepfake.models.model import load_model  # loads TensorFlow

            ways["p"] = partial(plain, load_model(model))
        if "o" in args.ways:
            ways["o"] = partial(scan, open_classifier(model, "onnx"))
        measure({way: ways[way] for way in args.ways}, {n: g for n, g in groups.items() if g}, small, args.repeat)
        picture = scratch / "picture.png"
        cv2.imwrite(str(picture), np.full((64, 64, 3), 128, np.uint8))
        for runtime in ["keras"] * ("s" in args.ways) + ["onnx"] * ("o" in args.ways):
            rounds = [seconds(partial(start_up, picture, model, runtime, scratch)) for _ in range(args.repeat)]
            clock, processors = np.median(rounds, axis=0)
            print(
                f"the script on one small image, {runtime}: {clock:.1f} s, {processors:.1f} s of processors", flush=True
            )


if __name__ == "__main__":
    main()

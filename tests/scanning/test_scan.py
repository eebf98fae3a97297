"""Scanning: the same scores as the training steps, a verdict for every file, and no REAL without a face."""

import csv
import json
import os
import signal
import struct
import subprocess
import sys
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, cut_in_half, make_video, refused_options, run_step
from PIL import Image

from deepfake.core.crop_rule import CropRule
from deepfake.core.errors import UserError, VideoError
from deepfake.core.labels import REAL
from deepfake.datasets.video import Video
from deepfake.faces.files import crop_all_videos
from deepfake.frames.read import read_video, take_frames
from deepfake.jobs.work import Run
from deepfake.models.info import Given, ModelInfo, write_model_info
from deepfake.report.heatmaps import DIMMED
from deepfake.report.pictures import choose_faces
from deepfake.report.result import Evidence, FaceScore, ModelCard, Seen
from deepfake.sample.dataset import draw_dataset, write_video
from deepfake.sample.scenes import Plan, Scene
from deepfake.scanning.classifier import Classifier, find_metrics, judging_by, open_classifier
from deepfake.scanning.evidence import MAX_PIXELS, gather, length_of, read_image
from deepfake.scanning.inputs import Source
from deepfake.scanning.outputs import line_of
from deepfake.scanning.scan import Options, judge_evidence, scan_all, scan_file, scan_files, verdict_of
from deepfake.split.manifest import read_manifest

CARD = ModelCard("brightness", "none", 16, threshold=0.5, bands={}, temperature=1.0, sample_only=False)
HERE = Options(workers=0)


def brightness(images: np.ndarray) -> tuple[np.ndarray, None]:
    """A classifier that needs no TensorFlow: the brighter a crop, the more real."""
    return images.mean((1, 2, 3))[:, None] / 255, None


CLASSIFIER = Classifier(CARD, None, brightness)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """A frame with two drawn people."""
    plan = Plan(originals=2, seed=0, width=400, height=200, seconds=0.1, fps=10, people=2, fakes=1)
    return next(Scene(plan, 0).frames())


@pytest.fixture(scope="module")
def clip(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "two people.mp4"
    write_video(path, [frame] * 20, 10)
    return path


def scan(path, name="shown", classifier=CLASSIFIER, options=HERE):
    return scan_file(path, name, classifier, options)


@pytest.mark.slow
def test_the_evidence_is_that_of_steps_00_and_01a(clip, tmp_path):
    found = gather(clip, CropRule(frames=5))
    (source, frames), work = take_frames(Video("v", clip.name, REAL), clip.parent, 5), tmp_path / "work"
    (clip.parent / "metadata.json").write_text(json.dumps({clip.name: {"label": "REAL"}}))
    crop_all_videos(CropRule(frames=5), clip.parent, Run("01a", "faces", work, quiet=True))
    folder = work / clip.stem
    records = json.loads((folder / "faces.json").read_text())["faces"]
    assert found.frames == len(frames) == 5 and found.seconds == pytest.approx(2.0) and source.frames == 20
    assert len(records) == len(found.faces) == 10 and {face.person for face in found.faces} == {"0", "1"}
    for record, face, crop in zip(records, found.faces, found.crops, strict=True):
        assert record["file"] == f"{clip.stem}-{face.frame:03d}-{face.face:02d}.png"
        assert np.array_equal(crop, cv2.imread(str(folder / "faces" / record["file"]))[:, :, ::-1])
        same = (face.index, face.time, face.person, face.confidence, list(face.box))
        box = [round(value / record["scale"]) for value in record["box"]]
        assert same == (record["index"], record["time"], record["person"], record["confidence"], box)


@pytest.mark.slow
def test_a_video_is_the_mean_of_its_faces_and_each_has_its_own_score(clip):
    result = scan(clip)
    scores = [face.p_real for face in result.faces]
    assert len(scores) == 22 and result.p_real == pytest.approx(np.mean(scores)) and len(set(scores)) > 2
    assert (result.name, result.frames, result.people, result.reason) == ("shown", 11, ["0", "1"], None)
    assert result.verdict == ("REAL" if result.p_real > 0.5 else "FAKE")


@pytest.mark.slow
def test_temperature_threshold_and_band_of_the_model_are_used(clip):
    plain = scan(clip).p_real
    for changes, verdict in [
        ({"threshold": plain + 0.01}, "FAKE"),
        ({"threshold": plain - 0.01}, "REAL"),
        ({"threshold": plain}, "FAKE"),  # real is above it
        ({"threshold": plain - 0.01, "bands": {1: None, 22: (plain - 0.02, plain), 23: None}}, "UNCERTAIN"),
    ]:
        assert scan(clip, classifier=replace(CLASSIFIER, card=replace(CARD, **changes))).verdict == verdict
    cooler = scan(clip, classifier=replace(CLASSIFIER, card=replace(CARD, temperature=4.0))).p_real
    assert abs(cooler - 0.5) < abs(plain - 0.5)
    assert verdict_of(None, 0, CARD) == "UNKNOWN"


def seen(*people, frames=11):
    """The evidence of a video in which each person has a given brightness (0 to 1) in every frame."""
    faces = [
        Seen(frame, number, frame, frame / 10, (0, 0, 16, 16), str(number), 0.99)
        for frame in range(frames)
        for number in range(len(people))
    ]
    crops = [np.full((16, 16, 3), 255 * people[int(face.person)], np.uint8) for face in faces]
    return Evidence(frames, frames / 10, None, tuple(faces), tuple(crops))


def judged(found, **changes):
    classifier = replace(CLASSIFIER, card=replace(CARD, **changes))
    return judge_evidence(Source(Path("a.mp4"), "a.mp4"), found, classifier, Options(pictures=False))


def test_a_person_with_another_verdict_is_mentioned():
    hidden = judged(seen(0.95, 0.05, 0.95))
    assert (hidden.verdict, hidden.reason) == ("REAL", "person 1 alone: 95.3 % fake")
    assert "person 1 alone" in line_of(hidden, CARD)
    assert judged(seen(0.95, 0.45, 0.95), bands={1: (0.4, 0.6)}).reason is None  # of whom nothing is sure
    assert judged(seen(0.05)).reason is judged(seen(0.9, 0.8)).reason is None


@pytest.mark.parametrize(("aggregate", "p_real"), [("mean", 0.65), ("median", 0.95), ("per-face", 0.05)])
def test_a_scan_has_the_aggregates_of_step_04(aggregate, p_real):
    assert judged(seen(0.95, 0.05, 0.95), aggregate=aggregate).p_real == pytest.approx(p_real, abs=0.01)


def test_threshold_and_band_of_a_model_hold_for_its_mean_alone():
    known = replace(CLASSIFIER, card=replace(CARD, threshold=0.7, bands={1: (0.6, 0.8)}))
    card = judging_by(known, CropRule(), "per-face").card
    assert (card.threshold, card.bands, card.aggregate) == (0.5, {}, "per-face")
    assert judging_by(known, CropRule(), "per-face", 0.3).card.threshold == 0.3
    assert judging_by(known, CropRule()).card.bands == {1: (0.6, 0.8)}


@pytest.mark.slow
def test_pixel_max_1_and_positive_fake_give_the_same_verdicts(clip):
    card = replace(CARD, pixel_max=1, positive="fake")
    other = Classifier(card, None, lambda images: (1 - 255 * brightness(images)[0], None))
    assert scan(clip, classifier=other).p_real == pytest.approx(scan(clip).p_real, abs=1e-6)


@pytest.mark.slow
def test_unusable_files_are_unknown_with_a_reason_and_stop_nothing(clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "postscript.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "broken.mp4").symlink_to("nowhere")
    cut_in_half(make_video(tmp_path / "half.mp4", frames=40))
    make_video(tmp_path / "nobody.mp4")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    for side in (12_000, 20_000):  # Pillow itself would still take the smaller one
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        (tmp_path / f"{side}.png").write_bytes(content + b"\0\0\0\4IDAT")
    reasons = {
        "text.mp4": "too damaged", "text.jpg": "not a supported", "empty.mp4": "empty", "a.heic": "save it as JPEG",
        "postscript.png": "not a supported image", "folder.mp4": "folder", "pipe.mp4": "pipe", "broken.mp4": "missing",
        "half.mp4": "", "nobody.mp4": "no face in any frame", "dot.png": "no face", "12000.png": "too large",
        "20000.png": "too large",
        "not there.mp4": "missing",
    }  # fmt: skip
    sources = [Source(tmp_path / name, name) for name in reasons] + [Source(clip, "clip")]
    scans = {result.name: result for result in scan_files(sources, lambda: CLASSIFIER, Options(workers=2))}
    assert scans.pop("clip").verdict in ("REAL", "FAKE")
    for name, reason in reasons.items():
        assert (scans[name].verdict, scans[name].p_real, scans[name].faces) == ("UNKNOWN", None, ()), name
        assert scans[name].reason and reason in scans[name].reason, name


@pytest.mark.slow
def test_images_are_judged_upright_and_moving_ones_as_videos_are(frame, tmp_path):
    expected = scan(save(frame, tmp_path / "a.png")).p_real
    for name in ("a.webp", "a.bmp", "A.PNG"):
        assert scan(save(frame, tmp_path / name, lossless=True)).p_real == pytest.approx(expected, abs=1e-9), name
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(frame)))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned.save(tmp_path / "phone.png", exif=exif)
    phone = scan(tmp_path / "phone.png")
    assert phone.p_real == pytest.approx(expected, abs=1e-9) and phone.seconds == 0 and phone.frames == 1
    pictures = [Image.fromarray(frame), Image.fromarray(np.roll(frame, 3, 1))]
    for name in ("moving.gif", "moving.webp"):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=100)
        moving = scan(tmp_path / name)
        assert (moving.frames, moving.seconds, len(moving.faces)) == (2, 0.2, 4), name
    assert MAX_PIXELS >= 100_000_000


@pytest.mark.slow
def test_an_image_of_16_bits_of_grey_is_as_bright_as_one_of_8(frame, tmp_path):
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    save(grey, tmp_path / "8.png")
    save(grey.astype(np.uint16) * 256, tmp_path / "16.png")
    np.testing.assert_array_equal(read_image(tmp_path / "16.png").image, read_image(tmp_path / "8.png").image)


def save(image: np.ndarray, path, **options):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path, **options)
    return path


@pytest.mark.slow
def test_damaged_images_say_so(frame, tmp_path):
    cut_in_half(save(frame, tmp_path / "half.jpg"))
    with pytest.raises(VideoError, match=r"is damaged \(.*truncated"):
        read_image(tmp_path / "half.jpg")
    assert scan(tmp_path / "half.jpg").verdict == "UNKNOWN"


@pytest.mark.slow
def test_the_length_goes_by_the_frames_themselves(tmp_path):
    path = make_video(tmp_path / "v.mp4", frames=50, fps=20)
    found = gather(path, CropRule(frames=4))
    assert found.seconds == pytest.approx(2.5) and length_of(read_video(path, 1)[0], 50) == 0


@pytest.mark.slow
def test_pictures_show_the_least_real_face_and_stay_small(clip):
    result = scan(clip)
    shown = cv2.imdecode(np.frombuffer(result.pictures.frame, np.uint8), cv2.IMREAD_COLOR)
    assert max(shown.shape[:2]) <= 480
    least_real = min(result.faces, key=lambda face: face.p_real)
    assert result.pictures.frame_time == least_real.time
    crops = result.pictures.crops
    people = {(face.frame, face.face): face.person for face in result.faces}
    assert len(crops) == 12 and sum(people[crop.frame, crop.face] == "1" for crop in crops) == 6
    for crop in crops:
        assert max(cv2.imdecode(np.frombuffer(crop.crop, np.uint8), cv2.IMREAD_COLOR).shape[:2]) <= 112
    # 500 in one report, where each byte takes 4/3, below 60 MB; as much again as for the crops is for heat maps
    assert len(result.pictures.frame) + 2 * sum(len(crop.crop) for crop in crops) < 90_000
    assert scan(clip, options=replace(HERE, pictures=False)).pictures.frame is None


@pytest.mark.parametrize(
    ("faces", "chosen"), [((11, 1, 1), (10, 1, 1)), ((11, 11), (6, 6)), ((3, 2), (3, 2)), ((2,) + (1,) * 20, (1,) * 12)]
)
def test_a_dozen_crops_are_shared_evenly_between_people(faces, chosen):
    scores = [
        FaceScore(frame, person, frame, float(frame), (0, 0, 9, 9), str(person), 1.0, p_real=0.5)
        for person, count in enumerate(faces)
        for frame in range(count)
    ]
    found = Counter(face.person for face in choose_faces(scores, 12))
    assert tuple(found.values()) == chosen and "0" in found


@pytest.mark.slow
def test_crops_have_heat_maps_if_the_model_has_class_maps(clip):
    def run(images):
        outputs, _ = brightness(images)
        maps = np.zeros((len(images), 4, 4, 1), np.float32)
        maps[:, 0, 0] = np.where(outputs > CARD.threshold, 1, -1)  # the upper left supports the verdict
        return outputs, maps

    crops = scan(clip, classifier=replace(CLASSIFIER, run=run)).pictures.crops
    assert len(crops) == 12
    for crop in crops:
        plain, heat = (cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in (crop.crop, crop.heat))
        coloured = np.abs(heat - DIMMED * plain).mean(axis=2)
        assert coloured[:20, :20].mean() > 10 * coloured[60:, 60:].mean()
    assert {crop.heat for crop in scan(clip).pictures.crops} == {None}


@pytest.mark.slow
def test_metrics_of_an_earlier_training_are_not_shown(tmp_path):
    model, metrics = tmp_path / "tmp_checkpoint" / "best_model.keras", tmp_path / "metrics_videos.json"
    model.parent.mkdir()
    model.touch()
    assert find_metrics(model) is None
    metrics.write_text('{"metrics": {}}')  # by another program
    assert find_metrics(model) is None
    metrics.write_text('{"what": "videos", "count": 9, "interval": "", "metrics": {"accuracy": {"value": 0.9}}}')
    assert find_metrics(model)["metrics"]["accuracy"]["value"] == 0.9
    os.utime(metrics, (0, model.stat().st_mtime - 600))
    assert find_metrics(model) is None


@pytest.mark.slow
def test_an_unwritable_folder_is_found_before_loading_the_model(clip, tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(UserError, match="not a Keras model"):
        scan_all([str(clip)], tmp_path / "empty.keras", tmp_path / "out", HERE)
    with pytest.raises(OSError):  # where nobody can make a file, root neither
        scan_all([str(clip)], tmp_path / "empty.keras", Path("/sys"), HERE)


# with real models


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder where steps 01a and 02 have been run on a drawn sample, with a model of frames and one of sequences."""
    from deepfake.models.model import SequenceKind, build_model
    from deepfake.models.runtime import keras
    from deepfake.split.prepare import prepare_dataset

    folder = tmp_path_factory.mktemp("run")
    videos = folder / "videos"
    draw_dataset(videos, originals=3, fakes=1, size=(320, 272), seconds=0.6, fps=20, people=2, quiet=True)
    crop_all_videos(CropRule(), videos, Run("01a", "faces", videos, quiet=True))
    prepare_dataset(videos, videos, folder / "prepared", folder / "split", quiet=True)
    rule = {"sample_only": True, "temperature": 1.7, "threshold": 0.45, "bands": {1: (0.0, 1.0), 12: (0.4, 0.5)}}
    for name, sequence in {"frames": None, "sequences": SequenceKind("gru", 4)}.items():
        keras.utils.set_random_seed(0)
        model = build_model(32, "none", name="meso4", sequence=sequence)
        last = model.get_layer("p_real")  # zeros would give 0.5 for everything
        last.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in last.get_weights()])
        model.save(folder / f"{name}.keras")
        heads = {"sequence": "gru", "frames": 4} if sequence else {}
        write_model_info(ModelInfo("meso4", 32, **heads, **rule), folder / f"{name}.json")
    return folder


def scanned(folder, model, runtime="keras") -> dict[str, dict]:
    """The files of verdicts.json by the video's name, after a scan of the test set's drawn videos, once."""
    out = folder / f"scan {model} {runtime}"
    tested = {entry.video for entry in read_manifest(folder / "split") if entry.split == "test"}
    videos = [str(folder / "videos" / f"{video}.mp4") for video in sorted(tested)]
    if not out.exists():
        assert scan_all(videos, folder / f"{model}.keras", out, Options(workers=2), runtime) == 0
    files = json.loads((out / "verdicts.json").read_text())["files"]
    return {Path(item["name"]).stem: item for item in files}


@pytest.mark.slow
@pytest.mark.spark
def test_scores_and_verdicts_are_those_of_steps_03_and_04(run):
    from deepfake.evaluation.saved_model import load_and_predict
    from deepfake.verdicts.judge import judge_videos

    load_and_predict(run / "frames.keras", run / "split", run, quiet=True)
    judge_videos(run / "cnn_preds_values.json", run, "local[1]", model_info=run / "frames.json", manifest=run / "split")
    with (run / "video_verdicts.csv").open() as file:
        verdicts = {row["video"]: row for row in csv.DictReader(file)}
    files = scanned(run, "frames")
    assert files.keys() == verdicts.keys() and len(files) == 2
    for video, row in verdicts.items():
        assert files[video]["p_real"] == pytest.approx(float(row["average_prediction"]), abs=1e-5)
        assert files[video]["verdict"] == (row["verdict"] if row["certain"] == "yes" else "UNCERTAIN")
        assert len(files[video]["faces"]) == int(row["frames"])
        assert files[video]["band"] == ([0.0, 1.0] if int(row["frames"]) < 12 else [0.4, 0.5])
        assert files[video]["people"] == int(row["people"])


@pytest.mark.slow
def test_sequence_models_judge_people_as_step_03a_does(run):
    from deepfake.evaluation.saved_model import load_and_predict

    load_and_predict(run / "sequences.keras", run / "split", run / "sequences", quiet=True)
    rows = pd.read_parquet(run / "sequences" / "cnn_preds_values.parquet")
    files = scanned(run, "sequences")
    assert len(rows) >= 3
    for row in rows.itertuples():
        own = [face["p_real"] for face in files[row.video]["faces"] if face["person"] == row.person]
        assert len(own) >= 3 and own == pytest.approx([row.p_real] * len(own), abs=1e-5)
    for video, members in rows.groupby("video"):
        assert files[video]["p_real"] == pytest.approx(members["p_real"].mean(), abs=1e-5)


@pytest.mark.slow
def test_an_exported_model_gives_the_same_scores_without_tensorflow(run, capsys):
    from deepfake.models.export import export_model

    for suffix in (".onnx", ".tflite"):
        for model in ("frames", "sequences"):
            (run / f"{model}{suffix}").unlink(missing_ok=True)
    export_model(run / "frames.keras")
    assert capsys.readouterr().out.count("differ by at most") == 2
    assert (run / "frames.tflite").stat().st_size > 10_000
    first, again = scanned(run, "frames"), scanned(run, "frames", "onnx")
    assert {video: item["p_real"] for video, item in again.items()} == pytest.approx(
        {video: item["p_real"] for video, item in first.items()}, abs=1e-4
    )
    assert capsys.readouterr().out.count("never saw a real person") >= len(again) == 2
    code = (
        "import sys; from pathlib import Path; import deepfake.scanning.scan\n"
        "from deepfake.scanning.classifier import open_classifier\n"
        "open_classifier(Path(sys.argv[1]), 'onnx'); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, run / "frames.keras"], check=True, cwd=ROOT)
    (run / "sequences.onnx").write_bytes((run / "frames.onnx").read_bytes())
    with pytest.raises(UserError, match=r"another version of sequences\.keras; run --export"):
        open_classifier(run / "sequences.keras", "onnx")
    (run / "sequences.onnx").unlink()
    with pytest.raises(UserError, match=r"sequences\.onnx: not found; 05-scan_videos\.py --export"):
        open_classifier(run / "sequences.keras", "onnx")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_scan_writes_its_results_so_far(run, clip, tmp_path, end):
    (tmp_path / "clips").mkdir()
    for number in range(60):
        (tmp_path / "clips" / f"{number}.mp4").symlink_to(clip)
    command = [
        sys.executable,
        ROOT / "05-scan_videos.py",
        tmp_path / "clips",
        "--model",
        run / "frames.keras",
        "--quiet",
    ]
    with subprocess.Popen(
        [*command, "--out-dir", tmp_path / "scan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert any("fake" in line for line in process.stdout)  # the first verdict, after what is said before
        process.send_signal(end)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and " of 60 files are in " in said and said.count("\n") == 2
    assert 1 <= len(pd.read_csv(tmp_path / "scan" / "verdicts.csv")) < 60
    assert (tmp_path / "scan" / "report.html").stat().st_size


@pytest.mark.slow
def test_the_real_clips_are_scanned_and_every_one_has_a_face(real_clips, real_work, run, tmp_path):
    for clip in real_clips.glob("*.mp4"):  # the evidence is that of steps 00 and 01a
        faces = json.loads((real_work / clip.stem / "faces.json").read_text())["faces"]
        assert {face["frame"] for face in faces} == set(range(11)), clip.name
    some = [real_clips / f"{name}.mp4" for name in ("004", "519_515", "cyxlcuyznd")]
    done = run_step("05", *some, "--model", run / "frames.keras", "--out-dir", tmp_path, "--strict", timeout=300)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "verdicts.json").read_text())
    assert len(content["files"]) == 3
    for item in content["files"]:
        assert item["frames"] == 11 and item["people"] >= 1 and item["sample_only"]
        assert {face["frame"] for face in item["faces"]} == set(range(11))


@pytest.mark.slow
def test_options_of_an_external_model_apply_to_export_and_scan(run, clip, tmp_path, capsys):
    from deepfake.models.export import export_model
    from deepfake.models.runtime import keras

    model = keras.saving.load_model(run / "frames.keras")
    crops = keras.Input((32, 32, 3))
    last = model.get_layer("p_real")
    last.set_weights([-weights for weights in last.get_weights()])
    keras.Model(crops, model(keras.layers.Rescaling(255.0)(crops))).save(tmp_path / "other.h5")
    other, given = tmp_path / "other.h5", Given(0.7, 1, "fake")
    export_model(other, given)
    assert capsys.readouterr().out.count("differ by at most") == 2
    expected = scan(clip, classifier=open_classifier(run / "frames.keras", given=Given()))
    temperature = json.loads((run / "frames.json").read_text())["temperature"]
    (tmp_path / "other.json").write_text(json.dumps({"temperature": temperature, "threshold": 0.6, "band": [0.6, 0.7]}))
    for runtime in ("keras", "onnx"):
        out = tmp_path / runtime
        assert scan_all([str(clip)], other, out, HERE, runtime, given=given) == 0
        content = json.loads((out / "verdicts.json").read_text())
        assert content["files"][0]["p_real"] == pytest.approx(expected.p_real, abs=1e-4)
        about = {"threshold": 0.7, "bands": {}, "pixel_max": 1, "positive": "fake"}
        assert content["model"].items() >= about.items()
        said = "05: threshold 0.7, no band: by --threshold; the model's band is for its own, 0.6"
        assert said in capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_equal_scores_of_all_files_are_warned_of_in_report_and_output(frame, tmp_path, capsys):
    from deepfake.models.runtime import keras

    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")]
    keras.Sequential([keras.Input((32, 32, 3)), *layers]).save(tmp_path / "unlearnt.keras")  # 0.5 for everything
    for number in range(5):
        save(frame[:, : 396 + number], tmp_path / "images" / f"{number}.png")
    assert scan_all([str(tmp_path / "images")], tmp_path / "unlearnt.keras", tmp_path / "out", HERE) == 0
    said = "The scores of all 5 files agree to 0.001"
    assert f"05: {said}" in capsys.readouterr().out and said in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_the_script_says_what_to_give_and_exits_with_2(tmp_path, monkeypatch):
    done = run_step("05", "nothing.mp4", "--model", "mine.keras", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: nothing.mp4: not found")
    make_video(tmp_path / "v.mp4")
    monkeypatch.chdir(tmp_path)
    assert "give videos, images, folders" in refused_options("05")
    assert "mine.keras: not found; run step 03 first" in refused_options("05", "v.mp4", "--model", "mine.keras")
    # whose verdicts would replace each other's
    assert "unrecognized arguments: --shard" in refused_options("05", "v.mp4", "--shard", "0/2")
    assert not (tmp_path / "scan").exists()

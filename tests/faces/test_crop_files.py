"""Faces: selection, cropping, records and marking."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import make_video, tree, write_metadata

from deepfake.core.crop_rule import CropRule, as_json
from deepfake.core.errors import UserError, VideoError
from deepfake.core.files import write_json
from deepfake.core.labels import REAL
from deepfake.datasets.video import Video
from deepfake.faces.crop import LANDMARKS, Face, crop_box, cut, find_faces, find_landmarks, keep_faces
from deepfake.faces.files import (
    crop_all_frames,
    crop_all_videos,
    crop_frames,
    crop_video,
    mark_all_landmarks,
    mark_landmarks,
)
from deepfake.faces.records import landmarks_in_crop, read_faces_json
from deepfake.frames.files import convert_video, convert_videos
from deepfake.frames.png import read_png, write_png
from deepfake.jobs.work import Run
from deepfake.sample.dataset import write_video
from deepfake.sample.scenes import Plan, Scene

POINTS = ((14, 16), (26, 16), (20, 22), (15, 28), (25, 28))


def face(confidence: float, box=(10, 10, 20, 24)) -> Face:
    return Face(box, POINTS, confidence)


@pytest.fixture(scope="module")
def two() -> np.ndarray:
    """A frame with two drawn people."""
    plan = Plan(originals=2, seed=0, width=400, height=200, seconds=0.1, fps=10, people=2, fakes=1)
    return next(Scene(plan, 0).frames())


@pytest.fixture(scope="module")
def one(two) -> np.ndarray:
    """A frame with one of them."""
    return np.ascontiguousarray(two[:, :200])


@pytest.fixture(scope="module")
def nobody(two) -> np.ndarray:
    return np.full_like(two, 90)


def write_frames(work_dir, id: str, frames, modified: int = 99) -> None:
    """Write frames as step 00 does, of a video that was last changed at a time."""
    names = [f"{id}-{number:03d}.png" for number in range(len(frames))]
    for name, frame in zip(names, frames, strict=True):
        write_png(work_dir / id / name, frame)
    files = [{"file": name, "index": 7 * i, "time": 0.28 * i, "scale": 0.5} for i, name in enumerate(names)]
    video = {"file": f"{id}.mp4", "size": 1234, "modified": modified, "frames": 70, "problem": None}
    write_json(work_dir / id / "frames.json", {"video": video, "options": {"frames": 11}, "frames": files})


def crop_names(work_dir, id: str, folder: str = "faces") -> list[str]:
    return sorted(path.name for path in (work_dir / id / folder).iterdir())


def failures(work_dir) -> list[tuple[str, ...]]:
    with (work_dir / "failures.csv").open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


# which faces


@pytest.mark.parametrize(
    ("confidences", "options", "kept"),
    [
        ([0.99, 0.96, 0.94], {}, [(0.99, False), (0.96, False)]),
        ([0.95], {}, [(0.95, False)]),
        ([0.9499, 0.90], {}, [(0.9499, True)]),
        ([0.80], {}, [(0.80, True)]),
        ([], {}, []),
        ([0.99, 0.90], {"rescue": False}, [(0.99, False)]),
        ([0.94, 0.90], {"rescue": False}, []),
        ([0.94, 0.90], {"min_confidence": 0.85}, [(0.94, False), (0.90, False)]),
        ([0.99], {"min_confidence": 1}, [(0.99, True)]),
    ],
)
def test_confident_faces_are_kept_or_the_best_one_is_rescued(confidences, options, kept):
    faces = keep_faces([face(confidence) for confidence in confidences], CropRule(**options))
    assert [(face.confidence, face.rescued) for face in faces] == kept


def test_boxes_without_an_area_are_no_faces():
    flat = [face(0.99, box=(10, 10, 0, 5)), face(0.98, box=(10, 10, 5, -3))]
    assert keep_faces(flat, CropRule()) == []
    assert [face.confidence for face in keep_faces([*flat, face(0.85)], CropRule())] == [0.85]


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((50, 40, 20, 30), 0.3, (44, 31, 32, 48)),
        ((50, 40, 20, 30), 0, (50, 40, 20, 30)),
        ((50, 40, 20, 30), 1, (30, 10, 60, 90)),
        ((2, 1, 20, 30), 0.3, (0, 0, 28, 40)),
        ((140, 80, 20, 20), 0.3, (134, 74, 26, 26)),
        ((-10, -5, 40, 40), 0.3, (0, 0, 42, 47)),
        ((150, 90, 40, 40), 0.3, (138, 78, 22, 22)),
        ((0, 0, 160, 100), 0.3, (0, 0, 160, 100)),
        ((-50, -50, 400, 400), 10, (0, 0, 160, 100)),
    ],
)
def test_a_crop_is_the_box_with_its_margin_inside_the_frame(box, margin, expected):
    assert crop_box(box, CropRule(margin=margin), width=160, height=100) == expected


def test_crops_of_any_box_that_touches_the_frame_have_pixels():
    rng = np.random.default_rng(0)
    frame = np.zeros((100, 160, 3), np.uint8)
    for _ in range(2000):
        w, h = rng.integers(1, 200, 2).tolist()
        x, y = int(rng.integers(1 - w, 160)), int(rng.integers(1 - h, 100))
        left, top, width, height = crop = crop_box((x, y, w, h), CropRule(margin=float(rng.uniform(0, 2))), 160, 100)
        assert 0 <= left <= max(x, 0) and 0 <= top <= max(y, 0)
        assert left + width >= min(160, x + w) and top + height >= min(100, y + h)
        assert cut(frame, crop).shape == (height, width, 3) and width > 0 and height > 0


# what is written


@pytest.mark.slow
def test_the_crops_of_a_video_are_cut_from_its_frames_and_recorded(tmp_path, two, one, nobody):
    frames = [two, one, nobody]
    (first, second), (alone,), _ = found = [keep_faces(faces, CropRule()) for faces in find_faces(frames)]
    assert first.confidence > second.confidence and found[2] == []
    write_frames(tmp_path, "a-b", frames)
    outcome = crop_frames("a-b", tmp_path, CropRule())
    assert (outcome.count, outcome.problem, outcome.done_before) == (3, None, False)
    # the most confident face of a frame comes first
    names = ["a-b-000-00.png", "a-b-000-01.png", "a-b-001-00.png"]
    assert crop_names(tmp_path, "a-b") == names
    crops = [read_png(tmp_path / "a-b" / "faces" / name) for name in names]
    content = json.loads((tmp_path / "a-b" / "faces.json").read_text())
    assert content["video"] == {"file": "a-b.mp4", "size": 1234, "modified": 99, "frames": 70, "problem": None}
    assert content["crop_rule"] == as_json(CropRule())
    places = [(two, 0, first), (two, 0, second), (one, 1, alone)]
    assert len(content["faces"]) == len(places)
    for name, crop, record, (frame, number, face) in zip(names, crops, content["faces"], places, strict=True):
        x, y, w, h = box = crop_box(face.box, CropRule(), frame.shape[1], frame.shape[0])
        assert np.array_equal(crop, frame[y : y + h, x : x + w])
        assert list(record["landmarks"]) == list(LANDMARKS)
        assert record == {
            "file": name,
            "frame": number,
            "face": int(name[-5]),
            "index": 7 * number,
            "time": 0.28 * number,
            "scale": 0.5,
            "crop": list(box),
            "box": list(face.box),
            "landmarks": {key: list(point) for key, point in zip(LANDMARKS, face.landmarks, strict=True)},
            "confidence": face.confidence,
            "rescued": False,
            "person": name[-5],
            "side": round(np.sqrt(face.box[2] * face.box[3]) / 0.5),
            "still": False,
        }


@pytest.mark.slow
def test_a_face_that_is_not_sure_is_recorded_as_rescued(tmp_path, two, one):
    write_frames(tmp_path, "a", [two, one])
    assert crop_frames("a", tmp_path, CropRule(min_confidence=1)).count == 2
    assert crop_names(tmp_path, "a") == ["a-000-00.png", "a-001-00.png"]
    records = read_faces_json(tmp_path / "a").faces
    assert [record["rescued"] for record in records] == [True, True]
    assert records[0]["confidence"] == max(face.confidence for face in find_faces([two])[0])


@pytest.mark.slow
def test_the_landmarks_of_a_crop_are_where_its_eyes_nose_and_mouth_are(tmp_path, two):
    write_frames(tmp_path, "a", [two])
    crop_frames("a", tmp_path, CropRule())
    for record in read_faces_json(tmp_path / "a").faces:
        left_eye, right_eye, nose, mouth_left, mouth_right = points = landmarks_in_crop(record, CropRule())
        _, _, width, height = record["crop"]
        assert all(0 < x < width and 0 < y < height for x, y in points)
        assert left_eye[0] < nose[0] < right_eye[0] and mouth_left[0] < mouth_right[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


@pytest.mark.slow
@pytest.mark.parametrize(("margin", "side"), [(0.3, 160), (0, 160), (-0.14, 160), (0.3, 40), (0.1, 700)])
def test_landmarks_of_external_crops_of_any_size_are_found(one, margin, side):
    (face,) = find_faces([one])[0]
    left, top, width, height = crop_box(face.box, CropRule(margin=margin), *one.shape[1::-1])
    crop = cv2.resize(cut(one, (left, top, width, height)), (side, side), interpolation=cv2.INTER_AREA)
    expected = (np.array(face.landmarks) - (left, top)) * side / (width, height)
    assert abs(np.array(find_landmarks(crop)) - expected).max() < 0.1 * side


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 300, 3), (160, 160, 3)])
def test_a_crop_without_a_face_has_no_landmarks(shape):
    assert find_landmarks(np.full(shape, 90, np.uint8)) is None


def test_landmarks_are_recorded_in_the_frame_and_given_in_the_crop():
    points = [(45, 40), (55, 40), (50, 50), (45, 60), (55, 60)]
    record = {"crop": [34, 18, 32, 64], "landmarks": dict(zip(LANDMARKS, points, strict=True))}
    assert landmarks_in_crop(record, CropRule()) == [(11, 22), (21, 22), (16, 32), (11, 42), (21, 42)]


@pytest.mark.slow
def test_a_margin_and_the_strict_rule_are_obeyed_and_recorded(tmp_path, two, one):
    (first, second) = sorted(find_faces([two])[0], key=lambda face: -face.confidence)
    between = (first.confidence + second.confidence) / 2
    options = CropRule(min_confidence=between, margin=0, rescue=False)
    write_frames(tmp_path, "a", [two, one])
    crop_frames("a", tmp_path, options)
    records = read_faces_json(tmp_path / "a").faces
    assert all(record["crop"] == record["box"] for record in records)
    sure = [face.box for found in find_faces([two, one]) for face in found if face.confidence >= between]
    assert [record["box"] for record in records] == [list(box) for box in sure]
    assert records[0]["box"] == list(first.box) and list(second.box) not in [record["box"] for record in records]
    assert read_faces_json(tmp_path / "a").rule == options


@pytest.mark.slow
def test_a_new_run_leaves_no_crop_of_the_older_one(tmp_path, two, one):
    write_frames(tmp_path, "a", [two] * 3)
    crop_frames("a", tmp_path, CropRule())
    assert len(crop_names(tmp_path, "a")) == 6
    write_frames(tmp_path, "a", [one], modified=100)
    crop_frames("a", tmp_path, CropRule())
    assert crop_names(tmp_path, "a") == ["a-000-00.png"]
    assert len(read_faces_json(tmp_path / "a").faces) == 1


@pytest.mark.slow
def test_finished_crops_are_kept_unless_something_changed_or_overwrite(tmp_path, two, one):
    write_frames(tmp_path, "a", [two])
    done = crop_frames("a", tmp_path, CropRule())
    write_frames(tmp_path, "a", [one])  # which nothing tells from the older ones
    before = tree(tmp_path)
    assert crop_frames("a", tmp_path, CropRule()) == replace(done, done_before=True)
    assert tree(tmp_path) == before
    for options, overwrite in ((CropRule(), True), (CropRule(margin=0), False), (CropRule(rescue=False), False)):
        outcome = crop_frames("a", tmp_path, options, overwrite)
        assert (outcome.count, outcome.done_before) == (1, False)
        assert crop_frames("a", tmp_path, options).done_before


@pytest.mark.slow
def test_a_record_without_people_gets_them_from_its_boxes(tmp_path, two, one, nobody):
    write_frames(tmp_path, "a", [two, nobody, one, two])
    done = crop_frames("a", tmp_path, CropRule())
    record = tmp_path / "a" / "faces.json"
    before, content = tree(tmp_path), json.loads(record.read_text())
    assert [face["person"] for face in content["faces"]] == ["0", "1", "0", "0", "1"]
    for face in content["faces"]:
        del face["person"]
    write_json(record, content)
    write_frames(tmp_path, "a", [nobody] * 4)  # in which nothing would be found
    assert crop_frames("a", tmp_path, CropRule()) == replace(done, done_before=True)
    assert record.read_bytes() == before["a/faces.json"]
    assert [name for name in crop_names(tmp_path, "a") if f"a/faces/{name}" not in before] == []


@pytest.mark.slow
def test_a_video_without_a_face_is_a_problem_and_leaves_no_older_crops(tmp_path, one, nobody):
    write_frames(tmp_path, "a", [one])
    crop_frames("a", tmp_path, CropRule())
    write_frames(tmp_path, "a", [nobody], modified=100)
    outcome = crop_frames("a", tmp_path, CropRule())
    assert outcome.count == 0 and "no face" in outcome.problem
    assert crop_names(tmp_path, "a") == [] and read_faces_json(tmp_path / "a").faces == []
    # and stays one, though there is nothing more to do
    assert crop_frames("a", tmp_path, CropRule()) == replace(outcome, done_before=True)


@pytest.mark.slow
def test_a_damaged_frame_is_named(tmp_path, one):
    write_frames(tmp_path, "a", [one] * 2)
    (tmp_path / "a" / "a-001.png").write_bytes(b"half")
    with pytest.raises(VideoError, match=r"a-001\.png"):
        crop_frames("a", tmp_path, CropRule())


@pytest.mark.slow
def test_files_that_are_no_crops_are_left_alone(tmp_path, one):
    write_frames(tmp_path, "a", [one])
    crop_frames("a", tmp_path, CropRule())
    (tmp_path / "a" / "faces" / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises((UserError, VideoError), match=r"notes\.txt"):
        crop_frames("a", tmp_path, CropRule(margin=0))
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"faces": null}',
        '{"faces": [1]}',
        '{"faces": [{"file": "a-000-00.png", "crop": [0, 0, 9, 9], "landmarks": {}}]}',
        json.dumps({"faces": [{"crop": [0, 0, 9, 9], "landmarks": {name: [1, 2] for name in LANDMARKS}}]}),
    ],
)
def test_a_faces_json_that_cannot_be_used_names_the_step_to_run(tmp_path, text):
    if text is not None:
        (tmp_path / "faces.json").write_text(text)
    with pytest.raises(VideoError, match="step 01a"):
        read_faces_json(tmp_path)


# both steps in one pass


@pytest.fixture
def clip(tmp_path, two) -> Video:
    """A video that fades out, so that its later frames are not as sure."""
    fading = [np.round(two * share).astype(np.uint8) for share in np.linspace(1, 0, 12)]
    write_video(tmp_path / "videos" / "sub" / "a-b.mp4", fading, 10)
    return Video("a-b", "sub/a-b.mp4", REAL)


@pytest.mark.slow
@pytest.mark.parametrize("options", [CropRule(), CropRule(margin=0, rescue=False), CropRule(min_confidence=1)])
def test_one_pass_gives_the_crops_and_the_record_of_both_steps(tmp_path, clip, options):
    videos, both, one_pass = (tmp_path / name for name in ("videos", "both", "one pass"))
    convert_video(clip, videos, both, 5)
    outcome = crop_frames("a-b", both, options)
    assert outcome.count > 0
    assert crop_video(clip, videos, one_pass, replace(options, frames=5)) == outcome
    expected = {name: content for name, content in tree(both).items() if "face" in name or name == "a-b"}
    assert tree(one_pass) == expected
    assert crop_video(clip, videos, one_pass, replace(options, frames=5)) == replace(outcome, done_before=True)


@pytest.mark.slow
def test_one_pass_with_other_options_or_of_another_file_is_a_new_one(tmp_path, clip, one):
    videos, work = tmp_path / "videos", tmp_path / "work"
    assert crop_video(clip, videos, work, CropRule(frames=3)).count > 2
    for changes in ({}, {"margin": 0}, {"min_confidence": 1}):
        assert not crop_video(clip, videos, work, CropRule(frames=1, **changes)).done_before
        assert {name.rsplit("-", 2)[1] for name in crop_names(work, "a-b")} == {"000"}
    write_video(videos / clip.file, [one], 10)
    outcome = crop_video(clip, videos, work, CropRule(frames=1, min_confidence=1))
    assert (outcome.count, outcome.done_before) == (1, False)
    assert read_png(work / "a-b" / "faces" / "a-b-000-00.png").shape[0] <= 2 * one.shape[0]


@pytest.mark.slow
def test_one_pass_lists_what_is_damaged_and_what_has_no_face(tmp_path, clip, capsys):
    videos = tmp_path / "videos"
    make_video(videos / "bars.mp4", frames=2)
    (videos / "empty.mp4").touch()
    write_metadata(videos, dict.fromkeys([clip.file, "bars.mp4", "empty.mp4"], "REAL"))
    assert crop_all_videos(CropRule(frames=3), videos, Run("01a", "faces", tmp_path / "work", strict=True)) == 1
    listed = {video: reason for _, video, reason in failures(tmp_path / "work")}
    assert listed.keys() == {"bars", "empty"}
    assert "no face" in listed["bars"] and "empty" in listed["empty"]
    assert f"{len(crop_names(tmp_path / 'work', 'a-b'))} faces of 3 videos" in capsys.readouterr().out


# marked faces


@pytest.mark.slow
def test_marked_faces_are_red_at_the_landmarks_and_else_equal(tmp_path, two):
    write_frames(tmp_path, "a", [two])
    crop_frames("a", tmp_path, CropRule())
    assert mark_landmarks("a", tmp_path).count == 2
    assert crop_names(tmp_path, "a", "marked_faces") == crop_names(tmp_path, "a")
    for record in read_faces_json(tmp_path / "a").faces:
        crop = read_png(tmp_path / "a" / "faces" / record["file"])
        marked = read_png(tmp_path / "a" / "marked_faces" / record["file"])
        assert marked.shape == crop.shape
        points = np.array(landmarks_in_crop(record, CropRule()))
        assert all(tuple(marked[y, x]) == (255, 0, 0) for x, y in points)
        rows, columns = np.nonzero((marked != crop).any(axis=2))
        distance = np.hypot(columns[:, None] - points[:, 0], rows[:, None] - points[:, 1]).min(axis=1)
        assert distance.max() < 5


@pytest.mark.slow
def test_marking_again_replaces_what_was_marked_before(tmp_path, one):
    write_frames(tmp_path, "a", [one] * 2)
    crop_frames("a", tmp_path, CropRule())
    mark_landmarks("a", tmp_path)
    write_frames(tmp_path, "a", [one], modified=100)
    crop_frames("a", tmp_path, CropRule())
    mark_landmarks("a", tmp_path)
    assert crop_names(tmp_path, "a", "marked_faces") == ["a-000-00.png"]


@pytest.mark.slow
def test_one_video_whose_crops_are_damaged_does_not_stop_the_marking(tmp_path, one):
    for id in ("a", "b"):
        write_frames(tmp_path, id, [one])
        crop_frames(id, tmp_path, CropRule())
    (tmp_path / "a" / "faces" / "a-000-00.png").write_bytes(b"")
    run = Run("01b", "marked faces", tmp_path)
    assert mark_all_landmarks(run) == 0
    assert mark_all_landmarks(replace(run, strict=True)) == 1
    assert crop_names(tmp_path, "b", "marked_faces") == ["b-000-00.png"]
    (row,) = failures(tmp_path)
    assert row[:2] == ("01b", "a") and "a-000-00.png" in row[2]


# what comes first


@pytest.mark.slow
@pytest.mark.parametrize("work", [lambda run: crop_all_frames(CropRule(), run), mark_all_landmarks])
@pytest.mark.parametrize("exists", [True, False])
def test_a_step_run_before_the_one_it_needs_says_so(tmp_path, work, exists):
    folder = tmp_path if exists else tmp_path / "nothing"
    with pytest.raises(UserError, match=r"run step 0\w+ first"):
        work(Run("01", "faces", folder))


# real clips


@pytest.mark.slow
def test_a_real_clip_has_a_face_in_each_frame_some_of_them_rescued(real_clips, tmp_path):
    video = Video("634", "634.mp4", REAL)
    assert convert_video(video, real_clips, tmp_path, 11).problem is None
    outcome = crop_frames("634", tmp_path, CropRule())
    faces = read_faces_json(tmp_path / "634").faces
    assert outcome.count == len(faces) >= 11 and len({face["frame"] for face in faces}) == 11
    rescued = {face["frame"] for face in faces if face["rescued"]}
    assert 1 <= len(rescued) < 11
    assert all((face["confidence"] < 0.95) == face["rescued"] for face in faces)
    assert all(face["confidence"] >= 0.8 for face in faces)
    for face in faces:
        (left_x, left_y), (right_x, _), _, (_, mouth_y), _ = landmarks_in_crop(face, CropRule())
        assert left_x < right_x and left_y < mouth_y
        assert (np.array(landmarks_in_crop(face, CropRule())) > 0).all()
    # the strict rule keeps the sure ones only
    crop_frames("634", tmp_path, CropRule(rescue=False))
    sure = read_faces_json(tmp_path / "634").faces
    kept = [face for face in faces if not face["rescued"]]
    assert [(face["frame"], face["box"]) for face in sure] == [(face["frame"], face["box"]) for face in kept]
    assert [face["file"] for face in sure] == [face["file"] for face in kept]


@pytest.mark.slow
def test_a_faceless_video_is_listed_beside_failures_of_other_steps(real_clips, tmp_path):
    (tmp_path / "clip.mp4").symlink_to(real_clips / "004.mp4")
    make_video(tmp_path / "bars.mp4", frames=2)
    write_metadata(tmp_path, dict.fromkeys(["clip.mp4", "bars.mp4", "gone.mp4"], "REAL"))
    assert convert_videos(tmp_path, 2, Run("00", "frames", tmp_path)) == 0
    assert crop_all_frames(CropRule(), Run("01a", "faces", tmp_path, strict=True)) == 1
    assert [row[:2] for row in failures(tmp_path)] == [("00", "gone"), ("01a", "bars")]
    assert "no face" in failures(tmp_path)[1][2]
    assert len(read_faces_json(tmp_path / "clip").faces) >= 2

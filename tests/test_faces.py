"""Faces: which ones are kept, how they are cut out, what is recorded of them, and how they are marked."""

import csv
import json
from dataclasses import asdict

import cv2
import numpy as np
import pytest
from conftest import make_video, tree, write_metadata

from deepfake.faces import (
    LANDMARKS,
    Detector,
    Face,
    Options,
    crop_all_faces,
    crop_box,
    crop_faces,
    cut,
    keep_faces,
    landmarks_in_crop,
    mark_all_landmarks,
    mark_landmarks,
    read_faces_json,
)
from deepfake.files import UserError, write_json
from deepfake.frames import convert_video, convert_videos, read_png, write_png
from deepfake.runner import VideoError
from deepfake.videos import REAL, Video

POINTS = ((14, 16), (26, 16), (20, 22), (15, 28), (25, 28))


def face(confidence: float, box=(10, 10, 20, 24)) -> Face:
    return Face(box, POINTS, confidence)


class PatchDetector:
    """Finds bright rectangles on a dark ground; the brighter one is, the surer: a detector that loads at once."""

    def find(self, frames):
        return [self._faces(frame) for frame in frames]

    def _faces(self, frame):
        _, labels, stats, _ = cv2.connectedComponentsWithStats((frame[..., 1] > 100).astype(np.uint8))
        faces = []
        for number, (x, y, w, h, _) in enumerate(stats[1:].tolist(), 1):
            points = [(x + w // 4, y + h // 4), (x + 3 * w // 4, y + h // 4), (x + w // 2, y + h // 2)]
            points += [(x + w // 4, y + 3 * h // 4), (x + 3 * w // 4, y + 3 * h // 4)]
            faces.append(Face((x, y, w, h), tuple(points), round(frame[labels == number].mean() / 255, 6)))
        return sorted(faces, key=lambda face: -face.confidence)


def frame_with(*patches) -> np.ndarray:
    """A 100 x 160 frame with rectangles (x, y, width, height, confidence)."""
    frame = np.full((100, 160, 3), 20, np.uint8)
    for x, y, w, h, confidence in patches:
        frame[y : y + h, x : x + w] = round(confidence * 255)
    return frame


def write_frames(work_dir, id: str, frames) -> None:
    """Write frames as step 00 does."""
    names = [f"{id}-{number:03d}.png" for number in range(len(frames))]
    for name, frame in zip(names, frames, strict=True):
        write_png(work_dir / id / name, frame)
    files = [{"file": name, "index": 7 * i, "time": 0.28 * i, "scale": 0.5} for i, name in enumerate(names)]
    video = {"file": f"{id}.mp4", "size": 1234, "modified": 99, "frames": 70}
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
def test_sure_faces_are_kept_and_else_the_surest_one_is_rescued(confidences, options, kept):
    faces = keep_faces([face(confidence) for confidence in confidences], Options(**options))
    assert [(face.confidence, face.rescued) for face in faces] == kept


def test_boxes_without_an_area_are_no_faces():
    flat = [face(0.99, box=(10, 10, 0, 5)), face(0.98, box=(10, 10, 5, -3))]
    assert keep_faces(flat, Options()) == []
    assert [face.confidence for face in keep_faces([*flat, face(0.85)], Options())] == [0.85]


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
    assert crop_box(box, margin, width=160, height=100) == expected


def test_crops_of_any_box_that_touches_the_frame_have_pixels():
    rng = np.random.default_rng(0)
    frame = np.zeros((100, 160, 3), np.uint8)
    for _ in range(2000):
        w, h = rng.integers(1, 200, 2).tolist()
        x, y = int(rng.integers(1 - w, 160)), int(rng.integers(1 - h, 100))
        left, top, width, height = crop = crop_box((x, y, w, h), float(rng.uniform(0, 2)), 160, 100)
        assert 0 <= left <= max(x, 0) and 0 <= top <= max(y, 0)
        assert left + width >= min(160, x + w) and top + height >= min(100, y + h)
        assert cut(frame, crop).shape == (height, width, 3) and width > 0 and height > 0


# what is written


def test_the_crops_of_a_video_are_cut_from_its_frames_and_recorded(tmp_path):
    frames = [
        frame_with((40, 30, 20, 40, 0.98), (100, 30, 10, 20, 1.0)),
        frame_with((40, 30, 20, 40, 0.9), (100, 30, 10, 20, 0.85)),
        frame_with(),
    ]
    write_frames(tmp_path, "a-b", frames)
    outcome = crop_faces("a-b", tmp_path, PatchDetector(), Options())
    assert (outcome.count, outcome.problem) == (3, None)
    # the most confident face of a frame comes first
    assert crop_names(tmp_path, "a-b") == ["a-b-000-00.png", "a-b-000-01.png", "a-b-001-00.png"]
    crops = [read_png(tmp_path / "a-b" / "faces" / name) for name in crop_names(tmp_path, "a-b")]
    boxes = [(97, 24, 16, 32), (34, 18, 32, 64), (34, 18, 32, 64)]
    for crop, (x, y, w, h), frame in zip(crops, boxes, (frames[0], frames[0], frames[1]), strict=True):
        assert np.array_equal(crop, frame[y : y + h, x : x + w])

    content = json.loads((tmp_path / "a-b" / "faces.json").read_text())
    assert content["video"] == {"file": "a-b.mp4", "size": 1234, "modified": 99, "frames": 70}
    assert content["options"] == {"min_confidence": 0.95, "margin": 0.3, "rescue": True}
    first, second, rescued = content["faces"]
    assert first["file"] == "a-b-000-00.png" and first["box"] == [100, 30, 10, 20] and first["confidence"] == 1
    assert list(first["landmarks"]) == list(LANDMARKS)
    assert (second["box"], second["crop"], second["confidence"]) == ([40, 30, 20, 40], [34, 18, 32, 64], 0.980392)
    assert (rescued["frame"], rescued["time"], rescued["scale"]) == (7, 0.28, 0.5)
    assert [record["rescued"] for record in content["faces"]] == [False, False, True]


def test_landmarks_are_recorded_in_the_frame_and_given_in_the_crop(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1))])
    crop_faces("a", tmp_path, PatchDetector(), Options())
    (record,) = read_faces_json(tmp_path / "a")
    assert [tuple(record["landmarks"][name]) for name in LANDMARKS] == [
        (45, 40),
        (55, 40),
        (50, 50),
        (45, 60),
        (55, 60),
    ]
    assert landmarks_in_crop(record) == [(11, 22), (21, 22), (16, 32), (11, 42), (21, 42)]


def test_a_margin_and_the_strict_rule_are_obeyed_and_recorded(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1)), frame_with((40, 30, 20, 40, 0.9))])
    options = Options(min_confidence=0.99, margin=0, rescue=False)
    crop_faces("a", tmp_path, PatchDetector(), options)
    (record,) = read_faces_json(tmp_path / "a")
    assert record["crop"] == record["box"] == [40, 30, 20, 40]
    assert json.loads((tmp_path / "a" / "faces.json").read_text())["options"] == asdict(options)


def test_a_new_run_leaves_no_crop_of_the_older_one(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1), (100, 30, 10, 20, 1))] * 3)
    crop_faces("a", tmp_path, PatchDetector(), Options())
    assert len(crop_names(tmp_path, "a")) == 6
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1))])
    crop_faces("a", tmp_path, PatchDetector(), Options())
    assert crop_names(tmp_path, "a") == ["a-000-00.png"]
    assert len(read_faces_json(tmp_path / "a")) == 1


def test_a_video_without_a_face_is_a_problem_and_leaves_no_older_crops(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1))])
    crop_faces("a", tmp_path, PatchDetector(), Options())
    write_frames(tmp_path, "a", [frame_with()])
    outcome = crop_faces("a", tmp_path, PatchDetector(), Options())
    assert outcome.count == 0 and "no face" in outcome.problem
    assert crop_names(tmp_path, "a") == [] and read_faces_json(tmp_path / "a") == []


def test_a_damaged_frame_is_named(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1))] * 2)
    (tmp_path / "a" / "a-001.png").write_bytes(b"half")
    with pytest.raises(VideoError, match=r"a-001\.png"):
        crop_faces("a", tmp_path, PatchDetector(), Options())


def test_files_that_are_no_crops_are_left_alone(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1))])
    crop_faces("a", tmp_path, PatchDetector(), Options())
    (tmp_path / "a" / "faces" / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises((UserError, VideoError), match=r"notes\.txt"):
        crop_faces("a", tmp_path, PatchDetector(), Options())
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


# marked faces


def test_marked_faces_are_red_at_the_landmarks_and_else_equal(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 20, 60, 60, 1)), frame_with((30, 20, 20, 30, 0.9))])
    crop_faces("a", tmp_path, PatchDetector(), Options())
    assert mark_landmarks("a", tmp_path).count == 2
    assert crop_names(tmp_path, "a", "marked_faces") == crop_names(tmp_path, "a")
    for record in read_faces_json(tmp_path / "a"):
        crop = read_png(tmp_path / "a" / "faces" / record["file"])
        marked = read_png(tmp_path / "a" / "marked_faces" / record["file"])
        assert marked.shape == crop.shape
        points = np.array(landmarks_in_crop(record))
        assert all(tuple(marked[y, x]) == (255, 0, 0) for x, y in points)
        rows, columns = np.nonzero((marked != crop).any(axis=2))
        distance = np.hypot(columns[:, None] - points[:, 0], rows[:, None] - points[:, 1]).min(axis=1)
        assert distance.max() < 5


def test_marking_again_replaces_what_was_marked_before(tmp_path):
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1))] * 2)
    crop_faces("a", tmp_path, PatchDetector(), Options())
    mark_landmarks("a", tmp_path)
    write_frames(tmp_path, "a", [frame_with((40, 30, 20, 40, 1))])
    crop_faces("a", tmp_path, PatchDetector(), Options())
    mark_landmarks("a", tmp_path)
    assert crop_names(tmp_path, "a", "marked_faces") == ["a-000-00.png"]


def test_one_video_whose_crops_are_damaged_does_not_stop_the_marking(tmp_path, capsys):
    for id in ("a", "b"):
        write_frames(tmp_path, id, [frame_with((40, 30, 20, 40, 1))])
        crop_faces(id, tmp_path, PatchDetector(), Options())
    (tmp_path / "a" / "faces" / "a-000-00.png").write_bytes(b"")
    assert mark_all_landmarks(tmp_path) == 0
    assert mark_all_landmarks(tmp_path, strict=True) == 1
    assert crop_names(tmp_path, "b", "marked_faces") == ["b-000-00.png"]
    (row,) = failures(tmp_path)
    assert row[:2] == ("01b", "a") and "a-000-00.png" in row[2]


# what comes first


@pytest.mark.parametrize("work", [lambda folder: crop_all_faces(folder, Options()), mark_all_landmarks])
@pytest.mark.parametrize("exists", [True, False])
def test_a_step_run_before_the_one_it_needs_says_so(tmp_path, work, exists):
    folder = tmp_path if exists else tmp_path / "nothing"
    with pytest.raises(UserError, match=r"run step 0\w+ first"):
        work(folder)


# the real detector


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.mark.slow
def test_frames_without_a_face_of_several_sizes_are_no_error(detector):
    rng = np.random.default_rng(0)
    frames = [np.zeros((90, 120, 3), np.uint8), np.zeros((120, 90, 3), np.uint8)]
    frames += [rng.integers(0, 256, (90, 120, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)]
    assert detector.find(frames) == [[], [], [], []]


@pytest.mark.slow
def test_a_real_clip_has_a_face_in_each_frame_some_of_them_rescued(detector, real_clips, tmp_path):
    video = Video("634", "634.mp4", REAL)
    assert convert_video(video, real_clips, tmp_path, 11).problem is None
    outcome = crop_faces("634", tmp_path, detector, Options())
    faces = read_faces_json(tmp_path / "634")
    assert outcome.count == len(faces) >= 11 and len({face["frame"] for face in faces}) == 11
    rescued = {face["frame"] for face in faces if face["rescued"]}
    assert 1 <= len(rescued) < 11
    assert all((face["confidence"] < 0.95) == face["rescued"] for face in faces)
    assert all(face["confidence"] >= 0.8 for face in faces)
    for face in faces:
        (left_x, left_y), (right_x, _), _, (_, mouth_y), _ = landmarks_in_crop(face)
        assert left_x < right_x and left_y < mouth_y
        assert (np.array(landmarks_in_crop(face)) > 0).all()
    # the strict rule keeps the sure ones only
    crop_faces("634", tmp_path, detector, Options(rescue=False))
    sure = read_faces_json(tmp_path / "634")
    assert [face["file"] for face in sure] == [face["file"] for face in faces if not face["rescued"]]


@pytest.mark.slow
def test_frames_of_two_sizes_get_the_faces_that_each_gets_alone(detector, real_clips, tmp_path):
    convert_video(Video("004", "004.mp4", REAL), real_clips, tmp_path, 2)
    large = read_png(tmp_path / "004" / "004-000.png")
    small = np.ascontiguousarray(large[: large.shape[0] * 9 // 10])
    together = detector.find([large, small, large])
    assert together == [*detector.find([large]), *detector.find([small]), *detector.find([large])]
    assert together[0]


@pytest.mark.slow
def test_a_video_without_a_face_is_listed_beside_the_failures_of_other_steps(real_clips, tmp_path):
    (tmp_path / "clip.mp4").symlink_to(real_clips / "004.mp4")
    make_video(tmp_path / "bars.mp4", frames=2)
    write_metadata(tmp_path, dict.fromkeys(["clip.mp4", "bars.mp4", "gone.mp4"], "REAL"))
    assert convert_videos(tmp_path, k=2) == 0
    assert crop_all_faces(tmp_path, Options(), strict=True) == 1
    assert [row[:2] for row in failures(tmp_path)] == [("00", "gone"), ("01a", "bars")]
    assert "no face" in failures(tmp_path)[1][2]
    assert len(read_faces_json(tmp_path / "clip")) >= 2

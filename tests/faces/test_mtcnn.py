"""The detector finds the same faces as the `mtcnn` package, in frames of any size."""

from collections.abc import Sequence

import numpy as np
import pytest

from deepfake.faces.mtcnn import Detections, Mtcnn
from deepfake.frames.png import read_png
from deepfake.frames.read import read_video
from deepfake.sample.dataset import draw_dataset
from deepfake.sample.scenes import Plan, Scene

pytestmark = pytest.mark.slow

SURE = 0.95


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return Mtcnn()


@pytest.fixture(scope="module")
def two_people() -> np.ndarray:
    plan = Plan(originals=2, seed=0, width=400, height=200, seconds=0.1, fps=10, people=2, fakes=1)
    return next(Scene(plan, 0).frames())


def overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of n x 4 and m x 4 boxes (left, top, right, bottom): n x m."""
    shared = np.minimum(some[:, None, 2:], others[:, 2:]) - np.maximum(some[:, None, :2], others[:, :2])
    shared = np.maximum(shared, 0).prod(axis=2)
    areas, other_areas = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (some, others))
    return shared / (areas[:, None] + other_areas - shared)


def package_finds(frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Boxes (left, top, right, bottom), landmarks and confidences by the package, a frame at a time."""
    from mtcnn import MTCNN

    package = MTCNN()
    found = []
    for frame in frames:
        faces = package.detect_faces(frame, box_format="xyxy")
        names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        found.append(
            (
                np.array([face["box"] for face in faces], float).reshape(-1, 4),
                np.array([[face["keypoints"][name] for name in names] for face in faces], float).reshape(-1, 5, 2),
                np.array([face["confidence"] for face in faces], float),
            )
        )
    return found


def check_agreement(detector: Mtcnn, frames: Sequence[np.ndarray]) -> None:
    best, false, distances, differences = [], 0, [], []
    for (boxes, landmarks, confidences), ours in zip(package_finds(frames), detector.detect(frames), strict=True):
        shared = overlaps(boxes, ours.boxes)
        best += shared.max(axis=1, initial=0)[confidences >= SURE].tolist()
        false += int((shared.max(axis=0, initial=0)[ours.confidences >= SURE] == 0).sum())
        for face in np.nonzero((confidences >= SURE) & (shared.max(axis=1, initial=0) >= 0.7))[0]:
            same = shared[face].argmax()
            width = boxes[face, 2] - boxes[face, 0]
            distances.append(np.linalg.norm(landmarks[face] - ours.landmarks[same], axis=1).mean() / width)
            differences.append(abs(confidences[face] - ours.confidences[same]))
    print(
        f"{np.mean(np.array(best) >= 0.7):.4f} of {len(best)} found, mean overlap {np.mean(best):.4f}, {false} false, "
        f"landmarks {np.mean(distances):.4f} of the width apart, confidences {np.mean(differences):.4f}"
    )
    assert len(best) >= 0.8 * len(frames)
    assert np.mean(np.array(best) >= 0.7) >= 0.99
    assert np.mean(best) >= 0.9
    assert false <= 0.01 * len(best)
    assert np.mean(distances) <= 0.05
    assert np.mean(differences) <= 0.02


def test_the_faces_of_drawn_people_are_those_that_the_package_finds(detector, tmp_path):
    draw_dataset(tmp_path, originals=3, seconds=0.1, workers=1, quiet=True)
    check_agreement(detector, [read_video(path, 1)[0][0].image for path in sorted(tmp_path.glob("*.mp4"))])


def test_the_faces_in_real_clips_are_those_that_the_package_finds(detector, real_work):
    check_agreement(detector, [read_png(path) for path in sorted(real_work.glob("*/*-005.png"))])


def check_form(found: Detections, frame: np.ndarray, count: int) -> None:
    height, width = frame.shape[:2]
    assert found.boxes.shape == (count, 4)
    assert found.landmarks.shape == (count, 5, 2)
    assert found.confidences.shape == (count,)
    assert (found.boxes >= 0).all() and (found.boxes < (width, height, width, height)).all()
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert ((found.confidences >= 0.8) & (found.confidences <= 1)).all()


def test_both_faces_of_a_frame_are_found_with_their_landmarks_inside(detector, two_people):
    (found,) = detector.detect([two_people])
    check_form(found, two_people, count=2)
    assert (found.confidences >= SURE).all()
    assert sorted(found.boxes[:, 0] > 200) == [False, True]
    for (left, top, right, bottom), landmarks in zip(found.boxes, found.landmarks, strict=True):
        left_eye, right_eye, nose, mouth_left, mouth_right = landmarks
        assert ((landmarks > (left, top)) & (landmarks < (right, bottom))).all()
        assert left_eye[0] < nose[0] < right_eye[0] and mouth_left[0] < mouth_right[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


NO_FACE = {
    "black": np.zeros((90, 120, 3), np.uint8),
    "black portrait": np.zeros((120, 90, 3), np.uint8),
    "white": np.full((240, 320, 3), 255, np.uint8),
    "grain": np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8),
    "tiny": np.zeros((8, 8, 3), np.uint8),
    "a pixel": np.zeros((1, 1, 3), np.uint8),
    "a line": np.zeros((1, 990, 3), np.uint8),
}


@pytest.mark.parametrize("name", NO_FACE)
def test_a_frame_without_a_face_has_none_whatever_its_size(detector, name):
    (found,) = detector.detect([NO_FACE[name]])
    check_form(found, NO_FACE[name], count=0)


@pytest.mark.parametrize("side", [9, 11, 12, 13, 16, 19, 23, 31, 47])
def test_frames_about_as_small_as_the_smallest_face_are_no_error(detector, side):
    grain = np.random.default_rng(side).integers(0, 256, (side, 2 * side, 3), np.uint8)
    for frame in (grain, np.ascontiguousarray(grain.transpose(1, 0, 2))):
        (found,) = detector.detect([frame])
        check_form(found, frame, count=0)


def test_no_frames_are_no_error(detector):
    assert detector.detect([]) == []


def test_frames_of_different_sizes_get_the_faces_that_each_gets_alone(detector, two_people):
    frames = [two_people, *NO_FACE.values(), np.ascontiguousarray(two_people[:180, :210]), two_people]
    together = detector.detect(frames)
    assert len(together) == len(frames)
    for frame, found in zip(frames, together, strict=True):
        (alone,) = detector.detect([frame])
        # patches of several frames go through the networks together, which can change the last bits
        np.testing.assert_allclose(found.boxes, alone.boxes, rtol=0, atol=1e-3)
        np.testing.assert_allclose(found.landmarks, alone.landmarks, rtol=0, atol=1e-3)
        np.testing.assert_allclose(found.confidences, alone.confidences, rtol=0, atol=1e-5)
    assert [len(found.boxes) for found in together] == [2, *[0] * len(NO_FACE), 1, 2]


def test_a_face_in_a_very_large_frame_is_found_where_it_is(detector, two_people):
    frame = np.full((1426, 2534, 3), 90, np.uint8)
    frame[1200:1400, 2100:2500] = two_people
    (found,) = detector.detect([frame])
    check_form(found, frame, count=2)
    (alone,) = detector.detect([two_people])
    moved = alone.boxes + (2100, 1200, 2100, 1200)
    assert (overlaps(moved, found.boxes).max(axis=1) >= 0.7).all()

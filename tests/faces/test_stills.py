"""Still images: drawn photographs on drawn walls, and drawn people who hardly move."""

import io
from collections.abc import Sequence
from dataclasses import astuple

import av
import numpy as np
import pytest

from deepfake.faces.stills import find_stills
from deepfake.sample.placing import Pose
from deepfake.sample.scenes import Plan, Scene

pytestmark = pytest.mark.slow

PLAN = Plan(originals=4, seed=3, width=480, height=270, seconds=5.5, fps=2, people=1, fakes=1)
FRAMES = PLAN.frames  # 11, half a second apart
PHOTO = (20, 40)  # its left and top corner
QUIET = 0.1  # of a drawn person's usual movement: about a pixel
CALM = [(1.0, 0.0)] * FRAMES  # eyes open, mouth closed

Box = tuple[int, int, int, int]


def head(pose: Pose) -> Box:
    """About the box that a detector gives to a drawn face."""
    r = PLAN.radius
    return round(pose.x - 0.65 * r), round(pose.y - 1.6 * r), round(1.3 * r), round(1.65 * r)


def sitting(
    index: int, share: float = QUIET, faces: list[tuple[float, float]] | None = None
) -> tuple[list[np.ndarray], Box]:
    """The frames of a drawn person who moves by a share of what is usual, before a standing camera, and the mean box.

    `faces` says how far eyes and mouth are open in each frame; else the person blinks and speaks.
    """
    scene = Scene(PLAN, index)
    scene.drift *= 0
    poses = np.array([astuple(pose) for pose in scene.poses[0]])
    mean = poses.mean(axis=0)
    quiet = mean + share * (poses - mean)
    quiet[:, 6:8] = faces or poses[:, 6:8]
    scene.poses = [[Pose(*row) for row in quiet.tolist()]]
    return list(scene.frames()), head(Pose(*mean))


def with_photo(frames: Sequence[np.ndarray]) -> tuple[list[np.ndarray], Box]:
    """The frames with a photograph of a drawn person on the wall, and the box of its face."""
    drawn, (x, y, width, height) = sitting(2, 0)
    edge = 20
    photo = drawn[0][y - edge : y + height + edge, x - edge : x + width + edge]
    left, top = PHOTO
    hung = [frame.copy() for frame in frames]
    for frame in hung:
        frame[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    return hung, (left + edge, top + edge, width, height)


def filmed(frames: Sequence[np.ndarray], crf: int = 24, noise: float = 2.0) -> list[np.ndarray]:
    """The frames as a noisy camera and H.264 leave them; each is filmed twice, which encoders make use of."""
    rng, file = np.random.default_rng(crf), io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in (frame for frame in frames for _ in range(2)):
            noisy = np.clip(frame + rng.normal(0, noise, frame.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][1::2]


def jittered(box: Box, seed: int = 0) -> list[tuple[int, ...]]:
    """A box in each frame, as a detector that noise misleads by a pixel gives it."""
    return [tuple(np.add(box, move).tolist()) for move in np.random.default_rng(seed).integers(0, 2, (FRAMES, 4))]


def stills(frames: Sequence[np.ndarray], *boxes: Box) -> set[int]:
    """Which of the people at some places are stills."""
    faces = list(zip(*(jittered(box, seed) for seed, box in enumerate(boxes)), strict=True))
    return find_stills(frames, faces, [list(range(len(boxes)))] * FRAMES)


@pytest.fixture(scope="module")
def room():
    """A person who hardly moves, a photograph beside, and the boxes of both faces."""
    frames, person = sitting(3)
    frames, photo = with_photo(frames)
    return frames, person, photo


@pytest.mark.parametrize(("crf", "noise"), [(20, 0), (24, 2), (24, 5), (30, 2)])
def test_a_photograph_is_a_still_but_a_quiet_person_is_not(room, crf, noise):
    frames, person, photo = room
    assert stills(filmed(frames, crf, noise), person, photo) == {1}


@pytest.mark.parametrize("index", range(2))
@pytest.mark.parametrize("faces", [None, CALM])
def test_people_who_hardly_move_are_no_stills(index, faces):
    frames, person = sitting(index, faces=faces)
    assert stills(filmed(frames), person) == set()


@pytest.mark.parametrize("change", [(0.0, 0.0), (1.0, 0.4)])
def test_one_blink_or_one_word_tells_a_person_from_a_picture(change):
    frozen, person = sitting(3, share=0, faces=CALM)
    assert stills(filmed(frozen), person) == {0}
    frames, person = sitting(3, share=0, faces=[*CALM[1:], change])
    assert stills(filmed(frames), person) == set()


def test_light_that_changes_does_not_hide_a_still(room):
    frames, person, photo = room
    light = 0.8 + 0.1 * np.sin(np.arange(FRAMES))
    changing = [(level * frame + 20 * level).astype(np.uint8) for level, frame in zip(light, frames, strict=True)]
    assert stills(filmed(changing), person, photo) == {1}


def test_with_a_moving_camera_nobody_is_a_still(room):
    frames, person, photo = room
    moved = [np.roll(frame, move % 3, axis=1) for move, frame in enumerate(frames)]
    assert stills(filmed(moved), person, photo) == set()


def test_a_face_whose_box_moves_is_none(room):
    frames, _, (x, y, width, height) = room
    faces = [[(x + 2 * frame, y, width, height)] for frame in range(FRAMES)]
    assert find_stills(filmed(frames), faces, [[0]] * FRAMES) == set()


def test_faces_seen_seldom_or_without_background_are_no_stills(room):
    frames, _, photo = room
    frames = filmed(frames)
    for seen in range(4):
        faces, people = [[photo]] * seen + [[]] * (FRAMES - seen), [[0]] * seen + [[]] * (FRAMES - seen)
        assert find_stills(frames, faces, people) == set()
    assert find_stills(frames, [[photo]] * 4 + [[]] * (FRAMES - 4), [[0]] * 4 + [[]] * (FRAMES - 4)) == {0}
    x, y, width, height = photo
    close = [frame[y : y + height, x : x + width] for frame in frames]
    assert stills(close, (0, 0, width, height)) == set()
    assert find_stills([], [], []) == set()

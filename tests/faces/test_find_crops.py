"""Which faces of a video are used: upright, large enough, and no photographs."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_stills import filmed, sitting, with_photo

from deepfake.core.crop_rule import CropRule
from deepfake.core.labels import REAL
from deepfake.datasets.video import Video
from deepfake.faces.crop import find_again, find_faces, overlap
from deepfake.faces.files import crop_frames, crop_video
from deepfake.faces.find_crops import SMALL, STILL, crop_faces, look_at
from deepfake.faces.records import read_faces_json
from deepfake.frames.decoding import Frame, to_standard_size, turn
from deepfake.frames.files import convert_video, read_frame
from deepfake.frames.read import read_video
from deepfake.report.result import ModelCard
from deepfake.sample.dataset import write_video
from deepfake.sample.scenes import Plan, Scene
from deepfake.scanning.classifier import Classifier
from deepfake.scanning.evidence import gather
from deepfake.scanning.outputs import line_of
from deepfake.scanning.scan import Options, scan_file

pytestmark = pytest.mark.slow

PLAN = Plan(originals=25, seed=7, width=384, height=216, seconds=0.4, fps=10, people=1, fakes=1)
CARD = ModelCard("brightness", "none", 16, threshold=0.5, bands={}, temperature=1.0, sample_only=False)
CLASSIFIER = Classifier(CARD, None, lambda images: (images.mean((1, 2, 3))[:, None] / 255, None))


def frame_of(full: np.ndarray) -> Frame:
    """A full frame as decoding gives it."""
    image, scale = to_standard_size(full)
    return Frame(0, 0.0, scale, image, lambda: full)


def call(shrunk: float, frames: int = 2) -> list[np.ndarray]:
    """A call of 5 x 5 drawn people at 1080p, each smaller than its tile by a factor."""
    scenes = [list(Scene(PLAN, index).frames()) for index in range(25)]
    whole = []
    for number in range(frames):
        tiles = []
        for frames_of_one in scenes:
            small = cv2.resize(frames_of_one[number % PLAN.frames], None, fx=1 / shrunk, fy=1 / shrunk, interpolation=3)
            tile = np.full((216, 384, 3), 90, np.uint8)
            tile[: small.shape[0], : small.shape[1]] = small
            tiles.append(tile)
        whole.append(np.vstack([np.hstack(tiles[row : row + 5]) for row in range(0, 25, 5)]))
    return whole


@pytest.fixture(scope="module")
def one() -> np.ndarray:
    """A frame of one drawn person, 960 x 540, with a face of some 120 pixels."""
    plan = Plan(originals=2, seed=1, width=960, height=540, seconds=0.1, fps=10, people=1, fakes=1)
    return next(Scene(plan, 0).frames())


def both_ways(path: Path, tmp_path: Path, rule: CropRule) -> dict:
    """The faces.json of a video by steps 00 and 01a, after seeing that one pass has the same."""
    video, (two, one) = Video(path.stem, path.name, REAL), (tmp_path / "two", tmp_path / "one")
    convert_video(video, path.parent, two, rule.frames)
    assert crop_frames(path.stem, two, rule).count == crop_video(video, path.parent, one, rule).count
    records = [(folder / path.stem / "faces.json").read_bytes() for folder in (two, one)]
    assert records[0] == records[1]
    return json.loads(records[0])


# small faces


def test_faces_that_are_too_small_are_listed_but_not_used(tmp_path):
    write_video(tmp_path / "call.mp4", call(shrunk=2), 10)
    result = scan_file(tmp_path / "call.mp4", "call", CLASSIFIER, Options(workers=0))
    assert (result.verdict, result.faces) == ("UNKNOWN", ()) and len(result.not_judged) > 40
    sides = sorted(face.side for face in result.not_judged)
    assert sides[-1] < 40 and result.reason == f"faces too small: {sides[0]} to {sides[-1]} pixels"
    assert {face.why for face in result.not_judged} == {SMALL}
    everyone = scan_file(tmp_path / "call.mp4", "call", CLASSIFIER, Options(CropRule(min_face_pixels=0), workers=0))
    assert len(everyone.faces) == len(sides) and not everyone.not_judged
    recorded = both_ways(tmp_path / "call.mp4", tmp_path, CropRule(frames=2))
    assert recorded["faces"] == [] and all(face["side"] < 40 for face in recorded["left_out"])


def test_a_small_face_beside_a_large_one_is_left_out_alone(one):
    small = cv2.resize(one, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    frame = np.concatenate([one, np.full((140, 960, 3), 90, np.uint8)])
    frame[-small.shape[0] :, : small.shape[1]] = small
    look = crop_faces([frame_of(frame)] * 3, CropRule(min_face_pixels=60))
    assert len(look.crops) == 3 and {crop.side >= 60 for crop in look.crops} == {True}
    assert [(face.number, face.why) for face in look.left_out] == [(number, SMALL) for number in range(3)]


def test_a_small_face_is_detected_again_in_the_full_frame(one):
    full = np.full((1080, 1920, 3), 120, np.uint8)
    small = cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    full[400 : 400 + small.shape[0], 900 : 900 + small.shape[1]] = small
    frame = frame_of(full)
    (found,) = find_faces([frame.image])
    (again,), (truth,) = find_again(frame, found), find_faces([full])[0]
    assert min(again.box[2:]) < 40 and again != found[0]
    assert overlap(tuple(round(value / frame.scale) for value in again.box), truth.box) > 0.75
    assert find_again(replace(frame, make_full=None), found) is None  # and told of, not passed over
    look = crop_faces([replace(frame, make_full=None)], CropRule())
    assert len(look.crops) == 1 and "run step 00 again" in look.problem


# full frames


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (640, 360), (240, 136)])
def test_crops_from_full_frames_show_the_same_area_at_full_size(one, size):
    full = cv2.resize(one, size, interpolation=cv2.INTER_AREA)
    frame = frame_of(full)
    standard, whole = (crop_faces([frame], CropRule(crops_from=of, min_face_pixels=0)) for of in ("standard", "full"))
    (crop,), (other,) = standard.crops, whole.crops
    assert (crop.face, crop.crop) == (other.face, other.crop)
    height, width = crop.pixels.shape[:2]
    assert other.pixels.shape[:2] == pytest.approx((height / frame.scale, width / frame.scale), abs=1.6)
    alike = cv2.resize(other.pixels, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(alike.astype(float) - crop.pixels).mean() < 6


# photographs


def test_a_photograph_is_not_used_unless_it_is_alone():
    frames = with_photo(sitting(0)[0])[0]
    look = crop_faces([frame_of(frame) for frame in filmed(frames)], CropRule())
    assert {face.why for face in look.left_out} == {STILL} and len(look.left_out) >= 8
    assert {crop.person for crop in look.crops} == {0} and not any(crop.still for crop in look.crops)
    x, _, width, _ = look.left_out[0].box
    assert all(abs(crop.face.box[0] - x) > width for crop in look.crops)
    alone = [frame[:, :240] for frame in filmed(frames)]
    look = crop_faces([frame_of(np.ascontiguousarray(frame)) for frame in alone], CropRule(min_face_pixels=0))
    assert look.crops and all(crop.still for crop in look.crops) and not look.left_out


# turned videos


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_video_is_read_upright_by_both_ways_and_says_so(one, tmp_path, quarters):
    small = cv2.resize(one, (480, 270), interpolation=cv2.INTER_AREA)
    write_video(tmp_path / "clip.mp4", [turn(small, quarters)] * 12, 10)
    write_video(tmp_path / "upright.mp4", [small] * 12, 10)
    recorded = both_ways(tmp_path / "clip.mp4", tmp_path, CropRule(frames=3))
    assert recorded["turned"] == 90 * quarters and len(recorded["faces"]) == 3
    upright = gather(tmp_path / "upright.mp4", CropRule(frames=3))
    found = gather(tmp_path / "clip.mp4", CropRule(frames=3))
    assert [face.box for face in found.faces] == [pytest.approx(face.box, abs=4) for face in upright.faces]
    result = scan_file(tmp_path / "clip.mp4", "clip", CLASSIFIER, Options(CropRule(frames=3), workers=0))
    assert f"turned by {90 * quarters} degrees" in line_of(result, CARD) and result.turned == 90 * quarters
    faces = read_faces_json(tmp_path / "two" / "clip")
    shown = read_frame(tmp_path / "two" / "clip", faces.faces[0]["index"], faces.turned)
    assert shown.shape == small.shape


# seldom seen faces


def test_a_face_between_the_usual_frames_is_found_on_the_second_look(one, tmp_path):
    one = cv2.resize(one, (480, 270), interpolation=cv2.INTER_AREA)
    nobody = np.full_like(one, 90)
    # of 45 frames the usual three are 7, 22 and 37; of nine, one is 12
    write_video(tmp_path / "seldom.mp4", [one if 11 <= number <= 13 else nobody for number in range(45)], 10)
    recorded = both_ways(tmp_path / "seldom.mp4", tmp_path, CropRule(frames=3))
    assert recorded["looked_at"] == 9 and [face["index"] for face in recorded["faces"]] == [12]
    write_video(tmp_path / "nobody.mp4", [nobody] * 45, 10)
    found = gather(tmp_path / "nobody.mp4", CropRule(frames=3))
    result = scan_file(tmp_path / "nobody.mp4", "n", CLASSIFIER, Options(CropRule(frames=3), workers=0))
    assert found.frames == 9 and result.reason == "no face in any frame (9 looked at)"


def test_a_small_bystander_does_not_keep_the_second_look_away(one):
    nobody = np.full_like(one, 90)
    nobody[-135:, :240] = cv2.resize(one, (240, 135), interpolation=cv2.INTER_AREA)
    frames = [frame_of(nobody), frame_of(one), frame_of(nobody)]
    look = look_at(frames[:1], CropRule(frames=1, min_face_pixels=60), lambda count: frames)
    assert [crop.number for crop in look.crops] == [1] and {face.why for face in look.left_out} == {SMALL}


def test_more_frames_are_searched_only_if_no_face_was_found(one):
    asked: list[int] = []

    def more(count: int) -> list[Frame]:
        asked.append(count)
        return [frame_of(one)] * count

    assert look_at([frame_of(one)], CropRule(frames=1), more).crops and asked == []
    assert len(look_at([frame_of(np.full_like(one, 90))], CropRule(frames=1), more).frames) == 3 and asked == [3]


def test_real_clips_have_the_same_crops_in_all_four_turns(real_clips):
    for name in ("004", "brtujopkby"):
        frames = read_video(real_clips / f"{name}.mp4", 2)[0]
        upright = crop_faces(frames, CropRule(frames=2))
        assert upright.turned == 0 and len(upright.crops) >= 2
        for quarters in (1, 2, 3):
            look = crop_faces([frame.turned(quarters) for frame in frames], CropRule(frames=2))
            assert look.turned == 90 * quarters and len(look.crops) == len(upright.crops)
            for crop, other in zip(look.crops, upright.crops, strict=True):
                assert crop.crop == other.crop and np.array_equal(crop.pixels, other.pixels)

import cv2
import numpy as np
import pandas as pd
import pytest

from deepfake.core.errors import UserError
from deepfake.core.files import write_json
from deepfake.datasets.video import Video
from deepfake.explore.video_stats import RULES, describe, fakes_of_originals, find_outliers, look_at, look_at_all
from deepfake.faces.crop import LANDMARKS
from deepfake.frames.png import write_png


def write_faces(work_dir, id, frames=4, luma=120, side=100, people=1, rescued=False, of=4, shape=None):
    """Grey crops of the first `frames` of `of` frames, and the faces.json of step 01a."""
    faces = []
    for frame in range(frames):
        for person in range(people):
            name = f"{id}-{frame:03d}-{person:02d}.png"
            write_png(work_dir / id / "faces" / name, np.full((side + 20, side, 3), luma, np.uint8))
            left = 200 * person
            face = {"file": name, "crop": [left, 0, side, side + 20], "box": [left, 0, side, side]}
            face |= {"landmarks": {point: [left + 9, 9] for point in LANDMARKS}, "person": str(person)}
            faces.append(face | {"confidence": 0.9 if rescued else 0.99, "rescued": rescued})
    (work_dir / id).mkdir(exist_ok=True)
    write_json(work_dir / id / "faces.json", {"video": {"frames": 99}, "options": {"frames": of}, "faces": faces})


# what is done to a video, and the reasons for which it is then listed
DEFECTS = {
    "good": ({}, []),
    "dark": ({"luma": 20}, ["too dark"]),
    "bright": ({"luma": 250}, ["too bright"]),
    "empty": ({"frames": 0}, ["no face"]),
    "rare": ({"of": 11}, ["few frames with a face"]),
    "tiny": ({"side": 40}, ["tiny crops"]),
    "crowd": ({"people": 4}, ["many faces"]),
    "unsure": ({"rescued": True}, ["unsure detections"]),
    "worst": ({"luma": 20, "side": 40}, ["tiny crops", "too dark"]),
}


@pytest.mark.parametrize(("options", "reasons"), DEFECTS.values(), ids=list(DEFECTS))
def test_each_rule_finds_its_defect_and_no_other(tmp_path, options, reasons):
    write_faces(tmp_path, "a", **options)
    outliers = find_outliers(pd.DataFrame([look_at(Video("a", "a.mp4", 1), tmp_path)]))
    assert outliers["reason"].tolist() == reasons
    assert set(outliers["video"]) <= {"a"}


def test_every_rule_has_a_case():
    tried = {reason for _, reasons in DEFECTS.values() for reason in reasons} | {"damaged files"}
    assert tried == {rule.reason for rule in RULES}


def test_the_facts_are_those_of_the_files(tmp_path):
    write_faces(tmp_path, "a", frames=3, luma=77, side=90, people=2)
    facts = look_at(Video("a", "a.mp4", 0, method="seam"), tmp_path)
    assert (facts.video, facts.label, facts.method) == ("a", 0, "seam")
    assert (facts.frames, facts.frames_with_face, facts.faces, facts.people) == (4, 3, 6, 2)
    assert (facts.share_with_face, facts.faces_a_frame, facts.crop_side) == (0.75, 2, 90)
    assert facts.luma == pytest.approx(77) and facts.confidence == pytest.approx(0.99)
    assert facts.share_rescued == 0 and facts.damaged == 0


def test_a_damaged_crop_costs_itself_only(tmp_path):
    write_faces(tmp_path, "a", luma=80)
    (tmp_path / "a" / "faces" / "a-000-00.png").write_bytes(b"no image")
    (tmp_path / "a" / "faces" / "a-001-00.png").unlink()
    facts = look_at(Video("a", "a.mp4", 1), tmp_path)
    assert facts.damaged == 2 and facts.luma == pytest.approx(80) and facts.faces == 4


@pytest.mark.parametrize(
    "content", ['{"faces": [', "[]", '{"faces": [{"file": "a-000-00.png"}]}', "{}", '{"faces": []}']
)
def test_a_damaged_faces_json_costs_its_video_only(tmp_path, content):
    for id in "ab":
        write_faces(tmp_path, id)
    (tmp_path / "a" / "faces.json").write_text(content)
    facts = look_at_all([Video("a", "a.mp4", 1), Video("b", "b.mp4", 0)], tmp_path, quiet=True)
    assert find_outliers(facts)[["video", "reason"]].values.tolist() == [["a", "damaged files"]]
    assert facts["faces"].tolist()[1] == 4


def test_a_video_that_step_01a_has_not_been_through_is_no_outlier(tmp_path):
    write_faces(tmp_path, "a")
    videos = [Video("a", "a.mp4", 1), Video("b", "b.mp4", 0)]
    facts = look_at_all(videos, tmp_path, quiet=True)
    assert find_outliers(facts).empty
    assert "without faces.json: 1 (b ...)" in describe(videos, facts, find_outliers(facts))


def test_a_dataset_before_step_01a_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="run steps 00 and 01a"):
        look_at_all([Video("a", "a.mp4", 1)], tmp_path, quiet=True)


def test_fakes_are_counted_by_original_listed_or_not():
    videos = [Video("a", "", 1), Video("b", "", 1), Video("c", "", 0, "a"), Video("d", "", 0, "z"), Video("e", "", 0)]
    assert fakes_of_originals(videos) == {"a": 1, "b": 0, "z": 1}
    assert fakes_of_originals(videos[1:2]) == {"b": 0}


def test_number_size_and_brightness_of_external_crops_are_known(tmp_path):
    for name, luma in (("a/1.png", 60), ("a/2.jpg", 80), ("b.png", 20)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((90, 70, 3), luma, np.uint8))
    (tmp_path / "a" / "3.jpg").write_bytes(b"no image")
    videos = [Video("a", "a", 1), Video("b", "b.png", 0, method="swap")]
    facts = look_at_all(videos, tmp_path, quiet=True, crops_of_others=True)
    assert facts[["video", "faces", "crop_side", "damaged"]].values.tolist() == [["a", 3, 70, 1], ["b", 1, 70, 0]]
    assert facts["luma"].tolist() == pytest.approx([70, 20], abs=1)
    outliers = find_outliers(facts)
    assert outliers[["video", "reason"]].values.tolist() == [["a", "damaged files"], ["b", "too dark"]]
    text = describe(videos, facts, outliers)
    assert "too dark" in text and "unsure detections" not in text and "01a" not in text

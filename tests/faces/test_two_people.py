"""One swapped face of two people: the aggregate per-face finds it, the mean does not."""

import numpy as np
import pytest

from deepfake.core.crop_rule import CropRule
from deepfake.core.decision import is_real
from deepfake.core.naming import frame_name, parse_crop_name
from deepfake.datasets.registry import read_dataset
from deepfake.faces.files import crop_all_frames
from deepfake.faces.records import read_faces_json
from deepfake.frames.files import convert_videos
from deepfake.frames.png import read_png
from deepfake.jobs.work import Run
from deepfake.sample.dataset import draw_dataset
from deepfake.verdicts.combining import combine, means_by_person


def changed(folder, id, original, face):
    """Whether a face differs from the original video at the same place."""
    (x, y, w, h), (_, number, _) = face["box"], parse_crop_name(face["file"])
    one, other = (read_png(folder / each / frame_name(each, number)).astype(int) for each in (id, original))
    return np.abs(one - other)[max(0, y) : y + h, max(0, x) : x + w].mean() > 3


@pytest.mark.slow
def test_per_face_finds_one_swapped_face_of_two_and_mean_does_not(tmp_path):
    draw_dataset(tmp_path, originals=3, fakes=1, size=(400, 212), seconds=0.2, people=2, workers=1, quiet=True)
    convert_videos(tmp_path, 3, Run("00", "frames", tmp_path, quiet=True))
    crop_all_frames(CropRule(), Run("01a", "faces", tmp_path, quiet=True))
    for video in read_dataset(tmp_path):
        faces = read_faces_json(tmp_path / video.id).faces
        # as a detector that compares with the original
        fake = [bool(video.original) and changed(tmp_path, video.id, video.original, face) for face in faces]
        p_real = np.where(fake, 0.1, 0.95)
        frames, people = zip(*((face["frame"], face["person"]) for face in faces), strict=True)
        assert len(means_by_person(p_real, frames, people)) == 2
        assert is_real(combine(p_real, frames, people, "per-face")) == video.label
        assert is_real(combine(p_real, frames, people, "mean"))

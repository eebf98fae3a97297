"""Read FakeAVCeleb, whose folders say whether the video and the voice are fake."""

import re
from pathlib import Path

from deepfake.core.labels import FAKE, REAL
from deepfake.core.messages import log
from deepfake.datasets.listing import find_videos, subfolders
from deepfake.datasets.video import Record, Video, check_name, to_videos

FAKEAVCELEB = {  # folders and their labels, which ignore the voice
    "realvideo-realaudio": REAL,
    "realvideo-fakeaudio": REAL,
    "fakevideo-realaudio": FAKE,
    "fakevideo-fakeaudio": FAKE,
}
IDENTITY = re.compile(r"id\d+")


def is_fakeavceleb(videos_dir: Path) -> bool:
    """Whether a folder holds FakeAVCeleb, with at least one folder of each label."""
    labels = {FAKEAVCELEB.get(folder.name.lower()) for folder in subfolders(videos_dir)}
    return {REAL, FAKE} <= labels


def read_fakeavceleb(videos_dir: Path) -> list[Video]:
    """Read FakeAVCeleb (Khalid et al., NeurIPS 2021): `FakeVideo-RealAudio/African/men/id00076/00109_id00166.mp4`.

    The identities in a video's folder and name are its ties. Labels are for the picture, not the voice; a message
    says so.
    """
    records = []
    for folder in subfolders(videos_dir):
        label = FAKEAVCELEB.get(folder.name.lower())
        if label is None:
            continue
        for path in find_videos(folder):
            file = path.relative_to(videos_dir).as_posix()
            check_name(file, videos_dir)
            method, ties = folder.name if label == FAKE else None, tuple(dict.fromkeys(IDENTITY.findall(file)))
            records.append(Record(file, label, str(videos_dir), method=method, ties=ties))
    log.info(
        "FakeAVCeleb: labels are for the picture; RealVideo-FakeAudio, where only the voice is fake, counts as real"
    )
    return to_videos(records)

"""File types are detected from content, not names; the page accepts everything that a scan reads."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pytest
from conftest import make_video
from PIL import Image

from deepfake.core.crop_rule import CropRule
from deepfake.frames.choose import choose_frames
from deepfake.frames.content import HEAD, is_picture, suffix_of
from deepfake.frames.decoding import read_packets
from deepfake.report.result import Evidence
from deepfake.scanning.evidence import gather, read_image, read_moving_image
from deepfake.web.uploads import RefusedError
from deepfake.web.uploads import suffix_of as suffix_of_upload

pillow_heif.register_heif_opener()  # to write them

RULE = CropRule(frames=2)  # three times as many are looked at, where there is no face
SMALL, FULL = (176, 144), (720, 576)
COLOURS = ((200, 90, 50), (40, 160, 60), (60, 70, 190), (180, 170, 30), (120, 30, 140), (90, 90, 90))
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def pictures() -> list[Image.Image]:
    return [Image.new("RGB", (96, 64), colour) for colour in COLOURS]


def save(path: Path, kind: str, moving: bool = False, **options) -> Path:
    first, *others = pictures()
    options |= {"save_all": True, "append_images": others, "duration": 100} if moving else {}
    first.save(path, kind, **options)
    return path


def colours_in(frames) -> list[tuple[int, ...]]:
    """Which of the colours each frame has; compression changes them a little."""
    return [
        int(np.abs(np.array(COLOURS) - frame.image[len(frame.image) // 2, 48]).sum(axis=1).argmin()) for frame in frames
    ]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "AVIF", "HEIF"])
@pytest.mark.parametrize("name", ["a.HEIC", "a.jpg", "a.mp4"])
def test_a_still_image_is_read_as_one_whatever_it_is_called(tmp_path, kind, name):
    path = save(tmp_path / name, kind)
    assert is_picture(path)
    assert np.abs(read_image(path).image.astype(int) - COLOURS[0]).max() < 8
    found = gather(path, RULE)
    assert isinstance(found, Evidence) and (found.frames, found.seconds) == (1, 0.0)


@pytest.mark.parametrize("name", ["a.jpg", "a.heic"])
def test_a_video_that_is_called_an_image_is_read_as_a_video(tmp_path, name):
    path = make_video(tmp_path / "v.mp4", frames=20).rename(tmp_path / name)
    found = gather(path, RULE)
    assert (found.frames, found.seconds) == (6, 0.8)


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "AVIF", "GIF"])
@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
def test_a_moving_image_is_read_as_a_video_whatever_it_is_called(tmp_path, kind, name):
    path = save(tmp_path / name, kind, moving=True)
    found = gather(path, RULE)
    assert (found.frames, found.seconds, found.problem) == (6, 0.6, None)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_an_animation_gives_the_same_frames_as_a_video(tmp_path, kind):
    path = save(tmp_path / "a", kind, moving=True)
    for k in (1, 2, 4, 9):
        frames, total, problem = read_moving_image(path, k)
        assert (total, problem) == (6, None)
        assert [frame.index for frame in frames] == colours_in(frames) == choose_frames(6, k)
        assert [frame.time for frame in frames] == [index / 10 for index in choose_frames(6, k)]
        assert [colours_in([replace(frame, image=frame.full())])[0] for frame in frames] == colours_in(frames)
    assert colours_in([read_image(path)]) == [0]


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_a_cut_animation_is_read_as_far_as_possible_or_refused(tmp_path, kind):
    data = save(tmp_path / "a", kind, moving=True).read_bytes()
    for share in range(1, 10):
        (tmp_path / "cut").write_bytes(data[: len(data) * share // 10])
        found = gather(tmp_path / "cut", RULE)
        assert found.problem if isinstance(found, Evidence) else re.match("is |has ", str(found)), (share, found)


def test_frames_of_an_uneven_animation_are_chosen_by_time(tmp_path):
    first, *others = pictures()
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=[50, 50, 50, 3000, 50, 50])
    frames, _, _ = read_moving_image(tmp_path / "a.webp", 2)
    assert [frame.index for frame in frames] == [2, 3] or 3 in [frame.index for frame in frames]
    assert frames[0].lasts == pytest.approx(3.25, abs=0.1)


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_a_moving_image_without_its_end_is_said_to_be_truncated(tmp_path, kind):
    data = save(tmp_path / "a", kind, moving=True).read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) * 2 // 3])
    assert "truncated" in gather(tmp_path / "cut", RULE).problem


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_is_read_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pictures()[0].resize((96, 64)).save(tmp_path / "a.tif", exif=exif)
    assert read_image(tmp_path / "a.tif").full().shape == ((64, 96, 3) if orientation == 1 else (96, 64, 3))


def test_an_hdr_image_is_said_to_be_one(tmp_path):
    data = save(tmp_path / "a.avif", "AVIF").read_bytes()
    place = data.index(b"colrnclx") + 8
    (tmp_path / "b.avif").write_bytes(data[: place + 2] + b"\0\x10" + data[place + 4 :])
    assert gather(tmp_path / "a.avif", RULE).problem is None
    assert "HDR" in gather(tmp_path / "b.avif", RULE).problem


def test_a_photo_of_a_phone_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    for kind in ("JPEG", "HEIF", "AVIF"):
        tall = Image.new("RGB", (96, 64), COLOURS[0])
        tall.paste(COLOURS[1], (0, 0, 48, 64))
        tall.save(tmp_path / kind, kind, exif=exif.tobytes())
        image = read_image(tmp_path / kind).full()
        assert image.shape == (96, 64, 3), kind
        assert np.abs(image[10, 32].astype(int) - COLOURS[1]).max() < 25, kind


@pytest.mark.parametrize(("kind", "called"), [("HEIF", "a HEIC"), ("AVIF", "an AVIF")])
def test_an_unreadable_phone_image_is_named_with_the_remedy(tmp_path, kind, called):
    path = save(tmp_path / "photo.jpg", kind)
    path.write_bytes(path.read_bytes()[:100])
    reason = str(gather(path, RULE))
    assert f"is {called} image (though named .jpg)" in reason and "save it as JPEG or PNG" in reason
    assert "called" not in str(gather(path.rename(tmp_path / "photo.heic"), RULE))


def test_without_the_library_of_phone_images_its_name_is_the_reason(tmp_path, monkeypatch):
    path = save(tmp_path / "photo.heic", "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert str(gather(path, RULE)) == "is a HEIC image; to read these: pip install pillow-heif"


def test_brands_distinguish_iso_image_types():
    def head(own: bytes, *others: bytes) -> bytes:
        return (16 + 4 * len(others)).to_bytes(4) + b"ftyp" + own + bytes(4) + b"".join(others) + b"avis"

    assert suffix_of(head(b"mif1", b"miaf", b"heic")) == suffix_of(head(b"heix")) == ".heic"
    assert suffix_of(head(b"mif1", b"avif")) == suffix_of(head(b"avis", b"msf1")) == ".avif"
    assert suffix_of(head(b"msf1", b"hevc")) == suffix_of(head(b"hevc")) == ".mp4"  # moving ones
    assert suffix_of(head(b"isom", b"avc1")) == suffix_of(head(b"qt  ")) == ".mp4"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(("a.mp4", "libx264"), ("a.mov", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.avi", "mpeg4")),
        *(("a.ts", "libx264"), ("a.m2ts", "libx264"), ("a.mpg", "mpeg2video"), ("a.flv", "flv"), ("a.wmv", "wmv2")),
        *(("a.ogv", "libvpx"), ("a.3gp", "mpeg4"), ("a.rm", "rv10"), ("a.gif", "gif"), ("a.asf", "wmv2")),
        *(("a.f4v", "libx264"), ("a.vob", "mpeg2video"), ("a.mxf", "mpeg2video"), ("a.dv", "dvvideo")),
        *(("a.wtv", "mpeg2video"), ("a.nut", "mpeg4"), ("a.y4m", "wrapped_avframe")),
        *(
            ("a.h264", "libx264"),
            ("a.hevc", "libx265"),
            ("a.m2v", "mpeg2video"),
            ("a.h263", "h263"),
            ("a.m1v", "mpeg1video"),
        ),
    ],
)
def test_the_page_accepts_every_file_type_of_a_scan(tmp_path, name, codec):
    options = {"mpegts_m2ts_mode": "1"} if name == "a.m2ts" else {}
    pixels = {"gif": "rgb8"}.get(codec, "yuv420p")
    size = FULL if name in ("a.dv", "a.mxf") else SMALL
    path = make_video(tmp_path / name, frames=12, size=size, codec=codec, pixels=pixels, options=options)
    assert read_packets(path).frames == 12
    assert suffix_of_upload(path.read_bytes()[:HEAD])
    assert not is_picture(path.rename(tmp_path / "a.jpg"))


@pytest.mark.parametrize("box", [b"styp", b"sidx", b"emsg", b"prft", b"uuid"])
def test_a_piece_of_a_live_stream_is_taken(tmp_path, box):
    path = make_video(tmp_path / "a.mp4", options=FRAGMENTED)
    data = path.read_bytes()
    path.write_bytes((24).to_bytes(4) + box + bytes(16) + data[data.index(b"moov") - 4 :])
    assert read_packets(path).frames == 15
    assert suffix_of_upload(path.read_bytes()[:HEAD]) == ".mp4"
    path.write_bytes(data[data.index(b"moof") - 4 :])
    assert "join it to the stream's first file" in str(gather(path, RULE))
    assert suffix_of_upload(path.read_bytes()[:HEAD]) == ".mp4"


@pytest.mark.parametrize("cut", [0, 1, 187, 500, 1000, 5000])
@pytest.mark.parametrize("packet", [188, 192, 204])
def test_a_stream_that_was_cut_anywhere_is_taken(tmp_path, cut, packet):
    data = make_video(tmp_path / "a.ts", frames=60).read_bytes()
    before, after = (bytes(4), b"") if packet == 192 else (b"", bytes(packet - 188))
    packets = [before + data[place : place + 188] + after for place in range(0, len(data), 188)]
    path = tmp_path / "cut.ts"
    path.write_bytes(b"".join(packets)[cut:])
    assert read_packets(path).frames > 40
    assert suffix_of_upload(path.read_bytes()[:HEAD]) == ".ts"


def test_a_program_stream_that_was_cut_is_taken(tmp_path):
    path = make_video(tmp_path / "a.vob", frames=60, codec="mpeg2video")
    path.write_bytes(path.read_bytes()[1000:])
    assert read_packets(path).frames > 40
    assert suffix_of_upload(path.read_bytes()[:HEAD]) == ".mpg"


@pytest.mark.parametrize(
    "head", [b"no video", b"%PDF-1.7", b"PK\3\4", b"#EXTM3U\n", b"G" + bytes(4000), b"ID3" * 1000, b"RIFF....WAVE"]
)
def test_files_that_are_not_videos_are_refused(head):
    assert suffix_of(head) is None
    with pytest.raises(RefusedError, match="not a supported video or image"):
        suffix_of_upload(head)


def test_raw_motion_jpeg_is_a_video(tmp_path):
    path = make_video(tmp_path / "a.mjpeg", codec="mjpeg", pixels="yuvj420p")
    assert not is_picture(path) and av.open(str(path)).format.name == "mjpeg"
    assert gather(path, RULE).frames == 6

"""Display of frames: transparency and interlacing."""

import av
import numpy as np
import pytest
from PIL import Image

from deepfake.frames.decoding import read_frames, read_packets
from deepfake.frames.display import displayed, over_grey
from deepfake.frames.read import INTERLACED, read_video
from deepfake.scanning.evidence import read_image

# transparency

SIZE = 320, 240  # of standard size


def sticker() -> np.ndarray:
    """RGBA: opaque red on the left, half transparent in the middle, and transparent blue on the right."""
    image = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    image[:, :106], image[:, 106:213], image[:, 213:] = (200, 0, 0, 255), (200, 0, 0, 128), (0, 0, 200, 0)
    return image


SEEN = [(200, 0, 0), (164, 64, 64), (128, 128, 128)]


def assert_seen(image: np.ndarray, tolerance: int) -> None:
    assert image.shape == (240, 320, 3)
    assert np.abs(image[120, [50, 160, 270]].astype(int) - SEEN).max() <= tolerance


def write_sticker(path, codec: str, pixels: str, options=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(sticker(), format="rgba")
            container.mux(stream.encode(frame if pixels == "rgba" else frame.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


VPX = {"auto-alt-ref": "0", "cpu-used": "8", "crf": "4", "b": "4M"}
TRANSPARENT = {
    "prores": ("mov", "prores_ks", "yuva444p10le", None),
    "animation": ("mov", "qtrle", "argb", None),
    "png": ("mov", "png", "rgba", None),
    "apng": ("apng", "apng", "rgba", None),
    "ffv1": ("mkv", "ffv1", "bgra", None),
    "vp8": ("webm", "libvpx", "yuva420p", VPX),
    "vp9": ("webm", "libvpx-vp9", "yuva420p", VPX),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparent_video_is_blended_with_mid_grey(tmp_path, name):
    suffix, *how = TRANSPARENT[name]
    path = write_sticker(tmp_path / f"a.{suffix}", *how)
    frames = read_frames(path, [0, 2], read_packets(path))
    assert len(frames) == 2
    for frame in frames:
        assert_seen(frame.image, 4)


@pytest.mark.parametrize(("suffix", "mode"), [("png", "RGBA"), ("webp", "RGBA"), ("png", "LA"), ("png", "P")])
def test_a_transparent_image_is_blended_with_mid_grey(tmp_path, suffix, mode):
    image = Image.fromarray(sticker())
    if mode == "P":
        image = image.quantize(8)
    elif mode == "LA":
        image = image.convert("LA")
    image.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    seen = read_image(tmp_path / f"a.{suffix}").image
    assert np.all(seen[120, 270] == 128)
    if mode == "RGBA":
        assert_seen(seen, 1)


def test_a_gif_with_holes_shows_mid_grey_in_them(tmp_path):
    image = sticker()
    image[:, 106:, 3] = 0
    pictures = [Image.fromarray(image)] * 3
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40, disposal=2)
    (frame,) = read_frames(tmp_path / "a.gif", [0], read_packets(tmp_path / "a.gif"))
    assert np.abs(frame.image[120, [50, 270]].astype(int) - [SEEN[0], SEEN[2]]).max() <= 4


def test_opaque_pixels_are_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.array_equal(over_grey(image, np.full((64, 64), 255, np.uint8)), image)


def test_a_raw_video_that_does_not_use_its_fourth_byte_stays_as_it_is(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 4), np.uint8)
    image[..., 3] = 0
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgra"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgra")))
    (frame,) = read_frames(tmp_path / "a.avi", [0], read_packets(tmp_path / "a.avi"))
    assert np.array_equal(frame.image, image[..., 2::-1])


# interlaced


def interlaced(number: int, size: tuple[int, int]) -> np.ndarray:
    """A red bar on blue that has moved by its own width between the two fields of a frame."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[:] = (40, 40, 200)
    for first, moment in ((0, 2 * number), (1, 2 * number + 1)):
        left = 20 + 24 * moment
        image[first::2, left : left + 24] = (220, 40, 40)
    return image


INTERLACERS = {
    "h264": ("mkv", "libx264", "yuv420p", (320, 240), {"x264-params": "tff=1", "qp": "4"}),
    "h264 in ts": ("ts", "libx264", "yuv420p", (320, 240), {"x264-params": "bff=1", "qp": "4"}),
    "mpeg2": ("mpg", "mpeg2video", "yuv420p", (320, 240), {"flags": "+ildct+ilme", "qscale": "2", "b": "20M"}),
    "dv": ("dv", "dvvideo", "yuv420p", (720, 576), {}),
}


@pytest.mark.parametrize("name", INTERLACERS)
def test_one_field_of_an_interlaced_frame_is_used_with_a_note(tmp_path, name):
    suffix, codec, pixels, size, options = INTERLACERS[name]
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        (stream.width, stream.height), stream.pix_fmt = size, pixels
        for number in range(3):
            rgb = av.VideoFrame.from_ndarray(interlaced(number, size), format="rgb24")
            frame = rgb.reformat(format="yuv444p")
            # colours of each field from its own lines
            planes = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : size[0]] for plane in frame.planes]
            half = [
                chroma[:, ::2].reshape(size[1] // 4, 4, -1)[:, :2].reshape(size[1] // 2, -1) for chroma in planes[1:]
            ]
            packed = np.concatenate([planes[0].ravel(), *(chroma.ravel() for chroma in half)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(packed.reshape(-1, size[0]), format="yuv420p")))
        container.mux(stream.encode())
    frames, total, problem = read_video(path, 3)
    assert total == 3 and problem == INTERLACED and all(frame.interlaced for frame in frames)
    for frame in frames:
        full = frame.full().astype(int)
        assert full.shape[0] == size[1]
        red = full[..., 0] > full[..., 2]
        # every line shows the bar at the place of the upper field, and in its colour
        assert np.all(red[8:-8].mean(axis=0)[[24 + 48 * frame.index + 4]] == 1)
        assert red[8:-8].any(axis=0).sum() <= 30 * full.shape[1] / size[0]


def test_a_field_of_h265_is_a_picture_of_half_the_height(tmp_path):
    width, height = SIZE[0], SIZE[1] // 2
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx265", rate=50, options={"x265-params": "interlace=tff:log-level=none"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        image = np.full((height, width, 3), 40, np.uint8)
        image[: height // 2] = 200
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    (frame,), total, problem = read_video(tmp_path / "a.mkv", 1)
    full = frame.full().astype(int)
    assert (full.shape, total, problem) == ((2 * height, width, 3), 4, INTERLACED)
    assert np.abs(full[4 : height - 4] - 200).max() < 9 and np.abs(full[height + 4 : -4] - 40).max() < 9


def test_a_frame_that_is_not_interlaced_keeps_every_line():
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert np.array_equal(displayed(av.VideoFrame.from_ndarray(image, format="rgb24")), image)


def test_unknown_side_data_does_not_lose_a_frame(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (96, 64), (200, 0, 0)).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.mjpg").write_bytes((tmp_path / "a.jpg").read_bytes() * 3)
    (frame,) = read_video(tmp_path / "a.mjpg", 1)[0]
    assert frame.full().shape == (96, 64, 3)

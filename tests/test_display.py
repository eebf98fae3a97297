"""Frames as a player shows them: mirrored, turned, with square pixels, in colours of SDR, of the right stream."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from deepfake.decoding import claimed_seconds, read_frames, read_packets
from deepfake.display import upright, with_square_pixels
from deepfake.evidence import read_image
from deepfake.frames import choose_frames, choose_shown, read_video

# red, green / blue, white
QUARTERS = np.kron(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]), np.ones((32, 32, 1))).astype(
    np.uint8
)
SKIN = (182, 77, 77)


def frames_of(path, wanted=(0,)):
    return read_frames(path, list(wanted), read_packets(path))


def write(path, image, prepare=lambda stream: None, change=lambda frame: frame, frames=3, codec="libx264", start=0):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p" if codec == "libx264" else "yuv420p"
        stream.codec_context.options = {"qp": "0"} if codec == "libx264" else {}
        prepare(stream)
        for number in range(frames):
            frame = change(av.VideoFrame.from_ndarray(image, format="rgb24"))
            frame.pts, frame.time_base = start + number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# a and d mirror, b and c turn
@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, -1, 1, 0), np.rot90),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda image: np.rot90(image.transpose(1, 0, 2), 2)),
    ],
)
def test_the_whole_display_matrix_is_heeded_mirror_and_turn(tmp_path, matrix, expected):
    a, b, c, d = (value * 65536 for value in matrix)
    path = write(
        tmp_path / "a.mp4", QUARTERS, lambda stream: stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
    )
    (frame,) = frames_of(path)
    assert np.abs(frame.full().astype(int) - expected(QUARTERS)).max() < 6
    assert np.array_equal(upright(QUARTERS, np.array([[a, c], [b, d]])), expected(QUARTERS))


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [(Fraction(64, 45), (64, 91)), (Fraction(8, 9), (72, 64)), (Fraction(1), (64, 64)), (Fraction(99, 1), (64, 64))],
)
def test_pixels_that_are_not_square_become_so_without_a_loss_of_detail(tmp_path, aspect, shape):
    path = write(
        tmp_path / "a.mp4", QUARTERS, lambda stream: setattr(stream.codec_context, "sample_aspect_ratio", aspect)
    )
    (frame,) = frames_of(path)
    assert frame.full().shape[:2] == shape
    assert with_square_pixels(QUARTERS, float(aspect)).shape[:2] == shape


@pytest.mark.parametrize("trc", [ColorTrc.ARIB_STD_B67, ColorTrc.SMPTE2084], ids=["HLG", "PQ"])
def test_a_face_in_hdr_keeps_its_colours(tmp_path, trc):
    def tagged(stream):
        context = stream.codec_context
        context.pix_fmt, context.color_trc, context.color_primaries = "yuv420p10le", trc, ColorPrimaries.BT2020
        context.colorspace, context.color_range = Colorspace.BT2020, ColorRange.MPEG

    def in_hdr(frame):
        frame.color_trc, frame.color_primaries = ColorTrc.BT709, ColorPrimaries.BT709
        target = {
            "dst_color_trc": trc,
            "dst_color_primaries": ColorPrimaries.BT2020,
            "dst_colorspace": Colorspace.BT2020,
        }
        return frame.reformat(format="yuv420p10le", **target)

    path = write(tmp_path / "a.mp4", np.full((64, 64, 3), SKIN, np.uint8), tagged, in_hdr, codec="libx265")
    found = frames_of(path)[0].full()[16:48, 16:48].reshape(-1, 3)
    assert np.abs(found.mean(0) - SKIN).max() < 8
    assert np.array_equal(found, frames_of(path)[0].full()[16:48, 16:48].reshape(-1, 3))


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_times_count_from_the_first_frame_wherever_a_clock_begins(tmp_path, name):
    path = write(
        tmp_path / name, QUARTERS, start=36_000, frames=20, change=lambda frame: frame.reformat(format="yuv444p")
    )
    assert [frame.time for frame in frames_of(path, [0, 5, 19])] == pytest.approx([0, 0.5, 1.9], abs=0.01)
    assert claimed_seconds(path) == pytest.approx(2, abs=0.2)


def test_what_is_transparent_is_grey_in_videos_and_images_alike(tmp_path):
    colours = np.zeros((32, 32, 4), np.uint8)
    colours[:, :, 0], colours[:16, :, 3], colours[16:20, :, 3] = 200, 255, 128
    Image.fromarray(colours).save(tmp_path / "a.png")
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "rgba"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(colours, format="rgba")))
        container.mux(stream.encode(None))
    image, (frame,) = read_image(tmp_path / "a.png").full(), frames_of(tmp_path / "a.mov")
    assert image[0, 0].tolist() == [200, 0, 0] and image[31, 0].tolist() == [128] * 3
    assert image[17, 0].tolist() == pytest.approx([164, 64, 64], abs=1)
    assert np.array_equal(frame.full(), image)


def test_of_an_interlaced_frame_one_field_counts_and_it_is_said(tmp_path):
    fields = np.zeros((64, 64, 3), np.uint8)
    fields[1::2] = 255  # a field of each colour

    def interlaced(stream):
        stream.codec_context.options = {"x264-params": "interlaced=1:tff=1:qp=0"}
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct

    frames, total, problem = read_video(write(tmp_path / "a.mp4", fields, interlaced), 2)
    assert total == 3 and problem == "interlaced: one field of each frame is used"
    assert np.ptp(frames[0].full()) < 10 and frames[0].full().shape == fields.shape


def test_where_a_frame_lasts_long_frames_are_chosen_by_time():
    even = [10 * number for number in range(100)]
    assert choose_shown(100, even, 11) == choose_shown(100, None, 11) == choose_frames(100, 11)
    # ten frames at once, a minute of the last of them, ten at once again
    shown = [*range(10), *range(609, 619)]
    by_time = choose_shown(20, shown, 5)
    assert len(by_time) == 5 and 9 in by_time
    slides = [0, 1, 2, 3, 100, 101, 200, 300, 301, 400]
    assert {3, 5, 6, 8} <= set(choose_shown(10, slides, 5)) and len(choose_shown(10, slides, 9)) == 9
    assert choose_shown(3, [0, 1, 99], 5) == [0, 1, 2]


@pytest.mark.parametrize("marked", [None, 0, 1])
def test_of_two_video_streams_the_marked_one_counts_or_the_one_with_most_to_see(tmp_path, marked):
    small, large = QUARTERS[::2, ::2], np.full((128, 128, 3), 128, np.uint8)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = []
        for number, image in enumerate((small, large)):
            stream = container.add_stream("libx264", rate=10)
            stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            stream.disposition = av.stream.Disposition.default if number == marked else av.stream.Disposition(0)
            streams.append((stream, image))
        for stream, image in streams:
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    (frame,) = frames_of(tmp_path / "a.mkv")
    assert frame.full().shape == (small if marked == 0 else large).shape

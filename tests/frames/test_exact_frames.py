"""Frames by number are bit for bit those of a full decode, for each codec."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from conftest import cut_by_edit_list

from deepfake.core.errors import VideoError
from deepfake.frames.choose import choose_frames
from deepfake.frames.decoding import _decode_all, _decode_few, read_frames, read_packets, to_standard_size
from deepfake.frames.display import displayed

pytestmark = pytest.mark.slow

FRAMES = 48
SIZE = (112, 80)
GRAIN = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8), (5, 5), 0)


def scene(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A panning background with a moving bright square, so that frames are predicted from others."""
    width, height = size
    left, top = 2 * number % (400 - width), number % (400 - height)
    image = GRAIN[top : top + height, left : left + width].copy()
    x, y = 5 * number % width, 3 * number % height
    image[y : y + 12, x : x + 12] = 40 + 4 * number % 200
    return image


def encode(
    path: Path,
    codec: str,
    options: Mapping[str, str] | None = None,
    pixels: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    frames: int = FRAMES,
    fps: int = 25,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    muxer: Mapping[str, str] | None = None,
) -> Path:
    """Encode the scene; `times` are in milliseconds, otherwise the frames follow each other evenly."""
    converter = VideoReformatter()  # for all frames, which takes less time than one for each
    with av.open(str(path), "w", options=dict(muxer or {})) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options or {}))
        (stream.width, stream.height), stream.pix_fmt = size, pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            frame = converter.reformat(av.VideoFrame.from_ndarray(scene(number, size), format="rgb24"), format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decode_everything(path: Path) -> list[np.ndarray]:
    """Every frame of a video in the order of output, upright and at standard size: the plain way."""
    images, converter = [], VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            upright = np.rot90(converter.reformat(frame, format="rgb24").to_ndarray(), round(frame.rotation / 90) % 4)
            image = displayed(frame) if frame.interlaced_frame else upright
            images.append(to_standard_size(np.ascontiguousarray(image))[0])
    return images


def choices(frames: int) -> list[list[int]]:
    """Numbers of frames to ask for: as step 00 does, the last, all, and at random."""
    rng = np.random.default_rng(frames)
    random = [sorted(rng.choice(frames, min(frames, count), replace=False).tolist()) for count in (1, 3)]
    wanted = [choose_frames(frames, 11), [frames - 1], list(range(frames)), *random]
    return [list(numbers) for numbers in dict.fromkeys(map(tuple, wanted))]


def assert_same(frames, wanted: Sequence[int], everything: Sequence[np.ndarray]) -> None:
    assert [frame.index for frame in frames] == list(wanted)
    for frame in frames:
        assert np.array_equal(frame.image, everything[frame.index]), f"frame {frame.index}"


def assert_exact(path: Path, sparse: bool | None, every_choice: bool = True) -> list[np.ndarray]:
    """Frames of all choices are those of decoding everything, without doing so where the codec is `sparse`.

    Without `every_choice` those alone that step 00 asks for.
    """
    everything, table = decode_everything(path), read_packets(path)
    assert table.frames == len(everything) and table.problem is None
    wanted_ones = choices(len(everything)) if every_choice else [choose_frames(len(everything), 11)]
    for number, wanted in enumerate(wanted_ones):
        assert_same(read_frames(path, wanted, table, (3, 1)[number % 2]), wanted, everything)
    if sparse is not None:
        wanted = choose_frames(len(everything), 11)
        frames = _decode_few(path, wanted, table, 1)
        assert (frames is not None) == sparse
        if sparse:
            assert_same(frames, wanted, everything)
            plain = _decode_all(path, wanted)
            assert_same(plain, wanted, everything)
            assert [frame.time for frame in frames] == [frame.time for frame in plain]
    return everything


def x264(**options: object) -> dict[str, str]:
    return {"x264-params": ":".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())}


def x265(**options: object) -> dict[str, str]:
    params = ":".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
    return {"x265-params": f"log-level=none:pools=1:frame-threads=1:{params}", "preset": "ultrafast"}


VPX = {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}
SVT = {"preset": "12", "svtav1-params": "lp=1"}

# name: (file suffix, codec, what `encode` is told, whether frames are left out)
CODECS = {
    "h264": ("mp4", "libx264", {}, True),
    "h264 without B-frames": ("mp4", "libx264", {"options": x264(bframes=0)}, True),
    "h264 pyramid": ("mp4", "libx264", {"options": x264(bframes=8, b_pyramid="normal", b_adapt=0)}, True),
    "h264 strict pyramid": ("mkv", "libx264", {"options": x264(bframes=8, b_pyramid="strict", b_adapt=0)}, True),
    "h264 many references": ("mp4", "libx264", {"options": x264(bframes=5, ref=16, b_adapt=0)}, True),
    "h264 open GOP": ("mp4", "libx264", {"options": x264(open_gop=1, keyint=12, min_keyint=2, bframes=3)}, True),
    "h264 keyframes": ("mp4", "libx264", {"options": x264(keyint=7, min_keyint=1)}, True),
    "h264 intra only": ("mp4", "libx264", {"options": x264(keyint=1)}, True),
    "h264 intra refresh": ("mp4", "libx264", {"options": x264(intra_refresh=1, keyint=10)}, True),
    "h264 slices": ("mp4", "libx264", {"options": x264(slices=4)}, True),
    "h264 interlaced": ("mp4", "libx264", {"options": x264(tff=1), "size": (128, 96)}, True),
    "h264 bottom field first": ("ts", "libx264", {"options": x264(bff=1), "size": (128, 96)}, True),
    "h264 baseline": ("mp4", "libx264", {"options": {"profile": "baseline"}}, True),
    "h264 10 bit": ("mp4", "libx264", {"pixels": "yuv420p10le"}, True),
    "h264 gray": ("mp4", "libx264", {"pixels": "gray"}, True),
    "h264 4:2:2": ("mkv", "libx264", {"pixels": "yuv422p"}, True),
    "h264 4:4:4": ("mp4", "libx264", {"pixels": "yuv444p"}, True),
    "h264 4:4:4 odd": ("mp4", "libx264", {"pixels": "yuv444p", "size": (113, 81)}, True),
    "h264 lossless": ("mp4", "libx264", {"options": {"qp": "0"}}, True),
    "h264 cropped": ("mp4", "libx264", {"size": (106, 74)}, True),
    "h264 in ts": ("ts", "libx264", {"options": x264(bframes=3, keyint=15)}, True),
    "h264 in mkv": ("mkv", "libx264", {"options": x264(bframes=3)}, True),
    "h264 in mov": ("mov", "libx264", {"options": x264(bframes=3)}, True),
    "h264 in flv": ("flv", "libx264", {"options": x264(bframes=3)}, True),
    "h264 in avi": ("avi", "libx264", {"options": x264(bframes=3)}, None),
    "h264 in fragments": ("mp4", "libx264", {"muxer": {"movflags": "frag_keyframe+empty_moov"}}, True),
    "h265": ("mp4", "libx265", {"options": x265()}, True),
    "h265 B-frames": ("mkv", "libx265", {"options": x265(bframes=8, b_adapt=0, b_pyramid=1, rc_lookahead=20)}, True),
    "h265 open GOP": ("mp4", "libx265", {"options": x265(open_gop=1, keyint=12, min_keyint=4, bframes=4)}, True),
    "h265 closed GOP": ("ts", "libx265", {"options": x265(open_gop=0, keyint=12, min_keyint=4)}, True),
    "h265 temporal layers": ("mp4", "libx265", {"options": x265(temporal_layers=1, bframes=4)}, None),
    "h265 three layers": (
        "mp4",
        "libx265",
        {"options": x265(temporal_layers=3, bframes=7, b_adapt=0, rc_lookahead=20)},
        None,
    ),
    "h265 10 bit": ("mp4", "libx265", {"options": x265(), "pixels": "yuv420p10le"}, True),
    "h265 gray": ("mp4", "libx265", {"options": x265(), "pixels": "gray"}, True),
    "h265 4:4:4": ("mkv", "libx265", {"options": x265(), "pixels": "yuv444p", "size": (113, 81)}, True),
    "vp8": ("webm", "libvpx", {"options": VPX}, True),
    "vp8 keyframes": ("mkv", "libvpx", {"options": VPX | {"g": "12"}}, True),
    "vp9": ("webm", "libvpx-vp9", {"options": VPX}, True),
    "vp9 keyframes": ("webm", "libvpx-vp9", {"options": VPX | {"g": "12"}}, True),
    "vp9 in mp4": ("mp4", "libvpx-vp9", {"options": {"cpu-used": "8", "g": "10"}, "size": (113, 81)}, True),
    "vp9 4:4:4": ("mkv", "libvpx-vp9", {"options": VPX | {"g": "12"}, "pixels": "yuv444p"}, True),
    "av1": ("mp4", "libsvtav1", {"options": SVT}, True),
    "av1 keyframes": ("mp4", "libsvtav1", {"options": SVT | {"g": "12"}}, True),
    "av1 in mkv": ("mkv", "libsvtav1", {"options": SVT | {"g": "9"}}, True),
    "av1 in fragments": (
        "mp4",
        "libsvtav1",
        {"options": SVT | {"g": "9"}, "muxer": {"movflags": "frag_keyframe+empty_moov"}},
        True,
    ),
    "av1 10 bit": ("mp4", "libsvtav1", {"options": SVT | {"g": "12"}, "pixels": "yuv420p10le"}, True),
    "av1 open GOP": (
        "webm",
        "libsvtav1",
        {"options": {"preset": "12", "svtav1-params": "lp=1:keyint=16:irefresh-type=1"}},
        True,
    ),
    "av1 film grain": (
        "mkv",
        "libsvtav1",
        {"options": {"preset": "12", "g": "12", "svtav1-params": "lp=1:film-grain=20"}},
        True,
    ),
    "mpeg4": ("mp4", "mpeg4", {}, True),
    "mpeg4 B-frames": ("mp4", "mpeg4", {"options": {"bf": "2"}}, True),
    "mpeg4 in mkv": ("mkv", "mpeg4", {"options": {"bf": "2", "g": "9"}}, True),
    "mpeg4 in avi": ("avi", "mpeg4", {"options": {"bf": "2"}}, None),
    "mpeg4 odd": ("mp4", "mpeg4", {"options": {"bf": "2"}, "size": (113, 81)}, True),
    "mpeg2": ("ts", "mpeg2video", {"options": {"bf": "2"}}, True),
    "mpeg2 in mpg": ("mpg", "mpeg2video", {"options": {"bf": "2"}}, None),
    "mpeg2 interlaced": ("mkv", "mpeg2video", {"options": {"bf": "2", "flags": "+ildct+ilme"}}, True),
    "mpeg1": ("mpg", "mpeg1video", {"options": {"bf": "2"}}, None),
    "mjpeg": ("avi", "mjpeg", {"pixels": "yuvj420p"}, False),
    "ffv1": ("mkv", "ffv1", {}, False),
    "prores": ("mov", "prores_ks", {"pixels": "yuv422p10le"}, False),
    "wmv2": ("wmv", "wmv2", {}, False),
    "gif": ("gif", "gif", {"pixels": "rgb8"}, False),
}


# one of each way in which frames depend on each other, or are found: of these, frames are asked for in every way
EVERY_CHOICE = (
    "h264 pyramid",
    "h264 open GOP",
    "h264 intra refresh",
    "h264 interlaced",
    "h265 B-frames",
    "h265 open GOP",
    "vp8 keyframes",
    "vp9 keyframes",
    "av1 open GOP",
    "mpeg4 B-frames",
    "mpeg2",
    "mjpeg",
)
SLOW = pytest.mark.slow
QUICK = ("h264 pyramid", "h264 open GOP", "vp9 keyframes", "mpeg4 B-frames")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CODECS]
)
def test_frames_by_number_are_those_of_decoding_everything(tmp_path, name):
    suffix, codec, options, sparse = CODECS[name]
    assert_exact(encode(tmp_path / f"a.{suffix}", codec, **options), sparse, name in EVERY_CHOICE)


def damage(path: Path, needless: bool) -> None:
    """Damage frames of an H.264 mp4 except the first: either unreferenced frames or those that others need."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size and not packet.is_keyframe]
    data = bytearray(path.read_bytes())
    for packet in packets:
        reference = bytes(packet)[4] >> 5 & 3  # nal_ref_idc, after the four bytes of the length
        if needless == (reference == 0):
            data[packet.pos + 5 : packet.pos + packet.size] = bytes(packet.size - 5)
    path.write_bytes(data)


def test_unneeded_frames_without_references_are_not_decoded(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", x264(bframes=8, b_pyramid="normal", b_adapt=0, keyint=FRAMES))
    everything, table = decode_everything(path), read_packets(path)
    with av.open(str(path)) as container:
        shown = {packet.pts: bytes(packet)[4] >> 5 & 3 for packet in container.demux(video=0) if packet.size}
    needless = [index for index, pts in enumerate(sorted(shown)) if not shown[pts]]
    assert FRAMES / 3 < len(needless) < FRAMES
    wanted = [index for index in choose_frames(FRAMES, 24) if index not in needless]
    assert len(wanted) > 4
    damage(path, needless=True)
    # spoilt frames, which a full decode stumbles over, do not matter to those that are wanted
    for threads in (1, 3):
        assert_same(_decode_few(path, wanted, table, threads), wanted, everything)
    assert _decode_few(path, needless[:3], table, 1) is None


@pytest.mark.parametrize(("codec", "options"), [("libvpx", VPX), ("libvpx-vp9", VPX), ("libsvtav1", SVT)])
def test_of_open_codecs_only_groups_of_frames_that_are_wanted_are_decoded(tmp_path, codec, options):
    path = encode(tmp_path / "a.mkv", codec, options | {"g": "12"})
    everything, table = decode_everything(path), read_packets(path)
    assert table.entries == [0, 12, 24, 36]
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in (*packets[1:24], *packets[40:]):
        place = data.index(bytes(packet))
        data[place + 12 : place + packet.size] = bytes(max(0, packet.size - 12))  # the headers stay
    path.write_bytes(data)
    assert_same(_decode_few(path, [24, 30, 38], table, 1), [24, 30, 38], everything)


def test_damage_in_frames_that_others_need_leads_to_decoding_everything(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", x264(bframes=3, b_adapt=0, keyint=FRAMES))
    damage(path, needless=False)
    table, wanted = read_packets(path), choose_frames(FRAMES, 11)
    assert _decode_few(path, wanted, table, 1) is None
    plain = _decode_all(path, wanted)
    for threads in (1, 3):
        frames = read_frames(path, wanted, table, threads)
        assert [frame.index for frame in frames] == [frame.index for frame in plain]
        assert all(np.array_equal(one.image, other.image) for one, other in zip(frames, plain, strict=True))


# timestamps

UNEVEN = np.cumsum(np.random.default_rng(1).integers(5, 200, FRAMES)).tolist()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1", "mpeg4"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_variable_frame_rate_changes_no_number(tmp_path, codec, suffix):
    if suffix == "ts" and codec in ("libvpx-vp9", "libsvtav1"):
        suffix = "webm"  # which is what they come in instead
    options = {"libx264": x264(bframes=5), "libx265": x265(), "libsvtav1": {"preset": "12"}, "mpeg4": {}}
    options = options.get(codec, {"cpu-used": "8"})
    path = encode(tmp_path / f"a.{suffix}", codec, options, times=UNEVEN)
    everything = assert_exact(path, sparse=True)
    times = [frame.time for frame in read_frames(path, range(FRAMES), read_packets(path))]
    assert len(everything) == FRAMES
    assert np.allclose(np.diff(times), np.diff(UNEVEN) / 1000, atol=0.0011)


@pytest.mark.parametrize("suffix", ["h264", "hevc", "m4v", "m2v"])
def test_a_bare_stream_without_timestamps_is_decoded_as_a_whole(tmp_path, suffix):
    codec = {"h264": "libx264", "hevc": "libx265", "m4v": "mpeg4", "m2v": "mpeg2video"}[suffix]
    options = {"h264": x264(bframes=3), "hevc": x265()}.get(suffix, {"bf": "2"})
    assert_exact(encode(tmp_path / f"a.{suffix}", codec, options), sparse=False if suffix in ("h264", "hevc") else None)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_with_b_frames_is_fully_decoded(tmp_path, codec):
    options = x264(bframes=3) if codec == "libx264" else {"bf": "2"}
    assert_exact(encode(tmp_path / "a.avi", codec, options), sparse=False if codec == "libx264" else None)
    options = x264(bframes=0) if codec == "libx264" else {}
    assert_exact(encode(tmp_path / "b.avi", codec, options), sparse=True)


def test_a_video_with_repeated_timestamps_is_fully_decoded(tmp_path):
    path = encode(tmp_path / "a.mkv", "libx264", x264(bframes=0), fps=3000)  # Matroska rounds to milliseconds
    with av.open(str(path)) as container:
        shown = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert len(set(shown)) < len(shown) == FRAMES
    assert read_packets(path).shown is None
    assert_exact(path, sparse=False)


def join_ts(path: Path, offsets: Sequence[float], options: Mapping[str, str]) -> Path:
    """Transport streams, one after the other in a file, as recordings are: each begins at its own time."""
    parts = []
    for number, offset in enumerate(offsets):
        part = path.with_name(f"part{number}.ts")
        parts.append(encode(part, "libx264", options, muxer={"output_ts_offset": str(offset)}).read_bytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("offsets", [(0, 0), (100, 0), (0, 1), (50, 100, 0)])
def test_recordings_that_were_joined_are_counted_in_the_order_of_the_file(tmp_path, offsets):
    path = join_ts(tmp_path / "a.ts", offsets, x264(bframes=3, keyint=20))
    assert len(assert_exact(path, sparse=None)) == FRAMES * len(offsets)


def test_a_transport_stream_whose_clock_overflows_keeps_its_order(tmp_path):
    path = join_ts(tmp_path / "a.ts", [2**33 / 90_000 - 2.5], x264(bframes=3))
    assert_exact(path, sparse=None)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("lost", [1, 14])
def test_a_cut_stream_counts_only_frames_that_can_be_decoded(tmp_path, codec, lost):
    make = {"libx264": x264, "libx265": x265}[codec]
    options = make(open_gop=1, keyint=12, min_keyint=4, bframes=4, b_adapt=0)
    whole, cut = encode(tmp_path / "whole.ts", codec, options), tmp_path / "cut.ts"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and number >= lost:
                packet.stream = stream
                target.mux(packet)
    everything, table = decode_everything(cut), read_packets(cut)
    assert 0 < len(everything) < FRAMES
    for wanted in choices(len(everything)):
        assert_same(read_frames(cut, wanted, table, 3), wanted, everything)


@pytest.mark.parametrize("key_only", [False, True])
@pytest.mark.parametrize(("skip", "keep"), [(10, 30), (0, 20), (10, 20), (13, 35), (1, 3)])
def test_frames_that_an_edit_list_cuts_away_have_no_number(tmp_path, skip, keep, key_only):
    options = x264(bframes=3, keyint=8) if key_only else x264(bframes=3)
    path = encode(tmp_path / "a.mp4", "libx264", options)
    cut_by_edit_list(path, skip, keep)
    assert len(assert_exact(path, sparse=None)) == keep


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_a_file_that_marks_every_frame_as_keyframe_is_not_trusted(tmp_path, codec):
    path = encode(tmp_path / "a.mp4", codec, {"libx265": x265(), "mpeg4": {"bf": "2"}}[codec])
    path.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    with av.open(str(path)) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > FRAMES / 3
    assert_exact(path, sparse=True)


@pytest.mark.parametrize("frames", [1, 2, 7])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_b_frames_at_the_end_are_found(tmp_path, codec, frames):
    # of two frames, x265 with B-frames now and then writes a random decoding time
    h265 = x265(bframes=max(0, min(4, frames - 2)), b_adapt=0)
    options = {"libx264": x264(bframes=8, b_adapt=0), "libx265": h265, "mpeg4": {"bf": "2"}}
    path = encode(tmp_path / "a.mp4", codec, options[codec], frames=frames)
    assert len(assert_exact(path, sparse=None)) == frames


def test_frames_that_are_shown_after_the_last_of_the_file_are_found(tmp_path):
    whole = encode(tmp_path / "whole.mkv", "libx264", x264(bframes=4, b_adapt=0, b_pyramid="normal"))
    path = tmp_path / "a.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        # up to a P-frame, whose B-frames are lost
        ends = [i for i, packet in enumerate(packets) if packet.pts == max(p.pts for p in packets[: i + 1])]
        for packet in packets[: ends[-3] + 1]:
            packet.stream = stream
            target.mux(packet)
    assert_exact(path, sparse=True)


def packed_avi(path: Path) -> Path:
    """MPEG-4 in AVI as DivX 5 wrote it: a B-frame in the packet of the frame after it, and an empty one for it."""
    plain = encode(path.with_name("plain.avi"), "mpeg4", {"bf": "1", "g": "12", "b_strategy": "0"})
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=25)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        packets = [bytes(packet) for packet in source.demux(video=0) if packet.size]
        header = bytes(source.streams.video[0].codec_context.extradata)
        user_data = header.index(b"\0\0\1\xb2")
        stream.codec_context.extradata = header[:user_data] + b"\0\0\1\xb2DivX503b1393p"
        packed: list[bytes] = []
        for data in packets:
            kind = data[data.index(b"\0\0\1\xb6") + 4] >> 6  # 2: B
            if kind == 2:
                packed[-1] += data
                packed.append(b"\0\0\1\xb6\x40\x7f")  # a frame that is not coded
            else:
                packed.append(data)
        for number, data in enumerate(packed):
            packet = av.Packet(data.replace(header[user_data:], b"\0\0\1\xb2DivX503b1393p"))
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, number == 0
            target.mux(packet)
    return path


def test_packed_b_frames_of_divx_are_decoded_as_a_whole(tmp_path):
    path = packed_avi(tmp_path / "a.avi")
    everything = decode_everything(path)
    assert len(everything) >= FRAMES - 1
    for wanted in choices(len(everything)):
        assert_same(read_frames(path, wanted, read_packets(path), 3), wanted, everything)


# what else a file can hold


@pytest.mark.parametrize(
    ("codec", "rotation"), [("libx264", 90), ("libx264", 180), ("libx264", 270), ("libx265", 90), ("libsvtav1", 270)]
)
def test_rotated_videos_are_upright(tmp_path, codec, rotation):
    options = {"libx264": x264(bframes=3), "libx265": x265(), "libsvtav1": {"preset": "12"}}
    path = encode(tmp_path / "a.mp4", codec, options[codec], rotation=rotation, frames=15)
    (frame,) = read_frames(path, [0], read_packets(path))
    width, height = SIZE
    assert frame.image.shape[:2] == ((2 * width, 2 * height) if rotation % 180 else (2 * height, 2 * width))
    assert_exact(path, sparse=True)


@pytest.mark.parametrize("size", [(2, 2), (8, 8), (16, 300), (302, 2), (642, 362)])
def test_strange_sizes_are_decoded(tmp_path, size):
    assert_exact(encode(tmp_path / "a.mp4", "libx264", x264(bframes=3), size=size, frames=15), sparse=True)


def with_sound(path: Path, pictures: int, cover: bool) -> Path:
    """Sound, and a cover picture and a video if wanted; the cover is the first stream."""
    with av.open(str(path), "w") as container:
        streams = []
        if cover:
            streams.append((container.add_stream("mjpeg", rate=25), "yuvj420p", [30]))
            streams[0][0].disposition = av.stream.Disposition.attached_pic
        if pictures:
            streams.append(
                (container.add_stream("libx264", rate=25, options=x264(bframes=3)), "yuv420p", range(pictures))
            )
        for stream, pixels, _ in streams:
            (stream.width, stream.height), stream.pix_fmt = SIZE, pixels
        audio = container.add_stream("aac", rate=16_000)
        for number in range(30):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 16_000, 1024 * number
            container.mux(audio.encode(sound))
        container.mux(audio.encode())
        for stream, pixels, numbers in streams:
            for number in numbers:
                frame = av.VideoFrame.from_ndarray(scene(number), format="rgb24").reformat(format=pixels)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("suffix", "cover"), [("mp4", False), ("mp4", True), ("m4a", False)])
def test_a_file_with_only_audio_is_refused(tmp_path, suffix, cover):
    path = with_sound(tmp_path / f"a.{suffix}", 0, cover)
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 1 and len(container.streams.video) == cover
    with pytest.raises(VideoError, match="no video stream"):
        read_packets(path)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_cover_picture_is_not_taken_for_the_video(tmp_path, suffix):
    path = with_sound(tmp_path / f"a.{suffix}", 20, cover=True)
    plain = encode(tmp_path / "plain.mp4", "libx264", x264(bframes=3), frames=20)
    everything, table = decode_everything(plain), read_packets(path)
    assert table.frames == 20 and table.problem is None
    for wanted in choices(20):
        assert_same(_decode_few(path, wanted, table, 3), wanted, everything)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
def test_sound_between_the_frames_changes_nothing(tmp_path, suffix):
    assert_exact(with_sound(tmp_path / f"a.{suffix}", 40, cover=False), sparse=True)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1", "mpeg4", "mpeg2video"])
def test_the_threads_of_a_decoder_change_no_pixel_and_no_time(tmp_path, codec):
    options = {"libx264": x264(bframes=5, slices=2), "libx265": x265(), "libsvtav1": {"preset": "12"}}
    options = options.get(codec, {"cpu-used": "8"} if codec == "libvpx-vp9" else {"bf": "2"})
    path = encode(tmp_path / "a.mkv", codec, options, size=(322, 242))
    table, wanted = read_packets(path), choose_frames(FRAMES, 11)
    first, *others = [read_frames(path, wanted, table, threads) for threads in (1, 2, 3, 8)]
    for other in others:
        for one, same in zip(first, other, strict=True):
            assert (one.index, one.time, one.scale) == (same.index, same.time, same.scale)
            assert np.array_equal(one.image, same.image)

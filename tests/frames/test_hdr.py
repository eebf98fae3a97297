"""HDR videos keep their colours, and SDR videos are unchanged."""

import av
import numpy as np
import pytest

from deepfake.frames.decoding import read_frames, read_packets
from deepfake.frames.hdr import pq_light, pq_signal

HLG, PQ = 18, 16  # FFmpeg's numbers of the two transfers
WIDE, BT709 = 9, 1  # and of primaries
# SDR colours of BT.709: skins of all sorts, and what lies around a face
COLOURS = [
    (182, 77, 77),
    (150, 111, 92),
    (96, 60, 44),
    (58, 38, 30),
    (178, 140, 122),
    (120, 120, 120),
    (60, 90, 150),
    (20, 20, 20),
    (70, 120, 60),
]
TO_WIDE = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087


def hlg_signal(light: np.ndarray) -> np.ndarray:
    """BT.2100: the signal of light in cd/m2 on a screen of 1000, n x 3."""
    scene = light / 1000
    scene = scene * (scene @ [0.2627, 0.6780, 0.0593])[:, None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def write(path, signal: np.ndarray, transfer: int, primaries: int = WIDE, matrix: int = WIDE):
    """A video of fields of 32 x 32 pixels with these signals, n x 3 from 0 to 1, in 10 bits."""
    luma = signal @ [0.2627, 0.6780, 0.0593]
    planes = [64 + 876 * luma, 512 + 896 * (signal[:, 2] - luma) / 1.8814, 512 + 896 * (signal[:, 0] - luma) / 1.4746]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 32 * len(signal), 32, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = (
            transfer,
            primaries,
            matrix,
            1,
        )
        frame = av.VideoFrame(stream.width, stream.height, "yuv420p10le")
        for plane, values, side in zip(frame.planes, planes, (32, 16, 16), strict=True):
            row = np.repeat(values.round().astype(np.uint16), side)
            pixels = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
            pixels[:, : len(row)] = row
        frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = transfer, primaries, matrix, 1
        container.mux([*stream.encode(frame), *stream.encode()])
    return path


def colours_in(path, n: int) -> np.ndarray:
    (frame,) = read_frames(path, [0], read_packets(path))
    height, width, _ = frame.image.shape
    return frame.image[height // 2, [round((i + 0.5) * width / n) for i in range(n)]].astype(int)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("transfer", [HLG, PQ])
@pytest.mark.parametrize(("primaries", "matrix"), [(WIDE, WIDE), (BT709, WIDE), (2, 2)])
def test_colours_of_hdr_are_those_of_the_same_surfaces_in_sdr(tmp_path, suffix, transfer, primaries, matrix):
    # 203 cd/m2 are white (BT.2408), gamma 2.4 (BT.1886)
    light = 203 * (np.array(COLOURS) / 255) ** 2.4
    if primaries != BT709:
        light = light @ TO_WIDE.T
    signal = hlg_signal(light) if transfer == HLG else np.vectorize(pq_signal)(light)
    path = write(tmp_path / f"a.{suffix}", signal, transfer, primaries, matrix)
    assert np.abs(colours_in(path, len(COLOURS)) - COLOURS).max() <= 3
    with av.open(str(path)) as container:  # what was seen before
        plain = next(container.decode(video=0)).to_ndarray(format="rgb24")[16, 16]
    assert np.abs(plain - np.array(COLOURS[0])).max() > 10


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_light_brighter_than_white_keeps_order_and_hue(tmp_path, transfer):
    nits = np.array([80, 100, 150, 203, 400, 1000])
    light = np.repeat(nits[:, None], 3, axis=1).astype(float)
    light[:, 1:] *= 0.5
    signal = hlg_signal(light @ TO_WIDE.T) if transfer == HLG else np.vectorize(pq_signal)(light @ TO_WIDE.T)
    colours = colours_in(write(tmp_path / "a.mp4", signal, transfer), len(nits))
    assert np.all(np.diff(colours[:, 0]) > 0) and 225 <= colours[3, 0] <= 235 and colours[-1, 0] == 255
    assert np.allclose(colours[:, 1] / colours[:, 0], 0.5 ** (1 / 2.4), atol=0.02)


def test_pq_follows_its_standard():
    # ITU-R BT.2408, table 1: 203 cd/m2 are 58 % of the signal
    assert round(pq_signal(203.0), 2) == 0.58 and round(pq_signal(1000.0), 2) == 0.75
    assert pq_light(np.array([0.0, 1.0])) == pytest.approx([0, 10_000])
    assert hlg_signal(np.full((1, 3), 203.0)).round(2).tolist() == [[0.75] * 3]


@pytest.mark.parametrize("transfer", [1, 2, 13, 14])
def test_sdr_stays_as_it_is_whatever_its_primaries(tmp_path, transfer):
    signal = np.array(COLOURS) / 255
    path = write(tmp_path / "a.mp4", signal, transfer)
    with av.open(str(path)) as container:
        plain = next(container.decode(video=0)).to_ndarray(format="rgb24")
    (frame,) = read_frames(path, [0], read_packets(path))
    assert np.array_equal(frame.full(), plain)

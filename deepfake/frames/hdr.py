"""Convert HDR frames (mostly from phones) to SDR; faces keep their colours, only brighter parts are compressed.

HDR signals are those of ITU-R BT.2100. Reference white has 203 cd/m2 in HDR (BT.2408) and is the maximum of SDR.
Brighter light, up to 1000 cd/m2, is compressed below it by the tone curve of BT.2390. Gamma is that of BT.1886.
"""

from functools import cache

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

WHITE, PEAK, MAX_LIGHT = 203.0, 1000.0, 10_000.0  # cd/m2: reference white, where light is clipped, maximum of PQ
HLG, PQ = ColorTrc.ARIB_STD_B67, ColorTrc.SMPTE2084
BT2020_MATRIX = 9  # number in FFmpeg's colour spaces
LUMINANCE = np.array([[0.2627, 0.6780, 0.0593]], np.float32)
ROWS = 128  # converted at once, to save memory

# matrices from linear light to BT.709: BT.2020 (BT.2087) and Display P3; other primaries count as BT.2020
WIDE = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
DISPLAY_P3 = np.array([[1.2249, -0.2249, 0], [-0.0421, 1.0421, 0], [-0.0196, -0.0786, 1.0983]], np.float32)
TO_BT709: dict[int, np.ndarray] = {
    ColorPrimaries.BT709: np.eye(3, dtype=np.float32),
    ColorPrimaries.SMPTE432: DISPLAY_P3,
}


def is_hdr(frame: av.VideoFrame) -> bool:
    """Whether a decoded frame is marked as HLG or PQ."""
    return frame.color_trc in (HLG, PQ)


def to_sdr(frame: av.VideoFrame) -> np.ndarray:
    """Convert a decoded HDR frame to SDR (BT.709), H x W x 3 uint8 RGB."""
    if frame.colorspace not in (BT2020_MATRIX, 0, 1):  # unmarked; 0 is RGB, 1 is BT.709
        frame.colorspace = BT2020_MATRIX
    signal, matrix = frame.to_ndarray(format="rgb48le"), TO_BT709.get(frame.color_primaries, WIDE)
    hlg = frame.color_trc == HLG
    image = np.empty(signal.shape, np.uint8)
    for top in range(0, len(signal), ROWS):
        image[top : top + ROWS] = _rows_to_sdr(signal[top : top + ROWS], matrix, hlg)
    return image


def _rows_to_sdr(signal: np.ndarray, matrix: np.ndarray, hlg: bool) -> np.ndarray:
    light = _light_table(hlg)[signal]
    if hlg:  # from scene light to display light
        light *= PEAK / WHITE * cv2.transform(light, LUMINANCE)[..., None] ** np.float32(0.2)
    light = np.clip(cv2.transform(light, matrix), 0, None)
    # the same factor for all channels keeps the colours
    brightest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
    curve = _curve()
    bright = brightest > curve[0][0]
    light[bright] *= (np.interp(brightest[bright], *curve) / brightest[bright])[:, None]
    return _sdr_table()[(np.sqrt(np.minimum(light, 1)) * 65535 + 0.5).astype(np.uint16)]


@cache
def _light_table(hlg: bool) -> np.ndarray:
    """Light of each 16-bit signal: for HLG scene light from 0 to 1; for PQ display light as a multiple of WHITE."""
    signal = np.arange(65536) / 65535
    if not hlg:
        return (pq_light(signal) / WHITE).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)


@cache
def _sdr_table() -> np.ndarray:
    """SDR value (uint8, BT.1886) of each 16-bit square root of light."""
    return np.round(255 * (np.arange(65536) / 65535) ** (2 / 2.4)).astype(np.uint8)


@cache
def _curve() -> tuple[np.ndarray, np.ndarray]:
    """The tone curve of BT.2390 above its knee: input and output light, both as multiples of WHITE.

    In the PQ signal the curve is a line up to the knee, then a Hermite spline.
    """
    peak = pq_signal(PEAK)
    most = pq_signal(WHITE) / peak
    knee = 1.5 * most - 0.5
    t = np.linspace(0, 1, 1024)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return pq_light((knee + t * (1 - knee)) * peak) / WHITE, pq_light(bent * peak) / WHITE


# SMPTE ST 2084
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def pq_light(signal: np.ndarray) -> np.ndarray:
    """Convert a PQ signal from 0 to 1 to light in cd/m2."""
    power = signal ** (1 / M2)
    return MAX_LIGHT * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def pq_signal(light: float) -> float:
    """Convert light in cd/m2 to a PQ signal from 0 to 1."""
    power = (light / MAX_LIGHT) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2

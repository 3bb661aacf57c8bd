"""Transfer functions and primaries: sample values as linear light, after ITU-T H.273, BT.2100, BT.2390, IEC 61966-2-1.

Light is linear: 0 is black, 1 the white of sRGB, each channel the amount of one of the tagged primaries. Arrays are
float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

D65, ILLUMINANT_C, EQUAL, DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
# Chromaticities of red, green and blue, and of white, by the number of the tag.
PRIMARIES: dict[int, Chromaticities] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),  # BT.709 and sRGB
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), ILLUMINANT_C),  # BT.470 M
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),  # BT.601, 625 lines
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),  # BT.601, 525 lines
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),  # SMPTE 240M
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), ILLUMINANT_C),  # film
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),  # BT.2020
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), EQUAL),  # CIE XYZ
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), DCI),  # DCI-P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),  # Display P3
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),  # EBU 3213
}
PQ, HLG = 16, 18
REFERENCE_WHITE = 203.0  # cd/m2 of a white sheet in HDR pictures (BT.2408)
HLG_PEAK = 1000.0  # cd/m2 of the display that the curves of HLG are given for
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

Chromaticities = tuple[tuple[float, float], ...]  #: x and y of red, green, blue and white
Curve = Callable[[np.ndarray], Any]


def to_bt709(primaries: int | Chromaticities) -> np.ndarray:
    """(3, 3): linear light of some primaries -> that of BT.709's; another white becomes D65 (Bradford)."""
    own = PRIMARIES[primaries] if isinstance(primaries, int) else primaries
    white, d65 = _xyz(own[3]), _xyz(D65)
    adaptation = np.linalg.solve(BRADFORD, np.diag(BRADFORD @ d65 / (BRADFORD @ white)) @ BRADFORD)
    matrix: np.ndarray = np.linalg.solve(_to_xyz(PRIMARIES[1]), adaptation @ _to_xyz(own))
    return matrix.astype(np.float32)


def _xyz(chromaticity: Sequence[float]) -> np.ndarray:
    """CIE XYZ of a chromaticity, Y = 1 (or, where y is 0, X + Y + Z = 1)."""
    x, y = chromaticity
    return np.array([x, y, 1 - x - y]) / (y or 1)


def _to_xyz(primaries: Chromaticities) -> np.ndarray:
    *colors, white = primaries
    matrix = np.stack([_xyz(color) for color in colors], axis=1)
    return matrix * np.linalg.solve(matrix, _xyz(white))


def srgb_to_linear(code: np.ndarray) -> Any:
    return np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: np.ndarray) -> Any:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


# Transfer characteristics of SDR by the number of the tag: a code in [0, 1] as light. Those of cameras (BT.709, 601,
# 240M, 2020 and their extensions) are not here: what they code is watched, and has always been read, as sRGB.
TRANSFERS: dict[int, Curve] = {
    4: lambda code: code**2.2,
    5: lambda code: code**2.8,
    8: lambda code: code,
    9: lambda code: np.where(code > 0, 100 ** (code - 1), 0),
    10: lambda code: np.where(code > 0, (100 * 10**0.5) ** (code - 1), 0),
    17: lambda code: 52.37 / 48 * code**2.6,
}


def pq_to_nits(code: np.ndarray) -> Any:
    """SMPTE ST 2084: a code in [0, 1] as cd/m2."""
    power = np.maximum(code, 0) ** (32 / 2523)
    return 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (8192 / 1305)


def nits_to_pq(nits: np.ndarray) -> Any:
    power = (np.maximum(nits, 0) / 10000) ** (1305 / 8192)
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32)


def hlg_to_scene(code: np.ndarray) -> Any:
    """BT.2100: a code in [0, 1] as light of the scene, in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code * code / 3, (np.exp((code - c) / a) + b) / 12)


def rolled_off(nits: np.ndarray, peak: float) -> Any:
    """BT.2390's curve: cd/m2 up to `peak` as such up to `REFERENCE_WHITE`; what is dark enough stays as it is."""
    black_to_peak = nits_to_pq(np.asarray(peak))
    most = nits_to_pq(np.asarray(REFERENCE_WHITE)) / black_to_peak
    if most >= 1:
        return nits
    knee = 1.5 * most - 0.5
    code = np.minimum(nits_to_pq(nits) / black_to_peak, 1)
    t = (code - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return np.where(code < knee, nits, pq_to_nits(spline * black_to_peak))

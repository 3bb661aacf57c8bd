"""Colorimetry of stills: tagged primaries and transfer functions, HDR among them, converted to sRGB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidstyle.media.stills import light
from vidstyle.media.stills.light import HLG, PQ, Chromaticities

BT709, LINEAR, SRGB = light.PRIMARIES[1], 8, 13
UNKNOWN = (0, 2, 3)  # primaries or transfer function "reserved" or "unspecified": sRGB's are meant
AS_SRGB = (*UNKNOWN, 1, 6, 7, 11, 12, SRGB, 14, 15)  # curves of cameras: what they code is watched as sRGB
PEAK = 99.9  # percentile of a picture's light that counts as its peak: a few hot pixels must not darken the rest
LUMINANCE = (0.2627, 0.6780, 0.0593)  # of BT.2020


@dataclass(frozen=True)
class ColorTags:
    """What a picture says of its RGB samples. Raises `ValueError` for numbers that nothing is known of."""

    primaries: Chromaticities = BT709
    transfer: int = SRGB  #: the transfer function, as ITU-T H.273 numbers it
    gamma: float | None = None  #: the exponent to linear light, where the transfer function is a plain power

    def __post_init__(self) -> None:
        if self.transfer not in (*AS_SRGB, PQ, HLG, *light.TRANSFERS):
            raise ValueError(f"its transfer function, number {self.transfer} of H.273, is not known here")

    @classmethod
    def of(cls, primaries: int, transfer: int) -> ColorTags:
        """Of numbers of H.273."""
        if primaries not in (*UNKNOWN, *light.PRIMARIES):
            raise ValueError(f"its primaries, number {primaries} of H.273, are not known here")
        return cls(light.PRIMARIES.get(primaries, BT709), transfer)

    @property
    def hdr(self) -> bool:
        """Whether the picture may be brighter than sRGB can show."""
        return self.gamma is None and self.transfer in (PQ, HLG, LINEAR)


def to_srgb(rgb: np.ndarray, tags: ColorTags) -> np.ndarray:
    """(H, W, 3) samples in [0, 1], linear ones from 0 on, in the colours of `tags` -> float32 sRGB in [0, 1].

    HDR is mapped to the range of sRGB (`tone_mapped`); colours outside of its gamut are clipped.
    """
    if tags.gamma is None and tags.transfer in AS_SRGB and tags.primaries == BT709:
        return rgb.astype(np.float32, copy=False)
    linear = _linear(rgb, tags)
    if tags.hdr:
        linear = tone_mapped(linear)
    if tags.primaries != BT709:
        linear = linear @ light.to_bt709(tags.primaries).T
    return np.asarray(light.linear_to_srgb(linear.clip(0, 1)), np.float32)


def tone_mapped(linear: np.ndarray) -> np.ndarray:
    """Linear light (…, 3), 1 = diffuse white, its highlights rolled off so that none is above 1 (ITU-R BT.2390).

    The curve is that of the largest of R, G and B and scales all three, which keeps hues. A picture without highlights
    is left as it is.
    """
    nits = linear.max(axis=-1, keepdims=True) * light.REFERENCE_WHITE
    mapped = light.rolled_off(nits, max(float(np.percentile(nits, PEAK)), 1.0)) / light.REFERENCE_WHITE
    return np.asarray(linear * (mapped / np.maximum(nits / light.REFERENCE_WHITE, 1e-9)), np.float32)


def _linear(rgb: np.ndarray, tags: ColorTags) -> np.ndarray:
    """Samples -> linear light, 1 = diffuse white."""
    code = rgb.clip(0, None if tags.transfer == LINEAR else 1)
    if tags.gamma is not None:
        linear = code**tags.gamma
    elif tags.transfer == PQ:
        linear = light.pq_to_nits(code) / light.REFERENCE_WHITE
    elif tags.transfer == HLG:  # as a display shows it: the brighter the scene, the brighter (system gamma 1.2)
        scene = light.hlg_to_scene(code)
        linear = scene * (scene @ LUMINANCE)[..., None] ** 0.2 * (light.HLG_PEAK / light.REFERENCE_WHITE)
    else:
        linear = light.TRANSFERS.get(tags.transfer, light.srgb_to_linear)(code)
    return np.asarray(linear, np.float32)

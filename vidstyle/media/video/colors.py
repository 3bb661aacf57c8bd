"""Colour conversion of decoded frames to sRGB by their tags; what cannot be converted is refused.

What is BT.709, or says nothing, goes through FFmpeg's swscale alone. Other primaries and curves, and HDR, are converted
here, in linear light: swscale's own conversion fits gamuts into each other, which moves colours that both have.
"""

from __future__ import annotations

import functools
import shlex
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from vidstyle.errors import MediaError
from vidstyle.media.stills import light
from vidstyle.settings import Hdr
from vidstyle.system.opencv import cv2

UNTAGGED = (0, 2, 3)  # "RGB" (as a matrix, on a YUV picture), "unspecified", "reserved"
MATRICES = (1, 4, 5, 6, 7, 9)  # of YCbCr, that swscale has
MATRIX_OF_PRIMARIES = {1: 1, 5: 5, 6: 6, 7: 6, 9: 9}  # for "derived from the primaries", 12
HDR_TRANSFERS = {light.PQ: "PQ", light.HLG: "HLG"}
DOLBY_VISION_ONLY = ("dvh1", "dvhe", "dav1")  # codec tags of Dolby Vision that nothing else can read, if untagged
SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
STRIP = 1 << 18  # pixels converted at once: what stays in the processor's cache
TO_SDR = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)

Convert = Callable[[np.ndarray], np.ndarray]  #: (H, W, 3) uint16 codes -> (H, W, 3) uint8 sRGB


class Colors:
    """Makes the frames of one clip sRGB.

    Args:
        path: of the clip, for what is said.
        tag: of its codec in the container.
        hdr: what to do with a clip of high dynamic range.

    Attributes:
        tone_mapped: the name of the HDR curve that was mapped to SDR; None if there was none.
    """

    def __init__(self, path: Path, tag: str, hdr: Hdr) -> None:
        self.path = path
        self.tone_mapped: str | None = None
        self._tag, self._hdr = tag, hdr
        self._reformatter = VideoReformatter()  # one for all frames: making it nearly doubles the cost of a frame
        self._conversions: dict[tuple[int, int], Convert | None] = {}

    def check(self, frame: av.VideoFrame) -> None:
        """Raise `MediaError` if the tags of `frame` cannot be followed."""
        self._matrix(frame)
        self._conversion(frame)

    def to_srgb(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """A frame that `check` has passed: (height, width, 3) uint8, or (height, width, 4) if it has opacity."""
        alpha = has_opacity(frame)
        matrix = self._matrix(frame)
        convert = self._conversion(frame)
        kind = ("rgba" if alpha else "rgb24") if convert is None else ("rgba64le" if alpha else "rgb48le")
        converted = self._reformatter.reformat(frame, width, height, kind, src_colorspace=matrix, interpolation=SCALING)
        image = converted.to_ndarray()
        if convert is None:
            return image
        result = np.empty((height, width, 4 if alpha else 3), np.uint8)
        rows = max(1, STRIP // width)
        for top in range(0, height, rows):
            strip = image[top : top + rows]
            result[top : top + rows, :, :3] = convert(np.ascontiguousarray(strip[..., :3]))
            if alpha:
                result[top : top + rows, :, 3] = np.rint(strip[..., 3] * np.float32(1 / 257))
        return result

    def _matrix(self, frame: av.VideoFrame) -> int | None:
        """The matrix of YCbCr. Untagged, it is BT.709's if the frame is of HD size, else BT.601's, as players do."""
        if frame.format.is_rgb or frame.format.name.startswith(("gray", "xyz", "pal")):
            return None
        matrix = frame.colorspace
        if matrix == 12:
            matrix = MATRIX_OF_PRIMARIES.get(frame.color_primaries, matrix)
        if frame.color_trc not in HDR_TRANSFERS and matrix in UNTAGGED and self._is_dolby_vision(frame):
            raise MediaError(
                f"{self.path} is Dolby Vision without a picture for other players (profile 5), whose colours only "
                "licensed decoders know; export it as HDR10, HLG or SDR"
            )
        if matrix in UNTAGGED:
            if frame.color_primaries == 9 or frame.color_trc in HDR_TRANSFERS:
                return Colorspace.BT2020
            return Colorspace.ITU709 if frame.width >= 1280 or frame.height >= 720 else Colorspace.ITU601
        if matrix not in MATRICES:
            raise MediaError(
                f"{self.path} has colours of a kind that cannot be converted (matrix {matrix} of ITU-T H.273); convert "
                "it to BT.709 first"
            )
        return matrix

    def _is_dolby_vision(self, frame: av.VideoFrame) -> bool:
        marks = (frame.side_data.get(name) for name in ("DOVI_RPU_BUFFER", "DOVI_METADATA"))
        return self._tag.lower() in DOLBY_VISION_ONLY or any(mark is not None for mark in marks)

    def _conversion(self, frame: av.VideoFrame) -> Convert | None:
        """From the codes of this frame's primaries and curve to sRGB; None if they are sRGB's already."""
        key = (frame.color_primaries, frame.color_trc)
        if key not in self._conversions:
            self._conversions[key] = None if frame.format.name.startswith("xyz") else self._made(frame)
        return self._conversions[key]

    def _made(self, frame: av.VideoFrame) -> Convert | None:
        transfer, primaries = frame.color_trc, frame.color_primaries
        if primaries in UNTAGGED:
            primaries = 9 if transfer in HDR_TRANSFERS else 1
        if primaries not in light.PRIMARIES:
            raise MediaError(
                f"{self.path} has colours of a kind that cannot be converted (primaries {primaries} of ITU-T H.273); "
                "convert it to BT.709 first"
            )
        if transfer in HDR_TRANSFERS:
            self._require_tone_mapping(HDR_TRANSFERS[transfer])
            return functools.partial(_from_hdr, *_hdr_tables(transfer, _peak(frame)), light.to_bt709(primaries))
        if primaries == 1 and transfer not in light.TRANSFERS:
            return None
        codes = np.linspace(0, 1, 1 << 16)
        table = np.asarray(light.TRANSFERS.get(transfer, light.srgb_to_linear)(codes), np.float32)
        return functools.partial(_from_sdr, table, light.to_bt709(primaries))

    def _require_tone_mapping(self, name: str) -> None:
        if self._hdr == "refuse":
            new = self.path.with_name(f"{self.path.stem}.sdr.mp4")
            command = f"ffmpeg -i {shlex.quote(str(self.path))} -vf {TO_SDR} -crf 16 {shlex.quote(str(new))}"
            raise MediaError(
                f"{self.path} is an HDR clip ({name}), whose brightness sRGB cannot hold; leave out --hdr refuse, or "
                f"convert it yourself: {command}"
            )
        self.tone_mapped = name


def has_opacity(frame: av.VideoFrame) -> bool:
    """Whether a frame may be transparent somewhere."""
    return frame.format.has_palette or any(component.is_alpha for component in frame.format.components)


@functools.cache
def _to_codes() -> np.ndarray:
    """(65536,) uint8: sRGB of linear light in steps of 1/65535."""
    return np.asarray(np.rint(255 * light.linear_to_srgb(np.linspace(0, 1, 1 << 16))), np.uint8)


def _coded(linear: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Linear light -> sRGB; what lies outside of its gamut is clipped."""
    inside = np.clip(cv2.transform(linear, matrix), 0, 1)
    return _to_codes()[(inside * 65535 + 0.5).astype(np.uint16)]


def _from_sdr(table: np.ndarray, matrix: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return _coded(table[codes], matrix)


def _from_hdr(
    table: np.ndarray, gains: np.ndarray, is_hlg: bool, peak: float, matrix: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """Tone-mapped by the brightest channel, so that hues stay, then brought to another gamut."""
    nits = table[codes]
    if is_hlg:  # the display's light: brighter the brighter the scene as a whole (system gamma 1.2)
        luminance = cv2.transform(nits, np.array([[0.2627, 0.6780, 0.0593]], np.float32))
        nits = nits * (light.HLG_PEAK * np.power(luminance, 0.2).reshape(*nits.shape[:2], 1))
    brightest = nits.max(axis=2)
    places = np.sqrt(np.minimum(brightest / np.float32(peak), 1)) * (len(gains) - 1)
    return _coded(nits * gains[(places + 0.5).astype(np.int32)][..., None], matrix)


def _hdr_tables(transfer: int, peak: float) -> tuple[np.ndarray, np.ndarray, bool, float]:
    """Light of a code; what to multiply light with by the root of its share of the peak; whether HLG; the peak."""
    codes = np.linspace(0, 1, 1 << 16)
    is_hlg = transfer == light.HLG
    peak = light.HLG_PEAK if is_hlg else peak
    table = light.hlg_to_scene(codes) if is_hlg else np.minimum(light.pq_to_nits(codes), peak)
    nits = np.maximum(peak * codes**2, 1e-6)
    gains = light.rolled_off(nits, peak) / nits / light.REFERENCE_WHITE
    return np.asarray(table, np.float32), np.asarray(gains, np.float32), is_hlg, peak


def _peak(frame: av.VideoFrame) -> float:
    """The brightest light of an HDR clip in cd/m2, as it says itself: of its pictures, else of its maker's display."""
    content: Any = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    most = struct.unpack_from("=I", bytes(content))[0] if content is not None else 0
    mastering: Any = frame.side_data.get("MASTERING_DISPLAY_METADATA")
    if not most and mastering is not None:
        above, below = struct.unpack_from("=ii", bytes(mastering), 72)
        most = above / below if below else 0
    return float(min(max(most, light.REFERENCE_WHITE), 10000)) if most else 1000.0

"""Colour tags and bit depth in the headers of pictures: chunks of PNG, boxes of AVIF and HEIF."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidstyle.media.stills.colorimetry import BT709, SRGB, ColorTags

SRGB_GAMMA = 1 / 2.2  # what PNG's gAMA says of sRGB, whose curve is no plain power
MOST_HEADER = 16 << 20  # bytes of a header that are read: more than any real one has


def png_tags(path: Path, info: Mapping[Any, Any]) -> ColorTags | None:
    """The colours of a PNG, from its chunks in the order in which they count: cICP, iCCP, sRGB, gAMA with cHRM.

    Args:
        info: what Pillow found in the header.

    Returns:
        None where an ICC profile decides, or nothing is said.

    Raises:
        ValueError: the numbers of a cICP chunk are not known.
    """
    if (code := _png_chunk(path, b"cICP")) and len(code) == 4:
        return ColorTags.of(code[0], code[1])
    if "icc_profile" in info or "srgb" in info:
        return None
    gamma, white_first = info.get("gamma"), info.get("chromaticity")
    primaries = BT709
    if white_first and min(white_first[1::2]) > 0:
        points = [(white_first[offset], white_first[offset + 1]) for offset in (2, 4, 6, 0)]
        if not np.allclose(points, BT709, atol=0.001):
            primaries = tuple(points)
    if gamma and abs(gamma / SRGB_GAMMA - 1) > 0.05:
        return ColorTags(primaries, gamma=1 / gamma)
    return ColorTags(primaries, SRGB)


def nclx_tags(properties: Mapping[bytes, bytes]) -> ColorTags | None:
    """The colours that the properties of an AVIF or HEIF item say in numbers; None if they do not.

    Raises `ValueError` for numbers that are not known.
    """
    code = properties.get(b"nclx", b"")
    return ColorTags.of(*struct.unpack(">HH", code[:4])) if len(code) >= 4 else None


def bits_of(properties: Mapping[bytes, bytes]) -> int:
    """Bits a channel of an AVIF or HEIF item, from its `pixi` property or its codec's; 8 if neither says so."""
    pixels = properties.get(b"pixi", b"")
    if len(pixels) > 5:
        return max(pixels[5:])
    codec = properties.get(b"av1C", b"")
    if len(codec) > 2:
        return 8 if not codec[2] & 0x40 else 12 if codec[2] & 0x20 else 10
    return 8


def item_properties(path: Path) -> dict[bytes, bytes]:
    """The properties of the primary item of an AVIF or HEIF file, by their type; colour ones by b"nclx" and b"prof".

    A file that is made otherwise gives {}.
    """
    try:
        with open(path, "rb") as file:
            meta = dict(_boxes(file.read(MOST_HEADER)))[b"meta"][4:]
        children = dict(_boxes(meta))
        wide = children[b"pitm"][0] > 0
        (primary,) = struct.unpack_from(">I" if wide else ">H", children[b"pitm"], 4)
        properties = dict(_boxes(children[b"iprp"]))
        every = list(_boxes(properties[b"ipco"]))
        found = [every[number - 1] for number in _associated(properties[b"ipma"], primary) if 0 < number <= len(every)]
    except (KeyError, struct.error, IndexError):
        return {}
    return {body[:4] if kind == b"colr" else kind: body[4:] if kind == b"colr" else body for kind, body in found}


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in `data`, type and body; the last one may be cut off."""
    offset = 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        head = 8
        if size == 1 and offset + 16 <= len(data):
            (size,), head = struct.unpack_from(">Q", data, offset + 8), 16
        size = size or len(data) - offset
        if size < head:
            return
        yield kind, data[offset + head : offset + size]
        offset += size


def _associated(ipma: bytes, item: int) -> list[int]:
    """Numbers, from 1, of the properties of an item (ISO/IEC 23008-12, 9.3)."""
    version, flags = ipma[0], ipma[3]
    (count,) = struct.unpack_from(">I", ipma, 4)
    offset = 8
    for _ in range(count):
        (own,) = struct.unpack_from(">I" if version else ">H", ipma, offset)
        offset += 4 if version else 2
        many, offset = ipma[offset], offset + 1
        width, kind = (2, ">H") if flags & 1 else (1, ">B")
        numbers = [struct.unpack_from(kind, ipma, offset + at * width)[0] for at in range(many)]
        offset += many * width
        if own == item:
            return [number & (0x7FFF if width == 2 else 0x7F) for number in numbers]
    return []


def _png_chunk(path: Path, wanted: bytes) -> bytes | None:
    """The body of a chunk that lies before the pixels."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            if kind == wanted:
                return file.read(size) if size < MOST_HEADER else None
            if kind == b"IDAT":
                return None
            file.seek(size + 4, 1)
    return None

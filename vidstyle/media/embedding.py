"""Text in the metadata of picture files: PNG's tEXt, GIF's comment, TIFF's description, XMP in JPEG, WebP and AVIF.

The bytes of the pictures stay as they are. Clips hold the text as their comment, which their muxer writes.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from html import escape, unescape

from vidstyle.media.stills.decoders import WEBP_HEAD, webp_canvas

KEY = "vidstyle"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>'
    '<rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>'
)
TEXT = re.compile(r'<rdf:li xml:lang="x-default">(.*?)</rdf:li>', re.S)
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
AVIF_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
WEBP_XMP = 4  # the flag in VP8X
DESCRIPTION = 270  # the tag of TIFF
PNG_START = 8  # bytes of a signature
LONGEST = 60_000  # characters, so that it fits a segment of a JPEG


def embed(data: bytes, suffix: str, text: str) -> bytes:
    """A picture file that holds a text in ASCII, too. A longer one than a format takes is left out."""
    kinds: dict[str, Callable[[bytes, str], bytes]] = {
        ".png": _png, ".gif": _gif, ".webp": _webp, ".avif": _avif, ".jpg": _jpeg, ".jpeg": _jpeg,
        ".tif": _tiff, ".tiff": _tiff,
    }  # fmt: skip
    return kinds[suffix](data, text) if len(text) <= LONGEST else data


def embedded(data: bytes) -> str | None:
    """The text that `embed` has put into a picture file; None if there is none. A damaged file raises nothing else."""
    try:
        if data.startswith(b"\x89PNG"):
            begins = f"{KEY}\0".encode()
            texts = (body[len(begins) :] for kind, body in _chunks(data) if kind == b"tEXt" and body.startswith(begins))
            return next((text.decode("latin-1") for text in texts), None)
        if data.startswith(b"GIF8"):
            return _of_gif(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _of_tiff(data)
        if data.startswith(b"\xff\xd8"):
            return _of_xmp(data, JPEG_XMP)
        if data[8:12] == b"WEBP":
            return _of_xmp(data, b"XMP ")
        return _of_xmp(data, AVIF_XMP) if data[4:8] == b"ftyp" else None
    except (struct.error, IndexError, UnicodeDecodeError):
        return None


def _xmp(text: str) -> bytes:
    return XMP.format(escape(text, quote=False)).encode()


def _of_xmp(data: bytes, marker: bytes) -> str | None:
    place = data.rfind(marker)
    found = TEXT.search(data[place:].decode("utf-8", "replace")) if place >= 0 else None
    return unescape(found[1]) if found else None


def _png(data: bytes, text: str) -> bytes:
    body = b"tEXt" + f"{KEY}\0{text}".encode("latin-1", "replace")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    place = data.rindex(b"IEND") - 4
    return data[:place] + chunk + data[place:]


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = PNG_START
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        place += 12 + size


def _gif(data: bytes, text: str) -> bytes:
    body = f"{KEY} {text}".encode("latin-1", "replace")
    parts = [body[place : place + 255] for place in range(0, len(body), 255)]
    comment = b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    return data[:-1] + comment + data[-1:]  # before the trailer


def _of_gif(data: bytes) -> str | None:
    begins = f"{KEY} ".encode()
    for found in re.finditer(re.escape(b"\x21\xfe"), data):
        place, body = found.end(), b""
        if data[place + 1 : place + 1 + len(begins)] != begins:
            continue
        while size := data[place]:
            body += data[place + 1 : place + 1 + size]
            place += 1 + size
        return body[len(begins) :].decode("latin-1")
    return None


def _jpeg(data: bytes, text: str) -> bytes:
    body = JPEG_XMP + _xmp(text)
    if len(body) > 0xFFFD:
        return data
    place = 2
    if data[2:4] == b"\xff\xe0":  # JFIF comes first
        place += 2 + int.from_bytes(data[4:6])
    return data[:place] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[place:]


def _webp(data: bytes, text: str) -> bytes:
    body = _xmp(text)
    chunks, canvas = data[12:], webp_canvas(data[:WEBP_HEAD])
    if chunks[:4] != b"VP8X" and canvas is not None:  # a plain picture says its size in another way
        width, height, _ = canvas
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks = b"VP8X" + struct.pack("<I", 10) + bytes(4) + size + chunks
    chunks = chunks[:8] + bytes([chunks[8] | WEBP_XMP]) + chunks[9:]
    chunks += b"XMP " + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _avif(data: bytes, text: str) -> bytes:
    body = b"uuid" + AVIF_XMP + _xmp(text)
    return data + struct.pack(">I", len(body) + 4) + body


def _tiff(data: bytes, text: str) -> bytes:
    """The text and a new directory are appended, and the header leads there."""
    order, entries, following = _directory(data)
    data += bytes(len(data) % 2)  # what an entry leads to begins on an even byte, and so does a directory
    body = text.encode("ascii", "replace") + b"\0"
    body += bytes(len(body) % 2)
    entry = struct.pack(f"{order}HHII", DESCRIPTION, 2, len(text) + 1, len(data))
    kept = sorted([one for one in entries if struct.unpack_from(f"{order}H", one)[0] != DESCRIPTION] + [entry],
                  key=lambda one: struct.unpack_from(f"{order}H", one)[0])  # fmt: skip
    table = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + following
    return data[:4] + struct.pack(f"{order}I", len(data) + len(body)) + data[8:] + body + table


def _directory(data: bytes) -> tuple[str, list[bytes], bytes]:
    """The byte order of a TIFF, the entries of its first directory, and where the next one is."""
    order = "<" if data.startswith(b"II") else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    begin = first + 2
    entries = [data[begin + 12 * number : begin + 12 * number + 12] for number in range(count)]
    return order, entries, data[begin + 12 * count : begin + 12 * count + 4]


def _of_tiff(data: bytes) -> str | None:
    order, entries, _ = _directory(data)
    for one in entries:
        tag, _, size, place = struct.unpack(f"{order}HHII", one)
        if tag == DESCRIPTION:
            return data[place : place + size - 1].decode("ascii")
    return None

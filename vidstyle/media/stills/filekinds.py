"""The kind of a file by its first bytes, and the likely slip, for the text of an error."""

from __future__ import annotations

import difflib
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidstyle.errors import MediaError

Group = Literal["picture", "clip", "sound", "other"]
HEAD = 2048  # bytes that are looked at
TEXT_HEAD = 1024
WEB = re.compile(r"(?:.*[/\\])?([a-z][a-z0-9+.-]+:[/\\].*)", re.IGNORECASE)  # also after the current folder


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    name: str  #: with its article, like "a PNG picture"
    group: Group


HEIC = Kind("a HEIC photo", "picture")
EXR = Kind("an OpenEXR picture", "picture")
RADIANCE = Kind("a Radiance HDR picture", "picture")
RAW = Kind("a raw photo of a camera", "picture")
JPEG_XL = Kind("a JPEG XL picture", "picture")
DPX = Kind("a DPX picture", "picture")
ICON = Kind("an icon", "picture")
NOT_READ = (RAW, JPEG_XL, DPX, ICON)
MP4 = Kind("an MP4 clip", "clip")
QUICKTIME = Kind("a QuickTime clip", "clip")

# Patterns at the start of a file; the first that matches counts.
STARTS: tuple[tuple[bytes, Kind], ...] = (
    (rb"\x89PNG\r\n\x1a\n", Kind("a PNG picture", "picture")),
    (rb"\xff\xd8\xff", Kind("a JPEG picture", "picture")),
    (rb"GIF8[79]a", Kind("a GIF picture", "picture")),
    (rb"RIFF....WEBP", Kind("a WebP picture", "picture")),
    (rb"....ftypavi[fs]", Kind("an AVIF picture", "picture")),
    (rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", HEIC),
    (rb"....ftypcrx |II\*\0....CR|FUJIFILMCCD-RAW|IIR[OS]|IIU\0", RAW),
    (rb"II[*+]\0|MM\0[*+]", Kind("a TIFF picture", "picture")),
    (rb"BM....\0\0\0\0", Kind("a BMP picture", "picture")),
    (rb"8BPS\0[\x01\x02]", Kind("a Photoshop picture", "picture")),
    (rb"v/1\x01", EXR),
    (rb"#\?(RADIANCE|RGBE)\n", RADIANCE),
    (rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", JPEG_XL),
    (rb"SDPX|XPDS", DPX),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", Kind("a JPEG 2000 picture", "picture")),
    (rb"DDS ", Kind("a DDS texture", "picture")),
    (rb"qoif", Kind("a QOI picture", "picture")),
    (rb"P[1-7Ff]\s", Kind("a PNM picture", "picture")),
    (rb"\0\0[\x01\x02]\0[^\0]\0", ICON),
    (rb"....ftypM4[AB]", Kind("an M4A sound", "sound")),
    (rb"....ftypqt  |....(moov|mdat|wide|pnot)", QUICKTIME),
    (rb"....ftyp3g", Kind("a 3GP clip", "clip")),
    (rb"....ftyp", MP4),
    (rb"\x1aE\xdf\xa3.{,60}webm", Kind("a WebM clip", "clip")),
    (rb"\x1aE\xdf\xa3", Kind("a Matroska clip", "clip")),
    (rb"RIFF....AVI ", Kind("an AVI clip", "clip")),
    (rb"RI(FF|FX)....WAVE|RF64....WAVE", Kind("a WAV sound", "sound")),
    (rb"FLV\x01", Kind("an FLV clip", "clip")),
    (rb"G.{187}G|.{4}G.{191}G", Kind("an MPEG transport stream", "clip")),
    (rb"\0\0\x01[\xba\xb3]", Kind("an MPEG clip", "clip")),
    (rb"0&\xb2u\x8ef\xcf\x11", Kind("a WMV clip", "clip")),
    (rb"OggS.{24,60}(theora|BBCD)", Kind("an Ogg clip", "clip")),
    (rb"OggS", Kind("an Ogg sound", "sound")),
    (rb"\x06\x0e+4\x02\x05\x01\x01", Kind("an MXF clip", "clip")),
    (rb"\x1f\x07\0", Kind("a DV clip", "clip")),
    (rb"YUV4MPEG2", Kind("a Y4M clip", "clip")),
    (rb"DKIF", Kind("an IVF clip", "clip")),
    (rb"nut/multimedia", Kind("a NUT clip", "clip")),
    (rb"\0?\0\0\x01[gh@&B]", Kind("a raw video stream", "clip")),
    (rb"\.RMF", Kind("a RealMedia clip", "clip")),
    (rb"ID3|\xff[\xfb\xfa\xf3\xf2]", Kind("an MP3 sound", "sound")),
    (rb"\xff[\xf1\xf9]", Kind("an AAC sound", "sound")),
    (rb"fLaC", Kind("a FLAC sound", "sound")),
    (rb"FORM....AIF", Kind("an AIFF sound", "sound")),
    (rb"#!AMR", Kind("an AMR sound", "sound")),
    (rb"caff\0", Kind("a CAF sound", "sound")),
    (rb"MThd", Kind("a MIDI file", "sound")),
    (rb"%PDF-", Kind("a PDF document", "other")),
    (rb"%!PS", Kind("a PostScript document", "other")),
    (rb"PK\x03\x04", Kind("a ZIP archive, or a document that is one", "other")),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ|.{257}ustar", Kind("an archive", "other")),
    (rb"MZ|\x7fELF|\xfe\xed\xfa[\xce\xcf]|\xcf\xfa\xed\xfe", Kind("a program", "other")),
    (rb"\x93NUMPY", Kind("a NumPy array", "other")),
    (rb"\0\x01\0\0\0|OTTO|wOF[F2]", Kind("a font", "other")),
    (rb".{8}\{\"", Kind("a safetensors file", "other")),
)
TEXTS: tuple[tuple[bytes, Kind], ...] = (
    (rb"version https://git-lfs", Kind("a Git LFS pointer; run `git lfs pull` to get the file itself", "other")),
    (rb"\s*(<\?xml.*)?(<!--.*)?(<!DOCTYPE svg.*)?<svg", Kind("an SVG drawing; export it as PNG", "other")),
    (rb"\s*<(!doctype html|html|head|body)", Kind("a web page, not the file it shows; download that", "other")),
    (rb"#EXTM3U|\[playlist\]|ffconcat", Kind("a playlist, which names other files; give one of those", "other")),
    (rb"WEBVTT|1\r?\n\d\d:\d\d:", Kind("a file of subtitles", "other")),
)


def kind_of(path: Path) -> Kind | None:
    """What a file is by its first bytes; None if they are not known. Raises `OSError` as `open` does."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    text = b"\0" not in head[:TEXT_HEAD]
    for pattern, kind in (*STARTS, *(TEXTS if text else ())):
        if re.match(pattern, head, re.DOTALL | (re.IGNORECASE if kind.group == "other" and text else 0)):
            return kind
    return None


def described(path: Path, wanted: Literal["picture", "clip"] | None = None) -> str:
    """What a file is that no decoder wants, and what may have been meant, for the text of an error."""
    with open(path, "rb") as file:
        head = file.read(TEXT_HEAD)
    if not head:
        return "it is empty"
    kind = kind_of(path)
    if kind is None:
        return "it is text" if b"\0" not in head else "it is of an unknown kind, or damaged at its start"
    if kind in (MP4, QUICKTIME) and _lacks_index(path):
        return (
            f"it is {kind.name} without its index (moov): the recording or the download was interrupted; get it "
            "again, or mend it with a tool like untrunc"
        )
    if kind in NOT_READ and wanted == "picture":
        return f"it is {kind.name}, a kind that vidstyle does not read; make a PNG of it first"
    if kind.group == wanted:
        return f"it is {kind.name}, but damaged or of a variety that cannot be read; convert it first"
    slip = ""
    if kind.group == "clip" and wanted == "picture":
        slip = "; clips are painted with `vidstyle video`, the clip first and then the styles"
    elif kind.group == "picture" and wanted == "clip":
        slip = "; pictures are painted with `vidstyle image`, and in `vidstyle video` the clip comes first"
    elif kind.group == "sound":
        slip = ", which holds no pictures"
    return f"it is {kind.name}{slip}"


def check_file(path: str | Path) -> None:
    """Raise `MediaError` if `path` is not a file that may be read; names the likely slip."""
    path = Path(path)
    try:
        if path.is_dir():
            raise MediaError(f"{path} is a folder; give a file")
        if not path.exists():
            raise MediaError(missing(path))
        if not path.is_file():
            raise MediaError(f"{path} is no plain file; write what it gives into one first")
        if not os.access(path, os.R_OK):
            raise MediaError(f"{path} may not be read; change its permissions")
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero
        raise MediaError(f"{path} is no name of a file ({error})") from error


def missing(path: Path) -> str:
    """What to say of a file that is not there."""
    text = str(path)
    if web := WEB.match(text):
        return f"{web[1].replace(':/', '://', 1)} is an address; download the file first and give its name"
    if text.startswith("~"):
        return f"there is no file {path}: the shell left the ~ as it is; write it without quotes, or the whole path"
    if any(mark in text for mark in "*?["):
        return f"there is no file {path}: a pattern that matches nothing, or that quotes kept from the shell"
    if not path.parent.is_dir():
        return f"there is no file {path}: there is no folder {path.parent}"
    near = _near_names(path)
    return f"there is no file {path}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _near_names(path: Path) -> list[str]:
    """Up to two names in the same folder that are nearly the same."""
    try:
        names = {file.name.lower(): file.name for file in path.parent.iterdir() if file.is_file()}
    except OSError:
        return []
    return [str(path.with_name(names[near])) for near in difflib.get_close_matches(path.name.lower(), names, 2, 0.75)]


def _lacks_index(path: Path) -> bool:
    """Whether the top-level boxes of an MP4 or its kin lead to the end of the file without a `moov`."""
    with open(path, "rb") as file:
        total, offset = file.seek(0, 2), 0
        while offset + 8 <= total:
            file.seek(offset)
            head = file.read(16)
            size, kind = struct.unpack(">I4s", head[:8])
            if kind in (b"moov", b"moof"):
                return False
            if size == 1 and len(head) == 16:
                (size,) = struct.unpack(">Q", head[8:])
            if size < 8:
                break  # 0 = to the end of the file
            offset += size
    return True

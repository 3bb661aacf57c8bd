"""Containers of clips: which are opened, what other files are, and whether a file is truncated."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av

from vidstyle.errors import MediaError
from vidstyle.media.stills.pictures import check_file, described

# Containers that hold their own pictures. None of these opens another file, as a playlist would.
CLIP_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "avi",
    "gif",
    "apng",
    "mpegts",
    "mpeg",
    "flv",
    "ogg",
    "asf",
    "nut",
    "dv",
    "mxf",
    "ivf",
    "yuv4mpegpipe",
    # streams without a container
    "h264",
    "hevc",
    "mjpeg",
    "mpegvideo",
    "m4v",
    "obu",
)
# Tags that are no UTF-8 must not be in the way; from version 19 on, PyAV passes their bytes on.
TAG_ERRORS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
NO_INDEX = "it has no index (moov), as an interrupted recording or download; get it again, or mend it with untrunc"


def open_container(path: Path) -> av.container.InputContainer:
    """Open a clip so that nothing but this one file is read, whatever it says. Raises `MediaError`."""
    check_file(path)
    _refuse_others(path)
    options = {"format_whitelist": ",".join(CLIP_FORMATS), "protocol_whitelist": "file"}
    try:
        container: av.container.InputContainer = av.open("file:" + os.path.abspath(path), options=options, **TAG_ERRORS)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"{path} is not a clip that can be read: {described(path, 'clip')}") from error
    return container


def sound_tracks(container: av.container.InputContainer) -> list[av.AudioStream]:
    """The sound tracks of an open clip that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def _refuse_others(path: Path) -> None:
    """Raise `MediaError` for what FFmpeg opens as a clip although it is none, or does not name."""
    with open(path, "rb") as file:
        head = file.read(12)
        if head[4:8] != b"ftyp":
            return
        boxes, size = dict(_boxes(file)), os.fstat(file.fileno()).st_size
    if b"moov" in boxes:
        if boxes[b"moov"] > size:
            raise MediaError(f"{path} is cut short: it ends within its index (moov); get it again")
        return
    if b"meta" in boxes:  # FFmpeg gives one of the tiles that such a photo is made of
        kind = "an AVIF picture" if head[8:11] == b"avi" else "a HEIC photo"
        raise MediaError(f"{path} is not a clip: it is {kind}; paint it with `vidstyle image`")
    raise MediaError(f"{path} is not a clip that can be read: {NO_INDEX}")


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and end of each box at the top of an ISO file, MP4 and its kin; a box may end behind the file."""
    size, offset = os.fstat(file.fileno()).st_size, 0
    while offset + 8 <= size:
        file.seek(offset)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8))
        offset = size if length == 0 else offset + max(length, 8)
        yield kind, offset


def cut_short(path: Path, kind: str) -> bool | None:
    """Whether a file has fewer bytes than it says; None where it does not say.

    Args:
        kind: FFmpeg's name of its format.
    """
    tests = {"avi": _avi_cut, "matroska,webm": _matroska_cut, "gif": _gif_cut, "apng": _apng_cut, "flv": _flv_cut}
    test = tests.get(kind)
    if test is None:
        return None
    with open(path, "rb") as file:
        return test(file, os.fstat(file.fileno()).st_size)


def _avi_cut(file: BinaryIO, size: int) -> bool | None:
    """The file is one RIFF chunk after the other; some writers never fill in the length, 0 or near the largest."""
    offset = 0
    while offset + 8 <= size:
        file.seek(offset)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF" or not 0 < length < 0xFFFFFF00:
            return False if offset else None
        offset += 8 + length
    return offset > size + 1 or _is_blank(file, offset)  # the byte that fills up an odd length may be missing


def _matroska_cut(file: BinaryIO, size: int) -> bool | None:
    """An EBML header, and a segment that holds all the rest; a live one does not say how long it is."""
    offset = 0
    for _ in range(2):
        file.seek(offset)
        head = file.read(12)
        if len(head) < 12 or not head[4]:
            return None
        width = 9 - head[4].bit_length()  # bytes of the length, whose first has a mark in front
        unknown = (1 << 7 * width) - 1
        length = int.from_bytes(head[4 : 4 + width]) & unknown
        if length == unknown:
            return None
        offset += 4 + width + length
    return offset > size or _is_blank(file, offset)


def _is_blank(file: BinaryIO, end: int) -> bool:
    """Whether there is nothing before `end`: a download has kept its place, but was not finished."""
    file.seek(max(0, end - 4096))
    return not any(file.read(4096))


def _flv_cut(file: BinaryIO, size: int) -> bool:
    """Behind every tag its length is said once more."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4))
    file.seek(max(0, size - 4 - length))
    head = file.read(4)
    return head[:1] not in (b"\x08", b"\x09", b"\x12") or int.from_bytes(head[1:]) != length - 11


def _gif_cut(file: BinaryIO, size: int) -> bool:
    """A GIF ends with its end mark; some writers pad it with zeros."""
    file.seek(max(0, size - 1024))
    return not file.read().rstrip(b"\0").endswith(b";")


def _apng_cut(file: BinaryIO, size: int) -> bool:
    """A PNG ends with its end chunk; what comes behind is no matter."""
    file.seek(max(0, size - 65536))
    return b"IEND" not in file.read()

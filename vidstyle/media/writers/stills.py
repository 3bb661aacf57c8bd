"""The sinks of stills, and of folders of frames for further editing, through imageio."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidstyle.errors import DiskError, EncodingError, OutputExistsError, UsageError
from vidstyle.media.embedding import embed
from vidstyle.media.stills.codecs import decode, encode
from vidstyle.media.stills.pictures import load_picture
from vidstyle.media.stills.sequence import TIMED, TIMING
from vidstyle.media.stills.transparency import with_opacity
from vidstyle.media.writers.base import FileSink
from vidstyle.system.files import check_place, flush
from vidstyle.system.opencv import cv2

OURS = re.compile(r"timing\.json|\d{6,}\.png")


@dataclass(frozen=True)
class StillFormat:
    """How a still is encoded."""

    options: Mapping[str, Any]  #: of Pillow's encoder
    lossless: bool = False  #: reads back to the bit, and can hold 16 bits a channel
    reader: str | None = None  #: the feature of Pillow that writes and reads it, where Pillow may lack it


PNG = StillFormat({"optimize": True}, lossless=True)
JPEG = StillFormat({"quality": 95, "subsampling": 0})
TIFF = StillFormat({"compression": "tiff_lzw"}, lossless=True)
STILLS = {
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".webp": StillFormat({"quality": 95, "method": 6, "use_sharp_yuv": True}, reader="webp"),
    ".avif": StillFormat({"quality": 90, "subsampling": "4:4:4"}, reader="avif"),
    ".tif": TIFF,
    ".tiff": TIFF,
}


class StillSink(FileSink):
    """One picture, in the format of its suffix; one of 16 bits a channel, (H, W, 3) uint16, where that is lossless."""

    failures = (OSError, ValueError, cv2.error)  # WebP holds sides up to 16383 pixels
    samples = (np.dtype(np.uint8), np.dtype(np.uint16))

    def _write(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    def _finish(self) -> Path:
        kind, deep = STILLS[self.path.suffix.lower()], self._pixels.dtype == np.uint16
        part = self._part(self.path.suffix.lower())
        if deep:  # of which Pillow writes only grey, and imageio's OpenCV nothing but files
            order = [2, 1, 0, 3][: self._pixels.shape[2]]
            data = cv2.imencode(part.suffix, np.ascontiguousarray(self._pixels[:, :, order]))[1].tobytes()
        else:
            data = encode(self._pixels, part.suffix, **kind.options)
        if self.encoding.origin:
            data = embed(data, part.suffix, self.encoding.origin)
        part.write_bytes(data)  # an encoder would not notice that a disk is full
        transparent, white = self.encoding.transparent, np.iinfo(self._pixels.dtype).max
        read_back = np.rint(load_picture(part, transparency=transparent) * white).astype(self._pixels.dtype)
        read_back = with_opacity(read_back) if transparent else read_back
        if read_back.shape != self._pixels.shape or (kind.lossless and not np.array_equal(read_back, self._pixels)):
            raise EncodingError(f"{self.path} does not read back as it was written")
        return part


def check_bits(paths: Iterable[Path], bits: int) -> None:
    """Raise `UsageError` if an output cannot hold so many bits a channel."""
    for path in paths:
        if bits > 8 and not STILLS[path.suffix.lower()].lossless:
            able = ", ".join(suffix for suffix, kind in STILLS.items() if kind.lossless)
            raise UsageError(f"--bits {bits} is for {able}, and {path} holds 8; give another suffix, or leave it out")


class FolderSink(FileSink):
    """000000.png and so on, lossless, and `timing.json`; the folder appears when all of it is there."""

    def _start(self) -> None:
        self._frames = self._part("")
        self._frames.mkdir()

    def _write(self, pixels: np.ndarray) -> None:
        file = self._frames / f"{self._written:06d}.png"
        file.write_bytes(encode(pixels, ".png"))  # the encoder itself would not notice that a disk is full
        flush(file)
        if not np.array_equal(decode(file), pixels):
            raise EncodingError(f"{file.name} in {self.path} does not read back as it was written")

    def _finish(self) -> Path:
        info = self.info
        seconds = [float(time) for time in info.times]
        timing = {"format": TIMED, "fps": str(info.fps), "seconds": seconds, "end": float(info.seconds)}
        timing |= {"origin": self.encoding.origin} if self.encoding.origin else {}
        (self._frames / TIMING).write_text(json.dumps(timing, indent=1) + "\n")
        flush(self._frames / TIMING)
        return self._frames

    def _check_old(self, path: Path) -> None:
        refuse_foreign(path)


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a folder of frames can be written.

    Raises:
        DiskError: the folder above is missing or cannot be written, or `path` is a file, or a folder of other things.
        OutputExistsError: the folder is there, with frames, and may not be replaced.
    """
    place = check_place(path)
    if os.path.lexists(place):
        refuse_foreign(place)
        if any(place.iterdir()) and not overwrite:
            raise OutputExistsError(f"output {path} is there already; give -y to replace it, or another name")


def refuse_foreign(path: Path) -> None:
    """Raise `DiskError` unless `path` is an empty folder or one that holds frames of vidstyle and nothing else."""
    if not path.is_dir():
        raise DiskError(f"output {path} is a file; give another name for the folder of frames")
    files = list(path.iterdir())
    ours = not files
    with suppress(OSError, ValueError, AttributeError):
        ours = ours or json.loads((path / TIMING).read_bytes()).get("format") == TIMED
    if not ours or not all(OURS.fullmatch(file.name) and file.is_file() for file in files):
        raise DiskError(f"the folder {path} holds files that are no frames of vidstyle; give the name of a new folder")

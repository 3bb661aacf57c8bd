"""Where painted frames go: the sink of each suffix, and that of a still.

Every sink writes hidden part files beside the output, reads the result back, and only then puts it in its place. So an
output is there whole or not at all, and an old one stays until the new one is good.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vidstyle import libraries
from vidstyle.errors import UsageError, VidstyleError
from vidstyle.files import check_writable
from vidstyle.partfile import PartFile
from vidstyle.pictures import load_picture
from vidstyle.types import ClipInfo, Sink

if TYPE_CHECKING:
    from vidstyle.encoders import Encoder
    from vidstyle.media import Clip


def check_output(path: Path, *, moving: bool, overwrite: bool) -> None:
    """Find out before any painting whether `path` can be written.

    Args:
        moving: whether there will be more than one frame.
        overwrite: whether a file that is there already may be replaced.

    Raises:
        UsageError: the suffix is unknown, or of a still where frames move or the other way round, or a library that
            writes clips is not installed.
        DiskError: the folder is missing or cannot be written, or `path` is not a plain file.
        OutputExistsError: the file is there and may not be replaced.
    """
    known = encoders() if moving else STILLS
    if path.suffix.lower() not in known:
        what = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        kind = "moving" if moving else "still"
        raise UsageError(f"output {path} {what}; a {kind} picture is written as {', '.join(known)}")
    check_writable(path, overwrite=overwrite)


def open_sink(path: str | Path, info: ClipInfo, *, crf: int = 18, sound: Clip | None = None) -> Sink:
    """The sink for the suffix of `path`.

    Args:
        info: of the frames that will be written.
        crf: quality of an MP4, 0 lossless to 51 worst.
        sound: the clip whose sound goes into an MP4, cut to its selection; None for none.

    Raises:
        UsageError: the suffix is unknown, or a library that writes clips is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in STILLS:
        return STILLS[suffix](path, info)
    moving = encoders()
    if suffix not in moving:
        raise UsageError(f"output {path} has an unknown suffix; known: {', '.join((*moving, *STILLS))}")
    return moving[suffix](path, info, crf, sound)


def encoders() -> Mapping[str, type[Encoder]]:
    """The sinks of moving pictures, by suffix. Raises `UsageError` if a library that writes clips is not installed."""
    libraries.require("writing a clip", "av", "imageio_ffmpeg")
    # Not at the top: whoever writes no clip needs no such library.
    from vidstyle.encoders import ENCODERS

    return ENCODERS


class StillSink(PartFile):
    """One picture: PNG (lossless) or JPEG (quality 95, colours at full resolution)."""

    def _write(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    def _finish(self) -> Path:
        part = self._part(self.path.suffix)
        lossless = self.path.suffix.lower() == ".png"
        options: dict[str, Any] = {"optimize": True} if lossless else {"quality": 95, "subsampling": 0}
        encoded = io.BytesIO()  # Pillow does not notice when a disk is full
        Image.fromarray(self._pixels).save(encoded, "PNG" if lossless else "JPEG", **options)
        part.write_bytes(encoded.getvalue())
        read_back = np.rint(load_picture(part) * 255)
        if read_back.shape != self._pixels.shape or (lossless and not np.array_equal(read_back, self._pixels)):
            raise VidstyleError(f"{self.path} does not read back as it was written; nothing was kept")
        return part


STILLS = {".png": StillSink, ".jpg": StillSink, ".jpeg": StillSink}

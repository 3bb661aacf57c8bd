"""Outputs that are there whole or not at all: hidden part files, read back, and only then put in their place."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from vidstyle.errors import DiskError, VidstyleError
from vidstyle.types import ClipInfo

if TYPE_CHECKING:
    from vidstyle.media import Clip


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded; each sink reads what its format knows."""

    crf: int = 18  #: 0 best, 51 worst
    plays: int = 0  #: how often an animation is played; 0 = for ever
    sound: Clip | None = None  #: the clip whose sound goes along, cut to its selection
    delay: Fraction = Fraction(0)  #: seconds of pictures before that sound begins
    colors: int = 255  #: of a GIF, at most
    dither: float = 0.5  #: of a GIF: 0 none, 1 as if nobody saw its grain
    still: float = 0.0  #: of a GIF: a change of a pixel that is not shown, in Oklab, whose lightness is 0 to 1


class PartFile:
    """What sinks share: the part files, and the order of encoding, checking and replacing.

    A context manager. Leaving it without an error finishes the file; it raises `DiskError` if the disk is full and
    `VidstyleError` if frames are missing or the file does not read back as written.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = (OSError,)  #: of writing, that end in a `VidstyleError`
    reader: ClassVar[str | None] = None  #: the feature of Pillow that reads the file back, where Pillow may lack it

    def __init__(self, path: Path, info: ClipInfo, encoding: Encoding) -> None:
        self.path, self.info, self.encoding = path, info, encoding
        self._parts: list[Path] = []
        self._written = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._clean()
            raise
        return self

    def write(self, pixels: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8 sRGB of the size in `info`."""
        wanted = (self.info.height, self.info.width, 3)
        if pixels.shape != wanted or pixels.dtype != np.uint8:
            raise ValueError(f"got a frame of {pixels.shape} {pixels.dtype}, wanted {wanted} uint8")
        self._write(pixels)
        self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self._written != self.info.frames:
                    raise VidstyleError(f"{self._written} frames were written to {self.path}, not {self.info.frames}")
                self._replace(self._finish())
        except self.failures as failure:
            raise _failure(self.path, failure) from failure
        finally:
            self._stop()
            self._clean()

    def _part(self, kind: str) -> Path:
        part = self.path.with_name(f".{self.path.name}.part{kind}")
        self._parts.append(part)
        return part

    def _clean(self) -> None:
        for part in self._parts:
            part.unlink(missing_ok=True)

    def _start(self) -> None:
        """Get ready to take frames."""

    def _write(self, pixels: np.ndarray) -> None:
        raise NotImplementedError

    def _finish(self) -> Path:
        """Complete and check the file; the part file that holds it."""
        raise NotImplementedError

    def _replace(self, part: Path) -> None:
        """Put what is complete in its place."""
        os.replace(part, self.path)

    def _stop(self) -> None:
        """End what may still run."""


def _failure(path: Path, error: Exception) -> VidstyleError:
    """What an error of writing means to the user. PyAV's carry the numbers of the operating system, too."""
    number, text = getattr(error, "errno", None), getattr(error, "strerror", None) or error
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskError(f"the disk is full ({text}); free some space and run the same command again")
    kind = DiskError if isinstance(error, OSError) else VidstyleError
    return kind(f"{path} cannot be written ({text}); nothing was kept")

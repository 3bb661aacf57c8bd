"""The base of all sinks: an output is made in a staging folder, read back, and only then renamed to its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from vidstyle.errors import EncodingError
from vidstyle.media.embedding import embed
from vidstyle.system.files import FULL, Record, failure, place_of, put, staging
from vidstyle.types import ClipInfo

if TYPE_CHECKING:
    from vidstyle.media.video import Clip
    from vidstyle.media.writers.tracks import Excerpt


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded; each sink reads what its format knows."""

    crf: int = 18  #: 0 best, 51 worst
    plays: int = 0  #: how often an animation is played; 0 = for ever
    sound: Clip | Excerpt | None = None  #: the clip whose sound, subtitles and titles go along, cut to its selection
    delay: Fraction = Fraction(0)  #: seconds of pictures before that sound begins
    colors: int = 255  #: of a GIF, at most
    dither: float = 0.5  #: of a GIF: 0 none, 1 with no weight on its grain
    origin: str = ""  #: settings and input hashes as text in ASCII, for the metadata of the file
    record: Record | None = None  #: told the output and its part file before that takes its place
    still: float = 0.0  #: of a GIF: a change of a pixel that is not shown, in Oklab, whose lightness is 0 to 1
    on_note: Callable[[str], None] = lambda note: None  #: told what does not go along, and why
    transparent: bool = False  #: the frames have opacity, (H, W, 4); only for what `sinks.holds_transparency` names


class FileSink:
    """Base of the sinks: encodes in a staging folder, verifies the file, then replaces the output.

    A context manager. Leaving it without an error finishes the file; it raises `DiskError` if the disk is full,
    `OutputExistsError` if something is there that may not be replaced, and `EncodingError` if frames are missing or the
    file does not read back as written.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = (OSError,)  #: of writing, that end in a `VidstyleError`
    samples: ClassVar[tuple[np.dtype[Any], ...]] = (np.dtype(np.uint8),)  #: kinds of samples that it takes
    reader: ClassVar[str | None] = None  #: the feature of Pillow that reads the file back, where Pillow may lack it

    def __init__(self, path: Path, info: ClipInfo, encoding: Encoding, *, overwrite: bool = True) -> None:
        self.path, self.info, self.encoding, self.overwrite = path, info, encoding, overwrite
        self._written = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack, self._told():
            self._place = place_of(self.path)
            self._folder = stack.enter_context(staging(self._place.parent))
            stack.callback(self._stop)
            self._start()
            self._stack = stack.pop_all()
        return self

    def write(self, pixels: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8 sRGB of the size in `info`; (H, W, 4) if the encoding is transparent."""
        wanted = (self.info.height, self.info.width, 4 if self.encoding.transparent else 3)
        if pixels.shape != wanted or pixels.dtype not in self.samples:
            raise ValueError(f"got a frame of {pixels.shape} {pixels.dtype}, wanted {wanted} uint8")
        with self._told():
            self._write(pixels)
        self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack, self._told():
            if kind is None:
                if self._written != self.info.frames:
                    raise EncodingError(f"{self._written} frames were written to {self.path}, not {self.info.frames}")
                part = self._finish()
                if self.encoding.record is not None:
                    self.encoding.record(self.path, part)
                put(part, self._place, overwrite=self.overwrite, check_old=self._check_old)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn failures of writing into an error that says what to do."""
        try:
            yield
        except self.failures as error:
            # PyAV's errors carry the numbers of the operating system, too, whatever class they are of.
            number, text = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
            if isinstance(error, OSError) or number in FULL:
                raise failure(self.path, OSError(number, text)) from error
            raise EncodingError(f"{self.path} cannot be written ({text})") from error

    def _part(self, kind: str) -> Path:
        """Where a part of the work is written; `kind` tells it from the others, and ends in its suffix."""
        return self._folder / f"part{kind}"

    def _embed(self, part: Path, suffix: str = "") -> None:
        """Put the origin into the metadata of a picture file, of the kind that its suffix says."""
        if self.encoding.origin:
            part.write_bytes(embed(part.read_bytes(), suffix or part.suffix, self.encoding.origin))

    def _start(self) -> None:
        """Get ready to take frames."""

    def _write(self, pixels: np.ndarray) -> None:
        raise NotImplementedError

    def _finish(self) -> Path:
        """Complete and check the file; the part file that holds it."""
        raise NotImplementedError

    def _check_old(self, path: Path) -> None:
        """Raise `DiskError` for a folder that may not be replaced, because of what is in it."""

    def _stop(self) -> None:
        """End what may still run."""

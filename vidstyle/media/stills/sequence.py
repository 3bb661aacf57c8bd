"""Image sequences as a clip: a folder, a numbered pattern, a pattern with wildcards, an animated WebP.

A folder that vidstyle wrote says when each of its frames is shown; other pictures are shown at a constant rate.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from vidstyle.errors import MediaError, UsageError
from vidstyle.media.stills import codecs
from vidstyle.media.stills.decoders import require_canvas
from vidstyle.media.stills.filekinds import check_file, kind_of
from vidstyle.media.stills.pictures import PICTURE_SUFFIXES, load_picture, picture_size
from vidstyle.media.stills.transparency import is_transparent, opaque, with_opacity
from vidstyle.types import ClipInfo

TIMING = "timing.json"  # in a folder that vidstyle wrote: says when each frame is shown
TIMED = "vidstyle-frames-1"  # its format
RATE = Fraction(25)  # pictures a second, where nothing else is said
NUMBERED = re.compile(r"%(0?)(\d*)d")
FINEST = 1_000_000  # the largest denominator of times that were written as decimal numbers
TICK = Fraction(1, 1000)  # the clock of WebP
UNTIMED = Fraction(1, 10)  # seconds for which browsers show a frame that says 0


@dataclass(frozen=True)
class PictureClip:
    """Pictures with their times, all decoded once, and those selected of them; what `media.Clip` is of a clip."""

    path: Path  #: what was given
    info: ClipInfo  #: of the selected frames
    first: int  #: number of the first selected frame
    times: tuple[Fraction, ...]  #: seconds at which the selected frames are shown, from the first of all
    end_seconds: Fraction  #: where the last selected frame ends, exclusive
    whole: bool  #: all frames are selected
    files: tuple[Path, ...]  #: of the selected frames; of an animated WebP that file alone
    has_audio: bool = False
    origin: Fraction = Fraction(0)
    notes: tuple[str, ...] = ()
    transparent: bool = False  #: a selected frame is transparent somewhere

    @property
    def start_seconds(self) -> Fraction:
        """When the first selected frame is shown, from the first of all."""
        return self.times[0]

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The selected frames from number `start` on, (H, W, 3) uint8 sRGB.

        Transparency is over white. Raises `MediaError` if a file has changed since it was surveyed.
        """
        with closing(self._decoded(start)) as frames:
            yield from map(opaque, frames)

    def decode_transparent(self, start: int = 0) -> Generator[np.ndarray]:
        """The same, (H, W, 4), if a frame is transparent somewhere; its colours are not premultiplied."""
        with closing(self._decoded(start)) as frames:
            yield from map(with_opacity if self.transparent else opaque, frames)

    def _decoded(self, start: int) -> Generator[np.ndarray]:
        """The frames as they are, (H, W, 3 or 4)."""
        stop = self.info.frames
        animated = self.files == (self.path,)
        pictures = (
            _webp_frames(self.path, self.first + start, self.first + stop)
            if animated
            else map(_pixels, self.files[start:stop])
        )
        given = start
        for picture in pictures:
            if picture.shape[:2] != (self.info.height, self.info.width):
                raise MediaError(f"{self.path} has changed its size since it was first read; start again")
            yield picture
            given += 1
        if given < stop:
            raise MediaError(f"{self.path} has lost frames since it was first read; start again")


def is_sequence(path: str | Path) -> bool:
    """Whether `path` is a folder, an animated WebP, or a pattern that is no name of a file."""
    path = Path(path)
    try:
        if path.is_dir():
            return True
        if path.is_file():
            kind = kind_of(path)
            return kind is not None and kind.name == "a WebP picture" and _webp_count(path) > 1
    except (OSError, ValueError):
        return False  # check_file knows how to say it
    return NUMBERED.search(path.name) is not None or glob.has_magic(path.name)


def survey_sequence(
    path: str | Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    rate: float | None = None,
    on_frame: Callable[[np.ndarray], object] | None = None,
    on_read: Callable[[int, int], object] = lambda done, total: None,
) -> PictureClip:
    """Decode all selected pictures once, to know that they can be read before anything is painted.

    Args:
        start, end: seconds; frames with start <= t < end are selected.
        rate: pictures a second; None for the times that are written beside them or else 25.
        on_frame: called with each selected frame, (H, W, 3) uint8.
        on_read: called after each with how many are read, of how many.

    Raises:
        MediaError: there is no picture, or one is damaged or of another size than the first.
        UsageError: no frame lies between `start` and `end`, or `rate` is given for an animated WebP.
    """
    path = Path(path)
    animated = path.is_file()
    files, times, fps = ([path], _webp_times(path), None) if animated else _timed(path, rate)
    if rate is not None and animated:
        raise UsageError(f"--input-fps is for pictures without times, and {path} has its own; leave it out")
    low, high = Fraction(str(start)), None if end is None else Fraction(str(end))
    chosen = [n for n, time in enumerate(times[:-1]) if low <= time and (high is None or time < high)]
    if not chosen:
        wanted = f"from {start:g} s" + ("" if end is None else f" to {end:g} s")
        raise UsageError(f"{path} has no frame {wanted}: its last one is at {float(times[-2]):.3f} s")
    first, stop = chosen[0], chosen[-1] + 1
    selected = [path] if animated else files[first:stop]
    size = _size([path] if animated else selected)
    clip = PictureClip(
        path=path,
        info=_info(size, [time - times[first] for time in times[first : stop + 1]], fps),
        first=first,
        times=tuple(times[first:stop]),
        end_seconds=times[stop],
        whole=len(chosen) == len(times) - 1,
        files=tuple(selected),
    )
    transparent, visible = False, False
    with closing(clip._decoded(0)) as frames:
        for number, picture in enumerate(frames, 1):
            transparent = transparent or is_transparent(picture)
            visible = visible or picture.shape[2] == 3 or bool(picture[:, :, 3].any())
            if on_frame is not None:
                on_frame(opaque(picture))
            on_read(number, clip.info.frames)
    if not visible:
        raise MediaError(f"{path} is transparent everywhere, so there is nothing to be seen in it; give another")
    return dataclasses.replace(clip, transparent=transparent)


def input_files(path: str | Path) -> list[Path]:
    """The files that an input is made of, whatever it is: what a job that was painted from it depends on.

    Raises `MediaError` if there is none, or it may not be read.
    """
    path = Path(path)
    if path.is_file() or not is_sequence(path):
        check_file(path)
        return [path]
    files, timing = pictures_in(path), _timing(path)
    return [*files, timing] if timing.is_file() else files


def pictures_in(path: str | Path) -> list[Path]:
    """The pictures that a folder or a pattern names, in the order of the numbers in their names.

    Raises `MediaError` if there is none.
    """
    path = Path(path)
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES]
        what = f"the folder {path} holds no picture ({', '.join(PICTURE_SUFFIXES)})"
    elif number := NUMBERED.search(path.name):
        before, after = (re.escape(part) for part in (path.name[: number.start()], path.name[number.end() :]))
        digits = f"\\d{{{int(number[2] or 1) if number[1] else 1},}}"
        name = re.compile(before + digits + after)
        found = [file for file in _siblings(path) if name.fullmatch(file.name)]
        what = f"no file is named like {path}"
    else:
        found = [Path(file) for file in glob.glob(os.fspath(path))]
        what = f"no file is named like {path}"
    files = [file for file in found if file.is_file() and not file.name.startswith(".")]
    if not files:
        raise MediaError(f"{what}; give a clip, a folder of pictures, or a pattern like frames/%04d.png")
    return sorted(files, key=_natural)


def _timing(path: Path) -> Path:
    """Where the times of the pictures are, if they are written."""
    return (path if path.is_dir() else path.parent) / TIMING


def _siblings(path: Path) -> list[Path]:
    return list(path.parent.iterdir()) if path.parent.is_dir() else []


def _natural(file: Path) -> list[tuple[int, str]]:
    """A key that puts 2.png before 10.png."""
    parts = re.split(r"(\d+)", file.name)
    return [(int(part), part) if number % 2 else (0, part) for number, part in enumerate(parts)]


def _timed(path: Path, rate: float | None) -> tuple[list[Path], list[Fraction], Fraction | None]:
    """The pictures, their times and where the last one ends, and the rate that is said of them."""
    files, timing_file = pictures_in(path), _timing(path)
    if rate is not None or not timing_file.is_file():
        fps = RATE if rate is None else Fraction(str(rate))
        return files, [number / fps for number in range(len(files) + 1)], fps
    try:
        timing = json.loads(timing_file.read_bytes())
        if timing["format"] != TIMED:
            raise ValueError(f"its format is {timing['format']!r}")
        fps = Fraction(timing["fps"])
        times = [Fraction(second).limit_denominator(FINEST) for second in timing["seconds"]]
        end = timing.get("end")
        times.append(times[-1] + 1 / fps if end is None else Fraction(end).limit_denominator(FINEST))
        if any(later <= earlier for earlier, later in pairwise(times)) or times[0] != 0:
            raise ValueError("its times do not rise from 0")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError, OverflowError) as error:
        raise MediaError(
            f"{timing_file} is damaged ({error}); give --input-fps to show the pictures without it"
        ) from error
    if len(times) != len(files) + 1:
        raise MediaError(
            f"{path} names {len(files)} pictures, and {timing_file} has the times of {len(times) - 1}; "
            "give --input-fps to show them without it"
        )
    return files, times, fps


def _info(size: tuple[int, int], times: Sequence[Fraction], fps: Fraction | None) -> ClipInfo:
    """What frames at `times` are, the last of which is where they end: of a constant rate if one explains them."""
    *shown, end = times
    count = len(shown)
    average = (count - 1) / shown[-1] if count > 1 else fps or 1 / end
    broadcast = Fraction(round(average * 1001 / 1000) * 1000, 1001)
    for usual in (fps, average, Fraction(round(average)), broadcast):
        if usual and all(abs(time - number / usual) <= TICK / 2 for number, time in enumerate(shown)):
            longer = abs(end - count / usual) > TICK / 2
            return ClipInfo(*size, fps=usual, frames=count, end=end if longer else None)
    return ClipInfo(*size, fps=average, frames=count, timestamps=tuple(shown), end=end)


def _size(files: Sequence[Path]) -> tuple[int, int]:
    """The size of all pictures. Raises `MediaError` if one has another; decodes none."""
    size = picture_size(files[0])
    for file in files[1:]:
        if (other := picture_size(file)) != size:
            raise MediaError(
                f"{file} has {other[0]}x{other[1]} pixels, and {files[0].name} {size[0]}x{size[1]}; "
                "the pictures of a clip must have one size"
            )
    return size


def _pixels(file: Path) -> np.ndarray:
    """A picture as a frame, (H, W, 3 or 4) uint8."""
    pixels: np.ndarray = np.rint(load_picture(file, transparency=True) * 255).astype(np.uint8)
    return pixels


def _webp_count(path: Path) -> int:
    """The frames of a WebP; 0 if it is damaged."""
    try:
        require_canvas(path)
        return codecs.count(path)
    except Exception:  # Pillow raises a dozen kinds; whoever reads it is told what is wrong
        return 0


def _webp_times(path: Path) -> list[Fraction]:
    """When each frame of an animated WebP is shown, and where the last one ends; each is decoded for it."""
    require_canvas(path)
    times = [Fraction(0)]
    try:
        for _, said in codecs.frames(path):
            times.append(times[-1] + (Fraction(int(said.get("duration", 0)), 1000) or UNTIMED))
    except Exception as error:  # Pillow's decoders raise a dozen kinds for damaged files
        raise MediaError(f"{path} is damaged after {len(times) - 1} frames ({error}); get it again") from error
    return times


def _webp_frames(path: Path, start: int, stop: int) -> Generator[np.ndarray]:
    """Frames of an animated WebP, (H, W, 3 or 4) uint8."""
    with closing(codecs.frames(path)) as frames:
        for pixels, _ in islice(frames, start, stop):  # all are decoded: each is drawn over the one before
            yield np.array(pixels)

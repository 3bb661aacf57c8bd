"""Outputs made in miniature before painting, so that what would fail at the end fails at once."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from vidstyle.errors import DiskError, UsageError, VidstyleError
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.sinks import holds_transparency, open_sink
from vidstyle.system.files import staging
from vidstyle.types import ClipInfo

SIDE = 64  # pixels of the longer side
SHORT = 20  # s of a clip whose sound is tried as a whole
GLANCE = 1  # s of the sound of a longer one


def try_outputs(outputs: Sequence[Path], info: ClipInfo, encoding: Encoding) -> list[str]:
    """Make each output of a few small frames, at the most different times of the real ones, with real sound.

    They go through the same encoders, containers and checks as the whole will, and are left nowhere.

    Args:
        info: of all that the outputs will show.
        encoding: with the sound that will go along; transparent if the outputs are that can be.

    Returns:
        What does not go along with the pictures, and why; a sentence each.

    Raises:
        UsageError: an output cannot be made of such frames, or not on this machine.
        DiskError: the system's temporary folder is full.
    """
    notes: list[str] = []
    small, tried = miniature(info), _glance(dataclasses.replace(encoding, on_note=notes.append))
    try:
        with staging(Path(tempfile.gettempdir())) as folder:
            for output in outputs:
                own = dataclasses.replace(tried, transparent=tried.transparent and holds_transparency(output))
                _try(folder / output.name, output, small, own)
    except (DiskError, OSError) as error:
        raise DiskError(f"the temporary folder {tempfile.gettempdir()} cannot be used ({error}); set TMPDIR") from error
    return [*dict.fromkeys(notes)]


def _try(path: Path, output: Path, info: ClipInfo, encoding: Encoding) -> None:
    try:
        with open_sink(path, info, encoding) as sink:
            for frame in _frames(info, 4 if encoding.transparent else 3):
                sink.write(frame)
    except DiskError:
        raise
    except (VidstyleError, ValueError, OverflowError) as error:
        raise UsageError(
            f"output {output} could not be made: a trial with {info.frames} small frames failed ({error}); "
            "give an output of another format"
        ) from error


def miniature(info: ClipInfo) -> ClipInfo:
    """A small picture of the same aspect, odd where it is odd, with the longest and the shortest step and the last."""
    scale = min(SIDE / max(info.width, info.height), 1)
    width, height = (_scaled(side, scale) for side in (info.width, info.height))
    *others, last = [after - before for before, after in pairwise([*info.times, info.seconds])]
    *times, end = accumulate([max(others), min(others), last] if others else [last], initial=Fraction(0))
    if info.timestamps is None or not others:
        return ClipInfo(width, height, info.fps, len(times), None, info.end and end)
    return ClipInfo(width, height, (len(times) - 1) / times[-1], len(times), tuple(times), end)


def _scaled(side: int, scale: float) -> int:
    """Pixels, at least one, and odd where `side` is."""
    scaled = max(round(side * scale), 1)
    return scaled + (scaled - side) % 2


def _frames(info: ClipInfo, channels: int) -> Iterator[np.ndarray]:
    """Noise, (H, W, channels) uint8."""
    for number in range(info.frames):
        yield np.random.default_rng(number).integers(0, 256, (info.height, info.width, channels), np.uint8)


def _glance(encoding: Encoding) -> Encoding:
    """The same with the beginning of the sound of a long clip."""
    sound = encoding.sound
    if sound is None:
        return encoding
    from vidstyle.media.writers.tracks import Excerpt  # not at the top: it needs the libraries of clips

    if isinstance(sound, Excerpt) or sound.end_seconds - sound.start_seconds <= SHORT:
        return encoding
    whole = Excerpt.of(sound, encoding.delay)
    return dataclasses.replace(encoding, sound=dataclasses.replace(whole, end=whole.begin + GLANCE))

"""Several outputs of one painting: all checked before it, each encoded on its own after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidstyle.errors import JobError, UsageError, VidstyleError
from vidstyle.sinks import check_output, open_sink
from vidstyle.types import ClipInfo, Settings

if TYPE_CHECKING:
    from vidstyle.media import Clip

File = str | Path


def listed(outputs: File | Sequence[File]) -> list[File]:
    """One output, or several, as a list."""
    return [outputs] if isinstance(outputs, str | Path) else list(outputs)


def check_outputs(outputs: File | Sequence[File], *, moving: bool, overwrite: bool) -> list[Path]:
    """Find out before any painting whether all can be written; the first gives the job folder its name.

    Raises:
        UsageError: there is none, or one twice, or as `check_output` does.
        DiskError, OutputExistsError: as `check_output` does.
    """
    paths = [check_output(output, moving=moving, overwrite=overwrite) for output in listed(outputs)]
    if not paths:
        raise UsageError("no output was given; give at least one with -o")
    places = [os.path.normcase(os.path.abspath(path)) for path in paths]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"output {paths[number]} is given twice; give each output once")
    return paths


def export(
    frames: Callable[[], Iterator[np.ndarray]],
    info: ClipInfo,
    outputs: Sequence[Path],
    settings: Settings,
    *,
    sound: Clip | None = None,
    delay: Fraction = Fraction(0),
    job: Path,
) -> None:
    """Encode frames into every output; one that fails does not keep the others from being made.

    Args:
        frames: gives all frames from the first, (H, W, 3) uint8 of the size in `info`, once for each output.
        sound, delay: as `open_sink` takes them.
        job: the folder that keeps the frames, to be told of where an output fails.

    Raises:
        JobError: a frame is missing or damaged.
        VidstyleError: an output cannot be written; of several failures the class is that of the first.
    """
    failures: list[VidstyleError] = []
    for output in outputs:
        try:
            with open_sink(output, info, crf=settings.crf, sound=sound, delay=delay) as sink:
                for pixels in frames():
                    sink.write(pixels)
        except JobError:
            raise
        except VidstyleError as error:
            failures.append(error)
    if len(outputs) == 1 and failures:
        raise failures[0]
    if failures:
        what = "; ".join(map(str, failures))
        made = f"{len(outputs) - len(failures)} of {len(outputs)} outputs are made"
        raise type(failures[0])(
            f"{what}; {made}, and with -y the same command makes all from the frames in {job}"
        ) from failures[0]

"""Several outputs of one painting: all checked before it, each encoded on its own after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.checkpoint import JobFolder
from vidstyle.encoding.budget import FITTED, fit
from vidstyle.encoding.partfile import Encoding
from vidstyle.encoding.sinks import check_output, open_sink
from vidstyle.errors import JobError, UsageError, VidstyleError
from vidstyle.settings import Settings
from vidstyle.showing.show import Show
from vidstyle.types import Fitted

if TYPE_CHECKING:
    from vidstyle.media import Clip

OnFitted = Callable[[Fitted], None]
File = str | Path
SOUNDING = (".mp4", ".webm")  # outputs that have sound
LOOPING = (".gif", ".webp", ".avif", ".png")  # outputs that say how often they are played


def listed(outputs: File | Sequence[File]) -> list[File]:
    """One output, or several, as a list."""
    return [outputs] if isinstance(outputs, str | Path) else list(outputs)


def check_outputs(
    outputs: File | Sequence[File], *, moving: bool, overwrite: bool, plays: int = 0, limit: int | None = None
) -> list[Path]:
    """Find out before any painting whether all can be written; the first gives the job folder its name.

    Raises:
        UsageError: there is none, or one twice, or none that can say how often it `plays`, or none that can be made to
            fit a `limit`, or as `check_output` does.
        DiskError, OutputExistsError: as `check_output` does.
    """
    paths = [check_output(output, moving=moving, overwrite=overwrite) for output in listed(outputs)]
    if not paths:
        raise UsageError("no output was given; give at least one with -o")
    places = [os.path.normcase(os.path.abspath(path)) for path in paths]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"output {paths[number]} is given twice; give each output once")
    if plays and not any(path.suffix.lower() in LOOPING for path in paths):
        raise UsageError(f"--plays is for {', '.join(LOOPING)}: nothing else says how often it is played; leave it out")
    if limit is not None and not any(path.suffix.lower() in FITTED for path in paths):
        raise UsageError(f"--max-size is for {', '.join(FITTED)}: nothing else is made to fit; give --width")
    return paths


def export(
    job: JobFolder,
    show: Show,
    outputs: Sequence[Path],
    settings: Settings,
    sound: Clip | None = None,
    on_fitted: OnFitted | None = None,
) -> list[Fitted]:
    """Encode a job's frames into every output; one that fails does not keep the others from being made.

    Args:
        show: what is seen of them, and when.
        sound: the clip whose sound goes along.
        on_fitted: told what an output of limited size gave up.

    Returns:
        What was made to fit.

    Raises:
        JobError: a frame is missing or damaged.
        VidstyleError: an output cannot be written; of several failures the class is that of the first.
    """
    encoding = Encoding(settings.crf, settings.plays, sound, show.delay)
    failures: list[VidstyleError] = []
    found: list[Fitted] = []
    for output in outputs:
        try:
            if settings.limit is not None and output.suffix.lower() in FITTED:
                found.append(fit(output, show, job, encoding, settings.limit))
                if on_fitted is not None:
                    on_fitted(found[-1])
                continue
            with open_sink(output, show.info, encoding) as sink:
                for pixels in show.frames(job):
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
            f"{what}; {made}, and with -y the same command makes all from the frames in {job.path}"
        ) from failures[0]
    return found

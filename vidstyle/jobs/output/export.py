"""Export of a painting to its outputs: all are checked before painting, and each is encoded on its own after it."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidstyle.compose.compositor import Compositor
from vidstyle.errors import EncodingError, JobError, OutputExistsError, SizeError, UsageError, VidstyleError
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.output.budget import FITTED, fit
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.containers import CONTAINERS
from vidstyle.media.writers.sinks import check_output, holds_transparency, open_sink
from vidstyle.settings import EncodeSettings, Settings
from vidstyle.settings.texts import named_files
from vidstyle.system.files import Record, check_apart, check_place
from vidstyle.system.notes import tell
from vidstyle.types import Fitted

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

OnFitted = Callable[[Fitted], None]
File = str | Path
Outputs = File | Sequence[File]
SOUNDING = tuple(CONTAINERS)  # outputs that have sound
READ = ("network", "weights", "flow_weights", "init", "font")  # settings that may be the name of a file to read
JOB = ".job"  # the suffix of the job folder's name, after that of the first output
LOOPING = (".gif", ".webp", ".avif", ".png")  # outputs that say how often they are played


def listed(outputs: File | Sequence[File]) -> list[File]:
    """One output, or several, as a list."""
    return [outputs] if isinstance(outputs, str | Path) else list(outputs)


def files_read(settings: Settings) -> list[str]:
    """The files that settings name, as far as they name any."""
    found = [value for name in READ if isinstance(value := getattr(settings, name, None), str)]
    return found + [file for name, value in vars(settings).items() for file in named_files(name, value)]


def check_outputs(
    outputs: File | Sequence[File],
    *,
    moving: bool,
    overwrite: bool,
    plays: int = 0,
    limit: int | None = None,
    inputs: Iterable[File] = (),
) -> list[Path]:
    """Find out before any painting whether all can be written; the first gives the job folder its name.

    Raises:
        UsageError: there is none, or one twice, or one that would replace one of the `inputs`, or none that can say how
            often it `plays`, or none that can be made to fit a `limit`, or as `check_output` does.
        DiskError, OutputExistsError: as `check_output` does.
    """
    inputs = list(inputs)
    check_apart(listed(outputs), inputs)
    paths = [check_output(output, moving=moving, overwrite=overwrite) for output in listed(outputs)]
    if not paths:
        raise UsageError("no output was given; give at least one with -o")
    places = [os.path.normcase(os.path.realpath(path)) for path in paths]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"output {paths[number]} is given twice; give each output once")
    if plays and not any(path.suffix.lower() in LOOPING for path in paths):
        raise UsageError(f"--plays is for {', '.join(LOOPING)}: nothing else says how often it is played; leave it out")
    if limit is not None and not any(path.suffix.lower() in FITTED for path in paths):
        raise UsageError(f"--max-size is for {', '.join(FITTED)}: nothing else is made to fit; give --width")
    return paths


def check_job_folder(output: Path, inputs: Iterable[File]) -> None:
    """Find out before any painting whether there can be a job folder beside `output`.

    Raises:
        UsageError: one of the `inputs` lies in it.
        DiskError: its name is too long, or the folder that it is to lie in cannot be written.
    """
    check_place(output, JOB)
    job = os.path.join(os.path.realpath(f"{output}{JOB}"), "")
    for file in inputs:
        if os.path.realpath(file).startswith(job):
            raise UsageError(f"the input {file} lies in the job folder of {output}, which goes; copy it elsewhere")


def export(
    job: JobFolder,
    compositor: Compositor,
    outputs: Sequence[Path],
    settings: EncodeSettings,
    sound: Clip | None = None,
    on_fitted: OnFitted | None = None,
    *,
    overwrite: bool = True,
    record: Record | None = None,
    deep: np.ndarray | None = None,
    origin: str = "",
) -> list[Fitted]:
    """Encode a job's frames into every output; if one fails, the others are made all the same.

    Args:
        compositor: the composed frames, and their times.
        sound: the clip whose sound goes along.
        on_fitted: told what an output of limited size gave up.
        overwrite: whether what is there when an output is complete may be replaced.
        record: told of each output, and of its part file, before that takes its place.
        origin: what made it, for the metadata of the outputs.
        deep: a still in 16 bits a channel, (H, W, 3 or 4) uint16, to write instead of the job's only frame.

    Returns:
        What was made to fit.

    Raises:
        JobError: a frame is missing or damaged.
        VidstyleError: an output cannot be written; of several failures the class is that of the first.
    """
    notes: dict[str, None] = {}
    told = origin if settings.metadata else ""
    encoding = Encoding(
        settings.crf, settings.plays, sound, compositor.delay, origin=told, record=record, on_note=notes.setdefault
    )
    failures: list[VidstyleError] = []
    found: list[Fitted] = []
    for output in outputs:
        try:
            shown, own = for_output(output, compositor, encoding)
            if settings.limit is not None and output.suffix.lower() in FITTED:
                found.append(fit(output, shown, job, own, settings.limit, overwrite=overwrite))
                if on_fitted is not None:
                    on_fitted(found[-1])
                continue
            with open_sink(output, shown.info, own, overwrite=overwrite) as sink:
                for pixels in shown.frames(job) if deep is None else (shown.still(deep),):
                    sink.write(pixels)
        except JobError:
            raise
        except VidstyleError as error:
            failures.append(error)
    for note in notes:
        tell(note)
    if failures:
        raise _all_in_one(failures, len(outputs)) from failures[0]
    return found


def _all_in_one(failures: Sequence[VidstyleError], outputs: int) -> VidstyleError:
    """An error of the class of the first of several that says all of them."""
    if outputs == 1:
        return failures[0]
    what, made = "; ".join(map(str, failures)), outputs - len(failures)
    return type(failures[0])(f"{what}; {made} of {outputs} outputs are made")


def for_output(output: Path, compositor: Compositor, encoding: Encoding) -> tuple[Compositor, Encoding]:
    """What an output shows, and how it is encoded: transparent only if it can be."""
    shown = compositor if holds_transparency(output) else compositor.opaque()
    return shown, dataclasses.replace(encoding, transparent=shown.transparent)


def check_background(background: str | None, outputs: Sequence[Path], *, transparent: bool) -> None:
    """Say what a painting is laid over unasked, or that nothing needs to be.

    Args:
        background: as `BackgroundSettings` has it.
        transparent: the painting is, somewhere.

    Raises:
        UsageError: it is to be transparent in an output that cannot be.
    """
    if not transparent:
        if background not in (None, "none"):
            tell(f"--background {background} changes nothing: the content is not transparent")
        return
    unable = [str(path) for path in outputs if not holds_transparency(path)]
    if unable and background == "none":
        raise UsageError(
            f"--background none keeps the painting transparent, and {unable[0]} cannot be; give another output, or "
            "what it is laid over: white, black, #rrggbb or content"
        )
    if unable and background is None:
        tell(
            f"the content is transparent, and {', '.join(unable)} cannot be: the painting is laid over white there; "
            "--background says over what else"
        )


@contextmanager
def frames_kept(job: JobFolder) -> Iterator[None]:
    """If making the outputs fails, let the error say where the painted frames are kept, and how to resume."""
    try:
        yield
    except (JobError, SizeError):  # they say what to do
        raise
    except VidstyleError as error:
        kind = EncodingError if type(error) is VidstyleError else type(error)
        same = "the same command with -y" if isinstance(error, OutputExistsError) else "the same command"
        hope = f"all frames are kept in {job.path}: {same} paints nothing anew"
        if job.manifest.job != "sheet":
            hope += f", and vidstyle encode {shlex.quote(str(job.path))} -o FILE makes other outputs"
        raise kind(f"{error}. {hope[0].upper()}{hope[1:]}") from error

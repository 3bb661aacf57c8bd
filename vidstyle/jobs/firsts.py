"""The first frame of each shot painted before all others, and a sheet of them to approve."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vidstyle.errors import OutputExistsError
from vidstyle.jobs.folder import states
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.painted import Painted
from vidstyle.jobs.output.export import check_outputs, frames_kept
from vidstyle.jobs.sheets import require_few, sheet_of_firsts
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.jobs.tasks import Task
from vidstyle.media.writers.sinks import write_still
from vidstyle.system.devices import kind_of


def first_sheet(output: str | Path) -> Path:
    """Where the sheet of first frames lies: beside the first output."""
    return Path(output).with_suffix(".first.png")


def paint_first_frames(task: Task, source: VideoSource) -> Path:
    """Paint the first frames that the job does not have yet, keep them in its folder, and write the sheet.

    Raises:
        OutputExistsError: the place of the sheet is taken by a file that this job has not made.
        UsageError: there are too many shots for a sheet, or the sheet would replace an input.
    """
    (place,) = check_outputs([first_sheet(task.outputs[0])], moving=False, overwrite=True, inputs=task.read)
    shots = [0] if source.settings.loop else sorted(source.shots)
    require_few(len(shots), f"{len(shots)} shots")
    with task.opened(source) as job:
        if place.exists() and not (task.options.overwrite or job.has_made(place)):
            raise OutputExistsError(f"{place} already exists; give -y to overwrite it, or choose another output")
        if task.options.workers is None:
            _paint(task, source, job, shots)
        else:
            task.paint(job, source)
        task.inputs.require_unchanged()
        sheet = sheet_of_firsts(source, shots, list(job.images(shots)))
        with frames_kept(job):
            write_still(sheet, [place], overwrite=True, record=job.record)
    return place


def _paint(task: Task, source: VideoSource, job: JobFolder, shots: Sequence[int]) -> None:
    """Paint them in this process. They are kept like a worker's: frames between them are missing, and states stay."""
    left = [part.first for part in job.parts() if part.start == part.first]
    if not left:
        return
    stylizer, on_frame = task.stylizer(), task.options.on_frame
    for first in left:
        with closing(source.frames(first, first + 1)) as frames:
            (frame,) = frames
        task.inputs.require_unchanged()
        result, state = stylizer.step(frame, None)
        job.keep(Painted.of(result, states.on_cpu(state), kind_of(stylizer.device)), first, 0)
        if on_frame is not None:
            on_frame(dataclasses.replace(result, index=shots.index(first)), len(shots))

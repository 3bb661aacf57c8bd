"""The render loop: every frame of a source is painted from the state of the one before, and saved in the job folder."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Protocol

import numpy as np

from vidstyle.core.stylizer import Stylizer
from vidstyle.jobs.folder import states
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.inputs import Inputs
from vidstyle.jobs.sources import ahead
from vidstyle.jobs.threads import pool
from vidstyle.system.stopwatch import each, stage
from vidstyle.types import Frame, Result, Source, State

OnFrame = Callable[[Result, int], None]


class Observer(Protocol):
    """Takes each frame with its painting while a clip is painted, so that nothing is decoded or estimated again."""

    def add(self, frame: Frame, painting: np.ndarray) -> None:
        """Take the next frame and its painting, (H, W, 3) uint8."""
        ...

    def done(self) -> None:
        """All frames are painted, and nothing is encoded yet."""
        ...


def render(
    source: Source,
    stylizer: Stylizer,
    job: JobFolder,
    on_frame: OnFrame | None = None,
    observer: Observer | None = None,
) -> None:
    """Paint every frame of `source` that `job` does not have yet, and save it there.

    While a frame is painted the next ones are fetched and the last one is saved, each in a thread of its own. However
    the painting ends, what was painted is saved first.

    Args:
        observer: is given the frames that an earlier call has painted, too, first of all.
    """
    if observer is not None and job.done:
        with closing(source.frames(0)) as earlier:
            for painting, frame in zip(job.images(range(job.done)), earlier, strict=False):
                observer.add(frame, painting)
    state = job.state
    total = max(source.playback) + 1
    with closing(ahead(source.frames(start=job.done))) as frames, pool(1, "vidstyle-save") as saver:
        saving = None
        for frame in each("wait", frames):
            with stage("optimise"):
                result, state = stylizer.step(frame, state)
                # Here, not in the other thread: CUDA allows no work there while this one records a graph.
                on_cpu = states.on_cpu(state)
            if saving is not None:
                with stage("wait"):
                    saving.result()
            saving = saver.submit(_save, job, result, on_cpu)
            if on_frame is not None:
                on_frame(result, total)
            if observer is not None:
                observer.add(frame, result.image)
        if saving is not None:
            with stage("wait"):
                saving.result()


def _save(job: JobFolder, result: Result, state: State) -> None:
    with stage("save"):
        job.save(result, state)


class Watched:
    """A source that checks, with each frame, that its input files have not changed."""

    def __init__(self, source: Source, inputs: Inputs) -> None:
        self.source, self.inputs = source, inputs
        self.info, self.playback = source.info, source.playback

    def frames(self, start: int) -> Generator[Frame]:
        """The frames from number `start` on. Raises `MediaError` instead of one that may be of a changed input."""
        with closing(self.source.frames(start)) as frames:
            for frame in frames:
                self.inputs.require_unchanged()
                yield frame

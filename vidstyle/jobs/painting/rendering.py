"""The render loop: every frame of a source is painted from the state of the one before, and saved in the job folder."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from itertools import islice
from typing import Protocol

import numpy as np
import torch

from vidstyle.core.stylizer import OnGrowth
from vidstyle.jobs.folder.checkpoint import JobFolder, Part
from vidstyle.jobs.folder.growing import GrowingPicture
from vidstyle.jobs.folder.inputs import Inputs
from vidstyle.jobs.folder.saving import saving
from vidstyle.jobs.sources.lookahead import ahead
from vidstyle.system.devices import kind_of
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


class Painter(Protocol):
    """Paints frames: a stylizer, or what changes its results."""

    on_growth: OnGrowth | None

    @property
    def device(self) -> torch.device: ...

    def step(self, frame: Frame, state: State | None) -> tuple[Result, State]:
        """Paint a frame from the state of the one before; see `Stylizer.step`."""
        ...


def render(
    source: Source,
    stylizer: Painter,
    job: JobFolder,
    on_frame: OnFrame | None = None,
    observer: Observer | None = None,
) -> None:
    """Paint every frame of `source` that `job` does not have yet, and save it there.

    While a frame is painted the next ones are fetched and the last ones are saved, in threads of their own. However the
    painting ends, what was painted is saved first.

    Args:
        observer: is given the frames that an earlier call or workers have painted, too; all of them in order.
    """
    for first, end, part in stretches(job.parts()):
        if part is not None:
            _paint(source, stylizer, job, (first, end), part.state, on_frame, observer)
        elif observer is not None:
            with closing(source.frames(first)) as earlier:
                for painting, frame in zip(job.images(range(first, end)), earlier, strict=False):
                    observer.add(frame, painting[:, :, :3])


def stretches(parts: Sequence[Part]) -> list[tuple[int, int, Part | None]]:
    """First frames, and frames after the last, of what is painted or not: of the latter, with the part at its start."""
    found: list[tuple[int, int, Part | None]] = []
    for part in parts:
        for first, end, left in ((part.first, part.start, None), (part.start, part.end, part)):
            if first < end and found and (found[-1][2] is None) == (left is None):
                found[-1] = (found[-1][0], end, found[-1][2])
            elif first < end:
                found.append((first, end, left))
    return found


def _paint(
    source: Source,
    stylizer: Painter,
    job: JobFolder,
    frames: tuple[int, int],
    state: State | None,
    on_frame: OnFrame | None,
    observer: Observer | None,
) -> None:
    """Paint from one frame to another, from the state before the first."""
    (first, end), total = frames, max(source.playback) + 1
    shots, device = frozenset(job.manifest.shots), kind_of(stylizer.device)
    with closing(ahead(source.frames(first))) as fetched, saving(job, device) as save:
        stylizer.on_growth = growing = GrowingPicture(job.path)
        for frame in islice(each("wait", fetched), end - first):
            with stage("optimise"):
                result, state = stylizer.step(frame, None if frame.index in shots else state)
            save(result, state)
            growing.saved()
            if on_frame is not None:
                on_frame(result, total)
            if observer is not None:
                observer.add(frame, result.image[:, :, :3])


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

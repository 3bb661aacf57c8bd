"""The evaluation of a painted clip beside its input: one pass over both, in which accumulators take each frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidstyle.jobs.sources import VideoSource, ahead, to_tensor
from vidstyle.lab.evaluate.report.accumulators import (
    DriftAccumulator,
    FilmstripAccumulator,
    FlickerAccumulator,
    PatchAccumulator,
    View,
    spread,
    undivided,
)
from vidstyle.lab.evaluate.report.baseline import FramePainter, PerFrameBaseline, check_judge
from vidstyle.lab.evaluate.report.figures import ClipFacts, Drift, Measurement
from vidstyle.lab.evaluate.report.words import notes, used
from vidstyle.media.stills import pictures
from vidstyle.settings import Settings
from vidstyle.system.devices import pick_device
from vidstyle.system.version import __version__
from vidstyle.types import ClipInfo, Frame

DISTANCES = (10, 30)  # frames of the long-range errors
SAMPLE = 8  # pairs of each long distance; frames of the filmstrip

File = str | Path
OnStep = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Painted:
    """A painted clip."""

    name: str  #: of its file
    info: ClipInfo
    frames: Iterator[np.ndarray]  #: (H, W, 3) uint8
    encoded: bool  #: they come from a file, not from the painter


class ClipEvaluation:
    """One evaluation: its accumulators are chosen from the styles and the lengths of the shots.

    Args:
        source: the input, `info` of the size to measure at.
    """

    def __init__(
        self, source: VideoSource, styles: Sequence[File], settings: Settings, *, pairs: int, judge: str, command: str
    ) -> None:
        check_judge(judge)
        self.source, self.styles, self.settings, self.command = source, styles, settings, command
        count, shots = source.info.frames, source.shots
        times = source.info.times
        near = undivided(shots, count, 1)
        self.flickers = [FlickerAccumulator(1, near, len(near))]
        for distance in DISTANCES:
            ends = undivided(shots, count, distance)
            self.flickers.append(FlickerAccumulator(distance, spread(ends, SAMPLE), len(ends)))
        self.drifting = DriftAccumulator(shots, times)
        self.filmstrip = FilmstripAccumulator(spread(range(count), SAMPLE), times)
        self.baseline = None
        self._pairs: list[View] = []  # of the baseline
        self.likeness: PatchAccumulator | None = None
        if styles:
            paintings = [to_tensor(pictures.load_picture(style)) for style in styles]
            self.baseline = PerFrameBaseline(FramePainter(paintings, settings, judge), spread(near, pairs))
            self.likeness = PatchAccumulator({0, (count - 1) // 2, count - 1}, paintings, settings.style_scale)
        self.device = self.baseline.device if self.baseline else pick_device(settings.device)

    def run(self, painted: Painted, on_step: OnStep = lambda text, done, total: None) -> Measurement:
        """Pass both clips through the accumulators."""
        with closing(ahead(self.source.frames(0))) as frames:
            for frame, pixels in zip(frames, painted.frames, strict=True):
                on_step("measuring", frame.index, painted.info.frames)
                self.add(frame, pixels)
        on_step("painting pairs anew", painted.info.frames, painted.info.frames)
        found = self.measured(painted)
        on_step("measured", painted.info.frames, painted.info.frames)
        return found

    def add(self, frame: Frame, pixels: np.ndarray) -> None:
        """Take the next frame and its painting, (H, W, 3) uint8."""
        now = View(frame, pixels, self.device)
        for accumulator in (*self.flickers, self.drifting, self.filmstrip, self.likeness):
            if accumulator is not None:
                accumulator.add(now)
        if self.baseline is not None and {frame.index, frame.index + 1} & self.baseline.ends:
            self._pairs.append(now)

    def measured(self, painted: Painted) -> Measurement:
        """The figures, once all frames are there. Paints the pairs of the baseline: not beside another painting."""
        for now in self._pairs:
            assert self.baseline is not None
            self.baseline.add(now)
        self._pairs.clear()
        frames = tuple(self.drifting.frames)
        found = Measurement(
            vidstyle=__version__,
            command=self.command,
            input=_facts(self.source.clip.path.name, self.source.clip.info),
            painted=_facts(painted.name, painted.info),
            styles=tuple(Path(style).name for style in self.styles),
            settings=used(self.settings),
            shots=tuple(sorted(self.source.shots)),
            consistency=tuple(flicker.consistency() for flicker in self.flickers),
            independence=self.baseline.independence() if self.baseline else None,
            drift=Drift.of(frames),
            frames=frames,
            patches=tuple(self.likeness.frames) if self.likeness else (),
            worst=self.flickers[0].worst,
            stills=tuple(self.filmstrip.stills),
        )
        return dataclasses.replace(found, notes=tuple(notes(found, encoded=painted.encoded)))


def _facts(name: str, info: ClipInfo) -> ClipFacts:
    return ClipFacts(name, info.width, info.height, info.frames, float(info.fps), float(info.seconds))

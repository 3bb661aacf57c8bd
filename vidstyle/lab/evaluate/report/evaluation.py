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
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import pick_device
from vidstyle.system.version import __version__
from vidstyle.types import ClipInfo

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
        self,
        source: VideoSource,
        styles: Sequence[File],
        settings: VideoSettings,
        *,
        pairs: int,
        judge: str,
        command: str,
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
        self.likeness: PatchAccumulator | None = None
        if styles:
            paintings = [to_tensor(pictures.load_picture(style)) for style in styles]
            self.baseline = PerFrameBaseline(FramePainter(paintings, settings, judge), spread(near, pairs))
            self.likeness = PatchAccumulator({0, (count - 1) // 2, count - 1}, paintings, settings.style_scale)

    def run(self, painted: Painted, on_step: OnStep = lambda text, done, total: None) -> Measurement:
        """Pass both clips through the accumulators."""
        device = self.baseline.device if self.baseline else pick_device(self.settings.device)
        accumulators = (*self.flickers, self.drifting, self.filmstrip, self.baseline, self.likeness)
        active = [accumulator for accumulator in accumulators if accumulator is not None]
        with closing(ahead(self.source.frames(0))) as frames:
            for frame, pixels in zip(frames, painted.frames, strict=True):
                now = View(frame, pixels, device)
                anew = self.baseline is not None and frame.index in self.baseline.ends
                on_step("painting a pair anew" if anew else "measuring", frame.index, painted.info.frames)
                for accumulator in active:
                    accumulator.add(now)
        on_step("measured", painted.info.frames, painted.info.frames)
        return self._measurement(painted)

    def _measurement(self, painted: Painted) -> Measurement:
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

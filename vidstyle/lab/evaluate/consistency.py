"""`vidstyle consistency`: temporal consistency on synthetic clips with ground-truth motion, and its cost."""

from __future__ import annotations

import dataclasses
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from vidstyle.core.probe import require_memory
from vidstyle.errors import UsageError
from vidstyle.jobs.sources import SequenceSource, to_tensor
from vidstyle.lab.bench import synthetic_inputs
from vidstyle.lab.bench.figures import ConsistencyReport, Return, SyntheticClipFigures
from vidstyle.lab.bench.trials import ratio
from vidstyle.lab.evaluate.report.accumulators import DriftAccumulator, FlickerAccumulator, View, spread
from vidstyle.lab.evaluate.report.baseline import FramePainter, PerFrameBaseline
from vidstyle.lab.evaluate.report.figures import Drift, Spread, mean
from vidstyle.lab.evaluate.report.words import used
from vidstyle.lab.evaluate.synthetic import FINER, FPS, HIDDEN, MARGIN, SCENES, SyntheticClip, synthetic_clip
from vidstyle.media.stills import pictures
from vidstyle.settings import VideoSettings, WarmStart
from vidstyle.system.stopwatch import recording
from vidstyle.system.version import __version__
from vidstyle.types import Frame, Result, State

# The plain warm start knows no motion, and nothing that belongs to it.
PLAIN: dict[str, Any] = {
    **{name: getattr(VideoSettings, name) for name in ("temporal_weight", "long_term", "flow", "flow_weights")},
    "warm_start": "previous",
}
PAIRS = 2  # of neighbours that are painted from scratch

OnStep = Callable[[str, int, int], None]
Step = Callable[[Frame, State | None], tuple[Result, State]]


def measure(
    picture: Path | None,
    styles: Sequence[Path],
    settings: VideoSettings,
    *,
    frames: int = 12,
    names: Sequence[str] = (),
    beside: bool = True,
    judge: str = "compact",
    on_step: OnStep = lambda text, done, total: None,
) -> ConsistencyReport:
    """Paint synthetic clips as a `video` job would, with estimated flow, and measure them along the exact flow.

    Args:
        picture: that the clips are made of; None for a generated one.
        styles: pictures; none for a generated one.
        settings: of the job.
        frames: of each clip.
        names: of the clips, out of `synthetic.SCENES`; all of them when empty.
        beside: paint each with the plain warm start, too.
        judge: the network of the distances, compact or vgg19, which takes its weights from `settings.weights`.
        on_step: told what is done, after how many frames of how many.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    if settings.start or settings.end is not None:
        raise UsageError("--start and --end select frames of a clip, and these are made of a picture; leave them out")
    size = settings.size if picture else settings.size or VideoSettings.size
    photo = pictures.load_picture(picture) if picture else generated(size)
    paintings = [pictures.load_picture(style) for style in styles] or [generated_style(size)]
    painter = FramePainter([to_tensor(painting) for painting in paintings], settings, judge)
    starts: list[WarmStart] = [settings.warm_start]
    if beside and settings.warm_start != "previous":
        starts.append("previous")
    clips = {name: synthetic_clip(name, photo, size, frames) for name in names or SCENES}
    info = next(iter(clips.values())).info
    require_memory(painter.network, settings, (info.height, info.width))
    runs = [(name, start) for name in clips for start in starts]
    anew: dict[str, dict[int, Tensor]] = {name: {} for name in clips}
    found: list[SyntheticClipFigures] = []

    def on_frame(done: int) -> None:
        name, start = runs[len(found)]
        on_step(f"{name}, {start}", len(found) * frames + done, len(runs) * frames)

    for name, start in runs:
        found.append(_Trial(name, clips[name], painter, start, anew[name]).run(on_frame))
    words = picture.name if picture else "generated", [style.name for style in styles] or ["generated"]
    return ConsistencyReport(__version__, *words, used(settings), found)


def generated(size: int) -> np.ndarray:
    """A picture with detail enough for clips whose long side is `size`, (H, W, 3) float32 in [0, 1]."""
    info = synthetic_inputs.info_of(size, 1)
    width, height = (round(side * MARGIN * FINER) for side in (info.width, info.height))
    return synthetic_inputs.texture(width, height, seed=1)


def generated_style(size: int) -> np.ndarray:
    """A style for such clips, (H, W, 3) uint8."""
    return synthetic_inputs.strokes(synthetic_inputs.info_of(size or VideoSettings.size, 1).width)


class _Trial:
    """One synthetic clip, painted with one warm start, and its accumulators.

    Args:
        anew: frames of the clip that were painted from scratch; new ones are added.
    """

    def __init__(
        self, name: str, clip: SyntheticClip, painter: FramePainter, start: WarmStart, anew: dict[int, Tensor]
    ) -> None:
        count = clip.info.frames
        self.name, self.clip, self.start, self.device = name, clip, start, painter.device
        changes = {"warm_start": start} if start == painter.settings.warm_start else PLAIN
        self.source = SequenceSource(clip, dataclasses.replace(painter.settings, **changes), painter.mix)
        self.step: Step = painter.stylizer(**changes).step
        self.flicker = FlickerAccumulator(1, range(1, count), count - 1)
        self.drifting = DriftAccumulator((0,), [number / FPS for number in range(count)])
        self.baseline = PerFrameBaseline(painter, spread(range(min(HIDDEN + 1, count - 1), count), PAIRS), anew)
        self.returning = Returning(clip, self.baseline)

    def run(self, on_frame: Callable[[int], None]) -> SyntheticClipFigures:
        """Paint the clip and pass each frame to the accumulators."""
        costs: list[tuple[int, float]] = []
        errors: dict[int, float] = {}
        state: State | None = None
        with recording() as seconds, closing(self.source.frames(0)) as frames:
            for frame in frames:
                on_frame(frame.index)
                result, state = self.step(frame, state)
                now = self._view(frame, result.image)
                if self.start == "warped" and frame.motion is not None and now.frame.motion is not None:
                    exact = now.frame.motion
                    distance = (frame.motion.flow - exact.flow).norm(dim=0, keepdim=True)
                    errors[frame.index] = float((distance * exact.visible).sum() / exact.visible.sum())
                for accumulator in (self.flicker, self.drifting, self.baseline, self.returning):
                    accumulator.add(now)
                costs.append((result.iterations, result.seconds))
        on_frame(self.clip.info.frames)
        return self._figures(costs, errors, seconds)

    def _view(self, frame: Frame, painted: np.ndarray) -> View:
        """The painted frame, with the exact motion instead of the estimated one."""
        motion = self.clip.motion(frame.index - 1, frame.index) if frame.index else None
        return View(dataclasses.replace(frame, motion=motion), painted, self.device)

    def _figures(
        self, costs: list[tuple[int, float]], errors: dict[int, float], stages: dict[str, float]
    ) -> SyntheticClipFigures:
        info = self.clip.info
        near, beside = self.flicker.consistency(), self.baseline.independence()
        back = tuple(self.returning.found)
        evaluations, painting = (statistics.fmean(column) for column in zip(*costs[1:], strict=True))
        flow, warp = (stages.get(stage, 0.0) / (len(costs) - 1) for stage in ("flow", "warp"))
        return SyntheticClipFigures(
            clip=self.name,
            warm_start=self.start,
            frames=info.frames,
            width=info.width,
            height=info.height,
            consistency=near,
            independence=beside,
            warping_ratio=ratio(near.warping.mean, beside.independent_warping),
            returns=back,
            return_ratio=ratio(*(mean(getattr(one, name) for one in back) for name in ("error", "independent_error"))),
            drift=Drift.of(self.drifting.frames[1:]),
            frame_figures=tuple(self.drifting.frames),
            flow_error=Spread.of(errors),
            evaluations=evaluations,
            first_seconds=costs[0][1],
            seconds=painting,
            flow_seconds=flow,
            warp_seconds=warp,
            motion_share=(flow + warp) / (flow + painting),
        )


class Returning:
    """Warping errors of disocclusions (what comes into view again), in the frames that the baseline paints anyway.

    Args:
        clip: that tells what that is.
        baseline: paints the frames before the crossing from scratch, too.
    """

    def __init__(self, clip: SyntheticClip, baseline: PerFrameBaseline) -> None:
        self.clip, self.baseline = clip, baseline
        self._views: deque[View] = deque(maxlen=HIDDEN + 2)
        self.found: list[Return] = []

    def add(self, now: View) -> None:
        """Take the next frame."""
        index = now.frame.index
        self._views.append(now)
        motion = self.clip.returning(index) if index in self.baseline.ends else None
        if motion is not None and motion.visible.any():
            errors = self.baseline.warping_errors(self._views[0], now, motion)
            self.found.append(Return(index, float(motion.visible.mean()), *errors))

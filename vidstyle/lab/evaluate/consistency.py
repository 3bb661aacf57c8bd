"""`vidstyle consistency`: temporal consistency on synthetic clips with ground-truth motion, and its cost."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from torch import Tensor

from vidstyle.core.probe import require_memory
from vidstyle.errors import UsageError
from vidstyle.jobs.sources.clips import SequenceSource, to_tensor
from vidstyle.lab import synthetic
from vidstyle.lab.evaluate.accumulators import DriftAccumulator, FlickerAccumulator, PerFrameBaseline, View, spread
from vidstyle.lab.evaluate.figures import Drift, FrameFigures, Independence, Spread, TemporalConsistency
from vidstyle.lab.painter import OnStep, Painter, check_judge, load_styles, silent
from vidstyle.lab.results import Results, mean, ratio, used
from vidstyle.lab.synthetic import FINER, FPS, HIDDEN, MARGIN, SCENES, SyntheticClip, synthetic_clip
from vidstyle.lab.tables import COMPACT, Grid, duration, number, share, signed, spaced
from vidstyle.media.stills import pictures
from vidstyle.settings import VideoSettings, WarmStart
from vidstyle.system.stopwatch import recording
from vidstyle.system.version import __version__
from vidstyle.types import State

# The plain warm start knows no motion, and nothing that belongs to it.
PLAIN: dict[str, Any] = {
    **{name: getattr(VideoSettings, name) for name in ("temporal_weight", "long_term", "flow", "flow_weights")},
    "warm_start": "previous",
}
PAIRS = 2  # of neighbours that are painted from scratch


@dataclass(frozen=True)
class Return:
    """The disocclusion in a frame: warping errors of what comes into view again, since before it was hidden."""

    frame: int
    area: float  #: share of the picture
    error: float  #: of the painted clip
    independent_error: float  #: of the same two frames painted from scratch


@dataclass(frozen=True)
class SyntheticClipFigures:
    """A synthetic clip, painted with one warm start. All errors are measured along the ground-truth flow."""

    clip: str  #: its name in `synthetic.SCENES`
    warm_start: str  #: what its frames started from
    frames: int
    width: int  #: pixels
    height: int  #: pixels
    consistency: TemporalConsistency  #: of all neighbours
    independence: Independence  #: beside a sample of neighbours painted from scratch
    warping_ratio: float  #: mean warping error of all neighbours / that of the pairs painted from scratch
    returns: tuple[Return, ...]  #: of a sample of frames; none where nothing is hidden
    return_ratio: float  #: mean of their errors / of the independent ones
    drift: Drift  #: of all frames but the first, since that one
    frame_figures: tuple[FrameFigures, ...]  #: of each frame
    flow_error: Spread  #: pixels between estimated and exact flow, mean over the visible places of a frame
    evaluations: float  #: of a frame after the first, mean
    first_seconds: float  #: of painting the first frame
    seconds: float  #: of painting a later one, mean; carrying the last painting along is part of it
    flow_seconds: float  #: of estimating a later frame's flow and masks, beside the painting
    warp_seconds: float  #: of carrying paintings along them, as part of the painting
    motion_share: float  #: both / the time of flow and painting together


@dataclass(frozen=True)
class ConsistencyReport(Results):
    """The temporal consistency of synthetic clips with ground-truth motion."""

    vidstyle: str  #: version
    picture: str  #: that the clips are made of: file name, or "generated"
    styles: list[str]  #: the same of each style
    settings: dict[str, Any]  #: of the job
    clips: list[SyntheticClipFigures]


def measure(
    picture: Path | None,
    styles: Sequence[Path],
    settings: VideoSettings,
    *,
    frames: int = 12,
    names: Sequence[str] = (),
    beside: bool = True,
    judge: str = COMPACT,
    on_step: OnStep = silent,
) -> ConsistencyReport:
    """Paint synthetic clips as a `video` job would, with estimated flow, and measure them along the exact flow.

    The arguments are the options of the command: without `picture` or `styles` generated ones are taken, without
    `names` all of `synthetic.SCENES`; `beside` paints each with the plain warm start, too. Raises `VidstyleError`.
    """
    if settings.start or settings.end is not None:
        raise UsageError("--start and --end select frames of a clip, and these are made of a picture; leave them out")
    size = settings.size if picture else settings.size or VideoSettings.size
    info = synthetic.clip_info(size or VideoSettings.size, 1)
    if picture is not None:
        photo = pictures.load_picture(picture)
    else:  # with detail enough for clips of this size
        photo = synthetic.texture(*(round(side * MARGIN * FINER) for side in (info.width, info.height)), seed=1)
    paintings = load_styles(styles) or [to_tensor(synthetic.strokes(info.width))]
    check_judge(judge)
    painter = Painter(paintings, settings, judge)
    starts: list[WarmStart] = [settings.warm_start]
    if beside and settings.warm_start != "previous":
        starts.append("previous")
    clips = {name: synthetic_clip(name, photo, size, frames) for name in names or SCENES}
    shape = next(iter(clips.values())).info
    require_memory(painter.network, settings, (shape.height, shape.width))
    runs = [(name, start) for name in clips for start in starts]
    anew: dict[str, dict[int, Tensor]] = {name: {} for name in clips}
    found: list[SyntheticClipFigures] = []

    def on_frame(done: int) -> None:
        name, start = runs[len(found)]
        on_step(f"{name}, {start}", len(found) * frames + done, len(runs) * frames)

    for name, start in runs:
        found.append(_ClipRun(name, clips[name], painter, start, anew[name]).run(on_frame))
    words = picture.name if picture else "generated", [style.name for style in styles] or ["generated"]
    return ConsistencyReport(__version__, *words, used(settings), found)


class _ClipRun:
    """One synthetic clip, painted with one warm start, and its accumulators.

    Args:
        anew: frames of the clip that were painted from scratch; new ones are added.
    """

    def __init__(
        self, name: str, clip: SyntheticClip, painter: Painter[VideoSettings], start: WarmStart, anew: dict[int, Tensor]
    ) -> None:
        count = clip.info.frames
        self.name, self.clip, self.start, self.device = name, clip, start, painter.device
        changes = {"warm_start": start} if start == painter.settings.warm_start else PLAIN
        self.source = SequenceSource(clip, dataclasses.replace(painter.settings, **changes), painter.mix)
        self.stylizer = painter.stylizer(**changes)
        self.flicker = FlickerAccumulator(1, range(1, count), count - 1)
        self.drifting = DriftAccumulator((0,), [number / FPS for number in range(count)])
        self.baseline = PerFrameBaseline(painter, spread(range(min(HIDDEN + 1, count - 1), count), PAIRS), anew)
        self.returning = _Returning(clip, self.baseline)

    def run(self, on_frame: Callable[[int], None]) -> SyntheticClipFigures:
        """Paint the clip; pass each frame to the accumulators, with the exact motion instead of the estimated one."""
        costs: list[tuple[int, float]] = []
        errors: dict[int, float] = {}
        state: State | None = None
        with recording() as seconds, closing(self.source.frames(0)) as frames:
            for frame in frames:
                on_frame(frame.index)
                result, state = self.stylizer.step(frame, state)
                exact = self.clip.motion(frame.index - 1, frame.index) if frame.index else None
                now = View(dataclasses.replace(frame, motion=exact), result.image, self.device)
                if self.start == "warped" and frame.motion is not None and exact is not None:
                    distance = (frame.motion.flow - exact.flow).norm(dim=0, keepdim=True)
                    errors[frame.index] = float((distance * exact.visible).sum() / exact.visible.sum())
                for accumulator in (self.flicker, self.drifting, self.baseline, self.returning):
                    accumulator.add(now)
                costs.append((result.iterations, result.seconds))
        on_frame(self.clip.info.frames)
        return self._figures(costs, errors, seconds)

    def _figures(
        self, costs: list[tuple[int, float]], errors: dict[int, float], stages: dict[str, float]
    ) -> SyntheticClipFigures:
        info, back = self.clip.info, tuple(self.returning.found)
        near, beside = self.flicker.consistency(), self.baseline.independence()
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
            return_ratio=ratio(mean(one.error for one in back), mean(one.independent_error for one in back)),
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


class _Returning:
    """Warping errors of disocclusions (what comes into view again), in the frames that the baseline paints anyway."""

    def __init__(self, clip: SyntheticClip, baseline: PerFrameBaseline) -> None:
        self.clip, self.baseline = clip, baseline
        self._views: deque[View] = deque(maxlen=HIDDEN + 2)
        self.found: list[Return] = []

    def add(self, now: View) -> None:
        index = now.frame.index
        self._views.append(now)
        motion = self.clip.returning(index) if index in self.baseline.ends else None
        if motion is not None and motion.visible.any():
            errors = self.baseline.warping_errors(self._views[0], now, motion)
            self.found.append(Return(index, float(motion.visible.mean()), *errors))


def tables(report: ConsistencyReport) -> Iterator[RenderableType]:
    """Everything for a terminal, in the order in which it is read."""
    one, settings = report.clips[0], report.settings
    labels: list[str] = []  # the name of each clip; of one that is painted once more, how
    for before, clip in zip([None, *report.clips], report.clips, strict=False):
        labels.append(clip.clip if before is None or clip.clip != before.clip else f"  {clip.warm_start}")
    clips = list(zip(labels, report.clips, strict=True))
    yield from spaced(
        [
            f"{settings['network']}, {one.width}x{one.height} pixels, {one.frames} frames each, alpha "
            f"{settings['alpha']}, vidstyle {report.vidstyle}",
            f"picture: {report.picture}; style: {', '.join(report.styles)}",
            flicker(clips),
            price(clips),
            cost(clips),
        ]
    )


Labelled = Sequence[tuple[str, SyntheticClipFigures]]


def flicker(clips: Labelled) -> Grid:
    """Warping errors."""
    rows = []
    for label, clip in clips:
        errors = clip.consistency
        row = errors.warping.mean, errors.warping.worst, errors.input_warping.mean, clip.warping_ratio
        rows.append((label, *map(number, row), number(clip.return_ratio) if clip.returns else ""))
    return Grid(
        "Flicker where the motion is known",
        ("clip", "error", "worst", "input", "÷ anew", "returns ÷ anew"),
        rows,
        "Warping error of neighbours along the exact motion (mean squared difference, RGB in [0, 1]); the input's own "
        "is what resampling and noise leave. ÷ anew: beside the error of frames painted from scratch, 1 = as much "
        f"flicker as without any memory. Returns: the same of what was hidden for {HIDDEN} frames, since before.",
    )


def price(clips: Labelled) -> Grid:
    """What consistency costs."""
    rows = []
    for label, clip in clips:
        beside, drift, luma = clip.independence, clip.drift, clip.drift.corrected_luma
        sharp = drift.sharpness.least, drift.sharpness.most, drift.sharpness.last, drift.corrected_sharpness.last
        distances = number(beside.style_ratio), number(beside.content_ratio)
        rows.append((label, *distances, *map(share, sharp), signed(max(luma.least, luma.most, key=abs))))
    return Grid(
        "What it costs",
        ("clip", "style", "content", "dullest", "sharpest", "last", "÷ input", "luma"),
        rows,
        "Style and content distance, beside those of frames from scratch: above 1 = worse. Sharpness (mean length of "
        "the gradient) of the later frames as a share of the first one's; ÷ input: the last, beside the input's own "
        "share. Luma: the largest drift since the first frame beyond the input's own, in 1/255; paint does not follow "
        "the input's light one for one, so where the view changes that is not all drift.",
    )


def cost(clips: Labelled) -> Grid:
    """The estimated motion, and the time."""
    rows = []
    for label, clip in clips:
        errors = ("–" if math.isnan(x) else f"{x:.3f}" for x in (clip.flow_error.mean, clip.flow_error.worst))
        times = clip.seconds, clip.flow_seconds, clip.warp_seconds
        rows.append((label, *errors, f"{clip.evaluations:.1f}", *map(duration, times), share(clip.motion_share)))
    return Grid(
        "The estimated motion, and the time of a frame",
        ("clip", "error", "worst", "evals", "painting", "flow", "warp", "share"),
        rows,
        "Error: pixels from the exact flow, mean of a frame. Evaluations and times of a frame after the first; flow: "
        "with its masks, beside the painting; warp: carrying paintings along it, part of the painting; share: of both, "
        "in the time that flow and painting take together.",
    )

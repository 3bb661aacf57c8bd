"""The figures of benchmarks, as frozen dataclasses: the schema of their JSON reports.

Memory is that of the whole process on a CPU, of the tensors on CUDA, and None where the system does not say.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from vidstyle.lab.bench.machine import Machine
from vidstyle.lab.evaluate.report.figures import Drift, FrameFigures, Independence, Spread, TemporalConsistency
from vidstyle.system.files import plain


@dataclass(frozen=True)
class Evaluation:
    """The cost of an evaluation of the loss and its gradient."""

    width: int  #: pixels
    height: int  #: pixels
    seconds: float  #: median of one evaluation alone
    iteration_seconds: float  #: of an evaluation with its step, as a job runs them (on CUDA: a graph, played back)
    flops: float  #: floating-point operations of an evaluation, see `bench.operations`
    peak_fraction: float  #: their rate / that of the fastest matrix product, by the shorter of both times
    traffic: float  #: bytes that an evaluation moves at the least, see `bench.least_traffic`
    bandwidth_fraction: float  #: their rate / that of the fastest copy
    peak_bytes: int | None  #: memory at the most


@dataclass(frozen=True)
class Still:
    """The cost of one picture from scratch."""

    seconds: float  #: wall time, with what is done once a job
    scales: int  #: sizes, coarse to fine
    evaluations: int  #: of the loss at the final size
    losses: dict[str, float]  #: as in `types.Result`


@dataclass(frozen=True)
class WarmStart:
    """The cost of warm-started frames, and of the last of them from scratch."""

    frames: int  #: timed
    seconds: float  #: median of a frame
    evaluations: float  #: median of a frame
    cold_seconds: float  #: of the last frame from scratch
    cold_evaluations: int  #: of the same, at the final size
    speedup: float  #: cold_seconds / seconds
    style_ratio: float  #: style loss of the warm-started last frame / that of the same frame from scratch
    content_ratio: float  #: the same of the content loss


@dataclass(frozen=True)
class Stage:
    """The cost of a stage of a job."""

    name: str
    thread: str  #: "loop": that paints; "ahead", "behind": beside it, before and after the painting
    seconds: float  #: in the whole job
    frame_seconds: float | None  #: of a frame after the first; None if there is none


@dataclass(frozen=True)
class JobSpeed:
    """The cost of a whole `video` job without the encoding."""

    frames: int
    decoded: bool  #: from a clip; else the pictures were there, and decoding is no stage
    seconds: float  #: wall time
    frames_per_second: float  #: of the whole, the first frame included
    first_frame_seconds: float  #: until the first frame was painted
    later_frames_per_second: float | None  #: after the first frame; None if there is no other
    stages: list[Stage]
    overlap: float  #: seconds of all stages but "wait" / wall time: above 1 where threads worked side by side
    waiting: float  #: share of the wall time in which the loop waited for the other threads
    seconds_after: dict[int, float]  #: wall time after 1, 2, 4, 8, ... frames
    peak_bytes_after: dict[int, int | None]  #: memory at the most until then
    peak_bytes: int | None  #: memory at the most


@dataclass(frozen=True)
class Race:
    """The time that vidstyle needs to reach the loss of the baseline's picture, by one of the two losses."""

    judge: str  #: whose loss that is: "vidstyle" or "baseline"
    wanted: float  #: the loss of the baseline's picture
    reached: bool  #: whether vidstyle got there
    loss: float  #: of vidstyle's picture
    evaluations: int  #: at each scale
    seconds: float  #: of vidstyle, from scratch
    speedup: float  #: seconds of the baseline / seconds of vidstyle


@dataclass(frozen=True)
class BaselineSpeed:
    """The textbook program on the same still."""

    steps: int  #: outer steps of its L-BFGS
    evaluations: int
    seconds: float
    alpha: float  #: in its own loss
    first_loss: float  #: its own loss after the first outer step
    last_loss: float  #: and after the last
    evaluation_ratio: float  #: seconds of one evaluation of its / one of ours
    races: list[Race]


@dataclass(frozen=True)
class SizePoint:
    """The cost of a size."""

    size: int  #: pixels of the long side
    pixels: int
    seconds: float  #: of an evaluation
    peak_bytes: int | None  #: memory at the most


@dataclass(frozen=True)
class StylesPoint:
    """The cost of a number of styles."""

    styles: int
    prepare_seconds: float  #: once a job: the statistics of the styles and the features of a frame
    seconds: float  #: of an evaluation


@dataclass(frozen=True)
class Scaling:
    """How the cost grows; that of more frames is `JobSpeed.seconds_after`."""

    sizes: list[SizePoint]
    left_out: dict[int, str]  #: sizes that were not measured, and why
    styles: list[StylesPoint]


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    vidstyle: str  #: version
    clip: str  #: file name, or "generated"
    styles: list[str]  #: the same of each style
    settings: dict[str, Any]  #: of the job
    machine: Machine
    evaluation: Evaluation
    still: Still
    warm: WarmStart
    job: JobSpeed
    baseline: BaselineSpeed | None
    scaling: Scaling | None

    def json(self) -> dict[str, Any]:
        """The report as JSON knows it; a number that is not finite is None."""
        table: dict[str, Any] = plain(dataclasses.asdict(self))
        return table


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

    clip: str  #: its name in `evaluate.synthetic`
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
class ConsistencyReport:
    """The temporal consistency of synthetic clips with ground-truth motion."""

    vidstyle: str  #: version
    picture: str  #: that the clips are made of: file name, or "generated"
    styles: list[str]  #: the same of each style
    settings: dict[str, Any]  #: of the job
    clips: list[SyntheticClipFigures]

    def json(self) -> dict[str, Any]:
        """The report as JSON knows it; a number that is not finite is None."""
        table: dict[str, Any] = plain(dataclasses.asdict(self))
        return table


@dataclass(frozen=True)
class AnimationFigures:
    """A balance animation, painted one way. Frames are in the order shown, and as they are shown: of 8 bits.

    Between two keys of a schedule steps are meant to be equal, or eased where it is; `boiling` and `straight` say
    nothing of an animation that comes back.
    """

    space: str  #: "even": the picture changes by equal steps, or "linear": alpha does
    direction: str  #: in which it was painted: "forward", from the content, or "backward"
    alpha: tuple[float, ...]  #: of each frame
    steps: tuple[float, ...]  #: `metrics.feature_distance` of each frame but the first from the one before
    mean: float  #: of the steps
    step_variation: float  #: standard deviation (of the population) of the steps / their mean
    least: float  #: step / mean
    greatest: float  #: step / mean
    boiling: float  #: mean squared difference of neighbours / (that of the last frame from the first / len(steps)^2)
    straight: float  #: feature distance of the last frame from the first / sum of the steps
    pilot_seconds: float  #: wall time of the pilot renders; 0 where there are none
    seconds: float  #: of painting all frames
    pilot_share: float  #: pilot_seconds / seconds
    evaluations: int  #: of the loss at the full size, of all frames together
    style_loss: float  #: as in `types.Result`, of the frame with the least alpha; of several the last


@dataclass(frozen=True)
class StyleUniformity:
    """An animation in one style."""

    style: str  #: file name
    animations: tuple[AnimationFigures, ...]  #: that of the settings; beside it the linear one
    other: AnimationFigures | None  #: the first of them, painted in the other direction; None if not asked for
    apart: tuple[float, ...]  #: feature distance of these two in each frame
    hysteresis: float | None  #: mean of `apart` / mean step of the first animation


@dataclass(frozen=True)
class Uniformity:
    """The perceptual uniformity of a balance animation, one way."""

    vidstyle: str  #: version
    picture: str  #: file name
    settings: dict[str, Any]  #: of the job
    judge: str  #: the network of the feature distances: "painter" (that of the job), "compact" or "vgg19"
    layers: tuple[str, ...]  #: that they are the mean of
    width: int  #: pixels
    height: int  #: pixels
    fps: float  #: frames per second
    frames: int  #: of the way there
    styles: tuple[StyleUniformity, ...]

    def json(self) -> dict[str, Any]:
        """The figures as JSON knows them; a number that is not finite is None."""
        table: dict[str, Any] = plain(dataclasses.asdict(self))
        return table

"""The figures of a benchmark: the schema of its JSON report, see `results.Results`.

Memory is that of the whole process on a CPU, of the tensors on CUDA, and None where the system does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidstyle.lab.bench.machine import Machine
from vidstyle.lab.bench.roofline import FrameCount
from vidstyle.lab.results import Results


@dataclass(frozen=True)
class Evaluation:
    """The cost of an evaluation of the loss and its gradient."""

    width: int  #: pixels
    height: int  #: pixels
    seconds: float  #: median of one evaluation alone
    iteration_seconds: float  #: of an evaluation with its step, as a job runs them (on CUDA: a graph, played back)
    flops: float  #: floating-point operations of an evaluation, see `timings.work`
    peak_fraction: float  #: their rate / that of the fastest matrix product, by the shorter of both times
    traffic: float  #: bytes that an evaluation moves at the least, see `timings.work`
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
class Report(Results):
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
    roofline: list[FrameCount] | None  #: counted, not measured

"""What a plan says of a job: its size, the seconds and bytes that it will take, and what that is derived from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidstyle.lab.results import Results

WORKERS = (1, 2, 4, 8)


@dataclass(frozen=True)
class PlannedShot:
    """A shot of a clip; other jobs have one, and a sheet one for each picture."""

    first: int  #: its first frame, counted in the file
    end: int  #: the frame after its last
    start_seconds: float | None  #: in the file; None where there is no clip
    end_seconds: float | None
    frames_left: int  #: that are still to be painted
    seconds: float  #: of painting them


@dataclass(frozen=True)
class FrameCost:
    """The expected cost of one frame."""

    evaluation_seconds: float  #: of one evaluation; of a first frame, at all its scales
    evaluations: float  #: expected, at each scale
    most_evaluations: int  #: that the settings allow
    fixed_seconds: float  #: of painting it, without the evaluations
    beside_seconds: float  #: of decoding, optical flow and saving

    @property
    def paint_seconds(self) -> float:
        """Of the device."""
        return self.fixed_seconds + self.evaluations * self.evaluation_seconds


@dataclass(frozen=True)
class OnWorkers:
    """The time on several machines or devices like this one, each painting whole shots."""

    workers: int
    seconds: float  #: longest shot first
    bound_seconds: float  #: no order is faster: the longest shot, or an equal share of the sum


@dataclass(frozen=True)
class Fit:
    """What the job would be so that it takes no longer than a given time."""

    budget_seconds: float
    size: int
    first_iterations: int
    iterations: int | None  #: None where no frame starts warm
    seconds: float  #: expected
    fits: bool  #: False if not even the smallest size does
    command: str


@dataclass(frozen=True)
class Plan(Results):
    """A job before it is painted. Seconds are of the wall."""

    vidstyle: str  #: version
    job: str
    content: str
    styles: Sequence[str]
    outputs: Sequence[str]
    width: int
    height: int
    frames: int  #: painted ones of the whole job
    frames_left: int  #: that no interrupted call has painted
    device: str
    threads: int | None  #: of a CPU
    shots: Sequence[PlannedShot]
    first_frame: FrameCost
    later_frame: FrameCost | None  #: warm-started; None if there is none
    first_frame_seconds: float
    later_frame_seconds: float | None
    start_seconds: float  #: reading, checking, preparing the styles
    pilot_seconds: float  #: of the pilot renders of an animation in equal steps
    painting_seconds: float
    encoding_seconds: float
    seconds: float  #: of all
    workers: Sequence[OnWorkers]
    memory_bytes: int  #: of the device
    memory_free_bytes: int | None
    job_folder_bytes: int
    outputs_bytes: int  #: of outputs without loss; others take little
    disk_free_bytes: int
    command: str
    assumes: Sequence[str]
    fit: Fit | None = None  #: to a time budget, if one was given


def makespan(seconds: Sequence[float], workers: int) -> float:
    """The time until so many workers have painted all shots, each taking the longest that is left."""
    busy = [0.0] * workers
    for one in sorted(seconds, reverse=True):
        busy[busy.index(min(busy))] += one
    return max(busy)


def bound(seconds: Sequence[float], workers: int) -> float:
    """The least that any order of whole shots can take."""
    return max(sum(seconds) / workers, max(seconds, default=0.0))

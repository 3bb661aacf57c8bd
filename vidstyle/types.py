"""The data types that flow through vidstyle: frozen dataclasses, documented, with bad values refused at birth."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from vidstyle.errors import UsageError
from vidstyle.system.sites import said

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class ClipInfo:
    """Size, frame rate, number of frames and times of a moving picture."""

    width: int  #: pixels, after rotation and sample aspect ratio are applied
    height: int  #: pixels, after rotation and sample aspect ratio are applied
    fps: Fraction  #: frames per second; the average where `timestamps` says that the rate varies
    frames: int  #: number of frames
    timestamps: tuple[Fraction, ...] | None = None  #: seconds of each frame from the first, only if the rate varies
    end: Fraction | None = None  #: seconds from the first frame to where the last one ends, if not 1 / fps after it

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.frames < 1 or self.fps <= 0:
            raise ValueError(f"not a clip: got {self!r}")
        if self.timestamps is not None and len(self.timestamps) != self.frames:
            raise ValueError(f"got {len(self.timestamps)} timestamps for {self.frames} frames")
        if self.end is not None and self.end <= self.times[-1]:
            raise ValueError(f"got a clip that ends at {self.end} s, before its last frame at {self.times[-1]} s")

    @property
    def times(self) -> tuple[Fraction, ...]:
        """Seconds of each frame from the first."""
        return self.timestamps or tuple(number / self.fps for number in range(self.frames))

    @property
    def seconds(self) -> Fraction:
        """Length of the clip. Where `end` is None the last frame lasts as long as an average one."""
        return self.times[-1] + 1 / self.fps if self.end is None else self.end


@dataclass(frozen=True)
class SeekIndex:
    """Where the selected frames of a clip are found, and what each is, so that none is taken for another.

    A key frame is no proof: with an open GOP, or one that is refreshed bit by bit, the next frames are not whole.
    """

    ticks: tuple[int, ...]  #: at which each is shown, rising
    checksums: tuple[int, ...]  #: of each, as it was decoded
    keys: tuple[tuple[int, int], ...]  #: when the key frames are shown, and where to seek to for each; in order

    def place(self, number: int) -> int | None:
        """Where to seek to for a frame; None if that is the beginning."""
        found = bisect_right(self.keys, self.ticks[number], key=lambda key: key[0]) - 1
        return self.keys[found][1] if found > 0 else None


@dataclass(frozen=True)
class Shot:
    """A shot: the frames between two cuts of a clip."""

    first: int  #: its first frame, counted in the file from 0
    end: int  #: the frame after its last
    start_seconds: Fraction  #: when the first is shown, from the first of the file
    end_seconds: Fraction  #: when the last is no longer shown

    @property
    def range(self) -> tuple[float, float]:
        """The settings `start` and `end` that select this shot alone: milliseconds, rounded down."""
        start, end = (math.floor(seconds * 1000) / 1000 for seconds in (self.start_seconds, self.end_seconds))
        return start, end


@dataclass(frozen=True)
class Seams:
    """Where shots are split into parts that are painted apart; in the numbers of painted frames, from 0.

    The last `overlap` frames before a seam are painted again as the first ones behind it, and shown are blends of both.
    """

    starts: tuple[int, ...] = ()  #: the first frame of each part that goes on with the shot of the part before
    overlap: int = 0  #: frames that are painted twice at each seam

    def __post_init__(self) -> None:
        if self.starts and not 0 < self.overlap <= min(after - one for one, after in pairwise((0, *self.starts))):
            raise ValueError(f"got {self!r}")

    def content(self, painted: int) -> int:
        """The number, in the clip, of the frame that is painted in a painted frame."""
        return painted - self.overlap * bisect_right(self.starts, painted)

    def share(self, painted: int) -> float | None:
        """The share of a painted frame behind a seam in what is shown, the rest being that `overlap` before it.

        None for a frame that is shown as it is.
        """
        place = bisect_right(self.starts, painted)
        behind = painted - self.starts[place - 1] if place else self.overlap
        return (behind + 1) / (self.overlap + 1) if behind < self.overlap else None


@dataclass(frozen=True, eq=False)
class Motion:
    """Optical flow and occlusion mask from this frame to the previous one."""

    flow: Tensor  #: (2, H, W) float32 pixels (x, y): where each pixel of this frame was in the previous one, minus here
    visible: Tensor  #: (1, H, W) float32 in [0, 1]: 0 where this pixel was hidden in the previous frame


@dataclass(frozen=True)
class Budget:
    """Limits of an optimisation."""

    evaluations: int  #: of the loss and its gradient, at most
    tolerance: float  #: fraction by which some evaluations must lower the loss for more to be made


@dataclass(frozen=True, eq=False)
class LoopClosure:
    """How a frame near the end of a loop is led back to the first frame."""

    motion: Motion  #: where each pixel of this frame is in the first one, and whether it is there
    share: float  #: how far the painting goes towards the first pastiche in this frame, 0 to 1


@dataclass(frozen=True, eq=False)
class KeyLead:
    """How a frame is led to a key frame: to a picture that somebody has painted, carried to this frame."""

    picture: Tensor  #: (3, H, W) float32 in [0, 1], on the CPU
    visible: Tensor  #: (1, H, W) float32 in [0, 1]: 0 where the key frame does not show this pixel
    share: float  #: how far the painting goes towards it in this frame; 1 at the key frame, whose picture it is
    hold: float = 0.0  #: share of the picture itself in what is shown


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture to paint; depends on the input only."""

    index: int  #: from 0, in the order of painting
    image: Tensor  #: (3, H, W) float32 sRGB in [0, 1]; sources give it on the CPU
    motion: Motion | None  #: None for a frame that starts anew, like the first of a shot
    alpha: float  #: 1 = all content, 0 = all style
    mix: tuple[float, ...]  #: share of each style, summing to 1
    temporal_weight: float = 0.0  #: weight of staying with what was painted before
    preserve_color: float = 0.0  #: share of the content's own colours that is shown
    match_share: float = 1.0  #: how far the setting `match_colors` is followed
    earlier: Mapping[int, Motion] = field(default_factory=dict)  #: by 2, 4, ...: the motion from so many frames back
    reach: int = 1  #: how many frames back any frame of this source may look
    loop_closure: LoopClosure | None = None  #: near the end of a loop
    lead: KeyLead | None = None  #: until the last key frame of a shot
    budget: Budget | None = None  #: None for what the settings say
    mask: Tensor | None = None  #: (1, H, W) float32 in [0, 1], on the CPU: how far it is painted; None for wholly
    regions: tuple[Tensor, ...] = ()  #: the same of each region with a style of its own; they sum to 1 at most


@dataclass(frozen=True, eq=False, kw_only=True)
class Region:
    """A part of pictures in memory that has a style of its own.

    Raises `UsageError` for an alpha or a scale out of its range.
    """

    mask: Sequence[np.ndarray] | np.ndarray  #: where it is, (H, W) uint8, 255 for wholly: one for all or one for each
    style: np.ndarray  #: a picture, (H, W, 3) uint8 or float from 0 to 1
    style_mask: np.ndarray | None = None  #: where of that picture the style is, (H, W) uint8; None for everywhere
    alpha: float | None = None  #: 1 = all content, 0 = all style; None for the alpha of what lies outside
    scale: float | None = None  #: size of the style relative to the result; None for that of the settings

    def __post_init__(self) -> None:
        for name, value, low, high in (("alpha", self.alpha, 0, 1), ("scale", self.scale, 1e-3, 8)):
            if value is not None and not low <= value <= high:
                raise UsageError(f"a region has {name} {value}; it must be at least {low} and at most {high}")


@dataclass(frozen=True, eq=False)
class State:
    """All that the next frame needs from this one."""

    index: int  #: the frame this is the state after
    pastiche: Tensor  #: (3, H, W) float32 in [0, 1], never rounded to 8 bits
    inverse_curvature: float  #: step per gradient of the optimiser's last curvature pair; 0 = unknown
    history: tuple[Tensor, ...] = ()  #: pastiches of the frames before it in its shot, newest first, as far as needed
    first: Tensor | None = None  #: the pastiche of the first frame of all, in a loop
    #: moments of colours, (3, 4), on the CPU: of the shot's frame of most contrast so far; with regions (N, 3, 4)
    colors: Tensor | None = None
    color_maps: Tensor | None = None  #: of `core.colormatch`, (N, 3, S, S, S): of each area of the shot
    color_maps_of: tuple[float, ...] = ()  #: alpha and mix of the frame that they were made for


@dataclass(frozen=True, eq=False)
class Result:
    """A painted frame."""

    index: int  #: the frame's
    image: np.ndarray  #: (H, W, 3) uint8 sRGB
    losses: dict[str, float]  #: content, style, temporal, tv (each before its weight) and total
    iterations: int  #: evaluations of the loss at the final size
    seconds: float  #: wall time of the painting


@dataclass(frozen=True)
class Fitted:
    """An output of a limited size, and what was reduced for it."""

    path: Path
    size: int  #: bytes
    limit: int  #: bytes
    width: int  #: pixels
    height: int  #: pixels
    gave_up: tuple[str, ...]  #: like "480 -> 432 px wide"

    def __str__(self) -> str:
        given = ", ".join(self.gave_up) or "nothing"
        return f"{self.path}: {said(self.size)} of {said(self.limit)}; gave up: {given}"


@dataclass(frozen=True)
class Progress:
    """How far workers have painted a job."""

    painted: int  #: frames, those of earlier calls, too
    frames: int  #: of all
    shots: int  #: that are being painted now
    rate: float  #: frames a second since the painting began, of all workers together


class FrameSequence(Protocol):
    """A sequence of pictures that can be decoded from any frame on: a clip, or generated pictures."""

    @property
    def info(self) -> ClipInfo: ...

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The pictures from number `start` on, (H, W, 3) uint8 sRGB of the size in `info`."""
        ...


class PaintedFrames(Protocol):
    """Painted frames that can be read in any order, as often as they are asked for: a job folder, for one."""

    def images(self, order: Sequence[int]) -> Iterator[np.ndarray]:
        """The frames with these numbers, (H, W, 3) uint8 sRGB each."""
        ...


class Source(Protocol):
    """A sequence of frames to paint."""

    info: ClipInfo  #: of the moving picture that the painted frames make
    playback: Sequence[int]  #: painted frame numbers in the order in which they are shown

    def frames(self, start: int) -> Generator[Frame]:
        """The frames from number `start` on."""
        ...


class Sink(Protocol):
    """Where painted frames go; a context manager that keeps nothing on an error."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, pixels: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8 sRGB."""
        ...

"""Retiming: remapped times for the frames of an animation, so that the picture changes by equal steps.

At a constant speed of alpha nearly nothing happens for most of the animation, and then everything at once. So pilot
renders paint the animation at a small size, the feature distance of each frame from the one before is measured, and
the schedules are evaluated at remapped times at which the cumulated distance grows by equal steps. The keys of the
schedules keep their times, and between two of them the distance is eased where a schedule is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch

from vidstyle.core.metrics import Judge, feature_distance
from vidstyle.core.stylizer import Stylizer
from vidstyle.jobs.sources.balance import Animation, PictureSource
from vidstyle.jobs.sources.clips import to_tensor
from vidstyle.media.stills.transparency import opaque
from vidstyle.schedule import EASINGS, Schedule, values
from vidstyle.types import Frame, State

PILOT_SCALES = 0.5, 0.7  # sizes of the pilot renders, as shares of the size
SMALLEST_PILOT = 128  # pixels of the long side of a pilot render
# Frames at equal steps of t in [-1, 1] have log(alpha / (1 - alpha)) = -LIMIT * (MIDDLE t + (1 - MIDDLE) t^3). Read
# off two animations that the pilot renders had made even (the samples' valley in swirls and in dots, 128 pixels).
LIMIT, MIDDLE = 4.6, 0.78
SLOWEST = 4  # times less than the mean: a frame that changed less may have been stuck, and is not believed
FINEST = 10**9  # denominator of a remapped time
MARGIN = Fraction(1, 10**15)  # share of a stretch before its end at which its last values are taken: jumps are at keys
# Bytes on a CPU, measured from 200 to 1000 pixels (20 to 40 MB; 40 to 180 MB), with some to spare.
ENCODER, KEPT, KEPT_PER_PIXEL = 45e6, 35e6, 270
TABLE = np.linspace(-1, 1, 2001)

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class _Stretch:
    """The stretch of time between two keys."""

    start: Fraction
    end: Fraction
    eased: bool
    frames: range  #: that lie in it, both ends included

    def fractions(self, times: Sequence[Fraction]) -> np.ndarray:
        """How far its frames are at these times, 0 to 1."""
        length = self.end - self.start
        return np.array([float((times[frame] - self.start) / length) for frame in self.frames])

    def remapped(self, fractions: np.ndarray, times: Sequence[Fraction]) -> Iterator[tuple[int, Fraction]]:
        """The frames and the times at which they are so far; a frame on a key keeps its time."""
        for frame, fraction in zip(self.frames, fractions, strict=True):
            if self.start < times[frame] < self.end:
                inside = min(max(float(fraction), 1e-6), 1 - 1e-6)
                yield frame, (self.start + (self.end - self.start) * Fraction(inside)).limit_denominator(FINEST)


def expected_times(animation: Animation) -> list[Fraction]:
    """Remapped times for each of `animation.times` that give equal steps for an average picture."""
    times = animation.times
    remapped_times = list(times)
    for stretch in _stretches(animation):
        wanted = _eased(stretch.fractions(times), stretch)
        before_end = stretch.end - (stretch.end - stretch.start) * MARGIN
        here, there = values(animation.alpha, times, animation.fps, remapped_times=(stretch.start, before_end))
        if here != there:
            way = np.interp(wanted, (0, 1), (_way(here), _way(there)))
            wanted = np.interp((_alpha(way) - here) / (there - here), _eased(TABLE, stretch), TABLE)
        for frame, time in stretch.remapped(wanted, times):
            remapped_times[frame] = time
    return remapped_times


def equal_steps(animation: Animation, remapped_times: Sequence[Fraction], changes: Sequence[float]) -> list[Fraction]:
    """Better remapped times, at which the picture changes by equal steps.

    Args:
        remapped_times: those of a pilot render.
        changes: the feature distance in it from each frame to the next.
    """
    better = list(remapped_times)
    for stretch in _stretches(animation):
        gone = stretch.fractions(remapped_times)
        change = np.array([changes[frame] for frame in stretch.frames[:-1]])
        speed = np.maximum(change, change.mean() / SLOWEST) / np.maximum(np.diff(gone), 1 / FINEST)
        # Up to the keys themselves, where no frame may lie, it goes on as it does beside them.
        nodes = np.array([0, *gone[1:-1], 1])
        distance = np.concatenate([[0], np.cumsum(speed * np.diff(nodes))])
        if distance[-1] > 0:
            wanted = _eased(stretch.fractions(animation.times), stretch)
            fractions = np.interp(wanted * distance[-1], distance, nodes)
            for frame, time in stretch.remapped(fractions, animation.times):
                better[frame] = time
    return better


def retime(
    animation: Animation,
    picture: np.ndarray,
    stylizer: Stylizer,
    judge: Judge,
    on_step: OnStep | None = None,
    mask: np.ndarray | None = None,
    regions: Sequence[np.ndarray] = (),
) -> list[Fraction]:
    """The remapped times of an animation in equal steps, found by pilot renders.

    Args:
        picture: (H, W, 3) float32 sRGB in [0, 1].
        stylizer: paints at any size.
        judge: the network of the feature distances.
        on_step: called after each painting of a pilot render with its number, from 1, and the number of all.
        mask: where it is painted, (H, W) uint8; None for everywhere.
        regions: where its regions are, the same.
    """
    settings = animation.settings
    own = settings.size or max(picture.shape[:2])
    one_way = animation.one_way()
    remapped_times = expected_times(animation)
    layers = tuple(dict.fromkeys((*settings.style_layers, *settings.content_layers)))
    total = len(PILOT_SCALES) * len(remapped_times)
    for number, scale in enumerate(PILOT_SCALES):
        small = dataclasses.replace(settings, size=_pilot_size(own, scale))
        plan = one_way.plan(remapped_times)
        source = PictureSource(picture, small, plan, mask, regions, starts_unpainted=settings.timelapse)
        changes = []
        for change in _changes(source.frames(0), stylizer, judge, layers):
            changes.append(change)
            if on_step is not None:
                on_step(number * len(remapped_times) + len(changes), total)
        in_order = changes[:0:-1] if plan.painted[0] else changes[1:]
        remapped_times = equal_steps(animation, remapped_times, in_order)
    return remapped_times


def pilot_work(size: int) -> float:
    """The pixels of the pilot renders as a share of those of the painting, whose long side is `size`."""
    return sum((_pilot_size(size, scale) / size) ** 2 for scale in PILOT_SCALES)


def animation_bytes(pixels: int) -> float:
    """Bytes of the CPU's memory that an animation of so many pixels a frame takes beside what a still of them does."""
    return ENCODER


def pilot_bytes(pixels: int) -> float:
    """The same with pilot renders: oneDNN keeps kernels and buffers of their sizes, and the heap has gaps."""
    return ENCODER + KEPT + KEPT_PER_PIXEL * pixels


def _pilot_size(size: int, scale: float) -> int:
    return min(max(round(size * scale), SMALLEST_PILOT), size)


def _changes(frames: Iterator[Frame], stylizer: Stylizer, judge: Judge, layers: Sequence[str]) -> Iterator[float]:
    """The feature distance of each painting from the one before; 0 for the first."""
    state: State | None = None
    before: torch.Tensor | None = None
    for frame in frames:
        result, state = stylizer.step(frame, state)
        shown = to_tensor(opaque(result.image)).to(stylizer.device)
        yield 0.0 if before is None else feature_distance(judge, before, shown, layers)
        before = shown


def _stretches(animation: Animation) -> list[_Stretch]:
    times, fps = animation.times, animation.fps
    turns: dict[Fraction, list[str]] = {times[0]: [], times[-1]: []}
    for number in animation.numbers:
        schedule = Schedule.parse(str(number))
        if schedule.constant is None:
            for time, way in schedule.turns(times, fps).items():
                turns.setdefault(time, []).append(way)
    stretches = []
    for start, end in pairwise(sorted(turns)):
        inside = [number for number, time in enumerate(times) if start <= time <= end]
        if len(inside) > 2:
            frames = range(inside[0], inside[-1] + 1)
            stretches.append(_Stretch(start, end, "ease" in turns[start], frames))
    return stretches


def _eased(fractions: np.ndarray, stretch: _Stretch) -> np.ndarray:
    """The share of the distance covered after these shares of the time."""
    ease = EASINGS["ease" if stretch.eased else "linear"]
    return np.array([ease(fraction) for fraction in fractions])


def _way(alpha: float) -> float:
    """Inverse of `_alpha`: the position of alpha on the way from 1, at -1, to 0, at 1."""
    return float(np.interp(-alpha, -_alpha(TABLE), TABLE))


def _alpha(way: np.ndarray) -> np.ndarray:
    odds = LIMIT * (MIDDLE * way + (1 - MIDDLE) * way**3)
    alpha = 1 / (1 + np.exp(odds))
    ends = 1 / (1 + np.exp(np.array([LIMIT, -LIMIT])))
    stretched: np.ndarray = np.interp(alpha, ends, (0, 1))
    return stretched

"""When an animation reaches its numbers, so that the picture changes by equal steps.

At a constant speed of alpha nearly nothing happens for most of the film, and then everything at once. So the animation
is rehearsed at a small size, it is measured how much each frame differs from the one before, and the frames are moved
to the moments at which the picture has gone equal parts of its way. The keys of the schedules stay where they are, and
between two of them the picture is eased where a schedule is.
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
from vidstyle.jobs.balance import Animation, PictureSource
from vidstyle.jobs.sources import to_tensor
from vidstyle.schedule import EASINGS, Schedule, values
from vidstyle.types import Frame, State

REHEARSALS = 0.5, 0.7  # of the size
SMALLEST_REHEARSAL = 128  # pixels of its long side
# Frames at equal steps of t in [-1, 1] have log(alpha / (1 - alpha)) = -LIMIT * (MIDDLE t + (1 - MIDDLE) t^3). Measured
# as the mean of six pairs of photographs and paintings: what alpha does to a picture is nearly the same for all.
LIMIT, MIDDLE = 5.5, 0.68
SLOWEST = 4  # times less than the mean: a frame that changed less may have been stuck, and is not believed
FINEST = 10**9  # denominator of a moment
BRINK = Fraction(1, 10**15)  # share of a stretch by which its last numbers come before its end, where others may begin
TABLE = np.linspace(-1, 1, 2001)

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class _Stretch:
    """What lies between two keys."""

    start: Fraction
    end: Fraction
    eased: bool
    frames: range  #: that lie in it, both ends included

    def fractions(self, moments: Sequence[Fraction]) -> np.ndarray:
        """How far its frames are at their moments, 0 to 1."""
        length = self.end - self.start
        return np.array([float((moments[frame] - self.start) / length) for frame in self.frames])

    def moments(self, fractions: np.ndarray, times: Sequence[Fraction]) -> Iterator[tuple[int, Fraction]]:
        """The frames and when they are so far; one that lies on a key stays there."""
        for frame, fraction in zip(self.frames, fractions, strict=True):
            if self.start < times[frame] < self.end:
                inside = min(max(float(fraction), 1e-6), 1 - 1e-6)
                yield frame, (self.start + (self.end - self.start) * Fraction(inside)).limit_denominator(FINEST)


def expected(animation: Animation) -> list[Fraction]:
    """The moments at which pictures like other pictures go equal steps, for each of `animation.times`."""
    times = animation.times
    moments = list(times)
    for stretch in _stretches(animation):
        wanted = _eased(stretch.fractions(times), stretch)
        brink = stretch.end - (stretch.end - stretch.start) * BRINK
        here, there = values(animation.alpha, times, animation.fps, moments=(stretch.start, brink))
        if here != there:
            way = np.interp(wanted, (0, 1), (_way(here), _way(there)))
            wanted = np.interp((_alpha(way) - here) / (there - here), _eased(TABLE, stretch), TABLE)
        for frame, moment in stretch.moments(wanted, times):
            moments[frame] = moment
    return moments


def even(animation: Animation, moments: Sequence[Fraction], changes: Sequence[float]) -> list[Fraction]:
    """The moments at which the picture has gone equal steps.

    Args:
        moments: those of a rehearsal.
        changes: how much the picture changed in it from each frame to the next.
    """
    better = list(moments)
    for stretch in _stretches(animation):
        gone = stretch.fractions(moments)
        change = np.array([changes[frame] for frame in stretch.frames[:-1]])
        speed = np.maximum(change, change.mean() / SLOWEST) / np.maximum(np.diff(gone), 1 / FINEST)
        # Up to the keys themselves, where no frame may lie, it goes on as it does beside them.
        nodes = np.array([0, *gone[1:-1], 1])
        distance = np.concatenate([[0], np.cumsum(speed * np.diff(nodes))])
        if distance[-1] > 0:
            wanted = _eased(stretch.fractions(animation.times), stretch)
            fractions = np.interp(wanted * distance[-1], distance, nodes)
            for frame, moment in stretch.moments(fractions, animation.times):
                better[frame] = moment
    return better


def rehearse(
    animation: Animation, picture: np.ndarray, stylizer: Stylizer, judge: Judge, on_step: OnStep | None = None
) -> list[Fraction]:
    """The moments of an even animation, found by painting it small.

    Args:
        picture: (H, W, 3) float32 sRGB in [0, 1].
        stylizer: paints at any size.
        judge: sees how much a picture changes.
        on_step: called after each small painting with its number, from 1, and the number of all.
    """
    settings = animation.settings
    own = settings.size or max(picture.shape[:2])
    one_way = animation.one_way()
    moments = expected(animation)
    layers = tuple(dict.fromkeys((*settings.style_layers, *settings.content_layers)))
    total = len(REHEARSALS) * len(moments)
    for number, scale in enumerate(REHEARSALS):
        small = dataclasses.replace(settings, size=min(max(round(own * scale), SMALLEST_REHEARSAL), own))
        plan = one_way.plan(moments)
        source = PictureSource(picture, small, plan, starts_unpainted=settings.timelapse)
        changes = []
        for change in _changes(source.frames(0), stylizer, judge, layers):
            changes.append(change)
            if on_step is not None:
                on_step(number * len(moments) + len(changes), total)
        moments = even(animation, moments, changes[:0:-1] if plan.painted[0] else changes[1:])
    return moments


def _changes(frames: Iterator[Frame], stylizer: Stylizer, judge: Judge, layers: Sequence[str]) -> Iterator[float]:
    """How much each painting differs from the one before; the first by nothing."""
    state: State | None = None
    before: torch.Tensor | None = None
    for frame in frames:
        result, state = stylizer.step(frame, state)
        shown = to_tensor(result.image).to(stylizer.device)
        yield 0.0 if before is None else feature_distance(judge, before, shown, layers)
        before = shown


def _stretches(animation: Animation) -> list[_Stretch]:
    times, fps = animation.times, animation.fps
    turns: dict[Fraction, list[str]] = {times[0]: [], times[-1]: []}
    for number in animation.numbers:
        schedule = Schedule.parse(str(number))
        if schedule.constant is None:
            for moment, way in schedule.turns(times, fps).items():
                turns.setdefault(moment, []).append(way)
    stretches = []
    for start, end in pairwise(sorted(turns)):
        inside = [number for number, time in enumerate(times) if start <= time <= end]
        if len(inside) > 2:
            frames = range(inside[0], inside[-1] + 1)
            stretches.append(_Stretch(start, end, "ease" in turns[start], frames))
    return stretches


def _eased(fractions: np.ndarray, stretch: _Stretch) -> np.ndarray:
    """What part of its way is gone after these parts of the time."""
    ease = EASINGS["ease" if stretch.eased else "linear"]
    return np.array([ease(fraction) for fraction in fractions])


def _way(alpha: float) -> float:
    """Where alpha is on the way from 1, at -1, to 0, at 1."""
    return float(np.interp(-alpha, -_alpha(TABLE), TABLE))


def _alpha(way: np.ndarray) -> np.ndarray:
    odds = LIMIT * (MIDDLE * way + (1 - MIDDLE) * way**3)
    alpha = 1 / (1 + np.exp(odds))
    ends = 1 / (1 + np.exp(np.array([LIMIT, -LIMIT])))
    stretched: np.ndarray = np.interp(alpha, ends, (0, 1))
    return stretched

"""Reductions that make an output smaller (width, frames, colours …), and the search for the least visible. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

WHOLE = ("slower",)  # what is given up in whole steps only
FINEST = 1 / 16  # of a step
NEAR = 0.97  # of the limit: near enough


@dataclass(frozen=True)
class Reduction:
    """How far each property of an output is reduced, in steps; 0 is not at all."""

    narrower: float = 0  #: each 10 % of the width
    slower: float = 0  #: after n steps every (n + 1)-th frame is shown
    fewer: float = 0  #: each a fifth of the colours
    plainer: float = 0  #: each half of the dithering
    stiller: float = 0  #: each a hundredth of the range of lightness, below which no change is shown
    coarser: float = 0  #: each one more of crf


@dataclass(frozen=True)
class Trial:
    """The size and the error of a reduction."""

    size: float  #: bytes, as far as that can be told
    error: float  #: from the frames without reduction, as `trials` measures it


Measure = Callable[[Reduction], Trial]
Room = Mapping[str, float]  # how many steps of what may be given up


def search(measure: Measure, room: Room, limit: float) -> Reduction | None:
    """The least visible reduction of at most `limit` bytes; None if there is none.

    Step after step, whatever saves most for the error that it costs is given up; in the end as much is taken back as
    the limit leaves room for.

    Args:
        measure: asked again and again; it should remember what it has measured.
        room: of each thing, at most.
    """
    reduction = Reduction()
    while (now := measure(reduction)).size > limit:
        stride = 2 if now.size > 2 * limit else 1
        lesser = [one for one in _lesser(reduction, room, stride) if measure(one).size < 0.995 * now.size]
        if not lesser:
            return None
        reduction = max(lesser, key=lambda one: _worth(now, measure(one), limit))
    return taken_back(measure, reduction, limit)


def _lesser(reduction: Reduction, room: Room, stride: int) -> Iterator[Reduction]:
    """Each reduction that is a step larger in one property."""
    for name, most in room.items():
        given = getattr(reduction, name)
        if given < most:
            step = 1 if name in WHOLE else stride
            yield dataclasses.replace(reduction, **{name: min(given + step, most)})


def _worth(now: Trial, then: Trial, limit: float) -> float:
    """The logarithmic saving down to the limit, divided by the error that it adds."""
    return math.log(now.size / max(then.size, limit)) / max(then.error - now.error, 1e-9)


def taken_back(measure: Measure, reduction: Reduction, limit: float) -> Reduction:
    """The reduction with as much taken back as the limit allows, one property after another, the most visible first."""
    while measure(reduction).size < NEAR * limit:
        more = [_most(measure, reduction, name, limit) for name in vars(reduction) if getattr(reduction, name) > 0]
        better = min(more, key=lambda one: measure(one).error, default=reduction)
        if measure(better).error >= measure(reduction).error:
            return reduction
        reduction = better
    return reduction


def _most(measure: Measure, reduction: Reduction, name: str, limit: float) -> Reduction:
    """The reduction with as little of one thing given up as the limit allows; sizes fall as more is given up."""

    def fits(steps: float) -> bool:
        return measure(dataclasses.replace(reduction, **{name: steps})).size <= limit

    high, finest = getattr(reduction, name), 1.0 if name in WHOLE else FINEST
    low = max(high - 2, 0.0)
    if fits(low):
        return dataclasses.replace(reduction, **{name: low})
    while high - low > finest:
        middle = finest * round((low + high) / 2 / finest)
        if middle in (low, high):
            break
        low, high = (low, middle) if fits(middle) else (middle, high)
    return dataclasses.replace(reduction, **{name: high})

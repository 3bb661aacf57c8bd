"""What an output may give up to become smaller, and the search for what is missed least. Pure: others measure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

WHOLE = ("slower",)  # what is given up in whole steps only
FINEST = 1 / 16  # of a step
NEAR = 0.97  # of the limit: near enough


@dataclass(frozen=True)
class Look:
    """How many steps of what are given up; 0 is all that there is."""

    narrower: float = 0  #: each 10 % of the width
    slower: float = 0  #: after n steps every (n + 1)-th frame is shown
    fewer: float = 0  #: each a fifth of the colours
    plainer: float = 0  #: each half of the dithering
    stiller: float = 0  #: each a hundredth of the range of lightness, below which no change is shown
    coarser: float = 0  #: each one more of crf


@dataclass(frozen=True)
class Trial:
    """What a look is worth."""

    size: float  #: bytes, as far as that can be told
    error: float  #: how far it is from the full look's frames; the less the better


Measure = Callable[[Look], Trial]
Room = Mapping[str, float]  # how many steps of what may be given up


def search(measure: Measure, room: Room, limit: float) -> Look | None:
    """The look of at most `limit` bytes that gives up what is missed least; None if there is no such.

    Step after step, whatever saves most for the error that it costs is given up; in the end as much is taken back as
    the limit leaves room for.

    Args:
        measure: asked again and again; it should remember what it has measured.
        room: of each thing, at most.
    """
    look = Look()
    while (now := measure(look)).size > limit:
        stride = 2 if now.size > 2 * limit else 1
        lesser = [one for one in _lesser(look, room, stride) if measure(one).size < 0.995 * now.size]
        if not lesser:
            return None
        look = max(lesser, key=lambda one: _worth(now, measure(one), limit))
    return taken_back(measure, look, limit)


def _lesser(look: Look, room: Room, stride: int) -> Iterator[Look]:
    """Every look that gives up a little more of one thing."""
    for name, most in room.items():
        given = getattr(look, name)
        if given < most:
            step = 1 if name in WHOLE else stride
            yield dataclasses.replace(look, **{name: min(given + step, most)})


def _worth(now: Trial, then: Trial, limit: float) -> float:
    """What is saved, as far as it need be, for the error that it costs."""
    return math.log(now.size / max(then.size, limit)) / max(then.error - now.error, 1e-9)


def taken_back(measure: Measure, look: Look, limit: float) -> Look:
    """The look with as much taken back as the limit leaves room for, one thing after another, the most missed first."""
    while measure(look).size < NEAR * limit:
        more = [_most(measure, look, name, limit) for name in vars(look) if getattr(look, name) > 0]
        better = min(more, key=lambda one: measure(one).error, default=look)
        if measure(better).error >= measure(look).error:
            return look
        look = better
    return look


def _most(measure: Measure, look: Look, name: str, limit: float) -> Look:
    """The look with as little of one thing given up as the limit allows; sizes fall as more is given up."""

    def fits(steps: float) -> bool:
        return measure(dataclasses.replace(look, **{name: steps})).size <= limit

    high, finest = getattr(look, name), 1.0 if name in WHOLE else FINEST
    low = max(high - 2, 0.0)
    if fits(low):
        return dataclasses.replace(look, **{name: low})
    while high - low > finest:
        middle = finest * round((low + high) / 2 / finest)
        if middle in (low, high):
            break
        low, high = (low, middle) if fits(middle) else (middle, high)
    return dataclasses.replace(look, **{name: high})

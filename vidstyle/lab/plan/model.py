"""The seconds of a job as a function of its size and its evaluations, from what was measured; and what fits a time."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from vidstyle.core.probe import SMALLEST_SIZE
from vidstyle.errors import UsageError
from vidstyle.lab.plan.figures import Fit, FrameCost
from vidstyle.lab.plan.probe import Costs
from vidstyle.settings import VideoSettings

AIM = 0.9  # of a time budget: what was measured may be a little wrong
FEWEST_FIRST, FEWEST, STEP = (
    20,
    5,
    5,
)  # evaluations: with fewer a painting looks unfinished
UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
TIME = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?|(\d+\.?\d*|\.\d+) *(s|m|min|h|)")


@dataclass(frozen=True)
class Change:
    """How another job differs from the one that was measured."""

    area: float = 1.0  #: pixels, as a share
    first: float = math.inf  #: evaluations of a first frame at each scale, at most
    later: float = math.inf  #: the same of a warm-started one


SAME = Change()


@dataclass(frozen=True)
class Model:
    """What was measured of a job, and what it consists of."""

    costs: Costs
    shots: Sequence[tuple[int, int]]  #: first frames, and the frames after the last
    done: Set[int]  #: numbers of the frames that are painted already: of each shot the first ones
    started_seconds: float  #: before anything is painted
    pilot_share: float  #: of the pilot renders, of the time of the painting
    encoding_seconds: float
    overlaps: bool  #: decoding, flow and saving run beside the painting

    def left(self, first: int, end: int) -> int:
        """How many frames of a shot are still to be painted."""
        return sum(number not in self.done for number in range(first, end))

    def frame(self, cost: FrameCost) -> float:
        """Seconds of one frame."""
        return self._both(cost.paint_seconds, cost.beside_seconds)

    def shot(self, first: int, end: int, change: Change = SAME) -> float:
        """Seconds of painting what is left of a shot."""
        begin, costs = end - self.left(first, end), self.costs
        if begin >= end:
            return 0.0
        cold = begin == first
        singles = end - begin if costs.later is None else int(cold)
        evaluations = singles * min(costs.first.evaluations, change.first)
        paint = singles * costs.first.fixed_seconds + evaluations * costs.first.evaluation_seconds
        beside = singles * costs.first.beside_seconds
        if costs.later is not None and (warm := end - begin - singles):
            few = costs.shot_evaluations(begin - first + cold, end - first, change.later)
            paint += warm * costs.later.fixed_seconds + few * costs.later.evaluation_seconds
            beside += warm * costs.later.beside_seconds
        return change.area * self._both(paint, beside)

    def painting(self, change: Change = SAME) -> list[float]:
        """Seconds of painting what is left of each shot."""
        return [self.shot(*one, change) for one in self.shots]

    def around(self, change: Change = SAME) -> tuple[float, float, float]:
        """Seconds of what comes before the painting, of the pilot renders, and of the encoding."""
        some = sum(self.painting(change))
        setup = self.costs.setup_seconds * change.area if some else 0.0
        pilot = 0.0 if self.done else self.pilot_share * some
        return self.started_seconds + setup, pilot, self.encoding_seconds * change.area

    def seconds(self, change: Change = SAME) -> float:
        """Seconds of all."""
        return sum(self.around(change)) + sum(self.painting(change))

    def _both(self, paint: float, beside: float) -> float:
        return max(paint, beside) if self.overlaps else paint + beside


def fit(
    model: Model, settings: VideoSettings, size: int, budget: float, command: Callable[[VideoSettings], str]
) -> Fit:
    """The job that takes no longer than `budget` seconds: first with fewer evaluations, then with a smaller size too.

    Args:
        size: pixels of the long side that were measured.
        command: that which paints with some settings.
    """
    warm = settings.warm_start != "none"

    def found(size: int, change: Change) -> Fit:
        first = int(min(settings.first_iterations, change.first))
        later = int(min(settings.iterations, change.later)) if warm else None
        less: dict[str, Any] = {"size": size} if change.area < 1 else {}
        if later is not None:
            less["iterations"] = later
        took = model.seconds(change)
        text = command(dataclasses.replace(settings, first_iterations=first, **less))
        return Fit(budget, size, first, later, took, took <= budget, text)

    if model.seconds() <= budget:
        return found(size, SAME)
    expected = model.costs.later.evaluations if model.costs.later else FEWEST
    first = min(model.costs.first.evaluations, settings.first_iterations)
    steps = range(math.ceil(expected / STEP) * STEP, FEWEST, -STEP)
    tried = [Change(1.0, max(round(first * min(few / expected, 1)), FEWEST_FIRST), few) for few in steps]
    for fewer in (*tried, Change(1.0, FEWEST_FIRST, FEWEST)):
        if model.seconds(fewer) <= AIM * budget:
            return found(size, fewer)
    least = min(SMALLEST_SIZE, size)
    for smaller in range(size - 1, least - 1, -1):
        change = dataclasses.replace(fewer, area=(smaller / size) ** 2)
        if model.seconds(change) <= AIM * budget or smaller == least:
            return found(smaller, change)
    return found(size, fewer)


def seconds_of(text: str, name: str = "--time-budget") -> float:
    """The seconds that a text like "20m", "90s", "1h30m" or "600" says. Raises `UsageError` if it says none."""
    found = TIME.fullmatch(text.strip().lower())
    if found is None or not any(found.groups()):
        raise UsageError(f"{name} is {text!r}; give a time like 20m, 90s, 1h30m or a number of seconds")
    hours, minutes, seconds, one, unit = found.groups()
    parts = (int(hours or 0), int(minutes or 0), int(seconds or 0))
    total = float(one) * UNITS[unit] if one else 3600.0 * parts[0] + 60 * parts[1] + parts[2]
    if total <= 0 or total > 10**9:
        raise UsageError(f"{name} is {text!r}; it must be more than nothing")
    return total

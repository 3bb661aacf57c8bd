"""The keys of a schedule as the page shows and changes them: each by its place in an animation and its value."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from vidstyle.schedule import EASINGS, Key, Schedule, Unit, Way, there_and_back
from vidstyle.settings import BalanceSettings

SAMPLES = 120  # points of the curve besides its keys
SNAP = 0.008  # share of the length within which a key is at an end
CLOSE = Fraction(1, 10**4)  # share of the length by which a key that is meant to stay may be off
STEPS: dict[Unit, Fraction] = {"s": Fraction(1, 100), "%": Fraction(1, 10), "f": Fraction(1)}  # of a time
JUMP = Fraction(1, 10**6)  # seconds before a key where the curve is drawn, too
WAYS: tuple[Way, ...] = tuple(EASINGS)


@dataclass(frozen=True)
class Curve:
    """A schedule among the frames of an animation."""

    schedule: Schedule
    times: Sequence[Fraction]  #: seconds of the frames; the last is the end of the curve
    fps: Fraction
    bounces: bool = False  #: the animation plays back to the start

    @classmethod
    def of(cls, schedule: str, settings: BalanceSettings) -> Curve:
        """A schedule of a balance animation; if that bounces, on the way there. Raises `UsageError`."""
        fps, shown = Fraction(settings.fps).limit_denominator(1001), max(round(settings.seconds * settings.fps), 2)
        count = max(there_and_back(shown)) + 1 if settings.bounce else shown
        times = tuple(number / fps for number in range(max(count, 2)))
        curve = cls(Schedule.parse(schedule, "alpha"), times, fps, settings.bounce)
        curve.schedule.values(curve.times, fps)  # raises if the keys are not in order
        return curve

    @property
    def places(self) -> list[tuple[float, float]]:
        """Of each key, how far it is from the first frame (0) to the last (1), and its value."""
        return [
            (min(float(key.seconds(self.times, self.fps) / self.end), 1.0), key.value) for key in self.schedule.keys
        ]

    @property
    def end(self) -> Fraction:
        """The seconds of the last frame."""
        return self.times[-1]

    @property
    def line(self) -> list[tuple[float, float]]:
        """Points of the curve from left to right, like `places`. Raises `UsageError`: the keys are not in order."""
        evenly = {self.end * number / SAMPLES for number in range(SAMPLES + 1)}
        turns = set(self.schedule.turns(self.times, self.fps))
        before = {max(time - JUMP, Fraction(0)) for time in turns}
        times = sorted(evenly | turns | before)
        values = self.schedule.values(self.times, self.fps, times)
        return [(float(time / self.end), value) for time, value in zip(times, values, strict=True)]

    def moved(self, number: int, place: float, value: float) -> str:
        """The text with a key at another place, between its neighbours, and with another value."""
        keys = list(self.schedule.keys)
        place = 0.0 if place < SNAP else 1.0 if place > 1 - SNAP else place
        moved = self._between(keys[number], Fraction(place) * self.end, keys[:number], keys[number + 1 :])
        keys[number] = dataclasses.replace(moved, value=round(min(max(value, 0.0), 1.0), 2))
        return self._text(keys)

    def added(self, place: float | None = None, value: float | None = None) -> str:
        """The text with a key more; without a place, on the curve in the middle of the widest gap."""
        places = [one for one, _ in self.places]
        if place is None:
            ends = sorted({0.0, *places, 1.0})
            _, place = max((after - before, (before + after) / 2) for before, after in pairwise(ends))
        place = min(max(place, 0.0), 1.0)
        if value is None:
            (value,) = self.schedule.values(self.times, self.fps, [Fraction(place).limit_denominator(10**6) * self.end])
        keys = list(self.schedule.keys)
        number = sum(one <= place for one in places)
        way: Way = keys[number - 1].way if 0 < number < len(keys) else "linear"
        new = Key(Fraction(-1), "%", round(min(max(value, 0.0), 1.0), 2), way)
        new = self._between(new, Fraction(place) * self.end, keys[:number], keys[number:])
        return self._text([*keys[:number], new, *keys[number:]])

    def removed(self, number: int) -> str:
        """The text without a key; the last one stays, and in a loop the last two."""
        keys = list(self.schedule.keys)
        if len(keys) > 1 + self.schedule.loop:
            del keys[number]
        return self._text(keys)

    def eased(self, number: int, way: Way) -> str:
        """The text with another way from a key to the next."""
        keys = list(self.schedule.keys)
        keys[number] = dataclasses.replace(keys[number], way=way)
        return self._text(keys)

    def _between(self, key: Key, time: Fraction, before: list[Key], after: list[Key]) -> Key:
        """The key at another time, but not beyond its neighbours, in its unit and rounded by `STEPS`."""
        low = before[-1].seconds(self.times, self.fps) if before else Fraction(0)
        high = after[0].seconds(self.times, self.fps) if after else self.end
        time = min(max(time, low), max(high, low))
        if key.amount >= 0 and abs(key.seconds(self.times, self.fps) - time) < CLOSE * self.end:
            return key
        if time in (0, self.end):
            return dataclasses.replace(key, amount=Fraction(100 * int(time > 0)), unit="%")
        units = {"s": time, "%": 100 * time / self.end, "f": time / self.end * (len(self.times) - 1)}
        nearest = round(units[key.unit] / STEPS[key.unit])
        for number in (nearest, nearest - 1, nearest + 1):
            found = dataclasses.replace(key, amount=STEPS[key.unit] * number)
            if number >= 0 and low <= found.seconds(self.times, self.fps) <= high:
                return found
        neighbour = before[-1] if before else after[0]  # between them is no room for a rounded time
        return dataclasses.replace(key, amount=neighbour.amount, unit=neighbour.unit)

    def _text(self, keys: list[Key]) -> str:
        keys[-1] = dataclasses.replace(keys[-1], way="linear")  # it leads nowhere
        if len(keys) == 1:
            return f"{keys[0].value:g}"
        return ", ".join(map(_spelled, keys)) + " loop" * self.schedule.loop


def _spelled(key: Key) -> str:
    return f"start{str(key)[str(key).index(':') :]}" if key.amount == 0 else str(key)

"""Playback: the order and the times at which painted frames are shown, which may change without painting again."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidstyle.settings import EncodeSettings
from vidstyle.types import ClipInfo

TITLE = -1  # stands for the title card among the numbers of frames


@dataclass(frozen=True)
class Playback:
    """The order and times in which painted frames are shown."""

    info: ClipInfo  #: of the moving picture
    order: tuple[int, ...]  #: the painted frame of each of its frames, or `TITLE`
    delay: Fraction = Fraction(0)  #: seconds until the sound begins

    def edited(self, settings: EncodeSettings) -> Playback:
        """The playback that `settings` ask for: at another rate, there and back, with frames held, after a title."""
        edited = self._at_rate(settings.fps)
        if settings.pingpong:
            edited = edited._there_and_back()
        first, last = min(edited.order), max(edited.order)
        hold = Fraction(str(settings.hold_first))
        edited = dataclasses.replace(edited._held(first, hold), delay=hold)
        edited = edited._held(last, Fraction(str(settings.hold_last)))
        return edited if settings.title is None else edited._titled(Fraction(str(settings.title_seconds)))

    def _at_rate(self, rate: float | None) -> Playback:
        """At a constant rate: at each time the frame that is shown then."""
        if rate is None:
            return self
        fps, times = Fraction(rate).limit_denominator(1001), self.info.times
        count = max(1, round(self.info.seconds * fps))
        order = tuple(self.order[bisect_right(times, number / fps) - 1] for number in range(count))
        info = dataclasses.replace(self.info, fps=fps, frames=count, timestamps=None, end=None)
        return dataclasses.replace(self, info=info, order=order)

    def _there_and_back(self) -> Playback:
        """Backwards to the start, so that it loops; neither end is shown twice."""
        count, times = len(self.order), [*self.info.times, self.info.seconds]
        back = range(count - 2, 0, -1)
        order = (*self.order, *(self.order[number] for number in back))
        info = dataclasses.replace(self.info, frames=len(order), timestamps=None, end=None)
        if (self.info.timestamps, self.info.end) != (None, None):
            shown = times[:-1]
            now = times[-1]
            for number in back:
                shown.append(now)
                now += times[number + 1] - times[number]
            info = dataclasses.replace(info, timestamps=tuple(shown), end=now)
        return dataclasses.replace(self, info=info, order=order)

    def _held(self, frame: int, seconds: Fraction) -> Playback:
        """With a painted frame shown so much longer the first time it is shown.

        The last of all is shown once more: where a file does not say how long that lasts, it lasts all the same.
        """
        if seconds == 0:
            return self
        place, times, order = self.order.index(frame), list(self.info.times), self.order
        if place == len(order) - 1:
            order = (*order, frame)
            times.append(times[-1] + seconds)
        else:
            times = [*times[: place + 1], *(time + seconds for time in times[place + 1 :])]
        info = dataclasses.replace(self.info, frames=len(order), timestamps=tuple(times), end=self._end(seconds))
        return dataclasses.replace(self, info=info, order=order)

    def _titled(self, seconds: Fraction) -> Playback:
        """With a title card first for so long."""
        times = (Fraction(0), *(time + seconds for time in self.info.times))
        info = dataclasses.replace(self.info, frames=len(times), timestamps=times, end=self._end(seconds))
        return Playback(info, (TITLE, *self.order), self.delay + seconds)

    def _end(self, later: Fraction) -> Fraction | None:
        """`info.end` so many seconds later."""
        return None if self.info.end is None else self.info.end + later


def as_painted(info: ClipInfo, order: Sequence[int]) -> Playback:
    """The playback of a source, before editing."""
    return Playback(info, tuple(order))

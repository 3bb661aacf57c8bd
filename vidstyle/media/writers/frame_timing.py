"""Frame timing: the times at which the frames of an animation are shown, in ticks of its format, and their check."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

from PIL import Image

from vidstyle.errors import EncodingError
from vidstyle.media.writers import readback
from vidstyle.types import ClipInfo

TOLERANCE = Fraction(2, 1000)  # s; Pillow rounds to milliseconds


class FrameTiming:
    """When the frames of an animation are shown.

    Attributes:
        unit: seconds of a tick.
        starts: by the number of each frame that is kept, the tick it is shown from.
        total: the tick at which the last one ends.
    """

    def __init__(self, info: ClipInfo, unit: Fraction, shortest: Fraction) -> None:
        self.unit, least = unit, math.ceil(shortest / unit)
        self.starts: dict[int, int] = {}
        last = -least
        for number, time in enumerate(info.times):
            tick = round(time / unit)
            if tick - last >= least:
                self.starts[number] = last = tick
        self.total = max(round(info.seconds / unit), last + least)

    @property
    def seconds(self) -> Fraction:
        """Length of the animation."""
        return self.total * self.unit

    @property
    def bounds(self) -> list[int]:
        """The ticks at which the kept frames start, and the end."""
        return [*self.starts.values(), self.total]

    @property
    def times(self) -> list[Fraction]:
        """The same in seconds."""
        return [tick * self.unit for tick in self.bounds]


def verify(part: Path, size: tuple[int, int], times: list[Fraction], *, merges: bool = False) -> None:
    """Let Pillow decode an animation that was just written, and compare it with what it should hold.

    Args:
        size: width and height.
        times: seconds at which the frames start, and the end.
        merges: a frame may have become part of the one before, which it resembles.

    Raises:
        EncodingError: it cannot be decoded, or holds something else.
    """
    found, now = [], 0.0
    try:
        with Image.open(part) as image:
            got, count = image.size, getattr(image, "n_frames", 1)
            for number in range(count):
                image.seek(number)
                image.load()
                now = image.info.get("timestamp", now)  # in ms; a PNG says only how long each frame is shown
                found.append(now)
                now += image.info.get("duration", 0)
    except (OSError, SyntaxError, ValueError) as error:
        raise EncodingError(f"the encoded file cannot be read back ({error})") from error
    shown, end = [Fraction(start) / 1000 for start in found], Fraction(now) / 1000
    if merges:
        times = [*(min(times[:-1], key=lambda time: abs(time - start)) for start in shown), times[-1]]
    if len(shown) == 1:
        end = times[-1]  # a still has no time
    readback.compare((got, [*shown, end]), (size, times), TOLERANCE)

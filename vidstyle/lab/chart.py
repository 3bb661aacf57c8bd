"""Line charts over time, drawn with block characters for a terminal."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

ROWS = 6
NARROWEST = 24
EIGHTHS = " ▁▂▃▄▅▆▇█"


def drawn(
    curves: Mapping[str, Sequence[float]], times: Sequence[Fraction], width: int = 72, top: float | None = None
) -> Iterator[str]:
    """The lines of a picture of each curve that changes, over the seconds in `times`; of each other one, its value.

    Args:
        curves: numbers from 0 up, one for each of `times`.
        width: letters in a line; it takes NARROWEST.
        top: of the scale of all; each has its own if None.
    """
    width = max(width, NARROWEST)
    for name, curve in curves.items():
        if min(curve) == max(curve):
            yield f"{name}: {curve[0]:.4g} all the time"
    for name, curve in curves.items():
        if min(curve) < max(curve):
            yield from _area(name, curve, times, width, top)


def _area(name: str, curve: Sequence[float], times: Sequence[Fraction], width: int, top: float | None) -> Iterator[str]:
    top = top or (max(1.0, *curve) if max(curve) > 0.1 else max(curve))
    margin = max(len(f"{top:.4g}"), 3)
    columns = width - margin - 2
    heights = [round(curve[index] / top * ROWS * 8) for index in _frames(times, columns)]
    yield ""
    yield f"{name}: {_range(curve)}"
    for row in reversed(range(ROWS)):
        mark = f"{top:.4g}" if row == ROWS - 1 else "0" if row == 0 else ""
        bars = "".join(EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in heights)
        yield f"{mark:>{margin}} │{bars}".rstrip()
    start, middle, end = "0 s", f"{float(times[-1] / 2):.4g} s", f"{float(times[-1]):.4g} s"
    yield f"{'':{margin}} └{'─' * columns}"
    yield f"{'':{margin}}  {start}{middle:^{columns - len(start) - len(end)}}{end}"


def _frames(times: Sequence[Fraction], columns: int) -> list[int]:
    """The frame that is shown at the time of each column."""
    return [bisect_right(times, times[-1] * column / (columns - 1)) - 1 for column in range(columns)]


def _range(curve: Sequence[float]) -> str:
    """Where it begins and ends, and how far it goes."""
    return f"{curve[0]:.4g} at the start, {curve[-1]:.4g} at the end, between {min(curve):.4g} and {max(curve):.4g}"

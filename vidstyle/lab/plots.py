"""Plots of numbers over time: with block characters for a terminal, as SVG for a page; and error maps as pictures."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape

import numpy as np

from vidstyle.system.opencv import cv2

ROWS, NARROWEST = 6, 24  # lines of a plot in a terminal; characters
EIGHTHS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 440, 220  # units of an SVG: about pixels, on a phone and on a large screen
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 26  # margins
TICKS = 4  # about as many
UNSEEN = 128  # grey of pixels that do not count
PEAK = 99.5  # per cent of the pixels whose error is below the brightest colour


def text_plots(
    curves: Mapping[str, Sequence[float]], times: Sequence[Fraction], width: int = 72, top: float | None = None
) -> Iterator[str]:
    """The lines of a plot of each curve that changes, over the seconds in `times`; of each other one, its value.

    Args:
        curves: numbers from 0 up, one for each of `times`.
        width: characters in a line, `NARROWEST` at the least.
        top: of the scale of all; each has its own if None.
    """
    for name, curve in curves.items():
        if min(curve) == max(curve):
            yield f"{name}: {curve[0]:.4g} all the time"
    for name, curve in curves.items():
        if min(curve) < max(curve):
            highest = top or (max(1.0, *curve) if max(curve) > 0.1 else max(curve))
            yield from _text_plot(name, curve, times, max(width, NARROWEST), highest)


def _text_plot(name: str, curve: Sequence[float], times: Sequence[Fraction], width: int, top: float) -> Iterator[str]:
    margin = max(len(f"{top:.4g}"), 3)
    columns = width - margin - 2
    frames = [bisect_right(times, times[-1] * column / (columns - 1)) - 1 for column in range(columns)]
    heights = [round(curve[frame] / top * ROWS * 8) for frame in frames]
    ends = f"{curve[0]:.4g} at the start, {curve[-1]:.4g} at the end"
    yield from ("", f"{name}: {ends}, between {min(curve):.4g} and {max(curve):.4g}")
    for row in reversed(range(ROWS)):
        mark = f"{top:.4g}" if row == ROWS - 1 else "0" if row == 0 else ""
        blocks = "".join(EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in heights)
        yield f"{mark:>{margin}} │{blocks}".rstrip()
    start, middle, end = "0 s", f"{float(times[-1] / 2):.4g} s", f"{float(times[-1]):.4g} s"
    yield f"{'':{margin}} └{'─' * columns}"
    yield f"{'':{margin}}  {start}{middle:^{columns - len(start) - len(end)}}{end}"


@dataclass(frozen=True)
class Line:
    """A number over time; nan is a gap."""

    name: str
    kind: str  #: its class, to which the page gives a colour
    values: Sequence[float]


def line_plot(
    lines: Sequence[Line], seconds: Sequence[float], *, alt: str, breaks: Collection[int] = (), floor: float | None = 0
) -> str:
    """An SVG element for a page.

    Args:
        seconds: of each value.
        alt: what there is to see, in words.
        breaks: numbers of the values before which there is a cut.
        floor: a number that the vertical axis shows in any case; None for what the lines need.
    """
    seen = [value for line in lines for value in line.values if math.isfinite(value)]
    seen += [floor] if floor is not None else [] if seen else [0.0]
    low, high, end = min(seen), max(seen), max(seconds[-1], 1e-6)
    room = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - room * (low < 0), high + room

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / end

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(alt)}">']
    for tick, words in ticks(low, high):
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y(tick) + 4:.1f}" text-anchor="end">{words}</text>')
    for tick, words in ticks(0, end):
        anchor = "end" if x(tick) > WIDTH - 24 else "middle"
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{words} s</text>')
    parts += [f'<path class="cut" d="M{x(seconds[cut]):.1f} {TOP}V{HEIGHT - BOTTOM}"/>' for cut in sorted(breaks)]
    for line in lines:
        points = [(x(at), y(value)) for at, value in zip(seconds, line.values, strict=True)]
        parts.append(f'<path class="line {line.kind}" d="{_path(points, breaks)}"/>')
    return "".join((*parts, "</svg>"))


def ticks(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Round numbers from `low` to `high`, and how they are written."""
    rough = (high - low) / TICKS
    power: float = 10 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / rough)))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    form = ".0e" if decimals > 6 else f".{decimals}f"
    for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield number * step, f"{number * step:{form}}"


def _path(points: Sequence[tuple[float, float]], breaks: Collection[int]) -> str:
    """Straight lines through points, broken at gaps; a lone point becomes a dot by the round ends of its stroke.

    Of each unit of width the highest and the lowest point are kept: a long clip looks the same and stays small.
    """
    runs: list[list[tuple[float, float]]] = [[]]
    for number, point in enumerate(points):
        if number in breaks or math.isnan(point[1]):
            runs.append([])
        if not math.isnan(point[1]):
            runs[-1].append(point)
    words = []
    for run in filter(None, runs):
        kept: list[tuple[float, float]] = []
        for _, group in itertools.groupby(run, key=lambda point: int(point[0])):
            near = list(group)
            extremes = {pick(near, key=lambda point: point[1]) for pick in (min, max)}
            kept += [point for point in near if point in extremes]
        (x, y), *others = kept
        words.append(f"M{x:.1f} {y:.1f}h0" + "".join(f"L{x:.1f} {y:.1f}" for x, y in others))
    return "".join(words)


def heat(squares: np.ndarray) -> tuple[np.ndarray, float]:
    """An error map as a picture.

    Args:
        squares: (H, W) squared differences, nan where none counts.

    Returns:
        (H, W, 3) uint8: its root from black over red to yellow, grey where none counts; and the root that the brightest
        colour stands for.
    """
    root = np.sqrt(squares)
    top = max(float(np.nanpercentile(root, PEAK)), 1e-6)
    level = (255 * np.nan_to_num(root / top).clip(0, 1)).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    coloured[np.isnan(squares)] = UNSEEN
    return coloured, top

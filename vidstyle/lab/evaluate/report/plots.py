"""Line plots over time as SVG, and error maps as colours. The page gives colours to the classes of lines."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from vidstyle.system.opencv import cv2

WIDTH, HEIGHT = 440, 220  # units: about pixels, on a phone and on a large screen
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 26  # margins
TICKS = 4  # about as many
UNSEEN = 128  # grey of places that do not count
PEAK = 99.5  # per cent of the places whose error is below the brightest colour


@dataclass(frozen=True)
class Line:
    """A number over time; nan is a gap."""

    name: str
    kind: str  #: its class
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
    low, high = _limits([*seen, *([] if floor is None else [floor])] or [0.0])
    end = max(seconds[-1], 1e-6)

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
    step = _step(high - low)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    form = ".0e" if decimals > 6 else f".{decimals}f"
    for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield number * step, f"{number * step:{form}}"


def heat(squares: np.ndarray) -> tuple[np.ndarray, float]:
    """An error as a picture.

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


def _path(points: Sequence[tuple[float, float]], breaks: Collection[int]) -> str:
    """Straight lines through points, broken at gaps; a lone point becomes a dot by the round ends of its stroke."""
    words = []
    for run in _runs(points, breaks):
        (x, y), *others = _thinned(run)
        words.append(f"M{x:.1f} {y:.1f}h0" + "".join(f"L{x:.1f} {y:.1f}" for x, y in others))
    return "".join(words)


def _runs(points: Sequence[tuple[float, float]], breaks: Collection[int]) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for number, point in enumerate(points):
        if run and (number in breaks or math.isnan(point[1])):
            yield run
            run = []
        if not math.isnan(point[1]):
            run.append(point)
    if run:
        yield run


def _thinned(run: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The highest and the lowest point of each unit of width: a long clip looks the same and stays small."""
    for _, group in itertools.groupby(run, key=lambda point: int(point[0])):
        near = list(group)
        extremes = {pick(near, key=lambda point: point[1]) for pick in (min, max)}
        yield from (point for point in near if point in extremes)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room * (low < 0), high + room


def _step(span: float) -> float:
    rough = span / TICKS
    power: float = 10 ** math.floor(math.log10(rough))
    return min((factor * power for factor in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / rough)))

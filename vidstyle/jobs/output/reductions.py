"""Reductions that make an output smaller (width, rate, palette, quality), and the search for the least visible one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from vidstyle.media.writers.base import Encoding
from vidstyle.types import ClipInfo

LEAST_WIDTH = 120
LEAST_RATE, PLAINEST = (8, 6), (1.0, 4 / 3)  # that still look well; of last resort
LEAST_COLORS, STILLEST = 32, 0.04  # of a palette that is as plain as still looks well
PALETTES = 5  # that are tried at each rate, besides the full one
NARROWER, PLAINER = 1 / 16, 1 / 64  # to which a reduction is found; at first a quarter step of the width does
COARSELY = 4


@dataclass(frozen=True)
class Reduction:
    """How far each property of an output is reduced; 0 is not at all."""

    narrower: float = 0  #: steps of 10 % of the width
    slower: int = 0  #: after n frames that are left out one is shown
    plainer: float = 0  #: of a GIF, fewer colours, less dithering, small changes left out: 1 still looks well
    coarser: int = 0  #: steps of crf

    def size(self, info: ClipInfo) -> tuple[int, int]:
        """Width and height of what is shown of these frames."""
        width = max(round(info.width * math.pow(0.9, self.narrower)), min(LEAST_WIDTH, info.width))
        return width, max(round(info.height * width / info.width), 1)

    def encoding(self, full: Encoding) -> Encoding:
        """How they are encoded."""
        return dataclasses.replace(
            full,
            crf=full.crf + self.coarser,
            colors=round(full.colors * math.pow(LEAST_COLORS / Encoding.colors, self.plainer)),
            dither=full.dither * max(1 - self.plainer, 0),
            still=full.still + STILLEST * self.plainer,
        )

    def in_words(self, info: ClipInfo, full: Encoding) -> Iterator[str]:
        """It in words, one text for each property."""
        width, less, rate = self.size(info)[0], self.encoding(full), float(info.fps)
        if width < info.width:
            yield f"{info.width} -> {width} px wide"
        if self.coarser:
            yield f"crf {full.crf} -> {less.crf}"
        if self.slower:
            yield f"{rate:.3g} -> {rate / (1 + self.slower):.3g} frames a second"
        if less.colors < full.colors:
            yield f"{full.colors} -> {less.colors} colours"
        if less.dither < full.dither:
            yield f"{full.dither:.0%} -> {less.dither:.0%} dithering" if less.dither else "dithering"
        if less.still > full.still:
            yield f"changes of less than {less.still:.1%} of lightness"


@dataclass(frozen=True)
class Trial:
    """The size and the error of a reduction."""

    size: float  #: bytes, as far as that can be told
    error: float  #: from the frames without reduction, as `trials` measures it


Measure = Callable[[Reduction], Trial]


def largest(info: ClipInfo) -> list[Reduction]:
    """The largest reductions of a GIF: acceptable ones, and those of last resort."""
    narrower = math.log(min(LEAST_WIDTH / info.width, 1)) / math.log(0.9)
    pairs = zip(LEAST_RATE, PLAINEST, strict=True)
    return [Reduction(narrower, max(int(info.fps / rate), 1) - 1, plainer) for rate, plainer in pairs]


def search(measure: Measure, most: Reduction, limit: float) -> Reduction | None:
    """The least visible reduction of at most `limit` bytes and no property beyond `most`; None if there is none.

    At each rate and with each of some palettes the widest picture that fits is found by bisection. Of these the one
    with the least error counts, with as much taken back as the limit leaves room for.

    Args:
        measure: asked again and again; it should remember what it has measured. Sizes fall as more is given up.
    """

    def reduced(reduction: Reduction, name: str, low: float, step: float) -> Reduction:
        """As little of one property given up as fits, at least `low`; what it gives up now does fit."""
        high = getattr(reduction, name)

        def at(number: int) -> Reduction:
            change: dict[str, Any] = {name: min(low + number * step, high)}
            return dataclasses.replace(reduction, **change)

        return at(bisect(lambda number: measure(at(number)).size <= limit, math.ceil((high - low) / step)))

    best, step = None, most.plainer / PALETTES  # type: Reduction | None, float
    for slower, palette in product(range(most.slower + 1), range(PALETTES + 1)):
        widest = Reduction(slower=slower, plainer=palette * step)
        narrowest = dataclasses.replace(widest, narrower=most.narrower)
        if (best is not None and measure(widest).error >= measure(best).error) or measure(narrowest).size > limit:
            continue
        found = reduced(narrowest, "narrower", 0, NARROWER * COARSELY)
        if best is None or measure(found).error < measure(best).error:
            best = found
    if best is None:
        return None
    best = reduced(best, "narrower", max(best.narrower - NARROWER * COARSELY, 0), NARROWER)
    return reduced(best, "plainer", max(best.plainer - step, 0), PLAINER)


def bisect(fits: Callable[[int], bool], high: int) -> int:
    """The least number from 0 to `high` that fits, which `high` is known to do, and those above the least do."""
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high

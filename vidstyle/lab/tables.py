"""Tables of figures, printed in a terminal, as Markdown or in a page; and how numbers are written in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.bar import Bar
from rich.console import RenderableType
from rich.table import Table

BAR = 20  # characters
COMPACT, VGG19, PAINTER = "compact", "vgg19", "painter"  # networks that judge; the last one is that of the job
JUDGES = {COMPACT: "the compact network", VGG19: "VGG-19"}


@dataclass(frozen=True)
class Grid:
    """A table whose first column says what a row is; the others are numbers, or text if their name begins with <."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Bar]]
    caption: str = ""

    def shown(self) -> Table:
        """The table for a terminal: text is wrapped, or else the first column."""
        table = Table(title=self.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
        table.caption, table.caption_justify = self.caption or None, "left"
        texts = {place for place, column in enumerate(self.columns) if column.startswith("<")}
        for place, column in enumerate(self.columns):
            side = "left" if place in {0, *texts} else "right"
            table.add_column(column.removeprefix("<"), justify=side, no_wrap=place not in (texts or {0}))  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> Iterator[str]:
        """The lines of a table in Markdown, and the caption."""
        for row in (self.columns, ["---"] * len(self.columns), *self.rows):
            yield f"| {' | '.join(map(str, row))} |"
        if self.caption:
            yield ""
            yield self.caption


def spaced(parts: Iterable[Grid | str]) -> Iterator[RenderableType]:
    """Tables for a terminal, and lines, with an empty line before each table."""
    for part in parts:
        if isinstance(part, Grid):
            yield ""
        yield part.shown() if isinstance(part, Grid) else part


def bars(values: Sequence[float], *, logarithmic: bool = False) -> list[Bar]:
    """A bar for each positive value, from zero; logarithmic: an equal ratio is an equal length."""
    if not logarithmic:
        return [Bar(max(values), 0, value, width=BAR) for value in values]
    low, high = math.log(min(values) / 2), math.log(max(values))
    return [Bar(high - low, 0, math.log(value) - low, width=BAR) for value in values]


def number(value: float) -> str:
    """Three digits, like 0.00123, 0.105, 12.3; a dash if there is no number."""
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.1e}" if digits > 7 else f"{value:.{max(digits, 0)}f}"


def share(value: float) -> str:
    """In per cent."""
    return "–" if math.isnan(value) else f"{value:.0%}"


def signed(value: float) -> str:
    """With one decimal and its sign."""
    return "–" if math.isnan(value) else f"{round(value, 1) + 0:+.1f}"  # no minus before a zero


def counted(count: int, noun: str) -> str:
    """Like 1 pair, 2 pairs."""
    return f"{count} {noun}{'s' * (count != 1)}"


def duration(seconds: float) -> str:
    """Like 1.23 ms, 170 ms, 2.31 s, 35.2 s, 12.3 min."""
    if seconds < 1:
        return f"{_three(seconds * 1e3)} ms"
    return f"{_three(seconds)} s" if seconds < 600 else f"{seconds / 60:.1f} min"


def memory(size: int | None) -> str:
    """Bytes, like 1.25 GB."""
    return "unknown" if size is None else f"{si(size)}B"


def si(value: float) -> str:
    """Three digits and a prefix: 172 G, 1.25 M."""
    power = min(max(int(math.log10(max(value, 1)) // 3), 0), 4)
    return f"{_three(value / 1000**power)} {' kMGT'[power].strip()}"


def _three(value: float) -> str:
    """Three digits, none of them as a power of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

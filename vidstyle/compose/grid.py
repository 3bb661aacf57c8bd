"""Contact sheets: pictures in a table with headings, or as cards with a line of text below each.

Letters are as large as it takes to read them where the sheet is shown 800 pixels wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vidstyle.compose.layouts import GROUND, INK
from vidstyle.compose.lettering import ELLIPSIS, LINE_HEIGHT, draw, legible, width_of
from vidstyle.errors import UsageError
from vidstyle.media.stills.decoders import MAX_PIXELS
from vidstyle.media.stills.pictures import resize

READABLE, SHOWN = 14, 800  # pixels of the letters where a sheet is shown so wide
SMALL, SMALLEST = 13, 9  # pixels of the letters of a small sheet, and where there is no room for these
SHAPE = 1.4  # width by height that cards are to make

Size = tuple[int, int]  # height, width


@dataclass(frozen=True, eq=False)
class Head:
    """The heading of a row or a column."""

    name: str = ""  #: shortened where there is no room for all of it
    facts: tuple[str, ...] = ()  #: lines below it, never shortened
    picture: np.ndarray | None = None  #: (H, W, 3) uint8, shown above them, as large as there is room

    def height(self, letters: int) -> int:
        """Pixels that the lines take, in letters of a size."""
        return _line(letters) * (bool(self.name) + len(self.facts))

    def drawn(self, room: Size, letters: int) -> np.ndarray:
        """The picture in the room that its lines leave, and these below it."""
        lines = [*([shortened(self.name, room[1], letters)] if self.name else []), *self.facts]
        picture = np.zeros((0, 0, 3), np.uint8)
        if self.picture is not None:
            height, width = self.picture.shape[:2]
            factor = min((room[0] - self.height(letters)) / height, room[1] / width)
            picture = resize(self.picture, max(round(width * factor), 1), max(round(height * factor), 1))
        height, width = picture.shape[:2]
        sheet = _blank(height + self.height(letters), max([width, *(width_of(line, letters) for line in lines)]))
        sheet[:height, :width] = picture
        for number, line in enumerate(lines):
            draw(sheet, line, 0, height + letters + number * _line(letters), letters, INK)
        return sheet


class Table:
    """Cells in rows and columns, each with a head.

    Args:
        cell: height and width of every cell.
        rows, columns: their heads.

    Raises:
        UsageError: the sheet would be too large, or this Pillow cannot draw letters.
    """

    def __init__(self, cell: Size, rows: Sequence[Head], columns: Sequence[Head]) -> None:
        height, width = cell

        def fits(letters: int) -> bool:
            beside = all(head.height(letters) <= height * (1 if head.picture is None else 0.4) for head in rows)
            return beside and all(width_of(fact, letters) <= width for head in columns for fact in head.facts)

        gap = _gap(cell)
        letters = _letters((width + gap) * (len(columns) + 1), fits)
        self.beside = [head.drawn(cell, letters) for head in rows]
        self.rises = [letters // 4 if head.picture is None else 0 for head in rows]  # the first line to the cell's edge
        self.above = [head.drawn((height + head.height(letters), width), letters) for head in columns]
        left = max(block.shape[1] for block in self.beside) + 2 * gap
        top = max(block.shape[0] for block in self.above) + gap
        # Where not even the smallest letters fit, there is more room than the cells need.
        wide = max([width, *(block.shape[1] for block in self.above)])
        high = max([height, *(block.shape[0] for block in self.beside)])
        self.grid = _Grid((high, wide), len(rows), len(columns), gap, left, top)

    @property
    def size(self) -> Size:
        """Height and width of the sheet."""
        return self.grid.size

    def drawn(self, cells: Iterable[np.ndarray]) -> np.ndarray:
        """The sheet, (H, W, 3) uint8; `cells` row by row, (H, W, 3) uint8 each."""
        grid = self.grid
        sheet = grid.drawn(cells)
        for row, (block, rise) in enumerate(zip(self.beside, self.rises, strict=True)):
            _put(sheet, block, grid.corner_of(row, 0)[0] - rise, grid.gap)
        for column, block in enumerate(self.above):
            _put(sheet, block, grid.top - block.shape[0], grid.corner_of(0, column)[1])
        return sheet


def cards(pictures: Sequence[np.ndarray], words: Sequence[str]) -> np.ndarray:
    """Pictures of one size, (H, W, 3) uint8 each, with a line below each, in so many columns that they look well.

    Raises `UsageError` if the sheet would be too large or this Pillow cannot draw letters.
    """
    height, width = pictures[0].shape[:2]
    gap, count = _gap((height, width)), len(pictures)

    def badness(columns: int) -> float:
        return abs(math.log(columns * width / (math.ceil(count / columns) * height * 1.2) / SHAPE))

    columns = min(range(1, count + 1), key=badness)
    letters = _letters(columns * (width + gap), lambda size: all(width_of(line, size) <= width for line in words))
    room = height + Head("a").height(letters), width
    blocks = [Head(line, picture=picture).drawn(room, letters) for picture, line in zip(pictures, words, strict=True)]
    cell = room[0], max(block.shape[1] for block in blocks)
    return _Grid(cell, math.ceil(count / columns), columns, gap, gap, gap).drawn(blocks)


def side_by_side(pictures: Sequence[np.ndarray], places: int) -> np.ndarray:
    """A strip of pictures of one size, (H, W, 3) uint8 each, with room for so many."""
    height, width = pictures[0].shape[:2]
    grid = _Grid((height, width), 1, places, _gap((height, width)) // 4, 0, 0)
    return grid.drawn(pictures)[:height, : places * (width + grid.gap) - grid.gap]


def shortened(text: str, width: int, letters: int) -> str:
    """`text` in letters that there are, with an ellipsis in its middle if it is longer than `width` pixels."""
    text = shown = legible(text)
    kept = len(text)
    while kept and width_of(shown, letters) > width:
        kept -= 1
        shown = text[: (kept + 1) // 2] + ELLIPSIS + text[len(text) - kept // 2 :]
    return shown


@dataclass(frozen=True)
class _Grid:
    """The positions of cells."""

    cell: Size
    rows: int
    columns: int
    gap: int  #: pixels between cells, and right of and below the last ones
    left: int  #: pixels before the first column
    top: int  #: pixels above the first row

    def __post_init__(self) -> None:
        height, width = self.size
        if height * width > MAX_PIXELS:
            raise UsageError(
                f"the sheet would have {width}x{height} pixels, and at most 100 megapixels can be read again; "
                "give a smaller --size, or less to show"
            )

    @property
    def size(self) -> Size:
        return self.corner_of(self.rows, self.columns)

    def corner_of(self, row: int, column: int) -> tuple[int, int]:
        """Top and left of a cell."""
        return self.top + row * (self.cell[0] + self.gap), self.left + column * (self.cell[1] + self.gap)

    def drawn(self, cells: Iterable[np.ndarray]) -> np.ndarray:
        sheet = _blank(*self.size)
        for number, cell in enumerate(cells):
            _put(sheet, cell, *self.corner_of(*divmod(number, self.columns)))
        return sheet


def _line(letters: int) -> int:
    return math.ceil(letters * LINE_HEIGHT)


def _gap(cell: Size) -> int:
    return max(round(math.sqrt(cell[0] * cell[1]) / 22), 4)


def _letters(width: int, fits: Callable[[int], bool]) -> int:
    """The size of letters that are read on a sheet of about this width; smaller ones where those do not fit."""
    wanted = max(round(width * READABLE / SHOWN), SMALL)
    return next((size for size in range(wanted, SMALLEST, -1) if fits(size)), SMALLEST)


def _blank(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), GROUND, np.uint8)


def _put(sheet: np.ndarray, picture: np.ndarray, y: int, x: int) -> None:
    sheet[y : y + picture.shape[0], x : x + picture.shape[1]] = picture

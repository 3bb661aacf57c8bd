"""Layouts: the painting beside its content and styles, or under a wipe. Pure functions.

The ground between the panels, and under them, is a grey that stands out from white and from dark pages, by 3:1 or more.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vidstyle.compose.lettering import Color
from vidstyle.errors import UsageError
from vidstyle.media.stills.pictures import MIN_SIDE, resize
from vidstyle.settings import Layout

GROUND: Color = (104, 105, 108)
INK: Color = (255, 255, 255)
ROUND_SECONDS = 8  # of a wipe there and back, about


@dataclass(frozen=True)
class Box:
    """A box in a picture, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


@dataclass(frozen=True)
class Panels:
    """The boxes of a layout."""

    width: int  #: of all of them
    height: int
    pastiche: Box
    content: Box | None = None  #: the same box as `pastiche` in a wipe
    styles: tuple[Box, ...] = ()


def arranged(layout: Layout, size: tuple[int, int], aspects: Sequence[float], width: int | None) -> Panels:
    """The panels of a layout.

    Args:
        size: width and height of the painting.
        aspects: width / height of each style.
        width: of all panels; as wide as they are with the painting at its own size if None.

    Raises:
        UsageError: `width` is larger than that, or too small.
    """
    shape = (layout, size, aspects)
    own = _panels(*shape, size[0])
    if width is None or width == own.width:
        return own
    if width > own.width:
        what = "" if layout in ("plain", "wipe") else f" with a painting of {size[0]}, the {layout}"
        raise UsageError(f"--width is {width}, but {own.width} pixels are painted{what}; paint larger with --size")
    narrow, wide = 1, size[0]
    while wide - narrow > 1:  # the widest painting that leaves the others their room
        middle = (narrow + wide) // 2
        narrow, wide = (middle, wide) if _panels(*shape, middle).width <= width else (narrow, middle)
    found = _widened(_panels(*shape, narrow), width)
    if min(found.pastiche.size) < MIN_SIDE:
        raise UsageError(
            f"--width {width} leaves the painting {found.pastiche.width}x{found.pastiche.height} pixels; each side "
            f"takes {MIN_SIDE}"
        )
    return found


def gutter(width: int) -> int:
    """The space between panels, so many pixels wide."""
    return max(2, round(width / 64))


def _panels(layout: Layout, size: tuple[int, int], aspects: Sequence[float], width: int) -> Panels:
    """The panels when the painting is `width` pixels wide."""
    height, space = max(round(size[1] * width / size[0]), 1), gutter(width)
    first, second = Box(0, 0, width, height), Box(width + space, 0, width, height)
    if layout == "plain":
        return Panels(width, height, first)
    if layout == "wipe":
        return Panels(width, height, first, first)
    if layout == "pair":
        return Panels(second.x + width, height, second, first)
    third = second.x + width + space
    styles = tuple(dataclasses.replace(box, x=box.x + third) for box in mosaic(aspects, height, width, space))
    return Panels(max(box.x + box.width for box in styles), height, second, first, styles)


def _widened(panels: Panels, width: int) -> Panels:
    """With the few pixels that are left over: in the last panel's width, of two panels in their gutter."""
    more = width - panels.width
    if panels.styles:
        edge = panels.width
        styles = (
            dataclasses.replace(box, width=box.width + more * (box.x + box.width == edge)) for box in panels.styles
        )
        return dataclasses.replace(panels, width=width, styles=tuple(styles))
    if panels.content != panels.pastiche and panels.content is not None:
        right = dataclasses.replace(panels.pastiche, x=panels.pastiche.x + more)
        return dataclasses.replace(panels, width=width, pastiche=right)
    return panels


def mosaic(aspects: Sequence[float], height: int, widest: int, space: int) -> list[Box]:
    """Places for pictures of these shapes (width / height), in columns that are all `height` pixels high.

    The number of columns is the one that makes the pictures largest without all being wider than `widest`. Where even
    one column would be, the pictures stand in its middle.
    """
    best: list[Box] = []
    for count in range(1, len(aspects) + 1):
        boxes = _columns([part.tolist() for part in np.array_split(np.asarray(aspects, float), count)], height, space)
        edge = max(box.x + box.width for box in boxes)
        if edge <= widest and (not best or edge > max(box.x + box.width for box in best)):
            best = boxes
    if best:
        return best
    inner = widest * sum(1 / aspect for aspect in aspects) + space * (len(aspects) - 1)
    low = _columns([list(aspects)], max(round(inner), 1), space)
    top = (height - round(inner)) // 2
    return [dataclasses.replace(box, y=box.y + top, width=widest) for box in low]


def _columns(columns: Sequence[Sequence[float]], height: int, space: int) -> list[Box]:
    boxes, left = [], 0
    for column in columns:
        free = max(height - space * (len(column) - 1), len(column))
        width = free / sum(1 / aspect for aspect in column)
        edges = [round(sum(width / aspect for aspect in column[:number])) for number in range(len(column) + 1)]
        for number, (top, end) in enumerate(pairwise(edges)):
            boxes.append(Box(left, top + space * number, max(round(width), 1), max(end - top, 1)))
        left += max(round(width), 1) + space
    return boxes


def covering(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """`picture` (H, W, 3) so large that it fills a box of that size, its middle; not distorted."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    own_width, own_height = max(round(picture.shape[1] * scale), width), max(round(picture.shape[0] * scale), height)
    large = resize(picture, own_width, own_height)
    top, left = (own_height - height) // 2, (own_width - width) // 2
    return large[top : top + height, left : left + width]


def paste(canvas: np.ndarray, picture: np.ndarray, box: Box) -> None:
    """Put a picture into a box of its own shape."""
    canvas[box.y :, box.x :][: box.height, : box.width] = resize(picture, *box.size)


def line_at(share: float, seconds: float) -> float:
    """Where the line of a wipe stands: 0 = left, all painting; 1 = right, all content.

    It begins in the middle, and goes there and back in about `ROUND_SECONDS`, so that the end leads to the beginning.

    Args:
        share: how much of the clip has been shown, 0 to 1.
        seconds: its length.
    """
    rounds = max(1, round(seconds / ROUND_SECONDS))
    return 0.5 - 0.5 * math.sin(2 * math.pi * rounds * share)


def wiped(content: np.ndarray, pastiche: np.ndarray, position: float) -> np.ndarray:
    """The content left of a line and the pastiche right of it; at 0 and 1 the line is just out of the picture."""
    width = content.shape[1]
    half = max(1.0, width / 400)  # of the line
    reach = half + 1
    x = position * (width + 2 * reach) - reach
    columns = np.arange(width) + 0.5
    left = np.clip(x - columns + 0.5, 0, 1)[:, None]
    distance = np.abs(columns - x)[:, None]
    shown = np.where(columns[:, None] < x, content, pastiche)
    near = distance[:, 0] < reach + 1
    mixed = content[:, near] * left[near] + pastiche[:, near] * (1 - left[near])
    for color, extent in ((GROUND, reach), (INK, half)):
        ink = np.clip(extent + 0.5 - distance[near], 0, 1)
        mixed += ink * (np.asarray((*color, 255)[: mixed.shape[2]], np.float32) - mixed)
    shown[:, near] = np.rint(mixed)
    return shown

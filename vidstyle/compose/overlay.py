"""Overlays: the bar under a picture with a gauge of alpha and a caption, and the title card before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from vidstyle.compose.layouts import GROUND, INK, Box, covering, gutter, paste
from vidstyle.compose.lettering import LINE_HEIGHT, Color, draw, require_letters, spelled, width_of, wrap
from vidstyle.errors import UsageError

NARROWEST = 160  # pixels in which a line of text can be read
CAPTION_LINES, TITLE_LINES = 4, 3
TITLE_SIZE = 14  # pixels, at least
SMALLEST = 32  # pixels, of a picture on a title card
TRACK: Color = (200, 201, 203)  # of the gauge; 3:1 on the ground
ENDS = ("content", "style")


@dataclass(frozen=True)
class Gauge:
    """A bar between "content" and "style" on which a marker says where alpha is."""

    left: int
    right: int
    y: int  #: of its middle
    radius: float  #: of the marker

    def mark(self, pixels: np.ndarray, alpha: float) -> None:
        """Draw the marker."""
        x = self.left + (self.right - self.left) * (1 - alpha)
        for radius, color in ((self.radius * 1.5, GROUND), (self.radius, INK)):
            capsule(pixels, x, x, self.y, radius, color)


@dataclass(frozen=True, eq=False)
class Overlay:
    """The bar under a picture."""

    pixels: np.ndarray  #: (H, W, 3) uint8
    gauge: Gauge | None

    def at(self, alpha: float) -> np.ndarray:
        """Its pixels at this alpha."""
        if self.gauge is None:
            return self.pixels
        shown = self.pixels.copy()
        self.gauge.mark(shown, alpha)
        return shown


def make_overlay(width: int, *, gauge: bool, caption: str | None, font: str | None) -> Overlay:
    """The overlay under a picture; of no height if nothing is in it.

    Raises:
        UsageError: the picture is too narrow or the caption too long to be read, or the font lacks a letter of it.
    """
    if not gauge and caption is None:
        return Overlay(np.zeros((0, width, 3), np.uint8), None)
    _require_width(width, "--gauge" if caption is None else "--caption")
    size = text_size(width)
    margin, step = round(size * 0.9), round(size * LINE_HEIGHT)
    lines = _caption_lines(caption, width - 2 * margin, size, font)
    row = _rise(size) if gauge else 0
    between = size if gauge and lines else 0
    text = step * (len(lines) - 1) + _rise(size) if lines else 0
    pixels = ground(width, margin + row + between + text + margin)
    for number, line in enumerate(lines):
        draw(pixels, line, margin, margin + row + between + _rise(size) + step * number, size, INK, file=font)
    return Overlay(pixels, _bar(pixels, margin, size) if gauge else None)


def _bar(pixels: np.ndarray, margin: int, size: int) -> Gauge:
    """Draw the labels and the track of the gauge along the top; returns where the marker goes."""
    width, baseline, gap = pixels.shape[1], margin + _rise(size), round(size * 0.9)
    draw(pixels, ENDS[0], margin, baseline, size, INK)
    draw(pixels, ENDS[1], width - margin, baseline, size, INK, "right")
    radius = size * 0.38
    left = margin + width_of(ENDS[0], size) + gap + round(radius)
    right = width - margin - width_of(ENDS[1], size) - gap - round(radius)
    gauge = Gauge(left, right, baseline - round(size * 0.26), radius)  # the middle of its small letters
    capsule(pixels, left, right, gauge.y, max(1.0, size * 0.09), TRACK)
    return gauge


def title_card(width: int, height: int, title: str, pictures: Sequence[np.ndarray], font: str | None) -> np.ndarray:
    """A title card: the title, and above it, where there is room, thumbnails of content and styles.

    Raises:
        UsageError: the title is too long to be read, or the font lacks a letter of it.
    """
    _require_width(width, "--title")
    require_letters(title, "--title", font)
    title, margin = spelled(title, font), round(width / 16)
    room = width - 2 * margin, height - 2 * min(margin, round(height / 10))
    for tall in (0.45, 0.3, 0.0):  # the pictures, at most, as a share of the height
        thumbs = _row(pictures, room[0], round(height * tall))
        above = max((box.height for box in thumbs), default=0)
        for size in range(max(round(min(8 + width / 20, height / 6)), TITLE_SIZE), TITLE_SIZE - 1, -1):
            lines = _title_lines(title, room[0], size, font)
            step, between = round(size * LINE_HEIGHT), size if thumbs else 0
            text = step * (len(lines) - 1) + _rise(size)
            if not lines or above + between + text > room[1]:
                continue
            card, top = ground(width, height), (height - above - between - text) // 2
            for picture, box in zip(pictures, thumbs, strict=bool(thumbs)):
                paste(card, covering(picture, *box.size), replace(box, x=box.x + margin, y=top))
            for number, line in enumerate(lines):
                baseline = top + above + between + _rise(size) + step * number
                draw(card, line, width // 2, baseline, size, INK, "center", font)
            return card
    raise UsageError(f"--title is too long for a picture of {width}x{height} pixels; make it shorter")


def text_size(width: int) -> int:
    """Font size of captions, in pixels."""
    return round(8 + width / 72)


def capsule(picture: np.ndarray, left: float, right: float, y: float, radius: float, color: Color) -> None:
    """Draw a bar with round ends, or a disc if they are at the same place, with smooth edges."""
    reach = math.ceil(radius) + 1
    top, start = max(math.floor(y) - reach, 0), max(math.floor(left) - reach, 0)
    near = picture[top : math.ceil(y) + reach, start : math.ceil(right) + reach]
    rows, columns = np.mgrid[: near.shape[0], : near.shape[1]] + 0.5
    distance = np.hypot(columns + start - np.clip(columns + start, left, right), rows + top - y)
    ink = np.clip(radius + 0.5 - distance, 0, 1)[:, :, None]
    near[:] = np.rint(near + ink * (np.asarray(color) - near))


def _row(pictures: Sequence[np.ndarray], width: int, height: int) -> list[Box]:
    """Places for pictures of one height side by side in the middle of a width; none if they would be too small."""
    aspects = [picture.shape[1] / picture.shape[0] for picture in pictures]
    space = gutter(width) + 2
    height = min(height, int((width - space * (len(pictures) - 1)) / sum(aspects)))
    if height < SMALLEST:
        return []
    widths = [round(height * aspect) for aspect in aspects]
    left = (width - sum(widths) - space * (len(pictures) - 1)) // 2
    lefts = accumulate(widths[:-1], lambda x, wide: x + wide + space, initial=left)
    return [Box(x, 0, max(wide, 1), height) for x, wide in zip(lefts, widths, strict=True)]


def _title_lines(title: str, width: int, size: int, font: str | None) -> list[str]:
    """None if they do not fit."""
    lines = wrap(title, width, size, font)
    fit = len(lines) <= TITLE_LINES and all(width_of(line, size, font) <= width for line in lines)
    return lines if fit else []


def _caption_lines(caption: str | None, width: int, size: int, font: str | None) -> list[str]:
    if caption is None:
        return []
    require_letters(caption, "--caption", font)
    lines = wrap(spelled(caption, font), width, size, font)
    if len(lines) > CAPTION_LINES or any(width_of(line, size, font) > width for line in lines):
        raise UsageError(
            f"--caption takes more than {CAPTION_LINES} lines of {width} pixels; make it shorter, or the picture wider"
        )
    return lines


def _rise(size: int) -> int:
    """Height of capital letters, in pixels."""
    return round(size * 0.72)


def ground(width: int, height: int) -> np.ndarray:
    """An empty picture in the colour of the ground."""
    return np.full((height, width, 3), GROUND, np.uint8)


def _require_width(width: int, name: str) -> None:
    if width < NARROWEST:
        raise UsageError(f"{name} cannot be read in a picture of {width} pixels; it takes {NARROWEST}")

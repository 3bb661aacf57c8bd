"""Text in pictures: lines that are wrapped or cut to fit, in the font that comes with Pillow or one from a file.

Pillow's own font, Aileron, knows ASCII and a few signs. For other letters there are font files.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from vidstyle.errors import MediaError, UsageError

Align = Literal["left", "center", "right"]
Color = tuple[int, int, int]  # sRGB
LINE_HEIGHT = 1.35  # distance of baselines in sizes
SIMPLER = {"–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "\u00a0": " ", "×": "x", "•": "·"}
ELLIPSIS = "…"
FINER = 4  # text is drawn so many times larger and averaged: its spacing is even at the smallest size


def available() -> bool:
    """Whether this Pillow can draw text at any size."""
    return bool(features.check("freetype2"))


@functools.lru_cache(maxsize=32)
def face(size: int, file: str | None = None) -> ImageFont.FreeTypeFont:
    """A font at a size in pixels.

    Raises:
        UsageError: Pillow lacks what draws text.
        MediaError: `file` is no font.
    """
    if not available():
        raise UsageError("text in pictures needs a Pillow with FreeType; run pip install --upgrade pillow")
    if file is None:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    with _readable(file):
        return ImageFont.truetype(file, size)


@contextmanager
def _readable(file: str | None) -> Iterator[None]:
    """FreeType finds damage in a font when it is opened, measured or drawn: a `MediaError` in each case."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise MediaError(f"{file} is not a font that can be read ({error}); give a .ttf or .otf file") from error


def require_letters(text: str, name: str, file: str | None = None) -> None:
    """Raise `UsageError` if `text`, which is called `name`, is empty or the font lacks letters of it."""
    if not spelled(text, file):
        raise UsageError(f"{name} is empty; write something, or leave it out")
    lacking = "".join(dict.fromkeys(letter for letter in spelled(text, file) if not _has(letter, file)))
    if lacking:
        font = f"the font in {file}" if file else "the embedded font"
        raise UsageError(f"{font} has no {' '.join(lacking)!r} of {name}; give a font file that has, with --font")


def spelled(text: str, file: str | None = None) -> str:
    """`text` with dashes and the like that the font lacks in their simpler form, and white space as single spaces."""
    words = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(letter if _has(letter, file) else SIMPLER.get(letter, letter) for letter in words)


def legible(text: str, file: str | None = None) -> str:
    """`text` in letters that the font has: without accents, or ? where that does not help either."""
    return "".join(letter if _has(letter, file) else _base(letter, file) for letter in spelled(text, file))


def width_of(text: str, size: int, file: str | None = None) -> int:
    """How many pixels a line takes."""
    with _readable(file):
        return math.ceil(face(size * FINER, file).getlength(text) / FINER)


def wrap(text: str, width: int, size: int, file: str | None = None) -> list[str]:
    """Lines of whole words, at most `width` pixels each but for a word that is longer alone, about equally full."""
    words = text.split()
    lines = _greedy(words, width, size, file)
    narrow, wide = 0, width  # the narrowest measure that takes no line more leaves no widow
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        fits = len(_greedy(words, middle, size, file)) <= len(lines)
        narrow, wide = (narrow, middle) if fits else (middle, wide)
    return _greedy(words, wide, size, file)


def cut(text: str, width: int, size: int, file: str | None = None) -> str:
    """As much of `text` as `width` pixels hold, with an ellipsis if that is not all."""
    if width_of(text, size, file) <= width:
        return text
    while text and width_of(text + ELLIPSIS, size, file) > width:
        text = text[:-1].rstrip()
    return text + ELLIPSIS


def draw(
    picture: np.ndarray,
    text: str,
    x: int,
    baseline: int,
    size: int,
    color: Color,
    align: Align = "left",
    file: str | None = None,
) -> None:
    """Write a line into (H, W, 3) uint8; `x` is its left end, its middle or its right end, as `align` says."""
    width = width_of(text, size, file)
    left = x - {"left": 0, "center": width // 2, "right": width}[align]
    mask = Image.new("L", ((width + 2 * size) * FINER, 3 * size * FINER))  # no letter reaches out of this
    font = face(size * FINER, file)
    with _readable(file):
        ImageDraw.Draw(mask).text((size * FINER, 2 * size * FINER), text, 255, font, "ls")
    ink = np.asarray(mask.reduce(FINER), np.float32)[:, :, None] / 255
    top, start = max(baseline - 2 * size, 0), max(left - size, 0)
    ink = ink[top - baseline + 2 * size :, start - left + size :]
    place = picture[top:, start:][: len(ink), : ink.shape[1]]
    ink = ink[: len(place), : place.shape[1]]
    place[:] = np.rint(place + ink * (np.asarray(color, np.float32) - place))


def _greedy(words: list[str], width: int, size: int, file: str | None) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and width_of(f"{lines[-1]} {word}", size, file) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _base(letter: str, file: str | None) -> str:
    plain = unicodedata.normalize("NFKD", letter)[0]
    return plain if _has(plain, file) else "?"


@functools.lru_cache(maxsize=4096)
def _has(letter: str, file: str | None) -> bool:
    """Whether the font knows a letter: it does not draw the box that stands for unknown ones."""
    font = face(32, file)
    with _readable(file):
        drawn, box = font.getmask(letter), font.getmask("\U0010ffff")
    return letter == " " or (letter.isprintable() and (drawn.size, bytes(drawn)) != (box.size, bytes(box)))

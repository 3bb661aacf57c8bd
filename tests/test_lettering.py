"""Text in pictures: where its ink is, how it is wrapped and cut, and what happens to letters that the font lacks."""

import random

import numpy as np
import pytest
from PIL import ImageFont

from vidstyle.compose import lettering
from vidstyle.errors import MediaError, UsageError


def test_lines_hold_their_width_and_all_words():
    text = "A valley turns into a painting in the style of swirls, and back again, in four seconds"
    for width in (90, 150, 400):
        lines = lettering.wrap(text, width, 14)
        assert " ".join(lines) == text
        assert max(lettering.width_of(line, 14) for line in lines) <= width
        assert len(lines) >= lettering.width_of(text, 14) / width
    last = lettering.width_of(lettering.wrap(text, 300, 14)[-1], 14)
    assert last > 100  # no widow


def test_ink_stays_where_the_line_is():
    for align, left in (("left", 50), ("center", 50 - 30), ("right", 50 - 60)):
        picture = np.zeros((60, 120, 3), np.uint8)
        text = lettering.cut("Quite a long line, indeed", 60, 12)
        lettering.draw(picture, text, 50, 40, 12, (255, 255, 255), align)
        rows, columns = np.nonzero(picture.max(axis=2) > 40)
        assert 50 - 25 < rows.min() < 40 <= rows.max() + 4 < 48
        assert max(left, 0) - 1 <= columns.min() and columns.max() <= left + 60
        assert text.endswith("…") and lettering.width_of(text, 12) <= 60


def test_it_may_reach_over_the_edges():
    whole, part = np.zeros((60, 200, 3), np.uint8), np.zeros((30, 100, 3), np.uint8)
    lettering.draw(whole, "edge", 85, 35, 30, (255, 255, 255))
    lettering.draw(part, "edge", 85, 35, 30, (255, 255, 255))
    assert part.any() and np.array_equal(part, whole[:30, :100])


def test_letters_that_the_font_lacks(tmp_path):
    assert lettering.spelled("1–2 \n “x”") == "1-2 “x”"
    assert lettering.legible("Müller 中") == "Muller ?"
    with pytest.raises(UsageError, match=r"'ü 中' of --caption.*--font"):
        lettering.require_letters("Müller 中", "--caption")


BITMAPS = """STARTFONT 2.1
FONT -x-y-medium-r-normal--16-160-75-75-c-80-iso8859-1
SIZE 16 75 75
FONTBOUNDINGBOX 8 16 0 -4
CHARS 1
STARTCHAR A
ENCODING 65
DWIDTH 8 0
BBX 8 1 0 0
BITMAP
FF
ENDCHAR
ENDFONT
"""


def mutated(data, seed):
    """A font with 60 other bytes."""
    bytes_of, draws = bytearray(data), random.Random(seed)
    for _ in range(60):
        bytes_of[draws.randrange(len(bytes_of))] = draws.randrange(256)
    return bytes(bytes_of)


def test_a_damaged_font_is_refused_or_drawn_but_no_surprise(tmp_path):
    data = ImageFont.load_default(16).font_bytes
    never = [b"", b"no font", BITMAPS.encode(), b"wOF2" + data[4:], data[:100] + bytes(len(data) - 100), data[: 10**3]]
    crafted = [b"ttcf" + bytes(16) + data, data[: len(data) // 2], *(mutated(data, seed) for seed in range(60))]
    refused = 0
    for number, font in enumerate([*never, *crafted]):
        file = str(tmp_path / f"{number}.ttf")
        (tmp_path / f"{number}.ttf").write_bytes(font)
        try:
            lettering.require_letters("Hand gloves", "--caption", file)
            lettering.draw(np.zeros((60, 120, 3), np.uint8), "Hand gloves", 9, 40, 12, (255, 255, 255), file=file)
        except (MediaError, UsageError):
            refused += 1
        else:
            assert number >= len(never)
    assert refused > 40
    for file in (str(tmp_path), str(tmp_path / "none.ttf")):
        with pytest.raises(MediaError, match="is not a font that can be read"):
            lettering.width_of("a", 12, file)

"""Text in pictures: where its ink is, how it is wrapped and cut, and what happens to letters that the font lacks."""

import numpy as np
import pytest

from vidstyle.errors import MediaError, UsageError
from vidstyle.showing import lettering


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
    (tmp_path / "none.ttf").write_text("no font")
    with pytest.raises(MediaError, match=r"none\.ttf is not a font"):
        lettering.width_of("a", 12, str(tmp_path / "none.ttf"))

"""In what order and when frames are shown, beside what one counts by hand."""

from fractions import Fraction as F

import pytest

from vidstyle.compose.compositor import Compositor
from vidstyle.compose.playback import as_painted
from vidstyle.errors import UsageError
from vidstyle.settings import EncodeSettings
from vidstyle.types import ClipInfo

TIMES = (F(0), F(1, 10), F(4, 10), F(1, 2))  # and the last frame until .7


def playback(frames=4, fps=10, times=None, order=None):
    return as_painted(ClipInfo(64, 48, F(fps), frames, times), order or range(frames))


def varying():
    return playback(times=TIMES, fps=5)


def test_nothing_asked_nothing_changed():
    for kept in (playback(), varying()):
        assert kept.edited(EncodeSettings()) == kept


def test_there_and_back():
    edited = playback().edited(EncodeSettings(pingpong=True))
    assert edited.order == (0, 1, 2, 3, 2, 1)
    assert (edited.info.frames, edited.info.timestamps, edited.info.seconds) == (6, None, F(6, 10))
    edited = varying().edited(EncodeSettings(pingpong=True))
    assert edited.order == (0, 1, 2, 3, 2, 1)
    assert edited.info.times == (*TIMES, F(7, 10), F(8, 10))  # frame 2 lasts .1 on the way back, too
    for frames, order in ((1, (0,)), (2, (0, 1))):
        assert playback(frames).edited(EncodeSettings(pingpong=True)).order == order


def test_holds():
    edited = playback().edited(EncodeSettings(hold_first=1.5, hold_last=2))
    assert edited.order == (0, 1, 2, 3, 3)
    assert edited.info.times == (0, F(16, 10), F(17, 10), F(18, 10), F(38, 10))
    assert edited.info.seconds == F(39, 10)  # 3.5 s longer, to the tick
    assert edited.delay == F(3, 2)
    there = playback(5, order=(0, 1, 2, 1, 0)).edited(EncodeSettings(hold_last=1))
    assert there.order == (0, 1, 2, 1, 0)  # held where it turns
    assert there.info.times == (0, F(1, 10), F(2, 10), F(13, 10), F(14, 10))
    back = playback().edited(EncodeSettings(pingpong=True, hold_first=1, hold_last=1))
    assert back.order == (0, 1, 2, 3, 2, 1)
    assert back.info.seconds == F(26, 10)
    assert playback(1).edited(EncodeSettings(hold_last=2)).info.seconds == F(21, 10)


def test_rate():
    assert playback(8, 24).edited(EncodeSettings(fps=12)).order == (0, 2, 4, 6)
    edited = playback(4, 10).edited(EncodeSettings(fps=20))
    assert (edited.order, edited.info.fps, edited.info.seconds) == ((0, 0, 1, 1, 2, 2, 3, 3), 20, F(4, 10))
    constant = varying().edited(EncodeSettings(fps=10))
    assert (constant.order, constant.info.timestamps) == ((0, 1, 1, 1, 2, 3, 3), None)
    assert playback(3, 30).edited(EncodeSettings(fps=1)).order == (0,)


def test_width():
    compositor = Compositor(playback(), EncodeSettings(width=32))
    assert (compositor.info.width, compositor.info.height) == (32, 24)
    assert compositor.changed(width=64).info.width == 64
    with pytest.raises(UsageError, match="64 pixels are painted"):
        compositor.changed(width=65)
    with pytest.raises(UsageError, match="16x12 pixels"):
        compositor.changed(width=16)


@pytest.mark.parametrize("wrong", [{"hold_first": 61}, {"hold_last": -1}, {"width": 8}, {"fps": 0}, {"plays": -1}])
def test_refused_at_birth(wrong):
    with pytest.raises(UsageError, match="it must be"):
        EncodeSettings(**wrong)


def test_how_long_the_last_frame_is_shown_stays_through_every_edit():
    info = ClipInfo(8, 8, F(10), 3, end=F(2))  # .1, .1 and 1.8 s
    assert info.seconds == 2
    kept = as_painted(info, range(3))
    back = kept.edited(EncodeSettings(pingpong=True))
    assert back.info.times == (0, F(1, 10), F(2, 10), 2)
    assert back.info.seconds == F(21, 10)
    assert kept.edited(EncodeSettings(hold_first=1)).info.seconds == 3
    assert kept.edited(EncodeSettings(hold_last=1)).info.seconds == 3
    assert kept.edited(EncodeSettings(title="a", title_seconds=1)).info.seconds == 3
    assert kept.edited(EncodeSettings(fps=5)).order == (0, 2, 2, 2, 2, 2, 2, 2, 2, 2)
    with pytest.raises(ValueError, match="before its last frame"):
        ClipInfo(8, 8, F(10), 3, end=F(1, 10))

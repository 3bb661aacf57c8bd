"""Numbers and words: whatever is given for a setting, it is taken or refused in a sentence, and never a traceback."""

import contextlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip, numbered, pan
from conftest import pixels, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vidstyle import BalanceSettings, EncodeSettings, VideoSettings
from vidstyle.errors import UsageError
from vidstyle.settings import JOBS, option_name, options
from vidstyle.settings.texts import from_text

ODD = (
    "", " ", "nan", "inf", "-inf", "1e300", "-1e300", "1e-300", "1e400", "-1", "0", "-0", "99999999999999999999",
    "0x10", "1_0", "٣", ".0004", ",", ";", "x", "x,x", "relu1_1,relu1_1", "1,2", "A" * 5000, "½", "1" * 5000, "0s:nan",
    "0s:1, end:1e300", "9" * 200 + "s:1", "50%", "0,3", "yes", "\ud800", "\x00",
)  # fmt: skip
GIVEN = st.one_of(
    st.sampled_from(ODD), st.floats(), st.integers(-(10**400), 10**400), st.none(), st.booleans(), st.text(),
    st.binary(), st.lists(st.one_of(st.floats(), st.text())),
    st.sampled_from((np.float32(2.5), np.int64(3), np.True_, np.zeros(2))),
)  # fmt: skip
FIELDS = [(kind, name) for kind in JOBS.values() for name in options(kind)]
ONCE = {name: kind for kind, name in reversed(FIELDS)}  # each name in the first job that has it
SMALL = ["--size", 32, "--iterations", 1, "--first-iterations", 1]


@settings(max_examples=200, deadline=None)
@given(field=st.sampled_from(FIELDS), value=GIVEN)
def test_settings_take_a_value_or_refuse_it(field, value):
    """Of a setting that was taken the type is that of its default, and a number is in the range that it says."""
    kind, name = field
    try:
        kept = getattr(kind(**{name: value}), name)
    except UsageError:
        return
    option = options(kind)[name]
    assert isinstance(kept, type(option.default)) or option.default is None or isinstance(kept, int | str)
    if isinstance(kept, int | float):
        assert math.isfinite(kept)
        assert kept == 0 or option.metadata["low"] <= kept <= option.metadata["high"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"size": "big"}, "--size is 'big'; it must be a whole number"),
        ({"size": 2.5}, "--size is 2.5; it must be a whole number"),
        ({"size": True}, "--size is True; it must be a whole number"),
        ({"size": None}, "--size is None; it must be a whole number"),
        ({"size": 8}, "--size is 8; it must be 0, or at least 16 and at most 1000000"),
        ({"seed": 10**400}, "--seed is too large; it must be at least 0 and at most 4294967295"),
        ({"alpha": [0.5]}, "--alpha is [0.5]; it must be a number or a text"),
        ({"cuts": 1}, "--cuts is 1; it must be True or False"),
        ({"mix": 0.5}, "--mix is 0.5; it must be a tuple of a number or a text each"),
        ({"style_layers": "relu1_1"}, "--style-layers is 'relu1_1'; it must be a tuple of a text each"),
        ({"style_layers": ("x", "x")}, "--style-layers names 'x' twice; name each layer once"),
        ({"end": "2"}, "--end is '2'; it must be a number or None"),
        ({"device": 3}, "--device is 3; it must be a text"),
        ({"temporal_weight": 1e300}, "at most 1000000"),
        ({"fps": 1e-300}, "at least 0.01"),
        ({"font": "a.ttf"}, "--font belongs to --caption or --title"),
        ({"long_term": (2,), "warm_start": "none"}, "--long-term belongs to --warm-start warped"),
        ({"alpha_to": 0.5, "timelapse": True}, "--to belongs to a balance without --timelapse"),
    ],
)
def test_what_is_wrong_is_said(wrong, words):
    kind = BalanceSettings if {"fps", "timelapse"} & {*wrong} else EncodeSettings if "font" in wrong else VideoSettings
    with pytest.raises(UsageError, match=re.escape(words)):
        kind(**wrong)


def test_scalars_of_numpy_paths_and_lists_are_taken():
    found = VideoSettings(
        size=np.int64(64), alpha=np.float32(0.5), init=Path("a.png"), mix=[1, np.float64(2)], cuts=np.True_
    )
    assert (found.size, found.alpha, found.init, found.mix, found.cuts) == (64, 0.5, "a.png", (1, 2), True)
    assert [type(value) for value in (found.size, found.alpha, found.cuts)] == [int, float, bool]


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_odd_words_on_the_command_line(kind, name):
    """Each is a value that settings take, or refused as a whole by one of our sentences."""
    for text in ODD if not isinstance(options(kind)[name].default, bool) else ():
        with contextlib.suppress(UsageError):
            kind(**{name: from_text(kind, name, text)})


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--alpha", "50%", "did you mean 0.5?"),
        ("--alpha", "0,3", "did you mean 0.3?"),
        ("--alpha", "yes", "no number; give one like 0.5"),
        ("--tolerance", "0,01", "--tolerance is '0,01', which is no number; did you mean 0.01?"),
        ("--size", "512px", "--size is '512px', which is no whole number; give one like 12"),
        ("--seed", "99999999999999999999", "at most 4294967295"),
        ("--fps", ".0004", "at least 0.01"),
        ("--mix", "a", "give numbers with commas, like .7,.3"),
    ],
)
def test_a_mistyped_number_is_answered_about_numbers(vidstyle, tmp_path, option, text, words):
    done = vidstyle("video", "clip.mp4", "style.jpg", "-o", tmp_path / "o.mp4", option, text)
    assert (done.exit_code, words in done.output) == (2, True), done.output
    assert "schedule" not in done.output


@pytest.fixture
def paint(vidstyle, tmp_path, network):
    def run(job, content, style, out, *options):
        own = ["--network", network, *SMALL] if job != "image" else ["--network", network, "--first-iterations", 1]
        return vidstyle(job, content, style, "-o", tmp_path / out, *own, *options)

    return run


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(ONCE))
def test_odd_words_end_in_a_painting_or_a_refusal(paint, tmp_path, name):
    """The same to the end, in every job: exit 0 or 2; 3 and 8 for what names a file."""
    option, job = options(ONCE[name])[name], ONCE[name].job
    flag = option_name(option)
    make_clip(tmp_path / "clip.mp4", pan(2), rate=24)
    for number in (1, 2):
        Image.fromarray(pixels(texture(64, 96, number))).save(tmp_path / f"{number}.png")
    content = tmp_path / ("clip.mp4" if job == "video" else "1.png")
    brief = {"balance": ["--seconds", 1, "--fps", 3], "sheet": ["--alphas", ".5"]}.get(job, [])
    for text in ODD:
        typed = [flag] if isinstance(option.default, bool) else [f"{flag}={text}"]
        done = paint(job, content, tmp_path / "2.png", "o.png", *brief, *typed, "-y", "--restart")
        files = {3, 8} if name in ("network", "weights", "flow_weights", "init", "font") else set()
        assert done.exit_code in {0, 2} | files, (typed, done.output, done.exception)


@pytest.mark.parametrize("shape", [(80, 20), (20, 80), (500, 5), (64, 64)])
def test_the_least_picture_is_painted_in_a_style_of_any_shape(paint, tmp_path, shape):
    Image.fromarray(pixels(texture(16, 16, 1))).save(tmp_path / "least.png")
    Image.fromarray(pixels(texture(64, 64, 2))).resize(shape).save(tmp_path / "style.png")
    done = paint("image", tmp_path / "least.png", tmp_path / "style.png", "o.png")
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "o.png") as painted:
        assert painted.size == (16, 16)


@pytest.mark.clips
def test_a_black_and_white_clip_stays_itself_at_alpha_1(paint, tmp_path):
    """Its loss is nearly nothing from the start: ten times that is no divergence."""
    clip = make_clip(tmp_path / "clip.mp4", numbered(6), rate=24)
    Image.fromarray(pixels(texture(64, 64, 2))).save(tmp_path / "style.png")
    done = paint(
        "video", clip, tmp_path / "style.png", "o.mp4", "--alpha", 1, "--iterations", 20, "--warm-tolerance", 0
    )
    assert done.exit_code == 0, done.output


def test_every_setting_has_a_range_or_a_kind():
    """A number without an upper end can be too large for what computes with it."""
    for kind, name in FIELDS:
        option = options(kind)[name]
        if isinstance(option.default, int | float) and not isinstance(option.default, bool):
            assert option.metadata["high"] < math.inf, option.name

"""The language of numbers over time: what it means, by values found by hand, and where it says what is misspelt."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidstyle.errors import UsageError
from vidstyle.schedule import Schedule, constant, settled, values

FOUR = Fraction(4)
QUARTERS = [Fraction(number, 4) for number in range(9)]  # nine frames, four a second: the last one is at 2 s


def at_quarters(text):
    return values(text, QUARTERS, FOUR)


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "0.3": [0.3] * 9,
        " .5 ": [0.5] * 9,
        "1s:0.7": [0.7] * 9,
        "start:1, end:0": [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0],
        "0s:1,100%:0": [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0],
        "0f:1, 8f:0": [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0],
        "0s:1 linear, 50%:0.4, end:1": [1, 0.85, 0.7, 0.55, 0.4, 0.55, 0.7, 0.85, 1],
        "0.5s:0, 1.5s:1": [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1],
        "0s:0 ease, 1s:1": [0, 0.15625, 0.5, 0.84375, 1, 1, 1, 1, 1],  # 3x² - 2x³
        "0s:0 step, 1s:1": [0, 0, 0, 0, 1, 1, 1, 1, 1],
        "0s:0, 1s:1, 1s:0.5, end:0.5": [0, 0.25, 0.5, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5],
        "0s:0, 1s:1 loop": [0, 0.25, 0.5, 0.75, 0, 0.25, 0.5, 0.75, 0],
        "0s:0, 0.5s:1, 1s:0 loop": [0, 0.5, 1, 0.5, 0, 0.5, 1, 0.5, 0],
        "0.5s:1 step, 0.75s:0 step, 1s:1 loop": [1, 1, 1, 0, 1, 0, 1, 0, 1],
        "0s:1, 4s:0": [1, 0.9375, 0.875, 0.8125, 0.75, 0.6875, 0.625, 0.5625, 0.5],
        "0s:1, 16f:0": [1, 0.9375, 0.875, 0.8125, 0.75, 0.6875, 0.625, 0.5625, 0.5],
        "0s:1, 200%:0": [1, 0.9375, 0.875, 0.8125, 0.75, 0.6875, 0.625, 0.5625, 0.5],
    }.items(),
)
def test_values_by_hand(text, wanted):
    assert at_quarters(text) == pytest.approx(wanted, abs=1e-12)


def test_the_last_frame_has_the_last_value_to_the_bit():
    thirds = [Fraction(number * 1001, 30000) for number in range(100)]
    assert values("start:0.1, end:0.3", thirds, Fraction(30000, 1001))[-1] == 0.3


def test_times_are_those_of_frames_whose_rate_varies():
    times = [Fraction(0), Fraction(1), Fraction(4)]
    assert values("0s:0, end:1", times, Fraction(1)) == (0, 0.25, 1)
    assert values("0f:0, 1f:1, 2f:0", times, Fraction(1)) == (0, 1, 0)
    assert values("0s:0, 50%:1, end:0", times, Fraction(1)) == (0, 0.5, 0)


def test_one_frame_has_the_value_of_the_last_key_that_it_reaches():
    assert values("start:1, end:0", [Fraction(0)], FOUR) == (0,)
    assert values("start:1, 1s:0", [Fraction(0)], FOUR) == (1,)
    assert values("start:1, end:0 loop", [Fraction(0)], FOUR) == (0,)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 0, "empty; give a number, or keys like"),
        ("  ", 0, "empty"),
        ("half", 0, "this is no number; did you mean 0.5?"),
        ("50%", 0, "did you mean 0.5?"),
        ("0,3", 0, "did you mean 0.3?"),
        ("½", 0, "did you mean 0.5?"),
        ("3/4", 0, "did you mean 0.75?"),
        ("yes", 0, "this is no number; give one like 0.5"),
        ("0.5.1", 0, "this is no number"),
        ("half:1", 0, "got 'half' where there must be a time like 3s, 50%, 12f, start or end"),
        ("0:1, end:0", 1, "got ':' where there must be s, % or f right after 0"),
        ("0 s:1", 1, "right after 0"),
        ("0.3 loop", 3, "right after 0.3"),
        ("0s 1", 3, "got '1' where there must be a colon after 0s"),
        ("start:", 6, "got the end where there must be a number"),
        ("start:x, end:0", 6, "got 'x' where there must be a number"),
        ("0s:1, 50%:0.4 eas, end:0", 14, "got 'eas' where there must be a comma and another key, or linear, ease"),
        ("0s:1 Ease, end:0", 5, "got 'Ease'"),
        ("0s:1 ease step, end:0", 10, "got 'step' where there must be a comma and another key"),
        ("0s:1; end:0", 4, "got ';'"),
        ("0s:1 end:0", 5, "got 'end'"),
        ("0s:1,", 5, "got the end where there must be a time"),
        ("0s:1,, end:0", 5, "got ','"),
        ("0s:1, end:0 ease", 12, "the last key leads nowhere; write ease after the key before it"),
        ("0s:1, 1s:0 ease loop", 11, "leads nowhere"),
        ("0s:1 loop", 5, "a loop needs two keys"),
        ("0s:1, 1s:0 loop 2s", 16, "nothing after loop"),
        ("0s:1, 1.5f:0", 6, "a frame has a whole number"),
        ("-1s:1, end:0", 0, "got '-1'"),
        ("0s:nan, end:0", 3, "got 'nan'"),
        ("0s:1, 1s:0 …", 11, "got '…'"),
        ("3s:1, end:0", 6, "at 2 s, before the key on its left at 3 s, in 9 frames that end at 2 s"),
        ("0s:1, 50%:0, 2f:1", 13, "at 0.5 s, before the key on its left at 1 s"),
    ],
)
def test_a_caret_shows_what_is_wrong(text, column, words):
    with pytest.raises(UsageError) as caught:
        values(text, QUARTERS, FOUR, "--alpha")
    told, line, caret = str(caught.value).split("\n")
    assert told.startswith("--alpha: ")
    assert words in told
    assert line == "  " + text
    assert caret == "  " + " " * column + "^"


def test_the_caret_is_right_where_the_text_has_tabs_and_new_lines():
    with pytest.raises(UsageError) as caught:
        Schedule.parse("0s:1,\n\tend:x")
    assert str(caught.value).splitlines()[1:] == ["  0s:1,  end:x", "             ^"]


def test_the_shortest_spelling():
    wanted = {
        "0s:1.0 linear ,  50%: .4 ease,end :0": "0s:1, 50%:0.4 ease, end:0",
        "start:1, 100%:0 loop": "0s:1, end:0 loop",
        "000.00001s:1e-3, 12f:2": "0.00001s:0.001, 12f:2",
    }
    for text, short in wanted.items():
        assert str(Schedule.parse(text)) == short
        assert Schedule.parse(short) == Schedule.parse(text)


def at_most_one(number):
    return "" if 0 <= number <= 1 else "at least 0 and at most 1"


def test_what_settings_keep():
    assert settled(0.4, "--alpha", at_most_one) == 0.4
    assert settled(" 0.4 ", "--alpha", at_most_one) == 0.4
    assert settled("3s:0.4", "--alpha", at_most_one) == 0.4
    assert settled(("start:1,end:0", "1", 2), "--mix", at_most_one) == ("0s:1, end:0", 1.0, 2)
    assert settled(None, "--alpha", at_most_one) is None
    with pytest.raises(UsageError) as caught:
        settled("0s:1, end:1.5", "--alpha", at_most_one)
    assert str(caught.value) == (
        "--alpha: 1.5 is out of range; it must be at least 0 and at most 1\n  0s:1, end:1.5\n            ^"
    )
    with pytest.raises(UsageError, match="--mix, style 2: got 'x'"):
        settled((1, "0s:x"), "--mix", at_most_one)


def test_a_still_takes_numbers_only():
    assert constant(0.4) == 0.4
    with pytest.raises(UsageError, match="a still has no time"):
        constant("0s:1, end:0")


@given(st.text(alphabet="0123456789.:,%sf -+e\n;", max_size=12) | st.text(max_size=8))
def test_any_text_is_a_schedule_or_refused_with_a_caret_in_it(text):
    try:
        schedule = Schedule.parse(text)
    except UsageError as error:
        _, line, caret = str(error).split("\n")
        assert len(line) == len(text) + 2
        assert 2 <= caret.index("^") <= len(line)
    else:
        assert Schedule.parse(str(schedule)) == schedule


times = st.decimals(0, 999, places=3).map(lambda x: f"{x}s") | st.integers(0, 999).map(lambda x: f"{x}f")
keys = st.tuples(times, st.floats(0, 1), st.sampled_from(["", " linear", " ease", " step"]))


@given(st.lists(keys, min_size=2, max_size=5), st.booleans())
def test_every_schedule_stays_between_its_values(keys, loop):
    text = ", ".join(f"{time}:{value}{way}" for time, value, way in keys).rsplit(":", 1)[0] + f":{keys[-1][1]}"
    schedule = Schedule.parse(text + " loop" * loop)
    assert Schedule.parse(str(schedule)) == schedule
    try:
        found = schedule.values([Fraction(number, 7) for number in range(40)], Fraction(7))
    except UsageError as error:
        assert "order of time" in str(error)  # noqa: PT017 (either way is right)
    else:
        low, high = min(key.value for key in schedule.keys), max(key.value for key in schedule.keys)
        assert all(low - 1e-12 <= value <= high + 1e-12 for value in found)

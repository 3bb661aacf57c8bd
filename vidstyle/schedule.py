"""Schedules: a small language for parameters that change over time, as keyframes with easing.

    0.3                                 the same all the time
    0s:1, 50%:0.4 ease, end:0           from 1 to 0.4 by the middle, then gently to 0 in the last frame
    start:0 step, 12f:1                 0 until frame 12, then 1
    0s:1, 1s:0, 2s:1 loop               again and again every two seconds

    schedule = number | key {"," key} ["loop"]
    key      = time ":" number ["linear" | "ease" | "step"]
    time     = seconds "s" | percent "%" | frame "f" | "start" | "end"

The word after a key says how to go from it to the next: `linear`, the default, evenly; `ease`, slowly at both ends;
`step`, not at all until the next. `end` and 100% are the time of the last frame; frames count from 0. Before the first
key its value holds, after the last one that one's; two keys at the same time are a jump. With `loop`, what lies between
the first key and the last is repeated; the last key is then the first one of the next round.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, NoReturn, cast

from vidstyle.errors import UsageError
from vidstyle.system.values import NUMBER, meant

Unit = Literal["s", "%", "f"]
Way = Literal["linear", "ease", "step"]
OverTime = float | str  # a number, or the text of a schedule

EASINGS: dict[Way, Callable[[float], float]] = {
    "linear": lambda x: x,
    "ease": lambda x: x * x * (3 - 2 * x),
    "step": lambda x: 0.0,
}
ENDS: dict[str, tuple[Fraction, Unit]] = {"start": (Fraction(0), "s"), "end": (Fraction(100), "%")}
SPACE = re.compile(r"(\s*)")
AMOUNT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")  # no space before its unit
UNIT, COLON, COMMA = (re.compile(rf"({sign})\s*") for sign in ("[s%f]", ":", ","))
VALUE = re.compile(rf"({NUMBER.pattern})\s*")
WORD = re.compile(r"([A-Za-z]+)\s*")
KEYS = re.compile(r":|[0-9]\s*[sf]\b|\b(?:start|end|linear|ease|step|loop)\b")  # in a text that means a schedule
TOKEN = re.compile(r"[A-Za-z]+|[-+.0-9]+|.", re.DOTALL)  # what a message shows of what is wrong


@dataclass(frozen=True)
class Key:
    """A value at a time."""

    amount: Fraction  #: of seconds, per cent or frames
    unit: Unit
    value: float
    way: Way = "linear"  #: how to go on from here to the next key
    column: int = field(default=0, compare=False)  #: of the time in the text
    value_column: int = field(default=0, compare=False)  #: of the value in the text

    def __str__(self) -> str:
        time = (
            "end"
            if (self.amount, self.unit) == ENDS["end"]
            else f"{float(self.amount):.9f}".rstrip("0").rstrip(".") + self.unit
        )
        return f"{time}:{_plain(self.value)}" + f" {self.way}" * (self.way != "linear")

    def seconds(self, times: Sequence[Fraction], fps: Fraction) -> Fraction:
        """When it is, among frames at these seconds; beyond the last one the rate counts."""
        if self.unit == "s":
            return self.amount
        if self.unit == "%":
            return times[-1] * self.amount / 100
        beyond = max(self.amount - len(times) + 1, Fraction(0))
        return times[int(self.amount - beyond)] + beyond / fps


@dataclass(frozen=True)
class Schedule:
    """A number that changes over time; made by `parse`. Its text, `str()`, gives an equal one again."""

    keys: tuple[Key, ...]
    loop: bool = False
    text: str = field(default="", compare=False)  #: as it was written
    name: str = field(default="", compare=False)  #: of what it belongs to, for messages

    @classmethod
    def parse(cls, text: str, name: str = "the schedule") -> Schedule:
        """Read a number or a schedule. Raises `UsageError` with a caret under the character that is wrong."""
        return _Reader(text, name).schedule()

    @property
    def constant(self) -> float | None:
        """Its value, if it has only one."""
        return self.keys[0].value if len(self.keys) == 1 else None

    def __str__(self) -> str:
        if self.constant is not None:
            return _plain(self.constant)
        return ", ".join(map(str, self.keys)) + " loop" * self.loop

    def values(
        self, times: Sequence[Fraction], fps: Fraction, remapped_times: Sequence[Fraction] | None = None
    ) -> list[float]:
        """Its value in each frame.

        Args:
            times: seconds of each frame, from 0.
            fps: frames per second, on average.
            remapped_times: seconds at which the schedule is evaluated for each frame, instead of its own.

        Raises:
            UsageError: the keys are not in the order of these times; a caret marks the first that comes too early.
        """
        keys = self._seconds(times, fps)
        return [self._value(time, keys) for time in (times if remapped_times is None else remapped_times)]

    def turns(self, times: Sequence[Fraction], fps: Fraction) -> dict[Fraction, Way]:
        """The seconds of its keys among frames at `times`, in every round of a loop, and how it goes on from each."""
        keys = self._seconds(times, fps)
        turns = {time: key.way for time, key in zip(keys, self.keys, strict=True)}
        if self.loop and (period := keys[-1] - keys[0]) > 0:
            turns[keys[-1]] = turns[keys[0]]
            rounds = range(math.ceil((times[-1] - keys[0]) / period))
            turns = {time + period * number: way for number in rounds for time, way in turns.items()}
        return {time: way for time, way in sorted(turns.items()) if time <= times[-1]}

    def _seconds(self, times: Sequence[Fraction], fps: Fraction) -> list[Fraction]:
        key_times = [key.seconds(times, fps) for key in self.keys]
        for key, before, time in zip(self.keys[1:], key_times, key_times[1:], strict=False):
            if time < before:
                self.refuse(
                    key.column,
                    f"this is at {float(time):.4g} s, before the key on its left at {float(before):.4g} s, in "
                    f"{len(times)} frames that end at {float(times[-1]):.4g} s; write the keys in the order of time",
                )
        return key_times

    def refuse(self, column: int, wrong: str) -> NoReturn:
        """Raise the `UsageError` that says what is wrong at a column of the text."""
        line = "".join(letter if letter.isprintable() else " " for letter in self.text)
        raise UsageError(f"{self.name}: {wrong}\n  {line}\n  {' ' * column}^")

    def _value(self, time: Fraction, keys: Sequence[Fraction]) -> float:
        first, last = keys[0], keys[-1]
        if self.loop and first < last and time > first:
            time = first + (time - first) % (last - first)
        after = bisect_right(keys, time)  # of keys at the same time the last one counts
        if after in (0, len(keys)):
            return self.keys[min(after, len(keys) - 1)].value
        here, there = self.keys[after - 1 : after + 1]
        way = float((time - keys[after - 1]) / (keys[after] - keys[after - 1]))
        return here.value + (there.value - here.value) * EASINGS[here.way](way)


def settled(value: Any, name: str, wanted: Callable[[float], str]) -> Any:
    """A setting that may change over time as it is kept: a schedule in its shortest spelling, or as one number.

    Args:
        value: `OverTime`, a tuple of such, or None.
        name: of the setting, for messages.
        wanted: says what a number must be if it is not that, "" if it is.

    Raises:
        UsageError: a text is no schedule, or has a value that it may not have.
    """
    if isinstance(value, tuple):
        return tuple(settled(part, f"{name}, style {number}", wanted) for number, part in enumerate(value, 1))
    if not isinstance(value, str):
        return value
    schedule = Schedule.parse(value, name)
    if schedule.constant is not None:
        return schedule.constant
    for key in schedule.keys:
        if wish := wanted(key.value):
            schedule.refuse(key.value_column, f"{key.value:g} is out of range; it must be {wish}")
    return str(schedule)


def constant(number: OverTime, name: str = "--alpha") -> float:
    """The number, where it cannot change over time. Raises `UsageError` if it does."""
    if isinstance(number, str):
        raise UsageError(f"{name} is {number!r}, but a still has no time; give a number")
    return number


def values(
    number: OverTime,
    times: Sequence[Fraction],
    fps: Fraction,
    name: str = "the schedule",
    remapped_times: Sequence[Fraction] | None = None,
) -> tuple[float, ...]:
    """A number or the text of a schedule, frame by frame; for the arguments and errors see `Schedule.values`."""
    return tuple(Schedule.parse(str(number), name).values(times, fps, remapped_times))


def there_and_back(shown: int) -> tuple[int, ...]:
    """The order 0, 1, … 1 in which frames make a loop of so many: of an odd number the turning point is shown twice."""
    return tuple(min(number, shown - number) for number in range(shown))


class _Reader:
    """Reads a schedule from left to right."""

    def __init__(self, text: str, name: str) -> None:
        self.written = Schedule((), text=text, name=name)
        self.text, self.column = text, 0
        self._take(SPACE)

    def schedule(self) -> Schedule:
        if not self.text.strip():
            self.written.refuse(0, "this is empty; give a number, or keys like 0s:1, end:0")
        if NUMBER.fullmatch(self.text.strip()):
            keys, loop = [Key(*ENDS["start"], float(self.text))], False
        elif not KEYS.search(self.text):
            self.written.refuse(0, f"this is no number; {meant(self.text) or 'give one like 0.5'}")
        else:
            keys, loop = self._keys()
        return Schedule(tuple(keys), loop, self.text, self.written.name)

    def _keys(self) -> tuple[list[Key], bool]:
        keys = []
        while True:
            column, (amount, unit) = self.column, self._time()
            self._need(COLON, f"a colon after {self.text[column : self.column].strip()}")
            value_column, value = self.column, float(self._need(VALUE, "a number"))
            way_column, way = self.column, cast(Way | None, self._word(EASINGS))
            keys.append(Key(amount, unit, value, way or "linear", column, value_column))
            loop_column, loop = self.column, self._word(("loop",))
            if loop or self.column == len(self.text):
                break
            self._need(COMMA, "a comma and another key" + ", or linear, ease, step or loop" * (way is None))
        if self.column < len(self.text):
            self._fail("nothing after loop")
        if way is not None:
            self.written.refuse(way_column, f"the last key leads nowhere; write {way} after the key before it")
        if loop and len(keys) == 1:
            self.written.refuse(loop_column, "a loop needs two keys or more: it repeats what lies between them")
        return keys, loop is not None

    def _time(self) -> tuple[Fraction, Unit]:
        if word := self._word(ENDS):
            return ENDS[word]
        column, amount = self.column, Fraction(self._need(AMOUNT, "a time like 3s, 50%, 12f, start or end"))
        unit = cast(Unit, self._need(UNIT, f"s, % or f right after {self.text[column : self.column]}"))
        if unit == "f" and amount.denominator > 1:
            self.written.refuse(column, "a frame has a whole number")
        return amount, unit

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """What matches here, and the space after it is skipped."""
        if (match := pattern.match(self.text, self.column)) is None:
            return None
        self.column = match.end()
        return match[1]

    def _need(self, pattern: re.Pattern[str], wanted: str) -> str:
        taken = self._take(pattern)
        return self._fail(wanted) if taken is None else taken

    def _word(self, known: Collection[str]) -> str | None:
        match = WORD.match(self.text, self.column)
        return self._take(WORD) if match and match[1] in known else None

    def _fail(self, wanted: str) -> NoReturn:
        match = TOKEN.match(self.text, self.column)
        got = repr(match[0]) if match else "the end"
        self.written.refuse(self.column, f"got {got} where there must be {wanted}")


def _plain(number: float) -> str:
    return repr(number).removesuffix(".0")

"""What all settings have in common: their fields are given by name, and each value is checked at birth."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, cast, get_args, get_origin, get_type_hints

from vidstyle.errors import UsageError
from vidstyle.schedule import OverTime, settled
from vidstyle.system.values import converted, out_of_range, said

Job = Literal["video", "balance", "image", "sheet", "encode"]
Field = dataclasses.Field[Any]
SCHEDULED = (OverTime, OverTime | None, tuple[OverTime, ...])  # the kinds of settings that may change over time


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a job, or a part of them; the base of all their classes.

    What is `OverTime` is a number or a text like "0s:1, end:0" (see `schedule`), kept in its shortest spelling.
    Raises `UsageError` for a value outside its range, and for a name that is none of the class.
    """

    job: ClassVar[Job]  #: that the settings are of; a part of them is of none

    def __new__(cls, *values: object, **given: object) -> Self:
        if values:
            raise UsageError(f"{cls.__name__} takes its settings by name, like size=256; give each its name")
        own = options(cls)
        for name in given:
            if name not in own:
                raise UsageError(f"{cls.__name__} has no setting {name!r}{_hint(cls, name)}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        hints = kinds(type(self))
        for option in options(type(self)).values():
            kind, name = hints[option.name], option_name(option)
            value = converted(getattr(self, option.name), kind, name)
            if get_origin(kind) is Literal and value not in get_args(kind):
                raise UsageError(f"{name} is {value!r}; it must be one of {', '.join(get_args(kind))}")
            if kind in SCHEDULED:
                value = settled(value, name, functools.partial(out_of_range, option))
            object.__setattr__(self, option.name, value)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float) and (wish := out_of_range(option, number)):
                    raise UsageError(f"{name} is {said(number)}; it must be {wish}")

    def painting(self) -> dict[str, Any]:
        """The fields that change the painted frames, by their names."""
        own = [option.name for option in options(type(self)).values() if option.metadata["paints"]]
        return {name: getattr(self, name) for name in own}

    def _require_read(self, read: bool, what: str, *names: str) -> None:
        """Raise `UsageError` for the first of some fields that is given although it is only read beside `what`."""
        for option in map(options(type(self)).__getitem__, names):
            if not read and getattr(self, option.name) != option.default:
                raise UsageError(f"{option_name(option)} belongs to {what}; give that, too, or leave it out")


def options(kind: type[Settings]) -> dict[str, Field]:
    """The fields of a class of settings, by their names; what `setting` says of each is in its metadata."""
    return {option.name: option for option in dataclasses.fields(kind)}


def kinds(kind: type[Settings]) -> dict[str, Any]:
    """The type of each field."""
    return _hints(cast(Hashable, kind))  # mypy takes the hash of a class for that of its instances


_hints = functools.cache(get_type_hints)


def option_name(option: Field) -> str:
    """The command-line spelling of a field."""
    return "--" + (option.metadata["flag"] or option.name).replace("_", "-")


def typed(value: object) -> str:
    """A setting as it is written on the command line: a list with commas, with semicolons if schedules are in it."""
    parts = [str(part) for part in (value if isinstance(value, tuple) else (value,))]
    return ("; " if any(":" in part for part in parts) else ",").join(parts)


def _hint(kind: type[Settings], name: str) -> str:
    """What may be meant by a name that is no field of `kind`."""
    if others := sorted({other.__name__ for other in _jobs(Settings) if name in options(other)}):
        return f", which is one of {' and '.join(others)}"
    near = difflib.get_close_matches(name, options(kind), 1)
    return f"; did you mean {near[0]!r}?" if near else f"; help(vidstyle.{kind.__name__}) lists them"


def _jobs(kind: type[Settings]) -> Iterator[type[Settings]]:
    """The classes of jobs among the subclasses; some more than once."""
    for other in kind.__subclasses__():
        yield from (other,) if hasattr(other, "job") else _jobs(other)

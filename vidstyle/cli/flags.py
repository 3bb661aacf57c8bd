"""The options of the command line: one for each field of a job's settings, and the field's value from typed text."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from vidstyle.errors import UsageError
from vidstyle.settings import SCHEDULED, Field, Settings, kinds, option_name, options, typed
from vidstyle.system.values import NUMBER, WHOLE, number, whole

METAVARS: dict[Any, str] = {int: "INT", float: "NUMBER", str: "TEXT"}


def flag(settings: type[Settings], option: Field) -> Any:
    """The Typer annotation of an option; unset is None, so that a preset's value and a typed one can be told apart."""
    kind = kinds(settings)[option.name]
    name, default, text = option_name(option), option.default, option.metadata["text"]
    if kind is bool:
        shown = f"{text} [{'on' if default else 'off'}]"
        return Annotated[bool | None, typer.Option(f"{name}/--no-{name[2:]}", help=shown, show_default=False)]
    if isinstance(default, tuple):
        metavar, default = "A,B,…" + "|SCHEDULE;…" * (kind in SCHEDULED), typed(default)
    elif words := option.metadata["words"]:
        metavar, default = "|".join(["INT", *words]), next(word for word in words if words[word] == default)
    elif kind in SCHEDULED:
        metavar = "NUMBER|SCHEDULE"
    elif choices := get_args(kind) if get_origin(kind) is Literal else ():
        metavar = "|".join(choices)
    else:
        metavar = next(word for one, word in METAVARS.items() if one in (kind, *get_args(kind)))
    shown = text if default in (None, "") else f"{text} [{default}]"
    return Annotated[str | None, typer.Option(name, metavar=metavar, help=shown, show_default=False)]


def from_flag(settings: type[Settings], name: str, value: Any) -> Any:
    """A typed value of a field; lists are written with commas, with semicolons if there are schedules in them.

    Raises `UsageError` for what is no number where there must be one.
    """
    option, kind = options(settings)[name], kinds(settings)[name]
    flag = option_name(option)
    if words := option.metadata["words"]:
        if value in words:
            return words[value]
        if not WHOLE.fullmatch(value):
            raise UsageError(f"{flag} is {value!r}; give a number, or {' or '.join(words)}")
        return whole(value, flag)
    if get_origin(kind) is tuple:
        return _list(value, kind, flag)
    if int in (kind, *get_args(kind)):
        return whole(value, flag)
    if float in (kind, *get_args(kind)) and kind not in SCHEDULED:
        return number(value, flag)
    return value


def _list(value: str, kind: Any, flag: str) -> tuple[Any, ...]:
    if kind in SCHEDULED and any(sign in value for sign in ";:"):
        return tuple(value.split(";"))
    parts = [part.strip() for part in value.split(",") if part.strip()]
    (one, _) = get_args(kind)
    if one is str:
        return tuple(parts)
    read, pattern, example = (whole, WHOLE, "2,4") if one is int else (number, NUMBER, ".7,.3")
    if not all(pattern.fullmatch(part) for part in parts):
        raise UsageError(f"{flag} is {value!r}; give numbers with commas, like {example}")
    return tuple(read(part, flag) for part in parts)

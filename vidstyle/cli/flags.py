"""Settings as they are typed: an option of the command line for each field, and its value from what was typed."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from vidstyle.errors import UsageError
from vidstyle.schedule import OverTime
from vidstyle.settings import SCHEDULED, Settings, option_name, typed


def flag(option: dataclasses.Field[Any]) -> Any:
    """The Typer annotation of an option; unset is None, so that a preset's value and a typed one can be told apart."""
    kind = get_type_hints(Settings)[option.name]
    name, default, text = option_name(option), option.default, option.metadata["text"]
    if kind is bool:
        shown = f"{text} [{'on' if default else 'off'}]"
        return Annotated[bool | None, typer.Option(f"{name}/--no-{name[2:]}", help=shown, show_default=False)]
    if isinstance(default, tuple):
        plain, metavar, default = str, "A,B,…" + "|SCHEDULE;…" * (kind in SCHEDULED), typed(default)
    elif words := option.metadata["words"]:
        plain, metavar, default = str, "|".join(["INT", *words]), next(word for word in words if words[word] == default)
    elif kind in SCHEDULED:
        plain, metavar = str, "NUMBER|SCHEDULE"
    elif choices := get_args(kind) if get_origin(kind) is Literal else ():
        plain, metavar = str, "|".join(choices)
    else:
        metavars: dict[Any, str] = {int: "INT", float: "NUMBER", str: "TEXT"}
        plain, metavar = next(pair for pair in metavars.items() if pair[0] in (kind, *get_args(kind)))
    shown = text if default in (None, "") else f"{text} [{default}]"
    return Annotated[plain | None, typer.Option(name, metavar=metavar, help=shown, show_default=False)]


def from_flag(name: str, value: Any) -> Any:
    """A typed value; lists are written with commas, with semicolons if there are schedules in them."""
    kind = get_type_hints(Settings)[name]
    if words := Settings.__dataclass_fields__[name].metadata["words"]:
        if value in words:
            return words[value]
        if not value.lstrip("-").isdecimal():
            raise UsageError(f"--{name} is {value!r}; give a number, or {' or '.join(words)}")
        return int(value)
    if kind == tuple[OverTime, ...]:
        if any(sign in value for sign in ";:"):
            return tuple(value.split(";"))
        kind = tuple[float, ...]
    if kind not in (tuple[float, ...], tuple[int, ...], tuple[str, ...]):
        return value
    words = [word.strip() for word in value.split(",") if word.strip()]
    if kind == tuple[str, ...]:
        return tuple(words)
    try:
        number, example = (int, "2,4") if kind == tuple[int, ...] else (float, ".7,.3")
        return tuple(number(word) for word in words)
    except ValueError:
        raise UsageError(f"--{name.replace('_', '-')} is {value!r}; give numbers with commas, like {example}") from None

"""The options of the command line: one for each field of a job's settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from vidstyle.settings import SCHEDULED, Field, Settings, kinds, option_name, typed

METAVARS: dict[Any, str] = {int: "INT", float: "NUMBER", str: "TEXT"}


def flag(settings: type[Settings], option: Field) -> Any:
    """The Typer annotation of an option; unset is None, so that a preset's value and a typed one can be told apart."""
    kind = kinds(settings)[option.name]
    name, default, text = option_name(option), option.default, option.metadata["text"]
    if repeated := option.metadata["repeated"]:
        return Annotated[list[str] | None, typer.Option(name, metavar=repeated, help=text, show_default=False)]
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

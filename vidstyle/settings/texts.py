"""The value of a setting from typed text, and what a mistyped name of an option may stand for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args, get_origin

from vidstyle.errors import UsageError
from vidstyle.settings.fields import SCHEDULED, Settings, kinds, option_name, options, typed
from vidstyle.settings.keys import KeyFile, renamed_mask
from vidstyle.settings.regions import RegionFiles
from vidstyle.system.values import NUMBER, WHOLE, number, whole


def from_text(settings: type[Settings], name: str, value: Any) -> Any:
    """A typed value of a field; lists are written with commas, with semicolons if there are schedules in them.

    Raises `UsageError` for what is no number where there must be one.
    """
    option, kind = options(settings)[name], kinds(settings)[name]
    flag = option_name(option)
    if option.metadata["repeated"]:
        return (value,) if isinstance(value, str) else tuple(value)
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


def from_file(settings: type[Settings], name: str, value: Any) -> Any:
    """A value of a field as TOML or JSON has it: text is read as typed, and one number will do for a list.

    Raises `UsageError` as `from_text` does; what is of another type is refused by the settings.
    """
    kind = kinds(settings)[name]
    if isinstance(value, str) and kind is not bool:
        return from_text(settings, name, value)
    alone = get_origin(kind) is tuple and isinstance(value, int | float) and not isinstance(value, bool)
    return (value,) if alone else value


def by_flag(settings: type[Settings]) -> dict[str, str]:
    """The names of the fields, by their options without the dashes."""
    return {option_name(option).removeprefix("--"): name for name, option in options(settings).items()}


def as_typed(kind: type[Settings], given: Mapping[str, Any]) -> list[str]:
    """Values of settings, by their options without the dashes, as they are typed."""
    fields, found = by_flag(kind), []
    for flag, value in given.items():
        if flag in fields and kinds(kind)[fields[flag]] is bool:
            found.append(f"--{flag}" if value else f"--no-{flag}")
        elif flag in fields and options(kind)[fields[flag]].metadata["repeated"]:
            found += [word for one in value for word in (f"--{flag}", one)]
        else:
            found += [f"--{flag}", typed(tuple(value)) if isinstance(value, list | tuple) else str(value)]
    return found


def changed(settings: Settings, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Settings that have not their defaults, by their options without the dashes; of `values` instead if given."""
    found, own = vars(settings) if values is None else values, options(type(settings)).values()
    return {option_name(option)[2:]: found[option.name] for option in own if found[option.name] != option.default}


def renamed_files(name: str, value: Any, rename: Callable[[str], str]) -> Any:
    """A setting in whose text files are named, with the files by other names; any other as it is."""
    if name == "mask" and value is not None:
        return renamed_mask(value, rename)
    if name == "region":
        return tuple(str(RegionFiles.parsed(one).renamed(rename)) for one in value)
    if name == "first":
        return tuple(KeyFile.of_first(one).renamed(rename).as_first() for one in value)
    if name == "key":
        return tuple(KeyFile.of_key(one).renamed(rename).as_key() for one in value)
    return value


def named_files(name: str, value: Any) -> list[str]:
    """The files that such a setting names; none for any other."""
    found = list[str]()

    def keep(file: str) -> str:
        found.append(file)
        return file

    renamed_files(name, value, keep)
    return found


def nearest(word: str, known: Collection[str]) -> str:
    """A question after the known word that is meant; "" if none is similar."""
    found = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {found[0]!r}?" if found else ""


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

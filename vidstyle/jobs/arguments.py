"""Type checks of the public functions' arguments: a wrong one is refused with a sentence, before any work."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from vidstyle.errors import UsageError
from vidstyle.settings import Settings
from vidstyle.system.outofmemory import memory_errors

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, but a `UsageError` for an argument that is not what its annotation says.

    And a `MemoryLimitError` where memory runs out.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            fits, wanted = KINDS[str(signature.parameters[name].annotation)]
            if not fits(value):
                raise UsageError(f"{name} is {_said(value)}; give {wanted}")
        with memory_errors():
            return function(*args, **kwargs)

    return call


def _is_file(value: object) -> bool:
    return isinstance(value, str | Path)


def _are_files(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(map(_is_file, value))


def _is_call(value: object) -> bool:
    return value is None or callable(value)


def _said(value: object) -> str:
    text = f"{value!r}"
    return text if len(text) <= 60 else f"a {type(value).__name__}"


Kind = tuple[Callable[[Any], bool], str]  # whether a value is of it; what to give instead
CALL: Kind = (_is_call, "a function, or None")
KINDS: dict[str, Kind] = {  # by annotation
    "File": (_is_file, "a path, as text or pathlib.Path"),
    "Sequence[File]": (_are_files, "a list of paths, even of a single one"),
    "Outputs": (lambda value: _is_file(value) or _are_files(value), "a path or a list of paths"),
    "Settings | None": (lambda value: value is None or isinstance(value, Settings), "vidstyle.Settings(...), or None"),
    "Settings": (lambda value: isinstance(value, Settings), "vidstyle.Settings(...)"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "int": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "OnFrame | None": CALL,
    "OnFitted | None": CALL,
    "OnNote | None": CALL,
    "OnPainted | None": CALL,
    "OnStep | None": CALL,
}

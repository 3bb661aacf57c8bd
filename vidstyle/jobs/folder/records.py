"""Frozen dataclasses as JSON and back, with every value checked against the type of its field."""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vidstyle.errors import UsageError

RATIONAL = re.compile(r"-?\d{1,40}(/\d{1,40})?", re.ASCII)  # Fraction itself reads 1e999999999, for ever

T = TypeVar("T")


def as_json(value: Any) -> Any:
    """`value` as `json.loads` would give it back: a dataclass is a dict, a tuple a list, a fraction a text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_json(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(one) for one in value]
    return str(value) if isinstance(value, Fraction) else value


def parsed(text: bytes) -> dict[str, Any]:
    """The object that a JSON text holds. Raises `ValueError` for every other text."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("it holds no JSON object")
    return found


def read(kind: type[T], found: Any) -> T:
    """The dataclass `kind` from what `as_json` made of one.

    Fields may be str, int, float, Fraction, literals, dataclasses, tuples of any length, mappings from text, or one of
    these or None. One that has a default may be missing.

    Raises:
        ValueError: a field is unknown, missing, of another type or refused by the dataclass; the text names it.
    """
    if not isinstance(found, dict):
        raise ValueError(f"{_short(found)} is no {kind.__name__}")
    hints = get_type_hints(kind)
    if unknown := set(found) - set(hints):
        raise ValueError(f"{kind.__name__} has no {min(unknown)!r}")
    values = {}
    for name, value in found.items():
        try:
            values[name] = _read(hints[name], value)
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            raise ValueError(f"{name}: {error}") from error
    try:
        return kind(**values)
    except (TypeError, UsageError) as error:  # one is missing, or settings are refused
        raise ValueError(str(error)) from error


def _read(kind: Any, value: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        return None if value is None else _read(inner[0], value)
    if origin is Literal and value in inner and isinstance(value, str):
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_read(inner[0], one) for one in value)
    if origin is Mapping and isinstance(value, dict):
        return {name: _read(inner[1], one) for name, one in value.items()}
    if dataclasses.is_dataclass(kind):
        return read(kind, value)  # type: ignore[arg-type]
    if kind is Fraction and isinstance(value, str) and RATIONAL.fullmatch(value):
        return Fraction(value)
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    raise ValueError(f"{_short(value)} is no {getattr(kind, '__name__', kind)}")


def _short(value: Any) -> str:
    return f"{value!r:.40}"

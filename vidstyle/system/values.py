"""The types and ranges of settings, and what a mistyped number was meant to be."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, get_args, get_origin

from vidstyle.errors import UsageError

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?[0-9]+")
LEAST_SIDE = 16  # pixels of the shorter side of a picture: the deepest layers then see one position
LARGEST = 10**6  # pixels, seconds or evaluations; far more than any machine can do
LONG_SIDE: dict[str, Any] = {"low": LEAST_SIDE, "high": LARGEST, "zero": True}
HEAVIEST = 1e6  # weight beside losses of about 1; nothing else would count
SLOWEST = 0.01  # frames per second: each then is shown for 100 s
SHARES = {"half": 0.5, "quarter": 0.25}
DIGITS = 20  # of a whole number; none is longer and in range
NAMES: dict[type, str] = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def setting(
    default: Any,
    text: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    zero: bool = False,
    paints: bool = True,
    flag: str | None = None,
    words: Mapping[str, int] | None = None,
    repeated: str = "",
) -> Any:
    """A field of a class of settings: its default, its sentence and its range, written once.

    Args:
        low, high: inclusive bounds of a number (of each number of a tuple).
        above: exclusive lower bound.
        zero: 0 is allowed, too.
        paints: whether it changes the painted frames; a job can be resumed with another value of one that does not.
        flag: the name of the command-line option where it differs from the field's.
        words: what may be typed instead of some numbers.
        repeated: the form of a text that may be given several times, each as a whole.
    """
    metadata = {"text": text, "low": low, "high": high, "above": above, "zero": zero}
    metadata |= {"paints": paints, "flag": flag, "words": words or {}, "repeated": repeated}
    return field(default=default, metadata=metadata)


def out_of_range(option: dataclasses.Field[Any], value: float) -> str:
    """What a number must be if it is not; "" if it is."""
    low, high, above, zero = (option.metadata[key] for key in ("low", "high", "above", "zero"))
    if (math.inf > value >= low and above < value <= high) or (zero and value == 0):
        return ""
    wanted = [f"at least {said(low)}" if low > -math.inf else "", f"above {said(above)}" if above > -math.inf else ""]
    wanted += [f"at most {said(high)}" if high < math.inf else ""]
    text = " and ".join(word for word in wanted if word) or "a finite number"
    return f"0, or {text}" if zero else text


def said(number: float) -> str:
    """A number in a message."""
    try:
        return f"{number:.10g}"
    except OverflowError:  # a whole number of more than three hundred digits
        return "too large"


def number(text: str, name: str) -> float:
    """A number as it is typed. Raises `UsageError` for anything else, with what may have been meant."""
    if NUMBER.fullmatch(text.strip()):
        return float(text)
    raise UsageError(f"{name} is {text!r}, which is no number; {meant(text) or 'give one like 0.5'}")


def whole(text: str, name: str) -> int:
    """A whole number as it is typed. Raises `UsageError` for anything else."""
    if WHOLE.fullmatch(text.strip()):
        return int(text.strip()[: DIGITS + 1])
    raise UsageError(f"{name} is {text!r}, which is no whole number; give one like 12")


def meant(text: str) -> str:
    """A question after the number that a text may stand for, like 50% or 0,3; "" if that is not clear."""
    plain = unicodedata.normalize("NFKC", text).strip().lower().replace("\N{FRACTION SLASH}", "/")
    value = SHARES.get(plain)
    if found := re.fullmatch(rf"({NUMBER.pattern})\s*%", plain):
        value = float(found[1]) / 100
    elif re.fullmatch(r"[+-]?[0-9]*,[0-9]+", plain):
        value = float(plain.replace(",", "."))
    elif (found := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", plain)) and int(found[2]):
        value = int(found[1]) / int(found[2])
    return "" if value is None else f"did you mean {value:g}?"


def converted(value: Any, kind: Any, name: str) -> Any:
    """A value as its setting keeps it: a list as a tuple, a path as text, a scalar of NumPy as Python's.

    Args:
        kind: the annotation of the setting.
        name: of the setting, for messages.

    Raises:
        UsageError: it is of another type.
    """
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        inner = (str,)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(
                f"{name} is {value!r}; it must be a tuple of {_named(get_args(inner[0]) or inner[:1])} each"
            )
        return tuple(converted(part, inner[0], name) for part in value)
    kinds = inner or (kind,)
    if value is None and type(None) in kinds:
        return None
    if str in kinds and isinstance(value, str | os.PathLike):
        return os.fspath(value)
    wanted = (*kinds, int) if float in kinds else kinds
    if isinstance(value, wanted) and (bool in kinds or not isinstance(value, bool)):
        return value
    raise UsageError(f"{name} is {value!r}; it must be {_named(kinds)}")


def _named(kinds: Sequence[type]) -> str:
    return " or ".join(NAMES.get(one, "None") for one in kinds)

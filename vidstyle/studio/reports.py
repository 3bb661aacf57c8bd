"""The report of a painted clip: the command that measures it, and the figures that the page shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidstyle.studio import texts

NOT_MEASURED = ("--mask", "--feather", "--region", "--first", "--key", "--first-weight")  # have a value, are not taken
LARGEST = 50 * 10**6  # bytes of a report that is read


def names(output: str) -> tuple[str, str]:
    """The files of the report of an output: the page, and the figures."""
    stem = output.rpartition(".")[0]
    return f"{stem}.report.html", f"{stem}.report.json"


def words(arguments: Sequence[str]) -> list[str]:
    """The words after `vidstyle` that measure what a command `video` of the queue has painted.

    Args:
        arguments: of that command: content, styles, -o and the output, options.
    """
    end = arguments.index("-o")
    _, content, *styles = arguments[:end]
    output = arguments[end + 1]
    page, figures = names(output)
    found = ["measure", content, output, "-o", page, "-o", figures]
    found += [word for style in styles for word in ("--style", style)]
    options = iter(arguments[end + 2 :])
    for word in options:
        if word in NOT_MEASURED:
            next(options)
        elif word != "--keep-job":
            found.append(word)
    return [*found, "-y"]


def figures(path: Path) -> list[tuple[str, str]]:
    """Names and values of the figures of a report that say most; none if it cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            return []
        found = json.loads(path.read_bytes())
        return [(name, value) for name, value in _figures(found) if value]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return []


def _figures(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    beside = found["independence"] or {}
    yield texts.FLICKER, _share(beside.get("warping_ratio"))
    yield texts.WARPING, _number(found["consistency"][0]["warping"]["mean"])
    yield texts.STYLE_DISTANCE, _number(beside.get("style"))
    yield texts.STYLE_RATIO, _share(beside.get("style_ratio"))
    sharpness = found["drift"]["corrected_sharpness"]["last"]
    yield texts.SHARPNESS, _share(sharpness)


def _share(value: Any) -> str:
    return f"{100 * value:.3g} %" if isinstance(value, int | float) else ""


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else ""

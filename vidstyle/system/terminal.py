"""Substitutes for characters that the encoding of a terminal or file lacks, so that printing never fails."""

from __future__ import annotations

import codecs
import io
import sys

ERRORS = "vidstyle"  # the name of the error handler, as `open` takes one
INSTEAD = {
    **dict.fromkeys("▁▂", "_"),
    **dict.fromkeys("▃▄", "-"),
    **dict.fromkeys("▅▆", "="),
    **dict.fromkeys("▇█", "#"),
    **dict.fromkeys("━─–—", "-"),
    **dict.fromkeys("│╸╺", "|"),
    "└": "+",
    "•": "*",
    "÷": "/",
    "×": "x",
    "³": "^3",
    "…": "...",
    "’": "'",
    "→": "->",
}


def make_readable() -> None:
    """Let standard output and standard error take any text, whatever their encoding: cp1252, Latin-1, ASCII."""
    codecs.register_error(ERRORS, _instead)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _instead(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(INSTEAD.get(letter, "?") for letter in error.object[error.start : error.end]), error.end

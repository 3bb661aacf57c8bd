"""Prints the notes of a job (warnings of the logger "vidstyle") on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from vidstyle.cli.progress import tell_note

vidstyle = logging.getLogger("vidstyle")


@contextmanager
def notes_told(quiet: bool) -> Iterator[None]:
    """Print each note once, between the lines of a bar; none if `quiet`."""
    teller = _Teller()
    if not quiet:
        vidstyle.addHandler(teller)
    try:
        yield
    finally:
        vidstyle.removeHandler(teller)


class _Teller(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self.told:
            self.told.add(text)
            tell_note(text)

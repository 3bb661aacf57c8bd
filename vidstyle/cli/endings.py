"""Error handling of the commands: one sentence and an exit code for each error; and the log of `--verbose`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from vidstyle.cli.progress import console
from vidstyle.errors import VidstyleError
from vidstyle.system import exits, signals
from vidstyle.system.outofmemory import is_out_of_memory, require_room_for_libraries


@contextmanager
def errors_told(*, verbose: bool = False, given: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Turn a foreseen error into one sentence and its exit code; an interruption says how to resume.

    Args:
        verbose: print what a report of a bug needs, too.
        given: the options as they were typed.
    """
    with _told(exits.AGAIN):
        require_room_for_libraries()
        with _logged(given) if verbose else nullcontext():
            yield


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """An interruption leaves nothing behind to resume from."""
    with _told("nothing was written"):
        yield


@contextmanager
def _told(hope: str) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        stopped = signals.received() or isinstance(error, KeyboardInterrupt)
        if not (stopped or isinstance(error, VidstyleError) or is_out_of_memory(error)):
            raise
        code, text = exits.outcome(error, hope)
        console.print(f"vidstyle: {text}", style=None if stopped else "red", markup=False, soft_wrap=True)
        raise exits.Ended(code) from error


@contextmanager
def _logged(given: Mapping[str, Any] | None) -> Iterator[None]:
    """Print on what machine this runs, what the library logs, how long the stages took, and where a bug is."""
    from vidstyle.system import facts, stopwatch  # not at the top: torch is imported

    log, shown = logging.getLogger("vidstyle"), _Shown()
    before = log.level
    log.addHandler(shown)
    log.setLevel(logging.INFO)
    try:
        for line in (*facts.machine(), facts.options(given or {})):
            log.info("%s", line)
        with stopwatch.recording() as seconds:
            yield
    except Exception as error:
        if not isinstance(error, VidstyleError):
            log.info("%s", facts.trace(error))
        raise
    finally:
        log.info("seconds: %s", ", ".join(f"{name} {took:.2f}" for name, took in seconds.items()) or "none")
        log.removeHandler(shown)
        log.setLevel(before)


class _Shown(logging.Handler):
    """Prints between the lines of a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:  # notes are told anyway
            console.print(record.getMessage(), markup=False, soft_wrap=True)

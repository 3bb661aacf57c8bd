"""The exit code and the sentence of whatever ended a run. Needs no library, so that it always works."""

from __future__ import annotations

import errno
import signal

from vidstyle.errors import DiskError, MemoryLimitError, UsageError, VidstyleError
from vidstyle.system import signals
from vidstyle.system.outofmemory import is_out_of_memory, sentence

BUG = VidstyleError.exit_code
BROKEN_PIPE = 128 + getattr(signal, "SIGPIPE", 13)
AGAIN = "the same command goes on where this one stopped"


class Ended(SystemExit):
    """The run is over and its sentence is told; `code` is the exit code."""


def outcome(error: BaseException, hope: str = AGAIN) -> tuple[int, str]:
    """The exit code for an error, and a sentence, which is empty if nobody is there to read it.

    Args:
        hope: what an interruption leaves.
    """
    if isinstance(error, KeyboardInterrupt) or signals.received():  # in a library it may have become another error
        return signals.exit_code(), f"{signals.cause()}; {hope}"
    if not isinstance(error, MemoryLimitError) and is_out_of_memory(error):
        return MemoryLimitError.exit_code, sentence(error)
    if isinstance(error, VidstyleError):
        return error.exit_code, str(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "vidstyle").partition(".")[0] != "vidstyle":
        return UsageError.exit_code, f"{error.name} is not installed; run pip install --upgrade vidstyle"
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE, ""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return DiskError.exit_code, "standard output cannot be written: its disk is full"
    return BUG, bug(error)


def bug(error: BaseException) -> str:
    """A sentence for an unforeseen error."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"this is a bug in vidstyle ({reason}); run the same command again with -v and report what it prints"

"""The command `vidstyle`, and `python -m vidstyle`."""

from __future__ import annotations

from vidstyle.system import environment

if __name__ == "__main__":
    environment.import_from_elsewhere()

import contextlib
import os
import sys
from typing import NoReturn

from vidstyle.system import exits, signals, terminal
from vidstyle.system.collecting import uncollected


def main() -> NoReturn:
    """Run the command line, and end the process with its exit code. From here on, signals stop it cleanly."""
    signals.install()
    terminal.make_readable()
    try:
        code = _run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException as error:
        code, text = exits.outcome(error)
        if text:
            signals.say(f"vidstyle: {text}")
        _leave(code)
    if signals.received() or code == exits.BROKEN_PIPE:
        _leave(code)
    sys.exit(code)


def _run() -> int:
    """Run the command, which prints its own messages; its exit code."""
    try:
        with uncollected():
            from vidstyle.cli import app  # here: an import takes time, and may be interrupted or lack memory

        app(prog_name="vidstyle")
    except exits.Ended as ended:
        return int(ended.code or 0)
    except SystemExit as ended:
        if signals.received():  # while the options were read
            raise
        if isinstance(ended.__context__, BrokenPipeError):  # nobody reads the output
            return exits.BROKEN_PIPE
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _leave(code: int) -> NoReturn:
    """End at once: what Python does at its end takes seconds, is no place for a signal, and writes to broken pipes."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

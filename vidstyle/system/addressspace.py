"""A check that the libraries fit below a limit on the address space (`ulimit -v`), before they are needed.

Where they do not, the C code in them ends the process, or crashes it, with no word to Python. So where there is a limit
they are imported in a forked process first. Needs none of them.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import warnings
from typing import NoReturn

from vidstyle.errors import MemoryLimitError
from vidstyle.system import libraries, limits

START = 400 * 10**6  # bytes that the first small painting takes, most of it for code that oneDNN writes
ENOUGH = 8.0  # GB: the libraries with CUDA take 4, threads and a picture the rest
LARGE = ("vidstyle.api", "cv2")  # what every painting imports; clips take more


def require() -> None:
    """Raise `MemoryLimitError` if a limit of this process is too low for its libraries, with some room to paint in."""
    limited = limits.rlimits()
    if not limited or "torch" in sys.modules:
        return
    left = _left_after_imports()
    if left is not None and left > START:
        return
    name, flag = ("RLIMIT_AS", "-v") if "RLIMIT_AS" in limited else ("RLIMIT_DATA", "-d")
    raise MemoryLimitError(
        f"the libraries that paint do not fit below the limit of {limited[name] / 1e9:.1f} GB that is set here, "
        f"whatever the --size; set {max(ENOUGH, 2 * limited[name] / 1e9):.0f} GB or more, or none: "
        f"ulimit {flag} unlimited"
    )


def _left_after_imports() -> int | None:
    """Bytes that the limits leave once all is imported; None if that ended the process that tried."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a thread waits for signals; the child needs no lock of it
        child = os.fork()
    if child == 0:
        _import_and_tell(writing)
    os.close(writing)
    try:
        with open(reading) as told:
            text = told.read()
        return json.loads(text) if text else None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _import_and_tell(writing: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        silent = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(silent, stream)
        present = set(libraries.CLIP_LIBRARIES) - set(libraries.missing())
        for name in (*LARGE, *sorted(present)):
            importlib.import_module(name)
        os.write(writing, json.dumps(limits.rlimits_available()).encode())
    finally:
        os._exit(0)

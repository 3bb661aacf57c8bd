"""Running out of memory: which errors mean it, and a check that the libraries fit below the limits of this process.

Needs no library: the import of one may be what ran out of memory, in Python, the system, torch, oneDNN, OpenCV, PyAV or
Pillow. Where a library does not fit, the C code in it, or the system, ends the process with no word to Python. So where
there is a limit they are imported in a forked process first.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, NoReturn

from vidstyle.errors import MemoryLimitError
from vidstyle.system import libraries, limits

# What libraries say who have no class for it. "failed to map segment" is the loader of shared libraries; "could not
# create a primitive" is oneDNN, which says no more.
TEXTS = re.compile(
    r"out of memory"  # torch on CUDA and MPS, the CUDA runtime, Pillow's decoders
    r"|(can'?t|cannot|can not|failed to|unable to|could not) (be )?allocate"  # torch on a CPU, ENOMEM, OpenCV, numpy
    r"|not enough memory|insufficient memory|memory allocation (error|fail)|std::bad_alloc|bad allocation"
    r"|failed to map segment|cannot apply additional memory protection"
    r"|could not (create|execute) a (primitive|memory)"
    r"|ALLOC_FAILED"  # cuBLAS, cuDNN, cuFFT, cuSOLVER
    r"|can't start new thread|pthread_create failed",
    re.IGNORECASE,
)
ADVICE = "give a smaller --size, --low-memory, --network compact, or end other programs"

START = 400 * 10**6  # bytes of address space that the first small painting takes, most for code that oneDNN writes
START_USED = 150 * 10**6  # of them in use, which is what a control group counts
ENOUGH = 8.0  # GB of address space: the libraries with CUDA take 4, threads and a picture the rest
AMPLE = 2 * 10**9  # bytes: the libraries use a quarter of them
LARGE = ("vidstyle.api", "cv2")  # what every painting imports; clips take more


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out at the root of `error`: itself, or what it was raised from or in the handling of."""
    return any(_says_so(one) for one in _chain(error))


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise `MemoryLimitError` for every error in the block, or the function, that means that memory ran out."""
    try:
        yield
    except MemoryLimitError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryLimitError(sentence(error)) from error


def sentence(error: BaseException) -> str:
    """What ran out and what to do, with the reason that was given, cut short."""
    root = next(one for one in _chain(error) if _says_so(one))
    reason = " ".join(str(root).split())[:120] or type(root).__name__
    return f"memory ran out ({reason}); {ADVICE}"


def require_room_for_libraries() -> None:
    """Raise `MemoryLimitError` if the limits of this process are too low for its libraries and a start.

    These are its resource limits and those of its control groups, as a container has.
    """
    limited, free = limits.rlimits(), limits.groups_available()
    small_group = free is not None and free < AMPLE
    if "torch" in sys.modules or not (limited or small_group):
        return
    tried = _try_imports()
    address_space, group = tried.left or (0, 0)
    if limited and (address_space or 0) <= START:
        name, flag = ("RLIMIT_AS", "-v") if "RLIMIT_AS" in limited else ("RLIMIT_DATA", "-d")
        raise MemoryLimitError(
            f"the libraries that paint do not fit below the limit of {limited[name] / 1e9:.1f} GB that is set here, "
            f"whatever the --size; set {max(ENOUGH, 2 * limited[name] / 1e9):.0f} GB or more, or none: "
            f"ulimit {flag} unlimited"
        )
    if free is not None and (tried.killed or (tried.left is not None and (group or 0) <= START_USED)):
        raise MemoryLimitError(
            f"the libraries that paint do not fit into the {free / 1e9:.2f} GB that the control group of this process "
            f"has left, whatever the --size; allow the container, or the service, {AMPLE / 1e9:.0f} GB or more"
        )


def require_free(size: float, what: str, free: int | None = None) -> None:
    """Raise `MemoryLimitError` if `what` takes more bytes than are free: the system would end the process, unsaid.

    Args:
        free: bytes; as many as the system says if None.
    """
    free = limits.available() if free is None else free
    if free is not None and free < size:
        raise MemoryLimitError(
            f"{what} takes {size / 1e9:.2f} GB of memory and {free / 1e9:.2f} GB are free; "
            "give --network compact, end other programs or raise the limit"
        )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return bool(TEXTS.search(str(error)))


class _Tried(NamedTuple):
    left: tuple[int | None, int | None] | None  #: bytes that the two kinds of limit leave; None: they were not imported
    killed: bool  #: by the system, as it does where a control group is full


def _try_imports() -> _Tried:
    """Import all in a process of its own."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a thread waits for signals; the child needs no lock of it
        child = os.fork()
    if child == 0:
        _import_and_tell(writing)
    os.close(writing)
    status = None
    try:
        with open(reading) as told:
            text = told.read()
        _, status = os.waitpid(child, 0)
    finally:
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return _Tried(tuple(json.loads(text)) if text else None, killed)


def _import_and_tell(writing: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")  # if the system has to end a process, let it be this one
        silent = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(silent, stream)
        present = set(libraries.CLIP_LIBRARIES) - set(libraries.missing())
        for name in (*LARGE, *sorted(present)):
            importlib.import_module(name)
        os.write(writing, json.dumps([limits.rlimits_available(), limits.groups_available()]).encode())
    finally:
        os._exit(0)

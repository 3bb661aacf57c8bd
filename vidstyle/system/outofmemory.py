"""Whether an error means that memory ran out, in Python, the system, torch, oneDNN, OpenCV, PyAV or Pillow.

Needs no library: the import of one may be what ran out of memory.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from vidstyle.errors import MemoryLimitError

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

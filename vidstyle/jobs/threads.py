"""The number of threads of torch, which on a CPU decides the last bits of every sum, so that it belongs to a job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

_changing = threading.Lock()
_beside = threading.local()  # what a thread of a pool works beside


@contextmanager
def computing_with(count: int | None) -> Iterator[None]:
    """In this thread torch computes with `count` threads until the block is left; None changes nothing.

    Other threads keep their number: several jobs of one process may each have another.
    """
    with _changing:  # a thread that asks for the first time is told a number that is not just being changed
        before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    _set_here(count)
    try:
        yield
    finally:
        _set_here(before)


def pool(size: int, name: str) -> ThreadPoolExecutor:
    """A pool of `size` threads that work beside the painting; in each of them torch computes with one thread.

    With more, each would have OpenMP threads of its own. Where these are more than the processors, GNU's OpenMP lets
    threads that wait sleep at once, those of the painting, too: a frame of 480x360 took 0.95 instead of 0.70 s.
    """
    return ThreadPoolExecutor(size, name, initializer=_work_beside, initargs=(_painting(),))


@contextmanager
def computing_as_the_painting() -> Iterator[None]:
    """In a thread of a `pool` torch computes with as many threads as the painting: what takes longer than that may."""
    with computing_with(_painting()):
        yield


def _painting() -> int:
    """The number of threads that the painting beside this thread computes with; elsewhere, that of this thread."""
    return getattr(_beside, "painting", None) or torch.get_num_threads()


def _work_beside(painting: int) -> None:
    _beside.painting = painting
    _set_here(1)


def _set_here(count: int) -> None:
    """Set the number of this thread alone.

    torch keeps one number a thread, and one that a thread takes over when it first asks. Setting a number sets both,
    so the second is put back, by another thread.
    """
    if torch.get_num_threads() == count:  # it has asked now: what others set later does not reach this thread
        return
    with _changing, ThreadPoolExecutor(1) as other:
        usual = other.submit(torch.get_num_threads).result()
        torch.set_num_threads(count)
        other.submit(torch.set_num_threads, usual).result()

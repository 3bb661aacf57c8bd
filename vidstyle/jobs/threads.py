"""The number of threads of torch, which on a CPU decides the last bits of every sum, so that it belongs to a job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

_changing = threading.Lock()


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
    """A pool of `size` threads in which torch computes with as many threads as in the calling one."""
    return ThreadPoolExecutor(size, name, initializer=_set_here, initargs=(torch.get_num_threads(),))


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

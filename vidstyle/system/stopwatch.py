"""Wall times of the named stages of a job, while they are recorded.

    with recording() as seconds:
        render(...)                     # which says `with stage("save"): ...` at its places
    seconds["save"]

A stage costs about a microsecond while nobody records. Stages run in any thread: those of two threads may overlap, so
their sum may exceed the time on the wall. A stage inside another counts in both; whoever wants them apart subtracts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

T = TypeVar("T")

_recordings: list[dict[str, float]] = []
_lock = threading.Lock()


@contextmanager
def recording() -> Iterator[dict[str, float]]:
    """Record all stages, of every thread, that begin and end inside; by name, the sum of their wall seconds."""
    seconds: dict[str, float] = {}
    with _lock:
        _recordings.append(seconds)
    try:
        yield seconds
    finally:
        with _lock:
            _recordings[:] = [other for other in _recordings if other is not seconds]


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the wall seconds of the block to `name`."""
    if not _recordings:
        yield
        return
    with _lock:
        listening = list(_recordings)
    began = time.perf_counter()
    try:
        yield
    finally:
        took = time.perf_counter() - began
        with _lock:
            for seconds in _recordings:
                if any(seconds is other for other in listening):
                    seconds[name] = seconds.get(name, 0.0) + took


def each(name: str, items: Iterable[T]) -> Generator[T]:
    """The same items; the wall seconds that each is waited for are added to `name`."""
    iterator, end = iter(items), object()
    while True:
        with stage(name):
            item = next(iterator, end)
        if item is end:
            return
        yield cast(T, item)

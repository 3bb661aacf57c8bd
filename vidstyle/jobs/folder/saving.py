"""Painted frames are saved beside the painting, by threads of their own, and enter the journal in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager

from vidstyle.jobs.folder import states
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.threads import pool
from vidstyle.system.stopwatch import stage
from vidstyle.types import Result, State

THREADS = 2  # while one writes to the disk, the other encodes
QUEUED = 4  # frames that are not saved yet, at most: what a kill costs besides the one that is being painted

Save = Callable[[Result, State], None]


@contextmanager
def saving(job: JobFolder, device: str) -> Iterator[Save]:
    """What saves a frame with the state after it, soon. Once too many wait, it waits itself.

    It raises what saving an earlier frame has raised: `DiskError`, `JobError`. However the block is left, the frames
    that were given are saved first, and the threads are joined.

    Args:
        device: the kind that paints.
    """
    waiting: deque[Future[None]] = deque()

    def save(result: Result, state: State) -> None:
        while waiting and (len(waiting) == QUEUED or waiting[0].done()):
            _wait(waiting.popleft())
        before = waiting[-1] if waiting else None
        # To the CPU here, not in another thread: CUDA allows no work there while this one records a graph.
        waiting.append(threads.submit(_save, job, result, states.on_cpu(state), device, before))

    with ExitStack() as stack:
        stack.callback(job.flush)
        threads = stack.enter_context(pool(THREADS, "vidstyle-save"))
        yield save
        while waiting:
            _wait(waiting.popleft())


def _wait(saved: Future[None]) -> None:
    with stage("wait"):
        saved.result()


def _save(job: JobFolder, result: Result, state: State, device: str, before: Future[None] | None) -> None:
    with stage("save"):
        if before is None:
            job.save(result, state, device)
        else:
            job.save(result, state, device, after=before.result)

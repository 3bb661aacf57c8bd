"""The workers of a job: how many, with how many threads each, and on which devices."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch

from vidstyle.errors import JobError, MemoryLimitError
from vidstyle.executors.dispatch import Work, Workers
from vidstyle.executors.processes import Processes
from vidstyle.jobs.arguments import RunOptions
from vidstyle.system.sites import said

ON_RAY = 1  # thread of a worker: many shots at once take less time than few with more threads each
VISIBLE = "CUDA_VISIBLE_DEVICES"


def threads_of(run: RunOptions) -> int:
    """The number of threads with which each worker computes, or this process if there are none."""
    if run.threads is not None:
        return run.threads
    if run.workers == "ray":
        return ON_RAY
    return max(torch.get_num_threads() // (run.workers or 1), 1)


def require_threads(run: RunOptions, kept: int | None) -> None:
    """Raise `JobError` if `run` asks for another number of threads than an interrupted job has `kept`."""
    if run.threads is not None and kept is not None and run.threads != kept:
        raise JobError(
            f"--threads is {run.threads}, and what is painted was with {kept}: other numbers may give other last bits; "
            f"give --threads {kept} or leave it out, or paint anew with --restart"
        )


def workers_of(run: RunOptions, work: Work, threads: int, device: torch.device) -> AbstractContextManager[Workers]:
    """Those that a call asks for. Raises `UsageError` if they cannot be had."""
    assert run.workers is not None
    if run.workers == "ray":
        from vidstyle.executors.cluster import Cluster  # not at the top: it is asked for rarely

        return Cluster(work, run.ray_address, threads, int(device.type == "cuda"))
    added = {"OMP_NUM_THREADS": str(threads)}
    if device.type != "cuda" or (count := torch.cuda.device_count()) < 2:
        return Processes(work, run.workers, [added])
    names = os.environ.get(VISIBLE, "").split(",") if os.environ.get(VISIBLE) else [str(one) for one in range(count)]
    return Processes(work, run.workers, [{**added, VISIBLE: name} for name in names[:count]])


def require_memory_for_all(count: int, need: int, free: int | None) -> None:
    """Raise `MemoryLimitError` if `count` workers on this machine need more than is free of what each needs."""
    if free is not None and count * need > free:
        raise MemoryLimitError(
            f"{count} workers need about {said(count * need)} of memory and {said(free)} are free; the most that fit "
            f"are --workers {max(free // need, 1)}"
        )

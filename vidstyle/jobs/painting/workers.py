"""The workers of a job: how many, with how many threads each, and on which devices."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager

import torch

from vidstyle.errors import JobError, MemoryLimitError
from vidstyle.executors.dispatch import Workers, dispatch
from vidstyle.executors.processes import Processes
from vidstyle.jobs.arguments import RunOptions
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.inputs import Inputs
from vidstyle.jobs.painting.shots import ShotKeeper, ShotWork, tell_devices
from vidstyle.settings import VideoSettings
from vidstyle.system.notes import tell
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


def paint_shots(
    job: JobFolder, work: ShotWork, inputs: Inputs, history: int, run: RunOptions, device: torch.device
) -> None:
    """Have the workers of a call paint what a job does not have yet.

    Args:
        inputs: checked for changes before a frame is saved.
        history: frames before one that it looks at, besides the one just before it.

    Raises:
        UsageError: these workers cannot be had, or not all are on one kind of device, and should be.
        VidstyleError: as painting does; or workers have died at the same frame again and again.
    """
    keeper = ShotKeeper(
        job,
        inputs,
        history,
        same_device=run.same_device,
        only_first=run.only_first,
        on_progress=run.on_progress,
        on_frame=run.on_frame,
    )
    if not keeper.units:
        return
    if len(keeper.units) == 1 and run.workers != 1:
        loop = isinstance(work.settings, VideoSettings) and work.settings.loop
        why = ", which --loop makes one of all: one worker paints it"
        tell(f"there is one shot to paint{why if loop else ': one worker paints it; --split-after splits a long one'}")
    with _workers(run, work, device) as workers:
        try:
            dispatch(workers, keeper.units, keeper)
        finally:
            job.flush()
    tell_devices(job)


def _workers(run: RunOptions, work: ShotWork, device: torch.device) -> AbstractContextManager[Workers]:
    """Those that a call asks for. Raises `UsageError` if they cannot be had."""
    assert run.workers is not None
    threads = work.threads
    if run.workers == "ray":
        from vidstyle.executors.cluster import Cluster  # not at the top: it is asked for rarely

        return Cluster(work, run.ray_address, threads, int(device.type == "cuda"))
    added = {"OMP_NUM_THREADS": str(threads)}
    if device.type != "cuda" or (count := torch.cuda.device_count()) < 2:
        return Processes(work, run.workers, [added])
    names = os.environ.get(VISIBLE, "").split(",") if os.environ.get(VISIBLE) else [str(one) for one in range(count)]
    return Processes(work, run.workers, [{**added, VISIBLE: name} for name in names[:count]])


def require_memory_for_all(count: int, device: torch.device, need: int, free: int | None) -> None:
    """Raise `MemoryLimitError` if `count` workers on this machine need more than is free of what each needs."""
    devices = max(torch.cuda.device_count(), 1) if device.type == "cuda" else 1
    if free is not None and math.ceil(count / devices) * need > free:
        raise MemoryLimitError(
            f"{count} workers need about {said(need)} of memory each and {said(free)} are free on each device; at most "
            f"as many fit as --workers {max(free // need, 1) * devices}"
        )

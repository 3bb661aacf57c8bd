"""Says before painting what a job will take, by measuring a few evaluations of it. Leaves no file."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import time
from collections.abc import Sequence, Set
from itertools import pairwise
from pathlib import Path
from typing import Any

from vidstyle.core import probe
from vidstyle.errors import UsageError
from vidstyle.jobs import prepared
from vidstyle.jobs.arguments import RunOptions
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.jobs.folder.opening import painted_before
from vidstyle.jobs.output.space import job_bytes, outputs_bytes
from vidstyle.jobs.painting.retiming import expected_times, pilot_work
from vidstyle.jobs.sheets import Sheet
from vidstyle.jobs.sources.balance import PictureSource
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.jobs.tasks import Task
from vidstyle.jobs.threads import computing_with
from vidstyle.lab.plan.figures import WORKERS, OnWorkers, Plan, PlannedShot, bound, makespan
from vidstyle.lab.plan.model import Model, fit
from vidstyle.lab.plan.probe import encoding_seconds, measured
from vidstyle.settings import (
    BalanceSettings,
    ImageSettings,
    PaintingSettings,
    SheetSettings,
    VideoSettings,
)
from vidstyle.settings.texts import as_typed, changed
from vidstyle.system.outofmemory import memory_errors
from vidstyle.system.version import __version__

File = str | Path
ASSUMES = (
    "the machine does as much beside the job as it does now",
    "a frame takes as many evaluations as in a small pilot, which paints frames from up to three places",
    "several workers are machines or devices like this one, as --workers has them; each paints whole shots, or the "
    "parts that --split-after makes of them, and the command itself reads, prepares and encodes",
    "nothing waits for a disk, and no search for --max-size is made",
)
ON_CPU = "on a CPU, decoding, optical flow and saving are not hidden behind the painting"
ON_DEVICE = "decoding, optical flow and saving run beside the painting"


def plan_job(
    content: File,
    styles: Sequence[File],
    outputs: Sequence[File],
    settings: PaintingSettings,
    run: RunOptions | None = None,
    *,
    budget: float | None = None,
) -> Plan:
    """What a job will take; the arguments are those of its public function.

    Args:
        outputs: where none are given, that of a clip is CONTENT-painted.mp4 in the working folder, whatever is there.
        budget: seconds that a clip may take.

    Raises:
        VidstyleError: as the public function of the job does before it paints.
    """
    began, run = time.perf_counter(), run or RunOptions()
    named = outputs or [f"{Path(content).stem}-painted.mp4"]
    with memory_errors():
        task, source, pilot_share = _prepared(content, styles, named, settings, run if outputs else _ANYWHERE)
        if not isinstance(source, Sheet):
            task.try_outputs(task.compositor(source), source.sound if isinstance(source, VideoSource) else None)
        task.require_room(source, task.outputs)
        manifest = task.manifest(max(source.playback) + 1)
        done = painted_before(task.outputs[0], manifest) if outputs and not run.restart else frozenset()
        started = time.perf_counter() - began
        with computing_with(manifest.threads):
            model, need, free = _measured(task, source, done, started, pilot_share)
    command = functools.partial(_command, content, styles, named, run)
    asked: dict[str, Any] = {
        "content": _name(content),
        "styles": [_name(style) for style in styles],
        "command": command(settings),
    }
    asked |= {"outputs": [os.fspath(one) for one in named], "memory_bytes": need, "memory_free_bytes": free}
    if budget is not None and isinstance(settings, VideoSettings):
        asked["fit"] = fit(model, settings, max(source.info.width, source.info.height), budget, command)
    return _plan(task, source, model, manifest, **asked)


def _plan(
    task: Task, source: VideoSource | PictureSource | Sheet, model: Model, manifest: Manifest, **known: Any
) -> Plan:
    """The plan of a job that was measured. `known`: what else it says, by the names of its fields."""
    info, each, costs = source.info, model.painting(), model.costs
    start, pilot, encoding = model.around()
    ahead = start + pilot + encoding
    return Plan(
        vidstyle=__version__,
        job=task.job,
        width=info.width,
        height=info.height,
        frames=manifest.frames,
        frames_left=manifest.frames - len(model.done),
        device=task.device.type,
        threads=manifest.threads,
        shots=_shots(source, model, each),
        first_frame=costs.first,
        later_frame=costs.later,
        first_frame_seconds=model.frame(costs.first),
        later_frame_seconds=None if costs.later is None else model.frame(costs.later),
        start_seconds=start,
        pilot_seconds=pilot,
        painting_seconds=sum(each),
        encoding_seconds=encoding,
        seconds=ahead + sum(each),
        workers=[OnWorkers(count, ahead + makespan(each, count), ahead + bound(each, count)) for count in WORKERS],
        job_folder_bytes=round(job_bytes(info, manifest.frames)),
        outputs_bytes=round(outputs_bytes(task.outputs, info, len(source.playback))),
        disk_free_bytes=shutil.disk_usage(task.outputs[0].parent).free,
        assumes=[*ASSUMES, ON_DEVICE if model.overlaps else ON_CPU],
        **known,
    )


_ANYWHERE = RunOptions(overwrite=True)


def _prepared(
    content: File, styles: Sequence[File], outputs: Sequence[File], settings: PaintingSettings, run: RunOptions
) -> tuple[Task, VideoSource | PictureSource | Sheet, float]:
    """The call and the source of a job, and the time of its pilot renders as a share of that of its painting."""
    task: Task
    if isinstance(settings, VideoSettings):
        return *prepared.video_of(content, styles, outputs, settings, run), 0.0
    if isinstance(settings, ImageSettings):
        return *prepared.image_of(content, styles, outputs, settings, run), 0.0
    if isinstance(settings, SheetSettings):
        if not styles:
            raise UsageError("a sheet without styles paints nothing; there is nothing to plan")
        settings = prepared.sheet_settings(content, styles, settings)
        return *prepared.sheet_of(content, styles, outputs, settings, run), 0.0
    assert isinstance(settings, BalanceSettings)
    task, animation, picture = prepared.balance_of(content, styles, outputs, settings, run)
    even = settings.space == "even"
    plan = animation.plan(expected_times(animation) if even else None)
    masks = task.mask(), task.region_masks()
    source = PictureSource(picture, settings, plan, *masks, starts_unpainted=settings.timelapse)
    share = pilot_work(max(source.info.width, source.info.height)) * len(animation.times) / len(plan.painted)
    return task, source, share if even else 0.0


def _measured(
    task: Task, source: VideoSource | PictureSource | Sheet, done: Set[int], started: float, pilot_share: float
) -> tuple[Model, int, int | None]:
    """The model of a job, the bytes of memory that it takes on its device, and those that are free."""
    edges = _edges(source)
    stylizer = task.stylizer()
    costs, painting = measured(source, stylizer, edges)
    encoding, info = 0.0, source.info
    if task.moving and not isinstance(source, Sheet):
        encoding = encoding_seconds(task.outputs, task.compositor(source), painting)
    beside = source.ahead.bytes if isinstance(source, VideoSource) else probe.no_bytes
    need, free = probe.needed(task.network, task.settings, (info.height, info.width), beside)
    overlaps = task.device.type != "cpu"
    return Model(costs, edges, done, started, pilot_share, encoding, overlaps), need, free


def _edges(source: VideoSource | PictureSource | Sheet) -> list[tuple[int, int]]:
    """First frames, and frames after the last, of what can be painted apart."""
    frames = max(source.playback) + 1
    if isinstance(source, VideoSource):
        return list(pairwise([*source.starts, frames]))
    return [(number, number + 1) for number in range(frames)] if isinstance(source, Sheet) else [(0, frames)]


def _shots(source: VideoSource | PictureSource | Sheet, model: Model, seconds: Sequence[float]) -> list[PlannedShot]:
    """What is painted apart, with the seconds of each."""
    found = []
    for (first, end), took in zip(model.shots, seconds, strict=True):
        left = model.left(first, end)
        if not isinstance(source, VideoSource):
            found.append(PlannedShot(first, end, None, None, left, took))
            continue
        before, times = source.clip.first, (*source.clip.times, source.clip.end_seconds)
        start, stop = source.seams.content(first), source.seams.content(end - 1) + 1  # what is painted twice is in both
        found.append(PlannedShot(before + start, before + stop, float(times[start]), float(times[stop]), left, took))
    return found


def _command(
    content: File, styles: Sequence[File], outputs: Sequence[File], run: RunOptions, settings: PaintingSettings
) -> str:
    """The command that paints with some settings, quoted for a shell."""
    words = ["vidstyle", settings.job, os.fspath(content), *(os.fspath(style) for style in styles)]
    words += [word for output in outputs for word in ("-o", os.fspath(output))]
    given = {
        "-y": run.overwrite,
        "--restart": run.restart,
        "--keep-job": run.keep_job,
        "--same-device": run.same_device,
    }
    numbers = {"--threads": run.threads, "--workers": run.workers, "--ray-address": run.ray_address}
    words += [word for name, value in numbers.items() if value is not None for word in (name, str(value))]
    return shlex.join(
        [*words, *as_typed(type(settings), changed(settings)), *(name for name, on in given.items() if on)]
    )


def _name(file: File) -> str:
    return os.path.basename(os.path.normpath(file))

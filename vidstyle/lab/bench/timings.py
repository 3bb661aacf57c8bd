"""Timings of one job in its parts: an evaluation, a still, warm-started frames, the whole job; and its scaling.

Every time ends when the device has done its work.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.probe import require_memory
from vidstyle.core.stylizer import Stylizer, resized, scales, size_of
from vidstyle.errors import MemoryLimitError
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.jobs.folder.opening import open_job
from vidstyle.jobs.painting.rendering import render
from vidstyle.jobs.sources.clips import SequenceSource, VideoSource
from vidstyle.lab.bench import figures, machine
from vidstyle.lab.bench.machine import Machine
from vidstyle.lab.results import ratio
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import engine, pick_device
from vidstyle.system.stopwatch import recording
from vidstyle.types import ClipInfo, Frame, Result

IN_A_ROW = {"cuda": 50, "mps": 20, "cpu": 8}  # iterations, to time one
SIZES = (256, 512, 1024, 2048, 4096)  # pixels of the long side
STYLES = (1, 2, 4)
PATIENCE = 20.0  # seconds of an evaluation after which no larger size is tried
ORDER = ("decode", "flow", "wait", "warp", "aim", "evaluate", "optimise", "save")  # of the stages of a frame
INSIDE = ("warp", "aim", "evaluate")  # stages of "optimise", of which the rest is left
BESIDE = {"decode": "ahead", "flow": "ahead", "save": "behind"}  # those that run in other threads


@dataclass(frozen=True, eq=False)
class Subject:
    """The `video` job that is measured, ready to run."""

    settings: VideoSettings
    network: FeatureNetwork
    styles: list[Tensor]  #: (3, H, W)
    source: SequenceSource
    frames: list[Frame]  #: the first frame of the clip and some that follow it in the same shot
    folder: Path  #: for files that nobody keeps

    @property
    def device(self) -> torch.device:
        """That of the settings."""
        return pick_device(self.settings.device)

    @property
    def still(self) -> Frame:
        """The first frame."""
        return self.frames[0]

    def stylizer(self, **changes: Any) -> Stylizer:
        """A new stylizer, as a job would make it, with some settings changed."""
        settings = dataclasses.replace(self.settings, **changes)
        return Stylizer(self.network, self.styles, settings)


def evaluation(subject: Subject, limits: Machine) -> figures.Evaluation:
    """Time the loss with its gradient, alone and as the iteration of a job, and compare with the machine's limits."""
    device, settings = subject.device, subject.settings
    height, width = size_of(subject.still.image)
    machine.forget_peak(device)
    in_a_row = IN_A_ROW[device.type]
    stylizer = subject.stylizer(coarse_to_fine=False, tolerance=0.0, first_iterations=in_a_row, init="content")
    with engine(device):
        alone = machine.median_seconds(evaluator(stylizer, subject.still), device)
        preparation = machine.median_seconds(lambda: stylizer.objective(subject.still), device)
    row = machine.median_seconds(lambda: stylizer.step(subject.still, None), device, least=2)
    iteration = (row - preparation) / in_a_row
    layers = (*settings.content_layers, *settings.style_layers)
    flops, traffic = work(subject.network, layers, settings.style_layers, height, width)
    shorter = min(alone, iteration)
    return figures.Evaluation(
        width=width,
        height=height,
        seconds=alone,
        iteration_seconds=iteration,
        flops=flops,
        peak_fraction=flops / shorter / limits.peak_flops,
        traffic=traffic,
        bandwidth_fraction=traffic / shorter / limits.copy_bandwidth,
        peak_bytes=machine.peak(device),
    )


def evaluator(stylizer: Stylizer, frame: Frame) -> Callable[[], Tensor]:
    """A function that computes the loss of a still and its gradient; good until the stylizer is asked for more."""
    objective, image = stylizer.objective(frame), frame.image.to(stylizer.device)[None]

    def evaluate() -> Tensor:
        x = image.clone().requires_grad_()
        return torch.autograd.grad(objective(x)[0], x)[0]

    return evaluate


def work(
    network: FeatureNetwork, layers: Sequence[str], style_layers: Sequence[str], height: int, width: int
) -> tuple[float, float]:
    """The floating-point operations of a loss and its gradient, and the bytes that they move at the least.

    Counted are convolutions up to the last of `layers` and Gram matrices, 2 operations a multiplication, as many again
    for the gradient; all else is below one in a hundred of that. Bytes are those of each convolution's result and its
    gradient, in and out, with everything else done in passing, as no library does it.
    """
    operations, traffic, last = 0, 0, max(layer[4:] for layer in layers)
    for name, convolution in network.convolutions.items():
        if name[4:] <= last and isinstance(convolution, nn.Conv2d):
            weight, channels, halvings = convolution.weight, convolution.out_channels, int(name[4]) - 1
            positions = (height >> halvings) * (width >> halvings)
            grams = sum(layer[4:] == name[4:] for layer in style_layers)
            operations += 4 * positions * (weight.numel() + grams * channels**2)
            traffic += 4 * positions * channels * weight.element_size()
    return float(operations), float(traffic)


def painting(subject: Subject) -> tuple[figures.Still, figures.WarmStart]:
    """Paint the first frame, those that follow, and the last of them once more as if it had no predecessor."""
    began = time.perf_counter()
    stylizer = subject.stylizer()
    first, state = stylizer.step(subject.still, None)
    sizes = scales(size_of(subject.still.image)) if subject.settings.coarse_to_fine else [None]
    still = figures.Still(time.perf_counter() - began, len(sizes), first.iterations, first.losses)
    results: list[Result] = []
    for frame in subject.frames[1:]:
        result, state = stylizer.step(frame, state)
        results.append(result)
    cold, _ = stylizer.step(dataclasses.replace(subject.frames[-1], motion=None), None)
    seconds = statistics.median(result.seconds for result in results)
    warm = figures.WarmStart(
        frames=len(results),
        seconds=seconds,
        evaluations=statistics.median(result.iterations for result in results),
        cold_seconds=cold.seconds,
        cold_evaluations=cold.iterations,
        speedup=cold.seconds / seconds,
        style_ratio=ratio(results[-1].losses["style"], cold.losses["style"]),
        content_ratio=ratio(results[-1].losses["content"], cold.losses["content"]),
    )
    return still, warm


def job_speed(subject: Subject, frames: int) -> figures.JobSpeed:
    """Run a whole job, from decoding to saved frames, and see where its time goes."""
    after: dict[int, float] = {}
    peaks: dict[int, int | None] = {}
    in_first: dict[str, float] = {}
    source = _Beginning(subject.source, frames)
    machine.forget_peak(subject.device)
    began = time.perf_counter()

    def on_frame(result: Result, _: int) -> None:
        done = result.index + 1
        after[done], peaks[done] = time.perf_counter() - began, machine.peak(subject.device)
        if done == 1:
            in_first.update(seconds)

    stylizer = subject.stylizer()
    with recording() as seconds, open_job(subject.folder / "bench.mp4", Manifest(frames)) as job:
        render(source, stylizer, job, on_frame)
    wall, later = time.perf_counter() - began, frames - 1
    decoded = isinstance(subject.source, VideoSource)  # else the pictures were there
    if not decoded:
        del seconds["decode"]
    for recorded in (in_first, seconds):
        recorded["optimise"] -= sum(recorded.get(name, 0.0) for name in INSIDE)
    return figures.JobSpeed(
        frames=frames,
        decoded=decoded,
        seconds=wall,
        frames_per_second=frames / wall,
        first_frame_seconds=after[1],
        later_frames_per_second=later / (after[frames] - after[1]) if later else None,
        stages=stages_of(seconds, in_first, frames),
        overlap=(sum(seconds.values()) - seconds.get("wait", 0.0)) / wall,
        waiting=seconds.get("wait", 0.0) / wall,
        seconds_after={done: took for done, took in after.items() if done.bit_count() == 1},
        peak_bytes_after={done: peak for done, peak in peaks.items() if done.bit_count() == 1},
        peak_bytes=peaks[frames],
    )


def stages_of(seconds: dict[str, float], in_first: dict[str, float], frames: int) -> list[figures.Stage]:
    """The stages of a job of `frames` frames, in the order of a frame.

    Args:
        seconds: of the whole job.
        in_first: until the first frame was painted. What runs in other threads has then done more or less than that
            frame; so its share of a frame is taken from the whole.
    """
    stages = []
    for name in sorted(seconds, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        later = None
        if frames > 1:
            done = 0.0 if name in BESIDE else in_first.get(name, 0.0)
            later = (seconds[name] - done) / (frames if name in ("decode", "save") else frames - 1)
        stages.append(figures.Stage(name, BESIDE.get(name, "loop"), seconds[name], later))
    return stages


class _Beginning:
    """The first frames of a source, as a `types.Source`."""

    def __init__(self, source: SequenceSource, frames: int) -> None:
        self.source = source
        self.playback: Sequence[int] = range(frames)
        self.info = ClipInfo(source.info.width, source.info.height, source.info.fps, frames)

    def frames(self, start: int) -> Generator[Frame]:
        with closing(self.source.frames(start)) as found:
            yield from itertools.islice(found, len(self.playback) - start)


def scaling_of(subject: Subject, on_part: Callable[[str], None]) -> figures.Scaling:
    """Time an evaluation at increasing sizes, up to the limits of memory and `PATIENCE`; and with several styles."""
    sizes: list[figures.SizePoint] = []
    left_out = ""
    for size in SIZES:
        on_part(f"an evaluation at {size} pixels")
        try:
            sizes.append(size_point(subject, size))
        except MemoryLimitError as error:
            left_out = str(error)
            break
        if sizes[-1].seconds > PATIENCE:
            left_out = f"an evaluation at {size} pixels took {sizes[-1].seconds:.0f} s"
            break
    missing = dict.fromkeys(SIZES[len(sizes) :], left_out)
    on_part("more styles")
    return figures.Scaling(sizes, missing, [styles_point(subject, count) for count in STYLES])


def size_point(subject: Subject, size: int) -> figures.SizePoint:
    """An evaluation of the still enlarged or shrunk to `size`. Raises `MemoryLimitError` if it would not fit."""
    device = subject.device
    machine.forget_peak(device)
    height, width = (round(side * size / max(size_of(subject.still.image))) for side in size_of(subject.still.image))
    image = resized(subject.still.image[None], (height, width)).clamp(0, 1)[0]
    require_memory(subject.network, subject.settings, (height, width))
    stylizer = subject.stylizer()
    with engine(device):
        evaluate = evaluator(stylizer, dataclasses.replace(subject.still, image=image))
        seconds = machine.seconds_of(evaluate, device, least=1, most=1, warm_up=False)[0]
        if seconds < PATIENCE / 5:
            seconds = machine.median_seconds(evaluate, device)
    return figures.SizePoint(size, width * height, seconds, machine.peak(device))


def styles_point(subject: Subject, count: int) -> figures.StylesPoint:
    """Prepare and evaluate the still in so many styles: the first one, rolled to be different pictures."""
    styles = [subject.styles[0].roll(97 * number, dims=2) for number in range(count)]
    stylizer = Stylizer(subject.network, styles, subject.settings)
    frame = dataclasses.replace(subject.still, mix=(1 / count,) * count)
    with engine(subject.device):
        objective = functools.partial(stylizer.objective, frame)
        prepare = machine.seconds_of(objective, subject.device, least=1, most=1, warm_up=False)[0]
        return figures.StylesPoint(count, prepare, machine.median_seconds(evaluator(stylizer, frame), subject.device))

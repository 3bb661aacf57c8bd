"""Timings of one job in its parts: an evaluation, a still, warm-started frames, the whole job.

Every time ends when the device has done its work.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.stylizer import Stylizer, scales, size_of
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.jobs.folder.opening import open_job
from vidstyle.jobs.rendering import render
from vidstyle.jobs.sources import SequenceSource, VideoSource
from vidstyle.lab.bench import machine
from vidstyle.lab.bench.figures import Evaluation, JobSpeed, Stage, Still, WarmStart
from vidstyle.lab.bench.machine import Machine
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import engine, pick_device
from vidstyle.system.stopwatch import recording
from vidstyle.types import ClipInfo, Frame, Result

IN_A_ROW = {"cuda": 50, "mps": 20, "cpu": 8}  # iterations, to time one
ORDER = ("decode", "flow", "wait", "warp", "optimise", "save")  # of the stages of a frame
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

    @property
    def decoded(self) -> bool:
        """Whether the pictures come out of a clip; else there is no decoding to measure."""
        return isinstance(self.source, VideoSource)

    def stylizer(self, **changes: Any) -> Stylizer:
        """A new stylizer, as a job would make it, with some settings changed."""
        settings = dataclasses.replace(self.settings, **changes)
        return Stylizer(self.network, self.styles, settings)


def evaluation(subject: Subject, limits: Machine) -> Evaluation:
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
    flops = operations(subject.network, layers, settings.style_layers, height, width)
    traffic = least_traffic(subject.network, layers, height, width)
    shorter = min(alone, iteration)
    return Evaluation(
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


def operations(
    network: FeatureNetwork, layers: Sequence[str], style_layers: Sequence[str], height: int, width: int
) -> float:
    """Floating-point operations of a loss and its gradient: convolutions up to the last of `layers`, Gram matrices.

    A convolution is 2 operations a multiplication, and as many again for the gradient; so is a Gram matrix. All else
    (read-outs, ReLUs, averages) is below one in a hundred of that and not counted.
    """
    total, channels = 0, {}
    for name, convolution, positions in convolutions_of(network, layers, height, width):
        total += 4 * positions * convolution.weight.numel()
        channels[name] = (convolution.out_channels, positions)
    for layer in style_layers:
        width_of_layer, positions = channels["conv" + layer[4:]]
        total += 4 * positions * width_of_layer**2
    return float(total)


def least_traffic(network: FeatureNetwork, layers: Sequence[str], height: int, width: int) -> float:
    """Bytes that a loss and its gradient move at the least: each convolution's result and its gradient, in and out.

    That is with everything else done in passing, as no library does it: ReLUs, pooling, Gram matrices.
    """
    return float(
        sum(
            4 * positions * convolution.out_channels * convolution.weight.element_size()
            for _, convolution, positions in convolutions_of(network, layers, height, width)
        )
    )


def convolutions_of(
    network: FeatureNetwork, layers: Sequence[str], height: int, width: int
) -> Iterator[tuple[str, nn.Conv2d, int]]:
    """Name, module and positions (H * W) of each convolution that `layers` need of a picture."""
    last = max(layer[4:] for layer in layers)
    for name, convolution in network.convolutions.items():
        if name[4:] <= last and isinstance(convolution, nn.Conv2d):
            halvings = int(name[4]) - 1
            yield name, convolution, (height >> halvings) * (width >> halvings)


def painting(subject: Subject) -> tuple[Still, WarmStart]:
    """Paint the first frame, those that follow, and the last of them once more as if it had no predecessor."""
    began = time.perf_counter()
    stylizer = subject.stylizer()
    first, state = stylizer.step(subject.still, None)
    sizes = scales(size_of(subject.still.image)) if subject.settings.coarse_to_fine else [None]
    still = Still(time.perf_counter() - began, len(sizes), first.iterations, first.losses)
    results: list[Result] = []
    for frame in subject.frames[1:]:
        result, state = stylizer.step(frame, state)
        results.append(result)
    cold, _ = stylizer.step(dataclasses.replace(subject.frames[-1], motion=None), None)
    seconds = statistics.median(result.seconds for result in results)
    warm = WarmStart(
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


def job_speed(subject: Subject, frames: int) -> JobSpeed:
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
    if not subject.decoded:
        del seconds["decode"]
    in_first["optimise"] = in_first["optimise"] - in_first.get("warp", 0.0)
    seconds["optimise"] = seconds["optimise"] - seconds.get("warp", 0.0)
    return JobSpeed(
        frames=frames,
        decoded=subject.decoded,
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


def stages_of(seconds: dict[str, float], in_first: dict[str, float], frames: int) -> list[Stage]:
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
        stages.append(Stage(name, BESIDE.get(name, "loop"), seconds[name], later))
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


def ratio(part: float, whole: float) -> float:
    """part / whole; 1 if both are zero."""
    if whole:
        return part / whole
    return math.inf if part else 1.0

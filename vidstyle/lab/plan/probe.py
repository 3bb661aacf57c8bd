"""Measures what a frame of a job costs: a few evaluations at its size, and a small pilot that counts evaluations."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from vidstyle.compose.compositor import Compositor
from vidstyle.core.stylizer import COARSE_EVALUATIONS, Size, Stylizer, size_of
from vidstyle.jobs.folder import states
from vidstyle.jobs.folder.painted import FAST
from vidstyle.jobs.output.export import for_output
from vidstyle.jobs.sources.balance import PictureSource
from vidstyle.jobs.sources.clips import SequenceSource
from vidstyle.lab.plan.figures import FrameCost
from vidstyle.media.stills.codecs import decode, encode
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.sinks import open_sink
from vidstyle.settings import BalanceSettings, MotionSettings, PaintingSettings
from vidstyle.system.files import staging
from vidstyle.types import Budget, Frame, Motion, Result, Source, State

FEW = COARSE_EVALUATIONS  # evaluations of a frame that is timed: with fewer, what is new would get fewer, too
MANY = 3 * FEW
PAIRS = 5  # of a frame with few and with many evaluations, of which the medians count, if they take less than LONG
LONG = 10.0  # seconds after which no further pair is timed
SAMPLES = 3  # places of a job at which frames are looked at
FOLLOWING, SETTLED = 12, 6  # frames after the first at each of them; the last ones, that are like all that come later
PILOT_SHARE = 0.5  # of the size
PILOT_SIZE, PILOT_SIDE = 256, 96  # pixels: of the long side at most, of the short one at least
ENCODED = 12  # frames that are encoded to time it


@dataclass(frozen=True)
class Costs:
    """What was measured."""

    setup_seconds: float  #: of what is done before the first evaluation, once a job
    first: FrameCost
    later: FrameCost | None  #: its evaluations are those that the frames of a shot settle at
    settling: Sequence[float] = ()  #: evaluations of the first warm-started frames of a shot

    def shot_evaluations(self, first: int, end: int, most: float) -> float:
        """The evaluations of the warm-started frames of a shot from one of its numbers, at least 1, to another.

        Args:
            most: of a frame.
        """
        settling = [min(one, most) for one in self.settling[first - 1 : end - 1]]
        settled = min((self.later or self.first).evaluations, most)
        return sum(settling) + (end - first - len(settling)) * settled


def measured(source: Source, stylizer: Stylizer, shots: Sequence[tuple[int, int]]) -> tuple[Costs, np.ndarray]:
    """The costs of the frames of a source, and a painting, (H, W, 3) uint8, that is not finished.

    Args:
        shots: first frames, and the frames after the last, of what is painted without a warm start from before.
    """
    samples, source_seconds = _samples(source, shots)
    first = samples[0][0]
    later = next((frame for frame in samples[0][1:] if frame.motion is not None), None)
    set_up, cold, evaluation, result, state = _timed_first(stylizer, first)
    saving = _saving(result, state)
    counts = [list(_pilot(stylizer, sample)) for sample in samples]
    evaluations = statistics.fmean(one[0] for one in counts)
    costs = FrameCost(evaluation, evaluations, _most(first, stylizer.settings, cold=True), cold, saving)
    if later is None:
        return Costs(set_up, costs, None), result.image
    warm, evaluation = _timed_later(stylizer, later, state)
    found: list[float] = [number for one in counts for number in one[1:]]
    settling: list[float] = []
    if isinstance(source, SequenceSource) and max(map(len, counts)) > 1 + SETTLED:
        columns = zip(*(one[1:] for one in counts if len(one) == max(map(len, counts))), strict=True)
        settling = [statistics.fmean(column) for column in columns]
        found = settling[-SETTLED:]
    most = _most(later, stylizer.settings, cold=False)
    later_costs = FrameCost(evaluation, statistics.fmean(found), most, warm, source_seconds + saving)
    return Costs(set_up, costs, later_costs, settling), result.image


def encoding_seconds(outputs: Sequence[Path], compositor: Compositor, painting: np.ndarray) -> float:
    """Seconds of making the outputs, measured on a few frames, without sound and the search for a size."""
    frames = compositor.info.frames
    some, few = min(frames, ENCODED), min(frames, 2)
    with staging(Path(tempfile.gettempdir())) as folder:
        total = 0.0
        for output in outputs:
            long, short = (_encoding(folder / output.name, compositor, painting, count) for count in (some, few))
            total += long + (frames - some) * max(long - short, 0.0) / max(some - few, 1)
    return total


def _encoding(output: Path, compositor: Compositor, painting: np.ndarray, count: int) -> float:
    own = compositor.settings
    info = dataclasses.replace(compositor.info, frames=count, timestamps=None, end=None)
    began = time.perf_counter()
    compositor, encoding = for_output(output, compositor, Encoding(own.crf, own.plays))
    with open_sink(output, info, encoding) as sink:
        for shown in itertools.islice(compositor.frames(_Moved(painting)), count):
            sink.write(shown)
    return time.perf_counter() - began


class _Moved:
    """Painted frames that are one painting, moved on, each read from a PNG."""

    def __init__(self, painting: np.ndarray) -> None:
        self.painting = painting

    def images(self, order: Sequence[int]) -> Iterator[np.ndarray]:
        for number in order:
            yield decode(encode(np.roll(self.painting, number, axis=1), ".png", **FAST))


def _samples(source: Source, shots: Sequence[tuple[int, int]]) -> tuple[list[list[Frame]], float]:
    """Frames that follow each other, from a few places; and the seconds that the source takes for one."""
    if not isinstance(source, SequenceSource):
        with closing(source.frames(0)) as found:
            frames = list(found)
        if isinstance(source, PictureSource):  # each starts from the one before, however far that is
            step = max((len(frames) - 1) // (SAMPLES * FOLLOWING), 1)
            return [[frames[0], *frames[step::step]]], 0.0
        return [[frame] for frame in frames[:: max(len(frames) // SAMPLES, 1)]], 0.0
    longest = sorted(shots, key=lambda shot: shot[0] - shot[1])[:SAMPLES]
    samples, took = [], []
    for first, end in longest:
        start = max(min(first + source.reach, end - 1 - FOLLOWING), first)
        with closing(source.frames(start)) as found:
            sample = [next(found)]
            began = time.perf_counter()
            sample += itertools.islice(found, min(FOLLOWING, end - 1 - start))
            if len(sample) > 1:
                took.append((time.perf_counter() - began) / (len(sample) - 1))
        samples.append(sample)
    return samples, statistics.fmean(took) if took else 0.0


def _timed_first(stylizer: Stylizer, frame: Frame) -> tuple[float, float, float, Result, State]:
    """Seconds of what is done once, of a frame without its evaluations, and of an evaluation; and a painting."""
    frame = dataclasses.replace(frame, motion=None)
    before, result, state = _timed(stylizer, frame, None, FEW)
    without, one = _timed_pairs(stylizer, frame, None)
    return max(before - without - FEW * one, 0.0), without, one, result, state


def _timed_later(stylizer: Stylizer, frame: Frame, state: State) -> tuple[float, float]:
    """Seconds of a warm-started frame without its evaluations, and of an evaluation."""
    # As in the middle of a shot; what the earlier pastiches show does not matter here.
    state = dataclasses.replace(state, history=(state.pastiche,) * (frame.reach - 1))
    _timed(stylizer, frame, state, FEW)
    return _timed_pairs(stylizer, frame, state)


def _timed_pairs(stylizer: Stylizer, frame: Frame, state: State | None) -> tuple[float, float]:
    """Seconds of a frame without its evaluations, and of an evaluation: medians, since other programs come and go."""
    began = time.perf_counter()
    pairs: list[tuple[float, float]] = []
    while not pairs or (len(pairs) < PAIRS and time.perf_counter() - began < LONG):
        (few, less, _), (many, more, _) = (_timed(stylizer, frame, state, count) for count in (FEW, MANY))
        pairs.append((few, max(many - few, 0.0) / max(more.iterations - less.iterations, 1)))
    few, one = (statistics.median(column) for column in zip(*pairs, strict=True))
    return max(few - FEW * one, 0.0), one


def _timed(stylizer: Stylizer, frame: Frame, state: State | None, evaluations: int) -> tuple[float, Result, State]:
    began = time.perf_counter()
    result, state = stylizer.step(dataclasses.replace(frame, budget=Budget(evaluations, 0.0)), state)
    return time.perf_counter() - began, result, state


def _saving(result: Result, state: State) -> float:
    """Seconds of encoding a painted frame and its state; the disk is not waited for."""
    began = time.perf_counter()
    encode(result.image, ".png", **FAST)
    states.encoded(states.on_cpu(state))
    return time.perf_counter() - began


def _pilot(stylizer: Stylizer, frames: Sequence[Frame]) -> Iterator[int]:
    """The evaluations of frames that follow each other, painted small; the first as without predecessor."""
    state: State | None = None
    for number, frame in enumerate(frames):
        size = size_of(frame.image)
        small = shrunk(frame, pilot_size(size))
        result, state = stylizer.step(small if number else dataclasses.replace(small, motion=None), state)
        yield result.iterations


def pilot_size(size: Size) -> Size:
    """The size of the pilot for pictures of a size: at most as large."""
    share = max(min(PILOT_SHARE, PILOT_SIZE / max(size)), PILOT_SIDE / min(size))
    height, width = (max(round(side * min(share, 1)), 1) for side in size)
    return height, width


def shrunk(frame: Frame, size: Size) -> Frame:
    """A frame at a smaller size, with its motion from the previous one; it looks back no further."""
    height, width = size_of(frame.image)

    def smaller(picture: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(picture[None], size=size, mode="area")[0]

    motion = frame.motion
    if motion is not None:
        scale = torch.tensor([size[1] / width, size[0] / height]).view(2, 1, 1).to(motion.flow)
        motion = Motion(smaller(motion.flow) * scale, smaller(motion.visible))
    return dataclasses.replace(
        frame,
        image=smaller(frame.image),
        motion=motion,
        earlier={},
        reach=1,
        loop_closure=None,
        lead=None,
        mask=None if frame.mask is None else smaller(frame.mask),
        regions=tuple(map(smaller, frame.regions)),
    )


def _most(frame: Frame, settings: PaintingSettings, *, cold: bool) -> int:
    """The evaluations that the settings allow for a frame."""
    if frame.budget is not None:
        return frame.budget.evaluations
    if cold or not isinstance(settings, MotionSettings | BalanceSettings):
        return settings.first_iterations
    return settings.iterations

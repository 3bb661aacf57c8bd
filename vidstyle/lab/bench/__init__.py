"""`vidstyle bench`: the speed of vidstyle on this machine, also beside the textbook program.

Ratios of one run can be compared between machines, seconds cannot.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.core import optimize
from vidstyle.core.probe import require_memory
from vidstyle.core.stylizer import Stylizer, resized, size_of
from vidstyle.errors import MemoryLimitError, UsageError
from vidstyle.jobs.sources import SequenceSource, VideoSource, to_tensor
from vidstyle.jobs.tasks import load_network
from vidstyle.lab.bench import baseline, machine, synthetic_inputs
from vidstyle.lab.bench.figures import (
    BaselineSpeed,
    ConsistencyReport,
    Evaluation,
    Race,
    Report,
    Scaling,
    SizePoint,
    StylesPoint,
    Uniformity,
)
from vidstyle.lab.bench.trials import Subject, evaluation, evaluator, job_speed, painting
from vidstyle.media.stills import pictures
from vidstyle.schedule import OverTime, constant
from vidstyle.settings import PRESETS, VideoSettings
from vidstyle.system import libraries
from vidstyle.system.devices import engine
from vidstyle.system.files import check_writable, write_whole
from vidstyle.system.version import __version__

WARM_FRAMES = 3  # that are timed one by one, at most
LADDER = (1, 2, 3, 5, 8, 12, 20, 40, 80, 160, 320, 640)  # evaluations at each scale, tried in turn
SIZES = (256, 512, 1024, 2048, 4096)  # pixels of the long side
STYLES = (1, 2, 4)
PATIENCE = 20.0  # seconds of an evaluation after which no larger size is tried

OnPart = Callable[[str], None]


def measure(
    clip: Path | None,
    styles: Sequence[Path],
    settings: VideoSettings,
    *,
    frames: int = 8,
    baseline_steps: int | None = None,
    scaling: bool = False,
    on_part: OnPart = lambda _: None,
) -> Report:
    """Measure everything.

    Args:
        clip: None for a generated one.
        styles: pictures; none for a generated one.
        settings: of the job.
        frames: of the clip, at most, for the whole job.
        baseline_steps: outer steps of the textbook program; None leaves it out.
        scaling: measure how the cost grows, too.
        on_part: told what is measured next.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    if baseline_steps is not None and settings.network != "vgg19":
        raise UsageError(f"--baseline paints with VGG-19, not with {settings.network!r}; give --network vgg19 with it")
    with prepared(clip, styles, settings, frames) as subject:
        if baseline_steps is not None and min(size_of(subject.still.image)) < baseline.SMALLEST_SIDE:
            raise UsageError(f"--baseline needs {baseline.SMALLEST_SIDE} pixels of a side; give a larger --size")
        on_part("the machine: matrix product and copy")
        limits = machine.measured(subject.device, optimize.pick_precision(settings.precision, subject.device))
        on_part("one evaluation")
        one = evaluation(subject, limits)
        on_part("a still, and frames that begin from their predecessor")
        still, warm = painting(subject)
        frames = min(frames, subject.source.info.frames)
        on_part(f"a whole job of {frames} frames")
        whole = job_speed(subject, frames)
        against = None if baseline_steps is None else race_baseline(subject, baseline_steps, one, on_part)
        growth = how_it_grows(subject, on_part) if scaling else None
    names = "generated" if clip is None else clip.name, [style.name for style in styles] or ["generated"]
    return Report(__version__, *names, vars(settings), limits, one, still, warm, whole, against, growth)


@contextmanager
def prepared(clip: Path | None, styles: Sequence[Path], settings: VideoSettings, frames: int) -> Iterator[Subject]:
    """The job that is measured; it is gone when the block is left. For the arguments see `measure`."""
    with tempfile.TemporaryDirectory(prefix="vidstyle-bench-") as folder:
        styles = styles or [synthetic_inputs.write_style(Path(folder), settings.size or VideoSettings.size)]
        network = load_network(settings)
        network.require((*settings.content_layers, *settings.style_layers))
        paintings = [to_tensor(pictures.load_picture(style)) for style in styles]
        source = source_of(clip, Path(folder), settings, settings.shares(len(styles)), frames)
        with closing(source.frames(0)) as found:
            seen = list(itertools.islice(found, min(frames, WARM_FRAMES + 1)))
        shot = [seen[0], *itertools.takewhile(lambda frame: frame.motion is not None, seen[1:])]
        if len(shot) < 2:
            name = clip or "the generated clip"
            raise UsageError(f"{name} has no second frame that continues the first; give one that begins with a shot")
        require_memory(network, settings, size_of(shot[0].image))
        yield Subject(settings, network, paintings, source, shot, Path(folder))


def source_of(
    clip: Path | None, folder: Path, settings: VideoSettings, mix: Sequence[OverTime], frames: int
) -> SequenceSource:
    """The frames of `clip`, or of a generated one: decoded from a file where that can be done, else as drawn."""
    size = settings.size or VideoSettings.size
    if clip is not None or not libraries.missing():
        return VideoSource(str(clip or synthetic_inputs.write_clip(folder, size, frames)), settings, mix)
    if settings.start or settings.end is not None:
        raise UsageError("--start and --end select frames of a clip, which cannot be read here; leave them out")
    return SequenceSource(synthetic_inputs.GeneratedClip(folder, size, frames), settings, mix)


def race_baseline(subject: Subject, steps: int, ours: Evaluation, on_part: OnPart) -> BaselineSpeed:
    """Paint the still with the textbook program, then time vidstyle until its picture has as low a loss.

    Two losses judge: vidstyle's, which the baseline knows nothing of, and the baseline's own, which vidstyle then
    minimises. Both programs are given the style at the size of the still. What `optimize.prepare` does for the memory
    of this process helps the baseline, too.
    """
    device, settings = subject.device, subject.settings
    size = size_of(subject.still.image)
    style = resized(subject.styles[0][None], size).clamp(0, 1)
    blog = PRESETS["blog"]
    alpha = subject.still.alpha if settings.objective == "blog" else blog["alpha"]
    layers = baseline.textbook_vgg19(load_network(settings)).to(device)
    content = subject.still.image[None].to(device)
    progress: list[baseline.Progress] = []
    try:
        for one in baseline.paint(layers, content, style.to(device), alpha=alpha, steps=steps, seed=settings.seed):
            progress.append(one)
            on_part(f"the baseline: step {one.step} of {steps}, loss {one.loss:.4g}, {one.seconds:.0f} s")
    except torch.OutOfMemoryError as error:
        raise MemoryLimitError(f"the baseline does not fit the memory of {device}; give a smaller --size") from error
    end = progress[-1]
    names = ("content_layers", "style_layers", "objective")
    own = dataclasses.replace(settings, mix=(), alpha=subject.still.alpha)
    raw = {name: blog[name] for name in names} | {
        name: getattr(VideoSettings, name) for name in ("style_metric", "content_focus", "recolor")
    }
    theirs = dataclasses.replace(own, alpha=alpha, style_layer_weights=(), tv_weight=0.0, **raw)
    races = []
    if bool(end.pastiche.isfinite().all()):
        for judge, rules in {"vidstyle": own, "baseline": theirs}.items():
            on_part(f"vidstyle against the baseline, judged by the loss of {judge}")
            races.append(race(rules, subject, style[0], end, judge))
    return BaselineSpeed(
        steps=steps,
        evaluations=end.evaluations,
        seconds=end.seconds,
        alpha=alpha,
        first_loss=progress[0].loss,
        last_loss=end.loss,
        evaluation_ratio=end.seconds / end.evaluations / ours.seconds,
        races=races,
    )


def race(settings: VideoSettings, subject: Subject, style: Tensor, end: baseline.Progress, judge: str) -> Race:
    """Paint the still with increasing numbers of evaluations until its loss is that of the baseline's picture.

    Or until that takes longer than the baseline took. Both pictures are judged in float32.
    """
    frame = dataclasses.replace(subject.still, alpha=constant(settings.alpha), mix=(1.0,))
    exact = Stylizer(load_network(settings), [style], dataclasses.replace(settings, precision="float32"))

    def judged(pastiche: Tensor) -> float:
        with torch.no_grad(), engine(subject.device):
            return float(exact.objective(frame)(pastiche)[0])

    network, wanted = load_network(settings), judged(end.pastiche)
    for evaluations in LADDER:
        began = time.perf_counter()
        rules = dataclasses.replace(settings, first_iterations=evaluations, tolerance=0.0)
        _, state = Stylizer(network, [style], rules).step(frame, None)
        seconds, loss = time.perf_counter() - began, judged(state.pastiche[None])
        if loss <= wanted or seconds > end.seconds:
            break
    return Race(judge, wanted, loss <= wanted, loss, evaluations, seconds, end.seconds / seconds)


def how_it_grows(subject: Subject, on_part: OnPart) -> Scaling:
    """Time an evaluation at increasing sizes, up to the limits of memory and `PATIENCE`; and with several styles."""
    sizes: list[SizePoint] = []
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
    return Scaling(sizes, missing, [styles_point(subject, count) for count in STYLES])


def size_point(subject: Subject, size: int) -> SizePoint:
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
    return SizePoint(size, width * height, seconds, machine.peak(device))


def styles_point(subject: Subject, count: int) -> StylesPoint:
    """Prepare and evaluate the still in so many styles: the first one, rolled to be different pictures."""
    styles = [subject.styles[0].roll(97 * number, dims=2) for number in range(count)]
    stylizer = Stylizer(subject.network, styles, subject.settings)
    frame = dataclasses.replace(subject.still, mix=(1 / count,) * count)
    with engine(subject.device):
        objective = functools.partial(stylizer.objective, frame)
        prepare = machine.seconds_of(objective, subject.device, least=1, most=1, warm_up=False)[0]
        return StylesPoint(count, prepare, machine.median_seconds(evaluator(stylizer, frame), subject.device))


def check_report(path: Path, *, overwrite: bool, inputs: Iterable[str | Path] = ()) -> None:
    """Find out before any measuring whether a report can be written.

    Raises:
        UsageError: it is not called .json, or is one of the `inputs`.
        DiskError: the folder is missing or cannot be written, or `path` is not a plain file.
        OutputExistsError: the file is there and may not be replaced.
    """
    if path.suffix.lower() != ".json":
        raise UsageError(f"output {path} is not called .json; a report is written as .json")
    check_writable(path, overwrite=overwrite, inputs=inputs)


def save(report: Report | ConsistencyReport | Uniformity, path: Path, *, overwrite: bool = True) -> None:
    """Write a report as JSON, whole or not at all. Raises `DiskError`, `OutputExistsError`."""
    write_whole(path, json.dumps(report.json(), indent=1, allow_nan=False) + "\n", overwrite=overwrite)

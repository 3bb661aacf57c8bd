"""`vidstyle bench`: the speed of vidstyle on this machine, also beside the textbook program.

Ratios of one run can be compared between machines, seconds cannot.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from vidstyle.core import optimize
from vidstyle.core.probe import require_memory
from vidstyle.core.stylizer import size_of
from vidstyle.errors import UsageError
from vidstyle.jobs.sources.clips import SequenceSource, VideoSource
from vidstyle.jobs.task_inputs import load_network
from vidstyle.lab import synthetic
from vidstyle.lab.bench import baseline, machine, roofline
from vidstyle.lab.bench.figures import Report
from vidstyle.lab.bench.timings import Subject, evaluation, job_speed, painting, scaling_of
from vidstyle.lab.painter import load_styles
from vidstyle.lab.results import used
from vidstyle.schedule import OverTime
from vidstyle.settings import VideoSettings
from vidstyle.system import libraries
from vidstyle.system.version import __version__

WARM_FRAMES = 3  # that are timed one by one, at most

OnPart = Callable[[str], None]


def measure(
    clip: Path | None,
    styles: Sequence[Path],
    settings: VideoSettings,
    *,
    frames: int = 8,
    baseline_steps: int | None = None,
    scaling: bool = False,
    count: bool = False,
    on_part: OnPart = lambda _: None,
) -> Report:
    """Measure the `video` job of these settings in its parts.

    The arguments are the options of the command: without `clip` or `styles` generated ones are taken; `baseline_steps`
    is None to leave the textbook program out; `count` is --roofline; `on_part` is told what is measured next. Raises
    `VidstyleError`.
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
        against = None if baseline_steps is None else baseline.raced(subject, baseline_steps, one, on_part)
        growth = scaling_of(subject, on_part) if scaling else None
        counts = roofline.both(settings, on_part) if count else None
    names = "generated" if clip is None else clip.name, [style.name for style in styles] or ["generated"]
    return Report(__version__, *names, used(settings), limits, one, still, warm, whole, against, growth, counts)


@contextmanager
def prepared(clip: Path | None, styles: Sequence[Path], settings: VideoSettings, frames: int) -> Iterator[Subject]:
    """The job that is measured; it is gone when the block is left. For the arguments see `measure`."""
    with tempfile.TemporaryDirectory(prefix="vidstyle-bench-") as folder:
        styles = styles or [synthetic.write_style(Path(folder), settings.size or VideoSettings.size)]
        network = load_network(settings)
        network.require((*settings.content_layers, *settings.style_layers))
        paintings = load_styles(styles)
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
        return VideoSource(str(clip or synthetic.write_clip(folder, size, frames)), settings, mix)
    if settings.start or settings.end is not None:
        raise UsageError("--start and --end select frames of a clip, which cannot be read here; leave them out")
    return SequenceSource(synthetic.GeneratedClip(folder, size, frames), settings, mix)

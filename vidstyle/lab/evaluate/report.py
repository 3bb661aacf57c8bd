"""`vidstyle measure`: metrics of a painted clip beside its input, whichever tool painted it.

    from vidstyle import measure_clip

    found = measure_clip("ride.mp4", "painted.mp4", ["facets.jpg"])
    found.consistency[0].warping.mean, found.independence.warping_ratio

No figure says enough alone: a blurred or frozen clip does not flicker.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidstyle.api import RunOptions, stylize_video
from vidstyle.core.probe import require_memory
from vidstyle.errors import MediaError
from vidstyle.jobs.arguments import checked
from vidstyle.jobs.output.export import files_read, listed
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.jobs.sources.lookahead import ahead
from vidstyle.jobs.sources.styles import load_styles
from vidstyle.lab.evaluate import accumulators, page
from vidstyle.lab.evaluate.accumulators import View, spread, undivided
from vidstyle.lab.evaluate.figures import ClipFacts, Drift, Measurement
from vidstyle.lab.evaluate.tables import command_line, notes
from vidstyle.lab.painter import OnStep, Painter, check_judge, silent
from vidstyle.lab.results import check_report, used
from vidstyle.lab.tables import COMPACT
from vidstyle.media.stills import pictures
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import pick_device
from vidstyle.system.files import write_whole
from vidstyle.system.version import __version__
from vidstyle.types import ClipInfo, Frame

SUFFIXES = (".json", ".html")  # of reports
PAIRS = 3  # of frames that are painted independently
DISTANCES = (10, 30)  # frames of the long-range errors
SAMPLE = 8  # pairs of each long distance; frames of the filmstrip

File = str | Path


@checked
def measure_clip(
    clip: File,
    painted: File,
    styles: Sequence[File] = (),
    settings: VideoSettings | None = None,
    *,
    pairs: int = PAIRS,
    judge: str = COMPACT,
    on_step: OnStep = silent,
) -> Measurement:
    """Measure a painted clip, made by vidstyle or by any other tool, beside its input.

    Args:
        clip: the input. `settings.start` and `settings.end` select the part that was painted.
        painted: a clip with one frame for each of the input. Its size rules; the input is resized to it.
        styles: the pictures it was painted after; without one nothing is painted for comparison.
        settings: of the job that painted it, or would have; its network is used where there are styles.
        pairs: of frames that are painted independently, for comparison.
        judge: the network of the style distances, compact or vgg19, which takes its weights from `settings.weights`.
        on_step: told what is done, after how many frames of how many.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws; `MediaError` if the clips differ in length.
    """
    settings = settings or VideoSettings()
    source = _source(clip, dataclasses.replace(settings, size=0), len(styles))
    from vidstyle.media.video import survey  # not at the top: PyAV may be missing, which a source tells better

    done = survey(painted)
    pictures.fit(done.info.width, done.info.height, 0)
    wanted = source.info.frames
    if done.info.frames != wanted:
        raise MediaError(
            f"{painted} has {done.info.frames} frames and {clip} {wanted}; a painted clip has one for each frame of "
            "its input, of which --start and --end select a part"
        )
    words = ["measure", Path(clip).name, Path(painted).name]
    words += [word for style in styles for word in ("--style", Path(style).name)]
    words += ["--pairs", str(pairs)] * (pairs != PAIRS) + ["--judge", judge] * (judge != COMPACT)
    source.info = dataclasses.replace(source.info, width=done.info.width, height=done.info.height)
    evaluation = ClipEvaluation(source, styles, settings, command_line(words, settings), pairs, judge)
    if evaluation.baseline is not None:
        require_memory(evaluation.baseline.painter.network, settings, (done.info.height, done.info.width))
    return evaluation.run(Painted(Path(painted).name, done.info, done.decode(), encoded=True), on_step)


def stylize_with_report(
    clip: File,
    styles: Sequence[File],
    output: File | Sequence[File],
    settings: VideoSettings | None = None,
    run: RunOptions | None = None,
) -> Measurement:
    """`api.stylize_video`, which see, with a report of the frames beside the (first) output: JSON and a page.

    Beside painted.mp4 they are called painted.report.json and painted.report.html. The frames are measured as they were
    painted, before they are encoded.
    """
    settings, run = settings or VideoSettings(), run or RunOptions()
    outputs = [Path(one) for one in listed(output)]
    files = [outputs[0].with_name(f"{outputs[0].stem}.report{suffix}") for suffix in SUFFIXES]
    overwrite, read = run.overwrite, [clip, *styles, *files_read(settings)]
    for path in files:
        check_report(path, SUFFIXES, overwrite=overwrite, inputs=read)
    found: list[Measurement] = []

    def measured(source: VideoSource) -> _Report:
        words = ["video", Path(clip).name, *(Path(style).name for style in styles)]
        words += [word for one in outputs for word in ("-o", one.name)] + ["--report"]
        evaluation = ClipEvaluation(source, styles, settings, command_line(words, settings))
        painted_along_it = settings.flow == "dis" and settings.warm_start == "warped"
        plain = None if painted_along_it else _source(clip, settings, len(styles)).frames(0)
        return _Report(evaluation, Painted(outputs[0].name, source.info, iter(()), encoded=False), found, plain)

    stylize_video(clip, styles, output, settings, dataclasses.replace(run, observe=measured))
    for path in files:
        save(found[0], path, overwrite=overwrite)
    return found[0]


@dataclass(frozen=True, eq=False)
class _Report:
    """Measures the frames of a job as they are painted, along the flow that they are painted along."""

    evaluation: ClipEvaluation
    painted: Painted
    found: list[Measurement]  #: the measurement is added in the end
    plain: Generator[Frame] | None  #: the same frames with their motion, where they are painted along none or another

    def add(self, frame: Frame, painting: np.ndarray) -> None:
        self.evaluation.add(frame if self.plain is None else next(self.plain), painting)

    def done(self) -> None:
        if self.plain is not None:
            self.plain.close()
        self.found.append(self.evaluation.measured(self.painted))


def save(found: Measurement, path: Path, *, overwrite: bool = True) -> None:
    """Write a report, whole or not at all, as the suffix says. Raises `DiskError`, `OutputExistsError`."""
    if path.suffix.lower() == ".html":
        write_whole(path, page.html(found), overwrite=overwrite)
    else:
        found.save(path, overwrite=overwrite)


def _source(clip: File, settings: VideoSettings, styles: int) -> VideoSource:
    """The input with its motion, however the job estimates it."""
    mix = settings.shares(styles) if styles else (1.0,)
    plain = dataclasses.replace(settings, flow="dis", flow_weights=None, warm_start="warped", long_term=(), loop=False)
    plain = dataclasses.replace(plain, split_after=None)
    return VideoSource(str(clip), plain, mix)


@dataclass(frozen=True, eq=False)
class Painted:
    """A painted clip."""

    name: str  #: of its file
    info: ClipInfo
    frames: Iterator[np.ndarray]  #: (H, W, 3) uint8
    encoded: bool  #: they come from a file, not from the painter


class ClipEvaluation:
    """One evaluation: its accumulators are chosen from the styles and the lengths of the shots.

    Args:
        source: the input, `info` of the size to measure at.
    """

    def __init__(
        self,
        source: VideoSource,
        styles: Sequence[File],
        settings: VideoSettings,
        command: str,
        pairs: int = PAIRS,
        judge: str = COMPACT,
    ) -> None:
        check_judge(judge)
        self.source, self.styles, self.settings, self.command = source, styles, settings, command
        count, shots, times = source.info.frames, source.shots, source.info.times
        near = undivided(shots, count, 1)
        self.flickers = [accumulators.FlickerAccumulator(1, near, len(near))]
        for distance in DISTANCES:
            ends = undivided(shots, count, distance)
            self.flickers.append(accumulators.FlickerAccumulator(distance, spread(ends, SAMPLE), len(ends)))
        self.drifting = accumulators.DriftAccumulator(shots, times)
        self.filmstrip = accumulators.FilmstripAccumulator(spread(range(count), SAMPLE), times)
        self.baseline, self.likeness = None, None
        self._pairs: list[View] = []  # of the baseline
        if styles:
            paintings = load_styles(styles)  # as the job has them, with opacity
            painter = Painter(paintings, settings, judge)
            self.baseline = accumulators.PerFrameBaseline(painter, spread(near, pairs))
            self.likeness = accumulators.PatchAccumulator(
                {0, (count - 1) // 2, count - 1}, paintings, settings.style_scale, painter.keys
            )
        self.device = self.baseline.device if self.baseline else pick_device(settings.device)

    def run(self, painted: Painted, on_step: OnStep = silent) -> Measurement:
        """Pass both clips through the accumulators."""
        with closing(ahead(self.source.frames(0))) as frames:
            for frame, pixels in zip(frames, painted.frames, strict=True):
                on_step("measuring", frame.index, painted.info.frames)
                self.add(frame, pixels)
        on_step("painting pairs anew", painted.info.frames, painted.info.frames)
        found = self.measured(painted)
        on_step("measured", painted.info.frames, painted.info.frames)
        return found

    def add(self, frame: Frame, pixels: np.ndarray) -> None:
        """Take the next frame and its painting, (H, W, 3) uint8."""
        now = View(frame, pixels, self.device)
        for accumulator in (*self.flickers, self.drifting, self.filmstrip, self.likeness):
            if accumulator is not None:
                accumulator.add(now)
        if self.baseline is not None and {frame.index, frame.index + 1} & self.baseline.ends:
            self._pairs.append(now)

    def measured(self, painted: Painted) -> Measurement:
        """The figures, once all frames are there. Paints the pairs of the baseline: not beside another painting."""
        for now in self._pairs:
            assert self.baseline is not None
            self.baseline.add(now)
        self._pairs.clear()
        frames = tuple(self.drifting.frames)
        found = Measurement(
            vidstyle=__version__,
            command=self.command,
            input=_facts(self.source.clip.path.name, self.source.clip.info),
            painted=_facts(painted.name, painted.info),
            styles=tuple(Path(style).name for style in self.styles),
            settings=used(self.settings),
            shots=tuple(sorted(self.source.shots)),
            consistency=tuple(flicker.consistency() for flicker in self.flickers),
            independence=self.baseline.independence() if self.baseline else None,
            drift=Drift.of(frames),
            frames=frames,
            patches=tuple(self.likeness.frames) if self.likeness else (),
            worst=self.flickers[0].worst,
            stills=tuple(self.filmstrip.stills),
        )
        return dataclasses.replace(found, notes=tuple(notes(found, encoded=painted.encoded)))


def _facts(name: str, info: ClipInfo) -> ClipFacts:
    return ClipFacts(name, info.width, info.height, info.frames, float(info.fps), float(info.seconds))

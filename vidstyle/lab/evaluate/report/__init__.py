"""`vidstyle measure`: metrics of a painted clip beside its input, whichever tool painted it.

    from vidstyle import measure_clip

    found = measure_clip("ride.mp4", "painted.mp4", ["facets.jpg"])
    found.consistency[0].warping.mean, found.independence.warping_ratio

No figure says enough alone: a blurred or frozen clip does not flicker.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vidstyle.api import RunOptions, stylize_video
from vidstyle.core.probe import require_memory
from vidstyle.errors import MediaError, UsageError
from vidstyle.jobs.arguments import checked
from vidstyle.jobs.output.export import files_read, listed
from vidstyle.jobs.sources import VideoSource
from vidstyle.lab.evaluate.report import page
from vidstyle.lab.evaluate.report.evaluation import ClipEvaluation, OnStep, Painted
from vidstyle.lab.evaluate.report.figures import Measurement
from vidstyle.lab.evaluate.report.words import command_line
from vidstyle.media.stills import pictures
from vidstyle.settings import VideoSettings
from vidstyle.system.files import check_writable, write_whole

WRITERS: dict[str, Callable[[Measurement], str]] = {
    ".json": lambda found: json.dumps(found.json(), indent=1, allow_nan=False) + "\n",
    ".html": page.html,
}

File = str | Path


@checked
def measure_clip(
    clip: File,
    painted: File,
    styles: Sequence[File] = (),
    settings: VideoSettings | None = None,
    *,
    pairs: int = 3,
    judge: str = "compact",
    on_step: OnStep = lambda text, done, total: None,
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
    words += ["--pairs", str(pairs)] * (pairs != 3) + ["--judge", judge] * (judge != "compact")
    source.info = dataclasses.replace(source.info, width=done.info.width, height=done.info.height)
    evaluation = ClipEvaluation(
        source, styles, settings, pairs=pairs, judge=judge, command=command_line(words, settings)
    )
    if evaluation.baseline is not None:
        require_memory(evaluation.baseline.network, settings, (done.info.height, done.info.width))
    return evaluation.run(Painted(Path(painted).name, done.info, done.decode(), encoded=True), on_step)


def stylize_with_report(
    clip: File,
    styles: Sequence[File],
    output: File | Sequence[File],
    settings: VideoSettings | None = None,
    run: RunOptions | None = None,
) -> Measurement:
    """`api.stylize_video`, which see, with a report of the frames beside the (first) output: JSON and a page.

    The frames are measured as they were painted, before they are encoded.
    """
    settings, run = settings or VideoSettings(), run or RunOptions()
    outputs = [Path(one) for one in listed(output)]
    files = report_files(outputs[0])
    overwrite, read = run.overwrite, [clip, *styles, *files_read(settings)]
    for path in files:
        check_report(path, overwrite=overwrite, inputs=read)
    found: list[Measurement] = []

    def measure(frames: Iterator[np.ndarray]) -> None:
        words = ["video", Path(clip).name, *(Path(style).name for style in styles)]
        words += [word for one in outputs for word in ("-o", one.name)] + ["--report"]
        source = _source(clip, settings, len(styles))
        evaluation = ClipEvaluation(
            source, styles, settings, pairs=3, judge="compact", command=command_line(words, settings)
        )
        found.append(evaluation.run(Painted(outputs[0].name, source.info, frames, encoded=False)))

    stylize_video(clip, styles, output, settings, dataclasses.replace(run, on_painted=measure))
    for path in files:
        save(found[0], path, overwrite=overwrite)
    return found[0]


def report_files(output: Path) -> list[Path]:
    """The report's files beside an output: painted.report.json and .html beside painted.mp4."""
    return [output.with_name(f"{output.stem}.report{suffix}") for suffix in WRITERS]


def check_report(path: Path, *, overwrite: bool, inputs: Iterable[File] = ()) -> None:
    """Find out before any work whether a report can be written.

    Raises:
        UsageError: its suffix is unknown, or it is one of the `inputs`.
        DiskError, OutputExistsError: as `files.check_writable` does.
    """
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"output {path} is not called {' or '.join(WRITERS)}; a report is written as one of them")
    check_writable(path, overwrite=overwrite, inputs=inputs)


def save(found: Measurement, path: Path, *, overwrite: bool = True) -> None:
    """Write a report, whole or not at all, as the suffix says. Raises `DiskError`, `OutputExistsError`."""
    write_whole(path, WRITERS[path.suffix.lower()](found), overwrite=overwrite)


def _source(clip: File, settings: VideoSettings, styles: int) -> VideoSource:
    """The input with its motion, however the job estimates it."""
    mix = settings.shares(styles) if styles else (1.0,)
    plain = dataclasses.replace(settings, flow="dis", flow_weights=None, warm_start="warped", long_term=(), loop=False)
    return VideoSource(str(clip), plain, mix)

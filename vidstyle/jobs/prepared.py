"""The call and the source of each job, from the arguments of its public function: all that comes before painting."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vidstyle.errors import UsageError
from vidstyle.jobs.arguments import RunOptions
from vidstyle.jobs.output.export import Outputs
from vidstyle.jobs.painting.retiming import animation_bytes, pilot_bytes
from vidstyle.jobs.sheets import ALPHAS, Sheet, Style, sheet_of_alphas, sheet_of_shots
from vidstyle.jobs.sources.balance import Animation, PictureSource, still_plan
from vidstyle.jobs.sources.clips import VideoSource, is_picture
from vidstyle.jobs.sources.styles import thumbnail
from vidstyle.jobs.task_inputs import File
from vidstyle.jobs.tasks import Task
from vidstyle.schedule import constant
from vidstyle.settings import BalanceSettings, ImageSettings, ReadingSettings, SheetSettings, VideoSettings, options


def video_of(
    clip: File, styles: Sequence[File], output: Outputs, settings: VideoSettings, run: RunOptions
) -> tuple[Task, VideoSource]:
    """The frames of a clip."""
    task = Task(clip, styles, output, settings, run)
    shares, kept = settings.shares(len(styles)), task.kept_survey(task.outputs[0])
    return task, VideoSource(task.content, settings, shares, task.estimator, kept=kept, on_read=run.on_read)


def balance_of(
    content: File, styles: Sequence[File], output: Outputs, settings: BalanceSettings, run: RunOptions
) -> tuple[Task, Animation, np.ndarray]:
    """An animation of a picture, and the picture, (H, W, 3) float32 in [0, 1]."""
    task = Task(content, styles, output, settings, run)
    beside = pilot_bytes if settings.space == "even" else animation_bytes
    return task, Animation(settings, settings.shares(len(styles))), task.picture(beside)


def image_of(
    content: File, styles: Sequence[File], output: Outputs, settings: ImageSettings, run: RunOptions
) -> tuple[Task, PictureSource]:
    """A picture, painted once."""
    task = Task(content, styles, output, settings, run)
    plan = still_plan(settings, settings.shares(len(styles)), settings.alpha)
    return task, PictureSource(task.picture(), settings, plan, task.mask(), task.region_masks())


def sheet_settings(content: File, styles: Sequence[File], settings: SheetSettings) -> SheetSettings:
    """With the alphas that are painted. Raises `UsageError` for what does not fit the content."""
    still = is_picture(content)
    if still and not styles:
        raise UsageError(f"no style was given for {content}; give at least one: only the sheet of a clip goes without")
    if still and (settings.start or settings.end is not None or not settings.cuts):
        raise UsageError(f"--start, --end and --no-cuts are for a clip, and {content} is a picture; leave them out")
    alphas = settings.alphas or (ALPHAS if still else (constant(VideoSettings.alpha),))
    return dataclasses.replace(settings, alphas=alphas)


def sheet_of(
    content: File, styles: Sequence[File], output: Outputs, settings: SheetSettings, run: RunOptions
) -> tuple[Task, Sheet]:
    """The cells of a sheet, in styles; `settings` as `sheet_settings` gives them."""
    task = Task(content, styles, output, settings, run)
    shown = [Style(Path(style).name, thumbnail(picture)) for style, picture in zip(styles, task.styles, strict=True)]
    name = Path(content).name
    if is_picture(content):
        return task, sheet_of_alphas(name, task.picture(), shown, settings)
    return task, sheet_of_shots(name, unpainted(task.content, settings, settings.size), shown, settings)


def unpainted(clip: File, settings: ReadingSettings, size: int = 0) -> VideoSource:
    """A clip to show unpainted, at a size; only the settings of reading a clip are used."""
    read = {name: getattr(settings, name) for name in options(ReadingSettings)}
    return VideoSource(str(clip), VideoSettings(size=size, **read), (1.0,))

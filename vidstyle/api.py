"""The public functions of the library.

    from vidstyle import Settings, animate_balance, make_sheet, stylize_image, stylize_video

Each function refuses what cannot work before it paints, keeps every finished frame in `OUTPUT.job/`, resumes from
there when called again with the same inputs and settings, and removes that folder when the outputs are complete.
What it does unasked or leaves out, like a sound track, it says as a warning of the logger "vidstyle.notes".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidstyle.errors import UsageError
from vidstyle.jobs.arguments import checked
from vidstyle.jobs.arrays import painted_frames, painted_still
from vidstyle.jobs.balance import Animation, PictureSource, still_plan
from vidstyle.jobs.curves import ParameterCurves, require_still
from vidstyle.jobs.output.export import OnFitted, Outputs, check_outputs
from vidstyle.jobs.reencode import encode_job
from vidstyle.jobs.rendering import OnFrame
from vidstyle.jobs.retiming import OnStep, expected_times
from vidstyle.jobs.sheets import ALPHAS, Style, sheet_of_alphas, sheet_of_shots, shots_of, write_contact_sheet
from vidstyle.jobs.sources import VideoSource, is_picture
from vidstyle.jobs.tasks import Call, File, OnPainted, Task
from vidstyle.schedule import constant
from vidstyle.settings import Settings
from vidstyle.types import Shot

__all__ = [
    "ParameterCurves",
    "Shot",
    "animate_balance",
    "encode_job",
    "find_shots",
    "make_sheet",
    "plan_balance",
    "plan_video",
    "stylize",
    "stylize_frames",
    "stylize_image",
    "stylize_video",
]


@checked
def stylize_video(
    clip: File,
    styles: Sequence[File],
    output: Outputs,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    restart: bool = False,
    keep_job: bool = False,
    on_frame: OnFrame | None = None,
    on_fitted: OnFitted | None = None,
    on_painted: OnPainted | None = None,
) -> Path:
    """Paint a clip in the styles of pictures; keeps its sound and its frame rate.

    Args:
        clip: anything PyAV reads.
        styles: one picture or more, blended by `settings.mix`.
        output: its suffix names the format: .mp4, .mov, .mkv, .webm, .gif, .webp, .avif or .png (APNG); or a folder
            for PNGs, a new one with a slash at the end. Or several of them; the first gives the job folder its name.
        settings: the defaults if None.
        overwrite: replace an existing output.
        restart: forget what an earlier, interrupted call has painted.
        keep_job: keep the job folder, with every frame as a PNG, when the output is complete.
        on_frame: called after each painted frame with its `Result` and the number of frames in all.
        on_fitted: called with what each output gave up for `settings.max_size`.
        on_painted: called, before the painting, with the source of the frames; what it returns has a method `add`,
            called with each `Frame` and its painting, (H, W, 3) uint8, and `done`, called before they are encoded.

    Returns:
        The path of the output; of several, of the first.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    settings = settings or Settings()
    task = Task("video", clip, styles, output, settings, Call(overwrite, restart, keep_job))
    source = VideoSource(task.content, settings, settings.shares(len(styles)), task.estimator)
    return task.run(source, source.sound, on_frame, on_fitted, on_painted)


@checked
def animate_balance(
    content: File,
    styles: Sequence[File],
    output: Outputs,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    restart: bool = False,
    keep_job: bool = False,
    on_frame: OnFrame | None = None,
    on_fitted: OnFitted | None = None,
    on_pilot: OnStep | None = None,
) -> Path:
    """Paint a picture again and again while alpha runs from content to style and back, or while it grows.

    Args:
        content: a picture.
        output: of the formats of `stylize_video`.
        on_pilot: called, before the painting, after each painting of the pilot renders by which equal steps are found,
            with its number from 1 and the number of all.

    The other arguments, the result and the errors are those of `stylize_video`.
    """
    settings = _animated(settings or Settings())
    task = Task("balance", content, styles, output, settings, Call(overwrite, restart, keep_job))
    picture = task.picture()
    animation = Animation(settings, settings.shares(len(styles)))
    if settings.space == "even":
        return task.run_retimed(animation, picture, on_frame, on_fitted, on_pilot)
    source = PictureSource(picture, settings, animation.plan(), starts_unpainted=settings.timelapse)
    return task.run(source, None, on_frame, on_fitted)


@checked
def stylize_image(
    content: File,
    styles: Sequence[File],
    output: Outputs,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    restart: bool = False,
    keep_job: bool = False,
    on_frame: OnFrame | None = None,
) -> Path:
    """Paint one picture.

    Args:
        content: a picture.
        output: .png or .jpg, or several.

    The other arguments, the result and the errors are those of `stylize_video`.
    """
    settings = settings or Settings()
    require_still(settings)
    task = Task("image", content, styles, output, settings, Call(overwrite, restart, keep_job))
    plan = still_plan(settings, settings.shares(len(styles)), settings.alpha)
    source = PictureSource(task.picture(), settings, plan)
    return task.run(source, None, on_frame)


def stylize_frames(
    frames: Sequence[np.ndarray],
    styles: Sequence[np.ndarray],
    settings: Settings | None = None,
    *,
    fps: Fraction | float = 25,
) -> Iterator[np.ndarray]:
    """Paint pictures in memory as the frames of a clip: the paintings of `stylize_video`, without any file.

    Args:
        frames: (H, W, 3) uint8 sRGB each, all of one size; a list, an array (N, H, W, 3), or anything that has a length
            and gives a frame by its number. Each is read twice: first all, to find cuts and flashes.
        styles: one picture or more, (H, W, 3) uint8 or float from 0 to 1, blended by `settings.mix`.
        settings: the defaults if None; those of reading and writing files must be left out.
        fps: frames a second, for schedules in seconds.

    Returns:
        An iterator of paintings, (H, W, 3) uint8 sRGB, whose long side is `settings.size`; each is painted when it is
        asked for.

    Raises:
        UsageError: a frame has another shape, or a setting is invalid; most are found before this returns.
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    return painted_frames(frames, styles, settings or Settings(), Fraction(fps).limit_denominator(1001))


def stylize(content: np.ndarray, styles: Sequence[np.ndarray], settings: Settings | None = None) -> np.ndarray:
    """Paint one picture in memory: the painting of `stylize_image`, without any file.

    Args:
        content: (H, W, 3) uint8 or float from 0 to 1, sRGB.

    Returns:
        (H, W, 3) uint8 sRGB, whose long side is `settings.size` at most.

    The other arguments and the errors are those of `stylize_frames`.
    """
    return painted_still(content, styles, settings or Settings())


@checked
def make_sheet(
    content: File,
    styles: Sequence[File],
    output: Outputs,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    restart: bool = False,
    keep_job: bool = False,
    on_frame: OnFrame | None = None,
) -> Path:
    """Paint small pictures beside each other, to choose from: each as `stylize_image` would paint it at that size.

    Args:
        content: a picture, painted in each style at each of `settings.alphas`; or a clip, of which a frame of each
            shot is painted in each style.
        styles: pictures. Of a clip without any, frames of its shots are shown as they are, at once.
        output: .png or .jpg, or several.
        on_frame: called after each painted picture with its `Result` and the number of all.

    The other arguments, the result and the errors are those of `stylize_video`.
    """
    settings = settings or Settings()
    require_still(settings)
    still = is_picture(content)
    if still and not styles:
        raise UsageError(f"no style was given for {content}; give at least one: only the sheet of a clip goes without")
    if still and (settings.start or settings.end is not None or not settings.cuts):
        raise UsageError(f"--start, --end and --no-cuts are for a clip, and {content} is a picture; leave them out")
    alphas = settings.alphas or (ALPHAS if still else (constant(settings.alpha),))
    settings = dataclasses.replace(settings, size=settings.sheet_size, alphas=alphas)
    if not styles:
        outputs = check_outputs(output, moving=False, overwrite=overwrite, inputs=[content])
        source = _unpainted(content, settings, settings.size)
        write_contact_sheet(source, settings.width, outputs, overwrite=overwrite)
        return outputs[0]
    task = Task("sheet", content, styles, output, settings, Call(overwrite, restart, keep_job))
    shown = [Style(Path(style).name, picture) for style, picture in zip(styles, task.styles, strict=True)]
    name = Path(content).name
    if still:
        sheet = sheet_of_alphas(name, task.picture(), shown, settings)
    else:
        source = _unpainted(task.content, settings, settings.size)
        sheet = sheet_of_shots(name, source, shown, settings)
    return task.draw(sheet, on_frame)


@checked
def find_shots(clip: File, settings: Settings | None = None) -> list[Shot]:
    """The shots that `stylize_video` would paint of a clip.

    Args:
        clip: anything PyAV reads.
        settings: those of reading a clip are read, and cuts; the defaults if None.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    return shots_of(_unpainted(clip, settings or Settings()))


def _unpainted(clip: File, settings: Settings, size: int = 0) -> VideoSource:
    """A clip to show unpainted, at a size; only the settings of reading a clip are used."""
    read = {name: getattr(settings, name) for name in ("start", "end", "cuts", "deinterlace", "hdr", "input_fps")}
    return VideoSource(str(clip), Settings(size=size, **read), (1.0,))


@checked
def plan_video(clip: File, styles: Sequence[File], settings: Settings | None = None) -> ParameterCurves:
    """The parameter curves of the frames that `stylize_video` would make, which see."""
    settings = dataclasses.replace(settings or Settings(), cuts=False, flow="dis", flow_weights=None)
    return VideoSource(str(clip), settings, settings.shares(len(styles))).curves


@checked
def plan_balance(settings: Settings | None = None, styles: int = 1) -> ParameterCurves:
    """The parameter curves of the frames that `animate_balance` would show of so many styles.

    With `space` even, at the expected remapped times, which the pilot renders change a little.
    """
    settings = _animated(settings or Settings())
    animation = Animation(settings, settings.shares(styles))
    plan = animation.plan(expected_times(animation) if settings.space == "even" else None)
    order = [plan.painted[place] for place in plan.shown]
    return plan.curves.reordered(order, [number / plan.fps for number in range(len(order))])


def _animated(settings: Settings) -> Settings:
    """An alpha over time is the animation's, too."""
    if settings.animation_alpha is None and isinstance(settings.alpha, str):
        return dataclasses.replace(settings, animation_alpha=settings.alpha)
    return settings

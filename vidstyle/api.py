"""The public functions of the library.

    from vidstyle import BalanceSettings, RunOptions, VideoSettings, animate_balance, stylize_image, stylize_video

Each function refuses what cannot work before it paints, keeps every finished frame in `OUTPUT.job/`, resumes from
there when called again with the same inputs and settings, and removes that folder when the outputs are complete.
What it does unasked or leaves out, like a sound track, it says as a warning of the logger "vidstyle.notes".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np

from vidstyle.jobs.arguments import RunOptions, checked
from vidstyle.jobs.arrays import painted_frames, painted_still
from vidstyle.jobs.firsts import first_sheet, paint_first_frames
from vidstyle.jobs.folder.status import JobStatus, JobWatcher
from vidstyle.jobs.masking import carry_mask, make_mask
from vidstyle.jobs.output.export import Outputs, check_outputs
from vidstyle.jobs.output.origin import origin_of
from vidstyle.jobs.painting.retiming import expected_times
from vidstyle.jobs.prepared import balance_of, image_of, sheet_of, sheet_settings, unpainted, video_of
from vidstyle.jobs.preview import StillPainter
from vidstyle.jobs.redo import paint_again
from vidstyle.jobs.reencode import encode_job
from vidstyle.jobs.sheets import shots_of, write_contact_sheet
from vidstyle.jobs.sources.balance import Animation, PictureSource
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.jobs.sources.curves import ParameterCurves
from vidstyle.jobs.task_inputs import File
from vidstyle.settings import BalanceSettings, ImageSettings, ReadingSettings, SheetSettings, VideoSettings
from vidstyle.types import Region, Shot

__all__ = [
    "JobStatus",
    "JobWatcher",
    "ParameterCurves",
    "Region",
    "RunOptions",
    "Shot",
    "StillPainter",
    "animate_balance",
    "carry_mask",
    "encode_job",
    "find_shots",
    "first_sheet",
    "make_mask",
    "make_sheet",
    "origin_of",
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
    settings: VideoSettings | None = None,
    run: RunOptions | None = None,
) -> Path:
    """Paint a clip in the styles of pictures; keeps its sound and its frame rate.

    Args:
        clip: anything PyAV reads.
        styles: one or more, pictures or clips, blended by `settings.mix`.
        output: its suffix names the format: .mp4, .mov, .mkv, .webm, .gif, .webp, .avif or .png (APNG); or a folder
            for PNGs, a new one with a slash at the end. Or several of them; the first gives the job folder its name.
        settings: the defaults if None.
        run: what becomes of existing outputs, of an earlier call's frames and of the job folder, and functions to call
            meanwhile; the defaults if None.

    Returns:
        The path of the output; of several, of the first. With `run.only_first` that of the sheet.

    Raises:
        UsageError: `settings` are those of another job, or an argument or a setting is out of its range.
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    settings = settings or VideoSettings()
    task, source = video_of(clip, styles, output, settings, run or RunOptions())
    if task.options.only_first:
        return paint_first_frames(task, source)
    if task.options.redo is not None:
        return paint_again(task, source)
    return task.run(source, source.sound)


@checked
def animate_balance(
    content: File,
    styles: Sequence[File],
    output: Outputs,
    settings: BalanceSettings | None = None,
    run: RunOptions | None = None,
) -> Path:
    """Paint a picture again and again while alpha runs from content to style and back, or while it grows.

    Args:
        content: a picture.
        output: of the formats of `stylize_video`.

    The other arguments, the result and the errors are those of `stylize_video`.
    """
    settings = settings or BalanceSettings()
    task, animation, picture = balance_of(content, styles, output, settings, run or RunOptions())
    if settings.space == "even":
        return task.run_retimed(animation, picture)
    source = PictureSource(
        picture, settings, animation.plan(), task.mask(), task.region_masks(), starts_unpainted=settings.timelapse
    )
    return task.run(source)


@checked
def stylize_image(
    content: File,
    styles: Sequence[File],
    output: Outputs,
    settings: ImageSettings | None = None,
    run: RunOptions | None = None,
) -> Path:
    """Paint one picture.

    Args:
        content: a picture.
        output: .png or .jpg, or several.

    The other arguments, the result and the errors are those of `stylize_video`.
    """
    task, source = image_of(content, styles, output, settings or ImageSettings(), run or RunOptions())
    return task.run(source)


def stylize_frames(
    frames: Sequence[np.ndarray],
    styles: Sequence[np.ndarray],
    settings: VideoSettings | None = None,
    *,
    fps: Fraction | float = 25,
    masks: Sequence[np.ndarray] | np.ndarray | None = None,
    regions: Sequence[Region] = (),
    keys: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> Iterator[np.ndarray]:
    """Paint pictures in memory as the frames of a clip: the paintings of `stylize_video`, without any file.

    Args:
        frames: (H, W, 3) uint8 sRGB each, or (H, W, 4) with opacity, all of one size; a list, an array (N, H, W, C),
            or anything that has a length and gives a frame by its number. Each is read twice: first all, to find cuts
            and flashes.
        styles: one picture or more, (H, W, 3 or 4) uint8 or float from 0 to 1, blended by `settings.mix`.
        settings: the defaults if None; those of reading and writing files must be left out.
        fps: frames a second, for schedules in seconds.
        masks: where to paint, (H, W) uint8 of the size of the frames, 255 for wholly: one for all or one for each.
        regions: parts of the frames that have styles of their own; a later one lies over an earlier.
        keys: frames that are painted already, by their numbers from 0, (H, W, 3) uint8 or float from 0 to 1; the
            painting is led to them, and has their style by `settings.first_weight`.

    Returns:
        An iterator of paintings, (H, W, 3) uint8 sRGB, whose long side is `settings.size`; each is painted when it is
        asked for. Those of frames with opacity have it, too.

    Raises:
        UsageError: a frame has another shape, or a setting is invalid; most are found before this returns.
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    rate = Fraction(fps).limit_denominator(1001)
    return painted_frames(frames, styles, settings or VideoSettings(), rate, masks, regions, keys)


def stylize(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    settings: ImageSettings | None = None,
    *,
    mask: np.ndarray | None = None,
    regions: Sequence[Region] = (),
) -> np.ndarray:
    """Paint one picture in memory: the painting of `stylize_image`, without any file.

    Args:
        content: (H, W, 3) uint8 or float from 0 to 1, sRGB, or (H, W, 4) with opacity, which the painting then has.
        mask: where to paint, (H, W) uint8 of the same size, 255 for wholly.
        regions: parts of the picture that have styles of their own; a later one lies over an earlier.

    Returns:
        (H, W, 3) uint8 sRGB, whose long side is `settings.size` at most.

    The other arguments and the errors are those of `stylize_frames`.
    """
    return painted_still(content, styles, settings or ImageSettings(), mask, regions)


@checked
def make_sheet(
    content: File,
    styles: Sequence[File],
    output: Outputs,
    settings: SheetSettings | None = None,
    run: RunOptions | None = None,
) -> Path:
    """Paint small pictures beside each other, to choose from: each as `stylize_image` would paint it at that size.

    Args:
        content: a picture, painted in each style at each of `settings.alphas`; or a clip, of which a frame of each
            shot is painted in each style.
        styles: pictures. Of a clip without any, frames of its shots are shown as they are, at once.
        output: .png or .jpg, or several.

    The other arguments, the result and the errors are those of `stylize_video`.
    """
    settings, run = settings or SheetSettings(), run or RunOptions()
    run.require_called(settings.job)
    settings = sheet_settings(content, styles, settings)
    if not styles:
        outputs = check_outputs(output, moving=False, overwrite=run.overwrite, inputs=[content])
        source = unpainted(content, settings, settings.size)
        write_contact_sheet(source, settings.width, outputs, overwrite=run.overwrite)
        return outputs[0]
    task, sheet = sheet_of(content, styles, output, settings, run)
    return task.draw(sheet)


@checked
def find_shots(clip: File, settings: ReadingSettings | None = None) -> list[Shot]:
    """The shots that `stylize_video` would paint of a clip.

    Args:
        clip: anything PyAV reads.
        settings: `VideoSettings` or `SheetSettings`, of which those of reading a clip are used; the defaults if None.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    return shots_of(unpainted(clip, settings or VideoSettings()))


@checked
def plan_video(clip: File, styles: Sequence[File], settings: VideoSettings | None = None) -> ParameterCurves:
    """The parameter curves of the frames that `stylize_video` would make, which see."""
    settings = dataclasses.replace(settings or VideoSettings(), cuts=False, flow="dis", flow_weights=None)
    return VideoSource(str(clip), settings, settings.shares(len(styles))).curves


@checked
def plan_balance(settings: BalanceSettings | None = None, styles: int = 1) -> ParameterCurves:
    """The parameter curves of the frames that `animate_balance` would show of so many styles.

    With `space` even, at the expected remapped times, which the pilot renders change a little.
    """
    settings = settings or BalanceSettings()
    animation = Animation(settings, settings.shares(styles))
    plan = animation.plan(expected_times(animation) if settings.space == "even" else None)
    order = [plan.painted[place] for place in plan.shown]
    return plan.curves.reordered(order, [number / plan.fps for number in range(len(order))])

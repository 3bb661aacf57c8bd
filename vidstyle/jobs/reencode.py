"""Re-encodes the frames of a finished job with other settings; nothing is painted.

from vidstyle import EncodeSettings, encode_job

encode_job("ride.mp4.job", ["small.gif", "small.webm"], EncodeSettings(fps=12, width=320))
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidstyle.compose.compositor import Compositor
from vidstyle.compose.frame_cache import CompositorInputs
from vidstyle.compose.playback import Playback, as_painted
from vidstyle.core.stylizer import to_pixels
from vidstyle.errors import JobError, MediaError, UsageError
from vidstyle.jobs.arguments import checked
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.inputs import hash_of
from vidstyle.jobs.folder.manifest import Played
from vidstyle.jobs.folder.opening import reopen_job
from vidstyle.jobs.output.budget import placed
from vidstyle.jobs.output.export import (
    SOUNDING,
    OnFitted,
    Outputs,
    check_background,
    check_outputs,
    export,
    files_read,
    frames_kept,
)
from vidstyle.jobs.output.figure import check_companions, write_companions
from vidstyle.jobs.output.origin import Origin
from vidstyle.jobs.sources.styles import load_styles, thumbnail
from vidstyle.media.stills.pictures import load_picture, resize
from vidstyle.media.stills.sequence import input_files
from vidstyle.settings import EncodeSettings, ReadingSettings
from vidstyle.types import FrameSequence

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

File = str | Path


@checked
def encode_job(
    job: File,
    output: Outputs,
    settings: EncodeSettings | None = None,
    *,
    overwrite: bool = False,
    on_fitted: OnFitted | None = None,
) -> Path:
    """Encode a finished job that was kept (`keep_job`) into other files.

    Args:
        job: its folder, OUTPUT.job.
        output: one or several, of the formats that the job could have made.
        settings: the defaults if None.
        overwrite: replace existing outputs.
        on_fitted: called with what each output gave up for `settings.max_size`.

    Returns:
        The path of the output; of several, of the first.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws; `JobError` if the job is not finished.
    """
    settings = settings or EncodeSettings()
    with reopen_job(Path(job)) as folder:
        if folder.painted < folder.frames:
            raise JobError(
                f"{job} holds {folder.painted} of {folder.frames} frames; finish it with the command that began it"
            )
        if folder.manifest.job == "sheet":
            raise UsageError(f"{job} holds the pictures of a sheet; for another run its command again, with -y")
        moving = folder.manifest.job != "image"
        limit = settings.limit
        if (played := folder.manifest.played) is None:
            raise JobError(f"{job} does not say how its frames are shown; finish it with the command that began it")
        inputs, kept = _Inputs(folder, played), as_painted(played.info, played.order)
        read: list[File] = [*inputs.names, folder.path / "frames", *files_read(settings)]
        paths = check_outputs(
            output, moving=moving, overwrite=overwrite, plays=settings.plays, limit=limit, inputs=read
        )
        check_companions(settings, paths, overwrite=overwrite, inputs=read)
        compositor = placed(Compositor(kept, settings, inputs.inputs(settings, kept), moving=moving))
        check_background(settings.background, paths, transparent=compositor.inputs.transparent)
        sound = None
        if settings.sound and any(path.suffix.lower() in SOUNDING for path in paths):
            sound = inputs.sound()
        origin = Origin.of_encoding(folder.manifest, settings).encoded() if folder.manifest.origin else ""
        with frames_kept(folder):
            fitted = export(folder, compositor, paths, settings, sound, on_fitted, overwrite=overwrite, origin=origin)
            write_companions(folder, compositor, settings, paths, fitted, overwrite=overwrite)
    return paths[0]


class _Inputs:
    """The input files of a finished job, checked to be unchanged."""

    def __init__(self, folder: JobFolder, played: Played) -> None:
        self.folder, self.played = folder, played
        self._moves = folder.manifest.job == "video"

    @property
    def names(self) -> list[str]:
        """The files it was painted from."""
        return [self.played.content, *self.played.styles]

    def sound(self) -> Clip | None:
        """The clip whose sound goes along; None if it has none."""
        if not self.played.sound:
            return None
        return self._clip("put the painted clip back there, whose sound goes along, or give --no-sound")

    def inputs(self, settings: EncodeSettings, kept: Playback) -> CompositorInputs:
        """What `settings` show beside the painting."""
        own, played = kept.info, self.played
        transparent = next(self.folder.images([0])).shape[2] == 4
        under = transparent and settings.background == "content"
        if settings.layout == "plain" and settings.title is None and not under:
            return CompositorInputs(alpha=played.alpha, transparent=transparent)
        by = "--layout" if settings.layout != "plain" else "--background content" if under else "--title"
        advice = f"put it back there: {by} shows it"
        content: FrameSequence | np.ndarray
        if self._moves:
            content = self._clip(advice)
        else:
            kept_file = self._checked(played.content, "content", advice)
            picture = load_picture(kept_file, enough=max(own.width, own.height), transparency=True)
            content = _rounded(resize(picture, own.width, own.height))
        names = enumerate(played.styles, 1)
        styles = load_styles([self._checked(name, f"style {number}", advice) for number, name in names])
        shown = tuple(to_pixels(thumbnail(style)) for style in styles)
        seams = self.folder.manifest.seams
        return CompositorInputs(content, shown, played.alpha, seams, transparent)

    def _clip(self, advice: str) -> Clip:
        self._checked(self.played.content, "content", advice)
        return self._surveyed

    @functools.cached_property
    def _surveyed(self) -> Clip:
        from vidstyle.media.video import survey

        painted = self.folder.manifest.settings
        read = painted if isinstance(painted, ReadingSettings) else ReadingSettings()
        return survey(
            self.played.content,
            start=self.played.start,
            end=self.played.end,
            rate=read.input_fps,
            deinterlace=read.deinterlace,
            hdr=read.hdr,
        )

    def _checked(self, name: str, role: str, advice: str) -> str:
        """The file `name`, if it is what was painted from."""
        try:
            files = input_files(name)
        except MediaError as error:
            raise MediaError(f"{error}; {advice}") from error
        if hash_of(files) != self.folder.manifest.inputs[role]:
            what = "style" if role.startswith("style") else "clip" if self._moves else "picture"
            raise MediaError(f"{name} is not the {what} that was painted{' after' * (what == 'style')}; {advice}")
        return name


def _rounded(picture: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = np.rint(picture * 255).astype(np.uint8)
    return pixels

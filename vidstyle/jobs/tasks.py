"""A job from start to end: checks before painting, the job folder, the render loop, the outputs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidstyle.compose.compositor import Compositor
from vidstyle.compose.frame_cache import CompositorInputs
from vidstyle.compose.playback import as_painted
from vidstyle.core.stylizer import to_pixels
from vidstyle.errors import DiskError, JobError, VidstyleError
from vidstyle.jobs.arguments import RunOptions
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.manifest import Played
from vidstyle.jobs.folder.opening import open_job
from vidstyle.jobs.output.budget import placed
from vidstyle.jobs.output.export import Outputs, check_background, export, files_read, frames_kept
from vidstyle.jobs.output.figure import write_companions
from vidstyle.jobs.output.origin import Origin
from vidstyle.jobs.output.space import announced
from vidstyle.jobs.output.targets import Targets
from vidstyle.jobs.painting.rendering import Observer, Watched, render
from vidstyle.jobs.painting.retiming import expected_times, retime
from vidstyle.jobs.painting.seams import finish_seams
from vidstyle.jobs.painting.shots import ClipOpener, Opener, ShotWork
from vidstyle.jobs.painting.workers import paint_shots, require_threads, threads_of
from vidstyle.jobs.sheets import Cells, Sheet
from vidstyle.jobs.sources.balance import Animation, PictureSource
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.jobs.sources.styles import thumbnail
from vidstyle.jobs.task_inputs import File, TaskInputs, alpha_of
from vidstyle.jobs.threads import computing_with
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.miniature import try_outputs
from vidstyle.media.writers.sinks import write_still
from vidstyle.media.writers.stills import check_bits
from vidstyle.settings import (
    EncodeSettings,
    ImageSettings,
    PaintingSettings,
)
from vidstyle.system import facts
from vidstyle.system.memory import give_back_freed_memory
from vidstyle.system.notes import tell
from vidstyle.types import Seams, Source

if TYPE_CHECKING:
    from vidstyle.media.video import Clip


class Task(TaskInputs):
    """One call of a public function; the constructor checks everything that does not need the frames.

    Attributes:
        encoding: how the outputs are made of the painted frames.
    """

    def __init__(
        self, content: File, styles: Sequence[File], outputs: Outputs, settings: PaintingSettings, run: RunOptions
    ) -> None:
        self.job, self.moving = settings.job, settings.job not in ("image", "sheet")
        run.require_called(self.job)
        self.encoding = _placed(EncodeSettings.of(settings))
        self.read = [content, *styles, *files_read(settings), *files_read(self.encoding)]
        self.targets = Targets(
            outputs,
            self.encoding,
            self.read,
            moving=self.moving,
            overwrite=run.overwrite,
            restart=run.restart and run.redo is None,
        )
        check_bits(self.targets.outputs, settings.bits if isinstance(settings, ImageSettings) else 8)
        super().__init__(content, styles, settings, run)

    @property
    def _deep(self) -> bool:
        """Whether the output is a still in 16 bits a channel."""
        return isinstance(self.settings, ImageSettings) and self.settings.bits == 16

    def _deep_still(self, job: JobFolder, source: VideoSource | PictureSource) -> np.ndarray | None:
        """The still that a finished job has painted, (H, W, 3 or 4) uint16: from its state, which was never rounded."""
        if job.state is None:
            return None
        (frame,) = source.frames(0)
        shown = self.stylizer().colors.shown(frame, job.state).clamp(0, 1)
        if frame.opacity is not None:
            shown = torch.cat([shown.cpu(), frame.opacity])
        deep: np.ndarray = np.rint(shown.permute(1, 2, 0).numpy() * 65535).astype(np.uint16)
        return deep

    @property
    def outputs(self) -> list[Path]:
        """Absolute paths of the outputs; the first gives the job folder its name."""
        return self.targets.outputs

    def run(self, source: VideoSource | PictureSource, sound: Clip | None = None) -> Path:
        """Paint, and make the outputs. Returns the path of the first."""
        self.try_outputs(self.compositor(source), sound)  # what fails is refused before there is a job folder
        with self.opened(source) as job:
            self.finish(job, source, sound)
        return self.outputs[0]

    def run_retimed(self, animation: Animation, picture: np.ndarray) -> Path:
        """The same in equal steps, at the remapped times of pilot renders or of an interrupted call before."""

        mask, regions = self.mask(), self.region_masks()

        def source(remapped_times: Sequence[Fraction]) -> PictureSource:
            settings = animation.settings
            plan = animation.plan(remapped_times)
            return PictureSource(picture, settings, plan, mask, regions, starts_unpainted=settings.timelapse)

        draft = source(expected_times(animation))
        self.try_outputs(self.compositor(draft))
        with self.opened(draft) as job:
            if len(job.manifest.remapped_times) != len(animation.times) and not self.targets.all_made:
                tell(
                    "first two pilot renders paint the animation at a smaller size, to find equal steps; "
                    "that takes about as long as the painting itself, and --space linear leaves it out"
                )
                stylizer = self.stylizer()
                remapped_times = retime(
                    animation, picture, stylizer, self.network, self.options.on_pilot, mask, regions
                )
                job.describe(remapped_times=tuple(remapped_times))
                del stylizer
                give_back_freed_memory()
            self.finish(job, source(job.manifest.remapped_times))
        return self.outputs[0]

    def draw(self, sheet: Sheet) -> Path:
        """Paint the cells of a sheet, and write it. Returns the path of the first output."""
        with self.opened(sheet) as job:
            if not self.targets.all_made:
                self.paint(job, sheet)
                with frames_kept(job):
                    drawn, leave = sheet.drawn(job.images()), self.options.overwrite
                    origin = self.origin().encoded() if self.encoding.metadata else ""
                    write_still(drawn, self.targets.left, overwrite=leave, origin=origin, record=job.record)
        return self.outputs[0]

    @contextmanager
    def opened(self, source: Source) -> Iterator[JobFolder]:
        """The job folder; it goes, unless it is to be kept, when the block is left.

        In the block torch computes with as many threads as when the job was started.

        Raises:
            MemoryLimitError, DiskError: the memory or the disk cannot hold the pictures.
            OutputExistsError: an output is there that this job has not made.
            JobError, DiskError: as `open_job` does.
        """
        self.require_room(source, self.outputs)
        frames = max(source.playback) + 1
        seams = source.seams if isinstance(source, VideoSource) else Seams()
        manifest = dataclasses.replace(self.manifest(frames), shots=tuple(_shots(source)[1:]), seams=seams)
        with open_job(self.outputs[0], manifest, restart=self.options.restart) as job, _told(job):
            self.targets.claim(job)
            require_threads(self.options, job.manifest.threads)
            self._log(job, source)
            if cost := announced(source.info, frames - job.painted):
                tell(cost)
            with computing_with(job.manifest.threads):
                yield job
            if not (self.options.keep_job or self.options.only_first):
                job.discard()

    def paint(self, job: JobFolder, source: Source, observer: Observer | None = None) -> None:
        """Paint what the job does not have yet. Raises `MediaError` if an input changes meanwhile."""
        divided = isinstance(source, VideoSource) and bool(source.seams.starts)
        if self.options.workers is not None:
            self._paint_shots(job, source)
        if self.options.workers is None or (observer is not None and not divided):
            along = None if divided else observer
            render(Watched(source, self.inputs), self.stylizer(), job, self.options.on_frame, along)
        if divided:
            assert isinstance(source, VideoSource)
            finish_seams(source, job, observer)
        self.inputs.require_unchanged()

    def _paint_shots(self, job: JobFolder, source: Source) -> None:
        """Have workers paint what the job does not have yet."""
        assert isinstance(source, VideoSource | Sheet)
        opener: Opener = Cells(source.cells) if isinstance(source, Sheet) else ClipOpener.of(source)
        files = [] if isinstance(source, Sheet) else self.inputs.read_frame_by_frame
        threads = job.manifest.threads or threads_of(self.options)
        work = ShotWork(opener, self.stylizer_maker, self.settings, self.network, threads, files)
        history = source.reach - 1 if isinstance(source, VideoSource) else 0
        paint_shots(job, work, self.inputs, history, self.options, self.device)

    def finish(self, job: JobFolder, source: VideoSource | PictureSource, sound: Clip | None = None) -> None:
        """Paint what is left, and make the outputs that an earlier call has not made."""
        observe = self.options.observe
        if self.targets.all_made and observe is None:
            return
        played, origin = self._described(job, source, sound)
        survey = source.survey.kept() if isinstance(source, VideoSource) else None
        job.describe(played=played, origin=origin, survey=survey)
        observer = None
        if observe is not None and isinstance(source, VideoSource):
            observer = observe(source)
        self.paint(job, source, observer)
        if observer is not None:
            observer.done()
        compositor, encoding, leave = self.compositor(source, played.alpha), self.encoding, self.targets.replaces
        heard = sound if encoding.sound else None
        deep = self._deep_still(job, source) if self._deep else None

        def record(output: Path, part: Path) -> None:
            self.inputs.require_unchanged()  # what is shown beside the painting, and heard, is read anew
            job.record(output, part)

        with frames_kept(job):
            fitted = export(
                job,
                compositor,
                self.targets.left,
                encoding,
                heard,
                self.options.on_fitted,
                overwrite=leave,
                record=record,
                deep=deep,
                origin=origin,
            )
            self.targets.remove_companions()
            write_companions(job, compositor, encoding, self.outputs, fitted, overwrite=leave, record=record)
        if job.manifest.outdated:
            job.describe(shows=len(job.manifest.redone), former={})

    def try_outputs(self, compositor: Compositor, sound: Clip | None = None) -> None:
        """Make the outputs in miniature. Raises `UsageError` if that fails."""
        own = self.encoding
        check_background(own.background, self.targets.left, transparent=compositor.inputs.transparent)
        heard = sound if own.sound else None
        origin = self.origin().encoded() if own.metadata else ""
        transparent = compositor.transparent
        encoding = Encoding(own.crf, own.plays, heard, compositor.delay, origin=origin, transparent=transparent)
        notes = try_outputs(self.targets.left, compositor.info, encoding) if self.moving else []
        for note in notes:
            tell(note)

    def compositor(self, source: VideoSource | PictureSource, alpha: tuple[float, ...] | None = None) -> Compositor:
        """The compositor of its frames, of the settings' `alpha` if None. Raises `UsageError` for what does not fit."""
        content = source.sequence if isinstance(source, VideoSource) else source.content
        seams = source.seams if isinstance(source, VideoSource) else Seams()
        styles = tuple(to_pixels(thumbnail(style)) for style in self.styles)
        inputs = CompositorInputs(content, styles, alpha or alpha_of(source), seams, source.transparent)
        return placed(Compositor(as_painted(source.info, source.playback), self.encoding, inputs, moving=self.moving))

    def _described(self, job: JobFolder, source: VideoSource | PictureSource, sound: Clip | None) -> tuple[Played, str]:
        """How the frames of a job are played, and what its outputs say of their making."""
        played, origin, there = self.played(source, sound), self.origin(), job.manifest
        if self.options.redo is not None and there.played is not None:  # these settings are of some frames
            played, origin = there.played, Origin.of_encoding(there, self.encoding)
        alpha = there.alphas(played.alpha)
        return dataclasses.replace(played, alpha=alpha), origin.with_redone(there.redone).encoded()

    def _log(self, job: JobFolder, source: Source) -> None:
        """Keep in the log what a report of a bug needs."""
        info, manifest = source.info, job.manifest
        for line in facts.machine():
            job.log(line)
        job.log(
            f"{self.job} on {self.device.type}, {manifest.threads} threads: {json.dumps(manifest.settings.painting())}"
        )
        sizes = ", ".join(
            f"{role} {paths[0].name} ({sum(path.stat().st_size for path in paths)} bytes)"
            for role, paths in self.inputs.files.items()
        )
        job.log(f"{info.frames} frames of {info.width}x{info.height} at {float(info.fps):g} a second from {sizes}")
        job.log(f"begins with frame {job.done} of {job.frames}")


@contextmanager
def _told(job: JobFolder) -> Iterator[None]:
    """Keep in the log how a call ends. One that is refused before there is anything to keep leaves no folder."""
    try:
        yield
    except BaseException as error:
        job.log(f"ends with {type(error).__name__}: {error}")
        refused = isinstance(error, VidstyleError) and not isinstance(error, JobError)
        if refused and not (job.painted or job.manifest.remapped_times or job.manifest.made):
            with suppress(DiskError):
                job.discard()
        raise


def _shots(source: Source) -> list[int]:
    """The first frames of what is painted apart: of a loop only one, since its end is painted towards its beginning."""
    if isinstance(source, VideoSource) and not source.settings.loop:
        return source.starts
    return list(range(len(source.cells))) if isinstance(source, Sheet) else [0]


def _placed(settings: EncodeSettings) -> EncodeSettings:
    """With absolute paths: the working folder may change before the files are read or written."""
    files = {name: getattr(settings, name) for name in ("poster", "figure", "font")}
    return dataclasses.replace(settings, **{name: os.path.abspath(file) for name, file in files.items() if file})

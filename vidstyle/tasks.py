"""One call of a public function: what it refuses, the loop that paints, and what is made of the frames."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vidstyle import networks, pictures
from vidstyle.balance import Animation, PictureSource
from vidstyle.checkpoint import JobFolder, file_hash, open_job
from vidstyle.encoding.budget import placed
from vidstyle.encoding.miniature import try_outputs
from vidstyle.encoding.outputs import (
    OnFitted,
    OnNote,
    check_job_folder,
    check_outputs,
    export,
    files_read,
    frames_kept,
)
from vidstyle.encoding.partfile import Encoding
from vidstyle.errors import UsageError
from vidstyle.flow import Estimator
from vidstyle.optimize import pick_device, pick_precision
from vidstyle.pacing import OnStep, expected, rehearse
from vidstyle.probe import require_memory
from vidstyle.settings import Job, Settings
from vidstyle.showing.figure import check_companions, write_companions
from vidstyle.showing.playback import as_painted
from vidstyle.showing.reel import Material
from vidstyle.showing.show import Show
from vidstyle.sources import VideoSource, ahead, estimator_of, to_tensor
from vidstyle.stopwatch import each, stage
from vidstyle.stylizer import Stylizer, to_pixels
from vidstyle.types import Result, Source, State

if TYPE_CHECKING:
    from vidstyle.media import Clip

OnFrame = Callable[[Result, int], None]
OnPainted = Callable[[Iterator[np.ndarray]], None]
File = str | Path
Outputs = File | Sequence[File]
MOMENTS = "moments"  # in a job's playback: those of an even animation


class Task:
    """One call of a public function; at birth everything is checked that does not need the frames."""

    def __init__(
        self, job: Job, content: File, styles: Sequence[File], outputs: Outputs, settings: Settings, overwrite: bool
    ) -> None:
        self.settings = settings
        self.moving = job not in ("image", "sheet")
        self.overwrite, read = overwrite, [content, *styles, *files_read(settings)]
        self.outputs = check_outputs(
            outputs, moving=self.moving, overwrite=overwrite, plays=settings.plays, limit=settings.limit, inputs=read
        )
        check_job_folder(self.outputs[0], read)
        check_companions(settings, self.outputs, overwrite=overwrite, inputs=read)
        if not styles:
            raise UsageError("no style was given; give at least one picture")
        settings.shares(len(styles))
        pictures.check_file(content)
        self.styles = [to_tensor(pictures.load_picture(style)) for style in styles]
        self.init = None
        self.files = {"content": os.path.abspath(content), "styles": [os.path.abspath(style) for style in styles]}
        inputs = {"content": content} | {f"style {number}": style for number, style in enumerate(styles, 1)}
        if settings.init not in ("content", "noise"):
            self.init = to_tensor(pictures.load_picture(settings.init))
            inputs["init"] = settings.init
        self.device = pick_device(settings.device)
        self.network = load_network(settings)
        self.network.require((*settings.content_layers, *settings.style_layers))
        self.estimator = estimator_of(settings) if job == "video" else None
        self.manifest = _manifest(job, inputs, settings, self.network, self.estimator, self.device)

    def run(
        self,
        source: VideoSource | PictureSource,
        sound: Clip | None,
        restart: bool,
        keep_job: bool,
        on_frame: OnFrame | None,
        on_fitted: OnFitted | None = None,
        on_painted: OnPainted | None = None,
        on_note: OnNote | None = None,
    ) -> Path:
        """Paint, and make the outputs. Returns the path of the first."""
        self.try_outputs(self.show(source), sound, on_note)  # what fails is refused before there is a job folder
        with self.opened(source, restart, keep_job) as job:
            self.finish(job, source, sound, on_frame, on_fitted, on_painted, on_note)
        return self.outputs[0]

    def run_evenly(
        self,
        animation: Animation,
        picture: np.ndarray,
        restart: bool,
        keep_job: bool,
        on_frame: OnFrame | None,
        on_fitted: OnFitted | None,
        on_rehearsal: OnStep | None,
    ) -> Path:
        """The same at an even pace, found by rehearsals, or by an interrupted call before."""

        def source(moments: Sequence[Fraction]) -> PictureSource:
            return PictureSource(picture, self.settings, animation.plan(moments), begun=self.settings.timelapse)

        draft = source(expected(animation))
        self.try_outputs(self.show(draft))
        with self.opened(draft, restart, keep_job) as job:
            moments = [Fraction(moment) for moment in job.playback.get(MOMENTS, [])]
            if not moments:
                stylizer = Stylizer(self.network, self.styles, self.settings, init=self.init)
                moments = rehearse(animation, picture, stylizer, self.network, on_rehearsal)
                job.describe({MOMENTS: list(map(str, moments))})
                del stylizer
            self.finish(job, source(moments), None, on_frame, on_fitted)
        return self.outputs[0]

    @contextmanager
    def opened(self, source: Source, restart: bool, keep_job: bool) -> Iterator[JobFolder]:
        """The job folder; it goes, unless it is to be kept, when the block is left. Refuses what memory cannot hold."""
        require_memory(self.network, self.settings, (source.info.height, source.info.width))
        with open_job(self.outputs[0], self.manifest, restart=restart, frames=max(source.playback) + 1) as job:
            yield job
            if not keep_job:
                job.discard()

    def paint(self, job: JobFolder, source: Source, on_frame: OnFrame | None) -> None:
        """Paint what the job does not have yet."""
        render(source, Stylizer(self.network, self.styles, self.settings, init=self.init), job, on_frame)

    def finish(
        self,
        job: JobFolder,
        source: VideoSource | PictureSource,
        sound: Clip | None,
        on_frame: OnFrame | None,
        on_fitted: OnFitted | None = None,
        on_painted: OnPainted | None = None,
        on_note: OnNote | None = None,
    ) -> None:
        """Paint what is left, and make the outputs."""
        clip = os.path.abspath(sound.path) if sound is not None and sound.has_audio else None
        known = {MOMENTS: job.playback[MOMENTS]} if MOMENTS in job.playback else {}
        kept = as_painted(source.info, source.playback).json()
        job.describe(known | kept | self.files | {"clip": clip, "alpha": list(source.course.alpha)})
        self.paint(job, source, on_frame)
        if on_painted is not None:
            on_painted(job.images(source.playback))
        show = self.show(source)
        heard, leave = sound if self.settings.sound else None, self.overwrite
        with frames_kept(job):
            fitted = export(job, show, self.outputs, self.settings, heard, on_fitted, on_note, overwrite=leave)
            write_companions(job, show, self.settings, self.outputs, fitted, overwrite=leave)

    def try_outputs(self, show: Show, sound: Clip | None = None, on_note: OnNote | None = None) -> None:
        """Make the outputs in miniature. Raises `UsageError` if that fails."""
        settings = self.settings
        encoding = Encoding(settings.crf, settings.plays, sound if settings.sound else None, show.delay)
        notes = try_outputs(self.outputs, show.info, encoding) if self.moving else []
        if on_note is not None:
            for note in notes:
                on_note(note)

    def show(self, source: VideoSource | PictureSource) -> Show:
        """How its frames will be shown. Raises `UsageError` if what the settings ask for cannot be meant."""
        content = source.film if isinstance(source, VideoSource) else to_pixels(source.image)
        material = Material(content, tuple(map(to_pixels, self.styles)), source.course.alpha)
        return placed(Show(as_painted(source.info, source.playback), self.settings, material, moving=self.moving))


def load_network(settings: Settings) -> networks.FeatureNetwork:
    """The network that `settings` name, with its weights. Raises `WeightsError`."""
    if settings.network == "vgg19":
        raw = settings.objective == "blog"  # the post's pictures are neither normalised nor padded with care
        return networks.vgg19(settings.weights, padding="zeros" if raw else "replicate", normalize=not raw)
    if settings.weights is not None:
        raise UsageError(f"--weights belongs to --network vgg19, not to {settings.network!r}; leave it out")
    return networks.compact(None if settings.network == "compact" else settings.network)


def _manifest(
    job: Job,
    inputs: dict[str, Any],
    settings: Settings,
    network: networks.FeatureNetwork,
    estimator: Estimator | None,
    device: torch.device,
) -> dict[str, Any]:
    """What a job's frames depend on: another manifest means other frames."""
    from vidstyle import __version__

    painted = {
        option.name: getattr(settings, option.name)
        for option in dataclasses.fields(settings)
        if option.metadata["paints"] and job in option.metadata["only"]
    }
    painted["precision"] = pick_precision(settings.precision, device)
    # What is in a file matters, and is hashed below; where it lies does not.
    for name in ("weights", "flow_weights"):
        painted.pop(name, None)
    for name, words in (("network", ("compact", "vgg19")), ("init", ("content", "noise"))):
        if painted[name] not in words:
            painted[name] = "a file"
    return {
        "vidstyle": __version__,
        "job": job,
        "inputs": {role: file_hash(path) for role, path in inputs.items()},
        "network": networks.fingerprint(network),
        "flow weights": estimator.fingerprint if estimator else "",
        "settings": painted | {"device": device.type},
    }


def render(source: Source, stylizer: Stylizer, job: JobFolder, on_frame: OnFrame | None = None) -> None:
    """Paint every frame of `source` that `job` does not have yet, and keep it there.

    While a frame is painted the next ones are fetched and the last one is saved, each in a thread of its own. However
    the painting ends, what was painted is saved first.
    """
    state = job.state
    total = max(source.playback) + 1
    with closing(ahead(source.frames(start=job.done))) as frames, ThreadPoolExecutor(1, "vidstyle-save") as saver:
        saving = None
        for frame in each("wait", frames):
            with stage("optimise"):
                result, state = stylizer.step(frame, state)
                # Here, not in the other thread: CUDA allows no work there while this one records a graph.
                on_cpu = dataclasses.replace(state, pastiche=state.pastiche.cpu())
            if saving is not None:
                with stage("wait"):
                    saving.result()
            saving = saver.submit(_save, job, result, on_cpu)
            if on_frame is not None:
                on_frame(result, total)
        if saving is not None:
            with stage("wait"):
                saving.result()


def _save(job: JobFolder, result: Result, state: State) -> None:
    with stage("save"):
        job.save(result, state)

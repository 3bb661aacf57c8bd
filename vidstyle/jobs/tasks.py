"""A job from start to end: checks before painting, the job folder, the render loop, the outputs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidstyle.compose.compositor import Compositor
from vidstyle.compose.frame_cache import CompositorInputs
from vidstyle.compose.playback import as_painted
from vidstyle.core import color, networks
from vidstyle.core.optimize import pick_precision
from vidstyle.core.probe import no_bytes, require_memory
from vidstyle.core.stylizer import Stylizer, to_pixels
from vidstyle.errors import DiskError, JobError, UsageError, VidstyleError
from vidstyle.jobs.balance import Animation, PictureSource
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.inputs import Inputs
from vidstyle.jobs.folder.manifest import Manifest, Played
from vidstyle.jobs.folder.opening import open_job
from vidstyle.jobs.output.budget import placed
from vidstyle.jobs.output.export import OnFitted, Outputs, export, files_read, frames_kept
from vidstyle.jobs.output.figure import write_companions
from vidstyle.jobs.output.space import announced, require_space
from vidstyle.jobs.output.targets import Targets
from vidstyle.jobs.rendering import Observer, OnFrame, Watched, render
from vidstyle.jobs.retiming import OnStep, expected_times, retime
from vidstyle.jobs.sheets import Sheet
from vidstyle.jobs.sources import VideoSource, estimator_of, to_tensor
from vidstyle.jobs.threads import computing_with
from vidstyle.media.stills import pictures
from vidstyle.media.stills.sequence import input_files
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.miniature import try_outputs
from vidstyle.media.writers.sinks import write_still
from vidstyle.media.writers.stills import check_bits
from vidstyle.settings import Job, Settings
from vidstyle.system import facts
from vidstyle.system.devices import pick_device
from vidstyle.system.notes import tell
from vidstyle.system.version import __version__
from vidstyle.types import Source

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

OnPainted = Callable[[VideoSource], Observer]
File = str | Path


@dataclass(frozen=True)
class Call:
    """How a call treats existing outputs, an earlier job, and its job folder at the end."""

    overwrite: bool = False  #: outputs that are there are replaced
    restart: bool = False  #: what an interrupted call has painted is forgotten
    keep_job: bool = False  #: the job folder stays


class Task:
    """One call of a public function; the constructor checks everything that does not need the frames.

    Attributes:
        content: absolute path of the clip or picture: the working folder may change while it is painted.
    """

    def __init__(
        self, job: Job, content: File, styles: Sequence[File], outputs: Outputs, settings: Settings, call: Call
    ) -> None:
        self.job, self.call, self.moving = job, call, job not in ("image", "sheet")
        self.settings = settings = _placed(settings)
        read = [content, *styles, *files_read(settings)]
        self.targets = Targets(
            outputs, settings, read, moving=self.moving, overwrite=call.overwrite, restart=call.restart
        )
        check_bits(self.targets.outputs if job == "image" else (), settings.bits)
        if not styles:
            raise UsageError("no style was given; give at least one picture")
        settings.shares(len(styles))
        inputs = {"content": content} | {f"style {number}": style for number, style in enumerate(styles, 1)}
        if settings.init not in ("content", "noise"):
            inputs["init"] = settings.init
        for role, file in inputs.items():
            if role != "content" or job not in ("video", "sheet"):  # whose content may be a folder of pictures
                pictures.check_file(file)
        self.inputs = Inputs({role: input_files(os.path.abspath(file)) for role, file in inputs.items()})
        self.content = os.path.abspath(content)
        enough = math.ceil(settings.size * settings.style_scale)
        self.styles = [to_tensor(pictures.load_picture(style, enough=enough)) for style in styles]
        init = pictures.load_picture(settings.init, enough=settings.size) if "init" in inputs else None
        self.init = None if init is None else to_tensor(init)
        self.device = pick_device(settings.device)
        self.network = load_network(settings)
        self.network.require((*settings.content_layers, *settings.style_layers))
        self.estimator = estimator_of(settings) if job == "video" else None

    def picture(self) -> np.ndarray:
        """The content, which is a picture, (H, W, 3) float32 sRGB in [0, 1].

        Raises:
            MediaError: it cannot be read.
            MemoryLimitError: it cannot be painted at that size, which is known before it is decoded.
        """
        width, height = pictures.fit(*pictures.picture_size(self.content), self.settings.size)
        require_memory(self.network, self.settings, (height, width))
        return pictures.load_content(self.content, self.settings.size)

    @property
    def outputs(self) -> list[Path]:
        """Absolute paths of the outputs; the first gives the job folder its name."""
        return self.targets.outputs

    def run(
        self,
        source: VideoSource | PictureSource,
        sound: Clip | None,
        on_frame: OnFrame | None,
        on_fitted: OnFitted | None = None,
        on_painted: OnPainted | None = None,
    ) -> Path:
        """Paint, and make the outputs. Returns the path of the first."""
        self.try_outputs(self.compositor(source), sound)  # what fails is refused before there is a job folder
        with self.opened(source) as job:
            self.finish(job, source, sound, on_frame, on_fitted, on_painted)
        return self.outputs[0]

    def run_retimed(
        self,
        animation: Animation,
        picture: np.ndarray,
        on_frame: OnFrame | None,
        on_fitted: OnFitted | None,
        on_pilot: OnStep | None,
    ) -> Path:
        """The same in equal steps, at the remapped times of pilot renders or of an interrupted call before."""

        def source(remapped_times: Sequence[Fraction]) -> PictureSource:
            return PictureSource(
                picture, self.settings, animation.plan(remapped_times), starts_unpainted=self.settings.timelapse
            )

        draft = source(expected_times(animation))
        self.try_outputs(self.compositor(draft))
        with self.opened(draft) as job:
            if len(job.manifest.remapped_times) != len(animation.times) and not self.targets.all_made:
                tell(
                    "first two pilot renders paint the animation at a smaller size, to find equal steps; "
                    "that takes about as long as the painting itself, and --space linear leaves it out"
                )
                stylizer = Stylizer(self.network, self.styles, self.settings, init=self.init)
                remapped_times = retime(animation, picture, stylizer, self.network, on_pilot)
                job.describe(remapped_times=tuple(remapped_times))
                del stylizer
            self.finish(job, source(job.manifest.remapped_times), None, on_frame, on_fitted)
        return self.outputs[0]

    def draw(self, sheet: Sheet, on_frame: OnFrame | None) -> Path:
        """Paint the cells of a sheet, and write it. Returns the path of the first output."""
        with self.opened(sheet) as job:
            if not self.targets.all_made:
                self.paint(job, sheet, on_frame)
                with frames_kept(job):
                    drawn, leave = sheet.drawn(job.images()), self.call.overwrite
                    write_still(drawn, self.targets.left, overwrite=leave, record=job.record)
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
        frames = max(source.playback) + 1
        require_space(self.outputs, source.info, frames, len(source.playback))
        if not isinstance(source, PictureSource):  # of a picture it is known before that is decoded
            beside = source.ahead.bytes if isinstance(source, VideoSource) else no_bytes
            require_memory(self.network, self.settings, (source.info.height, source.info.width), beside)
        self._note_size(source)
        manifest = self._manifest(frames)
        with open_job(self.outputs[0], manifest, restart=self.call.restart) as job, _told(job):
            self.targets.claim(job)
            self._log(job, source)
            if cost := announced(source.info, frames - job.done):
                tell(cost)
            with computing_with(job.manifest.threads):
                yield job
            if not self.call.keep_job:
                job.discard()

    def _note_size(self, source: Source) -> None:
        """Say so if the input is smaller than the size that was asked for."""
        size, info = self.settings.size, source.info
        if size not in (Settings.size, Settings.sheet_size) and size - max(info.width, info.height) > 1:
            tell(f"--size {size} is more than the input has; it is not enlarged: {info.width}x{info.height} is painted")

    def paint(self, job: JobFolder, source: Source, on_frame: OnFrame | None, observer: Observer | None = None) -> None:
        """Paint what the job does not have yet. Raises `MediaError` if an input changes meanwhile."""
        stylizer = Stylizer(self.network, self.styles, self.settings, init=self.init)
        render(Watched(source, self.inputs), stylizer, job, on_frame, observer)
        self.inputs.require_unchanged()

    def finish(
        self,
        job: JobFolder,
        source: VideoSource | PictureSource,
        sound: Clip | None,
        on_frame: OnFrame | None,
        on_fitted: OnFitted | None = None,
        on_painted: OnPainted | None = None,
    ) -> None:
        """Paint what is left, and make the outputs that an earlier call has not made."""
        if self.targets.all_made and on_painted is None:
            return
        job.describe(played=self._played(source, sound))
        observer = None
        if on_painted is not None and isinstance(source, VideoSource):
            observer = on_painted(source)
        self.paint(job, source, on_frame, observer)
        if observer is not None:
            observer.done()
        compositor, settings, leave = self.compositor(source), self.settings, self.call.overwrite
        heard = sound if settings.sound else None
        deep = _deep(job, source) if settings.bits == 16 else None

        def record(output: Path, part: Path) -> None:
            self.inputs.require_unchanged()  # what is shown beside the painting, and heard, is read anew
            job.record(output, part)

        with frames_kept(job):
            fitted = export(
                job,
                compositor,
                self.targets.left,
                settings,
                heard,
                on_fitted,
                overwrite=leave,
                record=record,
                deep=deep,
            )
            self.targets.remove_companions()
            write_companions(job, compositor, settings, self.outputs, fitted, overwrite=leave, record=record)

    def try_outputs(self, compositor: Compositor, sound: Clip | None = None) -> None:
        """Make the outputs in miniature. Raises `UsageError` if that fails."""
        settings = self.settings
        encoding = Encoding(settings.crf, settings.plays, sound if settings.sound else None, compositor.delay)
        notes = try_outputs(self.targets.left, compositor.info, encoding) if self.moving else []
        for note in notes:
            tell(note)

    def compositor(self, source: VideoSource | PictureSource) -> Compositor:
        """The compositor of its frames. Raises `UsageError` if the settings do not go together."""
        content = source.sequence if isinstance(source, VideoSource) else to_pixels(source.image)
        inputs = CompositorInputs(content, tuple(map(to_pixels, self.styles)), source.curves.alpha)
        return placed(Compositor(as_painted(source.info, source.playback), self.settings, inputs, moving=self.moving))

    def _manifest(self, frames: int) -> Manifest:
        """What the frames depend on. Reads all inputs, for their hashes."""
        settings = self.settings
        painted = {
            option.name: getattr(settings, option.name)
            for option in dataclasses.fields(settings)
            if option.metadata["paints"] and self.job in option.metadata["only"]
        }
        painted["precision"] = pick_precision(settings.precision, self.device)
        # What is in a file matters, and is hashed; where it lies does not.
        for name in ("weights", "flow_weights"):
            painted.pop(name, None)
        for name, words in (("network", ("compact", "vgg19")), ("init", ("content", "noise"))):
            if painted[name] not in words:
                painted[name] = "a file"
        return Manifest(
            frames=frames,
            vidstyle=__version__,
            job=self.job,
            inputs=self.inputs.hashes,
            network=networks.fingerprint(self.network),
            flow_weights=self.estimator.fingerprint if self.estimator else "",
            settings=painted | {"device": self.device.type},
            threads=torch.get_num_threads() if self.device.type == "cpu" else None,
        )

    def _played(self, source: VideoSource | PictureSource, sound: Clip | None) -> Played:
        """How the frames are played, before editing."""
        files = self.inputs.files
        return Played(
            info=source.info,
            order=tuple(source.playback),
            alpha=source.curves.alpha,
            content=self.content,
            styles=tuple(str(paths[0]) for role, paths in files.items() if role.startswith("style")),
            sound=sound is not None and sound.has_audio,
            start=self.settings.start,
            end=self.settings.end,
        )

    def _log(self, job: JobFolder, source: Source) -> None:
        """Keep in the log what a report of a bug needs."""
        info, manifest = source.info, job.manifest
        for line in facts.machine():
            job.log(line)
        job.log(f"{self.job} on {self.device.type}, {manifest.threads} threads: {json.dumps(dict(manifest.settings))}")
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


def _deep(job: JobFolder, source: VideoSource | PictureSource) -> np.ndarray | None:
    """The still that a finished job has painted, (H, W, 3) uint16: from its state, which was never rounded."""
    if job.state is None or not isinstance(source, PictureSource):
        return None
    shown = color.preserve_color(job.state.pastiche.cpu(), source.image, source.curves.preserve_color[-1])
    deep: np.ndarray = np.rint(shown.clamp(0, 1).permute(1, 2, 0).numpy() * 65535).astype(np.uint16)
    return deep


def load_network(settings: Settings) -> networks.FeatureNetwork:
    """The network that `settings` name, with its weights. Raises `WeightsError`."""
    if settings.network == "vgg19":
        raw = settings.objective == "blog"  # the post's pictures are neither normalised nor padded with care
        return networks.vgg19(settings.weights, padding="zeros" if raw else "replicate", normalize=not raw)
    if settings.weights is not None:
        raise UsageError(f"--weights belongs to --network vgg19, not to {settings.network!r}; leave it out")
    return networks.compact(None if settings.network == "compact" else settings.network)


def _placed(settings: Settings) -> Settings:
    """With absolute paths: the working folder may change before the files are read or written."""
    files = {name: getattr(settings, name) for name in ("poster", "figure", "font")}
    return dataclasses.replace(settings, **{name: os.path.abspath(file) for name, file in files.items() if file})

"""The loop, and the public functions that run it.

    from vidstyle import Settings, animate_balance, make_sheet, stylize_image, stylize_video

Each function refuses what cannot work before it paints, keeps every finished frame in `OUTPUT.job/`, resumes from
there when called again with the same inputs and settings, and removes that folder when the outputs are complete.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vidstyle import networks, pictures
from vidstyle.budget import placed
from vidstyle.checkpoint import JobFolder, file_hash, open_job
from vidstyle.course import Course, require_still
from vidstyle.errors import UsageError
from vidstyle.figure import check_companions, write_companions
from vidstyle.flow import Estimator
from vidstyle.optimize import pick_device, pick_precision
from vidstyle.outputs import OnFitted, check_outputs, export
from vidstyle.playback import as_painted
from vidstyle.probe import require_memory
from vidstyle.reel import Material
from vidstyle.schedule import constant
from vidstyle.settings import Job, Settings
from vidstyle.sheets import ALPHAS, Style, contact_sheet, sheet_of_alphas, sheet_of_shots, shots_of
from vidstyle.show import Show
from vidstyle.sinks import write_still
from vidstyle.sources import PictureSource, VideoSource, ahead, balance_source, estimator_of, to_tensor
from vidstyle.stopwatch import each, stage
from vidstyle.stylizer import Stylizer, to_pixels
from vidstyle.types import Result, Source, State

if TYPE_CHECKING:
    from vidstyle.media import Clip
    from vidstyle.shots import Shot

OnFrame = Callable[[Result, int], None]
OnPainted = Callable[[Iterator[np.ndarray]], None]
File = str | Path
Outputs = File | Sequence[File]


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
        output: its suffix names the format: .mp4, .webm, .gif, .webp, .avif or .png (APNG); or a folder for PNGs, a
            new one with a slash at the end. Or several of them; the first gives the job folder its name.
        settings: the defaults if None.
        overwrite: replace an existing output.
        restart: forget what an earlier, interrupted call has painted.
        keep_job: keep the job folder, with every frame as a PNG, when the output is complete.
        on_frame: called after each painted frame with its `Result` and the number of frames in all.
        on_fitted: called with what each output gave up for `settings.max_size`.
        on_painted: called with all painted frames, (H, W, 3) uint8 each, before they are encoded.

    Returns:
        The path of the output; of several, of the first.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    settings = settings or Settings()
    task = _Task("video", clip, styles, output, settings, overwrite)
    source = VideoSource(str(clip), settings, settings.shares(len(styles)), task.estimator)
    return task.run(source, source.clip, restart, keep_job, on_frame, on_fitted, on_painted)


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
) -> Path:
    """Paint a picture again and again while alpha runs from content to style and back.

    Args:
        content: a picture.
        output: of the formats of `stylize_video`.

    The other arguments, the result and the errors are those of `stylize_video`.
    """
    settings = _animated(settings or Settings())
    task = _Task("balance", content, styles, output, settings, overwrite)
    source = balance_source(pictures.load_picture(content), settings, settings.shares(len(styles)))
    return task.run(source, None, restart, keep_job, on_frame, on_fitted)


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
    task = _Task("image", content, styles, output, settings, overwrite)
    mix = settings.shares(len(styles))
    source = PictureSource(pictures.load_picture(content), settings, mix, settings.alpha)
    return task.run(source, None, restart, keep_job, on_frame)


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
    outputs = check_outputs(output, moving=False, overwrite=overwrite)
    still = pictures.is_still(content)
    if still and not styles:
        raise UsageError(f"no style was given for {content}; give at least one: only the sheet of a clip goes without")
    alphas = settings.alphas or (ALPHAS if still else (constant(settings.alpha),))
    settings = dataclasses.replace(settings, size=settings.sheet_size, alphas=alphas)
    if not styles:
        write_still(contact_sheet(_unpainted(content, settings, settings.size), settings.width), outputs)
        return outputs[0]
    task = _Task("sheet", content, styles, output, settings, overwrite)
    shown = [Style(Path(style).name, picture) for style, picture in zip(styles, task.styles, strict=True)]
    name = Path(content).name
    if still:
        sheet = sheet_of_alphas(name, pictures.load_picture(content), shown, settings)
    else:
        sheet = sheet_of_shots(name, _unpainted(content, settings, settings.size), shown, settings)
    with task.painted(sheet, {}, restart, keep_job, on_frame) as job:
        write_still(sheet.drawn(job.images()), outputs)
    return outputs[0]


def find_shots(clip: File, settings: Settings | None = None) -> list[Shot]:
    """The shots that `stylize_video` would paint of a clip; of the settings, start, end and cuts are read."""
    return shots_of(_unpainted(clip, settings or Settings()))


def _unpainted(clip: File, settings: Settings, size: int = 0) -> VideoSource:
    """A clip to look at, at a size; of the settings, start, end and cuts are read."""
    read = Settings(size=size, start=settings.start, end=settings.end, cuts=settings.cuts)
    return VideoSource(str(clip), read, (1.0,))


def plan_video(clip: File, styles: Sequence[File], settings: Settings | None = None) -> Course:
    """The numbers that change over time, in each frame that `stylize_video` would make, which see."""
    settings = dataclasses.replace(settings or Settings(), cuts=False, flow="dis", flow_weights=None)
    return VideoSource(str(clip), settings, settings.shares(len(styles))).course


def plan_balance(content: File, styles: Sequence[File], settings: Settings | None = None) -> Course:
    """The numbers that change over time, in each frame that `animate_balance` would show, which see."""
    settings = _animated(settings or Settings())
    source = balance_source(pictures.load_picture(content), settings, settings.shares(len(styles)))
    return source.course.shown(source.playback, source.info.times)


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


def _animated(settings: Settings) -> Settings:
    """An alpha over time is the animation's, too."""
    if settings.animation_alpha is None and isinstance(settings.alpha, str):
        return dataclasses.replace(settings, animation_alpha=settings.alpha)
    return settings


class _Task:
    """One call of a public function; at birth everything is checked that does not need the frames."""

    def __init__(
        self, job: Job, content: File, styles: Sequence[File], outputs: Outputs, settings: Settings, overwrite: bool
    ) -> None:
        self.settings = settings
        self.moving = job not in ("image", "sheet")
        self.outputs = check_outputs(
            outputs, moving=self.moving, overwrite=overwrite, plays=settings.plays, limit=settings.limit
        )
        check_companions(settings, self.outputs, overwrite=overwrite)
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
    ) -> Path:
        kept = as_painted(source.info, source.playback)
        show = placed(Show(kept, self.settings, self._material(source), moving=self.moving))
        clip = os.path.abspath(sound.path) if sound is not None and sound.has_audio else None
        playback = kept.json() | self.files | {"clip": clip, "alpha": list(source.course.alpha)}
        with self.painted(source, playback, restart, keep_job, on_frame) as job:
            if on_painted is not None:
                on_painted(job.images(source.playback))
            export(job, show, self.outputs, self.settings, sound if self.settings.sound else None, on_fitted)
            write_companions(job, show, self.settings, self.outputs)
        return self.outputs[0]

    @contextmanager
    def painted(
        self, source: Source, playback: dict[str, Any], restart: bool, keep_job: bool, on_frame: OnFrame | None
    ) -> Iterator[JobFolder]:
        """The job folder with every frame painted; it goes, unless it is to be kept, when the block is left."""
        require_memory(self.network, self.settings, (source.info.height, source.info.width))
        stylizer = Stylizer(self.network, self.styles, self.settings, init=self.init)
        manifest = self.manifest | {"playback": playback}
        with open_job(self.outputs[0], manifest, restart=restart, frames=max(source.playback) + 1) as job:
            render(source, stylizer, job, on_frame)
            del stylizer  # whoever looks at the frames may want its memory
            yield job
            if not keep_job:
                job.discard()

    def _material(self, source: VideoSource | PictureSource) -> Material:
        content = source.film if isinstance(source, VideoSource) else to_pixels(source.image)
        return Material(content, tuple(map(to_pixels, self.styles)), source.course.alpha)


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

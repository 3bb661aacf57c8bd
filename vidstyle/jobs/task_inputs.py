"""What a job is painted from and with, checked before anything is painted."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidstyle.core import networks
from vidstyle.core.optimize import pick_precision
from vidstyle.core.probe import SIDES, needed, no_bytes, require_memory
from vidstyle.core.stylizer import Size, Stylizer
from vidstyle.errors import UsageError
from vidstyle.jobs.arguments import RunOptions
from vidstyle.jobs.folder.inputs import Inputs
from vidstyle.jobs.folder.manifest import WEIGHTS, Manifest, Played
from vidstyle.jobs.folder.opening import manifest_before
from vidstyle.jobs.output.origin import Origin
from vidstyle.jobs.output.space import require_space
from vidstyle.jobs.painting.workers import require_memory_for_all, threads_of
from vidstyle.jobs.sources.balance import PictureSource
from vidstyle.jobs.sources.clips import VideoSource, estimator_of, to_tensor
from vidstyle.jobs.sources.keys import key_pictures
from vidstyle.jobs.sources.masks import picture_mask
from vidstyle.jobs.sources.regions import picture_regions, styles_of
from vidstyle.jobs.sources.styles import load_styles
from vidstyle.jobs.sources.survey import KeptSurvey
from vidstyle.media.stills import pictures
from vidstyle.media.stills.sequence import input_files
from vidstyle.settings import (
    KeySettings,
    MaskSettings,
    MixSettings,
    PaintingSettings,
    ReadingSettings,
    VideoSettings,
    mask_file,
    options,
)
from vidstyle.settings.texts import renamed_files
from vidstyle.system.devices import pick_device
from vidstyle.system.notes import tell
from vidstyle.system.version import __version__
from vidstyle.types import Source

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

File = str | Path


class TaskInputs:
    """The inputs of a call and what paints them; the constructor checks everything that does not need the frames.

    Attributes:
        content: absolute path of the clip or picture: the working folder may change while it is painted.
    """

    def __init__(self, content: File, styles: Sequence[File], settings: PaintingSettings, run: RunOptions) -> None:
        self.settings, self.options = settings, run
        if not styles:
            raise UsageError("no style was given; give at least one picture")
        if isinstance(settings, MixSettings):
            settings.shares(len(styles))
        self.inputs = _inputs(content, styles, settings)
        self.content = os.path.abspath(content)
        self._styles = [os.fspath(style) for style in styles]
        enough = math.ceil(settings.size * settings.style_scale)
        self.styles = load_styles(styles, enough)
        regions = settings.regions if isinstance(settings, MaskSettings) else ()
        keys = settings.keys if isinstance(settings, KeySettings) else ()
        self.regions, self.keys = styles_of(regions, settings), key_pictures(keys, settings.size)
        init = pictures.load_picture(settings.init, enough=settings.size) if "init" in self.inputs.files else None
        self.init = None if init is None else to_tensor(init)
        self.device = pick_device(settings.device)
        self.network = load_network(settings)
        self.network.require((*settings.content_layers, *settings.style_layers))
        self.fits: Size | None = None  # the size that is known to fit the memory
        self.estimator = estimator_of(settings) if isinstance(settings, VideoSettings) else None

    def picture(self, beside: Callable[[int], float] = no_bytes) -> np.ndarray:
        """The content, which is a picture, (H, W, 3) float32 sRGB in [0, 1]; (H, W, 4) if it is transparent somewhere.

        Args:
            beside: bytes of the CPU's memory that pictures of so many pixels take outside the stylizer.

        Raises:
            MediaError: it cannot be read.
            MemoryLimitError: it cannot be painted at that size, which is known before it is decoded.
        """
        width, height = pictures.fit(*pictures.picture_size(self.content), self.settings.size)
        self._require_memory((height, width), beside)
        found = pictures.load_content(self.content, self.settings.size, transparency=True)
        return pictures.require_visible(found, f"the content {self.content}")

    def mask(self) -> np.ndarray | None:
        """Where the content, which is a picture, is painted, as `picture_mask` gives it."""
        if not isinstance(self.settings, MaskSettings):
            return None
        return picture_mask(self.settings, *pictures.picture_size(self.content))

    def region_masks(self) -> tuple[np.ndarray, ...]:
        """Where the regions of the content, which is a picture, are, as `picture_regions` gives them."""
        return picture_regions(self.settings, *pictures.picture_size(self.content))

    def kept_survey(self, output: Path) -> KeptSurvey | None:
        """What an interrupted call has found out of the same clip, read in the same way; None if there was none."""
        there = manifest_before(output)
        if there is None or there.survey is None or there.vidstyle != __version__:
            return None
        same = all(
            getattr(there.settings, name, ...) == getattr(self.settings, name) for name in options(ReadingSettings)
        )
        return there.survey if same and there.inputs.get("content") == self.inputs.hashes["content"] else None

    def stylizer(self) -> Stylizer:
        """What paints its frames."""
        return self.stylizer_maker()

    @property
    def stylizer_maker(self) -> Callable[[], Stylizer]:
        """What makes the stylizer, here or on a worker."""
        return functools.partial(
            Stylizer,
            self.network,
            self.styles,
            self.settings,
            init=self.init,
            regions=self.regions,
            keys=self.keys,
        )

    def require_room(self, source: Source, outputs: Sequence[Path]) -> None:
        """Raise `MemoryLimitError` or `DiskError` if the memory or the disk cannot hold the pictures."""
        require_space(outputs, source.info, max(source.playback) + 1, len(source.playback))
        beside = source.ahead.bytes if isinstance(source, VideoSource) else no_bytes
        size = source.info.height, source.info.width
        self._require_memory(size, beside)
        count, measurable = self.options.workers, size[0] * size[1] > SIDES[1] ** 2
        if isinstance(count, int) and count > 1 and measurable:
            require_memory_for_all(count, self.device, *needed(self.network, self.settings, size, beside))
        self._note_size(source)

    def _require_memory(self, size: Size, beside: Callable[[int], float]) -> None:
        """Raise `MemoryLimitError` for frames that do not fit; of a picture it is known before that is decoded."""
        if size != self.fits:
            require_memory(self.network, self.settings, size, beside)
        self.fits = size

    def _note_size(self, source: Source) -> None:
        """Say so if the input is smaller than the size that was asked for."""
        size, info = self.settings.size, source.info
        if size != type(self.settings).size and size - max(info.width, info.height) > 1:
            tell(f"--size {size} is more than the input has; it is not enlarged: {info.width}x{info.height} is painted")

    def origin(self) -> Origin:
        """What the outputs say of their making."""
        return Origin.of(self.settings, self.content, self._styles, self.inputs.hashes)

    def manifest(self, frames: int) -> Manifest:
        """What the frames depend on. Reads all inputs, for their hashes."""
        own = self.settings
        # What is in a file matters, and is hashed; where it lies does not.
        painted = {name: renamed_files(name, value, lambda _: "a file") for name, value in own.painting().items()}
        painted |= {
            "network": own.network if own.network in ("compact", "vgg19") else "a file",
            "init": own.init if own.init in ("content", "noise") else "a file",
            "device": self.device.type,
            "precision": pick_precision(own.precision, self.device),
        }
        files = {name: None for name in WEIGHTS if name in painted}
        return Manifest(
            frames=frames,
            vidstyle=__version__,
            inputs=self.inputs.hashes,
            network=networks.fingerprint(self.network),
            flow_weights=self.estimator.fingerprint if self.estimator else "",
            settings=type(own)(**painted | files),
            threads=threads_of(self.options) if self.device.type == "cpu" else None,
        )

    def played(self, source: VideoSource | PictureSource, sound: Clip | None) -> Played:
        """How the frames are played, before editing."""
        files = self.inputs.files
        read = self.settings if isinstance(self.settings, ReadingSettings) else ReadingSettings()
        return Played(
            info=source.info,
            order=tuple(source.playback),
            alpha=alpha_of(source),
            content=self.content,
            styles=tuple(str(paths[0]) for role, paths in files.items() if role.startswith("style")),
            sound=sound is not None and sound.has_audio,
            start=read.start,
            end=read.end,
        )


def alpha_of(source: VideoSource | PictureSource) -> tuple[float, ...]:
    """Alpha of each painted frame."""
    alpha = source.curves.alpha
    return tuple(alpha[number] for number in source.numbers) if isinstance(source, VideoSource) else alpha


def _inputs(content: File, styles: Sequence[File], settings: PaintingSettings) -> Inputs:
    """The files that a job is painted from, by their roles. Raises `MediaError` for one that should be a picture."""
    inputs = {"content": content} | {f"style {number}": style for number, style in enumerate(styles, 1)}
    if settings.init not in ("content", "noise"):
        inputs["init"] = settings.init
    if isinstance(settings, MaskSettings) and settings.mask is not None:
        inputs["mask"] = mask_file(settings.mask)
    regions = settings.regions if isinstance(settings, MaskSettings) else ()
    folders = {"mask"} | ({"content"} if settings.job in ("video", "sheet") else set())  # they may be some of pictures
    for number, region in enumerate(regions, 1):
        inputs[f"region {number}"] = mask_file(region.mask)
        folders.add(f"region {number}")
        inputs[f"region {number} style"] = region.style
        if region.style_mask is not None:
            inputs[f"region {number} style mask"] = region.style_mask
    keys = settings.keys if isinstance(settings, KeySettings) else ()
    inputs |= {f"key frame {number}": key.file for number, key in enumerate(keys, 1)}
    for role, file in inputs.items():
        if role not in folders:
            pictures.check_file(file)
    return Inputs({role: input_files(os.path.abspath(file)) for role, file in inputs.items()})


def load_network(settings: PaintingSettings) -> networks.FeatureNetwork:
    """The network that `settings` name, with its weights. Raises `WeightsError`."""
    if settings.network == "vgg19":
        raw = settings.objective == "blog"  # the post's pictures are neither normalised nor padded with care
        return networks.vgg19(settings.weights, padding="zeros" if raw else "replicate", normalize=not raw)
    if settings.weights is not None:
        raise UsageError(f"--weights belongs to --network vgg19, not to {settings.network!r}; leave it out")
    return networks.compact(None if settings.network == "compact" else settings.network)

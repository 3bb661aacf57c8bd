"""Accumulators of streaming metrics: to each `add` gives the next frame of a painted clip and of its input.

The memory that they take does not grow with the clip. Tensors are on the device that the views were made for.
The per-frame baseline is one of them: it paints frames of the input independently, to compare the clip with.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidstyle.core import metrics
from vidstyle.core.color import LUMINANCE
from vidstyle.core.stylizer import Size, scaled_style, to_pixels
from vidstyle.core.warp import warp
from vidstyle.jobs.sources import to_tensor
from vidstyle.lab.evaluate import figures, patches
from vidstyle.lab.painter import CONTENT_LAYER, STYLE_LAYERS, Painter
from vidstyle.media.stills import pictures
from vidstyle.motion import flow
from vidstyle.settings import VideoSettings
from vidstyle.types import Frame, Motion

THUMB = 320  # pixels of the long side of a still


@dataclass(frozen=True, eq=False)
class View:
    """A frame of the input, and what was painted of it."""

    frame: Frame
    pixels: np.ndarray  #: (H, W, 3) uint8: the painted one
    device: torch.device

    @functools.cached_property
    def photo(self) -> np.ndarray:
        """The input, (H, W, 3) uint8."""
        return to_pixels(self.frame.image)

    @functools.cached_property
    def image(self) -> Tensor:
        """The input, (3, H, W)."""
        return self.frame.image.to(self.device)

    @functools.cached_property
    def painting(self) -> Tensor:
        """(3, H, W) in [0, 1]."""
        return to_tensor(self.pixels).to(self.device)


class FlickerAccumulator:
    """The warping errors of pairs of frames that lie `distance` apart.

    Args:
        distance: in frames; the motion of neighbours comes with them, over more it is estimated directly.
        ends: the later frames of the pairs to measure.
        candidates: how many such pairs there are.
    """

    def __init__(self, distance: int, ends: Collection[int], candidates: int) -> None:
        self.distance, self.ends, self.candidates = distance, frozenset(ends), candidates
        self.worst: figures.WorstPair | None = None
        self._most = -1.0
        self._pairs: list[figures.PairFigures] = []
        self._waiting: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, now: View) -> None:
        index = now.frame.index
        if index in self.ends:
            photo, painted = self._waiting.pop(index - self.distance)
            motion = now.frame.motion if self.distance == 1 else None
            self._measure(photo, painted, now, motion or flow.estimator("dis")(photo, now.photo))
        if index + self.distance in self.ends:
            self._waiting[index] = now.photo, now.pixels

    def consistency(self) -> figures.TemporalConsistency:
        """The figures of all frames so far."""
        return figures.TemporalConsistency.of(self.distance, self.candidates, self._pairs)

    def _measure(self, photo: np.ndarray, painted: np.ndarray, now: View, motion: Motion) -> None:
        visible = motion.visible.to(now.device)
        before = torch.cat([to_tensor(painted), to_tensor(photo)]).to(now.device)
        painting, image = warp(before, motion.flow).clamp(0, 1).split(3)
        everything = torch.ones_like(visible)
        pair = figures.PairFigures(
            frame=now.frame.index,
            visible=float(visible.mean()),
            warping=metrics.warping_error(painting, now.painting, visible),
            plain=metrics.warping_error(before[:3], now.painting, everything),
            input_warping=metrics.warping_error(image, now.image, visible),
            input_plain=metrics.warping_error(before[3:], now.image, everything),
        )
        self._pairs.append(pair)
        if pair.warping > self._most:
            self._most = pair.warping
            squares = visible[0] * (now.painting - painting).square().mean(0)
            squares[visible[0] == 0] = math.nan
            self.worst = figures.WorstPair(pair.frame, painted, now.pixels, squares.cpu().numpy())


@dataclass
class DriftAccumulator:
    """The drift of sharpness, luma and chroma within each shot."""

    shots: Collection[int]  #: the first frames
    times: Sequence[Fraction]  #: seconds of each frame
    frames: list[figures.FrameFigures] = field(default_factory=list)

    def add(self, now: View) -> None:
        index = now.frame.index
        appearances = appearance(now.painting), appearance(now.image)
        if index in self.shots or not self.frames:
            self._first, self._anchors = index, appearances
        painted, own = (one.beyond(anchor) for anchor, one in zip(self._anchors, appearances, strict=True))
        self.frames.append(figures.FrameFigures(index, float(self.times[index]), self._first, painted, own))


@dataclass
class FilmstripAccumulator:
    """Keeps some frames, small."""

    chosen: Collection[int]
    times: Sequence[Fraction]  #: seconds of each frame
    stills: list[figures.FilmstripFrame] = field(default_factory=list)

    def add(self, now: View) -> None:
        index = now.frame.index
        if index in self.chosen:
            small = (shrunk(picture, THUMB) for picture in (now.photo, now.pixels))
            self.stills.append(figures.FilmstripFrame(index, float(self.times[index]), *small))


@dataclass
class PatchAccumulator:
    """Compares some frames with the styles by their colours and patches."""

    chosen: Collection[int]
    styles: Sequence[Tensor]  #: (3, H, W) on the CPU
    scale: float  #: size of the styles relative to the painting, as the settings have it
    keys: Sequence[Tensor]  #: key frames, (3, H, W) on the CPU
    frames: list[figures.PatchFigures] = field(default_factory=list)

    def add(self, now: View) -> None:
        if now.frame.index not in self.chosen:
            return
        scaled = _scaled(self.styles, self.keys, now.pixels.shape[:2], self.scale)
        wanted = [style.permute(1, 2, 0).numpy() for style in scaled]
        painted, photo = (
            patches.distances(picture.astype(np.float32) / 255, wanted, shares=now.frame.mix)
            for picture in (now.pixels, now.photo)
        )
        self.frames.append(figures.PatchFigures(now.frame.index, painted, photo))


def _scaled(styles: Sequence[Tensor], keys: Sequence[Tensor], size: Size, scale: float) -> list[Tensor]:
    """Styles as large as the painter saw them, and key frames, which have the size of the painting, (3, H, W) each."""
    both = [(style, scale) for style in styles] + [(key, 1.0) for key in keys]
    return [scaled_style(picture, size, own)[0] for picture, own in both]


class PerFrameBaseline:
    """Paints some pairs of neighbours, each frame from scratch, and compares them with those of the painted clip.

    Content distances are from the content as it is in the clip.

    Args:
        painter: that paints and judges them; each frame gets the styles' colours by itself, not by those of its shot.
        ends: the later frames of the pairs.
        paintings: those from scratch that are there already, by frame; new ones are added. None keeps none.
    """

    def __init__(
        self, painter: Painter[VideoSettings], ends: Collection[int], paintings: dict[int, Tensor] | None = None
    ) -> None:
        self.painter, self.ends, self.device = painter, frozenset(ends), painter.independent.device
        self.paintings: dict[int, Tensor] = {} if paintings is None else paintings
        self._keeps = paintings is not None
        self._before: View | None = None
        self._found: list[figures.BaselinePair] = []

    def add(self, now: View) -> None:
        if now.frame.index in self.ends and self._before is not None and now.frame.motion is not None:
            errors = self.warping_errors(self._before, now, now.frame.motion)
            later, painter = self.painting(now.frame), self.painter
            scaled = _scaled(painter.styles, painter.keys, now.pixels.shape[:2], painter.settings.style_scale)
            styles = [style.to(self.device) for style in scaled]
            shown, critic, mix = (now.painting, later), self.painter.critic, now.frame.mix
            style = [metrics.style_distance(critic, one, now.image, styles, STYLE_LAYERS, mix) for one in shown]
            content = [metrics.content_distance(critic, one, now.image, CONTENT_LAYER) for one in shown]
            found: list[Any] = [*errors, *style, *content, *map(metrics.sharpness, shown)]
            self._found.append(figures.BaselinePair(now.frame.index, *found))
            if not self._keeps:
                self.paintings.clear()
        self._before = now if now.frame.index + 1 in self.ends else None

    def independence(self) -> figures.Independence:
        """The figures of all pairs so far."""
        return figures.Independence.of(self.painter.judge, self._found)

    def painting(self, frame: Frame) -> Tensor:
        """The frame from scratch, (3, H, W)."""
        if frame.index not in self.paintings:
            self.paintings[frame.index] = self.painter.paint(frame)
        return self.paintings[frame.index]

    def warping_errors(self, before: View, now: View, motion: Motion) -> tuple[float, float]:
        """Between two frames of the painted clip along `motion`, and between the same two painted from scratch."""
        visible = motion.visible.to(self.device)
        earlier, later = (self.painting(view.frame) for view in (before, now))
        carried = warp(torch.cat([before.painting, earlier]), motion.flow).clamp(0, 1).split(3)
        painted, anew = (
            metrics.warping_error(one, picture, visible)
            for one, picture in zip(carried, (now.painting, later), strict=True)
        )
        return painted, anew


def appearance(image: Tensor) -> figures.Appearance:
    """Sharpness, mean luma and mean colour differences (ITU-R BT.709-6, 3.2 and 3.3) in 1/255, beside nothing yet."""
    red, green, blue = (255 * image.mean((1, 2))).tolist()
    luma = sum(weight * value for weight, value in zip(LUMINANCE, (red, green, blue), strict=True))
    cb, cr = (blue - luma) / (2 - 2 * LUMINANCE[2]), (red - luma) / (2 - 2 * LUMINANCE[0])
    return figures.Appearance(metrics.sharpness(image), luma, cb, cr)


def spread(candidates: Sequence[int], count: int) -> list[int]:
    """At most `count` of them, as evenly as can be, each from the middle of its part."""
    count = min(count, len(candidates))
    return [candidates[(2 * part + 1) * len(candidates) // (2 * count)] for part in range(count)]


def undivided(shots: Collection[int], frames: int, distance: int) -> list[int]:
    """The frames whose predecessor so many frames before belongs to the same shot."""
    found, first = [], 0
    for frame in range(frames):
        first = frame if frame in shots else first
        if frame - distance >= first:
            found.append(frame)
    return found


def shrunk(picture: np.ndarray, long_side: int) -> np.ndarray:
    """A picture whose long side has so many pixels at the most."""
    height, width = picture.shape[:2]
    factor = min(1.0, long_side / max(height, width))
    return pictures.resize(picture, max(1, round(width * factor)), max(1, round(height * factor)))

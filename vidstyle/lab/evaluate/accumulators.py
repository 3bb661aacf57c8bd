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
from vidstyle.jobs.sources.clips import to_tensor
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
    def counts(self) -> Tensor | None:
        """How far each pixel is painted and visible, (1, H, W) in [0, 1]; None where all is, or nothing."""
        parts = [one for one in (self.frame.mask, self.frame.opacity) if one is not None]
        if not parts:
            return None
        found = functools.reduce(torch.mul, parts).to(self.device)
        return found if bool(found.any()) else None

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
        self._waiting: dict[int, tuple[np.ndarray, np.ndarray, Tensor | None]] = {}

    def add(self, now: View) -> None:
        index = now.frame.index
        if index in self.ends:
            photo, painted, counts = self._waiting.pop(index - self.distance)
            motion = now.frame.motion if self.distance == 1 else None
            self._measure(photo, painted, now, motion or flow.estimator("dis")(photo, now.photo), counts)
        if index + self.distance in self.ends:
            self._waiting[index] = now.photo, now.pixels, now.counts

    def consistency(self) -> figures.TemporalConsistency:
        """The figures of all frames so far."""
        return figures.TemporalConsistency.of(self.distance, self.candidates, self._pairs)

    def _measure(
        self, photo: np.ndarray, painted: np.ndarray, now: View, motion: Motion, counted: Tensor | None
    ) -> None:
        everything = _counts(now)
        visible = motion.visible.to(now.device) * everything
        if counted is not None:
            visible = visible * warp(counted, motion.flow).clamp(0, 1)
        before = torch.cat([to_tensor(painted), to_tensor(photo)]).to(now.device)
        painting, image = warp(before, motion.flow).clamp(0, 1).split(3)
        pair = figures.PairFigures(
            frame=now.frame.index,
            visible=float(visible.sum() / everything.sum()),
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
        appearances = appearance(now.painting, now.counts), appearance(now.image, now.counts)
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
        seen = _scaled(self.styles, self.keys, now, self.scale)
        wanted = [one.picture.permute(1, 2, 0).numpy() for one in seen]
        counts = None if now.counts is None else now.counts[0].cpu().numpy()
        theirs = [None if one.counts is None else one.counts[0].numpy() for one in seen]
        shares = [one.share for one in seen]
        painted, photo = (
            patches.distances(
                *(picture.astype(np.float32) / 255, wanted), shares=shares, counts=counts, style_counts=theirs
            )
            for picture in (now.pixels, now.photo)
        )
        self.frames.append(figures.PatchFigures(now.frame.index, painted, photo))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A picture of a style as the painter saw it."""

    picture: Tensor  #: (3, H, W)
    counts: Tensor | None  #: how far its pixels count, (1, H, W) in [0, 1]; None for all alike
    share: float  #: in the style of the frame


def _scaled(styles: Sequence[Tensor], keys: Sequence[Tensor], now: View, scale: float) -> list[_Seen]:
    """Styles as large as the painter saw them, of a clip its frames, and key frames, which have the painting's size."""
    size: Size = (now.pixels.shape[0], now.pixels.shape[1])
    found = []
    for (style, own), share in zip(
        [*((one, scale) for one in styles), *((one, 1.0) for one in keys)], now.frame.mix, strict=True
    ):
        frames = style if style.dim() == 4 else style[None]
        for frame in frames:
            sized = scaled_style(frame, size, own)[0]
            counts = sized[3:].clamp(0, 1) if len(sized) == 4 else None
            found.append(_Seen(sized[:3], counts, share / len(frames)))
    return found


def _counts(now: View) -> Tensor:
    """How far each pixel is painted and visible, (1, H, W)."""
    return torch.ones_like(now.painting[:1]) if now.counts is None else now.counts


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
            seen = _scaled(painter.styles, painter.keys, now, painter.settings.style_scale)
            shown, critic, counts = (now.painting, later), self.painter.critic, now.counts
            of_styles = ([one.picture.to(self.device) for one in seen], STYLE_LAYERS, [one.share for one in seen])
            places = [one.counts for one in seen]
            style = [metrics.style_distance(critic, one, now.image, *of_styles, counts, places) for one in shown]
            content = [metrics.content_distance(critic, one, now.image, CONTENT_LAYER, counts) for one in shown]
            found: list[Any] = [*errors, *style, *content, *(metrics.sharpness(one, counts) for one in shown)]
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
        visible = motion.visible.to(self.device) * _counts(now)
        earlier, later = (self.painting(view.frame) for view in (before, now))
        carried = warp(torch.cat([before.painting, earlier]), motion.flow).clamp(0, 1).split(3)
        painted, anew = (
            metrics.warping_error(one, picture, visible)
            for one, picture in zip(carried, (now.painting, later), strict=True)
        )
        return painted, anew


def appearance(image: Tensor, counts: Tensor | None = None) -> figures.Appearance:
    """Sharpness, mean luma and mean colour differences (ITU-R BT.709-6, 3.2 and 3.3) in 1/255, beside nothing yet.

    `counts`: how much each pixel counts, (1, H, W); None for all alike.
    """
    means = image.mean((1, 2)) if counts is None else (image * counts).sum((1, 2)) / counts.sum()
    red, green, blue = (255 * means).tolist()
    luma = sum(weight * value for weight, value in zip(LUMINANCE, (red, green, blue), strict=True))
    cb, cr = (blue - luma) / (2 - 2 * LUMINANCE[2]), (red - luma) / (2 - 2 * LUMINANCE[0])
    return figures.Appearance(metrics.sharpness(image, counts), luma, cb, cr)


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

"""The per-frame baseline: frames of the input painted independently, which a painted clip is compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from vidstyle.core import metrics, networks, optimize
from vidstyle.core.stylizer import Stylizer, scaled_style, size_of
from vidstyle.core.warp import warp
from vidstyle.errors import UsageError
from vidstyle.jobs.sources import to_tensor
from vidstyle.jobs.tasks import load_network
from vidstyle.lab.evaluate.report.accumulators import View
from vidstyle.lab.evaluate.report.figures import BaselinePair, Independence
from vidstyle.lab.evaluate.report.tables import JUDGES
from vidstyle.media.stills import pictures
from vidstyle.settings import VideoSettings
from vidstyle.types import Frame, Motion

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # that style distances are the mean of
CONTENT_LAYER = "relu4_2"


class FramePainter:
    """Paints frames from scratch, and judges paintings. Holds only what is constant for a job.

    Each frame gets the styles' colours by itself, not by the map of its shot. Content distances are from the content as
    it is in the clip.

    Args:
        styles: pictures, (3, H, W).
        settings: of the job; the weights may be the judge's alone.
        judge: the network of the distances, compact (the embedded one) or vgg19.

    Raises:
        UsageError: the judge is unknown, a style is too small, or the settings do not go together.
        WeightsError: a network cannot be read.
    """

    def __init__(self, styles: Sequence[Tensor], settings: VideoSettings, judge: str) -> None:
        check_judge(judge)
        own = settings.network == "vgg19" or judge != "vgg19"
        self.settings = settings if own else dataclasses.replace(settings, weights=None)
        self.judge, self.styles, self.mix = judge, styles, settings.shares(len(styles))
        self.init = None
        if settings.init not in ("content", "noise"):
            self.init = to_tensor(pictures.load_picture(settings.init))
        self.network = load_network(self.settings)
        self.anew = self.stylizer()
        self.device = self.anew.device
        self.critic = networks.vgg19(settings.weights) if judge == "vgg19" else networks.compact()
        optimize.prepare(self.critic, self.device, "float32")

    def stylizer(self, **changes: Any) -> Stylizer:
        """One of its own, as a job would make it, with some settings changed."""
        return Stylizer(self.network, self.styles, dataclasses.replace(self.settings, **changes), init=self.init)

    def paint(self, frame: Frame) -> Tensor:
        """Paint a frame from scratch, rounded to 8 bits as in a clip."""
        result, _ = self.anew.step(dataclasses.replace(frame, motion=None), None)
        return to_tensor(result.image).to(self.device)

    def style_distance(self, picture: Tensor, now: View) -> dict[str, float]:
        """`metrics.style_distance` of a painting of the frame in view, by layer."""
        size, scale = size_of(picture), self.settings.style_scale
        styles = [scaled_style(style, size, scale)[0].to(self.device) for style in self.styles]
        return metrics.style_distance(self.critic, picture, now.image, styles, STYLE_LAYERS, now.frame.mix)

    def content_distance(self, picture: Tensor, now: View) -> float:
        """`metrics.content_distance` of a painting of the frame in view."""
        return metrics.content_distance(self.critic, picture, now.image, CONTENT_LAYER)


class PerFrameBaseline:
    """Paints some pairs of neighbours, each frame from scratch, and compares them with those of the painted clip.

    Args:
        painter: that paints them.
        ends: the later frames of the pairs.
        paintings: those from scratch that are there already, by frame; new ones are added. None keeps none.
    """

    def __init__(
        self, painter: FramePainter, ends: Collection[int], paintings: dict[int, Tensor] | None = None
    ) -> None:
        self.painter, self.ends = painter, frozenset(ends)
        self.network, self.device = painter.network, painter.device
        self.paintings: dict[int, Tensor] = {} if paintings is None else paintings
        self._keeps = paintings is not None
        self._before: View | None = None
        self._found: list[BaselinePair] = []

    def add(self, now: View) -> None:
        """Take the next frame."""
        if now.frame.index in self.ends and self._before is not None and now.frame.motion is not None:
            self._found.append(self._pair(self._before, now))
            if not self._keeps:
                self.paintings.clear()
        self._before = now if now.frame.index + 1 in self.ends else None

    def independence(self) -> Independence:
        """The figures of all pairs so far."""
        return Independence.of(self.painter.judge, self._found)

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

    def _pair(self, before: View, now: View) -> BaselinePair:
        assert now.frame.motion is not None
        warping, independent_warping = self.warping_errors(before, now, now.frame.motion)
        painter, later = self.painter, self.painting(now.frame)
        return BaselinePair(
            frame=now.frame.index,
            warping=warping,
            independent_warping=independent_warping,
            style=painter.style_distance(now.painting, now),
            independent_style=painter.style_distance(later, now),
            content=painter.content_distance(now.painting, now),
            independent_content=painter.content_distance(later, now),
            sharpness=metrics.sharpness(now.painting),
            independent_sharpness=metrics.sharpness(later),
        )


def check_judge(judge: str) -> None:
    """Raise `UsageError` if there is no such judge."""
    if judge not in JUDGES:
        raise UsageError(f"--judge is {judge!r}; it must be one of {', '.join(JUDGES)}")

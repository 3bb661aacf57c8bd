"""Frames of the input painted as if there were no others: what the flicker of a painted clip is measured against."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from vidstyle import flow, metrics, networks, optimize, pictures
from vidstyle.pipeline import load_network
from vidstyle.report.figures import Independence, Rival
from vidstyle.report.observers import View
from vidstyle.sources import to_tensor
from vidstyle.stylizer import Stylizer, scaled_style, size_of
from vidstyle.types import Frame, Settings

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # that style distances are the mean of


class Rivals:
    """Paints some pairs of neighbours, each frame from scratch, and compares them with those of the painted clip.

    Args:
        styles: pictures, (3, H, W).
        settings: of the job; the weights may be the judge's alone.
        judge: the network of the style distances, compact (the embedded one) or vgg19.
        ends: the later frames of the pairs.

    Raises:
        UsageError: a style is too small, or the settings do not go together.
        WeightsError: a network cannot be read.
    """

    def __init__(self, styles: Sequence[Tensor], settings: Settings, judge: str, ends: Collection[int]) -> None:
        self.settings, self.judge, self.ends, self.styles = settings, judge, frozenset(ends), styles
        own = settings.network == "vgg19" or judge != "vgg19"
        painter = settings if own else dataclasses.replace(settings, weights=None)
        init = None
        if settings.init not in ("content", "noise"):
            init = to_tensor(pictures.load_picture(settings.init))
        self.network = load_network(painter)
        self.stylizer = Stylizer(self.network, styles, painter, init=init)
        self.device = self.stylizer.device
        self.critic = networks.vgg19(settings.weights) if judge == "vgg19" else networks.compact()
        optimize.place(self.critic, self.device, "float32")
        self._before: View | None = None
        self._found: list[Rival] = []

    def see(self, now: View) -> None:
        """Take the next frame."""
        if now.frame.index in self.ends and self._before is not None and now.frame.motion is not None:
            self._found.append(self._rival(self._before, now))
        self._before = now if now.frame.index + 1 in self.ends else None

    def independence(self) -> Independence:
        """What was seen."""
        return Independence.of(self.judge, self._found)

    def _rival(self, before: View, now: View) -> Rival:
        motion = now.frame.motion
        assert motion is not None
        visible = motion.visible.to(self.device)
        earlier, later = (self._paint(view.frame) for view in (before, now))
        carried = flow.warp(torch.cat([before.painting, earlier]), motion.flow).clamp(0, 1).split(3)
        warping, independent_warping = (
            metrics.warping_error(one, picture, visible)
            for one, picture in zip(carried, (now.painting, later), strict=True)
        )
        return Rival(
            frame=now.frame.index,
            warping=warping,
            independent_warping=independent_warping,
            style=self._style_distance(now.painting, now),
            independent_style=self._style_distance(later, now),
            sharpness=metrics.sharpness(now.painting),
            independent_sharpness=metrics.sharpness(later),
        )

    def _style_distance(self, picture: Tensor, now: View) -> dict[str, float]:
        size, scale = size_of(picture), self.settings.style_scale
        styles = [scaled_style(style, size, scale)[0].to(self.device) for style in self.styles]
        return metrics.style_distance(self.critic, picture, now.image, styles, LAYERS, now.frame.mix)

    def _paint(self, frame: Frame) -> Tensor:
        """As the clip shows it: rounded to 8 bits."""
        result, _ = self.stylizer.step(dataclasses.replace(frame, motion=None), None)
        return to_tensor(result.image).to(self.device)

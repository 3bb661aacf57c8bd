"""Pastiches of a network in training: those that it learns from, and those that calibrate its content weight."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.core import metrics
from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.stylizer import Stylizer
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import pick_device
from vidstyle.types import Frame, Motion, State

SLOPE = 0.4  # - d log(content distance) / d log(content weight), roughly, for the first step
ALPHAS = 0.5, 0.8  # at which the networks are to agree
SLOPES = (0.05, 1.0)  # between which it is taken to lie, whatever the last two steps say
CLOSE = 0.01  # logarithms of weights between which no slope can be told
BOUND = math.log(30)  # on the logarithm of the weight, on either side of 0
STEPS = 4


@dataclass(frozen=True, eq=False)
class PastichePool:
    """Pastiches that a network in training optimises itself, to learn from what it misjudges: an entry for each."""

    pastiches: Tensor  #: (N, 3, H, W)
    contents: Tensor  #: (N, 3, H, W)
    styles: Tensor  #: (N, 3, H, W)
    alphas: Tensor  #: (N,), balance of content and style

    @classmethod
    def initial(cls, contents: Tensor, styles: Tensor, alphas: Tensor) -> PastichePool:
        """Unpainted: every pastiche is its content."""
        return cls(contents.clone(), contents, styles, alphas)

    def renewed(self, chosen: Tensor, new: PastichePool) -> PastichePool:
        """With the `chosen` ones, (N,) bool, replaced by those of `new`, in order."""
        fields = {name: value.clone() for name, value in vars(self).items()}
        for name, value in vars(new).items():
            fields[name][chosen] = value
        return PastichePool(**fields)

    def carried_on(self, network: FeatureNetwork, settings: VideoSettings) -> PastichePool:
        """After `settings.iterations` more evaluations, each as a frame of a clip that stands still, by the engine."""
        still = Motion(torch.zeros(2, *self.contents.shape[2:]), torch.ones(1, *self.contents.shape[2:]))
        painted = []
        for pastiche, content, style, alpha in zip(*vars(self).values(), strict=True):
            frame = Frame(0, content, still, float(alpha), (1.0,))
            _, state = Stylizer(network, [style], settings).step(frame, State(0, pastiche, 0.0))
            painted.append(state.pastiche)
        return dataclasses.replace(self, pastiches=torch.stack(painted)) if painted else self


def calibrate(
    network: FeatureNetwork,
    teacher: FeatureNetwork,
    contents: Sequence[Tensor],
    styles: Sequence[Tensor],
    settings: VideoSettings,
) -> tuple[float, float]:
    """The `content_weight` and `content_slope` with which `network` keeps as much of the contents as `teacher` does.

    Both paint each content in the style of the same number at two alphas; `teacher` judges. A few steps of the secant
    method at each, on logarithmic scales.

    Args:
        contents, styles: (3, H, W).
    """
    network.content_slope = 0.0
    pairs = list(zip(contents, styles, strict=True))
    weights = [_weight_at(alpha, network, teacher, pairs, settings) for alpha in ALPHAS]
    odds = [math.log(alpha / (1 - alpha)) for alpha in ALPHAS]
    slope = (weights[1] - weights[0]) / (odds[1] - odds[0])
    return math.exp(weights[0] - slope * odds[0]), slope


def _weight_at(
    alpha: float,
    network: FeatureNetwork,
    teacher: FeatureNetwork,
    pairs: Sequence[tuple[Tensor, Tensor]],
    settings: VideoSettings,
) -> float:
    """The logarithm of the content weight at which both keep as much of the contents at this alpha."""
    settings = dataclasses.replace(settings, alpha=alpha)
    device, (layer,) = pick_device(settings.device), settings.content_layers

    def distance(painter: FeatureNetwork) -> float:
        found = []
        for content, style in pairs:
            frame = Frame(0, content, None, alpha, (1.0,))
            pastiche = Stylizer(painter, [style], settings).step(frame, None)[1].pastiche
            found.append(metrics.content_distance(teacher, pastiche, content.to(device), layer))
        return math.log(statistics.fmean(found))

    wanted, weight, slope = distance(teacher), 0.0, SLOPE
    tried: list[tuple[float, float]] = []
    for _ in range(STEPS):
        network.content_weight = math.exp(weight)
        found = distance(network)
        if tried and abs(weight - tried[-1][0]) > CLOSE:
            slope = min(max((tried[-1][1] - found) / (weight - tried[-1][0]), SLOPES[0]), SLOPES[1])
        tried.append((weight, found))
        weight = min(max(weight + (found - wanted) / slope, -BOUND), BOUND)
    return weight

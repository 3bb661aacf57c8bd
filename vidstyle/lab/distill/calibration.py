"""Calibration of a distilled network's content weight, so that alpha means the same as with its teacher."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

from torch import Tensor

from vidstyle.core import metrics
from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.stylizer import Stylizer
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import pick_device
from vidstyle.types import Frame

SLOPE = 0.4  # - d log(content distance) / d log(content weight), roughly, for the first step
ALPHAS = 0.5, 0.8  # at which the networks are to agree
SLOPES = (0.05, 1.0)  # between which it is taken to lie, whatever the last two steps say
CLOSE = 0.01  # logarithms of weights between which no slope can be told
BOUND = math.log(30)  # on the logarithm of the weight, on either side of 0
STEPS = 4


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
    weights = [_weight_at(alpha, network, teacher, contents, styles, settings) for alpha in ALPHAS]
    odds = [math.log(alpha / (1 - alpha)) for alpha in ALPHAS]
    slope = (weights[1] - weights[0]) / (odds[1] - odds[0])
    return math.exp(weights[0] - slope * odds[0]), slope


def _weight_at(
    alpha: float,
    network: FeatureNetwork,
    teacher: FeatureNetwork,
    contents: Sequence[Tensor],
    styles: Sequence[Tensor],
    settings: VideoSettings,
) -> float:
    """The logarithm of the content weight at which both keep as much of the contents at this alpha."""
    settings = dataclasses.replace(settings, alpha=alpha)
    device = pick_device(settings.device)

    def distance(painter: FeatureNetwork) -> float:
        found = []
        for content, style in zip(contents, styles, strict=True):
            frame = Frame(0, content, None, alpha, (1.0,))
            pastiche = Stylizer(painter, [style], settings).step(frame, None)[1].pastiche
            (layer,) = settings.content_layers
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

"""The objective of a frame: the weighted sum of content, style, temporal and total variation loss."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch
from torch import Tensor

from vidstyle.core import losses
from vidstyle.core.networks import FeatureNetwork, Tap, halvings, size_at
from vidstyle.core.stylemetrics import STYLE_METRICS
from vidstyle.settings import PaintingSettings

TERMS = ("content", "style", "temporal", "tv")


class FeatureExtractor:
    """Extracts the features of pictures, and their statistics, with a network.

    Args:
        network: on its device.
        settings: the layers and `low_memory` are read.
        readouts: of the network, on the device.
    """

    def __init__(self, network: FeatureNetwork, settings: PaintingSettings, readouts: losses.Features) -> None:
        self.network, self.settings, self.readouts = network, settings, readouts
        # The blog post's units are of Gram matrices.
        self.metric = STYLE_METRICS[settings.style_metric if settings.objective == "normalized" else "gram"]
        self.taps = [
            Tap(layer, functools.partial(losses.project, readout=readouts.get(layer)), losses.joined_features)
            for layer in settings.content_layers
        ]
        self.taps += [Tap(layer, self.metric.statistic, losses.joined_means) for layer in settings.style_layers]

    def __call__(
        self, image: Tensor, masks: losses.Features | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Of (1, 3, H, W), projected features (H W, K) at the content layers, and at the style layers the metric's
        statistics of features (1, C, H, W) that are not projected.

        Args:
            masks: weights of positions at the style layers, (H, W) of mean 1, where they do not all count alike.
        """
        settings, taps, contents = self.settings, self.taps, len(self.settings.content_layers)
        if masks:
            taps = [*taps[:contents], *(tap._replace(weights=masks[tap.layer]) for tap in taps[contents:])]
        seen = self.network.tapped(image, taps, low_memory=settings.low_memory)
        return (
            dict(zip(settings.content_layers, seen[:contents], strict=True)),
            dict(zip(settings.style_layers, seen[contents:], strict=True)),
        )

    def statistics(
        self, image: Tensor, maps: losses.Features, masks: losses.Features | None = None
    ) -> tuple[dict[str, Tensor], losses.Statistics]:
        """Projected features of (1, 3, H, W) at the content layers; statistics, at the style layers mapped.

        Args:
            masks: weights of positions at all these layers, (H, W) of mean 1, where they do not all count alike.
        """
        features, style = self(image, masks)
        weights = {layer: masks[layer].reshape(-1, 1) for layer in features} if masks else None
        return features, losses.Statistics.of(features, losses.mapped(self.metric, style, maps), weights)


class Objective:
    """L = alpha L_C + (1 - alpha) (L_S + tv_weight L_TV) + temporal_weight L_T, as a function of a pastiche.

    All that depends on the frame lies in tensors that `set_frame` writes into in place, so that a recording of this
    function (see `optimize.Minimiser`) holds for every frame of the size.

    With a mask, statistics and losses are means over its positions, weighted by it; nothing else counts.

    Args:
        extract: the features that pictures are compared by.
        like: a picture of the size, (1, 3, H, W).
        masked: all its frames have a mask; else none has.
    """

    def __init__(self, extract: FeatureExtractor, like: Tensor, *, masked: bool = False) -> None:
        self.extract, self.settings = extract, extract.settings
        self.features: dict[str, Tensor] = {}  # targets at the content layers, projected, (H W, C)
        self.targets: dict[str, Tensor] = {}  # at the style layers, for mapped statistics
        self.maps: dict[str, Tensor] = {}  # matrices (K, C) that map them
        self.weights: dict[str, Tensor] = {}  # of positions at the content layers, (H W, 1); none: all count alike
        self.masks: dict[str, Tensor] = {}  # weights of positions at all layers, (H, W)
        self.pixels = torch.zeros_like(like[:, :1]) if masked else None  # weights of pixels
        self.units = losses.Units({}, {})
        self.alpha, self.temporal_weight = like.new_zeros(2).unbind()
        self.warped, self.visible = torch.zeros_like(like), torch.zeros_like(like[:, :1])

    @torch.no_grad()
    def set_frame(
        self,
        content: Tensor,
        style: losses.StyleTarget,
        alpha: float,
        temporal_weight: float = 0.0,
        warped: Tensor | None = None,
        visible: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> None:
        """Make this the objective of another frame.

        Args:
            content: (1, 3, H, W).
            style: the target of the style loss at this size.
            alpha: 1 = all content, 0 = all style.
            temporal_weight: of staying with the warped previous pastiche.
            warped, visible: (1, 3, H, W) and (1, 1, H, W), as `losses.temporal_loss` takes them; None if there is no
                predecessor.
            mask: (1, 1, H, W) in [0, 1], somewhere above 0; None if the objective is not masked.
        """
        settings = self.settings
        assert (mask is None) == (self.pixels is None)
        if mask is not None and self.pixels is not None:
            self.pixels.copy_(losses.pooled(mask, 0))
            layers = (*settings.content_layers, *settings.style_layers)
            _write(self.masks, {layer: losses.pooled(mask, halvings(layer))[0, 0] for layer in layers})
        targets, own = self.extract.statistics(content, style.maps, self.masks)
        counts = {layer: len(target) for layer, target in targets.items()}
        shares = settings.style_layer_weights or self.extract.metric.layer_weights(settings.style_layers)
        units = losses.UNITS[settings.objective](own, style, counts, shares)
        units = units.with_content_weight(self.extract.network.content_weight_at(alpha))
        counts_at = {layer: mask.reshape(-1, 1) for layer, mask in self.masks.items()}
        if settings.content_focus and settings.objective == "normalized":
            sizes = {layer: size_at(layer, content) for layer in targets}
            focus = settings.content_focus
            weights = {x: losses.detail_weights(f, sizes[x], focus, counts_at.get(x)) for x, f in targets.items()}
            _write(self.weights, weights)
        elif mask is not None:
            _write(self.weights, {layer: counts_at[layer] for layer in targets})
        _write(self.features, targets)
        _write(self.targets, style.targets)
        _write(self.maps, style.maps)
        _write(self.units.content, units.content)
        _write(self.units.style, units.style)
        self.alpha.fill_(alpha)
        if warped is None or visible is None:
            self.temporal_weight.zero_()
        else:
            self.temporal_weight.fill_(temporal_weight)
            self.warped.copy_(warped)
            self.visible.copy_(visible if self.pixels is None else visible * self.pixels)

    def __call__(self, pastiche: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a pastiche (1, 3, H, W), and its terms in the order of `TERMS`, each before its weight."""
        features, statistics = self.extract(pastiche, self.masks)
        content = losses.content_loss(features, self.features, self.units, self.weights)
        found = losses.mapped(self.extract.metric, statistics, self.maps)
        style = losses.style_loss(found, self.targets, self.units, self.extract.metric)
        temporal = losses.temporal_loss(pastiche, self.warped, self.visible)
        tv, painted = torch.zeros_like(style), style
        if self.settings.tv_weight:
            tv = losses.total_variation(pastiche, self.pixels)
            painted = style + self.settings.tv_weight * tv
        total = torch.lerp(painted, content, self.alpha) + self.temporal_weight * temporal
        return total, torch.stack([content, style, temporal, tv])


def _write(kept: dict[str, Tensor], new: Mapping[str, Tensor]) -> None:
    """Copy `new` into the tensors of `kept`, or into new ones at the first time."""
    for name, tensor in new.items():
        if name in kept:
            kept[name].copy_(tensor)
        else:
            kept[name] = tensor.clone()

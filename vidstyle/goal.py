"""What a frame is to become, as a loss of the picture that is being painted."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vidstyle import losses
from vidstyle.networks import FeatureNetwork
from vidstyle.types import Settings

TERMS = ("content", "style", "temporal", "tv")


class Goal:
    """L = alpha L_C + (1 - alpha) L_S + temporal_weight L_T + tv_weight L_TV, as a function of a pastiche.

    All that depends on the frame lies in tensors that `aim` writes into in place, so that a recording of this function
    (see `optimize.Minimiser`) holds for every frame of the size.

    Args:
        network: on its device.
        readouts: of the network, on the device.
        like: a picture of the size, (1, 3, H, W).
    """

    def __init__(self, network: FeatureNetwork, settings: Settings, readouts: losses.Features, like: Tensor) -> None:
        self.network, self.settings, self.readouts = network, settings, readouts
        self.layers = (*settings.content_layers, *settings.style_layers)
        self.features: dict[str, Tensor] = {}  # wanted at the content layers, projected, (H W, C)
        self.grams: dict[str, Tensor] = {}  # wanted at the style layers, (C, C)
        self.units = losses.Units({}, {})
        self.alpha, self.temporal_weight = like.new_zeros(2).unbind()
        self.warped, self.visible = torch.zeros_like(like), torch.zeros_like(like[:, :1])

    @torch.no_grad()
    def aim(
        self,
        content: Tensor,
        style: losses.Statistics,
        alpha: float,
        temporal_weight: float = 0.0,
        warped: Tensor | None = None,
        visible: Tensor | None = None,
    ) -> None:
        """Become the loss of another frame.

        Args:
            content: (1, 3, H, W).
            style: statistics of the style at this size.
            alpha: 1 = all content, 0 = all style.
            temporal_weight: of staying with the warped previous pastiche.
            warped, visible: (1, 3, H, W) and (1, 1, H, W), as `losses.temporal_loss` takes them; None if there is no
                predecessor.
        """
        settings = self.settings
        features = self.network(content, self.layers)
        own = losses.Statistics.of(features, settings.content_layers, settings.style_layers, self.readouts)
        targets = {x: losses.project(features[x], self.readouts.get(x)) for x in settings.content_layers}
        positions = {layer: len(target) for layer, target in targets.items()}
        shares = settings.style_layer_weights or (1.0,) * len(settings.style_layers)
        units = losses.UNITS[settings.objective](own, style, positions, shares)
        units = units.with_content_weight(self.network.content_weight)
        _write(self.features, targets)
        _write(self.grams, style.grams)
        _write(self.units.content, units.content)
        _write(self.units.style, units.style)
        self.alpha.fill_(alpha)
        if warped is None or visible is None:
            self.temporal_weight.zero_()
        else:
            self.temporal_weight.fill_(temporal_weight)
            self.warped.copy_(warped)
            self.visible.copy_(visible)

    def __call__(self, pastiche: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a pastiche (1, 3, H, W), and its terms in the order of `TERMS`, each before its weight."""
        found = self.network(pastiche, self.layers)
        content = losses.content_loss(found, self.features, self.units, self.readouts)
        style = losses.style_loss(found, self.grams, self.units, self.readouts)
        temporal = losses.temporal_loss(pastiche, self.warped, self.visible)
        total = torch.lerp(style, content, self.alpha) + self.temporal_weight * temporal
        tv = torch.zeros_like(total)
        if self.settings.tv_weight:
            tv = losses.total_variation(pastiche)
            total = total + self.settings.tv_weight * tv
        return total, torch.stack([content, style, temporal, tv])


def _write(kept: dict[str, Tensor], new: Mapping[str, Tensor]) -> None:
    """Copy `new` into the tensors of `kept`, or into new ones at the first time."""
    for name, tensor in new.items():
        if name in kept:
            kept[name].copy_(tensor)
        else:
            kept[name] = tensor.clone()

"""The pastiche pool: pastiches that a network in training optimises itself, to learn from what it misjudges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.stylizer import Stylizer
from vidstyle.settings import VideoSettings
from vidstyle.types import Frame, Motion, State


@dataclass(frozen=True, eq=False)
class PastichePool:
    """Pastiches with their contents, styles and alphas. Every tensor holds one entry for each pastiche."""

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
        return PastichePool(
            torch.stack(painted) if painted else self.pastiches, self.contents, self.styles, self.alphas
        )

"""Metrics of a painting: warping error, style distance, content distance, feature distance, sharpness.

No number says enough alone (a blurred or frozen clip does not flicker), so read them together. Pictures are
(3, H, W) float sRGB in [0, 1]. Gram matrices are computed here anew, so that a fault in the losses cannot hide itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Judge(Protocol):
    """A feature network, as `vidstyle.core.networks` makes them; usually VGG-19."""

    @property
    def readouts(self) -> Mapping[str, Tensor]:
        """Matrices that features are to be multiplied by, of layers that have one."""
        ...

    def __call__(self, image: Tensor, layers: Iterable[str], /) -> dict[str, Tensor]:
        """Features (1, C, H, W) at `layers` of an image (1, 3, H, W)."""
        ...


def warping_error(warped_previous: Tensor, current: Tensor, visible: Tensor) -> float:
    """Mean squared difference per channel of a painting from its predecessor, where the input can still be seen.

    E_warp of Lai et al. 2018, https://arxiv.org/abs/1808.00449, with motion and visibility of the input. Compare it
    with that of a render whose frames know nothing of each other.

    Args:
        warped_previous: the previous painting carried along the motion of the input, (3, H, W).
        current: the painting, (3, H, W).
        visible: (1, H, W) in [0, 1], how much each pixel counts; nan is returned if none does.
    """
    total = float(visible.sum())
    squares = (current - warped_previous).square().mean(0, keepdim=True)
    return float((visible * squares).sum()) / total if total > 0 else math.nan


@torch.no_grad()
def style_distance(
    network: Judge,
    pastiche: Tensor,
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    layers: Iterable[str],
    mix: Sequence[float] = (1.0,),
) -> dict[str, float]:
    """Style distance of the pastiche in each layer: 0 = the style, 1 = as far from it as the content image.

    |G(P) - G(S)|^2 / |G(C) - G(S)|^2 with Gram matrices G = F F^T / (H W); nan where content and style agree exactly.
    Of several styles, G(S) is the sum of theirs, each times its share in `mix`.
    """
    layers = tuple(layers)
    painted, photo = (_grams(network, image, layers) for image in (pastiche, content))
    each = [_grams(network, image, layers) for image in ([style] if isinstance(style, Tensor) else style)]
    wanted = {
        layer: torch.stack([share * grams[layer] for share, grams in zip(mix, each, strict=True)]).sum(0)
        for layer in layers
    }
    return {
        layer: _ratio((painted[layer] - wanted[layer]).square().sum(), (photo[layer] - wanted[layer]).square().sum())
        for layer in layers
    }


@torch.no_grad()
def content_distance(network: Judge, pastiche: Tensor, content: Tensor, layer: str) -> float:
    """Mean squared difference of features, in units of the content image's variance: 1 = as far as its mean feature."""
    painted, photo = (_features(network, image, (layer,))[layer] for image in (pastiche, content))
    return _ratio((painted - photo).square().sum(), (photo - photo.mean(1, keepdim=True)).square().sum())


@torch.no_grad()
def feature_distance(network: Judge, one: Tensor, other: Tensor, layers: Iterable[str]) -> float:
    """Perceptual distance of two pictures: 0 = the same, 1.4 = orthogonal features at every position.

    Root mean square, over layers and positions, of the distance of two feature vectors of length 1: LPIPS (Zhang et al.
    2018, https://arxiv.org/abs/1801.03924, equation 1) with equal weights, and its root, so that steps add up to a way.
    """
    layers = tuple(layers)
    seen = [_features(network, image, layers) for image in (one, other)]
    squares = [
        (functional.normalize(seen[0][layer], dim=0) - functional.normalize(seen[1][layer], dim=0)).square().sum(0)
        for layer in layers
    ]
    return math.sqrt(float(torch.stack([square.mean() for square in squares]).mean()))


def sharpness(image: Tensor) -> float:
    """Mean length of the gradient, in units of [0, 1] per pixel, over pixels and channels; 0 for a plain picture."""
    across = image[:, :-1, 1:] - image[:, :-1, :-1]
    down = image[:, 1:, :-1] - image[:, :-1, :-1]
    return float((across.square() + down.square()).sqrt().mean())


def _features(network: Judge, image: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Features (C, H W) of each layer, through the network's read-out where it has one."""
    features = {layer: f[0].flatten(1).float() for layer, f in network(image[None], layers).items()}
    readouts = network.readouts  # they do not move with the network
    return {layer: readouts[layer].to(f) @ f if layer in readouts else f for layer, f in features.items()}


def _grams(network: Judge, image: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    return {layer: f @ f.T / f.shape[1] for layer, f in _features(network, image, layers).items()}


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part) / float(whole) if float(whole) > 0 else math.nan

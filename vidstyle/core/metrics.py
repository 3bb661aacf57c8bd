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
    counts: Tensor | None = None,
    style_counts: Sequence[Tensor | None] = (),
) -> dict[str, float]:
    """Style distance of the pastiche in each layer: 0 = the style, 1 = as far from it as the content image.

    |G(P) - G(S)|^2 / |G(C) - G(S)|^2 with Gram matrices G = F F^T / (H W); nan where content and style agree exactly.
    Of several styles, G(S) is the sum of theirs, each times its share in `mix`.

    Args:
        counts: how much each pixel of pastiche and content counts, (1, H, W); None for all alike.
        style_counts: the same of each style; empty for all alike.
    """
    layers = tuple(layers)
    painted, photo = (_grams(network, image, layers, counts) for image in (pastiche, content))
    styles = [style] if isinstance(style, Tensor) else style
    weights = style_counts or [None] * len(styles)
    each = [_grams(network, image, layers, one) for image, one in zip(styles, weights, strict=True)]
    wanted = {
        layer: torch.stack([share * grams[layer] for share, grams in zip(mix, each, strict=True)]).sum(0)
        for layer in layers
    }
    return {
        layer: _ratio((painted[layer] - wanted[layer]).square().sum(), (photo[layer] - wanted[layer]).square().sum())
        for layer in layers
    }


@torch.no_grad()
def content_distance(
    network: Judge, pastiche: Tensor, content: Tensor, layer: str, counts: Tensor | None = None
) -> float:
    """Mean squared difference of features, in units of the content image's variance: 1 = as far as its mean feature.

    `counts`: how much each pixel counts, (1, H, W); None for all alike.
    """
    painted, photo = (_features(network, image, (layer,))[layer] for image in (pastiche, content))
    if counts is None:
        return _ratio((painted - photo).square().sum(), (photo - photo.mean(1, keepdim=True)).square().sum())
    shares = _pooled(counts, network(content[None], (layer,))[layer])
    mean = (photo * shares).mean(1, keepdim=True)
    return _ratio(((painted - photo).square() * shares).sum(), ((photo - mean).square() * shares).sum())


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


def sharpness(image: Tensor, counts: Tensor | None = None) -> float:
    """Mean length of the gradient, in units of [0, 1] per pixel, over pixels and channels; 0 for a plain picture.

    `counts`: how much each pixel counts, (1, H, W); None for all alike.
    """
    across = image[:, :-1, 1:] - image[:, :-1, :-1]
    down = image[:, 1:, :-1] - image[:, :-1, :-1]
    lengths = (across.square() + down.square()).sqrt()
    if counts is None:
        return float(lengths.mean())
    whole = counts[:, :-1, :-1] * counts[:, :-1, 1:] * counts[:, 1:, :-1]  # not across a border
    return float((lengths.mean(0, keepdim=True) * whole).sum() / whole.sum().clamp_min(1e-6))


def _features(network: Judge, image: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Features (C, H W) of each layer, through the network's read-out where it has one."""
    features = {layer: f[0].flatten(1).float() for layer, f in network(image[None], layers).items()}
    readouts = network.readouts  # they do not move with the network
    return {layer: readouts[layer].to(f) @ f if layer in readouts else f for layer, f in features.items()}


def _grams(network: Judge, image: Tensor, layers: tuple[str, ...], counts: Tensor | None = None) -> dict[str, Tensor]:
    found = _features(network, image, layers)
    if counts is None:
        return {layer: f @ f.T / f.shape[1] for layer, f in found.items()}
    shares = {layer: _pooled(counts, f) for layer, f in network(image[None], layers).items()}
    return {layer: (f * shares[layer]) @ f.T / f.shape[1] for layer, f in found.items()}


def _pooled(counts: Tensor, features: Tensor) -> Tensor:
    """How much positions of features (1, C, H', W') count, (1, H' W') of mean 1, by pixels (1, H, W)."""
    shares = functional.interpolate(counts[None].to(features.device), size=features.shape[-2:], mode="area").flatten(1)
    return shares / shares.mean().clamp_min(1e-12)


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part) / float(whole) if float(whole) > 0 else math.nan

"""The losses of Gatys, Ecker and Bethge (https://arxiv.org/abs/1508.06576), normalised so that alpha balances them.

Every loss is a sum over layers of unit * |difference|^2, of the style with what `stylemetrics` puts in its place. The
units are the only thing in which the `normalized` objective and the blog post's differ (see `normalized_units`,
`blog_units`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vidstyle.core.stylemetrics import StyleMetric, positions, with_gradient

Features = Mapping[str, Tensor]

# Unit of the pixel losses: a mean squared difference of this size (a tenth of the range of sRGB, squared) counts as 1.
PIXEL_UNIT = 0.1**2
# A layer in which content and style hardly differ must not weigh without bound: the least distance that counts, as a
# share of how far from the style a picture without features is.
STYLE_UNIT_FLOOR = 0.01
BLOG_STYLE_WEIGHT = 1000.0
DETAIL_WINDOW = 5  # positions of a content layer, of which the variance is the detail of the one in the middle
PLAIN = 1e-4  # variance, as a share of the features' mean square, below which a picture has no detail


def project(features: Tensor, readout: Tensor | None = None) -> Tensor:
    """Features (1, C, H, W) as a matrix (H W, C), through the read-out if there is one."""
    f = positions(features).float()
    return f if readout is None else f @ readout.T


def joined_means(parts: Sequence[Tensor], heights: Sequence[int]) -> Tensor:
    """A mean over the positions of a picture, like its Gram matrix, from those of its bands of rows."""
    return torch.stack([part * height for part, height in zip(parts, heights, strict=True)]).sum(0) / sum(heights)


def joined_features(parts: Sequence[Tensor], heights: Sequence[int]) -> Tensor:
    """The projected features of a picture, from those of its bands of rows from top to bottom."""
    assert len(parts) == len(heights)
    return torch.cat(list(parts))


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of a picture's features, by which the losses are scaled. All of them mix linearly between pictures."""

    style: dict[str, Tensor]  #: style layers: the statistic that their metric compares
    means: dict[str, Tensor]  #: content layers: mean feature, (C,)
    powers: dict[str, Tensor]  #: content layers: mean squared length of a feature, ()

    @property
    def tables(self) -> tuple[dict[str, Tensor], ...]:
        """All that there is."""
        return self.style, self.means, self.powers

    @classmethod
    def of(cls, features: Features, style: Features, weights: Features | None = None) -> Statistics:
        """Statistics of a picture with these projected features (H W, C) and these statistics at style layers.

        Args:
            weights: of positions, (H W, 1) of mean 1, at content layers where they do not all count alike.
        """
        counted = {layer: f * weights[layer] if weights else f for layer, f in features.items()}
        return cls(
            style=dict(style),
            means={layer: f.mean(0) for layer, f in counted.items()},
            powers={layer: (f * features[layer]).sum(1).mean() for layer, f in counted.items()},
        )

    @classmethod
    def mixed(cls, parts: Sequence[Statistics], shares: Sequence[float]) -> Statistics:
        """The weighted mean of several pictures' statistics."""

        def mix(field: str) -> dict[str, Tensor]:
            tables = [getattr(part, field) for part in parts]
            return {
                layer: sum(
                    (share * table[layer] for share, table in zip(shares, tables, strict=True)),
                    tables[0][layer].new_zeros(()),
                )
                for layer in tables[0]
            }

        return cls(mix("style"), mix("means"), mix("powers"))


@dataclass(frozen=True, eq=False)
class StyleTarget:
    """The target of the style loss: the statistics of a style, or of a mix of styles, at each style layer."""

    metric: StyleMetric
    statistics: Statistics  #: of the style
    maps: dict[str, Tensor]  #: (K, C) matrices by which statistics of the network's own features are to be mapped
    targets: dict[str, Tensor]  #: from which their distance is taken

    @classmethod
    def of(cls, metric: StyleMetric, statistics: Statistics, readouts: Features) -> StyleTarget:
        """The target for a style with these statistics; a pastiche's features are projected by the read-outs."""
        maps, targets = {}, {}
        for layer, statistic in statistics.style.items():
            basis, targets[layer] = metric.target(statistic)
            matrices = [matrix for matrix in (basis, readouts.get(layer)) if matrix is not None]
            if matrices:
                maps[layer] = functools.reduce(torch.matmul, matrices)
        return cls(metric, statistics, maps, targets)


def mapped(metric: StyleMetric, statistics: Features, maps: Features) -> dict[str, Tensor]:
    """Statistics at style layers as they would be of mapped features; a layer without a map stays as it is."""
    return {x: metric.mapped(found, maps[x]) if x in maps else found for x, found in statistics.items()}


@dataclass(frozen=True, eq=False)
class Units:
    """The factor of each layer's squared difference in the loss."""

    content: dict[str, Tensor]
    style: dict[str, Tensor]

    def with_content_weight(self, weight: float | Tensor) -> Units:
        """The same with every content unit times `weight`, a network's (see `networks.FeatureNetwork`)."""
        return Units({layer: weight * unit for layer, unit in self.content.items()}, self.style)


def normalized_units(
    content: Statistics, style_target: StyleTarget, counts: Mapping[str, int], weights: Sequence[float]
) -> Units:
    """Units in which each loss is about 1 at its largest.

    L_S is 1 for the content picture itself: each layer is divided by the content's distance from the style. L_C is 1
    for a picture that has the style's features at places that know nothing of the content: it is divided by the mean
    squared distance between a feature of the content and one of the style, E|f_C|^2 + E|f_S|^2 - 2 E f_C . E f_S.

    Args:
        content: its statistics at style layers are mapped.
        counts: positions, H * W, of each content layer.
        weights: of each style layer; only their ratios count.
    """
    content_units, style = {}, style_target.statistics
    for layer, mean in content.means.items():
        distance = content.powers[layer] + style.powers[layer] - 2 * mean @ style.means[layer]
        scale = len(content.means) * counts[layer] * distance.clamp_min(torch.finfo(torch.float32).tiny)
        content_units[layer] = style_target.metric.content_calibration / scale
    style_units = {}
    for (layer, target), weight in zip(style_target.targets.items(), weights, strict=True):
        found, nothing = content.style[layer], torch.zeros_like(content.style[layer])
        distance = style_target.metric.distance(found, target)
        floor = STYLE_UNIT_FLOOR * style_target.metric.distance(nothing, target) + torch.finfo(torch.float32).tiny
        style_units[layer] = weight / sum(weights) / torch.maximum(distance, floor)
    return Units(content_units, style_units)


def blog_units(
    content: Statistics, style_target: StyleTarget, counts: Mapping[str, int], weights: Sequence[float]
) -> Units:
    """Units of the blog post: mean squared errors of features, and of 1000 F F^T / (C H W), summed over layers."""
    content_units = {}
    for layer, mean in content.means.items():
        content_units[layer] = torch.ones_like(content.powers[layer]) / (counts[layer] * len(mean))
    style_units = {}
    for (layer, target), weight in zip(style_target.targets.items(), weights, strict=True):
        channels = target.shape[0]
        style_units[layer] = weight * torch.ones_like(target[0, 0]) * (BLOG_STYLE_WEIGHT / channels) ** 2 / channels**2
    return Units(content_units, style_units)


UNITS: dict[str, Callable[[Statistics, StyleTarget, Mapping[str, int], Sequence[float]], Units]] = {
    "normalized": normalized_units,
    "blog": blog_units,
}


def detail_weights(features: Tensor, size: tuple[int, int], focus: float, counts: Tensor | None = None) -> Tensor:
    """Weights of the positions of a content layer: the more, the more the content varies around them.

    Plain grounds (sky, walls, what is out of focus) keep less of the content, so that they take the style's strokes.
    A weight is the variance of the features in a window, in units of its mean over the picture and 1 at most, to the
    power of `focus`; the mean of all weights is 1.

    Args:
        features: projected, of the content, (H W, C).
        size: H and W.
        focus: 0: all positions count alike.
        counts: (H W, 1) of mean 1, by which the weights are multiplied, and positions count in all means; None: 1.

    Returns:
        (H W, 1).
    """
    maps = features.T.view(1, -1, *size)
    variance = (_window_mean(maps.square()) - _window_mean(maps).square()).sum(1, keepdim=True).clamp_min(0)
    squares, tiny = maps.square().sum(1), torch.finfo(torch.float32).tiny
    if counts is None:
        variance = _window_mean(variance) + PLAIN * squares.mean() + tiny
        weights = (variance / variance.mean()).clamp_max(1) ** focus
    else:
        counts = counts.view(1, 1, *size)
        variance = _window_mean(variance) + PLAIN * (counts * squares).mean() + tiny
        weights = counts * (variance / (counts * variance).mean()).clamp_max(1) ** focus
    return (weights / weights.mean().clamp_min(tiny)).view(-1, 1)


def _window_mean(maps: Tensor) -> Tensor:  # (1, C, H, W) -> (1, C, H, W)
    padded = functional.pad(maps, (DETAIL_WINDOW // 2,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, DETAIL_WINDOW, stride=1)


def content_loss(found: Features, targets: Features, units: Units, weights: Features) -> Tensor:
    """L_C: sum over the content layers of unit * |F(P) - F(C)|^2, of projected features (H W, C).

    Args:
        weights: of positions, (H W, 1), at the layers where they do not all count alike.
    """
    terms = []
    for layer, target in targets.items():
        with torch.no_grad():
            difference = found[layer] - target
            counted = difference * weights[layer] if layer in weights else difference
            value = _dot(counted, difference)
        terms.append(units.content[layer] * with_gradient(found[layer], value, counted, 2.0))
    return torch.stack(terms).sum()


def style_loss(found: Features, targets: Features, units: Units, metric: StyleMetric) -> Tensor:
    """L_S: sum over the style layers of unit * distance from the target, of statistics that are mapped."""
    return torch.stack([units.style[x] * metric.distance(found[x], target) for x, target in targets.items()]).sum()


def temporal_loss(pastiche: Tensor, warped: Tensor, visible: Tensor) -> Tensor:
    """Mean of c (P - w)^2 in units of `PIXEL_UNIT` (Ruder et al., https://arxiv.org/abs/1604.08610, equation 7).

    Args:
        pastiche, warped: (1, 3, H, W); the warped previous pastiche is w.
        visible: (1, 1, H, W) in [0, 1]; the mask is c.
    """
    with torch.no_grad():
        difference = pastiche - warped
        counted = visible * difference
        scale = 1 / (PIXEL_UNIT * difference.numel())
        value = _dot(counted, difference) * scale
    return with_gradient(pastiche, value, counted, 2 * scale)


def total_variation(pastiche: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean squared difference of neighbours, across and down, of (1, 3, H, W), in units of `PIXEL_UNIT`.

    Args:
        weights: of pixels, (1, 1, H, W) of mean 1, where they do not all count alike; a pair counts as its first.
    """
    with torch.no_grad():
        gradient, values = torch.zeros_like(pastiche), []
        for dim in (2, 3):
            steps = pastiche.shape[dim] - 1
            difference = pastiche.diff(dim=dim)
            counted = difference if weights is None else difference * weights.narrow(dim, 0, steps)
            scale = 1 / (PIXEL_UNIT * difference.numel())
            values.append(_dot(counted, difference) * scale)
            gradient.narrow(dim, 1, steps).add_(counted, alpha=2 * scale)
            gradient.narrow(dim, 0, steps).sub_(counted, alpha=2 * scale)
    return with_gradient(pastiche, values[0] + values[1], gradient)


def _dot(x: Tensor, y: Tensor) -> Tensor:  # two pictures -> ()
    return x.flatten() @ y.flatten()


def pooled(mask: Tensor, halvings: int) -> Tensor:  # (1, 1, H, W) -> (1, 1, H >> halvings, W >> halvings)
    """A mask at the size of features after so many halvings, as weights of mean 1; zeros if nothing of it is left."""
    for _ in range(halvings):
        mask = functional.avg_pool2d(mask, 2)
    return mask / mask.mean().clamp_min(torch.finfo(torch.float32).tiny)

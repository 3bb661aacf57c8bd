"""The objective of a frame: the weighted sum of content, style, temporal and total variation loss."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vidstyle.core import losses
from vidstyle.core.networks import FeatureNetwork, Tap, halvings, size_at
from vidstyle.core.optimize import Recording, Tape
from vidstyle.core.regions import grams_of_areas, moments_of_areas
from vidstyle.core.stylemetrics import STYLE_METRICS, gram
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
        # What it gives of several areas.
        self.of_areas = grams_of_areas if self.metric.statistic is gram else moments_of_areas

    def __call__(
        self, image: Tensor, masks: losses.Features | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Of (1, 3, H, W), projected features (H W, K) at the content layers, and at the style layers the metric's
        statistics of features (1, C, H, W) that are not projected.

        Args:
            masks: weights of positions at the style layers, (H, W) of mean 1, where they do not all count alike; or of
                several areas, (H, W, A), each of which then has statistics of its own, (A, ...).
        """
        settings, taps, contents = self.settings, self.taps, len(self.settings.content_layers)
        if masks:
            taps = [*taps[:contents], *(self._masked(tap, masks[tap.layer]) for tap in taps[contents:])]
        seen = self.network.tapped(image, taps, low_memory=settings.low_memory)
        return (
            dict(zip(settings.content_layers, seen[:contents], strict=True)),
            dict(zip(settings.style_layers, seen[contents:], strict=True)),
        )

    def _masked(self, tap: Tap, mask: Tensor) -> Tap:
        return tap._replace(weights=mask, function=self.of_areas if mask.dim() == 3 else tap.function)

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


@dataclass(frozen=True, eq=False)
class Area:
    """A part of a picture with a style and an alpha of its own, as the objective of a frame takes it."""

    style: losses.StyleTarget  #: the target of the style loss at this size
    alpha: float  #: 1 = all content, 0 = all style
    mask: Tensor | None = None  #: (1, 1, H, W) in [0, 1]; None for the whole picture
    share: float = 1.0  #: of the loss; those of all parts sum to 1
    layers: Sequence[bool] = ()  #: whether each style layer counts; all do when empty


@dataclass(frozen=True, eq=False)
class _Part:
    """The tensors of an area, written in place."""

    content_weight: Tensor  # (), the network's, at the area's alpha
    targets: dict[str, Tensor] = field(default_factory=dict)  # at the style layers, for mapped statistics
    maps: dict[str, Tensor] = field(default_factory=dict)  # matrices (K, C) that map them
    statistics: losses.Statistics = field(default_factory=lambda: losses.Statistics({}, {}, {}))  # of the style
    units: losses.Units = field(default_factory=lambda: losses.Units({}, {}))
    written: list[losses.StyleTarget] = field(default_factory=list)  # the one that these are of

    def write(self, style: losses.StyleTarget) -> None:
        """Take over a target, unless it is that of the frame before."""
        if self.written != [style]:
            self.written[:] = [style]
            _write(self.targets, style.targets)
            _write(self.maps, style.maps)
            for kept, new in zip(self.statistics.tables, style.statistics.tables, strict=True):
                _write(kept, new)


class Objective:
    """L = alpha L_C + (1 - alpha) (L_S + tv_weight L_TV) + temporal_weight L_T, as a function of a pastiche.

    All that depends on the frame lies in tensors that `set_frame` writes into in place, so that a recording of this
    function (see `optimize.Minimiser`) holds for every frame of the size.

    With a mask, statistics and losses are means over its positions, weighted by it; nothing else counts.

    With several areas, L is the mean of the losses of each, by their shares, and the network is evaluated once. alpha
    is the mean of theirs, L_C is weighted by what of it each area contributes at a position, and so are L_S and L_TV.

    Args:
        extract: the features that pictures are compared by.
        like: a picture of the size, (1, 3, H, W).
        masked: all its frames have a mask; else none has.
        areas: how many of them all its frames have.
        tape: to record on what of `set_frame` is the same for every frame; None if nothing is to be recorded.
    """

    def __init__(
        self,
        extract: FeatureExtractor,
        like: Tensor,
        *,
        masked: bool = False,
        areas: int = 1,
        tape: Tape | None = None,
    ) -> None:
        self.extract, self.settings = extract, extract.settings
        self.features: dict[str, Tensor] = {}  # targets at the content layers, projected, (H W, C)
        self.weights: dict[str, Tensor] = {}  # of positions at the content layers, (H W, 1); none: all count alike
        self.masks: dict[str, Tensor] = {}  # weights of positions at all layers, (H, W), or (H, W, A) of several areas
        self.parts = [_Part(torch.ones_like(like[0, 0, 0, 0])) for _ in range(areas)]
        self.style_shares = like.new_zeros(areas).unbind()  # of the style losses, if there are several
        self.pixels = torch.zeros_like(like[:, :1]) if masked else None  # weights of pixels
        self.tv_pixels = torch.zeros_like(like[:, :1]) if areas > 1 else self.pixels  # the same in the total variation
        self.content_units = losses.Units({}, {})
        self.alpha, self.temporal_weight = like.new_zeros(2).unbind()
        self.warped, self.visible = torch.zeros_like(like), torch.zeros_like(like[:, :1])
        self.content = torch.zeros_like(like)
        # With several areas, which layers count changes from frame to frame, which a recording would not see.
        self._areas: Sequence[Area] = ()
        self._aim: Callable[[], None] = self._measure_content
        if tape is not None and areas == 1:
            self._aim = Recording(self._measure_content, tape)

    @torch.no_grad()
    def set_frame(
        self,
        content: Tensor,
        areas: Sequence[Area],
        temporal_weight: float = 0.0,
        warped: Tensor | None = None,
        visible: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> None:
        """Make this the objective of another frame.

        Args:
            content: (1, 3, H, W).
            areas: one, with the mask of the frame, or several, whose masks are multiplied by it.
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
        for part, area in zip(self.parts, areas, strict=True):
            part.write(area.style)
            part.content_weight.fill_(self.extract.network.content_weight_at(area.alpha))
        masks = [area.mask for area in areas if area.mask is not None]
        if len(areas) == 1:
            _write(
                self.masks, {layer: losses.pooled(each, halvings(layer))[0, 0] for each in masks for layer in layers}
            )
        else:
            stacked = {layer: [losses.pooled(each, halvings(layer))[0, 0] for each in masks] for layer in layers}
            _write(self.masks, {layer: torch.stack(each, dim=2) for layer, each in stacked.items()})
        self.content.copy_(content)
        self._areas = areas
        self._aim()
        self.alpha.fill_(_alpha_of(areas))
        if warped is None or visible is None:
            self.temporal_weight.zero_()
        else:
            self.temporal_weight.fill_(temporal_weight)
            self.warped.copy_(warped)
            self.visible.copy_(visible if self.pixels is None else visible * self.pixels)

    @torch.no_grad()
    def _measure_content(self) -> None:
        """Set all that depends on the features of the content."""
        targets, found = self.extract(self.content, self.masks)
        _write(self.features, targets)
        weights = [self._set_part(number, targets, own) for number, own in enumerate(self._apart(found))]
        self._set_shares(self._areas, weights)

    def _set_part(self, number: int, targets: losses.Features, found: losses.Features) -> dict[str, Tensor]:
        """Set the units of an area. Returns the weights of positions at the content layers, if they are not all 1.

        Args:
            number: the area's.
            targets, found: of the content, its features at content layers and the area's statistics at style layers.
        """
        settings, part, metric = self.settings, self.parts[number], self.extract.metric
        counted_layers = self._areas[number].layers
        counts = {x: mask.reshape(mask.shape[0] * mask.shape[1], -1)[:, number, None] for x, mask in self.masks.items()}
        style = losses.mapped(metric, found, part.maps)
        own = losses.Statistics.of(targets, style, counts or None)
        positions = {layer: len(target) for layer, target in targets.items()}
        shares = settings.style_layer_weights or metric.layer_weights(settings.style_layers)
        if any(counted_layers):
            shares = tuple(share * counted for share, counted in zip(shares, counted_layers, strict=True))
        target = losses.StyleTarget(metric, part.statistics, part.maps, part.targets)
        units = losses.UNITS[settings.objective](own, target, positions, shares if any(shares) else [1] * len(shares))
        units = units.with_content_weight(part.content_weight)
        _write(part.units.content, units.content)
        _write(part.units.style, units.style)
        if settings.content_focus and settings.objective == "normalized":
            focus = settings.content_focus
            sizes = {layer: size_at(layer, self.content) for layer in targets}
            return {x: losses.detail_weights(f, sizes[x], focus, counts.get(x)) for x, f in targets.items()}
        return {layer: counts[layer] for layer in targets} if counts else {}

    def _set_shares(self, areas: Sequence[Area], weights: Sequence[losses.Features]) -> None:
        """Set what each area contributes to the losses.

        Args:
            weights: of positions at the content layers, in each area.
        """
        if len(areas) == 1:
            _write(self.weights, weights[0])
            _write(self.content_units.content, self.parts[0].units.content)
            return
        alpha = _alpha_of(areas)
        ofs = [(area.share * area.alpha / alpha if alpha else area.share) for area in areas]
        styles = [(area.share * (1 - area.alpha) / (1 - alpha) if alpha < 1 else area.share) for area in areas]
        joined = {}
        for layer, target in self.features.items():
            terms = [
                share * part.units.content[layer] * one.get(layer, torch.ones_like(target[:, :1]))
                for share, part, one in zip(ofs, self.parts, weights, strict=True)
            ]
            joined[layer] = torch.stack(terms).sum(0)
        _write(self.weights, joined)
        _write(self.content_units.content, {layer: torch.ones_like(one[0, 0]) for layer, one in joined.items()})
        assert self.tv_pixels is not None
        self.tv_pixels.zero_()
        for tensor, share, area in zip(self.style_shares, styles, areas, strict=True):
            tensor.fill_(share if any(area.layers) else 0.0)
            assert area.mask is not None
            self.tv_pixels.add_(losses.pooled(area.mask, 0), alpha=share)

    def _apart(self, found: losses.Features) -> list[losses.Features]:
        """The statistics of each area."""
        if len(self.parts) == 1:
            return [found]
        layers = {layer: each.unbind() for layer, each in found.items()}
        return [{layer: each[number] for layer, each in layers.items()} for number in range(len(self.parts))]

    def __call__(self, pastiche: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a pastiche (1, 3, H, W), and its terms in the order of `TERMS`, each before its weight."""
        features, found = self.extract(pastiche, self.masks)
        content = losses.content_loss(features, self.features, self.content_units, self.weights)
        metric = self.extract.metric
        styles = [
            losses.style_loss(losses.mapped(metric, own, part.maps), part.targets, part.units, metric)
            for own, part in zip(self._apart(found), self.parts, strict=True)
        ]
        style = styles[0]
        if len(styles) > 1:
            style = torch.stack([share * one for share, one in zip(self.style_shares, styles, strict=True)]).sum()
        temporal = losses.temporal_loss(pastiche, self.warped, self.visible)
        tv, painted = torch.zeros_like(style), style
        if self.settings.tv_weight:
            tv = losses.total_variation(pastiche, self.tv_pixels)
            painted = style + self.settings.tv_weight * tv
        total = torch.lerp(painted, content, self.alpha) + self.temporal_weight * temporal
        return total, torch.stack([content, style, temporal, tv])


def _alpha_of(areas: Sequence[Area]) -> float:
    """alpha of the whole."""
    return areas[0].alpha if len(areas) == 1 else sum(area.share * area.alpha for area in areas)


def _write(kept: dict[str, Tensor], new: Mapping[str, Tensor]) -> None:
    """Copy `new` into the tensors of `kept`, or into new ones at the first time."""
    for name, tensor in new.items():
        if name in kept:
            kept[name].copy_(tensor)
        else:
            kept[name] = tensor.clone()

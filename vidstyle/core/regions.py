"""The areas of a frame that have styles of their own, and their statistics in one pass over the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from vidstyle.core.stylemetrics import as_features, positions, weighted_sums
from vidstyle.types import Frame

DENSE = 1.3  # positions of a stretch for each that counts in it, up to which it is faster to take all than to gather


@dataclass(frozen=True, eq=False)
class RegionStyle:
    """How a region of every frame is painted."""

    picture: Tensor  #: its style, (3, H, W) float32 sRGB in [0, 1], of any size
    mask: Tensor | None = None  #: (1, H, W): how far each pixel of the style counts; None for all alike
    alpha: float | None = None  #: 1 = all content, 0 = all style; None for that of the frame
    scale: float | None = None  #: size of the style relative to the painting; None for that of the settings

    @classmethod
    def of(cls, picture: Tensor, mask: Tensor | None = None, **more: float | None) -> RegionStyle:
        """Of a picture (3, H, W), or (4, H, W) whose last channel is its opacity, by which its pixels count."""
        if len(picture) == 4:
            picture, opacity = picture.split([3, 1])
            mask = opacity if mask is None else mask * opacity
        return cls(picture, mask, **more)


def areas_of(frame: Frame) -> list[Tensor | None]:
    """What lies outside the regions of a frame, and each of them, (1, H, W) in [0, 1]; None for everywhere."""
    if not frame.regions:
        return [None]
    return [(1 - torch.stack(frame.regions).sum(0)).clamp_min(0), *frame.regions]


def alphas_of(frame: Frame, regions: Sequence[RegionStyle]) -> list[float]:
    """Alpha of the same areas."""
    own = [frame.alpha if one.alpha is None else one.alpha for one in regions]
    return [frame.alpha, *own] if frame.regions else [frame.alpha]


def moments_of_areas(features: Tensor, weights: Tensor) -> Tensor:
    """`stylemetrics.moments` of each area, (A, C, C + 1).

    On a CPU an area costs as much as it has positions, so that areas that hardly overlap cost little more than one.
    Elsewhere each costs as much as the whole picture, since nothing may depend on what is in the weights.

    Args:
        features: (1, C, H, W).
        weights: (H W, A) float32, of each area of mean 1 or all 0, by which its positions count.
    """
    m: Tensor = _Moments.apply(features, weights)  # type: ignore[no-untyped-call]
    return m


def grams_of_areas(features: Tensor, weights: Tensor) -> Tensor:
    """`stylemetrics.gram` of each area, (A, C, C); the arguments are those of `moments_of_areas`."""
    return moments_of_areas(features, weights)[:, :, :-1]


class _Moments(torch.autograd.Function):
    """Moments of each area, with one gradient for all."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(features, weights)
        f, found = positions(features), []
        for area in range(weights.shape[1]):
            part, counts, _ = _part(f, weights, area)
            products, sums = weighted_sums(part, counts)
            found.append(torch.cat([products, sums[:, None]], dim=1) / f.shape[0])
        return torch.stack(found)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        features, weights = ctx.saved_tensors
        f = positions(features)
        total = torch.zeros_like(f)
        for area, own in enumerate(gradient):
            part, counts, places = _part(f, weights, area)
            both, mean = (own[:, :-1] + own[:, :-1].T) / f.shape[0], own[:, -1] / f.shape[0]
            found = torch.addmm(mean.to(f.dtype), part, both.to(f.dtype)).mul_(counts.to(f.dtype))
            if isinstance(places, slice):
                total[places] += found
            else:  # faster than index_add_
                total.index_copy_(0, places, found.add_(total.index_select(0, places)))
        return as_features(total, features), None


def _part(f: Tensor, weights: Tensor, area: int) -> tuple[Tensor, Tensor, Tensor | slice]:
    """The positions (N, C) that count in an area, their weights (N, 1), and their places."""
    counts = weights[:, area : area + 1]
    if f.device.type != "cpu":
        return f, counts, slice(None)
    places = counts[:, 0].nonzero()[:, 0]
    if len(places) == 0:
        return f[:0], counts[:0], slice(0, 0)
    rows = slice(int(places[0]), int(places[-1]) + 1)
    if rows.stop - rows.start <= DENSE * len(places):
        return f[rows], counts[rows], rows
    return f.index_select(0, places), counts.index_select(0, places), places

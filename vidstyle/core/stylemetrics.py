"""Style metrics: distances of Gram matrices, or of Gaussians of features, between two pictures.

Two metrics. `gram` is the squared distance of Gram matrices of Gatys, Ecker and Bethge. It counts absolute errors, so
the few directions in which the style's features vary most dominate, and colours and textures that the style does not
have cost almost nothing. `wasserstein` takes the features of each picture for a Gaussian and is the squared
Wasserstein-2 distance of the two: an error counts by what the style has in its direction, and the gradient grows where
variance is missing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

# Share of the mean eigenvalue of a style's covariance that is added to the variances of both pictures: where a style
# has less than that, its variance counts as zero. Without it the gradient has no bound where a variance is 0.
VARIANCE_FLOOR = 1e-3
ROUNDING = 1e-6  # of float32 second moments, as a share of the squared mean that is subtracted from them
BAND = 4096  # positions that are converted to float32 at once: fits the cache, and takes little memory
WIDE = 64  # channels from which two products in bfloat16 take less time than the conversion and one in float32


@dataclass(frozen=True)
class StyleMetric:
    """A statistic of the features at a layer, and the distance of two such statistics.

    A statistic is a mean over positions, so that of several pictures, or bands of one, it is their weighted mean.
    """

    statistic: Callable[..., Tensor]  #: of features (1, C, H, W) and, if not all count alike, weights of positions
    mapped: Callable[[Tensor, Tensor], Tensor]  #: the statistic that features would have after a matrix (K, C)
    target: Callable[[Tensor], tuple[Tensor | None, Tensor]]  #: of a style's: a matrix (K, K) to map by; a target
    distance: Callable[[Tensor, Tensor], Tensor]  #: of a statistic, mapped, from a target: (), 0 if they agree
    content_calibration: float  #: factor of the normalised content loss that makes alpha = .5 halfway
    decay: float = 1.0  #: weight of a style layer in units of that of one a block lower, where no others are given

    def layer_weights(self, layers: Sequence[str]) -> tuple[float, ...]:
        """The weights of layers like relu4_2 where no others are given; only their ratios count."""
        return tuple(self.decay ** int(layer[4]) for layer in layers)


def with_gradient(x: Tensor, value: Tensor, gradient: Tensor, scale: float = 1.0) -> Tensor:
    """`value`, (), with `scale` times `gradient` as its gradient in `x`: fewer passes than autograd would take."""
    v: Tensor = _WithGradient.apply(x, value, gradient, scale)  # type: ignore[no-untyped-call]
    return v


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, gradient: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(gradient)
        ctx.scale = scale
        return value.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (gradient,) = ctx.saved_tensors
        return gradient * (upstream * ctx.scale), None, None, None


def gram(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Gram matrix F F^T / (H W) of features (1, C, H, W), as (C, C).

    Args:
        weights: (H W, 1) float32 of mean 1, by which each position counts: F diag(w) F^T / (H W), the guided Gram
            matrix of Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", section 4.
    """
    g: Tensor = _Gram.apply(features, weights)  # type: ignore[no-untyped-call]
    return g


def moments(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Gram matrix and, in the last column, the mean of features (1, C, H, W), as (C, C + 1); weights as `gram`'s."""
    m: Tensor = _Moments.apply(features, weights)  # type: ignore[no-untyped-call]
    return m


class _Gram(torch.autograd.Function):
    """F F^T / (H W), whose gradient is one product instead of two and lies in memory as the features do."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor, weights: Tensor | None) -> Tensor:  # (1, C, H, W) -> (C, C)
        ctx.save_for_backward(features, weights)  # type: ignore[arg-type] # None may be saved
        f = positions(features)
        return (_products(f) if weights is None else weighted_sums(f, weights)[0]) / f.shape[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override] # (C, C) -> (1, C, H, W)
        features, weights = ctx.saved_tensors
        f = positions(features)
        both = (gradient + gradient.T) / f.shape[0]
        return as_features(_weighted(f @ both.to(f.dtype), weights), features), None


class _Moments(torch.autograd.Function):
    """Second moments and the mean, with the gradient of both in one product."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor, weights: Tensor | None) -> Tensor:  # (1, C, H, W) -> (C, C + 1)
        ctx.save_for_backward(features, weights)  # type: ignore[arg-type] # None may be saved
        f = positions(features)
        products, sums = _products_and_sums(f) if weights is None else weighted_sums(f, weights)
        return torch.cat([products, sums[:, None]], dim=1) / f.shape[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override] # (C, C + 1) -> features
        features, weights = ctx.saved_tensors
        f = positions(features)
        both = ((gradient[:, :-1] + gradient[:, :-1].T) / f.shape[0]).to(f.dtype)
        mean = (gradient[:, -1] / f.shape[0]).to(f.dtype)
        if f.dtype == torch.bfloat16 and not (f.is_cuda or f.is_meta):
            # `addmm` first writes the mean to every position there, which takes 2 % of an evaluation with VGG-19.
            found = positions(functional.conv2d(features, both[:, :, None, None], mean))
        else:
            found = torch.addmm(mean, f, both)
        return as_features(_weighted(found, weights), features), None


def _products(f: Tensor) -> Tensor:  # (H W, C) -> (C, C) float32
    """F^T F, in float32 whatever the features are: rounded to bfloat16, it would be wrong by up to .4 %."""
    if f.dtype == torch.float32:
        return f.T @ f
    if f.is_cuda or f.is_meta:
        return torch.mm(f.T, f, out_dtype=torch.float32)
    products = f.new_zeros(f.shape[1], f.shape[1], dtype=torch.float32)
    for band in f.split(BAND):
        _add_products(products, band)
    return products


def _products_and_sums(f: Tensor) -> tuple[Tensor, Tensor]:  # (H W, C) -> (C, C) and (C,) float32
    """F^T F and the sum of all features."""
    if f.dtype == torch.float32 or f.is_cuda or f.is_meta:
        return _products(f), f.sum(0, dtype=torch.float32)
    products = f.new_zeros(f.shape[1], f.shape[1], dtype=torch.float32)
    sums = torch.zeros_like(products[0])
    for band in f.split(max(1, BAND * WIDE // max(WIDE, f.shape[1]))):  # 1 MB in float32
        wide = band.float()
        _add_products(products, band, wide)
        sums += wide.sum(0)
    return products, sums


def _add_products(products: Tensor, band: Tensor, wide: Tensor | None = None) -> None:  # (C, C) float32, (N, C)
    """Add F^T F of a band of bfloat16 features on a CPU, where a product has the type of its factors.

    Args:
        wide: the same in float32.
    """
    if band.shape[1] >= WIDE and _accumulates_in_float32():
        rounded = band.T @ band
        products += rounded
        products += _rounded_off(band, rounded)
    else:
        wide = band.float() if wide is None else wide
        products.addmm_(wide.T, wide)


def _rounded_off(f: Tensor, rounded: Tensor) -> Tensor:  # (N, C), (C, C) -> (C, C) bfloat16
    """F^T F less itself rounded to bfloat16: what was rounded off. With that, it has 16 bits."""
    return torch.addmm(rounded, f.T, f, beta=-1)


@functools.cache
def _accumulates_in_float32() -> bool:
    """Whether this CPU rounds products of bfloat16 matrices only once: without instructions for them, it does not."""
    f = torch.linspace(0, 1, BAND * WIDE, device="cpu").view(BAND, WIDE).bfloat16()
    rounded, exact = f.T @ f, f.double().T @ f.double()
    return torch.allclose(rounded.double() + _rounded_off(f, rounded).double(), exact, rtol=1e-5, atol=0)


def weighted_sums(f: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:  # (H W, C) -> (C, C) and (C,) float32
    """F^T diag(w) F and F^T w, in float32; the weights are (H W, 1) float32."""
    if f.is_cuda or f.is_meta:
        counted = f * weights  # float32: rounded weights would all be wrong in one direction
        if f.dtype == torch.float32:
            return f.T @ counted, counted.sum(0)
        return torch.mm(f.T, counted.to(f.dtype), out_dtype=torch.float32), counted.sum(0)
    products, sums = (f.new_zeros(f.shape[1], columns, dtype=torch.float32) for columns in (f.shape[1], 1))
    for band, count in zip(f.split(BAND), weights.split(BAND), strict=True):
        wide = band.float()
        products.addmm_(wide.T, wide * count)
        sums.addmm_(wide.T, count)
    return products, sums[:, 0]


def _weighted(gradient: Tensor, weights: Tensor | None) -> Tensor:  # (H W, C), which is changed in place
    return gradient if weights is None else gradient.mul_(weights.to(gradient.dtype))


def positions(features: Tensor) -> Tensor:  # (1, C, H, W) -> (H W, C), a view of channels_last memory
    """Features as a matrix of positions."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def as_features(f: Tensor, like: Tensor) -> Tensor:  # (H W, C) -> (1, C, H, W)
    """The inverse of `positions`, for features of the same size."""
    return f.view(*like.shape[2:], -1).permute(2, 0, 1)[None]


def _mapped_gram(g: Tensor, matrix: Tensor) -> Tensor:
    return matrix @ g @ matrix.T


def _mapped_moments(m: Tensor, matrix: Tensor) -> Tensor:
    # The covariance is mapped alone: what TF32 rounds off a large mean would be more than the quiet directions have.
    mean = matrix @ m[:, -1]
    return torch.cat([matrix @ covariance(m) @ matrix.T + torch.outer(mean, mean), mean[:, None]], dim=1)


def _gram_distance(g: Tensor, target: Tensor) -> Tensor:
    """|G(P) - G(S)|^2."""
    return (g - target).square().sum()


def covariance(m: Tensor) -> Tensor:
    """Of moments (C, C + 1), the covariance of the features, (C, C)."""
    mean = m[:, -1]
    return m[:, :-1] - torch.outer(mean, mean)


def _wasserstein_target(m: Tensor) -> tuple[Tensor, Tensor]:
    """The eigenvectors of a style's covariance as rows, (C, C); its eigenvalues and its mean along them, (C, 2).

    Computed on the CPU in float64: not every device can, and it is the same for all. Of moments that are not finite
    neither is the target, and so no distance from it.
    """
    wide = m.detach().cpu().double()
    if not wide.isfinite().all():
        return torch.eye(len(m)).to(m), torch.full_like(m[:, :2], torch.nan)
    values, vectors = torch.linalg.eigh(covariance(wide))
    target = torch.stack([values.clamp_min(0), vectors.T @ wide[:, -1]], dim=1)
    return vectors.T.to(m).contiguous(), target.to(m)


def wasserstein_distance(m: Tensor, target: Tensor) -> Tensor:
    """Squared Wasserstein-2 distance of two Gaussians: |difference of means|^2 + tr(P + S - 2 (S^1/2 P S^1/2)^1/2).

    In the basis where the style's covariance S is diagonal, with eigenvalues l, the square root is expanded to second
    order in the covariances c_ij of the other, whose variances are d:

        sum_i (sqrt(d_i) - sqrt(l_i))^2 + 1/2 sum_ij c_ij^2 sqrt(l_i l_j / (d_i d_j)) / (sqrt(l_i d_i) + sqrt(l_j d_j))

    It is exact if P is diagonal, too, and to second order near S; elsewhere it was found to be at most three times the
    distance. Exact distances need a matrix square root, whose condition is that of S squared, for each evaluation.

    Args:
        m: moments (K, K + 1) in the basis of `_wasserstein_target`.
        target: (K, 2) of the same.
    """
    with torch.no_grad():
        eigenvalues, wanted_mean = target.unbind(1)
        tiny = ROUNDING * wanted_mean.square().mean() + torch.finfo(torch.float32).tiny
        floor = VARIANCE_FLOOR * eigenvalues.mean() + tiny
        mean, p = m[:, -1], covariance(m)
        variances = p.diagonal()
        wanted, found = (eigenvalues + floor).sqrt(), (variances.clamp_min(0) + floor).sqrt()
        difference, lack = mean - wanted_mean, found - wanted
        ratio, product = wanted / found, wanted * found
        sums = product[:, None] + product
        correlated = torch.outer(ratio, ratio).div_(sums).mul_(p).fill_diagonal_(0)  # weight * p, also the gradient
        terms = correlated * p
        value = difference @ difference + lack @ lack + terms.sum() / 2
        by_found = 2 * lack - terms.sum(1) / found - wanted * terms.div_(sums).sum(1)
        correlated.diagonal().copy_(by_found / (2 * found) * (variances >= 0))
        by_mean = 2 * (difference - correlated @ mean)
        gradient = torch.cat([correlated, by_mean[:, None]], dim=1)
    return with_gradient(m, value, gradient)


# The calibrations: with them the features of a pastiche are at alpha = .5 about half as far from the content's as at 0
# (half the root of L_C), measured with VGG-19 on two photo/style pairs at 192 to 256 px: README, "Alpha".
STYLE_METRICS: Mapping[str, StyleMetric] = {
    "gram": StyleMetric(gram, _mapped_gram, lambda g: (None, g), _gram_distance, 0.25),
    "wasserstein": StyleMetric(moments, _mapped_moments, _wasserstein_target, wasserstein_distance, 0.25, decay=0.5),
}

"""Colour matching: a smooth map of colours that gives a picture the distribution of the styles' colours.

The iterative distribution transfer of Pitie, Kokaram and Dahyot 2007, "Automated colour grading using colour
distribution transfer": along the axes of one rotated colour space after the other, the quantiles of the picture become
those of the styles. What comes out is kept as a table of colours, so that other frames get the same map.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SAMPLES = 4096  # colours of a picture that are looked at
ROTATIONS = 20  # after which colours move no more than a few levels of 256
QUANTILES = 65
SIDE = 17  # colours along each side of the table, as in the look-up tables of video editors
SHAPE = (3, SIDE, SIDE, SIDE)
MOST_CONTRAST = 3.0  # times that of the source between two quantiles: more would show the noise of a plain place
LEAST_DEVIATION = 0.05  # of grey values, that styles without contrast are taken to have: shapes are to stay visible


def sample(image: Tensor, weights: Tensor | None = None) -> Tensor:
    """Colours (SAMPLES, 3) of a picture (3, H, W), evenly from all of its pixels, or from all of their weights.

    Args:
        weights: (1, H, W), not all 0.
    """
    pixels = image.flatten(1).T
    shares = torch.ones_like(pixels[:, 0]) if weights is None else weights.flatten().to(pixels)
    return _drawn(pixels, shares)


def mixed(samples: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Colours (SAMPLES, 3) of several samples in these shares."""
    colors = torch.cat(list(samples))
    counts = torch.tensor(shares, dtype=torch.float32).repeat_interleave(SAMPLES).to(colors.device)
    return _drawn(colors, counts)


def matching(source: Tensor, target: Tensor) -> Tensor:
    """The map that gives the colours `source` the distribution of `target`, both (N, 3), as a table.

    Returns:
        (3, SIDE, SIDE, SIDE): the new colour at equal steps of blue, green and red from 0 to 1.
    """
    steps = torch.linspace(0, 1, SIDE, device=source.device)
    blue, green, red = torch.meshgrid(steps, steps, steps, indexing="ij")
    table = torch.stack([red, green, blue]).view(3, -1)
    colors, count = torch.cat([source.T, table], dim=1), len(source)
    rotations = _rotations().to(source.device)
    targets = _quantiles(rotations @ _with_contrast(target).T)  # of all rotations at once
    for rotation, wanted in zip(rotations, targets, strict=True):
        turned = rotation @ colors
        knots = _quantiles(turned[:, :count])
        colors = colors + rotation.T @ _interpolated(turned, knots, _limited(knots, wanted) - knots)
    return colors[:, count:].reshape(SHAPE).clamp(0, 1)


def matched(image: Tensor, table: Tensor, share: float) -> Tensor:
    """A picture (3, H, W) blended with its colours mapped by a table of `matching`, by `share` (0 to 1)."""
    if share == 0:
        return image
    places = 2 * image.flatten(1).T - 1  # red, green, blue: the order of x, y, z
    found = functional.grid_sample(
        table.to(image)[None], places[None, None, None], align_corners=True, padding_mode="border"
    )
    return torch.lerp(image, found.view_as(image), share)


def _drawn(colors: Tensor, weights: Tensor) -> Tensor:
    """Colours (SAMPLES, 3) at equal steps of the cumulated weights (N,) of colours (N, 3)."""
    reached = weights.double().cumsum(0)
    steps = (torch.arange(SAMPLES, device=colors.device, dtype=torch.float64) + 0.5) / SAMPLES
    places = torch.searchsorted(reached, steps * reached[-1])
    return colors[places.clamp_max(len(colors) - 1)]


def _with_contrast(colors: Tensor) -> Tensor:
    """Colours with grey values of LEAST_DEVIATION added as far as their own deviate less."""
    lack = (LEAST_DEVIATION**2 - colors.mean(1).var()).clamp_min(0).sqrt()
    places = (torch.arange(len(colors), device=colors.device) * 0.618034) % 1  # evenly, whatever their order
    spread: Tensor = torch.special.ndtri(places.clamp(0.01, 0.99))
    return colors + lack * spread[:, None]


def _quantiles(values: Tensor) -> Tensor:
    """Quantiles (..., QUANTILES) of (..., N), from the least to the largest."""
    places = torch.linspace(0, values.shape[-1] - 1, QUANTILES, device=values.device).round().long()
    if values.device.type == "cpu":  # numpy sorts in a tenth of torch's time there
        ordered = torch.from_numpy(np.sort(values.numpy(), axis=-1))
    else:
        ordered = values.sort(dim=-1).values
    return ordered[..., places]


def _limited(knots: Tensor, wanted: Tensor) -> Tensor:
    """What the quantiles (3, QUANTILES) become, no further from each other than MOST_CONTRAST allows."""
    steps = torch.minimum(wanted.diff(dim=1), MOST_CONTRAST * knots.diff(dim=1))
    found = functional.pad(steps.cumsum(1), (1, 0))
    return found + (wanted - found).mean(1, keepdim=True)


def _interpolated(values: Tensor, knots: Tensor, moves: Tensor) -> Tensor:
    """Moves (3, N) of values (3, N) between knots (3, QUANTILES), a row for each axis; beyond, those at the ends."""
    right = torch.searchsorted(knots, values).clamp_(1, QUANTILES - 1)
    left = right - 1
    first, last = knots.gather(1, left), knots.gather(1, right)
    share = ((values - first) / (last - first).clamp_min(1e-6)).clamp_(0, 1)
    return torch.lerp(moves.gather(1, left), moves.gather(1, right), share)


@functools.cache
def _rotations() -> Tensor:
    """Rotations of colour space (ROTATIONS, 3, 3), the first of which keeps its axes."""
    random = torch.randn(ROTATIONS, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rotations: Tensor = torch.linalg.qr(random).Q.float()
    rotations[0] = torch.eye(3)
    return rotations

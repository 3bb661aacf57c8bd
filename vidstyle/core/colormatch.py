"""Colour matching: a smooth map of colours that gives a picture the distribution of the styles' colours.

The iterative distribution transfer of Pitie, Kokaram and Dahyot 2007, "Automated colour grading using colour
distribution transfer": along the axes of one rotated colour space after the other, the quantiles of the picture become
those of the styles. What comes out is kept as a table of colours, so that other frames get the same map.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

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
    table = torch.stack([red, green, blue], dim=-1).view(-1, 3)
    target = _with_contrast(target)
    for rotation in _rotations().to(source.device):
        knots, wanted = _quantiles(source @ rotation), _quantiles(target @ rotation)
        moves = _limited(knots, wanted) - knots
        source, table = (
            colors + _interpolated(colors @ rotation, knots, moves) @ rotation.T for colors in (source, table)
        )
    return table.T.reshape(SHAPE).clamp(0, 1)


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
    """Quantiles (QUANTILES, 3) of (N, 3), from the least to the largest."""
    places = torch.linspace(0, len(values) - 1, QUANTILES, device=values.device).round().long()
    return values.sort(dim=0).values[places]


def _limited(knots: Tensor, wanted: Tensor) -> Tensor:
    """What the quantiles (QUANTILES, 3) become, no further from each other than MOST_CONTRAST allows."""
    steps = torch.minimum(wanted.diff(dim=0), MOST_CONTRAST * knots.diff(dim=0))
    found = functional.pad(steps.cumsum(0), (0, 0, 1, 0))
    return found + (wanted - found).mean(0)


def _interpolated(values: Tensor, knots: Tensor, moves: Tensor) -> Tensor:
    """Moves (N, 3) of values (N, 3) between knots (QUANTILES, 3), a column for each axis; beyond, those at the ends."""
    found = []
    for value, knot, move in zip(values.T.contiguous(), knots.T.contiguous(), moves.T, strict=True):
        right = torch.searchsorted(knot, value).clamp(1, QUANTILES - 1)
        left = right - 1
        share = (value - knot[left]) / (knot[right] - knot[left]).clamp_min(1e-6)
        found.append(torch.lerp(move[left], move[right], share.clamp(0, 1)))
    return torch.stack(found, dim=1)


@functools.cache
def _rotations() -> Tensor:
    """Rotations of colour space (ROTATIONS, 3, 3), the first of which keeps its axes."""
    random = torch.randn(ROTATIONS, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rotations: Tensor = torch.linalg.qr(random).Q.float()
    rotations[0] = torch.eye(3)
    return rotations

"""The warm start of a frame: earlier pastiches of its shot, warped along the optical flow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidstyle.core import color
from vidstyle.core.warp import carry
from vidstyle.types import Frame, State

Carry = Callable[[Tensor, Tensor], Tensor]

RESTRAINT = 0.5  # how far a known pixel may change in a step, of what a new one may
SEAM = 1  # pixels around what is new that count as new
PATCHES = 12  # along the short side, about: of what is painted anew on purpose
UNREST = 0.15  # standard deviation of the noise that such patches start with
DOUBT = 3  # pixels by which the visible area of what a painting is led to is dilated


def warp_history(
    frame: Frame, state: State | None, device: torch.device, carrier: Carry | None = None
) -> tuple[Tensor, Tensor]:
    """The earlier pastiches warped to this frame, (3, H, W), and how far each pixel is known from them, (1, H, W).

    The previous pastiche comes first. Earlier ones fill the pixels that were hidden in it: each fills what the nearer
    ones leave, max(c_j - sum of nearer c, 0), section 4.2 of Ruder, Dosovitskiy, Brox 2016,
    https://arxiv.org/abs/1604.08610.
    Where nothing is known the painting is black. Near the end of a loop, and before a key frame, it is led to that.

    Args:
        carrier: a `warp.Carrier` for its size and the device, or one that is recorded; None makes one.
    """
    painting = torch.zeros_like(frame.image, device=device)
    known = torch.zeros_like(painting[:1])
    if state is not None and frame.motion is not None:
        pastiches, motions = (state.pastiche, *state.history), sorted({1: frame.motion, **frame.earlier}.items())
        flows = [motion.flow for _, motion in motions]
        carried = carry([pastiches[lag - 1] for lag, _ in motions], flows, device, carrier)
        visible = torch.stack([motion.visible for _, motion in motions]).to(device)
        known, *others = visible.unbind()
        painting = known * carried[0]
        for there, seen in zip(carried[1:], others, strict=True):
            share = (seen - known).clamp_min(0)
            painting = torch.addcmul(painting, share, there)
            known = known + share
        painting = painting / known.clamp_min(torch.finfo(known.dtype).tiny)
    closure = frame.loop_closure
    if closure is not None and state is not None and state.first is not None:
        (there,) = carry([state.first.to(device)], [closure.motion.flow], device, carrier)
        painting, known = _led(painting, known, there, closure.motion.visible, closure.share)
    if (lead := frame.lead) is not None:
        painting, known = _led(painting, known, lead.picture.to(device), lead.visible, lead.share)
    return painting, known


def _led(painting: Tensor, known: Tensor, there: Tensor, visible: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Blend a warped pastiche towards another picture; unknown pixels are taken from that at once."""
    # Specks and seams that are only doubtful go along with their surroundings: left out, they would make the jump.
    visible = functional.max_pool2d(visible.to(known.device), 2 * DOUBT + 1, 1, DOUBT)
    new = (1 - known) * visible
    stepped = torch.lerp(painting, there, share * visible)
    total = known + new
    return (known * stepped + new * there) / total.clamp_min(torch.finfo(known.dtype).tiny), total


def initial_image(frame: Frame, painting: Tensor, known: Tensor) -> Tensor:
    """The start of the optimisation: `painting` where it is known, elsewhere the content in its colours."""
    content = frame.image.to(painting.device)
    return torch.lerp(color.match_statistics(content, content, painting, known), painting, known)


def boiling(shape: tuple[int, int], share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Patches that are painted anew on purpose, (1, H, W) of 0 and 1, and the noise that they start with, (3, H, W).

    They are drawn from the seed alone, on the CPU, and cover `share` of the pixels to the pixel: so the line lives in
    all frames alike.
    """
    generator = torch.Generator().manual_seed(seed)
    cell = max(min(shape) / PATCHES, 1.0)
    coarse = tuple(max(round(side / cell), 1) for side in shape)
    field = torch.randn(1, 1, *coarse, generator=generator)
    place = functional.interpolate(field, size=shape, mode="bicubic", align_corners=False).flatten()
    patches = torch.zeros_like(place)
    patches[place.argsort(stable=True)[: round(share * place.numel())]] = 1
    fine = tuple(max(round(3 * side / cell), 1) for side in shape)
    noise = torch.randn(1, 3, *fine, generator=generator) * UNREST
    return patches.view(1, *shape), functional.interpolate(noise, size=shape, mode="bicubic", align_corners=False)[0]


def new_share(frame: Frame) -> float:
    """The share of a picture that no earlier frame and no key frame shows; asks no device."""
    motions = () if frame.motion is None else (frame.motion, *frame.earlier.values())
    known = [one.visible.numpy() for one in (*motions, *(() if frame.lead is None else (frame.lead,)))]
    return float((np.maximum.reduce(known) < 0.5).mean())


def new_area(known: Tensor) -> Tensor:  # (1, 1, H, W), the same
    """How far each pixel is new or at the seam to what is."""
    return functional.max_pool2d(1 - known, 2 * SEAM + 1, 1, SEAM)


def freedom(known: Tensor) -> Tensor:  # (1, 1, H, W), the same
    """How far each pixel may change in a step, beside others: so few evaluations serve what is new most."""
    return RESTRAINT + (1 - RESTRAINT) * new_area(known)


def update_history(frame: Frame, state: State | None) -> tuple[Tensor, ...]:
    """The `State.history` after `frame`, if it was painted from `state`."""
    if frame.motion is None or state is None:
        return ()
    return (state.pastiche, *state.history)[: frame.reach - 1]

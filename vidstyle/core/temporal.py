"""The warm start of a frame: earlier pastiches of its shot, warped along the optical flow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidstyle.core import color
from vidstyle.core.warp import carry
from vidstyle.types import Frame, LoopClosure, State

Carry = Callable[[Tensor, Tensor], Tensor]

RESTRAINT = 0.5  # how far a known pixel may change in a step, of what a new one may
SEAM = 1  # pixels around what is new that count as new
DOUBT = 3  # pixels by which the visible area of a loop closure is dilated


def warp_history(
    frame: Frame, state: State, device: torch.device, carrier: Carry | None = None
) -> tuple[Tensor, Tensor]:
    """The earlier pastiches warped to this frame, (3, H, W), and how far each pixel is known from them, (1, H, W).

    The previous pastiche comes first. Earlier ones fill the pixels that were hidden in it: each fills what the nearer
    ones leave, max(c_j - sum of nearer c, 0), section 4.2 of Ruder, Dosovitskiy, Brox 2016,
    https://arxiv.org/abs/1604.08610.
    Where nothing is known the painting is black.

    Args:
        carrier: a `warp.Carrier` for its size and the device, or one that is recorded; None makes one.
    """
    assert frame.motion is not None
    pastiches, motions = (state.pastiche, *state.history), sorted({1: frame.motion, **frame.earlier}.items())
    carried = carry([pastiches[lag - 1] for lag, _ in motions], [motion.flow for _, motion in motions], device, carrier)
    visible = torch.stack([motion.visible for _, motion in motions]).to(device)
    known, *others = visible.unbind()
    painting = known * carried[0]
    for there, seen in zip(carried[1:], others, strict=True):
        share = (seen - known).clamp_min(0)
        painting = torch.addcmul(painting, share, there)
        known = known + share
    painting = painting / known.clamp_min(torch.finfo(known.dtype).tiny)
    if frame.loop_closure is not None and state.first is not None:
        return _close_loop(painting, known, frame.loop_closure, state.first.to(device), carrier)
    return painting, known


def _close_loop(
    painting: Tensor, known: Tensor, loop_closure: LoopClosure, first: Tensor, carrier: Carry | None
) -> tuple[Tensor, Tensor]:
    """Blend a warped pastiche towards the first one of the loop; unknown pixels are taken from that at once."""
    (there,) = carry([first], [loop_closure.motion.flow], known.device, carrier)
    # Specks and seams that are only doubtful go along with their surroundings: left out, they would make the jump.
    visible = functional.max_pool2d(loop_closure.motion.visible.to(known.device), 2 * DOUBT + 1, 1, DOUBT)
    new = (1 - known) * visible
    stepped = torch.lerp(painting, there, loop_closure.share * visible)
    total = known + new
    return (known * stepped + new * there) / total.clamp_min(torch.finfo(known.dtype).tiny), total


def initial_image(frame: Frame, painting: Tensor, known: Tensor) -> Tensor:
    """The start of the optimisation: `painting` where it is known, elsewhere the content in its colours."""
    content = frame.image.to(painting.device)
    return torch.lerp(color.match_statistics(content, content, painting, known), painting, known)


def new_share(frame: Frame) -> float:
    """The share of a picture that none of its earlier frames shows; asks no device."""
    assert frame.motion is not None
    known = [motion.visible.numpy() for motion in (frame.motion, *frame.earlier.values())]
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

"""What a frame is already painted as: earlier pastiches of its shot, carried along the motion."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vidstyle.core import color
from vidstyle.core.warp import carry
from vidstyle.types import Frame, Onward, State

DOUBT = 3  # pixels by which what a loop ends with is taken to be visible beyond what is


def recalled(frame: Frame, state: State, device: torch.device) -> tuple[Tensor, Tensor]:
    """The painting as it was left, and how far each pixel has been painted before, (3, H, W) and (1, H, W).

    The previous pastiche comes first. What it does not show may be in earlier ones: each fills what the nearer ones
    leave, max(c_j - sum of nearer c, 0), section 4.2 of Ruder, Dosovitskiy, Brox 2016, https://arxiv.org/abs/1604.08610.
    Where nothing is known the painting is black.
    """
    assert frame.motion is not None
    pastiches = (state.pastiche, *state.past)
    painting = torch.zeros_like(frame.image, device=device)
    known = torch.zeros_like(painting[:1])
    for lag, motion in sorted({1: frame.motion, **frame.earlier}.items()):
        share = (motion.visible.to(device) - known).clamp_min(0)
        painting += share * carry(pastiches[lag - 1].to(device), motion.flow).clamp(0, 1)
        known += share
    painting = painting / known.clamp_min(torch.finfo(known.dtype).tiny)
    if frame.onward is not None and state.first is not None:
        return _led_on(painting, known, frame.onward, state.first.to(device))
    return painting, known


def _led_on(painting: Tensor, known: Tensor, onward: Onward, first: Tensor) -> tuple[Tensor, Tensor]:
    """A step of a painting towards the one that a loop began with; what is not known yet is taken from that at once."""
    there = carry(first, onward.motion.flow).clamp(0, 1)
    # Specks and seams that are only doubtful go along with their surroundings: left out, they would make the jump.
    visible = functional.max_pool2d(onward.motion.visible.to(known.device), 2 * DOUBT + 1, 1, DOUBT)
    new = (1 - known) * visible
    stepped = torch.lerp(painting, there, onward.share * visible)
    total = known + new
    return (known * stepped + new * there) / total.clamp_min(torch.finfo(known.dtype).tiny), total


def begun(frame: Frame, painting: Tensor, known: Tensor) -> Tensor:
    """What optimising a frame starts from: `painting` where it is known, elsewhere the content in its colours."""
    content = frame.image.to(painting.device)
    return known * painting + (1 - known) * color.match_statistics(content, content, painting, known)


def remembered(frame: Frame, state: State | None) -> tuple[Tensor, ...]:
    """The `State.past` after `frame`, painted on from `state`."""
    if frame.motion is None or state is None:
        return ()
    return (state.pastiche, *state.past)[: frame.reach - 1]

"""What a frame is already painted as: earlier pastiches of its shot, carried along the motion."""

from __future__ import annotations

import torch
from torch import Tensor

from vidstyle import color, flow
from vidstyle.types import Frame, State


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
        painting += share * flow.carry(pastiches[lag - 1].to(device), motion.flow).clamp(0, 1)
        known += share
    return painting / known.clamp_min(torch.finfo(known.dtype).tiny), known


def begun(frame: Frame, painting: Tensor, known: Tensor) -> Tensor:
    """What optimising a frame starts from: `painting` where it is known, elsewhere the content in its colours."""
    content = frame.image.to(painting.device)
    return known * painting + (1 - known) * color.match_statistics(content, content, painting, known)


def remembered(frame: Frame, state: State | None) -> tuple[Tensor, ...]:
    """The `State.past` after `frame`, painted on from `state`."""
    if frame.motion is None or state is None:
        return ()
    return (state.pastiche, *state.past)[: frame.reach - 1]

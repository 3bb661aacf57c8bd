"""Which pixels of a picture count that is painted in part, or transparent somewhere."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

RIM = 2  # pixels beside what is visible that count as it does: at an edge that ended there, colours would run away


def counted(mask: Tensor | None, opacity: Tensor | None) -> Tensor | None:
    """How far each pixel counts in statistics and losses, (1, H, W) in [0, 1]; None if all does.

    Args:
        mask: how far it is painted, (1, H, W) in [0, 1]; None for wholly.
        opacity: (1, H, W) in [0, 1]; None where nothing is transparent. Beside what is visible the picture goes on in
            colours like those.
    """
    if opacity is None:
        return mask
    visible = functional.max_pool2d(opacity, 2 * RIM + 1, 1, RIM)
    return visible if mask is None else mask * visible

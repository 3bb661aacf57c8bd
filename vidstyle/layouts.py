"""What is shown of a painting: how large, and what beside it. Pure functions on pictures."""

from __future__ import annotations

from vidstyle.errors import UsageError
from vidstyle.pictures import MIN_SIDE


def fitted(width: int, height: int, wanted: int | None) -> tuple[int, int]:
    """A size of the same shape, `wanted` pixels wide. Raises `UsageError` if it would be larger, or too small."""
    if wanted is None:
        return width, height
    if wanted > width:
        raise UsageError(f"--width is {wanted}, but {width} pixels are painted; paint larger with --size")
    new = round(height * wanted / width)
    if new < MIN_SIDE:
        raise UsageError(f"--width {wanted} leaves a height of {new} pixels; it takes {MIN_SIDE}")
    return wanted, new

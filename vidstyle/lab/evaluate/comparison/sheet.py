"""The contact sheet of a comparison: every pair's two pastiches side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidstyle.lab.evaluate.comparison.figures import Pair
from vidstyle.media.stills import pictures
from vidstyle.system.opencv import cv2

TILE = 256  # pixels of a picture's long side
GAP = 6  # pixels between pairs


def contact_sheet(pairs: Sequence[Pair]) -> np.ndarray:
    """Every pair's two pastiches, the reference left, at equal content distance: (H, W, 3) uint8 RGB.

    A row is a content, a column a style.
    """
    contents, styles = (list(dict.fromkeys(getattr(pair, name) for pair in pairs)) for name in ("content", "style"))
    cells = {}
    for pair in pairs:
        cells[pair.content, pair.style] = np.concatenate([_tile(one) for one in pastiches(pair)], axis=1)
    height, width = (max(cell.shape[axis] for cell in cells.values()) + GAP for axis in (0, 1))
    sheet = np.full((height * len(contents), width * len(styles), 3), 255, np.uint8)
    for (content, style), cell in cells.items():
        top, left = height * contents.index(content), width * styles.index(style)
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet


def pastiches(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """The reference and the network's at the same content distance, each (H, W, 3) uint8 and of the latter's size."""
    reference, network = (
        (pictures.load_picture(one.picture) * 255).round().astype(np.uint8)
        for one in (pair.reference, pair.same_content)
    )
    return pictures.resize(reference, network.shape[1], network.shape[0]), network


def _tile(image: np.ndarray) -> np.ndarray:
    factor = TILE / max(image.shape[:2])
    tile: np.ndarray = cv2.resize(
        image, (round(image.shape[1] * factor), round(image.shape[0] * factor)), interpolation=cv2.INTER_AREA
    )
    return tile

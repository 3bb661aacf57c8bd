"""Transparency: pictures (H, W, 4) whose last channel is their opacity, and whose colours are not premultiplied.

Colours keep what they are where nothing is seen of them; means of colours are weighted by opacity, so that what is
hidden leaves no fringe.
"""

from __future__ import annotations

import numpy as np

from vidstyle.system.opencv import cv2

FAINT = 1 / 8  # opacity below which a pixel's colour is uncertain, since it was rounded
WHITE = (255, 255, 255)
Ground = tuple[int, int, int] | np.ndarray  # a colour, or a picture (H, W, 3) uint8
LEAST = 1 / 512  # opacity that is none
BAND = 1 << 18  # pixels that are composited at once: as numbers they take sixteen times the memory


def is_transparent(pixels: np.ndarray) -> bool:
    """Whether anything shines through a picture (H, W, 3 or 4), uint8 or float in [0, 1]."""
    return pixels.shape[2] == 4 and bool(pixels[:, :, 3].min() < _white(pixels))


def opaque(pixels: np.ndarray, ground: Ground = WHITE) -> np.ndarray:
    """A picture (H, W, 3 or 4) of integers, laid over a colour or over another picture (H, W, 3) uint8; (H, W, 3)."""
    if not is_transparent(pixels):
        return np.ascontiguousarray(pixels[:, :, :3])
    height, width = pixels.shape[:2]
    laid, white = np.empty((height, width, 3), pixels.dtype), np.float32(_white(pixels))
    below, rows = np.asarray(ground, np.float32) * (white / 255), max(BAND // width, 1)
    for top in range(0, height, rows):
        band = pixels[top : top + rows]
        under = below if below.ndim == 1 else below[top : top + rows]
        laid[top : top + rows] = np.rint(under + (band[:, :, :3] - under) * (band[:, :, 3:] / white))
    return laid


def with_opacity(pixels: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3 or 4) of integers as (H, W, 4)."""
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], _white(pixels), pixels.dtype)])


def resized(pixels: np.ndarray, width: int, height: int, interpolation: int) -> np.ndarray:
    """A picture (H, W, 4), of integers or of floats in [0, 1], at another size; where nothing is seen, means of all."""
    white, size = _white(pixels), (width, height)
    opacity = pixels[:, :, 3].astype(np.float32) / np.float32(white)
    found = np.empty((height, width, 4), np.float32)
    found[:, :, 3] = shown = cv2.resize(opacity, size, interpolation=interpolation).clip(0, 1)
    for channel in range(3):  # one by one: of a large picture each copy takes a gigabyte
        colors = np.ascontiguousarray(pixels[:, :, channel])
        seen = cv2.resize(colors.astype(np.float32) * opacity, size, interpolation=interpolation)
        hidden = cv2.resize(colors, size, interpolation=interpolation).astype(np.float32)
        found[:, :, channel] = np.where(shown > LEAST, seen / np.maximum(shown, LEAST), hidden) / white
    found = found.clip(0, 1)
    return found if white == 1 else np.rint(found * white).astype(pixels.dtype)


def filled(pixels: np.ndarray) -> np.ndarray:
    """The colours of a picture (H, W, 4), float in [0, 1], continued to where nothing is seen of them; (H, W, 3).

    A network then sees no border where the picture ends, and no colours that nobody sees.
    """
    return _filled(pixels[:, :, :3], np.minimum(pixels[:, :, 3] / np.float32(FAINT), 1))


def filled_colors(pixels: np.ndarray) -> np.ndarray:
    """What is painted of a picture (H, W, 3 or 4), uint8 or float in [0, 1]: its colours, everywhere; (H, W, 3)."""
    if pixels.shape[2] == 3:
        return pixels
    return filled(to_unit(pixels))


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """A picture, uint8 or float in [0, 1], as float32 in [0, 1]."""
    unit: np.ndarray = pixels.astype(np.float32) / np.float32(255 if pixels.dtype == np.uint8 else 1)
    return unit


def _filled(colors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Colours where their weights (H, W) are 1; else more and more those of the picture at half the size."""
    height, width = weights.shape
    if weights.min() == 1 or max(height, width) == 1:
        return colors
    half = max(width // 2, 1), max(height // 2, 1)
    fewer = cv2.resize(weights, half, interpolation=cv2.INTER_AREA).reshape(half[::-1])
    means = cv2.resize(colors * weights[:, :, None], half, interpolation=cv2.INTER_AREA).reshape(*half[::-1], 3)
    coarse = _filled(means / np.maximum(fewer, 1e-6)[:, :, None], np.minimum(4 * fewer, 1))
    around = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)
    found: np.ndarray = around + (colors - around) * weights[:, :, None]
    return found


def _white(pixels: np.ndarray) -> float:
    return float(np.iinfo(pixels.dtype).max) if np.issubdtype(pixels.dtype, np.integer) else 1.0

"""Masks of what a box or points show in a picture, by GrabCut (Rother, Kolmogorov, Blake 2004)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidstyle.system.opencv import cv2

Box = tuple[int, int, int, int]  # x, y, width, height in pixels
Point = tuple[int, int, bool]  # x, y, and whether it lies inside

ROUNDS, AGAIN = 5, 2  # iterations: of a box, and of a mask that is nearly right
BAND = 0.012  # of the long side: how far from the border of a mask its pixels are decided anew
DOT = 0.008  # of the long side: the radius of a point
SEED = 0  # of the clusters of colours


def cut_out(picture: np.ndarray, box: Box, points: Sequence[Point] = ()) -> np.ndarray:
    """The mask, (H, W) uint8, of what lies in a box of a picture (H, W, 3) uint8; black where nothing is found.

    Args:
        box: outside of it nothing belongs to the mask, but for points.
        points: of which it is known whether they belong to it.
    """
    x, y, width, height = box
    labels = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    labels[y : y + height, x : x + width] = cv2.GC_PR_FGD
    radius = max(round(DOT * max(labels.shape)), 1)
    for across, down, inside in points:
        cv2.circle(labels, (across, down), radius, int(cv2.GC_FGD if inside else cv2.GC_BGD), -1)
    return _cut(picture, labels, ROUNDS)


def refined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) uint8 whose border follows the edges of a picture (H, W, 3) uint8, where they are near."""
    band = max(round(BAND * max(mask.shape)), 2)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    now = (mask > 127).astype(np.uint8)
    inside, around = cv2.erode(now, disc, borderValue=1), cv2.dilate(now, disc)
    if not inside.any() or around.all():
        return mask
    rows, columns = (np.flatnonzero(around.any(axis)) for axis in (1, 0))
    part = tuple(slice(max(one[0] - 4 * band, 0), one[-1] + 4 * band + 1) for one in (rows, columns))
    labels = np.where(now, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inside > 0], labels[around == 0] = cv2.GC_FGD, cv2.GC_BGD
    if not (labels[part] == cv2.GC_BGD).any():
        return mask
    found = np.zeros_like(mask)
    found[part] = _cut(np.ascontiguousarray(picture[part]), np.ascontiguousarray(labels[part]), AGAIN)
    return found


def _cut(picture: np.ndarray, labels: np.ndarray, rounds: int) -> np.ndarray:
    """The same at every call."""
    if not (labels & 1).any():  # nothing is, or may be, inside
        return np.zeros_like(labels)
    cv2.setRNGSeed(SEED)
    models = np.zeros((2, 1, 65))
    labels, _, _ = cv2.grabCut(picture, labels, None, models[0], models[1], rounds, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return np.where(labels & 1, 255, 0).astype(np.uint8)

"""Patch distances, a judge without a network: colours and small patches of a pastiche beside those of the style.

Precision asks whether the pastiche shows what the style does not have, recall whether something of the style is missing
in the pastiche; the terms are those of Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, but what is given
here are distances, so that less is better. Neither knows the content: read them beside a content distance.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vidstyle.lab.results import ratio
from vidstyle.system.opencv import cv2

COUNT = 4000  # patches of each picture
SIDES = (1, 5)  # pixels of a patch's side; 1: a colour
SHRINKS = (1, 4)  # how many times smaller the pictures are made
SEEDS = (1, 2, 3, 4)  # of the samples that show how much chance there is in the first one, of seed 0
LABELS = {  # of the numbers of `PatchDistances`, in tables
    "mean": "mean of the eight",
    "color_precision": "colours, precision",
    "color_recall": "colours, recall",
    "coarse_color_precision": "colours at quarter size, precision",
    "coarse_color_recall": "colours at quarter size, recall",
    "patch_precision": "5x5 patches, precision",
    "patch_recall": "5x5 patches, recall",
    "coarse_patch_precision": "5x5 patches at quarter size, precision",
    "coarse_patch_recall": "5x5 patches at quarter size, recall",
}
MEANING = (
    "Precision: how far random pixels and 5x5 patches of the painting are from the nearest of the style: does it show "
    "what the style does not have? Recall: how far those of the style are from the nearest of the painting: is "
    "something missing? Root mean square differences in CIE Lab / 100; less is nearer."
)

Pictures = np.ndarray | Sequence[np.ndarray]


@dataclass(frozen=True)
class PatchDistances:
    """Root mean square differences per pixel, in CIE Lab / 100: 1 = from black to white. Coarse: at quarter size."""

    mean: float  #: of the eight that follow
    color_precision: float  #: from a pixel of the pastiche to the nearest of the style
    color_recall: float  #: from a pixel of the style to the nearest of the pastiche
    coarse_color_precision: float
    coarse_color_recall: float
    patch_precision: float  #: from 5x5 pixels of the pastiche to the nearest of the style
    patch_recall: float  #: from 5x5 pixels of the style to the nearest of the pastiche
    coarse_patch_precision: float
    coarse_patch_recall: float

    @classmethod
    def average(cls, several: Iterable[PatchDistances]) -> PatchDistances:
        """The mean of each number."""
        return cls(*map(statistics.fmean, zip(*map(dataclasses.astuple, several), strict=True)))

    @classmethod
    def deviation(cls, several: Iterable[PatchDistances]) -> PatchDistances:
        """The standard deviation of each number, of at least two."""
        return cls(*map(statistics.stdev, zip(*map(dataclasses.astuple, several), strict=True)))

    def over(self, other: PatchDistances) -> PatchDistances:
        """Each number as a multiple of the other's; nan beside a zero."""
        return PatchDistances(*map(ratio, dataclasses.astuple(self), dataclasses.astuple(other)))


def distances(
    pastiche: np.ndarray,
    styles: Pictures,
    *,
    shares: Sequence[float] = (1.0,),
    seed: int = 0,
    counts: np.ndarray | None = None,
    style_counts: Sequence[np.ndarray | None] = (),
) -> PatchDistances:
    """Judge a pastiche by random patches.

    Args:
        pastiche: (H, W, 3) float32 sRGB in [0, 1].
        styles: one such picture of any size, or several: the style as large as the painter saw it.
        shares: of each style among the style's patches.
        seed: of the places.
        counts: where patches of the pastiche are taken from: where (H, W) is above a half; None for everywhere.
        style_counts: the same of each style; empty for everywhere.
    """
    styles = [styles] if isinstance(styles, np.ndarray) else styles
    painted, wanted = _lab(pastiche), [_lab(style) for style in styles]
    numbers, places = [round(COUNT * share / sum(shares)) for share in shares], style_counts or [None] * len(styles)
    found: list[float] = []
    for side in SIDES:
        for shrink in SHRINKS:
            random = np.random.default_rng(seed)
            ours = _patches(_shrunk(painted, shrink, side), side, COUNT, random, counts)
            theirs = [
                _patches(_shrunk(one, shrink, side), side, number, random, there)
                for one, number, there in zip(wanted, numbers, places, strict=True)
            ]
            style = np.concatenate(theirs)
            found += [nearest(ours, style) / side, nearest(style, ours) / side]
    return PatchDistances(statistics.fmean(found), *found)


def nearest(ones: np.ndarray, others: np.ndarray) -> float:
    """Mean distance from each row of (N, D) to the nearest of (M, D).

    Which is nearest is found by inner products, and its distance is then computed without their rounding errors.
    """
    middle = others.mean(0)
    ones, others = ones - middle, others - middle
    halves = np.square(others).sum(1, keepdims=True) / 2
    # Half the squared distance, up to what all others of a row have in common: |other|^2 / 2 - one . other
    ranks = np.pad(ones, ((0, 0), (0, 1)), constant_values=1) @ np.hstack((-others, halves)).T
    return float(np.linalg.norm(ones - others[ranks.argmin(1)], axis=1).mean())


def _lab(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32, CIE Lab / 100."""
    clipped = np.ascontiguousarray(picture, np.float32).clip(0, 1)  # what was enlarged may overshoot
    lab: np.ndarray = cv2.cvtColor(clipped, cv2.COLOR_RGB2LAB) / 100
    return lab


def _shrunk(picture: np.ndarray, shrink: int, least: int) -> np.ndarray:
    """The picture so many times smaller, and no side shorter than `least` pixels."""
    height, width = (max(side // shrink, least) for side in picture.shape[:2])
    if (height, width) == picture.shape[:2]:
        return picture
    smaller: np.ndarray = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return smaller


def _patches(
    picture: np.ndarray, side: int, count: int, random: np.random.Generator, counts: np.ndarray | None = None
) -> np.ndarray:
    """So many patches of (H, W, 3) from random places, (count, 3 side side); those that count, if any do."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (side, side), axis=(0, 1))
    if counts is not None:
        sized = cv2.resize(counts.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_AREA)
        whole = np.lib.stride_tricks.sliding_window_view(sized, (side, side)).min((2, 3)) > 0.5
        if whole.any():
            found = np.argwhere(whole)[random.integers(0, int(whole.sum()), count)]
            inside: np.ndarray = windows[found[:, 0], found[:, 1]].reshape(count, 3 * side**2)
            return inside
    rows, columns = (random.integers(0, places, count) for places in windows.shape[:2])
    chosen: np.ndarray = windows[rows, columns].reshape(count, 3 * side**2)
    return chosen

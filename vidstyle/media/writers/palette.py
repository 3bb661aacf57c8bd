"""The palette of a GIF, and the dithering that assigns its colours to pixels.

Distances are taken in Oklab (Ottosson 2020), where equal steps look equally large. Dithering is ordered: what a pixel
gets depends on its colour and its place alone, so that what stands still keeps still, where diffused errors crawl.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray

TO_CONES = np.array(
    [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.6299787]],
    np.float32,
)
TO_LAB = np.array(
    [
        [0.21045426, 0.79361779, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ],
    np.float32,
)
BITS = 6  # of a channel; colours that agree in them are one
STEPS = (1 << BITS) - 1
NEIGHBORS = 12  # colours with which the nearest one may be mixed
ROUNDS = 12  # of k-means; more gain less than one per cent


def _linear(values: Array) -> Array:
    """sRGB in [0, 1] -> linear light."""
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))


LINEAR = _linear(np.arange(256) / 255).astype(np.float32)


def oklab(rgb: Array) -> Array:
    """(..., 3) uint8 sRGB -> (..., 3) float32 Oklab; lightness is 0 to 1."""
    return np.asarray(np.cbrt(LINEAR[rgb] @ TO_CONES.T) @ TO_LAB.T)


def srgb(lab: Array) -> Array:
    """(..., 3) Oklab -> (..., 3) uint8 sRGB, the nearest that there is."""
    light = np.clip((lab @ np.linalg.inv(TO_LAB).T) ** 3 @ np.linalg.inv(TO_CONES).T, 0, 1)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * values).astype(np.uint8))


def squared(steps: Array) -> Array:
    """(..., 3) -> the squared length of each."""
    return np.asarray(np.einsum("...c,...c->...", steps, steps))


def nearest(labs: Array, palette: Array) -> Array:
    """For each of (N, 3) the number of the nearest of (K, 3)."""
    half = squared(palette) / 2
    parts = [labs[start : start + 16384] for start in range(0, len(labs), 16384)]
    return np.concatenate([np.argmin(half - part @ palette.T, 1) for part in parts])


def choose(samples: Array, count: int) -> Array:
    """The palette that is nearest to some colours on the whole: k-means in Oklab, started by k-means++.

    Args:
        samples: (N, 3) uint8, the more often a colour is in it the more it counts.
        count: of the palette's colours, at most.

    Returns:
        (K, 3) uint8; all colours there are, where these are few enough.
    """
    distinct = np.unique(samples, axis=0)
    if len(distinct) <= count:
        return distinct
    labs, chance = oklab(samples), np.random.default_rng(0)
    first = labs[chance.permutation(len(labs))[:8192]]
    centers, far = [first[0]], squared(first - first[0])
    while len(centers) < count:
        centers.append(first[min(np.searchsorted(np.cumsum(far), chance.random() * far.sum()), len(first) - 1)])
        far = np.minimum(far, squared(first - centers[-1]))
    palette = np.array(centers, np.float32)
    for _ in range(ROUNDS):
        owner = nearest(labs, palette)
        size = np.bincount(owner, minlength=count)[:, None]
        total = np.stack([np.bincount(owner, channel, minlength=count) for channel in labs.T], 1)
        palette = np.where(size > 0, total / np.maximum(size, 1), palette).astype(np.float32)
    return np.unique(srgb(palette), axis=0)


def bayer(times: int) -> Array:
    """Thresholds in (0, 1), spread as evenly as can be over a square of 2**times pixels."""
    square = np.zeros((1, 1))
    for _ in range(times):
        square = np.block([[4 * square, 4 * square + 2], [4 * square + 3, 4 * square + 1]])
    return np.asarray((square + 0.5) / square.size, np.float32)


class Reducer:
    """Gives each pixel of frame after frame one of few colours.

    A colour becomes a mix of two, the nearest and one near it: of the mixes of a and b with the share t of b, the one
    with the least |mix - colour|² + (1 - dither) · t (1 - t) |a - b|². The first term is what a distant eye sees, the
    second the grain that it does not; where the grain counts in full, that is the nearest colour alone, undithered.

    Args:
        colors: (K, 3) uint8.
        dither: 0 to 1.
        still: a pixel keeps its colour as long as its true colour has changed by less than this, in Oklab, since it got
            it; so what is shown never drifts away.
    """

    def __init__(self, colors: Array, dither: float, still: float) -> None:
        self.colors, self.dither, self.still = colors, dither, still
        self.labs = oklab(colors)
        cells = 1 << 3 * BITS
        self._known = np.zeros(cells, bool)
        self._pair = np.zeros((2, cells), np.uint8)
        self._share = np.zeros(cells, np.float32)
        number = np.arange(cells)
        rgb = np.stack([number >> 2 * BITS, (number >> BITS) & STEPS, number & STEPS], 1)
        self._cell_rgb = np.rint(rgb * (255 / STEPS)).astype(np.uint8)
        apart = squared(self.labs[:, None] - self.labs[None])
        self._near = np.argsort(apart, 1, kind="stable")[:, 1 : NEIGHBORS + 1]
        self._threshold = bayer(3)
        self._shown: Any = None  # what each pixel shows, and the true colour for which it came to
        self._since: Any = None

    def restart(self) -> None:
        """Forget what was shown: the next frame is the first of another clip."""
        self._shown = self._since = None

    def __call__(self, frame: Array) -> Array:
        """(H, W, 3) uint8 -> (H, W) uint8, the number of each pixel's colour."""
        height, width = frame.shape[:2]
        steps = np.rint(np.arange(256) * (STEPS / 255)).astype(np.int32)[frame]
        cell = steps[..., 0] << 2 * BITS | steps[..., 1] << BITS | steps[..., 2]
        self._learn(cell)
        side = len(self._threshold)
        threshold = np.tile(self._threshold, (height // side + 1, width // side + 1))[:height, :width]
        shown: Array = np.where(threshold < self._share[cell], self._pair[1][cell], self._pair[0][cell])
        if self.still > 0:
            lab = oklab(frame)
            if self._shown is not None:
                stays = squared(lab - self._since) < self.still**2
                shown = np.where(stays, self._shown, shown)
                lab = np.where(stays[..., None], self._since, lab)
            self._shown, self._since = shown, lab
        return shown

    def _learn(self, cell: Array) -> None:
        """Find the mix of every colour that is new."""
        new = np.zeros(len(self._known), bool)
        new[cell.reshape(-1)] = True
        numbers = np.flatnonzero(new & ~self._known)
        if not len(numbers):
            return
        self._known[numbers] = True
        labs = oklab(self._cell_rgb[numbers])
        first = nearest(labs, self.labs)
        second, share = first, np.zeros(len(first), np.float32)
        if self.dither > 0:
            second, share = self._mixes(labs, first)
        swap = self.labs[first, 0] > self.labs[second, 0]  # the lighter one second: patterns of neighbours agree
        self._pair[0][numbers], self._pair[1][numbers] = np.where(swap, second, first), np.where(swap, first, second)
        self._share[numbers] = np.where(swap, 1 - share, share)

    def _mixes(self, labs: Array, first: Array) -> tuple[Array, Array]:
        """For (N, 3) colours and the nearest to each: the other one of the best mix, and its share."""
        noise = 1 - self.dither
        off = labs - self.labs[first]
        best, second, share = squared(off), first.copy(), np.zeros(len(first), np.float32)
        for other in self._near[first].T:
            way = self.labs[other] - self.labs[first]
            length = squared(way) + 1e-9
            along = np.einsum("nc,nc->n", off, way)
            part = np.clip((along - noise * length / 2) / (length * max(self.dither, 1e-6)), 0, 1)
            cost = squared(off - part[:, None] * way) + noise * part * (1 - part) * length
            better = cost < best
            best, second = np.where(better, cost, best), np.where(better, other, second)
            share = np.where(better, part, share)
        return second, share

"""Strokes of a bristle brush: colour and relief on one canvas, lit at the end."""

from __future__ import annotations

import cv2
import numpy as np
from fractal import Array

SUB = 4  # bits of sub-pixel precision when drawing


class Canvas:
    """A painting in progress at twice its final size: three channels of colour and one of paint thickness."""

    def __init__(self, width: int, height: int, ground: tuple[float, float, float], seed: int) -> None:
        self.size = (width, height)
        self.pixels = np.zeros((2 * height, 2 * width, 4), np.uint8)
        self.pixels[:] = [*(int(255 * c) for c in ground), 40]
        self.rng = np.random.default_rng(seed)

    def underpaint(self, target: Array) -> None:
        """A thin first coat, so that no bare ground shows between strokes."""
        self.pixels[..., :3] = np.clip(target * 215, 0, 255)

    def layer(self, target: Array, angle: Array, width: float, length: float, *, cover: float = 1.6, wet: float = 0.07,
              mask: Array | None = None, bend: float = 0.0, gap: float = 0.0) -> None:  # fmt: skip
        """Cover the canvas with strokes.

        Args:
            target: (H, W, 3) colours wanted at the canvas's own (double) size.
            angle: (H, W) direction of the strokes, radians.
            width, length: of a stroke, pixels; cover: strokes over each point, about.
            wet: how much the colour varies from stroke to stroke; bend: random turn of a whole stroke, radians.
            mask: where strokes may start, a probability; gap: share of bristles that miss.
        """
        h, w = angle.shape
        count = int(cover * h * w / (width * length))
        start = self.rng.random((count, 2)).astype(np.float32) * [w, h]
        if mask is not None:
            col, row = start.astype(int).T
            start = start[mask[row, col] > self.rng.random(count)]
        paths = self._paths(start, angle, length * (0.6 + 0.8 * self.rng.random(len(start))), bend)
        middle = np.clip(paths[:, paths.shape[1] // 2].astype(int), 0, [w - 1, h - 1])
        colours = target[middle[:, 1], middle[:, 0]]
        light = self.rng.normal(0, wet, (len(paths), 1)) + self.rng.normal(0, wet * 0.4, (len(paths), 3))
        for path, colour, thick in zip(
            paths, colours + light, width * (0.7 + 0.6 * self.rng.random(len(paths))), strict=True
        ):
            self.stroke(path, colour, float(thick), gap)

    def _paths(self, start: Array, angle: Array, length: Array, bend: float, points: int = 11) -> Array:
        """(N, points, 2): curves through `start` that follow `angle`."""
        h, w = angle.shape
        at, turn = start.copy(), self.rng.normal(0, bend, len(start))
        step = (length / points)[:, None]
        path = [at]
        for _ in range(points - 1):
            col, row = np.clip(at, 0, [w - 1, h - 1]).astype(int).T
            way = angle[row, col] + turn
            at = at + step * np.stack([np.cos(way), np.sin(way)], axis=-1)
            path.append(at)
        paths = np.stack(path, axis=1)
        return paths + (start - paths[:, points // 2])[:, None]

    def stroke(self, path: Array, colour: Array, width: float, gap: float = 0.0) -> None:
        """One stroke: a sheaf of bristles, each with its own paint, thickness and ragged ends."""
        rng = self.rng
        along = np.gradient(path, axis=0)
        across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
        across /= np.linalg.norm(across, axis=-1, keepdims=True) + 1e-6
        count = max(3, int(width / 1.7))
        place = np.linspace(-1, 1, count) + rng.normal(0, 0.04, count)
        streak = np.convolve(rng.normal(0, 1, count + 2), [0.25, 0.5, 0.25], "valid")
        ridge = 120 + 70 * (np.abs(place) ** 4) - 40 * place**2 + 32 * rng.normal(0, 1, count)
        n = len(path)
        taper = np.sin(np.pi * (0.16 + 0.72 * np.linspace(0, 1, n)))[:, None] ** 0.5
        ends = rng.integers(0, max(2, n // 4), (count, 2))
        missing = rng.random(count) < gap
        for k in rng.permutation(count):
            if missing[k]:
                continue
            line = (
                path[ends[k, 0] : n - ends[k, 1]]
                + across[ends[k, 0] : n - ends[k, 1]] * (place[k] * width / 2) * taper[ends[k, 0] : n - ends[k, 1]]
            )
            paint = np.clip(255 * (colour + 0.045 * streak[k]), 0, 255)
            value = (*paint.tolist(), float(np.clip(ridge[k], 0, 255)))
            points = np.round(line * (1 << SUB)).astype(np.int32)
            cv2.polylines(self.pixels, [points], False, value, 2 if width < 9 else 3, cv2.LINE_AA, SUB)

    def lit(self, relief: float = 0.9, gloss: float = 0.25, weave: float = 0.0) -> Array:
        """(H, W, 3) the painting under a lamp from the upper left, sRGB in [0, 1], at its final size."""
        colour = self.pixels[..., :3].astype(np.float32) / 255
        thick = cv2.GaussianBlur(self.pixels[..., 3].astype(np.float32) / 255, (0, 0), 0.9)
        if weave:
            y, x = np.mgrid[: thick.shape[0], : thick.shape[1]].astype(np.float32)
            thick = thick + weave * (np.sin(x * 1.1) * np.sin(y * 1.1) + 0.4 * np.sin(x * 0.55 + y * 0.5))
        right, down = cv2.Sobel(thick, -1, 1, 0, ksize=3) / 8, cv2.Sobel(thick, -1, 0, 1, ksize=3) / 8
        slope = (right + down).astype(np.float32)
        shaded = colour * (1 + relief * slope * 2.2)[..., None] + gloss * np.clip(slope - 0.05, 0, 1)[..., None]
        return np.clip(cv2.resize(shaded, self.size, interpolation=cv2.INTER_AREA), 0, 1)

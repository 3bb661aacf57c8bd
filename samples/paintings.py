"""Two paintings made of brush strokes: the whirls of a windy night, and a still life in cubist facets."""

from __future__ import annotations

import cv2
import numpy as np
from brush import Canvas
from fractal import Array, f32, fbm, mix, noise, ramp


def grid(width: int, height: int, scale: int = 2) -> tuple[Array, Array]:
    """x and y of every pixel of the double-size canvas, in units of the picture's height."""
    y, x = np.mgrid[: height * scale, : width * scale].astype(np.float32) / np.float32(height * scale)
    return x, y


def gradient_map(t: Array, stops: list[tuple[float, float, float]]) -> Array:
    """Colours of a smooth ramp through `stops` at t in [0, 1]."""
    at = np.clip(t, 0, 1) * (len(stops) - 1)
    table = np.array(stops, np.float32)
    return np.stack([np.interp(at, np.arange(len(stops)), table[:, k]) for k in range(3)], axis=-1).astype(np.float32)


def along(psi: Array) -> Array:
    """Direction in which `psi` does not change."""
    down, right = np.gradient(cv2.GaussianBlur(psi, (0, 0), 2))
    return np.arctan2(-right, down).astype(np.float32)


NIGHT = [
    (0.03, 0.06, 0.20),
    (0.06, 0.13, 0.40),
    (0.10, 0.26, 0.62),
    (0.22, 0.46, 0.74),
    (0.55, 0.75, 0.78),
    (0.90, 0.90, 0.70),
]
STARS = [  # x, y, radius, strength of the turn: whirls of the wind, then the lights
    (0.50, 0.30, 0.17, 1.0), (0.83, 0.40, 0.11, -0.9), (0.17, 0.45, 0.10, -0.8), (1.12, 0.52, 0.08, 0.7),
    (1.08, 0.17, 0.10, 0.55), (0.20, 0.14, 0.055, 0.5), (0.78, 0.12, 0.05, -0.5), (0.42, 0.54, 0.04, 0.5),
    (0.66, 0.53, 0.035, 0.5),
]  # fmt: skip


def swirls(width: int = 800, height: int = 640, seed: int = 11) -> Array:
    """A windy night above a bay: thick curved strokes that follow the whirls of the air."""
    x, y = grid(width, height)
    psi = y * 0.55 + 0.10 * (fbm(x * 2.2, y * 3, 4, 3) - 0.5) + 0.03 * np.sin(5 * x + 3)
    for sx, sy, radius, turn in STARS:
        psi = psi + turn * radius * 2.3 * np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * radius**2))
    bands = 0.5 + 0.5 * np.sin(psi * 48 + 3 * fbm(x * 3, y * 3, 3, 4))
    target = gradient_map(0.08 + 0.74 * bands * (0.40 + 0.85 * fbm(x * 2.5, y * 2.5, 3, 6)) + 0.12 * y, NIGHT)
    target = mix(target, target * f32([0.75, 1.25, 0.85]), ramp(fbm(x * 3, y * 3, 4, 7), 0.45, 0.65))
    angle = along(psi)
    for k, (sx, sy, radius, _) in enumerate(STARS[4:]):
        away = np.hypot(x - sx, y - sy) / radius
        ring = 0.75 + 0.25 * np.sin(away * 9 - 1)
        angle = np.where(away < 1.45, np.arctan2(x - sx, sy - y), angle).astype(np.float32)
        core = (0.98, 0.80, 0.22) if k else (1.0, 0.62, 0.10)
        target = mix(target, f32([0.95, 0.86, 0.42]) * ring[..., None], 0.95 * ramp(away, 1.35, 0.45))
        target = mix(target, f32(core), ramp(away, 0.55, 0.30))
    target, angle = _bay(x, y, target, angle)
    canvas = Canvas(width, height, (0.05, 0.08, 0.2), seed)
    canvas.underpaint(target)
    unit = height / 640
    canvas.layer(target, angle, 26 * unit, 120 * unit, cover=2.2, wet=0.05)
    canvas.layer(target, angle, 15 * unit, 90 * unit, cover=1.5, wet=0.075, gap=0.1)
    detail = cv2.GaussianBlur(np.abs(cv2.Laplacian(cv2.GaussianBlur(target.mean(axis=-1), (0, 0), 4), -1)), (0, 0), 6)
    canvas.layer(
        target,
        angle,
        9 * unit,
        55 * unit,
        cover=1.3,
        wet=0.085,
        mask=np.clip(detail / detail.mean(), 0.12, 1) * 0.7,
        gap=0.15,
    )
    for k in range(46):  # lit windows of two villages on the shore
        at = (
            f32([(0.16, 1.02)[k % 2] + 0.10 * canvas.rng.normal(), 0.757 - 0.045 * canvas.rng.random() ** 2])
            * 2
            * height
        )
        glow = f32([0.99, 0.70, 0.22]) + canvas.rng.normal(0, 0.08)
        slant = f32([unit * canvas.rng.uniform(0.5, 1.4), unit * canvas.rng.normal(0, 0.5)])
        canvas.stroke(at + np.linspace(-4, 4, 4)[:, None] * slant, glow, float(canvas.rng.uniform(5, 10) * unit))
    return canvas.lit(relief=1.0, gloss=0.25)


def _bay(x: Array, y: Array, target: Array, angle: Array) -> tuple[Array, Array]:
    """Put hills and the sea under the sky."""
    back = 0.66 + 0.10 * (fbm(x * 2.1, x * 0, 5, 8) - 0.5) * 2 - 0.05 * np.exp(-((x - 0.95) ** 2) / 0.02)
    front = 0.73 + 0.05 * (fbm(x * 3.5 + 9, x * 0, 5, 9) - 0.5) * 2
    shore = np.float32(0.765)
    hill = gradient_map(0.3 + 0.9 * (fbm(x * 5, (y - back) * 14, 4, 10) - 0.5) + 1.2 * ramp(y - back, 0.02, 0) * 0.4,
                        [(0.05, 0.08, 0.16), (0.10, 0.16, 0.34), (0.20, 0.34, 0.46), (0.42, 0.55, 0.52)])  # fmt: skip
    dark = gradient_map(
        0.8 * fbm(x * 7, (y - front) * 20, 4, 12), [(0.02, 0.04, 0.06), (0.05, 0.12, 0.12), (0.16, 0.24, 0.14)]
    )
    sea = gradient_map(0.15 + 0.65 * fbm(x * 3, y * 26, 4, 13) + 0.25 * (y - 0.76), NIGHT[:5])
    for sx, sy, radius, _ in STARS[4:]:
        wander = sx + 0.03 * (fbm(y * 24, y * 0 + sx * 9, 3, 14) - 0.5) * 2
        path = np.exp(-(((x - wander) / (radius * (0.35 + 1.6 * (y - shore)))) ** 2)) * ramp(
            noise(x * 6, y * 45, 15), 0.35, 0.6
        )
        sea = mix(sea, f32([0.98, 0.76, 0.25]), path * (0.9 - 0.5 * sy))
    for layer, edge, slant in ((hill, back, 0.7), (dark, front, 0.5), (sea, shore, 0.0)):
        inside = ramp(y - edge, -0.002, 0.002)
        target = mix(target, layer, inside)
        slope = np.gradient(np.broadcast_to(edge, x.shape), axis=1) * x.shape[0]
        wave = (
            0.25 * np.sin(x * 22 + 40 * y) * ramp(y, 0.76, 0.8)
            if layer is sea
            else slant * (fbm(x * 6, y * 6, 3, 16) - 0.5)
        )
        angle = np.where(inside > 0.5, np.arctan(slope) + wave, angle).astype(np.float32)
    return target, angle


OCHRES = [
    (0.13, 0.12, 0.13), (0.36, 0.33, 0.31), (0.62, 0.48, 0.28), (0.80, 0.66, 0.40), (0.72, 0.70, 0.66),
    (0.91, 0.86, 0.74), (0.22, 0.42, 0.43), (0.45, 0.27, 0.16), (0.36, 0.55, 0.54), (0.70, 0.36, 0.18),
]  # fmt: skip


def facets(width: int = 800, height: int = 640, seed: int = 23) -> Array:
    """A still life taken apart: shards of ochre, grey and teal, each shaded and brushed in its own direction."""
    x, y = grid(width, height)
    rng = np.random.default_rng(seed)
    label, edge = _shards(x, y, rng)
    names, index = np.unique(label, return_inverse=True)
    index = index.reshape(x.shape)
    count = len(names)
    area = np.bincount(index.ravel(), minlength=count).astype(np.float32)
    cx, cy = (np.bincount(index.ravel(), v.ravel(), count) / area for v in (x, y))
    reach = np.sqrt(area / x.shape[0] ** 2)
    turn = rng.random(count) * 2 * np.pi
    t = ((x - cx[index]) * np.cos(turn)[index] + (y - cy[index]) * np.sin(turn)[index]) / reach[index] + 0.5
    middle = np.hypot(cx - 0.62, cy - 0.52)
    weight = np.array([1.0, 1.4, 1.5, 1.5, 1.5, 1.1, 0.9, 0.9, 0.7, 0.45])
    pick = np.array([rng.choice(10, p=_chances(weight, m)) for m in middle])
    colours = np.array(OCHRES, np.float32)[pick]
    other = np.array(OCHRES, np.float32)[np.where(rng.random(count) < 0.5, 0, 5)]
    target = mix(colours[index], (0.5 * colours + 0.5 * other)[index], np.clip(t, 0, 1) ** 1.6)
    target = target * (0.80 + 0.45 * ramp(np.hypot(x - 0.6, y - 0.48), 0.75, 0.1))[..., None]
    target = target * (1 - 0.42 * ramp(t, 0.22, -0.05))[..., None]  # as if the neighbour lay over it
    target = target * (0.85 + 0.3 * fbm(x * 6, y * 6, 5, 71))[..., None]
    angle = (turn[index] + np.pi / 2 + 0.25 * (fbm(x * 3, y * 3, 3, 72) - 0.5)).astype(np.float32)
    canvas = Canvas(width, height, (0.25, 0.2, 0.16), seed)
    canvas.underpaint(target)
    unit = height / 640
    canvas.layer(target.astype(np.float32), angle, 24 * unit, 60 * unit, cover=2.2, wet=0.03)
    canvas.layer(target.astype(np.float32), angle, 13 * unit, 34 * unit, cover=2.0, wet=0.035, gap=0.25)
    near_edge = np.clip(3 * cv2.GaussianBlur(edge, (0, 0), 5 * unit), 0, 1)
    canvas.layer(target.astype(np.float32), angle, 7 * unit, 16 * unit, cover=2.2, wet=0.03, mask=near_edge)
    _contours(canvas, index, edge, rng, unit)
    return canvas.lit(relief=0.8, gloss=0.10, weave=0.012)


def _chances(weight: Array, middle: float) -> Array:
    """Brighter and warmer shards towards the middle of the picture."""
    warm = np.array([0.5, 0.7, 1.4, 1.8, 1.1, 1.9, 0.8, 1.0, 0.9, 1.6]) ** (1.4 - 3 * middle)
    return weight * warm / (weight * warm).sum()


def _shards(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Cells cut by lines and arcs, some of which reach over a part of the picture only; and their edges, 0 or 1."""
    label = np.zeros(x.shape, np.int64)
    for k in range(38):
        px, py, way = (
            rng.normal(0.62, 0.40),
            rng.normal(0.5, 0.30),
            rng.choice([0.35, 1.2, 1.75, 2.6]) + rng.normal(0, 0.16),
        )
        side = (x - px) * np.sin(way) - (y - py) * np.cos(way) > 0
        cross = (x - px) * np.cos(way) + (y - py) * np.sin(way)
        reach = np.ones(x.shape, bool) if k < 7 else (np.abs(cross) < rng.uniform(0.12, 0.32))
        near = (
            np.ones(x.shape, bool)
            if k < 7
            else np.abs((x - px) * np.sin(way) - (y - py) * np.cos(way)) < rng.uniform(0.1, 0.3)
        )
        label = label * 2 + (side & reach & near)
        label = (label * 1000003) % 2147483647
    for px, py, radius in (
        (0.52, 0.60, 0.19),
        (0.66, 0.36, 0.13),
        (0.60, 0.52, 0.055),
        (0.92, 0.62, 0.15),
        (0.30, 0.30, 0.12),
        (0.75, 0.74, 0.1),
    ):
        half = (x - px) * np.cos(radius * 40) + (y - py) * np.sin(radius * 40) > -0.03
        label = (label * 2 + ((np.hypot(x - px, y - py) < radius) & half)) * 1000003 % 2147483647
    edge = ((label != np.roll(label, 1, 0)) | (label != np.roll(label, 1, 1))).astype(np.float32)
    return label, edge


def _contours(canvas: Canvas, index: Array, edge: Array, rng: np.random.Generator, unit: float) -> None:
    """Dark strokes along the edges of the shards, broken here and there."""
    for shard in range(index.max() + 1):
        mask = (index == shard).astype(np.uint8)
        if mask.sum() < 500 * unit:
            continue
        for contour in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
            points = contour[:, 0].astype(np.float32)
            step = max(12, int(90 * unit))
            for first in range(0, len(points) - 12, step):
                piece = points[first : first + step + 10 : max(1, step // 12)]
                border = (piece <= 2).any() or (piece >= [index.shape[1] - 3, index.shape[0] - 3]).any()
                if len(piece) > 3 and not border and rng.random() < 0.6:
                    dark = f32([0.09, 0.075, 0.07]) + rng.normal(0, 0.015)
                    canvas.stroke(piece + rng.normal(0, 0.8, 2), dark, float(rng.uniform(2.5, 7.5) * unit), 0.15)

"""Four paintings in four hands, stroke by stroke: night swirls, cubist facets, a woodcut, dots of pure colour."""

from __future__ import annotations

import cv2
import numpy as np
from brush import Canvas
from fractal import Array, fbm, mix, noise, ramp


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


NIGHT = [(0.03, 0.06, 0.20), (0.06, 0.13, 0.40), (0.10, 0.26, 0.62), (0.22, 0.46, 0.74), (0.55, 0.75, 0.78), (0.90, 0.90, 0.70)]
STARS = [  # x, y, radius, strength of the turn: whirls of the wind, then the lights
    (0.50, 0.30, 0.17, 1.0), (0.83, 0.40, 0.11, -0.9), (0.17, 0.45, 0.10, -0.8), (1.12, 0.52, 0.08, 0.7),
    (1.08, 0.17, 0.10, 0.55), (0.20, 0.14, 0.055, 0.5), (0.78, 0.12, 0.05, -0.5), (0.42, 0.54, 0.04, 0.5), (0.66, 0.53, 0.035, 0.5),
]  # fmt: skip


def swirls(width: int = 800, height: int = 640, seed: int = 11) -> Array:
    """A windy night above a bay: thick curved strokes that follow the whirls of the air."""
    x, y = grid(width, height)
    psi = y * 0.55 + 0.10 * (fbm(x * 2.2, y * 3, 4, 3) - 0.5) + 0.03 * np.sin(5 * x + 3)
    for sx, sy, radius, turn in STARS:
        psi = psi + turn * radius * 2.3 * np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * radius**2))
    bands = 0.5 + 0.5 * np.sin(psi * 48 + 3 * fbm(x * 3, y * 3, 3, 4))
    target = gradient_map(0.10 + 0.62 * bands * (0.45 + 0.75 * fbm(x * 2.5, y * 2.5, 3, 6)) + 0.10 * y, NIGHT)
    for k, (sx, sy, radius, _) in enumerate(STARS[4:]):
        away = np.hypot(x - sx, y - sy) / radius
        ring = 0.75 + 0.25 * np.sin(away * 9 - 1)
        core = (0.98, 0.80, 0.22) if k else (1.0, 0.62, 0.10)
        target = mix(target, np.float32([0.95, 0.86, 0.42]) * ring[..., None], 0.95 * ramp(away, 1.35, 0.45))
        target = mix(target, np.float32(core), ramp(away, 0.55, 0.30))
    angle = along(psi)
    target, angle, far = _bay(x, y, target, angle)
    canvas = Canvas(width, height, (0.05, 0.08, 0.2), seed)
    unit = height / 640
    canvas.layer(target, angle, 26 * unit, 120 * unit, cover=2.2, wet=0.05)
    canvas.layer(target, angle, 15 * unit, 90 * unit, cover=1.5, wet=0.075, gap=0.1)
    detail = cv2.GaussianBlur(np.abs(cv2.Laplacian(cv2.GaussianBlur(target.mean(axis=-1), (0, 0), 4), -1)), (0, 0), 6)
    canvas.layer(target, angle, 9 * unit, 55 * unit, cover=1.3, wet=0.085, mask=np.clip(detail / detail.mean(), 0.12, 1) * 0.7, gap=0.15)
    return canvas.lit(relief=1.0, gloss=0.25)


def _bay(x: Array, y: Array, target: Array, angle: Array) -> tuple[Array, Array, Array]:
    """Put hills and the sea under the sky."""
    back = 0.66 + 0.10 * (fbm(x * 2.1, x * 0, 5, 8) - 0.5) * 2 - 0.05 * np.exp(-((x - 0.95) ** 2) / 0.02)
    front = 0.73 + 0.05 * (fbm(x * 3.5 + 9, x * 0, 5, 9) - 0.5) * 2
    shore = np.float32(0.765)
    hill = gradient_map(0.3 + 0.9 * (fbm(x * 5, (y - back) * 14, 4, 10) - 0.5) + 1.2 * ramp(y - back, 0.02, 0) * 0.4,
                        [(0.05, 0.08, 0.16), (0.10, 0.16, 0.34), (0.20, 0.34, 0.46), (0.42, 0.55, 0.52)])  # fmt: skip
    dark = gradient_map(0.8 * fbm(x * 7, (y - front) * 20, 4, 12), [(0.02, 0.04, 0.06), (0.05, 0.12, 0.12), (0.16, 0.24, 0.14)])
    sea = gradient_map(0.15 + 0.65 * fbm(x * 3, y * 26, 4, 13) + 0.25 * (y - 0.76), NIGHT[:5])
    for sx, sy, radius, _ in STARS[4:]:
        wander = sx + 0.03 * (fbm(y * 24, y * 0 + sx * 9, 3, 14) - 0.5) * 2
        path = np.exp(-(((x - wander) / (radius * (0.35 + 1.6 * (y - shore)))) ** 2)) * ramp(noise(x * 6, y * 45, 15), 0.35, 0.6)
        sea = mix(sea, np.float32([0.98, 0.76, 0.25]), path * (0.9 - 0.5 * sy))
    for layer, edge, slant in ((hill, back, 0.7), (dark, front, 0.5), (sea, shore, 0.0)):
        inside = ramp(y - edge, -0.002, 0.002)
        target = mix(target, layer, inside)
        slope = np.gradient(np.broadcast_to(edge, x.shape), axis=1) * x.shape[0] / x.shape[0]
        wave = 0.25 * np.sin(x * 22 + 40 * y) * ramp(y, 0.76, 0.8) if layer is sea else slant * (fbm(x * 6, y * 6, 3, 16) - 0.5)
        angle = np.where(inside > 0.5, np.arctan(slope) + wave, angle).astype(np.float32)
    return target, angle, back


def woodcut(width: int = 800, height: int = 640, seed: int = 5) -> Array:
    """Black lines cut around forms on warm paper, with a second block of vermilion and one of ochre."""
    x, y = grid(width, height)
    wob = 0.010 * (fbm(x * 9, y * 9, 4, 51) - 0.5)
    sun = np.hypot(x - 0.86, y - 0.30)
    back = 0.50 - 0.17 * (fbm(x * 1.7 + 4, x * 0, 6, 52) - 0.42) * 2
    middle = 0.62 - 0.12 * (fbm(x * 2.3 + 1, x * 0, 5, 53) - 0.5) * 2
    shore = 0.70 + 0 * x
    # tone: 0 paper … 1 black; phase: the cuts run where it is constant
    tone = 0.12 + 0.55 * ramp(sun, 0.16, 0.95) + 0.25 * (fbm(x * 3, y * 5, 4, 54) - 0.5)
    phase = sun * 62 + 9 * (fbm(x * 2, y * 2, 3, 55) - 0.5)
    ridge = fbm(x * 6 + (y - back) * 3, (y - back) * 4, 5, 56)
    for edge, lightness, density, seed_k in ((back, 0.50, 95, 57), (middle, 0.72, 80, 58)):
        inside = y > edge
        fold = fbm(x * 7 + 5 * (y - edge), y * 2 + seed_k, 4, seed_k)
        tone = np.where(inside, np.clip(lightness + 1.6 * (fold - 0.5) + 0.25 * ramp(y - edge, 0.03, 0), 0, 1), tone)
        phase = np.where(inside, (x * 0.75 + (y - edge) * 0.9 + 0.35 * fold + 0.1 * ridge) * density, phase)
    wave = y + 0.012 * np.sin(x * 17 + 60 * y) + 0.02 * (fbm(x * 5, y * 12, 4, 59) - 0.5)
    sea = y > shore
    glint = np.exp(-(((x - 0.86) / (0.05 + 0.5 * (y - 0.7))) ** 2))
    tone = np.where(sea, np.clip(0.72 - 0.65 * glint + 0.8 * (fbm(x * 3, y * 18, 4, 60) - 0.5), 0, 1), tone)
    phase = np.where(sea, 42 * np.log(0.12 + np.maximum(wave - 0.7, -0.1)), phase)
    return _print(x, y, tone, phase + 60 * wob, sun, seed)


def _print(x: Array, y: Array, tone: Array, phase: Array, sun: Array, seed: int) -> Array:
    """Ink the blocks on paper."""
    grain = fbm(x * 260, y * 30, 3, 61) - 0.5
    cut = np.abs(((phase / 2) % 1) - 0.5) * 2  # 1 in the middle of a groove
    ink = ramp(tone * 1.08 - cut * 0.98 + 0.16 * grain + 0.12 * (fbm(x * 60, y * 60, 3, 62) - 0.5), -0.03, 0.03)
    fibre = fbm(x * 40, y * 220, 4, 63) * 0.5 + fbm(x * 220, y * 40, 4, 64) * 0.5
    paper = np.float32([0.93, 0.86, 0.72]) * (0.86 + 0.24 * fibre + 0.08 * (fbm(x * 2, y * 2, 3, 65) - 0.5))[..., None]
    worn = 0.86 + 0.28 * (fbm(x * 120, y * 120, 4, 66, 0.7) - 0.5)
    disc = ramp(sun + 0.004 * grain, 0.115, 0.112) * worn
    page = mix(paper, paper * np.float32([0.86, 0.26, 0.14]), disc)
    page = mix(page, np.float32([0.075, 0.065, 0.07]) + 0.07 * (1 - worn)[..., None], ink * np.clip(worn + 0.1, 0, 1))
    return cv2.resize(np.clip(page, 0, 1), (x.shape[1] // 2, x.shape[0] // 2), interpolation=cv2.INTER_AREA)


OCHRES = [(0.13, 0.12, 0.13), (0.36, 0.33, 0.31), (0.62, 0.48, 0.28), (0.80, 0.66, 0.40), (0.72, 0.70, 0.66), (0.91, 0.86, 0.74),
          (0.22, 0.42, 0.43), (0.45, 0.27, 0.16), (0.36, 0.55, 0.54), (0.70, 0.36, 0.18)]  # fmt: skip


def facets(width: int = 800, height: int = 640, seed: int = 23) -> Array:
    """A still life taken apart: shards of ochre, grey and teal, each shaded from an edge, brushed in its own direction."""
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
    target = target * (0.72 + 0.4 * ramp(np.hypot(x - 0.6, y - 0.48), 0.75, 0.1))[..., None]
    target = target * (0.85 + 0.3 * fbm(x * 6, y * 6, 5, 71))[..., None]
    angle = (turn[index] + np.pi / 2 + 0.25 * (fbm(x * 3, y * 3, 3, 72) - 0.5)).astype(np.float32)
    line = cv2.GaussianBlur(edge, (0, 0), 1.5)
    canvas = Canvas(width, height, (0.25, 0.2, 0.16), seed)
    unit = height / 640
    canvas.layer(target.astype(np.float32), angle, 24 * unit, 60 * unit, cover=2.2, wet=0.03)
    canvas.layer(target.astype(np.float32), angle, 13 * unit, 34 * unit, cover=2.0, wet=0.035, gap=0.25)
    _contours(canvas, index, edge, rng, unit)
    return canvas.lit(relief=0.8, gloss=0.10, weave=0.012)


def _chances(weight: Array, middle: float) -> Array:
    """Brighter and warmer shards towards the middle of the picture."""
    warm = np.array([0.5, 0.7, 1.4, 1.8, 1.1, 1.9, 0.8, 1.0, 0.9, 1.6]) ** (1.4 - 3 * middle)
    return weight * warm / (weight * warm).sum()


def _shards(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Cells cut by lines and arcs, some of which reach over a part of the picture only; and their edges, 0 or 1."""
    label = np.zeros(x.shape, np.int64)
    for k in range(30):
        px, py, way = rng.normal(0.62, 0.3), rng.normal(0.5, 0.25), rng.choice([0.35, 1.2, 1.75, 2.6]) + rng.normal(0, 0.16)
        side = (x - px) * np.sin(way) - (y - py) * np.cos(way) > 0
        cross = (x - px) * np.cos(way) + (y - py) * np.sin(way)
        reach = np.ones(x.shape, bool) if k < 7 else (np.abs(cross) < rng.uniform(0.12, 0.32))
        near = np.ones(x.shape, bool) if k < 7 else np.abs((x - px) * np.sin(way) - (y - py) * np.cos(way)) < rng.uniform(0.1, 0.3)
        label = label * 2 + (side & reach & near)
        label = (label * 1000003) % 2147483647
    for px, py, radius in ((0.52, 0.60, 0.19), (0.66, 0.36, 0.13), (0.60, 0.52, 0.055), (0.92, 0.62, 0.15), (0.30, 0.30, 0.12), (0.75, 0.74, 0.1)):
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
                if len(piece) > 3 and rng.random() < 0.72:
                    dark = np.float32([0.09, 0.075, 0.07]) + rng.normal(0, 0.015)
                    canvas.stroke(piece + rng.normal(0, 0.8, 2), dark, float(rng.uniform(3.5, 9) * unit), 0.15)


def dots(width: int = 800, height: int = 640, seed: int = 31) -> Array:
    """A summer afternoon by a river in dots of pure colour, which mix only in the eye."""
    x, y = grid(width, height, 1)
    target = cv2.GaussianBlur(_riverside(x, y), (0, 0), 1.5)
    rng = np.random.default_rng(seed)
    canvas = np.empty((2 * height, 2 * width, 4), np.uint8)
    canvas[:] = (236, 226, 200, 60)
    pure = np.float32([[0.95, 0.80, 0.16], [0.96, 0.52, 0.12], [0.80, 0.14, 0.16], [0.86, 0.42, 0.60], [0.42, 0.20, 0.52], [0.14, 0.20, 0.60],
                       [0.16, 0.46, 0.78], [0.50, 0.76, 0.86], [0.05, 0.36, 0.30], [0.20, 0.56, 0.22], [0.62, 0.76, 0.22], [0.97, 0.94, 0.84], [0.10, 0.09, 0.20]])  # fmt: skip
    for size, cover in ((6.5, 1.5), (4.6, 1.5), (3.4, 0.9)):
        number = int(cover * 4 * width * height / (np.pi * size * size))
        px, py = rng.random(number) * 2 * width, rng.random(number) * 2 * height
        wanted = target[(py / 2).astype(int), (px / 2).astype(int)] + rng.normal(0, 0.13, (number, 3)).astype(np.float32)
        nearest = ((wanted[:, None] - pure) ** 2 @ np.float32([0.8, 1.2, 0.9])).argmin(axis=1)
        colour = 0.80 * pure[nearest] + 0.20 * target[(py / 2).astype(int), (px / 2).astype(int)] + rng.normal(0, 0.03, (number, 1))
        for at, rgb, scale, tilt in zip(np.stack([px, py], axis=-1), np.clip(colour, 0, 1), rng.uniform(0.75, 1.3, number), rng.random(number) * 180, strict=True):
            axes = (int(16 * size * scale * 1.15), int(16 * size * scale * 0.85))
            centre = (int(16 * at[0]), int(16 * at[1]))
            for shrink, thick in ((1.0, 120), (0.62, 165)):
                cv2.ellipse(canvas, centre, (int(axes[0] * shrink), int(axes[1] * shrink)), tilt, 0, 360,
                            (*(255 * rgb).tolist(), thick), -1, cv2.LINE_AA, 4)  # fmt: skip
    painting = Canvas(width, height, (0, 0, 0), seed)
    painting.pixels = canvas
    return painting.lit(relief=0.7, gloss=0.06, weave=0.02)


def _riverside(x: Array, y: Array) -> Array:
    sky_colour = gradient_map(y / 0.45 + 0.25 * (fbm(x * 3, y * 7, 5, 81) - 0.5),
                              [(0.36, 0.58, 0.86), (0.62, 0.80, 0.92), (0.96, 0.90, 0.74), (0.98, 0.80, 0.56)])  # fmt: skip
    cloud = ramp(fbm(x * 2.4, y * 6, 6, 82), 0.55, 0.75) * ramp(y, 0.42, 0.2)
    picture = mix(sky_colour, np.float32([0.98, 0.92, 0.86]), cloud)
    picture = mix(picture, np.float32([0.50, 0.46, 0.70]), ramp(y - 0.42 + 0.10 * fbm(x * 3, x * 0, 5, 83), -0.004, 0.004))
    bank = 0.50 + 0.05 * (fbm(x * 1.6, x * 0, 3, 84) - 0.5)
    picture = mix(picture, gradient_map(fbm(x * 9, y * 24, 4, 85), [(0.16, 0.42, 0.30), (0.45, 0.66, 0.26), (0.86, 0.82, 0.36)]), ramp(y - bank + 0.05, -0.004, 0.004))
    water_line = 0.535 + 0.02 * np.sin(x * 4)
    river = gradient_map(fbm(x * 4, y * 30, 5, 86) + 0.5 * (y - 0.7), [(0.20, 0.34, 0.66), (0.36, 0.58, 0.82), (0.90, 0.84, 0.72), (0.97, 0.76, 0.46)])
    shore = 0.62 + 0.55 * ((x - 0.15) * 0.62) ** 2 + 0.03 * (fbm(x * 6, x * 0, 4, 87) - 0.5) + 0.16
    picture = mix(picture, river, ramp(y - water_line, -0.003, 0.003))
    grass = gradient_map(fbm(x * 14, y * 10, 5, 88) * 0.9 + 0.25 * (fbm(x * 2, y * 3, 3, 89) - 0.5),
                         [(0.06, 0.24, 0.26), (0.18, 0.46, 0.22), (0.56, 0.70, 0.22), (0.95, 0.84, 0.30)])  # fmt: skip
    picture = mix(picture, grass, ramp(y - shore, -0.004, 0.004))
    flowers = ramp(noise(x * 60, y * 60, 90) + 0.5 * (fbm(x * 4, y * 4, 3, 91) - 0.5), 0.80, 0.86) * ramp(y - shore, 0.02, 0.08)
    picture = mix(picture, np.float32([0.90, 0.30, 0.26]), flowers)
    for tx, ty, size, seed in ((1.08, 0.30, 0.27, 92), (0.12, 0.38, 0.16, 93), (0.36, 0.44, 0.09, 94), (0.62, 0.46, 0.055, 95)):
        foot = ty + size * 1.45
        trunk = ramp(np.abs(x - tx - 0.02 * np.sin(y * 20)), 0.07 * size, 0.05 * size) * (y > ty) * ramp(y, foot, foot - 0.01)
        picture = mix(picture, np.float32([0.25, 0.16, 0.28]), trunk)
        away = np.hypot((x - tx) / size, (y - ty) / (size * 0.9)) + 0.9 * (fbm(x * 1.6 / size, y * 1.6 / size, 5, seed) - 0.5)
        lit = fbm(x * 3 / size, y * 3 / size, 4, seed + 9) - 0.55 * (x - tx + 1.3 * (y - ty)) / size
        leaves = gradient_map(0.2 + 0.75 * lit, [(0.10, 0.14, 0.38), (0.07, 0.34, 0.28), (0.30, 0.56, 0.20), (0.78, 0.78, 0.22), (0.98, 0.88, 0.45)])
        picture = mix(picture, leaves, ramp(away, 1.0, 0.93))
        mirror = np.hypot((x - tx) / size, (y - 1.07 - 0.12 + ty + 0.02 * np.sin(x * 40)) / (size * 0.8)) + 0.6 * (fbm(x * 3, y * 30, 4, seed + 5) - 0.5)
        picture = mix(picture, np.float32([0.12, 0.36, 0.36]), ramp(mirror, 1.0, 0.8) * (y > water_line + 0.005) * (y < shore) * 0.7)
    return picture

"""Two pictures made of marks: lines cut in wood, and dots of pure colour."""

from __future__ import annotations

import cv2
import numpy as np
from brush import Canvas
from fractal import Array, f32, fbm, mix, noise, ramp
from paintings import gradient_map, grid

PURE = f32([  # the tubes of a painter who never mixes on the palette
    [0.95, 0.80, 0.16], [0.96, 0.52, 0.12], [0.80, 0.14, 0.16], [0.86, 0.42, 0.60], [0.42, 0.20, 0.52],
    [0.14, 0.20, 0.60], [0.16, 0.46, 0.78], [0.50, 0.76, 0.86], [0.05, 0.36, 0.30], [0.20, 0.56, 0.22],
    [0.62, 0.76, 0.22], [0.97, 0.94, 0.84], [0.10, 0.09, 0.20],
])  # fmt: skip


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
        phase = np.where(inside, (x * 0.75 + (y - edge) * 0.9 + 0.20 * fold + 0.04 * ridge) * density, phase)
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
    paper = f32([0.93, 0.86, 0.72]) * (0.86 + 0.24 * fibre + 0.08 * (fbm(x * 2, y * 2, 3, 65) - 0.5))[..., None]
    worn = 0.86 + 0.28 * (fbm(x * 120, y * 120, 4, 66, 0.7) - 0.5)
    disc = ramp(sun + 0.004 * grain, 0.115, 0.112) * worn
    page = mix(paper, paper * f32([0.86, 0.26, 0.14]), disc)
    page = mix(page, f32([0.075, 0.065, 0.07]) + 0.07 * (1 - worn)[..., None], ink * np.clip(worn + 0.1, 0, 1))
    return cv2.resize(np.clip(page, 0, 1), (x.shape[1] // 2, x.shape[0] // 2), interpolation=cv2.INTER_AREA)


def dots(width: int = 800, height: int = 640, seed: int = 31) -> Array:
    """A summer afternoon by a river in dots of pure colour, which mix only in the eye."""
    x, y = grid(width, height, 1)
    target = cv2.GaussianBlur(_riverside(x, y), (0, 0), 1.5)
    rng = np.random.default_rng(seed)
    canvas = np.empty((2 * height, 2 * width, 4), np.uint8)
    canvas[:] = (236, 226, 200, 60)
    for size, cover in ((6.5, 1.5), (4.6, 1.5), (3.4, 0.9)):
        number = int(cover * 4 * width * height / (np.pi * size * size))
        px, py = rng.random(number) * 2 * width, rng.random(number) * 2 * height
        wanted = target[(py / 2).astype(int), (px / 2).astype(int)] + rng.normal(0, 0.13, (number, 3)).astype(
            np.float32
        )
        nearest = ((wanted[:, None] - PURE) ** 2 @ f32([0.8, 1.2, 0.9])).argmin(axis=1)
        colour = (
            0.80 * PURE[nearest]
            + 0.20 * target[(py / 2).astype(int), (px / 2).astype(int)]
            + rng.normal(0, 0.03, (number, 1))
        )
        for at, rgb, scale, tilt in zip(
            np.stack([px, py], axis=-1),
            np.clip(colour, 0, 1),
            rng.uniform(0.75, 1.3, number),
            rng.random(number) * 180,
            strict=True,
        ):
            axes = (int(16 * size * scale * 1.15), int(16 * size * scale * 0.85))
            centre = (int(16 * at[0]), int(16 * at[1]))
            for shrink, thick in ((1.0, 120), (0.62, 165)):
                cv2.ellipse(canvas, centre, (int(axes[0] * shrink), int(axes[1] * shrink)), tilt, 0, 360,
                            (*(255 * rgb).tolist(), thick), -1, cv2.LINE_AA, 4)  # fmt: skip
    painting = Canvas(width, height, (0, 0, 0), seed)
    painting.pixels = canvas
    return painting.lit(relief=0.7, gloss=0.06, weave=0.02)


def _riverside(x: Array, y: Array) -> Array:
    """Colours of the summer picture: sky, far bank with trees, their mirror in the river, the near bank."""
    picture = gradient_map(y / 0.45 + 0.25 * (fbm(x * 3, y * 7, 5, 81) - 0.5),
                           [(0.36, 0.58, 0.86), (0.62, 0.80, 0.92), (0.96, 0.9, 0.74), (0.98, 0.8, 0.56)])  # fmt: skip
    cloud = ramp(fbm(x * 2.4, y * 6, 6, 82), 0.55, 0.75) * ramp(y, 0.42, 0.2)
    picture = mix(picture, f32([0.98, 0.92, 0.86]), cloud)
    hills = y - 0.42 + 0.10 * fbm(x * 3, x * 0, 5, 83)
    picture = mix(picture, f32([0.50, 0.46, 0.70]), ramp(hills, -0.004, 0.004))
    bank = gradient_map(fbm(x * 9, y * 24, 4, 85), [(0.16, 0.42, 0.30), (0.45, 0.66, 0.26), (0.86, 0.82, 0.36)])
    picture = mix(picture, bank, ramp(y - 0.45 - 0.05 * (fbm(x * 1.6, x * 0, 3, 84) - 0.5), -0.004, 0.004))
    for place in ((0.62, 0.455, 0.05), (0.40, 0.42, 0.08), (0.13, 0.34, 0.14), (0.80, 0.44, 0.06)):
        picture = _tree(picture, x, y, *place)
    line = 0.535 + 0.02 * np.sin(x * 4)
    ripple = (fbm(x * 4, y * 34, 4, 86) - 0.5) * (0.02 + 0.35 * (y - 0.53))
    mirror = cv2.remap(
        picture,
        (x + 0.5 * ripple) * x.shape[0],
        (2 * line - y + ripple) * x.shape[0],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    glint = ramp(fbm(x * 5, y * 40, 4, 87), 0.56, 0.66)
    river = mix(mirror * f32([0.72, 0.82, 0.95]), f32([0.22, 0.42, 0.74]), 0.25 + 0.45 * ramp(y, 0.55, 0.95))
    picture = mix(picture, mix(river, f32([0.98, 0.86, 0.62]), 0.6 * glint), ramp(y - line, -0.003, 0.003))
    near = y - 0.70 - 0.55 * ((1.2 - x) * 0.62) ** 2 - 0.03 * (fbm(x * 6, x * 0, 4, 88) - 0.5)
    grass = gradient_map(fbm(x * 14, y * 10, 5, 89) * 0.9 + 0.25 * (fbm(x * 2, y * 3, 3, 90) - 0.5),
                         [(0.06, 0.24, 0.26), (0.18, 0.46, 0.22), (0.56, 0.70, 0.22), (0.95, 0.84, 0.30)])  # fmt: skip
    picture = mix(picture, grass, ramp(near, -0.004, 0.004))
    shadow = np.hypot((x - 1.16) / 0.36, (y - 0.79) / 0.07) + 0.6 * (fbm(x * 8, y * 20, 4, 91) - 0.5)
    picture = mix(picture, f32([0.10, 0.20, 0.42]), 0.6 * ramp(shadow, 1.0, 0.7) * (near > 0))
    flowers = ramp(noise(x * 60, y * 60, 92) + 0.5 * (fbm(x * 4, y * 4, 3, 93) - 0.5), 0.78, 0.85) * ramp(
        near, 0.02, 0.08
    )
    picture = mix(picture, f32([0.90, 0.30, 0.26]), flowers)
    return _tree(picture, x, y, 1.02, 0.34, 0.27)


def _tree(picture: Array, x: Array, y: Array, tx: float, ty: float, size: float) -> Array:
    """Add a round tree whose crown has its middle at (tx, ty), lit from the upper left."""
    seed = int(1000 * tx)
    stem = np.abs(x - tx - 0.08 * size * np.sin(y * 14)) - 0.03 * size * ramp(y, ty + 1.2 * size, ty + 1.5 * size)
    trunk = ramp(stem, 0.07 * size, 0.05 * size) * (y > ty) * ramp(y, ty + 1.45 * size, ty + 1.42 * size)
    picture = mix(picture, f32([0.25, 0.16, 0.28]), trunk)
    u, v = (x - tx) / size, (y - ty) / size
    away = np.hypot(u, v / 0.9) + 0.9 * (fbm(u * 1.6 + 9, v * 1.6 + 9, 5, seed) - 0.5)
    lit = (
        fbm(u * 3 + 9, v * 3 + 9, 4, seed + 1)
        - 0.50 * (u + 1.3 * v)
        + 0.5 * (fbm(u * 5 + 9, v * 5 + 9, 3, seed + 2) - 0.5)
    )
    leaves = gradient_map(
        0.2 + 0.75 * lit,
        [(0.10, 0.14, 0.38), (0.07, 0.34, 0.28), (0.30, 0.56, 0.20), (0.78, 0.78, 0.22), (0.98, 0.88, 0.45)],
    )
    return mix(picture, leaves, ramp(away, 1.0, 0.93))

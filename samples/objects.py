"""Things people built, drawn as upright pictures at one distance: lighthouse, house, sailing boat.

A drawing takes the position in metres (u right of the middle, v above the foot) and gives linear colour (…, 3) and
coverage; the light comes from the left.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fractal import Array, f32, fbm, mix, noise, ramp
from terrain import View

Drawing = Callable[[Array, Array], tuple[Array, Array]]


def place(view: View, picture: Array, depth: Array, drawing: Drawing, x: float, z: float, foot: float,
          box: tuple[float, float, float, float]) -> None:  # fmt: skip
    """Draw into `picture` at (x, z), where nothing in `depth` stands before it; `box` = u from, u to, v from, v to."""
    scale = view.focal / z
    left, right = (int(view.width / 2 + (x - view.pan + u) * scale) for u in box[:2])
    low, top = (int(view.horizon - (foot + v - view.eye) * scale) for v in box[2:])
    rows, cols = slice(max(top, 0), max(low, 0)), slice(max(left, 0), max(right, 0))
    part, cover = picture[rows, cols], depth[rows, cols] > z
    if part.size == 0:
        return
    row, col = np.mgrid[rows, cols].astype(np.float32)[:, : part.shape[0], : part.shape[1]]
    u = (col + 0.5 - view.width / 2) / scale + np.float32(view.pan - x)
    v = (view.horizon - row - 0.5) / scale + np.float32(view.eye - foot)
    colour, alpha = drawing(u, v)
    part[:] = mix(part, colour.astype(np.float32), alpha * cover * (v + foot > 0))


def _round(u: Array, radius: Array | float, warm: Array, cool: Array) -> Array:
    """Light on an upright cylinder: warm from the left, cool from the sky."""
    across = np.clip(u / radius, -1, 1)
    return warm * ramp(across, 0.25, -0.95)[..., None] + cool * (0.62 + 0.38 * np.sqrt(1 - across * across))[..., None]


def lighthouse(warm: Array, cool: Array) -> Drawing:
    """A white tower of 26 m with two red bands and a lit lantern."""

    def draw(u: Array, v: Array) -> tuple[Array, Array]:
        radius = 3.9 - 0.062 * v + 0.7 * ramp(v, 1.5, 0)
        dirt = fbm(u * 0.5, v * 0.13, 6, 5, 0.65)
        wall = mix(f32([0.86, 0.83, 0.77]), f32([0.60, 0.12, 0.07]),
                   ramp(np.abs((v % 9.2) - 5.9), 1.75, 1.65) * (v < 19.5))  # fmt: skip
        wall = wall * (0.55 + 0.85 * dirt)[..., None] * (1 - 0.25 * ramp(v, 3, 0))[..., None]
        alpha = ((np.abs(u) < radius) & (v < 20.5)).astype(np.float32)
        colour = wall * _round(u, radius, warm, cool)
        for k in range(3):  # windows, spiralling up
            window = (np.abs(u - 1.4 + 1.1 * k) < 0.42) & (np.abs(v - 4.5 - 5.5 * k) < 0.85)
            colour = np.where(window[..., None], f32([0.03, 0.03, 0.04]), colour)
        gallery = (np.abs(u) < 3.9) & (np.abs(v - 20.7) < 0.35)
        rail = (
            (np.abs(u) < 3.8)
            & (v > 20.7)
            & (v < 22.0)
            & ((np.abs(v - 21.9) < 0.12) | (np.abs((u % 0.75) - 0.37) < 0.09))
        )
        lantern = (np.abs(u) < 1.75) & (v >= 20.9) & (v < 24.0)
        dome = (v >= 24.0) & (u * u / 5.3 + (v - 24.0) ** 2 / 4.4 < 1)
        tip = (np.abs(u) < 0.12) & (v >= 25) & (v < 28)
        metal = f32([0.16, 0.10, 0.09]) * _round(u, 2.3, warm, cool)
        bars = np.abs(((u + 0.44) % 0.88) - 0.44) < 0.09
        glass = f32([2.6, 1.75, 0.75]) * np.exp(-((u / 1.2) ** 2) - ((v - 22.4) / 1.2) ** 2)[..., None] + 0.16
        colour = np.where(lantern[..., None], np.where(bars[..., None], metal, glass), colour)
        solid = gallery | dome | tip | (rail & ~lantern)
        return np.where(solid[..., None], metal, colour), np.maximum(alpha, solid | lantern)

    return draw


def house(warm: Array, cool: Array, seed: int, wide: float = 9.0, tall: float = 4.2) -> Drawing:
    """A cottage with a tiled roof, a lit gable to the left, and windows."""
    rng = np.random.default_rng(seed)
    paint = f32([[0.80, 0.76, 0.68], [0.75, 0.60, 0.38], [0.62, 0.66, 0.66], [0.72, 0.45, 0.33]])[rng.integers(4)]
    tile = f32([[0.36, 0.12, 0.06], [0.27, 0.13, 0.09], [0.16, 0.16, 0.18]])[rng.integers(3)]
    glow = rng.random(8)

    def draw(u: Array, v: Array) -> tuple[Array, Array]:
        half, rise, gable = wide / 2, tall * 0.85, 0.36 * wide
        dirt = fbm(u + seed, v, 5, seed, 0.6)
        front = u > -half + gable  # the long side looks at us, the gable to the left
        ridge = -half + gable / 2
        wall = (np.abs(u) < half) & (v < tall)
        peak = ~front & (v >= tall) & (v < tall + rise * (1 - np.abs(u - ridge) / (gable / 2)))
        slope = (v - tall) / rise
        roof = (
            (slope >= -0.06)
            & (slope < 1)
            & (u > -half + gable - gable / 2 * slope)
            & (u < half + 0.25 - 0.12 * gable * slope)
        )
        sun = np.where(front, 0.16, 1.0)[..., None]
        colour = paint * (0.6 + 0.7 * dirt)[..., None] * (warm * sun + cool)
        rows = 0.75 + 0.35 * noise(u * 2.2, np.floor(v * 3.2) * 7.3, seed) - 0.25 * ((v * 3.2) % 1)
        colour = np.where(roof[..., None], tile * rows[..., None] * (warm * 0.45 + cool * 1.1), colour)
        for k in range(4):
            middle = -half + gable / 2 if k == 0 else -half + gable + (k - 0.5) * (wide - gable) / 3
            door = k == 2
            pane = (np.abs(u - middle) < 0.55) & (v < (2.4 if door else 2.9)) & (v > (0 if door else 1.4))
            frame = (np.abs(u - middle) < 0.72) & (v < (2.55 if door else 3.05)) & (v > (0 if door else 1.25))
            colour = np.where(frame[..., None], f32([0.7, 0.68, 0.62]) * cool, colour)
            inside = f32([1.5, 0.85, 0.3]) if glow[k] > 0.45 and not door else f32([0.05, 0.05, 0.07])
            colour = np.where(pane[..., None], inside, colour)
        stack = (np.abs(u - half * 0.45) < 0.5) & (v > tall + rise * 0.7) & (v < tall + rise + 1.1)
        colour = np.where(
            stack[..., None], f32([0.35, 0.2, 0.15]) * (warm * (u < half * 0.45 - 0.1)[..., None] + cool), colour
        )
        return colour, (wall | peak | roof | stack).astype(np.float32)

    return draw


def sailboat(warm: Array, cool: Array, tint: tuple[float, float, float] = (0.85, 0.78, 0.66)) -> Drawing:
    """A small cutter under sail, 14 m tall, heading right."""

    def draw(u: Array, v: Array) -> tuple[Array, Array]:
        up = np.clip((v - 2.1) / 11.2, 0, 1)
        weave = 0.62 + 0.7 * fbm(u * 2, v * 0.7, 5, 9, 0.6) - 0.08 * (np.abs(((v + 0.12 * u) % 1.6) - 0.8) < 0.05)
        belly = 4.9 * (1 - up) ** 0.85 * (1 + 0.10 * np.sin(np.pi * up))
        main = (u < -0.12) & (u > -belly) & (v > 2.1) & (v < 13.3)
        jib_up = np.clip((v - 1.7) / 9.0, 0, 1)
        jib = (v > 1.7) & (v < 10.7) & (u > 0.15 + 0.5 * np.sin(np.pi * jib_up)) & (u < 3.9 * (1 - jib_up) + 0.1)
        through = 0.25 + 0.75 * ramp(u, 0.5, -4.5)
        colour = f32(tint) * weave[..., None] * (warm * (0.62 * through)[..., None] + cool)
        fore = f32(tint) * weave[..., None] * (warm * 0.30 + cool * 0.95)
        colour = np.where(jib[..., None], fore, colour)
        sheer = 1.15 + 0.018 * u * u + 0.03 * u
        hull = (v < sheer) & (u > -5.2 - 0.15 * v) & (u < 3.9 + 1.1 * v) & (v > -0.2)
        plank = (
            f32([0.10, 0.16, 0.20])
            * (0.7 + 0.6 * fbm(u, v * 6, 4, 3))[..., None]
            * (cool * 1.1 + warm * ramp(u, -2, -5.2)[..., None])
        )
        stripe = hull & (v > sheer - 0.28)
        colour = np.where(hull[..., None], plank, colour)
        colour = np.where(stripe[..., None], f32([0.7, 0.62, 0.5]) * (cool + warm * 0.4), colour)
        cabin = (np.abs(u + 0.9) < 1.5) & (v >= sheer) & (v < 1.95)
        spar = ((np.abs(u) < 0.11) & (v < 14) & (v > 1)) | ((np.abs(v - 2.0) < 0.1) & (u < 0) & (u > -5))
        colour = np.where(cabin[..., None], f32([0.5, 0.35, 0.2]) * (cool + warm * 0.3), colour)
        colour = np.where(spar[..., None], f32([0.10, 0.06, 0.04]), colour)
        return colour, (main | jib | hull | cabin | spar).astype(np.float32)

    return draw

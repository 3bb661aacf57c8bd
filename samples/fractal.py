"""Deterministic noise: the raw material of every sample. Points may be arrays of any one shape, float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 throughout
_TURN = (np.float32(0.8), np.float32(0.6))  # each octave is turned by 37 degrees, so that no lattice direction shows


def f32(values: object) -> Array:
    """A float32 array."""
    return np.array(values, np.float32)


def _table(seed: int) -> Array:
    return np.random.default_rng(seed).random(256 * 256, dtype=np.float32)


def noise(x: Array, y: Array, seed: int = 0) -> Array:
    """Smooth value noise in [0, 1] with features about 1 apart."""
    return _noise(x, y, _table(seed))


def _noise(x: Array, y: Array, table: Array) -> Array:
    a, b, c, d, x, y = _corners(x, y, table)
    u, v = x * x * x * (x * (x * 6 - 15) + 10), y * y * y * (y * (y * 6 - 15) + 10)
    low = a + (b - a) * u
    return low + (c + (d - c) * u - low) * v


def _corners(x: Array, y: Array, table: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Table entries at the four corners of each point's cell, and the point's place in it."""
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = fx.astype(np.int32), fy.astype(np.int32)
    left, right, low, high = ix & 255, (ix + 1) & 255, (iy & 255) << 8, ((iy + 1) & 255) << 8
    a, b, c, d = (table.take(row + col) for row, col in ((low, left), (low, right), (high, left), (high, right)))
    return a, b, c, d, x - fx, y - fy


def noise_slope(x: Array, y: Array, table: Array) -> tuple[Array, Array, Array]:
    """Value noise and its two exact derivatives."""
    a, b, c, d, x, y = _corners(x, y, table)
    u, v = x * x * x * (x * (x * 6 - 15) + 10), y * y * y * (y * (y * 6 - 15) + 10)
    du, dv = 30 * x * x * (x * (x - 2) + 1), 30 * y * y * (y * (y - 2) + 1)
    b, c, d = b - a, c - a, a - b - c + d
    return a + b * u + c * v + d * u * v, du * (b + d * v), dv * (c + d * u)


def fbm(x: Array, y: Array, octaves: int = 6, seed: int = 0, gain: float = 0.5) -> Array:
    """Fractal sum of noise, scaled to [0, 1] (mean .5)."""
    table, total, size, norm = _table(seed), np.zeros_like(x), 1.0, 0.0
    for _ in range(octaves):
        total += np.float32(size) * _noise(x, y, table)
        norm += size
        size *= gain
        x, y = _next_octave(x, y)
    return total / np.float32(norm)


def eroded(x: Array, y: Array, octaves: int = 10, seed: int = 0) -> Array:
    """Fractal ground whose detail fades on slopes, as if washed out; about [0, 1.3].

    Inigo Quilez's terrain: each octave is divided by one plus the squared slope gathered so far.
    """
    table, total, size = _table(seed), np.zeros_like(x), 1.0
    slope_x, slope_y = np.zeros_like(x), np.zeros_like(x)
    for _ in range(octaves):
        value, dx, dy = noise_slope(x, y, table)
        slope_x, slope_y = slope_x + dx, slope_y + dy
        total += np.float32(size) * value / (1 + slope_x * slope_x + slope_y * slope_y)
        size *= 0.5
        x, y = _next_octave(x, y)
    return total


def cells(x: Array, y: Array, seed: int = 0) -> tuple[Array, Array]:
    """Distance to the jittered centre of the unit cell a point lies in, and a random number of that cell in [0, 1]."""
    fx, fy = np.floor(x), np.floor(y)
    index = (fx.astype(np.int32) & 255) + ((fy.astype(np.int32) & 255) << 8)
    cx, cy, number = (_table(seed + k)[index] for k in range(3))
    return np.hypot(x - fx - 0.35 - 0.3 * cx, y - fy - 0.35 - 0.3 * cy), number


def ramp(x: Array, low: float, high: float) -> Array:
    """Smoothstep: 0 below `low`, 1 above `high` (the other way round when high < low)."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array, b: Array, share: Array) -> Array:
    """a where share is 0, b where it is 1; colours on the last axis, `share` without that axis."""
    return a + (b - a) * share[..., None]


def _next_octave(x: Array, y: Array) -> tuple[Array, Array]:
    c, s = _TURN
    return (c * x - s * y) * 2 + 17, (s * x + c * y) * 2 + 31

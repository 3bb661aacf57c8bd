"""A height-field landscape seen through a level camera: hits, light, sky, water. Colours are linear light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from fractal import Array, f32, fbm, mix, ramp

Height = Callable[[Array, Array], Array]  # metres above the water at (x right, z ahead)
Paint = Callable[["Hits"], Array]  # colour of the ground


@dataclass(frozen=True)
class View:
    """A level pinhole camera and the light."""

    width: int
    height: int
    focal: float  #: pixels
    horizon: float  #: row of the horizon, pixels from the top
    eye: float  #: metres above the water; negative = the mirror image seen in it
    sun: tuple[float, float, float]  #: unit vector towards the sun: right, up, ahead
    near: float = 8.0
    far: float = 30000.0
    steps: int = 2400
    pan: float = 0.0  #: metres the eye stands to the right

    def rays(self) -> tuple[Array, Array]:
        """(W,) and (H,): slope to the right and upwards of each pixel's ray, per metre ahead."""
        right = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.focal
        up = (self.horizon - np.arange(self.height, dtype=np.float32) - 0.5) / self.focal
        return right.astype(np.float32), up.astype(np.float32)


@dataclass(frozen=True)
class Hits:
    """Where rays meet the ground, as flat arrays of those that do."""

    x: Array
    z: Array
    y: Array
    normal: Array  #: (N, 3)
    sunlit: Array  #: 0 in the shadow of the ground, 1 in the sun


def trace(view: View, height: Height) -> Array:
    """(H, W) metres ahead at which each pixel's ray meets the ground; infinite where it does not."""
    right, up = view.rays()
    z = np.geomspace(view.near, view.far, view.steps, dtype=np.float32)
    depth = np.full((view.height, view.width), np.inf, np.float32)
    for first in range(0, view.width, 16):  # few columns at a time stay in the cache
        some = right[first : first + 16, None]
        ground = height(some * z + view.pan, np.broadcast_to(z, (len(some), len(z))))
        rise = np.where(ground > 0, ground - view.eye, -1e9) / z if view.eye < 0 else (ground - view.eye) / z
        highest = np.maximum.accumulate(rise, axis=1)
        for j in range(len(some)):
            k = np.searchsorted(highest[j], up)
            hit = k < len(z)
            after = k[hit]
            before = np.maximum(after - 1, 0)
            low, high = rise[j, before], rise[j, after]
            share = np.clip((up[hit] - low) / np.maximum(high - low, 1e-9), 0, 1)
            depth[hit, first + j] = z[before] + (z[after] - z[before]) * share
    return depth


def light(view: View, height: Height, depth: Array, reach: float = 1500.0, chunk: int = 20000) -> Hits:
    """Normals and shadows of the ground at the finite entries of `depth`."""
    right, _ = view.rays()
    row, col = np.nonzero(np.isfinite(depth))
    z = depth[row, col]
    x = right[col] * z + np.float32(view.pan)
    parts = [_light(view, height, x[k : k + chunk], z[k : k + chunk], reach) for k in range(0, len(x), chunk)]
    y, normal, sunlit = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else (x, x[:, None], x)
    return Hits(x, z, y, normal, sunlit)


def _light(view: View, height: Height, x: Array, z: Array, reach: float) -> tuple[Array, Array, Array]:
    """Height, normal and sunlight of the ground at (x, z)."""
    y = height(x, z)
    step = z / np.float32(view.focal) * np.float32(1.2)  # about a pixel: finer relief would only flicker
    normal = np.stack([(y - height(x + step, z)) / step, np.ones_like(y), (y - height(x, z + step)) / step], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    sunlit = np.ones_like(x)
    flat = float(np.hypot(view.sun[0], view.sun[2]))
    for away in np.geomspace(6, reach, 11, dtype=np.float32):
        over = y + away * np.float32(view.sun[1] / flat) + away * np.float32(0.012) + 0.5
        blocked = height(x + away * np.float32(view.sun[0] / flat), z + away * np.float32(view.sun[2] / flat)) - over
        sunlit = np.minimum(sunlit, 1 - ramp(blocked, -0.02 * float(away), 0.04 * float(away)))
    return y, normal, sunlit


@dataclass(frozen=True)
class Air:
    """Sky, clouds and haze."""

    zenith: tuple[float, float, float]
    low: tuple[float, float, float]  #: at the horizon
    glow: tuple[float, float, float]  #: around the sun
    cloud: tuple[float, float, float]  #: sunlit side
    shade: tuple[float, float, float]  #: dark side of clouds
    cover: float  #: 0 clear … 1 overcast
    haze: float  #: metres after which 63 % of the colour is the air's
    seed: int = 5


def sky(view: View, air: Air) -> Array:
    """(H, W, 3) the sky along every pixel's ray; rays below the horizon see the horizon's colour."""
    right, up = view.rays()
    across, rise = np.meshgrid(right, np.maximum(up, 0))
    length = np.sqrt(across**2 + rise**2 + 1)
    toward = np.clip((across * view.sun[0] + rise * view.sun[1] + view.sun[2]) / length, 0, 1)
    colour = mix(f32(air.low), f32(air.zenith), 1 - np.exp(-3.2 * rise))
    colour = colour + f32(air.glow) * (0.40 * toward**12 + 0.8 * toward**90 + 4.0 * toward**2500)[..., None]
    far = 1 / (rise + 0.055)  # the cloud layer is a plane overhead; the constant stands for the earth's curve
    x, y = across * far * 1.1, far * 1.9
    warp = fbm(x * 0.6 + 9, y * 0.6, 4, air.seed + 1) * 1.6
    body = fbm(x + warp, y + warp, 8, air.seed, 0.53)
    dense = ramp(body, 0.62 - 0.35 * air.cover, 0.86 - 0.35 * air.cover)
    side = fbm(x + warp + 0.10 * np.sign(view.sun[0]), y + warp - 0.16, 6, air.seed, 0.53)
    lit = np.clip(0.55 + (body - side) * 5.5, 0, 1) * (1 - 0.45 * dense) + 0.5 * toward**6
    clouds = mix(f32(air.shade), f32(air.cloud), np.clip(lit, 0, 1.25)) + f32(air.glow) * (0.5 * toward**30)[..., None]
    return mix(colour, clouds, dense * ramp(rise, 0.0, 0.09) * 0.94)


def shade(view: View, air: Air, hits: Hits, albedo: Array, sunlight: Array, skylight: Array) -> Array:
    """(N, 3) light that leaves the ground, seen through the air."""
    direct = np.clip(hits.normal @ np.array(view.sun, np.float32), 0, 1) * hits.sunlit
    ambient = 0.55 + 0.45 * hits.normal[:, 1]
    colour = albedo * (sunlight * direct[:, None] + skylight * ambient[:, None])
    distance = hits.z * np.exp(-np.maximum(hits.y, 0) / 900)  # the air is thinner up high
    toward = np.clip(view.sun[2] + 0.5 * view.sun[0] * np.sign(hits.x), 0, 1)
    air_colour = f32(air.low) + f32(air.glow) * (0.25 * toward**4)[:, None]
    return mix(colour, air_colour, 1 - np.exp(-distance / np.float32(air.haze)))


def water(view: View, depth: Array, picture: Array, mirror: Array, deep: tuple[float, float, float],
          wave: float, length: float = 1.0) -> Array:  # fmt: skip
    """Put the water's surface in front of what lies below it: the mirror image, bent by waves and mixed by Fresnel.

    Args:
        mirror: (H, W, 3) the scene from the mirrored eye, row r = the ray that rises as pixel row r does.
        wave: slope of the waves; length: their size in metres.
    """
    right, up = view.rays()
    row, col = np.nonzero((up[:, None] < 0) & (view.eye / np.maximum(-up[:, None], 1e-6) < depth))
    z = view.eye / -up[row]
    x = right[col] * z + np.float32(view.pan)
    px, pz = x / np.float32(2.6 * length), z / np.float32(length)
    ripple = sum(fbm(px * s, pz * s, 5, 40 + k, 0.6) - 0.5 for k, s in enumerate((0.09, 0.33, 1.0)))
    calm = 0.35 + 0.65 * ramp(fbm(x / 90, z / 160, 3, 50), 0.35, 0.6)  # gusts: streaks of smoother water
    slope = (ripple * calm * wave * 2 / (1 + z / (view.eye * 60))).astype(np.float32)
    sample_y = view.horizon + up[row] * view.focal + slope * view.focal - 0.5
    sample_x = col + (fbm(px * 0.5 + 7, pz * 0.5, 3, 60) - 0.5) * calm * wave * view.focal * 0.25
    seen = _sample(mirror, sample_x, np.clip(sample_y, 0, view.horizon - 1))
    facing = np.clip(-up[row] + slope * 2.2, 0.0, 1)
    fresnel = 0.04 + 0.96 * (1 - facing) ** 5
    result = picture.copy()
    result[row, col] = mix(f32(deep) * (1 + 2.5 * slope[:, None]), seen, fresnel)
    return result


def develop(linear: Array, size: tuple[int, int], exposure: float = 1.0, grain: float = 0.008, seed: int = 1) -> Array:
    """Linear light to sRGB in [0, 1] at `size` (W, H): bloom, a film curve, vignette and grain."""
    image = cv2.resize(np.maximum(linear, 0) * np.float32(exposure), size, interpolation=cv2.INTER_AREA)
    bright = np.clip(image - 0.85, 0, 4)
    image = (
        image
        + 0.35 * cv2.GaussianBlur(bright, (0, 0), size[0] / 90)
        + 0.12 * cv2.GaussianBlur(bright, (0, 0), size[0] / 20)
    )
    image = image * (2.51 * image + 0.03) / (image * (2.43 * image + 0.59) + 0.14)  # Narkowicz's fit of ACES
    image = np.clip(image, 0, 1) ** np.float32(1 / 2.2)
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j].astype(np.float32)
    image *= (1 - 0.13 * (x * x + y * y))[..., None] ** 1.0
    rng = np.random.default_rng(seed)
    return np.clip(image + rng.normal(0, grain, (size[1], size[0], 1)).astype(np.float32), 0, 1).astype(np.float32)


def _sample(image: Array, x: Array, y: Array) -> Array:
    x, y = (np.ascontiguousarray(v, np.float32).reshape(-1, 1) for v in (x, y))
    rows = 30000  # remap cannot make pictures taller than 32767
    parts = [cv2.remap(image, x[i : i + rows], y[i : i + rows], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
             for i in range(0, len(x), rows)]  # fmt: skip
    return np.concatenate(parts)[:, 0]

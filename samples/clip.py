"""A moving landscape whose optical flow is known exactly: textured layers, each of which only slides.

A train crosses a viaduct and a balloon rises in front of mountains while the camera pans; near layers slide faster
than far ones. What a pixel shows, where that was one frame before, and whether something nearer hid it there all
follow from the layers' offsets, so flow and visibility hold no estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from fractal import Array, eroded, f32, fbm, mix, noise, ramp
from numpy.typing import NDArray
from objects import Drawing
from scenes import alpine_paint, conifers, seen, unit, valley_ground
from terrain import Air, Height, View, develop, sky

FPS = 24
WIDTH = 480.0  # all speeds below are pixels per frame of a picture this wide
SUN = unit(-0.65, 0.40, 0.10)
AIR = Air(
    (0.09, 0.22, 0.52), (0.66, 0.66, 0.70), (0.5, 0.35, 0.2), (1.25, 1.08, 0.95), (0.44, 0.46, 0.56), 0.5, 15000.0
)
WARM, COOL = f32([2.6, 2.1, 1.5]), f32([0.42, 0.50, 0.66])


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture that slides behind the frame's window."""

    texture: Array  #: (H, W, 4) sRGB premultiplied by coverage, and coverage
    rate: float  #: share of the camera's way that it slides
    left: float = 0.0  #: of the frame's left edge within the texture at frame 0, pixels of a 480-pixel-wide frame
    top: float = 0.0
    own: tuple[float, float] = (0.0, 0.0)  #: its own speed to the right and down, pixels per frame likewise

    def offset(self, frame: int, scale: float) -> tuple[float, float]:
        """Texture coordinates (x, y) of the frame's upper left pixel."""
        pan = 1.35 * frame - 9.0 * (np.cos(frame / 13) - 1)
        tilt = 5.0 * np.sin(frame / 17)
        x = self.left + self.rate * pan - self.own[0] * frame
        y = self.top + self.rate * tilt - self.own[1] * frame
        return float(x * scale), float(y * scale)


def render_clip(
    frames: int = 60, width: int = 480, height: int = 270
) -> Iterator[tuple[NDArray[np.uint8], Array, NDArray[np.bool_]]]:
    """The clip, frame by frame.

    Yields:
        image (H, W, 3) uint8 sRGB; flow (2, H, W) float32 pixels: where each pixel was in the previous frame, minus
        here (x, y); visible (H, W): False where it was hidden or outside the previous frame. The first frame's flow
        is zero and nothing of it was visible before.
    """
    layers, scale = _layers(width, height), width / WIDTH
    row, col = np.mgrid[:height, :width].astype(np.float32)
    for n in range(frames):
        here = [layer.offset(n, scale) for layer in layers]
        windows = [window(layer.texture, *at, width, height) for layer, at in zip(layers, here, strict=True)]
        image = np.zeros((height, width, 3), np.float32)
        front = np.zeros((height, width), np.int64)
        for k, piece in enumerate(windows):
            image = image * (1 - piece[..., 3:]) + piece[..., :3]
            front[piece[..., 3] > 0.5] = k
        flow, visible = np.zeros((2, height, width), np.float32), np.zeros((height, width), bool)
        if n:
            before = [layer.offset(n - 1, scale) for layer in layers]
            steps = np.array(here) - np.array(before)  # (layers, 2)
            flow = steps[front].transpose(2, 0, 1).astype(np.float32)
            was_x, was_y = col + flow[0], row + flow[1]
            visible = (was_x >= 0) & (was_x <= width - 1) & (was_y >= 0) & (was_y <= height - 1)
            for k, step in enumerate(steps[:-1]):
                for nearer in range(k + 1, len(layers)):
                    x, y = before[nearer] + step
                    visible &= (front != k) | (
                        window(layers[nearer].texture[..., 3:], x, y, width, height)[..., 0] <= 0.5
                    )
        yield np.round(np.clip(image, 0, 1) * 255).astype(np.uint8), flow, visible


def window(texture: Array, x: float, y: float, width: int, height: int) -> Array:
    """(height, width, C) of `texture` from (x, y) on, by cubic interpolation; zero outside of it."""
    left, top = int(np.floor(x)) - 1, int(np.floor(y)) - 1
    piece = np.zeros((height + 3, width + 3, texture.shape[2]), np.float32)
    row, col = max(0, top), max(0, left)
    inside = texture[row : max(0, top + height + 3), col : max(0, left + width + 3)]
    row, col = row - top, col - left
    piece[row : row + inside.shape[0], col : col + inside.shape[1]] = inside
    a, b, c, d = _cubic(x - np.floor(x))
    piece = a * piece[:, :-3] + b * piece[:, 1:-2] + c * piece[:, 2:-1] + d * piece[:, 3:]
    a, b, c, d = _cubic(y - np.floor(y))
    return a * piece[:-3] + b * piece[1:-2] + c * piece[2:-1] + d * piece[3:]


def _cubic(t: float) -> tuple[np.float32, ...]:
    """Catmull-Rom weights of four neighbours for a point t of the way from the second to the third."""
    t2, t3 = t * t, t * t * t
    weights = ((-t + 2 * t2 - t3) / 2, (2 - 5 * t2 + 3 * t3) / 2, (t + 4 * t2 - 3 * t3) / 2, (t3 - t2) / 2)
    return tuple(np.float32(w) for w in weights)


def _layers(width: int, height: int) -> list[Layer]:
    """From far to near. Textures reach beyond the frame by as far as the camera pans in five seconds at most."""
    drop = height / width * WIDTH  # the frame's height in the pixels that speeds are given in
    far = _land(width, height, 0.12, _mountains, None, 2500, 30000, 0.50, pan=-300.0)
    mid = _land(width, height, 0.40, _hills, (200, 11.0, 20.0), 420, 2600, 0.52, pan=200.0)
    near = _land(width, height, 1.75, _meadow, (30, 8.0, 19.0), 45, 200, 0.485, pan=0.0)
    pad = 8.0
    return [
        Layer(_sky(width, height), 0.05, pad, pad),
        Layer(far, 0.12, pad, pad),
        Layer(mid, 0.40, pad, pad),
        Layer(_drawn(width, 66, 86, _balloon), 0.25, -150, -0.24 * drop, (0.35, -0.62)),
        Layer(_drawn(width, 330, 36, _train), 0.80, 245, -0.585 * drop + 31, (5.4, 0.0)),
        Layer(_drawn(width, 700, 150, _viaduct), 0.80, pad, -0.585 * drop),
        Layer(near, 1.75, pad, pad),
    ]


def _soft(rgba: Array, width: int, height: int) -> Array:
    """Reduced to its final size, a little soft: detail that a half-pixel shift could not carry would flicker."""
    small = cv2.resize(rgba, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 0.4)


def _view(
    width: int, height: int, rate: float, horizon: float, near: float, far: float, pan: float
) -> tuple[View, int, int]:
    w = int(width * (1 + (16 + rate * 120) / WIDTH))
    h = int(height + width * (16 + 5 * rate) / WIDTH)
    return View(2 * w, 2 * h, 1.9 * width, 2 * h * horizon, 46.0, SUN, near, far, 250 + width, pan), w, h


def _sky(width: int, height: int) -> Array:
    view, w, h = _view(width, height, 0.05, 0.62, 100, 1000, 0)
    image = develop(sky(view, AIR), (w, h), 0.9, grain=0)
    return np.dstack([image, np.ones((h, w), np.float32)])


def _land(width: int, height: int, rate: float, ground: Height, wood: tuple[float, float, float] | None,
          near: float, far: float, horizon: float, pan: float) -> Array:  # fmt: skip
    """Ground between `near` and `far` metres, bare or with `_wooded`'s trees."""
    view, w, h = _view(width, height, rate, horizon, near, far, pan)
    rise = _wooded(ground, *wood) if wood else ground
    picture, depth = seen(view, AIR, rise, lambda hits: alpine_paint(hits, ground(hits.x, hits.z)), WARM, COOL)
    cover = np.isfinite(depth).astype(np.float32)
    image = develop(picture, (2 * w, 2 * h), 0.9, grain=0)
    return _soft(np.dstack([image * cover[..., None], cover]), w, h)


def _mountains(x: Array, z: Array) -> Array:
    return valley_ground(x, z) - 500 * ramp(z, 5200, 2500)


def _hills(x: Array, z: Array) -> Array:
    return -70 + 250 * ramp(z, 300, 2600) * (0.25 + eroded(x / 700, z / 700, 7, 6)) + 40 * fbm(x / 120, z / 120, 5, 7)


def _meadow(x: Array, z: Array) -> Array:
    return 4 + 9 * (fbm(x / 50, z / 50, 6, 9) - 0.5) - 10 * ramp(z, 60, 200)


def _wooded(ground: Height, patch: float, size: float, tall: float) -> Height:
    """The ground with conifers in woods about `patch` metres wide."""

    def height(x: Array, z: Array) -> Array:
        return ground(x, z) + conifers(x, z, ramp(fbm(x / patch, z / patch, 4, 8), 0.43, 0.58), size, tall)

    return height


def _drawn(width: int, wide: float, tall: float, drawing: Drawing) -> Array:
    """A drawing made in the pixels of a 480-pixel-wide frame, at this frame's size."""
    scale = width / WIDTH
    w, h = int(wide * scale), int(tall * scale)
    y, x = (np.mgrid[: 3 * h, : 3 * w].astype(np.float32) + 0.5) / np.float32(3 * scale)
    colour, cover = drawing(x, y)
    cover = np.broadcast_to(cover, x.shape).astype(np.float32)
    image = np.clip(colour, 0, 1).astype(np.float32) * cover[..., None]
    return _soft(np.dstack([image, cover]), w, h)


def _balloon(x: Array, y: Array) -> tuple[Array, Array]:
    """Striped silk, ropes and a basket: 66 × 86 pixels."""
    u, v = (x - 33) / 29, (y - 33) / 30
    low = np.clip(v, 0, None)
    girth = np.sqrt(np.clip(1 - v * v * np.where(v > 0, 0.62, 1.0), 0, 1)) * (1 - 0.34 * low * low)
    across = np.clip(u / np.maximum(girth, 1e-3), -1, 1)
    silk = (np.abs(u) < girth) & (v > -1) & (v < 1.12)
    gore = np.arcsin(across) * 12 / np.pi
    palette = f32([[0.86, 0.24, 0.14], [0.95, 0.72, 0.22], [0.13, 0.36, 0.52], [0.94, 0.89, 0.77]])
    colour = palette[(np.floor(gore + 0.5).astype(int)) % 4]
    band = (np.abs(v - 0.25) < 0.10)[..., None]
    colour = np.where(band, palette[3] * 0.95, colour)
    seam = 1 - 0.28 * np.exp(-((((gore - 0.5) % 1 - 0.5) / 0.1) ** 2))
    light = 0.52 + 0.62 * np.clip(-0.60 * across * girth - 0.5 * v + 0.55 * np.sqrt(np.clip(1 - across**2, 0, 1)), 0, 1)
    colour = colour * (light * seam * (0.88 + 0.24 * fbm(x / 3, y / 6, 5, 41)))[..., None]
    rope = (np.abs(np.abs(x - 33) - 4 - 5.5 * ramp(y, 78, 64)) < 0.45) & (y > 64) & (y < 78)
    basket = (np.abs(x - 33) < 5) & (y > 76) & (y < 84)
    wicker = f32([0.45, 0.29, 0.15]) * (0.7 + 0.5 * noise(x * 1.4, y * 1.4, 42) - 0.025 * (x - 33))[..., None]
    return np.where((rope | basket)[..., None], wicker, colour), silk | rope | basket


def balloon(scale: int = 4) -> Array:
    """The balloon alone, (H, W, 4) sRGB in [0, 1] and its opacity, not premultiplied."""
    drawn = _drawn(int(scale * WIDTH), 66, 86, _balloon)
    opacity = drawn[..., 3:]
    return np.dstack([drawn[..., :3] / np.maximum(opacity, 1e-3), opacity])


def _train(x: Array, y: Array) -> tuple[Array, Array]:
    """A red railcar of three coaches, heading right: 330 × 36 pixels, its wheels below the parapet."""
    coach, along = np.floor(x / 109).astype(int), x % 109
    nose = np.where(coach == 2, np.clip((along - 92) / 16, 0, 1), 0) ** 2
    tail = np.where(coach == 0, np.clip((14 - along) / 14, 0, 1), 0) ** 2
    roof = 6 + 9 * (nose + tail)
    body = (y > roof) & (along > 1.5) & (along < 107) & (y < 36)
    colour = mix(f32([0.70, 0.13, 0.10]), f32([0.92, 0.86, 0.72]), ramp(y, 21.6, 21.2) * ramp(y, 10.0, 10.4))
    colour = mix(colour, f32([0.42, 0.43, 0.45]), ramp(y, 9.2, 8.7))
    curve = 0.66 + 0.42 * np.exp(-(((y - 12) / 6) ** 2)) - 0.30 * ramp(y, 24, 34)
    colour = colour * (curve * (0.86 + 0.28 * fbm(x / 7, y / 2, 5, 43)))[..., None]
    pane = (np.abs((along - 8) % 11.5 - 5.5) < 4.2) & (np.abs(y - 15.6) < 3.6) & (along > 12) & (along < 97)
    windscreen = (nose > 0.06) & (np.abs(y - 14.5) < 4.4)
    glass = mix(
        f32([0.10, 0.14, 0.20]),
        f32([0.72, 0.80, 0.86]),
        ramp(fbm(x / 5 + y / 3, y / 4, 4, 44), 0.45, 0.7),
    )
    colour = np.where((pane | windscreen)[..., None], glass, colour)
    door = (np.abs((along % 50) - 4) < 0.5) & (y > 11) & (y < 32)
    colour = np.where((door | (np.abs(y - 24.5) < 0.5))[..., None], colour * 0.55, colour)
    lamp = np.exp(-((x - 322) ** 2 + (y - 24) ** 2) / 3)
    gangway = (y > 10) & (y < 34) & ~body & (x > 20) & (x < 310)
    gear = (np.abs(y - 4.6) < 1.1) & (np.abs(along - 55) < 15) | (np.abs(np.abs(along - 55) * 0.55 - 5 + y) < 0.5) & (
        y < 5
    ) & (y > 1)
    colour = np.where((gangway | gear)[..., None], f32([0.13, 0.13, 0.14]), colour)
    return colour + f32([0.9, 0.8, 0.5]) * lamp[..., None], body | gangway | gear


def _viaduct(x: Array, y: Array) -> tuple[Array, Array]:
    """Stone arches of 58 pixels, with a parapet: 700 × 150 pixels."""
    pitch, pier = 58.0, 12.0
    u = x % pitch - pitch / 2
    radius = (pitch - pier) / 2
    taper = 0.02 * np.clip(y - 44, 0, None)
    opening = ((np.abs(u) < radius - taper) & (y >= 44)) | (np.hypot(u, y - 44) < radius) & (y < 44)
    parapet = y < 12
    course = np.floor(y / 4.2)
    brick = np.floor((x + 3.7 * (course % 2)) / 7.4)
    tint = noise(brick * 7.31 + 0.5, course * 5.77 + 0.5, 45)
    joint = np.maximum(
        ramp(np.abs((y / 4.2) % 1 - 0.5), 0.36, 0.47),
        ramp(np.abs(((x + 3.7 * (course % 2)) / 7.4) % 1 - 0.5), 0.42, 0.48),
    )
    colour = mix(f32([0.50, 0.41, 0.32]), f32([0.80, 0.71, 0.58]), tint)
    colour = colour * (0.72 + 0.56 * fbm(x / 4, y / 4, 6, 46, 0.62) - 0.26 * joint)[..., None]
    colour = colour * (1 - 0.30 * ramp(fbm(x / 9, y / 40, 4, 47), 0.5, 0.7) * ramp(y, 14, 40))[..., None]  # rain stains
    ring = np.hypot(u, y - 44) - radius
    arch = (ring > 0) & (ring < 4.4) & (y < 44)
    voussoir = 0.86 + 0.22 * noise(np.floor(np.arctan2(y - 44, u) * 6.5) * 3.3, u * 0, 48)
    colour = np.where(arch[..., None], f32([0.82, 0.74, 0.62]) * voussoir[..., None], colour)
    side = (
        1
        - 0.42 * ramp(u, radius - 9, radius) * (y >= 30) * (u > 0)
        + 0.12 * ramp(u, -radius + 2, -radius - 6) * (u < 0)
    )
    colour = colour * side[..., None]
    ledge = np.abs(y - 13) < 1.6
    colour = np.where(ledge[..., None], f32([0.86, 0.79, 0.67]) * (0.8 + 0.4 * noise(x / 2, y, 49))[..., None], colour)
    colour = colour * (1 - 0.40 * ramp(np.abs(y - 16.3), 2.0, 0.6))[..., None]
    # the arch's inner side, seen past the left pier because we stand to the right of it
    inner = (np.abs(u - 4.5) >= radius - taper) & (u < 0) & (y >= 44) | (np.hypot(u - 4.5, y - 44) >= radius) & (
        u < 5
    ) & (y < 44)
    soffit = opening & inner
    dark = f32([0.30, 0.25, 0.22]) * (0.7 + 0.6 * fbm(x / 5, y / 3, 5, 50))[..., None]
    return np.where(soffit[..., None], dark, colour), ~opening | soffit | parapet

"""Two landscapes that look like photographs, to be painted: an alpine lake and a harbour at sunset."""

from __future__ import annotations

import numpy as np
from fractal import Array, cells, eroded, f32, fbm, mix, noise, ramp
from objects import house, lighthouse, place, sailboat
from terrain import Air, Height, Hits, Paint, View, develop, light, shade, sky, trace, water

SCALE = 2  # drawn at twice the size, then averaged


def conifers(x: Array, z: Array, wood: Array, size: float, tall: float) -> Array:
    """Height of the trees standing at (x, z), metres: cones on two jittered grids, where `wood` (0 … 1) allows."""
    trees, ragged = np.zeros_like(x), 0.24 * (noise(x * 0.9, z * 0.9, 69) - 0.5)
    for turn, seed in ((0.3, 70), (1.1, 80)):
        c, s = np.float32(np.cos(turn) / size), np.float32(np.sin(turn) / size)
        away, number = cells(c * x - s * z, s * x + c * z, seed)
        cone = np.clip(1 - (away + ragged) / 0.36, 0, 1) ** 0.8 * (0.45 + 0.55 * number) * np.float32(tall)
        trees = np.maximum(trees, np.where(number * 0.9 < wood, cone, 0))
    return trees


def valley_ground(x: Array, z: Array) -> Array:
    """Bare ground of the alpine valley."""
    far = ramp(z, 900, 9000)
    ridge = eroded(x / 2600 + 3.3, z / 2600 + 1.2, 11, 3)
    side = np.abs(x - 260 * np.sin(z / 1100) - 40) / (210 + 0.16 * z)
    bowl = ramp(side, 0.35, 2.4)
    hills = 60 * (fbm(x / 330, z / 330, 7, 12) - 0.5)
    return (
        -26
        + bowl * (330 + 500 * far) * (0.35 + ridge)
        + far * 2100 * (ridge - 0.28) * ramp(z, 2500, 11000)
        + hills * (0.35 + bowl)
    )


def valley_wood(x: Array, z: Array, ground: Array) -> Array:
    patches = fbm(x / 260, z / 260, 5, 21)
    return ramp(patches, 0.40, 0.56) * ramp(ground, 3, 14) * ramp(ground, 900, 560)


def valley_height(x: Array, z: Array) -> Array:
    ground = valley_ground(x, z)
    return ground + conifers(x, z, valley_wood(x, z, ground), 9.0, 17.0)


def alpine_paint(hits: Hits, ground: Array, lake: bool = False) -> Array:
    """Grass, rock and snow on bare `ground`, forest wherever the hit lies above it; gravel near the water of a lake."""
    tree = ramp(hits.y - ground, 0.05, 0.5)
    fine = fbm(hits.x / 9, hits.z / 9, 6, 31, 0.65)
    broad = fbm(hits.x / 180, hits.z / 180, 5, 32)
    meadow = mix(f32([0.13, 0.17, 0.035]), f32([0.30, 0.24, 0.07]), ramp(broad + 0.5 * (fine - 0.5), 0.35, 0.65))
    strata = fbm(hits.x / 160, hits.y / 14, 5, 33)
    rock = mix(f32([0.16, 0.14, 0.125]), f32([0.36, 0.33, 0.30]), ramp(strata + 0.6 * (fine - 0.5), 0.3, 0.7))
    steep = ramp(hits.normal[:, 1] + 0.25 * (fine - 0.5), 0.80, 0.62)
    colour = mix(meadow * (0.6 + 0.8 * fine)[:, None], rock, np.maximum(steep, ramp(hits.y, 650, 950)))
    if lake:
        colour = mix(colour, f32([0.33, 0.29, 0.22]) * (0.5 + fine)[:, None], ramp(ground, 3.5, 0.5))
    line = 900 + 500 * (broad - 0.5) + 250 * (fine - 0.5)
    snow = ramp(hits.y - line, -60, 160) * ramp(hits.normal[:, 1] + 0.3 * (fine - 0.5), 0.42, 0.66)
    colour = mix(colour, f32([0.86, 0.89, 0.95]), snow)
    green = mix(f32([0.018, 0.042, 0.014]), f32([0.085, 0.105, 0.022]), fine * (0.4 + broad))
    green = green * (0.35 + 1.3 * noise(hits.x * 1.1, hits.y * 1.5, 36))[:, None]  # boughs
    autumn = ramp(noise(hits.x / 13, hits.z / 13, 35) + 0.8 * (broad - 0.5), 0.70, 0.86)
    green = mix(green, f32([0.34, 0.15, 0.02]), autumn * 0.85)
    return mix(colour, green, tree * (1 - snow * 0.6))


def valley_paint(hits: Hits) -> Array:
    return alpine_paint(hits, valley_ground(hits.x, hits.z), lake=True)


def seen(view: View, air: Air, height: Height, paint: Paint, sunlight: object, skylight: object) -> tuple[Array, Array]:
    """The land against the sky, (H, W, 3), and the depth of each pixel."""
    depth = trace(view, height)
    picture = sky(view, air)
    hits = light(view, height, depth)
    picture[np.isfinite(depth)] = shade(view, air, hits, paint(hits), f32(sunlight), f32(skylight))
    return picture, depth


def mirrored(view: View) -> View:
    """The camera whose picture the water shows; ground nearer than 60 m would hide what the water beyond it shows."""
    return View(
        view.width, view.height, view.focal, view.horizon, -view.eye, view.sun, 60.0, view.far, view.steps, view.pan
    )


def unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    n = float(np.sqrt(x * x + y * y + z * z))
    return x / n, y / n, z / n


def valley(width: int = 960, height: int = 640) -> Array:
    """An alpine lake in the morning, (H, W, 3) sRGB in [0, 1]."""
    w, h = width * SCALE, height * SCALE
    view = View(w, h, focal=w * 0.95, horizon=h * 0.56, eye=24.0, sun=unit(-0.75, 0.42, 0.35))
    air = Air(
        (0.10, 0.24, 0.55),
        (0.62, 0.70, 0.80),
        (0.55, 0.38, 0.20),
        (1.25, 1.12, 0.98),
        (0.42, 0.47, 0.58),
        0.45,
        16000.0,
    )
    picture, depth = seen(view, air, valley_height, valley_paint, (2.6, 2.15, 1.55), (0.42, 0.52, 0.72))
    mirror, far = seen(mirrored(view), air, valley_height, valley_paint, (2.6, 2.15, 1.55), (0.42, 0.52, 0.72))
    _valley_things(mirrored(view), mirror, far)
    picture = water(view, depth, picture, mirror, (0.02, 0.06, 0.07), wave=0.05, length=2.0)
    _valley_things(view, picture, depth)
    return develop(picture, (width, height), exposure=0.92)


def _valley_things(view: View, picture: Array, depth: Array) -> None:
    warm, cool = f32([2.0, 1.65, 1.2]), f32([0.42, 0.50, 0.66])
    for x, z, seed in ((-62.0, 395.0, 5), (-65.0, 376.0, 1), (-75.0, 430.0, 2)):
        foot = float(valley_ground(f32([x]), f32([z]))[0])
        place(view, picture, depth, house(warm, cool, seed, 13, 5), x, z, foot - 0.7, (-9, 9, -2, 14))
    place(view, picture, depth, sailboat(warm, cool, (0.85, 0.30, 0.16)), 62.0, 260.0, 0.0, (-7, 7, -0.5, 15))


def _within(x: Array, z: Array, box: tuple[float, float, float, float], ground: Array, part: Height) -> None:
    """Raise `ground` to `part` inside x, z of `box`: distant islands need not be computed everywhere."""
    inside = (x > box[0]) & (x < box[1]) & (z > box[2]) & (z < box[3])
    if inside.any():
        ground[inside] = np.maximum(ground[inside], part(x[inside], z[inside]))


def harbor_ground(x: Array, z: Array) -> Array:
    """A lighthouse on a cliff to the right, a village below hills to the left, rocks in the foreground."""

    def cliff(x: Array, z: Array) -> Array:
        away = np.hypot((x - 95) / 62, (z - 225) / 70) + 0.85 * (fbm(x / 60, z / 60, 8, 91, 0.55) - 0.5)
        return -9 + 31 * ramp(away, 1.02, 0.62) * (0.72 + 0.35 * eroded(x / 22, z / 22, 7, 92))

    def coast(x: Array, z: Array) -> Array:
        away = np.hypot((x + 640) / 470, (z - 1150) / 560) + 0.9 * (fbm(x / 300, z / 300, 8, 93) - 0.5)
        return -12 + 190 * ramp(away, 1.1, 0.2) * (0.3 + eroded(x / 260, z / 260, 9, 95))

    def far(x: Array, z: Array) -> Array:
        away = np.hypot((x - 1500) / 1900, (z - 5200) / 900) + 0.8 * (fbm(x / 1300, z / 1300, 8, 96) - 0.5)
        return -60 + 620 * ramp(away, 1.1, 0.1) * (0.35 + eroded(x / 900, z / 900, 9, 97))

    def rocks(x: Array, z: Array) -> Array:
        away = np.hypot((x + 15) / 9, (z - 27) / 6) + 1.3 * (fbm(x / 6, z / 6, 7, 94, 0.6) - 0.5)
        return -2.5 + 3.3 * ramp(away, 1.15, 0.3) * (0.35 + 0.95 * fbm(x / 3.5, z / 3.5, 8, 98, 0.48))

    ground = np.full(x.shape, -60, np.float32)
    _within(x, z, (-30, 5, 12, 45), ground, rocks)
    _within(x, z, (0, 190, 120, 330), ground, cliff)
    _within(x, z, (-1400, 100, 300, 2000), ground, coast)
    _within(x, z, (-2000, 5000, 3500, 7000), ground, far)
    return ground


def harbor_height(x: Array, z: Array) -> Array:
    ground = harbor_ground(x, z)
    wood = ramp(fbm(x / 140, z / 140, 4, 22), 0.44, 0.60) * ramp(ground, 22, 40) * ramp(z, 500, 700)
    return ground + conifers(x, z, wood, 8.0, 10.0)


def harbor_paint(hits: Hits) -> Array:
    """Cliffs, heather, pines."""
    fine = fbm(hits.x / 5, hits.z / 5, 6, 31, 0.65)
    broad = fbm(hits.x / 40, hits.z / 40, 5, 32)
    strata = fbm(hits.x / 30 + 0.6 * broad, hits.y / 2.2, 5, 33, 0.6)
    rock = mix(f32([0.13, 0.095, 0.08]), f32([0.46, 0.36, 0.27]), ramp(strata + 0.5 * (fine - 0.5), 0.25, 0.75))
    grass = mix(f32([0.09, 0.13, 0.03]), f32([0.31, 0.25, 0.08]), ramp(broad + fine - 0.5, 0.3, 0.7))
    heather = ramp(noise(hits.x / 6, hits.z / 6, 37) + broad - 0.5, 0.6, 0.8) * ramp(hits.y, 8, 14)
    grass = mix(grass, f32([0.25, 0.09, 0.17]), heather * 0.7)
    tree = ramp(hits.y - harbor_ground(hits.x, hits.z), 0.3, 1.5)
    colour = mix(
        grass * (0.5 + fine)[:, None],
        rock,
        np.maximum(ramp(hits.normal[:, 1] + 0.3 * (fine - 0.5), 0.86, 0.64), ramp(hits.y, 6, 3)),
    )
    colour = colour * (0.45 + 1.1 * fbm(hits.x / 1.8, hits.y / 4.5, 6, 34, 0.6))[:, None]  # cracks
    wet = ramp(hits.y, 1.6, 0.3)
    colour = mix(colour, colour * 0.35, wet)
    colour = colour * (0.45 + 0.55 * ramp(hits.z, 60, 120))[:, None]  # the rocks at our feet are wet all over
    return mix(colour, f32([0.03, 0.05, 0.02]) * (0.6 + fine)[:, None], tree)


def harbor(width: int = 960, height: int = 640) -> Array:
    """A lighthouse above a bay at sunset, (H, W, 3) sRGB in [0, 1]."""
    w, h = width * SCALE, height * SCALE
    view = View(w, h, focal=w * 0.95, horizon=h * 0.60, eye=8.0, sun=unit(-0.36, 0.17, 1.0), near=6.0)
    air = Air(
        (0.05, 0.13, 0.38),
        (0.60, 0.33, 0.22),
        (1.7, 0.70, 0.20),
        (1.45, 0.58, 0.27),
        (0.17, 0.14, 0.25),
        0.66,
        11000.0,
        8,
    )
    warm, cool = f32([3.2, 1.75, 0.8]), f32([0.62, 0.60, 0.75])
    scenes = []
    for one in (view, mirrored(view)):
        picture, depth = seen(one, air, harbor_height, harbor_paint, warm, cool)
        _harbor_things(one, picture, depth, warm * 0.55, cool)
        scenes.append((picture, depth))
    (picture, depth), (mirror, _) = scenes
    picture = water(view, depth, picture, mirror, (0.03, 0.07, 0.09), wave=0.09, length=1.6)
    _harbor_things(view, picture, depth, warm * 0.55, cool)
    return develop(picture, (width, height), exposure=0.64)


def _harbor_things(view: View, picture: Array, depth: Array, warm: Array, cool: Array) -> None:
    rng = np.random.default_rng(4)
    for k in range(26):  # the village, far rows first
        z = 980.0 - 14 * k
        x = -0.34 * z - 150 + 330 * rng.random()
        foot = float(harbor_ground(f32([x]), f32([z]))[0])
        if 2 < foot < 60:
            place(view, picture, depth, house(warm, cool, k, 13, 6), x, z, foot - 1, (-8, 8, -2, 13))
    for x, z, drawing, box in (
        (66.0, 205.0, lighthouse(warm, cool), (-5.0, 5.0, -3.0, 29.0)),
        (81.0, 200.0, house(warm, cool, 3, 13, 4.4), (-8.0, 8.0, -3.0, 11.0)),
    ):
        foot = float(harbor_ground(f32([x]), f32([z]))[0])
        place(view, picture, depth, drawing, x, z, foot - 0.5, box)
    place(view, picture, depth, sailboat(warm, cool, (0.75, 0.35, 0.2)), 12.0, 420.0, 0.0, (-7, 7, -0.5, 15))
    place(view, picture, depth, sailboat(warm, cool), -10.0, 105.0, 0.0, (-7, 7, -0.5, 15))

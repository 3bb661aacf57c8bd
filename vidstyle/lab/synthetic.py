"""Synthetic inputs, the same at every call: generated clips and styles, and clips with ground-truth motion.

A camera moves over a picture, so that flow and occlusion are exact. With estimated flow, a painting that was warped
along the same estimate would flicker less than it really does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from vidstyle.errors import DiskError, UsageError
from vidstyle.media.stills import pictures
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.sinks import open_sink
from vidstyle.system.opencv import cv2
from vidstyle.types import ClipInfo, Motion

FPS = Fraction(25)
ASPECT, SMALLEST = 9 / 16, 32  # of a generated clip; pixels of a side
PAN, DISC = (2.6, 0.7), (-1.7, 1.3)  # pixels a frame, x and y, of its background and of its disc, at 512 pixels
FINER = 2  # times the pixels a side at which a frame is drawn before its pixels are averaged, as a sensor does
MARGIN = 1.25  # how much more than the first frame shows the picture holds, a side; beyond it is mirrored
HIDDEN = 4  # frames for which a point of the background is hidden by the bars
EDGE = 2.0  # pixels to either side of an edge that show a mixture, or that interpolation mixes
DRIFT = (0.3, 0.1)  # pixels a frame, x and y
CROSSING = 24  # frames that a bar takes from side to side

Affine = np.ndarray  # (3, 3): an affine map, from a position in the frame to one in the picture, each from its centre


def clip_info(size: int, frames: int) -> ClipInfo:
    """What the generated clip is whose long side is `size`: even sides, which H.264 needs."""
    width, height = (2 * round(max(side, SMALLEST) / 2) for side in (size, size * ASPECT))
    return ClipInfo(width, height, FPS, frames)


def write_clip(folder: Path, size: int, frames: int) -> Path:
    """Write the generated clip as a file in `folder`; its path."""
    info, path = clip_info(size, frames), folder / "clip.mp4"
    with open_sink(path, info, Encoding(crf=10)) as sink:
        for picture in generated_frames(info):
            sink.write(picture)
    return path


def write_style(folder: Path, size: int) -> Path:
    """Write the generated style, square, for such a clip in `folder`; its path."""
    side, path = clip_info(size, 1).width, folder / "style.png"
    with open_sink(path, ClipInfo(side, side, Fraction(1), 1)) as sink:
        sink.write(strokes(side))
    return path


class GeneratedClip:
    """The generated clip as a `types.FrameSequence` that needs no encoder or decoder.

    The pictures wait in files of `folder`, so that they count neither as work nor as memory of the job.
    """

    def __init__(self, folder: Path, size: int, frames: int) -> None:
        self.info = clip_info(size, frames)
        self.files = [folder / f"{number}.npy" for number in range(frames)]
        try:
            for file, picture in zip(self.files, generated_frames(self.info), strict=True):
                np.save(file, picture)
        except OSError as error:
            raise DiskError(f"{folder} cannot be written ({error}); free some space") from error

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The pictures from number `start` on, (H, W, 3) uint8."""
        for file in self.files[start:]:
            yield np.load(file)


def generated_frames(info: ClipInfo) -> Iterator[np.ndarray]:
    """Frames, (H, W, 3) uint8, with detail at all sizes, a pan by fractions of a pixel, and a moving disc in front."""
    width, height = info.width, info.height
    back, front = texture(width, height, seed=1), texture(width, height, seed=2)[..., ::-1]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for number in range(info.frames):
        behind, before = ((number * width / 512 * x, number * width / 512 * y) for x, y in (PAN, DISC))
        across, down = columns - width * 0.6 - before[0], rows - height * 0.4 - before[1]
        disc = np.clip(height * 0.22 - np.hypot(across, down) + 0.5, 0, 1)[..., None]
        picture = (1 - disc) * _moved(back, *behind) + disc * _moved(front, *before)
        yield (picture * 255).round().astype(np.uint8)


def _moved(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    """A picture shifted by pixels, which need not be whole; beyond its border it is mirrored."""
    matrix, size = np.array([[1, 0, x], [0, 1, y]], np.float32), picture.shape[1::-1]
    picture = np.ascontiguousarray(picture)
    shifted = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(shifted, np.float32).clip(0, 1)


def strokes(side: int) -> np.ndarray:
    """The generated style: long bright strokes in a few colours, (side, side, 3) uint8."""
    palette = np.array([[0.93, 0.76, 0.2], [0.85, 0.3, 0.15], [0.1, 0.25, 0.5], [0.08, 0.1, 0.2]], np.float32)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    phase = 40 * (columns + 0.7 * rows) + 30 * texture(side, side, seed=3).mean(-1)
    tone = (np.sin(phase) + 1) / 2 + 0.6 * (texture(side, side, seed=4).mean(-1) - 0.5)
    nearest = np.clip(tone * len(palette), 0, len(palette) - 1).astype(int)
    light = 0.85 + 0.3 * texture(side, side, seed=5)
    picture: np.ndarray = (np.clip(palette[nearest] * light, 0, 1) * 255).astype(np.uint8)
    return picture


def texture(width: int, height: int, *, seed: int) -> np.ndarray:
    """Coloured noise of every octave, the coarse ones strongest, (H, W, 3) float32 in [0, 1]."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    cells, strength = 3, 1.0
    while cells < max(width, height):
        noise = random.standard_normal((cells, cells, 3)).astype(np.float32)
        total += strength * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        cells, strength = 2 * cells, 0.6 * strength
    squeezed: np.ndarray = 1 / (1 + np.exp(-1.5 * total))
    return squeezed


@dataclass(frozen=True)
class Scene:
    """What happens in a clip."""

    path: Callable[[int], Affine]  #: of the camera, by the number of the frame
    noise: float = 0.0  #: standard deviation, in 1/255, another one in every frame
    crossed: bool = False  #: whether bars pass before the background


@dataclass(frozen=True)
class MovingBars:
    """Upright bars, a width of the frame apart, that move to the right before the background."""

    width: float  #: pixels
    apart: float  #: pixels, from middle to middle
    speed: float  #: pixels a frame

    def to_picture(self, number: int) -> Affine:
        """From the frame to the picture that is painted on the bars; the first one's middle is at x = 0 there."""
        return shift(self.apart / 3 - self.speed * number, 0)

    def depth(self, x: np.ndarray, number: int) -> np.ndarray:
        """How far inside a bar positions `x` of the frame are, in pixels; negative outside."""
        there = x + self.to_picture(number)[0, 2]
        depth: np.ndarray = self.width / 2 - np.abs((there + self.apart / 2) % self.apart - self.apart / 2)
        return depth


class SyntheticClip:
    """A `types.FrameSequence`, with its motion.

    Args:
        scene: what happens.
        picture: (H, W, 3) float32 in [0, 1]; the first frame shows its middle.
        size: pixels of the long side of a frame, as in `pictures.fit`.
        frames: how many.
    """

    def __init__(self, scene: Scene, picture: np.ndarray, size: int, frames: int) -> None:
        width, height = pictures.fit(picture.shape[1], picture.shape[0], size)
        self.scene, self.info = scene, ClipInfo(width, height, FPS, frames)
        self.canvas = pictures.resize(picture, *(round(side * MARGIN * FINER) for side in (width, height)))
        speed = max(width / CROSSING, 6.0)
        self.bars = MovingBars(HIDDEN * (speed + DRIFT[0]), width, speed) if scene.crossed else None

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The frames from number `start` on, (H, W, 3) uint8."""
        for number in range(start, self.info.frames):
            yield self.frame(number)

    def frame(self, number: int) -> np.ndarray:
        """One frame, (H, W, 3) uint8. The same one at every call."""
        width, height = self.info.width, self.info.height
        fine = self._seen(self.canvas, self.scene.path(number))
        if self.bars is not None:
            foreground = self._seen(np.ascontiguousarray(self.canvas[::-1, ::-1, ::-1]), self.bars.to_picture(number))
            depth = self.bars.depth(centred(width * FINER) / FINER, number)
            share = (depth * FINER + 0.5).clip(0, 1).astype(np.float32)[:, None]
            fine = (1 - share) * fine + share * foreground
        exact = 255 * cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
        if self.scene.noise:
            exact = exact + np.random.default_rng(number).normal(0, self.scene.noise, exact.shape)
        pixels: np.ndarray = exact.round().clip(0, 255).astype(np.uint8)
        return pixels

    def motion(self, then: int, now: int) -> Motion:
        """How frame `then` became frame `now`. Exact; edges that show a mixture do not count as visible."""
        x, y = np.meshgrid(centred(self.info.width), centred(self.info.height))
        back = np.linalg.inv(self.scene.path(then)) @ self.scene.path(now)
        before = back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2]
        visible = self._inside(*before)
        if self.bars is not None:
            depth, depth_before = self.bars.depth(x, now), self.bars.depth(before[0], then)
            carried = x - self.bars.speed * (now - then)
            visible &= (depth <= -EDGE) & (depth_before <= -EDGE)
            visible |= (depth >= EDGE) & self._inside(carried, y)
            before = np.where(depth > 0, carried, before[0]), np.where(depth > 0, y, before[1])
        flow = np.stack([before[0] - x, before[1] - y]).astype(np.float32)
        return Motion(torch.from_numpy(flow), torch.from_numpy(visible[None].astype(np.float32)))

    def returning(self, now: int) -> Motion | None:
        """The motion since before the crossing of what comes into view again in frame `now`: visible is that alone.

        None if nothing does: too early, or nothing crosses.
        """
        then = now - HIDDEN - 1
        if self.bars is None or then < 0:
            return None
        motion = self.motion(then, now)
        return Motion(motion.flow, motion.visible * (1 - self.motion(now - 1, now).visible))

    def _seen(self, picture: np.ndarray, to_picture: Affine) -> np.ndarray:
        """What the camera sees of a picture, before the pixels are averaged."""
        width, height = self.info.width * FINER, self.info.height * FINER
        matrix = to_picture.copy()
        matrix[:2, 2] *= FINER
        middle = [(side - 1) / 2 for side in picture.shape[1::-1]]
        matrix = shift(*middle) @ matrix @ shift(-(width - 1) / 2, -(height - 1) / 2)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(picture, matrix[:2], (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(seen, np.float32).clip(0, 1)

    def _inside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        inside: np.ndarray = (np.abs(x) <= (self.info.width - 1) / 2) & (np.abs(y) <= (self.info.height - 1) / 2)
        return inside


def synthetic_clip(name: str, picture: np.ndarray, size: int, frames: int) -> SyntheticClip:
    """The clip of that name; for the arguments see `SyntheticClip`. Raises `UsageError` if there is none."""
    if name not in SCENES:
        raise UsageError(f"there is no clip {name!r}; there are {', '.join(SCENES)}")
    return SyntheticClip(SCENES[name], picture, size, frames)


def centred(count: int) -> np.ndarray:
    """The positions of so many pixels in a row, from the middle."""
    positions: np.ndarray = np.arange(count) - (count - 1) / 2
    return positions


def shift(x: float, y: float) -> Affine:
    """By so many pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def turn(degrees: float, scale: float = 1.0) -> Affine:
    """About the centre."""
    cosine, sine = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float64)


def shaken(number: int) -> Affine:
    """A hand that cannot keep still: a random walk, x and y in pixels and an angle in degrees."""
    steps = np.random.default_rng(7).normal(0, (0.8, 0.8, 0.1), (number, 3))
    x, y, degrees = steps.sum(0)
    pose: Affine = shift(x, y) @ turn(degrees)
    return pose


SCENES = {
    "pan": Scene(lambda number: shift(1.5 * number, 0.5 * number)),
    "slow-pan": Scene(lambda number: shift(DRIFT[0] * number, DRIFT[1] * number)),
    "zoom": Scene(lambda number: turn(0, 1.01**-number)),
    "rotation": Scene(lambda number: turn(0.4 * number)),
    "shake": Scene(shaken, noise=1.5),
    "occlusion": Scene(lambda number: shift(DRIFT[0] * number, DRIFT[1] * number), crossed=True),
    "static": Scene(lambda number: shift(0, 0), noise=2.5),
}

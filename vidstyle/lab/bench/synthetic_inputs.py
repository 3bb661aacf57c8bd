"""Synthetic inputs of a benchmark: a generated clip and a generated style picture, the same at every call.

The clip has detail at all sizes, a camera that pans by fractions of a pixel, and a moving disc in front: so there is
flow to estimate, with occlusion and disocclusion.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidstyle.errors import DiskError
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.sinks import open_sink
from vidstyle.system.opencv import cv2
from vidstyle.types import ClipInfo

FPS = 25
PAN, DRIFT = (2.6, 0.7), (-1.7, 1.3)  # pixels a frame, x and y, of the background and of the disc, at 512 pixels
ASPECT = 9 / 16
SMALLEST = 32  # pixels of a side


def write_clip(folder: Path, size: int, frames: int) -> Path:
    """Make a clip whose long side is `size` in `folder`; its path."""
    info, path = info_of(size, frames), folder / "clip.mp4"
    with open_sink(path, info, Encoding(crf=10)) as sink:
        for picture in pictures(info.width, info.height, frames):
            sink.write(picture)
    return path


def write_style(folder: Path, size: int) -> Path:
    """Make a square style picture for such a clip in `folder`; its path."""
    side, path = info_of(size, 1).width, folder / "style.png"
    with open_sink(path, ClipInfo(side, side, Fraction(1), 1)) as sink:
        sink.write(strokes(side))
    return path


class GeneratedClip:
    """The same clip as a `types.FrameSequence` that needs no encoder or decoder.

    The pictures wait in files of `folder`, so that they count neither as work nor as memory of the job.
    """

    def __init__(self, folder: Path, size: int, frames: int) -> None:
        self.info = info_of(size, frames)
        self.files = [folder / f"{number}.npy" for number in range(frames)]
        try:
            for file, picture in zip(self.files, pictures(self.info.width, self.info.height, frames), strict=True):
                np.save(file, picture)
        except OSError as error:
            raise DiskError(f"{folder} cannot be written ({error}); free some space") from error

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The pictures from number `start` on, (H, W, 3) uint8."""
        for file in self.files[start:]:
            yield np.load(file)


def info_of(size: int, frames: int) -> ClipInfo:
    """What the clip is whose long side is `size`."""
    width, height = even(max(size, SMALLEST)), even(max(size * ASPECT, SMALLEST))
    return ClipInfo(width, height, Fraction(FPS), frames)


def pictures(width: int, height: int, frames: int) -> Iterator[np.ndarray]:
    """The frames of the clip, (H, W, 3) uint8."""
    pace = width / 512
    back = texture(width, height, seed=1)
    front = texture(width, height, seed=2)[..., ::-1]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for number in range(frames):
        behind, before = ((number * pace * x, number * pace * y) for x, y in (PAN, DRIFT))
        across, down = columns - width * 0.6 - before[0], rows - height * 0.4 - before[1]
        disc = np.clip(height * 0.22 - np.hypot(across, down) + 0.5, 0, 1)[..., None]
        picture = (1 - disc) * moved(back, behind) + disc * moved(front, before)
        yield (picture * 255).round().astype(np.uint8)


def strokes(side: int) -> np.ndarray:
    """A picture of long bright strokes in a few colours, (side, side, 3) uint8."""
    palette = np.array([[0.93, 0.76, 0.2], [0.85, 0.3, 0.15], [0.1, 0.25, 0.5], [0.08, 0.1, 0.2]], np.float32)
    picture = np.empty((side, side, 3), np.uint8)
    field = texture(side, side, seed=3).mean(-1)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    phase = 40 * (columns + 0.7 * rows) + 30 * field
    tone = (np.sin(phase) + 1) / 2 + 0.6 * (texture(side, side, seed=4).mean(-1) - 0.5)
    nearest = np.clip(tone * len(palette), 0, len(palette) - 1).astype(int)
    light = 0.85 + 0.3 * texture(side, side, seed=5)
    picture[:] = np.clip(palette[nearest] * light, 0, 1) * 255
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


def moved(picture: np.ndarray, by: tuple[float, float]) -> np.ndarray:
    """A picture shifted by (x, y) pixels, which need not be whole; beyond its border it is mirrored."""
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float32)
    size = (picture.shape[1], picture.shape[0])
    shifted = cv2.warpAffine(
        np.ascontiguousarray(picture), matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(shifted, np.float32).clip(0, 1)


def even(number: float) -> int:
    """The nearest even whole number that is not zero: H.264 likes those."""
    return max(2 * round(number / 2), 2)

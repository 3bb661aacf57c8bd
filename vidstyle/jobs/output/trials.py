"""Trials of a GIF's reductions on a sample of its frames: the size of the whole, and the error against the painting.

The error is the mean squared difference in Oklab at the painted size, blurred a little, since a fine grain is not seen
as such; of each frame, so that frames left out count by what is shown in their place; and the same of the change from
frame to frame, so that flicker and jerks count, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise

import av
import numpy as np

from vidstyle.jobs.output.reductions import Reduction, Trial
from vidstyle.media.stills.pictures import resize
from vidstyle.media.writers import animations
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.palette import Reducer, choose, oklab, squared
from vidstyle.system.opencv import cv2
from vidstyle.types import ClipInfo

FULL = Encoding()
RUN = 30  # frames of a sample that follow each other: what changes slowly and is held back shows only after a while
AT = (0.2, 0.7)  # where in the clip samples are taken
TILES = 3, 2  # of a sample, in each direction
PIXELS = 40_000  # of a sample
BLUR = 1.0  # pixels of the painted size


class GifTrials:
    """Measures reductions of a GIF on a sample of its frames: tiles of some that follow each other.

    Args:
        frames: all of them, in the order shown, (H, W, 3 or 4) uint8; read once, and only the sample is kept.
        info: of them.
    """

    def __init__(self, frames: Iterable[np.ndarray], info: ClipInfo) -> None:
        self.info = info
        numbers = _runs(info.frames)
        kept: dict[int, np.ndarray] = {}
        samples = []
        for number, frame in enumerate(frames):
            samples.append(animations.sample(frame, info.frames, number))
            if any(number in run for run in numbers):
                kept[number] = _tiled(frame)
        self._samples = animations.joined(samples)
        self._runs = [[kept[number] for number in run] for run in numbers]
        self._true = [[_blurred(oklab(frame[:, :, :3])) for frame in run] for run in self._runs]
        self._palette = cache(lambda count: choose(self._samples, count))
        self._measured: dict[Reduction, Trial] = {}

    def __call__(self, reduction: Reduction) -> Trial:
        """Measure a reduction, once; later calls return the same."""
        if reduction not in self._measured:
            self._measured[reduction] = self._measure(reduction)
        return self._measured[reduction]

    def _measure(self, reduction: Reduction) -> Trial:
        height, width = self._runs[0][0].shape[:2]
        scale = reduction.size(self.info)[0] / self.info.width
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        step, encoding = 1 + reduction.slower, reduction.encoding(FULL)
        reducer = Reducer(self._palette(encoding.colors), encoding.dither, encoding.still)
        first, later, errors = [], [], []
        for run, true in zip(self._runs, self._true, strict=True):
            reducer.restart()
            pixels = [resize(frame, *size) for frame in run[::step]]
            shown = [reducer(one[:, :, :3]) for one in pixels]
            sizes = _sizes(list(map(animations.cleared, shown, pixels)), reducer.colors)
            first.append(sizes[0])
            later += sizes[1 + len(sizes) // 3 :] if len(self._runs) > 1 else sizes[1:]  # the first ones change less
            errors.append(_error([reducer.labs[one] for one in shown], true, step))
        count = -(-self.info.frames // step)
        area = self.info.width * self.info.height / (width * height)
        whole = area * (np.mean(first) + (count - 1) * np.mean(later or first))
        return Trial(float(whole), float(np.mean(errors)))


def _error(shown: Sequence[np.ndarray], true: Sequence[np.ndarray], step: int) -> float:
    """Root of the mean squared error of the frames of a run, and of their changes, in hundredths of lightness."""
    size = true[0].shape[1::-1]
    seen = [_blurred(cv2.resize(lab, size, interpolation=cv2.INTER_LINEAR)) for lab in shown]
    off = [seen[number // step] - one for number, one in enumerate(true)]
    error = np.mean([squared(one).mean() for one in off])
    changes = [squared(b - a).mean() for a, b in pairwise(off)]
    return float(100 * np.sqrt(error + (np.mean(changes) if changes else 0)))


def _blurred(lab: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), BLUR))


def _tiled(frame: np.ndarray) -> np.ndarray:
    """A smaller frame, made of tiles from all over a large one."""
    height, width = frame.shape[:2]
    scale = min((PIXELS / (width * height)) ** 0.5, 1)
    if scale == 1:
        return frame
    columns, rows = (_slices(side, scale, count) for side, count in zip((width, height), TILES, strict=True))
    return np.vstack([np.hstack([frame[row, column] for column in columns]) for row in rows])


def _slices(side: int, scale: float, count: int) -> list[slice]:
    """The middle of each of so many equal parts of a side, together `scale` of it."""
    length = max(int(side * scale / count), 1)
    starts = [round((number + 0.5) * side / count - length / 2) for number in range(count)]
    return [slice(start, start + length) for start in starts]


def _runs(frames: int) -> list[range]:
    """The frame numbers of the sample."""
    if frames <= 3 * RUN:
        return [range(frames)]
    starts = [round(at * (frames - RUN)) for at in AT]
    return [range(start, start + RUN) for start in starts]


def _sizes(shown: Sequence[np.ndarray], colors: np.ndarray) -> list[int]:
    """Bytes of each picture of a GIF."""
    encoder = av.CodecContext.create("gif", "w")
    animations.set_up(encoder, shown[0].shape[1], shown[0].shape[0])
    sizes = []
    for number, one in enumerate(shown):
        sizes += [packet.size for packet in encoder.encode(animations.picture(one, colors, number))]  # type: ignore[attr-defined]
    return sizes

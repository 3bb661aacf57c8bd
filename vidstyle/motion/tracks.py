"""Where the pixels of a clip's frames are in one of them, and what a mask of that one is in the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch

from vidstyle.motion.flow import STEADY, Estimator, no_motion
from vidstyle.system.opencv import cv2
from vidstyle.types import Motion

LIKE = 12.0  # grey levels, root mean square around a pixel, up to which two places look the same
GRAIN = 1.5  # pixels, sigma of the neighbourhood that is compared
TRUSTED = 0.5  # visibility of a place by which light is compared
LIT = 0.1  # share of a picture that must be compared to tell how the light has changed
NEGLIGIBLE = 0.002  # share of a picture that is not looked for in further frames
KEY = 0  # instead of a lag: the key frame itself
WINDOW = 7  # pixels from what is unknown within which similar places are looked for
SIMILAR = 12.0  # grey levels, sigma of their likeness
RINGS = 64  # pixels by which known places grow into unknown ones at most; the rest stays what it was


class Track:
    """The motion between a key frame and those that are given after it, one after the other, in either direction.

    Positions are composed from picture to picture, so that what is carried along them is interpolated once, however
    far. Where the picture then does not look like the key frame, which is so at what an object hides or uncovers, it is
    compared with the key frame directly, and with pictures further back; what looks most alike is taken.

    Args:
        estimate: of the motion between two pictures.
        key: the picture of the key frame, (H, W, 3) uint8.
        lags: how many pictures back to look, besides 1.
    """

    def __init__(self, estimate: Estimator, key: np.ndarray, lags: Sequence[int] = ()) -> None:
        self.estimate, self.key, self.lags = estimate, key, (1, KEY, *sorted(lags))
        self.rows, self.columns = np.indices(key.shape[:2], np.float32)
        self._before: deque[tuple[np.ndarray, Motion]] = deque(maxlen=max(self.lags))
        self._before.appendleft((key, no_motion(*key.shape[:2])))

    def add(self, picture: np.ndarray) -> Motion:
        """The motion from the key frame to the next picture; visible is what looks the same in both."""
        height, width = picture.shape[:2]
        flow, least = np.zeros((2, height, width), np.float32), np.full((height, width), np.inf, np.float32)
        key = self.key.astype(np.float32)
        for lag in self.lags:
            if lag > len(self._before) or (lag != 1 and (least > LIKE**2).mean() <= NEGLIGIBLE):
                break
            earlier, known = self._before[lag - 1] if lag != KEY else (self.key, no_motion(height, width))
            step = no_motion(height, width) if np.array_equal(earlier, picture) else self.estimate(earlier, picture)
            self._stepped(lag, earlier, picture, step)
            found, visible = self._composed(known, step)
            x, y = self.columns + found[0], self.rows + found[1]
            outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
            if lag == 1:
                key = relit(key, self._sampled(key, found), picture, visible)
            unlike = self._unlike(key, picture, found) + LIKE**2 / 2 * (1 - visible)
            unlike = np.where(outside, np.inf, unlike).astype(np.float32)
            flow, least = np.where(unlike < least, found, flow), np.minimum(unlike, least)
        seen = torch.from_numpy((least <= LIKE**2).astype(np.float32)[None])
        motion = Motion(torch.from_numpy(flow), seen)
        self._before.appendleft((picture, motion))
        return motion

    def _stepped(self, lag: int, earlier: np.ndarray, picture: np.ndarray, step: Motion) -> None:
        """Take note of the motion from an earlier picture to the next one."""

    def _sampled(self, image: np.ndarray, flow: np.ndarray) -> np.ndarray:
        """A picture (H, W) or (H, W, C) where the flow leads to, bilinear, its border repeated."""
        places = self.columns + flow[0], self.rows + flow[1]
        return np.asarray(cv2.remap(image, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    def _composed(self, first: Motion, then: Motion) -> tuple[np.ndarray, np.ndarray]:
        """A motion after another: flow (2, H, W) and visibility (H, W) from the last frame to the very first."""
        flow = then.flow.numpy()
        x, y, seen = (self._sampled(one, flow) for one in (*first.flow.numpy(), first.visible[0].numpy()))
        return np.stack([flow[0] + x, flow[1] + y]), seen * then.visible[0].numpy()

    def _unlike(self, source: np.ndarray, target: np.ndarray, flow: np.ndarray) -> np.ndarray:
        """The mean square difference around each pixel of `target` from where the flow leads to in `source`, (H, W)."""
        apart = np.square(self._sampled(source.astype(np.float32), flow) - target).mean(axis=2)
        return np.asarray(cv2.GaussianBlur(apart, (0, 0), GRAIN, borderType=cv2.BORDER_REPLICATE))


class MaskTrack(Track):
    """A mask of a key frame in the frames that are given after it. The arguments are those of `Track`.

    Where a frame shows what the key frame does not, the mask is that of an earlier frame which does; where none does,
    it is that of what looks similar around.

    Args:
        mask: of the key frame, (H, W) uint8.
    """

    def __init__(self, estimate: Estimator, key: np.ndarray, mask: np.ndarray, lags: Sequence[int] = ()) -> None:
        super().__init__(estimate, key, lags)
        self.mask = mask.astype(np.float32)
        full = np.ones(mask.shape, np.float32)
        self._masks: deque[tuple[np.ndarray, np.ndarray]] = deque([(self.mask, full)], maxlen=max(self.lags))
        self._chained, self._least = self.mask, full

    def next(self, picture: np.ndarray) -> np.ndarray:
        """The mask of the next picture, (H, W) uint8."""
        self._chained, self._least = np.zeros_like(self.mask), np.full(self.mask.shape, np.inf, np.float32)
        motion = self.add(picture)
        seen = motion.visible[0].numpy() > 0
        found = np.where(seen, self._sampled(self.mask, motion.flow.numpy()), self._chained)
        known = seen | (self._least <= LIKE**2)
        found = filled(found, known, picture)
        self._masks.appendleft((found, known.astype(np.float32)))
        mask: np.ndarray = np.rint(found).clip(0, 255).astype(np.uint8)
        return mask

    def mend(self, mask: np.ndarray) -> None:
        """Let the mask of the last picture be another one, (H, W) uint8."""
        self._masks[0] = mask.astype(np.float32), self._masks[0][1]

    def _stepped(self, lag: int, earlier: np.ndarray, picture: np.ndarray, step: Motion) -> None:
        if lag == KEY:
            return
        flow, (mask, known) = step.flow.numpy(), self._masks[lag - 1]
        doubt = 1 - step.visible[0].numpy() + (1 - self._sampled(known, flow)) / 2
        unlike = self._unlike(earlier, picture, flow) + LIKE**2 * doubt
        self._chained = np.where(unlike < self._least, self._sampled(mask, flow), self._chained)
        self._least = np.minimum(unlike, self._least)


def relit(key: np.ndarray, there: np.ndarray, picture: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """A picture in the light of another: each colour gets the mean and the deviation that it has there.

    Args:
        key: (H, W, 3) float32.
        there, picture: the same places in both, (H, W, 3).
        visible: (H, W), where these are the same places.
    """
    same = visible > TRUSTED
    if same.mean() < LIT:
        return key
    then, now = there[same], picture[same].astype(np.float32)
    deviation, wanted = then.std(0) + 1, now.std(0) + 1
    if np.all(np.abs(now.mean(0) - then.mean(0)) + np.abs(wanted - deviation) <= STEADY * deviation):
        return key
    found: np.ndarray = (key - then.mean(0)) * (wanted / deviation) + now.mean(0)
    return found.astype(np.float32)


def filled(mask: np.ndarray, known: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """A mask (H, W) whose unknown pixels have the mean of known ones around them, weighted by likeness of colour.

    From the known pixels outwards, one ring of pixels after the other.
    """
    mask, known, colors = mask.copy(), known.copy(), picture.astype(np.float32)
    height, width = mask.shape
    offsets = np.stack(np.meshgrid(*2 * [np.arange(-WINDOW, WINDOW + 1)]), -1).reshape(-1, 2)
    near = np.exp(-np.square(offsets).sum(1) / (WINDOW**2 / 2)).astype(np.float32)
    for _ in range(RINGS):
        ring = cv2.dilate(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~known
        rows, columns = np.nonzero(ring)
        if not len(rows):
            break
        y = np.clip(rows[:, None] + offsets[:, 1], 0, height - 1)
        x = np.clip(columns[:, None] + offsets[:, 0], 0, width - 1)
        apart = np.square(colors[y, x] - colors[rows, columns][:, None]).mean(-1)
        weights = near * np.exp(-apart / (2 * SIMILAR**2)) * known[y, x] + np.float32(1e-12) * known[y, x]
        mask[rows, columns] = (weights * mask[y, x]).sum(1) / weights.sum(1)
        known[rows, columns] = True
    return mask

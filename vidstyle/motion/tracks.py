"""Where the pixels of a clip's frames are in one of them, from optical flow that is composed frame after frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch

from vidstyle.motion.flow import Estimator, no_motion
from vidstyle.system.opencv import cv2
from vidstyle.types import Motion

SEEN = 0.5  # visibility from which a pixel is not looked for further back
NEGLIGIBLE = 0.002  # share of a picture that is not looked for further back
SEAM = 3  # pixels a side of the neighbourhood with which seams between motions go along, which visibility leaves out


class Track:
    """The motion between a frame and those that are given after it, one after the other, in either direction.

    Positions are composed, so that what is carried along them is interpolated once, however far. What one frame hides
    is looked for further back, as in a painting.

    Args:
        estimate: of the motion between two pictures.
        key: the picture of the frame, (H, W, 3) uint8.
        lags: how many pictures back a hidden pixel is looked for, besides 1.
    """

    def __init__(self, estimate: Estimator, key: np.ndarray, lags: Sequence[int] = ()) -> None:
        self.estimate, self.key, self.lags = estimate, key, (1, *sorted(lags))
        self._before: deque[tuple[np.ndarray, Motion]] = deque(maxlen=self.lags[-1])
        self._before.appendleft((key, no_motion(*key.shape[:2])))

    def add(self, picture: np.ndarray) -> Motion:
        """The motion from the key frame to the next picture."""
        flow, visible = None, np.zeros(picture.shape[:2], np.float32)
        for lag in self.lags:
            if lag > len(self._before) or (flow is not None and (visible < SEEN).mean() <= NEGLIGIBLE):
                break
            earlier, known = self._before[lag - 1]
            found, seen = composed(known, self._between(earlier, picture))
            if flow is None:
                flow, visible = found, seen
            else:
                better = (visible < SEEN) & (seen > visible)
                flow, visible = np.where(better, found, flow), np.where(better, seen, visible)
        assert flow is not None
        motion = Motion(torch.from_numpy(flow), torch.from_numpy(visible[None]))
        self._before.appendleft((picture, motion))
        return motion

    def _between(self, earlier: np.ndarray, picture: np.ndarray) -> Motion:
        return no_motion(*picture.shape[:2]) if np.array_equal(earlier, picture) else self.estimate(earlier, picture)


def composed(first: Motion, then: Motion) -> tuple[np.ndarray, np.ndarray]:
    """A motion after another: flow (2, H, W) and visibility (H, W) of both, from the last frame to the very first."""
    flow = then.flow.numpy()
    height, width = flow.shape[1:]
    rows, columns = np.indices((height, width), np.float32)
    places = columns + flow[0], rows + flow[1]
    known = [*first.flow.numpy(), first.visible[0].numpy()]
    x, y, seen = (cv2.remap(one, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for one in known)
    own = cv2.dilate(then.visible[0].numpy(), np.ones((SEAM, SEAM), np.uint8))
    return np.stack([flow[0] + x, flow[1] + y]), seen * own

"""Where a clip cuts from one shot to the next."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

LONG_SIDE = 256  # pixels; a cut shows at any size, and the cost goes with the area
WINDOW = 2  # frames on either side that a cut must stand out from
SHORTEST_SHOT = 6  # frames


class CutDetector:
    """Finds hard cuts in frames fed one by one; a few small pictures are all it holds.

    PySceneDetect's adaptive detector compares the change into each frame with the changes around it, so fast motion
    alone is no cut. On top of that a flash is no cut: the picture comes back after it. Fades and dissolves are none
    either, since optical flow can follow them. Not seen: a cut within two frames of another, of a flash or of an end.
    """

    def __init__(self) -> None:
        self._detector = AdaptiveDetector(window_width=WINDOW, min_scene_len=SHORTEST_SHOT)
        self._recent: deque[np.ndarray] = deque(maxlen=2 * WINDOW + 2)
        self._count = 0
        self._cuts: list[int] = []

    def add(self, image: np.ndarray) -> None:
        """Look at the next frame, (H, W, 3) uint8 RGB."""
        scale = min(1.0, LONG_SIDE / max(image.shape[:2]))
        size = tuple(max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
        small = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
        self._recent.append(small)
        # The rate of the timecode plays no part: everything is counted in frames.
        for cut in self._detector.process_frame(FrameTimecode(self._count, fps=25.0), small):
            if not self._is_flash():
                self._cuts.append(cut.frame_num)
        self._count += 1

    def cuts(self) -> list[int]:
        """Numbers of the frames so far that start a new shot; the first frame of all is not among them."""
        return list(self._cuts)

    def _is_flash(self) -> bool:
        """Whether the change just found is undone, or undoes one: two pictures across it are alike."""
        *before, last, changed = list(self._recent)[:-WINDOW]
        after = list(self._recent)[-WINDOW:]
        across = [_distance(one, other) for one in (*before, last) for other in (changed, *after)]
        return min(across) < _distance(last, changed) / 2


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(cv2.absdiff(one, other)))

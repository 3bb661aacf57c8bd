"""Shot detection: the cuts of a clip, and its flashes and other frames in which the shot cannot be seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vidstyle.system.opencv import cv2

LONG_SIDE, SHORTEST_SIDE = 160, 32  # pixels; the cost goes with the area, and OpenCV's DIS takes no shorter side
CONTRAST = 50.0  # grey levels, standard deviation, to which pictures are brought
FLAT = 1.5  # grey levels, standard deviation, below which a picture shows nothing
CUT = 70.0  # change that may be a cut, of 100
BRIGHT = 45.0  # grey levels between a flat picture and another that are as much
PROMINENT = 2.5  # times the mean change around it that a cut is
WINDOW = 2  # frames on either side that are around it
SUDDEN = 30.0  # change that may be a flash
FLASH = 2  # frames of the longest flash


class CutDetector:
    """Detects cuts, and flashes and flat frames, in frames added one by one; holds a few thumbnails.

    What is measured is how much of a picture the motion from the one before leaves unexplained, whatever the light. A
    cut is where that exceeds the mean around it, which is the rule of PySceneDetect's adaptive detector. (Of that
    detector's own measure, differences of hue, saturation and value, half of the cuts between moving shots do not stand
    out, and the ends of fades do.) A flash is no cut, since what comes after it is what was before; nor is black
    between two halves of a shot.

    Whether there is a cut does not depend on the frames beyond the next ones: in a shot alone none is found.
    """

    def __init__(self) -> None:
        self._changes: list[float] = []  # into each frame
        self._recent: deque[_Thumbnail] = deque(maxlen=FLASH + 1)
        self._flat: set[int] = set()
        self._seen: tuple[int, _Thumbnail] | None = None  # the last picture that is not flat, and its number
        self._gaps: dict[tuple[int, int], float] = {}  # by first frame and end: the change across

    def add(self, image: np.ndarray) -> None:
        """Add the next frame, (H, W, 3) uint8 RGB."""
        number, now = len(self._changes), _thumbnail(image)
        self._changes.append(_change(self._recent[-1], now) if self._recent else 0.0)
        if now.flat:
            self._flat.add(number)
        else:
            self._compare_across(number, now)
            self._seen = number, now
        self._recent.append(now)

    def cuts(self) -> list[int]:
        """Numbers of the frames so far that start a new shot; the first frame of all is not among them."""
        changes = self._changes.copy()
        for first, end, change in self._interruptions():
            changes[first : end + 1] = [*[0.0] * (end - first), change]
        return _divided(changes, 0, len(changes))

    def flashes(self) -> frozenset[int]:
        """Numbers of the frames so far in which the shot cannot be seen: flashes, black and other flat pictures."""
        return frozenset(self._flat).union(*(range(first, end) for first, end, _ in self._interruptions()))

    def _compare_across(self, number: int, now: _Thumbnail) -> None:
        """Compare the picture after what may be an interruption with the one before it."""
        changes, gaps = self._changes, {}
        for first in range(max(number - FLASH, 1), number):
            if min(changes[first], changes[number]) > SUDDEN:
                gaps[first] = self._recent[first - number - 1]
        blank = self._seen is not None and self._recent[-1].flat
        if blank and self._seen is not None:
            gaps[self._seen[0] + 1] = self._seen[1]
        for first, before in gaps.items():
            if before.flat:
                continue
            change = _change(before, now)
            if change < min(changes[first], changes[number]) / 2:
                self._gaps[first, number] = change
            elif blank and change >= CUT:  # another shot begins, where it changes more
                end = max(first, number, key=changes.__getitem__)
                changes[end] = max(changes[end], change)

    def _interruptions(self) -> Iterator[tuple[int, int, float]]:
        """First frame, end and change across of the gaps that shots go on behind, none within another."""
        free = 0
        for (first, end), change in sorted(self._gaps.items()):
            if first > free:
                yield first, end, change
                free = end


def _divided(changes: Sequence[float], first: int, end: int) -> list[int]:
    """The cuts between two frames; what cuts leave between them is looked at again, each shot for itself."""
    found = [first + number for number in _prominent([0.0, *changes[first + 1 : end]])]
    if not found:
        return []
    parts = pairwise([first, *found, end])
    return sorted([*found, *(cut for part in parts for cut in _divided(changes, *part))])


def _prominent(changes: Sequence[float]) -> list[int]:
    """Numbers of the changes that stand out from those around them. Before and after all of them nothing changes."""
    padded, found = [*[0.0] * WINDOW, *changes, *[0.0] * WINDOW], []
    for number, change in enumerate(changes):
        after = number + WINDOW + 1
        around = sum(padded[number : number + WINDOW] + padded[after : after + WINDOW]) / (2 * WINDOW)
        if change >= CUT and change >= PROMINENT * around:
            found.append(number)
    return found


@dataclass(frozen=True, eq=False)
class _Thumbnail:
    """A small grey picture, as it is and with its brightness and contrast brought to the same for all."""

    grey: np.ndarray  #: (H, W) uint8
    even: np.ndarray  #: (H, W) uint8
    flat: bool


def _thumbnail(image: np.ndarray) -> _Thumbnail:
    scale = min(1.0, LONG_SIDE / max(image.shape[:2]))
    size = tuple(max(SHORTEST_SIDE, round(side * scale)) for side in (image.shape[1], image.shape[0]))
    grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    mean, deviation = float(grey.mean()), float(grey.std())
    even = (grey - np.float32(mean)) * np.float32(CONTRAST / max(deviation, FLAT)) + 128
    return _Thumbnail(grey, even.clip(0, 255).astype(np.uint8), deviation < FLAT)


def _change(then: _Thumbnail, now: _Thumbnail) -> float:
    """How much of `now` does not come from `then`, 0 to 100: what motion does not explain; where nothing shows, light.

    From one photograph or painting to an unrelated one, among 34, at least 81; within a shot nearly always below 40.
    """
    if then.flat or now.flat:
        return min(100.0, float(cv2.absdiff(then.grey, now.grey).mean()) * CUT / BRIGHT)
    change = _unexplained(then.even, now.even)
    if change > SUDDEN:  # it may have moved further than the search sees
        moved, share = _shifted(then.even, now.even)
        change = min(change, 100 - share * (100 - _unexplained(moved, now.even)))
    return change


def _unexplained(then: np.ndarray, now: np.ndarray) -> float:
    """What is missing, of 100, in the correlation along the flow times the share of it that leads there and back."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    backward = search.calc(now, then, None)  # type: ignore[call-overload]
    forward = search.calc(then, now, None)  # type: ignore[call-overload]
    u, v = cv2.split(backward)
    rows, columns = np.indices(u.shape, np.float32)
    carried, back = (
        cv2.remap(what, columns + u, rows + v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for what in (then, forward)
    )
    x, y = cv2.split(back)
    agreed = np.square(u + x) + np.square(v + y) < 0.01 * (u * u + v * v + x * x + y * y) + 0.5
    alike = cv2.matchTemplate(carried, now, cv2.TM_CCOEFF_NORMED).item()
    return 100 * (1 - max(alike, 0.0) * float(agreed.mean()))


def _shifted(then: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, float]:
    """`then`, moved as a whole to where it fits `now` best, and the share of the picture that it still covers."""
    height, width = now.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(then.astype(np.float32), now.astype(np.float32), window)
    shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
    moved = cv2.warpAffine(then, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return moved, max(1 - abs(x) / width, 0.0) * max(1 - abs(y) / height, 0.0)

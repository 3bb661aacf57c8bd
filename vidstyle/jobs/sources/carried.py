"""Masks of one frame that are carried through its shot along the optical flow."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np

from vidstyle.errors import UsageError
from vidstyle.media.stills import pictures
from vidstyle.motion.flow import Estimator
from vidstyle.motion.tracks import MaskTrack
from vidstyle.system.opencv import cv2
from vidstyle.types import FrameSequence

BLOCK = 16  # frames that are decoded at once where they are read backwards

Decode = Callable[[int], Generator[np.ndarray]]  # the pictures from a number on, (H, W, 3) uint8
Refine = Callable[[np.ndarray, np.ndarray], np.ndarray]  # a better mask from a picture and its mask


@dataclass(frozen=True, eq=False)
class Seen:
    """The pictures of a sequence that motion is estimated from: in a flash, the last one before it."""

    sequence: FrameSequence
    width: int  #: pixels of the painting
    height: int
    shots: Sequence[int]  #: numbers of the frames that begin one, in order
    flashes: frozenset[int]  #: numbers of the frames from which no motion can be estimated

    def decode(self, start: int) -> Generator[np.ndarray]:
        """Those of the frames from number `start` on, (H, W, 3) uint8."""
        first, seen = self.unflashed(start), None
        with closing(self.sequence.decode(first)) as decoded:
            for index, picture in enumerate(decoded, first):
                if seen is None or index not in self.flashes or index in self.shots:
                    seen = pictures.resize(picture, self.width, self.height)
                if index >= start:
                    yield seen

    def unflashed(self, first: int) -> int:
        """The last frame up to `first` that motion can be estimated from, or with which its shot begins."""
        while first in self.flashes and first not in self.shots:
            first -= 1
        return first

    def shot(self, index: int) -> range:
        """The frames of the shot that a frame is in."""
        place = bisect.bisect_right(self.shots, index)
        return range(self.shots[place - 1], self.shots[place] if place < len(self.shots) else self.sequence.info.frames)


@dataclass(frozen=True, eq=False)
class Carrier:
    """What carries the masks of single frames through a clip."""

    seen: Seen
    estimate: Estimator
    lags: Sequence[int]  #: how many frames back what is hidden is looked for
    first: int = 0  #: number of the first frame in the file

    @property
    def numbers(self) -> range:
        """Of the frames that are painted, in the file."""
        return range(self.first, self.first + self.seen.sequence.info.frames)

    def carried(self, mask: np.ndarray, frame: int, refine: Refine | None = None) -> CarriedMask:
        """The mask (H, W) uint8 of a frame, by its number in the file, in all frames; each refined, if it is to be."""
        return CarriedMask(self, pictures.resize(mask, self.seen.width, self.seen.height), frame - self.first, refine)


class CarriedMask:
    """A mask of one frame, carried through its shot; black in other shots. Kept compressed as far as it was needed."""

    def __init__(self, carrier: Carrier, mask: np.ndarray, key: int, refine: Refine | None = None) -> None:
        self.carrier, self.mask, self.key, self.refine = carrier, mask, key, refine
        self._found = {key: _packed(mask)}
        self._onward: Iterator[np.ndarray] | None = None
        self._lock = threading.Lock()

    def decode(self, start: int) -> Generator[np.ndarray]:
        """The masks from that of frame `start` on, (H, W) uint8."""
        nothing, shot = np.zeros_like(self.mask), self.carrier.seen.shot(self.key)
        for index in range(start, self.carrier.seen.sequence.info.frames):
            yield self._at(index, shot) if index in shot else nothing

    def _at(self, index: int, shot: range) -> np.ndarray:
        with self._lock:
            if index < self.key and index not in self._found:
                seen = backwards(self.carrier.seen.decode, shot.start, self.key + 1)
                for number, mask in zip(range(self.key - 1, shot.start - 1, -1), self._tracked(seen), strict=True):
                    self._found[number] = _packed(mask)
            if self._onward is None:
                self._onward = self._tracked(self.carrier.seen.decode(self.key))
            while index not in self._found:
                self._found[max(self._found) + 1] = _packed(next(self._onward))
            return np.asarray(cv2.imdecode(self._found[index], cv2.IMREAD_GRAYSCALE))

    def _tracked(self, seen: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The masks of all but the first of some pictures, which is that of the key frame."""
        track = MaskTrack(self.carrier.estimate, next(seen), self.mask, self.carrier.lags)
        for picture in seen:
            mask = track.next(picture)
            if self.refine is not None:
                mask = self.refine(picture, mask)
                track.mend(mask)
            yield mask


def require_painted(frame: int, numbers: range, text: str) -> None:
    """Raise `UsageError` for the number of a frame, in the file, that is not among those that are painted."""
    if frame not in numbers:
        raise UsageError(
            f"{text}: frame {frame} is not painted; frames {numbers[0]} to {numbers[-1]} are, counted from 0 in the "
            "file as --shots does"
        )


def backwards(decode: Decode, first: int, end: int) -> Iterator[np.ndarray]:
    """The pictures from before `end` back to `first`, of which few are in memory at once."""
    for stop in range(end, first, -BLOCK):
        start = max(stop - BLOCK, first)
        with closing(decode(start)) as decoded:
            yield from reversed(list(islice(decoded, stop - start)))


def _packed(mask: np.ndarray) -> np.ndarray:
    """As PNG: a mask takes few bytes so."""
    return cv2.imencode(".png", mask)[1]

"""The frame that is being painted, as far as it is, in a file of the job folder for those who watch a slow job."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from vidstyle.media.stills.codecs import encode
from vidstyle.media.stills.pictures import resize
from vidstyle.system.files import write_inside

GROWING = "growing.jpg"
EVERY = 2.0  # seconds between two writes, at least, and before the first one of a frame
SHARE = 0.01  # of the time that may be spent on it
SIZE = 640  # pixels of the long side
QUALITY = 85


class GrowingPicture:
    """Writes the picture now and then; nothing depends on it, so a disk error is no error here.

    Args:
        folder: of a job whose lock this process holds.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / GROWING
        self._there = False
        self._next = time.perf_counter() + EVERY

    def __call__(self, make: Callable[[], np.ndarray]) -> None:
        """Write the picture that `make` gives, if it is time."""
        began = time.perf_counter()
        if began < self._next:
            return
        picture = make()
        height, width = picture.shape[:2]
        scale = min(SIZE / max(height, width), 1)
        small = resize(picture, max(round(width * scale), 1), max(round(height * scale), 1))
        with suppress(OSError):
            write_inside(self._path, encode(small, ".jpg", quality=QUALITY))
            self._there = True
        now = time.perf_counter()
        self._next = now + max(EVERY, (now - began) / SHARE)

    def saved(self) -> None:
        """The frame is painted: its own file is shown from now on."""
        if self._there:
            with suppress(OSError):
                self._path.unlink()
            self._there = False
        self._next = max(self._next, time.perf_counter() + EVERY)

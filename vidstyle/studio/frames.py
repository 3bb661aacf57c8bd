"""The frames that a job has painted, beside those that it was painted from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path

import numpy as np

from vidstyle.api import JobStatus
from vidstyle.errors import MediaError, VidstyleError
from vidstyle.media.stills.pictures import load_content, resize
from vidstyle.settings import ReadingSettings
from vidstyle.studio.library import jpeg
from vidstyle.studio.queue import Queue

KEPT = 400  # frames of contents that are kept, some 20 MB
SHOWN = 960  # pixels of the long side of a content


class Frames:
    """Painted frames as they lie in the job folder, and the content of each."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._lock = threading.Lock()
        self._contents: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._decoding: tuple[str, int, Generator[np.ndarray]] | None = None  # a clip, and which frame comes next

    def painted(self, key: str, number: int) -> bytes | None:
        """The PNG of a painted frame; None if it is not there."""
        return self.queue.watcher(key).file(number)

    def growing(self, key: str) -> bytes | None:
        """A JPEG of the frame that is being painted; None if there is none."""
        return self.queue.watcher(key).growing()

    def content(self, key: str, number: int) -> bytes | None:
        """A JPEG of what a frame was painted from; None if that is not known (any more)."""
        status = self.queue.status(key)
        if not 0 <= number < status.frames:
            return None
        moves = self.queue[key].job == "video"
        number = number if moves else 0
        with self._lock:
            if (key, number) not in self._contents:
                try:
                    data = self._decoded(key, number, status) if moves else self._still(status)
                except (VidstyleError, OSError):  # it was moved, for one
                    return None
                if data is None:
                    return None
                self._contents[key, number] = data
                while len(self._contents) > KEPT:
                    self._contents.popitem(last=False)
            return self._contents[key, number]

    def size(self, key: str) -> tuple[int, int] | None:
        """Width and height of the painted frames; None if none is there."""
        status = self.queue.status(key)
        picture = None if status.newest is None else self.queue.watcher(key).picture(status.newest)
        return None if picture is None else (picture.shape[1], picture.shape[0])

    def _still(self, status: JobStatus) -> bytes | None:
        if status.manifest is None or status.manifest.played is None:
            return None
        return jpeg(load_content(status.manifest.played.content, SHOWN), SHOWN)

    def _decoded(self, key: str, number: int, status: JobStatus) -> bytes | None:
        """A frame of a clip; frames in order are decoded once."""
        if status.manifest is None or (played := status.manifest.played) is None:
            return None
        number = status.manifest.seams.content(number)
        if self._decoding is None or self._decoding[0] != key or self._decoding[1] > number:
            from vidstyle.media.video import survey  # not at the top: it needs the libraries of clips

            settings = status.manifest.settings
            read = settings if isinstance(settings, ReadingSettings) else ReadingSettings()
            clip = survey(
                Path(played.content),
                start=played.start,
                end=played.end,
                rate=read.input_fps,
                deinterlace=read.deinterlace,
                hdr=read.hdr,
            )
            if self._decoding is not None:
                self._decoding[2].close()
            self._decoding = key, number, clip.decode(number)
        _, place, frames = self._decoding
        for pixels in frames:
            place += 1
            if place > number:
                self._decoding = key, place, frames
                return jpeg(_shown(pixels), SHOWN)
        self._decoding = None
        raise MediaError(f"{played.content} has no frame {number}")


def _shown(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = min(SHOWN / max(height, width), 1)
    return resize(pixels, round(width * scale), round(height * scale))

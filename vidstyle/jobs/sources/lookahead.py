"""How far a source runs ahead of the painting, bounded by frames and bytes; and a thread that fetches ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar, cast

from vidstyle.jobs.threads import pool
from vidstyle.settings import KeyFile, VideoSettings
from vidstyle.system import limits
from vidstyle.system.devices import pick_device

AHEAD = 4  # frames whose motion is estimated while others are painted, where one processor does that
DECODER = 30  # bytes a pixel (25 measured from 1 to 8 megapixels)
AHEAD_SHARE, MOST_AHEAD = 0.125, 2e9  # of the free memory, and bytes, that frames may take while they wait
ALWAYS = 3  # frames that are there at once at least: one is painted, one waits, and one is made

T = TypeVar("T")


@dataclass(frozen=True)
class Ahead:
    """How far a source runs ahead of the painting, bounded by frames and by bytes."""

    frame_bytes: float  #: a pixel, of a frame with its motion
    kept_bytes: float  #: a pixel, of the pictures and paintings of earlier frames
    most_frames: int  #: at once, if the memory allows
    most_bytes: float  #: of all frames at once, if they are more than `ALWAYS`
    decoder_bytes: float  #: of the frames that the decoder holds, and those that wait to be scaled, in their own size

    @classmethod
    def of(cls, settings: VideoSettings, reach: int, decoded: int, *, transparent: bool = False) -> Ahead:
        """For a source with these settings whose frames, of `decoded` pixels, look back `reach` frames."""
        lags = {"none": 0, "previous": 1, "warped": 1 + len(settings.long_term)}[settings.warm_start] + settings.loop
        allowed = settings.memory_limit if pick_device(settings.device).type == "cpu" else None
        free = allowed or limits.available()
        most = MOST_AHEAD if free is None else min(MOST_AHEAD, AHEAD_SHARE * free)
        mask = 4 * ((settings.mask is not None) + len(settings.region) + transparent)
        lead = 16 * bool(settings.keys)
        texts = [settings.mask or "", *(region.mask for region in settings.regions)]
        tracks = bool(settings.keys) + sum(KeyFile.of_mask(text) is not None for text in texts)
        # Three numbers of four bytes for the picture, and for each motion; three bytes more for the decoded picture.
        # Of a carried frame: three bytes, and flow, visibility, mask and what of that is known.
        frame, kept = 12 * (1 + lags) + 3 + mask + lead, (15 + mask + 23 * tracks) * reach
        return cls(frame, kept, ALWAYS + max(AHEAD, motion_workers()), most, DECODER * decoded)

    def pending(self, pixels: int) -> int:
        """How many frames of so many pixels a source makes before it waits until one is taken."""
        room = int(self.most_bytes / (self.frame_bytes * pixels))
        return max(min(room, self.most_frames) - ALWAYS, 0)

    def bytes(self, pixels: int) -> float:
        """Bytes that frames of so many pixels take at most, with what is kept of earlier ones."""
        frames = min(self.most_frames * self.frame_bytes * pixels, self.most_bytes)
        return max(ALWAYS * self.frame_bytes * pixels, frames) + self.kept_bytes * pixels + self.decoder_bytes


def motion_workers() -> int:
    """Frames whose motion is estimated at once: half the processors, since the flow uses more than one."""
    return max(1, processors() // 2)


def processors() -> int:
    """Processors that this process may use, by its affinity (`taskset`) where the system has one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(items: Generator[T], depth: int = 1) -> Generator[T]:
    """The same items, made in a thread that runs at most `depth` ahead.

    What the thread raises is raised here; closing this generator stops and joins the thread.
    """
    end = object()
    with closing(items), pool(1, "vidstyle-ahead") as fetching:
        try:
            pending = deque(fetching.submit(next, items, end) for _ in range(depth))
            while (item := pending.popleft().result()) is not end:
                pending.append(fetching.submit(next, items, end))
                yield cast(T, item)
        finally:
            fetching.shutdown(cancel_futures=True)

"""Deinterlacing: two fields of alternate lines, taken at two times, are made into one frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import av.filter

CLOCK = Fraction(1, 1000)  #: of the filter, which counts frames
Timed = tuple[int, av.VideoFrame]  #: when a frame is shown, in ticks; and the frame


class Deinterlacer:
    """FFmpeg's bwdif: a frame for a frame, each at its own time. What is not marked interlaced stays as it is.

    Attributes:
        used: whether an interlaced frame has come by.
    """

    def __init__(self) -> None:
        self.used = False

    def __call__(self, frames: Iterable[Timed]) -> Iterator[Timed]:
        """Deinterlace all frames of a clip. Raises `av.FFmpegError`."""
        graph: Any = None
        ticks: deque[int] = deque()
        for number, (tick, frame) in enumerate(frames):
            if graph is None:
                if not frame.interlaced_frame:
                    yield tick, frame
                    continue
                self.used, graph = True, _graph(frame)
            ticks.append(tick)
            frame.pts = number  # in order, where the file says nothing; the true times wait in `ticks`
            graph.vpush(frame)
            yield from _finished(graph, ticks)
        if graph is not None:
            graph.vpush(None)
            yield from _finished(graph, ticks)


def _graph(frame: av.VideoFrame) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=CLOCK)
    filters = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    graph.link_nodes(source, filters, graph.add("buffersink")).configure()
    return graph


def _finished(graph: Any, ticks: deque[int]) -> Iterator[Timed]:
    while ticks:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield ticks.popleft(), frame

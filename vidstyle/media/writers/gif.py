"""The sink of GIFs: one palette for all frames, ordered dithering, and transparent pixels where nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidstyle.media.writers import readback
from vidstyle.media.writers.encoders import Encoder
from vidstyle.media.writers.frame_timing import FrameTiming, verify
from vidstyle.media.writers.palette import Reducer, choose
from vidstyle.system import ffmpeg

GIF_TICK = Fraction(1, 100)
SHORTEST = Fraction(2, 100)  # s; browsers show a shorter frame of a GIF for a tenth
CLEAR = 255  # the colour of a GIF that is transparent: what ffmpeg's encoder draws where nothing has changed
SAMPLES = 20_000  # pixels of a clip that choose its palette


class GifSink(Encoder):
    """A GIF, which counts hundredths of a second.

    The palette needs all frames first, so they wait in a lossless part file.
    """

    def _start(self) -> None:
        self._lossless = self._part(".nut")
        self._timing = FrameTiming(self.info, GIF_TICK, SHORTEST)
        self._samples: list[np.ndarray] = []
        codec = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", "-threads", "8"]
        self._encode(self.info.width, self.info.height, [*codec, "-f", "nut"], self._lossless)

    def _write(self, pixels: np.ndarray) -> None:
        if self._written in self._timing.starts:
            self._samples.append(sample(pixels, self.info.frames, self._written))
            super()._write(pixels)

    def _finish(self) -> Path:
        self._finish_encoding()
        part, encoding = self._part(".gif"), self.encoding
        colors = choose(np.concatenate(self._samples), encoding.colors)
        reducer = Reducer(colors, encoding.dither, encoding.still)
        again = {0: 0, 1: -1}.get(encoding.plays, encoding.plays - 1)  # a GIF says how often it is repeated
        with (
            av.open(ffmpeg.file_url(self._lossless)) as source,
            av.open(ffmpeg.file_url(part), "w", "gif", options={"loop": str(again)}) as out,
        ):
            stream: Any = out.add_stream("gif", rate=round(1 / GIF_TICK))
            set_up(stream.codec_context, self.info.width, self.info.height)
            stream.time_base = GIF_TICK
            bounds = iter(self._timing.bounds)
            start = next(bounds)
            for packet in self._packets(source, stream, reducer):
                end = next(bounds)
                packet.pts = packet.dts = start
                packet.duration, packet.time_base, packet.stream = end - start, GIF_TICK, stream
                out.mux(packet)
                start = end
        size = (self.info.width, self.info.height)
        readback.verify(part, size, self._timing.times, self._timing.unit)
        verify(part, size, self._timing.times)
        return part

    @staticmethod
    def _packets(source: av.container.InputContainer, stream: Any, reducer: Reducer) -> Iterator[Any]:
        for number, frame in enumerate(source.decode(video=0)):
            pixels = reducer(frame.to_ndarray(format="rgb24"))
            yield from stream.encode(picture(pixels, reducer.colors, number))
        yield from stream.encode(None)


def sample(pixels: np.ndarray, frames: int, number: int) -> np.ndarray:
    """Pixels of frame `number` of so many, for the choice of a palette, (N, 3) uint8."""
    flat, count = pixels.reshape(-1, 3), -(-SAMPLES // frames)
    return flat if len(flat) <= count else flat[np.random.default_rng(number).integers(0, len(flat), count)]


def set_up(codec: Any, width: int, height: int) -> None:
    """Make an encoder of PyAV take what `picture` gives."""
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "pal8", GIF_TICK


def picture(shown: np.ndarray, colors: np.ndarray, number: int) -> av.VideoFrame:
    """(H, W) uint8 numbers of (K, 3) uint8 colours, at most 255 of them, as a frame for the encoder."""
    palette = np.zeros((256, 4), np.uint8)  # opacity, red, green, blue
    palette[:CLEAR, 0] = 255
    palette[: len(colors), 1:] = colors
    frame = av.VideoFrame.from_ndarray((np.ascontiguousarray(shown), palette), format="pal8")  # type: ignore[arg-type]
    frame.pts, frame.time_base = number, GIF_TICK
    return frame

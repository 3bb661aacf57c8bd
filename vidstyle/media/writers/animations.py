"""Sinks of animated pictures (WebP, AVIF, APNG), silent and looping. One class for each, an entry in `ANIMATIONS`.

Each counts time in ticks of its own. A frame is shown from the tick nearest to its time, so that rounding never adds up
and the whole runs as long as it should. Browsers slow down frames of 10 ms and less: where frames follow each other
faster, some are left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np

from vidstyle.media.writers import mux
from vidstyle.media.writers.atomic import AtomicWriter
from vidstyle.media.writers.encoders import Encoder, to_63
from vidstyle.media.writers.frame_timing import FrameTiming, verify
from vidstyle.media.writers.gif import GifSink
from vidstyle.system import ffmpeg

SHORTEST = Fraction(11, 1000)
WEBP_TICK = Fraction(1, 1000)


class AvifSink(Encoder):
    """AV1 in an image sequence, colours at full resolution. Its time is exact."""

    reader = "avif"
    color = (
        "scale=out_color_matrix=bt709:out_range=pc:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
        "format=yuv444p,setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=bt709:range=pc"
    )

    def _start(self) -> None:
        self._video = self._part(".mp4")
        self._timing = FrameTiming(self.info, mux.clock(self.info), SHORTEST)
        # The number of threads is fixed: the result may depend on it.
        speed = ["-cpu-used", "6", "-threads", "4", "-row-mt", "0"]
        coding = ["-c:v", "libaom-av1", *speed, "-b:v", "0", "-crf", str(to_63(self.encoding))]
        self._encode(self.info.width, self.info.height, ["-vf", self.color, *coding], self._video)

    def _write(self, pixels: np.ndarray) -> None:
        if self._written in self._timing.starts:
            super()._write(pixels)

    def _finish(self) -> Path:
        self._finish_encoding()
        part, times, info = self._part(".avif"), self._timing.times, self.info
        if len(times) - 1 < info.frames:
            info = dataclasses.replace(info, frames=len(times) - 1, timestamps=tuple(times[:-1]), end=times[-1])
        options = {"loop": str(self.encoding.plays), "fflags": "bitexact"}
        with av.open(ffmpeg.file_url(part), "w", "avif", options=options) as out:
            mux.combine(out, self._video, info)
        verify(part, (info.width, info.height), times)
        return part


class FrameByFrame(AtomicWriter):
    """An animation that PyAV encodes, each frame with its own time."""

    failures = (OSError, av.FFmpegError)
    kind: ClassVar[str]  # of the container
    codec: ClassVar[str]
    pixels: ClassVar[str]
    merges: ClassVar[bool] = False  # a frame like the one before becomes part of it
    _out: av.container.OutputContainer | None = None

    def _tick(self) -> Fraction:
        """The unit of time, in seconds."""
        raise NotImplementedError

    def _options(self) -> tuple[dict[str, str], dict[str, str]]:
        """Of the codec and of the container."""
        raise NotImplementedError

    def _start(self) -> None:
        self._encoded = self._part(f".{self.kind}")
        self._timing = FrameTiming(self.info, self._tick(), SHORTEST)
        coding, muxing = self._options()
        self._out = av.open(ffmpeg.file_url(self._encoded), "w", self.kind, options={**muxing, "fflags": "bitexact"})
        stream: Any = self._out.add_stream(self.codec, rate=self.info.fps, options=coding)
        stream.width, stream.height, stream.pix_fmt = self.info.width, self.info.height, self.pixels
        stream.thread_count = 4
        stream.codec_context.time_base = stream.time_base = self._timing.unit
        self._stream = stream

    def _write(self, pixels: np.ndarray) -> None:
        tick = self._timing.starts.get(self._written)
        if tick is None:
            return
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = tick, self._timing.unit
        self._mux(frame)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        assert self._out is not None
        self._out.mux(self._stream.encode(frame))

    def _finish(self) -> Path:
        assert self._out is not None
        self._mux(None)
        self._out.close()
        self._out = None
        self._amend()
        verify(self._encoded, (self.info.width, self.info.height), self._timing.times, merges=self.merges)
        return self._encoded

    def _amend(self) -> None:
        """Set right what the library that writes the file gets wrong."""

    def _stop(self) -> None:
        if self._out is not None:
            with contextlib.suppress(OSError, av.FFmpegError):
                self._out.close()


class WebpSink(FrameByFrame):
    """Lossy WebP, lossless at the best quality. It counts milliseconds."""

    kind, codec, pixels, merges, reader = "webp", "libwebp_anim", "bgra", True, "webp"

    def _tick(self) -> Fraction:
        return WEBP_TICK

    def _options(self) -> tuple[dict[str, str], dict[str, str]]:
        coding = {"lossless": "1"} if self.encoding.crf == 0 else {"quality": str(100 - self.encoding.crf)}
        return coding, {"loop": str(self.encoding.plays)}

    def _amend(self) -> None:
        """The encoder guesses how long the last frame is shown."""
        data = bytearray(self._encoded.read_bytes())
        offset, last, shown = 12, -1, 0
        while offset < len(data):
            if data[offset : offset + 4] == b"ANMF":
                shown += int.from_bytes(data[last + 20 : last + 23], "little") if last >= 0 else 0
                last = offset
            size = int.from_bytes(data[offset + 4 : offset + 8], "little")
            offset += 8 + size + size % 2
        if last >= 0:
            data[last + 20 : last + 23] = (self._timing.total - shown).to_bytes(3, "little")
        self._encoded.write_bytes(data)


class ApngSink(FrameByFrame):
    """Lossless PNG, animated. Its time is exact."""

    kind, codec, pixels = "apng", "apng", "rgb24"

    def _tick(self) -> Fraction:
        return mux.clock(self.info)

    def _options(self) -> tuple[dict[str, str], dict[str, str]]:
        *_, last, end = self._timing.bounds
        delay = (end - last) * self._timing.unit
        return {"pred": "mixed"}, {"plays": str(self.encoding.plays), "final_delay": str(delay)}


ANIMATIONS: dict[str, type[AtomicWriter]] = {".gif": GifSink, ".webp": WebpSink, ".avif": AvifSink, ".png": ApngSink}

"""Sinks of animated pictures: silent, and played again and again. One class a kind, one entry in `ANIMATIONS`.

Each counts time in ticks of its own. A frame is shown from the tick nearest to its time, so that rounding never adds up
and the whole runs as long as it should. Browsers slow down frames of 10 ms and less: where frames follow each other
faster, some are left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
from PIL import Image

from vidstyle import ffmpeg, mux
from vidstyle.encoders import Encoder, to_63
from vidstyle.errors import VidstyleError
from vidstyle.partfile import PartFile
from vidstyle.types import ClipInfo

GIF_SHORTEST = Fraction(2, 100)  # s; browsers show a shorter frame of a GIF for a tenth
SHORTEST = Fraction(11, 1000)
WEBP_TICK = Fraction(1, 1000)
TOLERANCE = Fraction(2, 1000)  # s; Pillow rounds to milliseconds


class Ticks:
    """When the frames of an animation are shown.

    Attributes:
        unit: seconds of a tick.
        starts: by the number of each frame that is kept, the tick it is shown from.
        total: the tick at which the last one ends.
    """

    def __init__(self, info: ClipInfo, unit: Fraction, shortest: Fraction) -> None:
        self.unit, least = unit, math.ceil(shortest / unit)
        self.starts: dict[int, int] = {}
        last = -least
        for number, time in enumerate(info.times):
            tick = round(time / unit)
            if tick - last >= least:
                self.starts[number] = last = tick
        self.total = max(round(info.seconds / unit), last + least)

    @property
    def seconds(self) -> Fraction:
        """Length of the animation."""
        return self.total * self.unit

    @property
    def bounds(self) -> list[int]:
        """The ticks at which the kept frames start, and the end."""
        return [*self.starts.values(), self.total]

    @property
    def times(self) -> list[Fraction]:
        """The same in seconds."""
        return [tick * self.unit for tick in self.bounds]


class GifSink(Encoder):
    """A GIF, with one palette of 256 colours for all frames; it counts hundredths of a second.

    The palette needs all frames first, so they wait in a lossless part file. Dithering is ordered: it keeps still from
    frame to frame, where diffused errors would flicker, and packs better.
    """

    def _start(self) -> None:
        self._lossless = self._part(".nut")
        self._ticks = Ticks(self.info, mux.GIF_TICK, GIF_SHORTEST)
        codec = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", "-threads", "8"]
        self._encode(self.info.width, self.info.height, [*codec, "-f", "nut"], self._lossless)

    def _write(self, pixels: np.ndarray) -> None:
        if self._written in self._ticks.starts:
            super()._write(pixels)

    def _finish(self) -> Path:
        self._finish_encoding()
        palette, encoded, part = self._part(".palette.nut"), self._part(".encoded.gif"), self._part(".gif")
        frames = ffmpeg.file_input(self._lossless, formats="nut")
        ffmpeg.run([*frames, "-vf", "palettegen", "-c:v", "rawvideo", "-f", "nut", ffmpeg.file_url(palette)])
        colors = ffmpeg.file_input(palette, formats="nut")
        ffmpeg.run([*frames, *colors, "-lavfi", "paletteuse=dither=bayer:bayer_scale=5", ffmpeg.file_url(encoded)])
        again = {0: 0, 1: -1}.get(self.encoding.plays, self.encoding.plays - 1)  # a GIF says how often it is repeated
        with (
            av.open(ffmpeg.file_url(encoded)) as source,
            av.open(ffmpeg.file_url(part), "w", "gif", options={"loop": str(again)}) as out,
        ):
            mux.retime_gif(source, out, self._ticks.bounds)
        size = (self.info.width, self.info.height)
        mux.verify(part, size, len(self._ticks.starts), self._ticks.seconds, self._ticks.unit)
        return part


class AvifSink(Encoder):
    """AV1 in an image sequence, colours at full resolution. Its time is exact."""

    reader = "avif"
    color = (
        "scale=out_color_matrix=bt709:out_range=pc:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
        "format=yuv444p,setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=bt709:range=pc"
    )

    def _start(self) -> None:
        self._video = self._part(".mp4")
        self._ticks = Ticks(self.info, mux.clock(self.info), SHORTEST)
        # The number of threads is fixed: the result may depend on it.
        speed = ["-cpu-used", "6", "-threads", "4", "-row-mt", "0"]
        coding = ["-c:v", "libaom-av1", *speed, "-b:v", "0", "-crf", str(to_63(self.encoding))]
        self._encode(self.info.width, self.info.height, ["-vf", self.color, *coding], self._video)

    def _write(self, pixels: np.ndarray) -> None:
        if self._written in self._ticks.starts:
            super()._write(pixels)

    def _finish(self) -> Path:
        self._finish_encoding()
        part, times, info = self._part(".avif"), self._ticks.times, self.info
        if len(times) - 1 < info.frames:
            info = dataclasses.replace(info, frames=len(times) - 1, timestamps=tuple(times[:-1]))
        options = {"loop": str(self.encoding.plays), "fflags": "bitexact"}
        with av.open(ffmpeg.file_url(part), "w", "avif", options=options) as out:
            mux.combine(out, self._video, info)
        _verify(part, (info.width, info.height), times)
        return part


class FrameByFrame(PartFile):
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
        self._ticks = Ticks(self.info, self._tick(), SHORTEST)
        coding, muxing = self._options()
        self._out = av.open(ffmpeg.file_url(self._encoded), "w", self.kind, options={**muxing, "fflags": "bitexact"})
        stream: Any = self._out.add_stream(self.codec, rate=self.info.fps, options=coding)
        stream.width, stream.height, stream.pix_fmt = self.info.width, self.info.height, self.pixels
        stream.thread_count = 4
        stream.codec_context.time_base = stream.time_base = self._ticks.unit
        self._stream = stream

    def _write(self, pixels: np.ndarray) -> None:
        tick = self._ticks.starts.get(self._written)
        if tick is None:
            return
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = tick, self._ticks.unit
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
        _verify(self._encoded, (self.info.width, self.info.height), self._ticks.times, merges=self.merges)
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
        place, last, shown = 12, -1, 0
        while place < len(data):
            if data[place : place + 4] == b"ANMF":
                shown += int.from_bytes(data[last + 20 : last + 23], "little") if last >= 0 else 0
                last = place
            size = int.from_bytes(data[place + 4 : place + 8], "little")
            place += 8 + size + size % 2
        if last >= 0:
            data[last + 20 : last + 23] = (self._ticks.total - shown).to_bytes(3, "little")
        self._encoded.write_bytes(data)


class ApngSink(FrameByFrame):
    """Lossless PNG, animated. Its time is exact."""

    kind, codec, pixels = "apng", "apng", "rgb24"

    def _tick(self) -> Fraction:
        return mux.clock(self.info)

    def _options(self) -> tuple[dict[str, str], dict[str, str]]:
        *_, last, end = self._ticks.bounds
        delay = (end - last) * self._ticks.unit
        return {"pred": "mixed"}, {"plays": str(self.encoding.plays), "final_delay": str(delay)}


def _verify(part: Path, size: tuple[int, int], times: list[Fraction], *, merges: bool = False) -> None:
    """Let Pillow decode an animation that was just written, and compare it with what it should hold.

    Args:
        size: width and height.
        times: seconds at which the frames start, and the end.
        merges: a frame may have become part of the one before, which it resembles.

    Raises:
        VidstyleError: it cannot be decoded, or holds something else.
    """
    found, now = [], 0.0
    try:
        with Image.open(part) as image:
            got, count = image.size, getattr(image, "n_frames", 1)
            for number in range(count):
                image.seek(number)
                image.load()
                now = image.info.get("timestamp", now)  # in ms; a PNG says only how long each frame is shown
                found.append(now)
                now += image.info.get("duration", 0)
    except (OSError, SyntaxError, ValueError) as error:
        raise VidstyleError(f"the encoded file cannot be read back ({error}); nothing was kept") from error
    wanted = [float(1000 * time) for time in times]
    if merges:
        count = len(times) - 1
        wanted = [min(wanted[:-1], key=lambda time: abs(time - start)) for start in found] + wanted[-1:]
        now = wanted[-1] if len(found) == 1 else now  # a still has no time
    mux.compare((count, got, Fraction(now) / 1000), (len(times) - 1, size, times[-1]), TOLERANCE)
    off = max(abs(start - time) for start, time in zip(found, wanted, strict=False))
    if off > TOLERANCE * 1000:
        raise VidstyleError(f"a frame of the encoded file reads back {off:.0f} ms off its time; nothing was kept")


ANIMATIONS: dict[str, type[PartFile]] = {".gif": GifSink, ".webp": WebpSink, ".avif": AvifSink, ".png": ApngSink}

"""Sinks of animated pictures (GIF, WebP, AVIF, APNG), silent and looping. One class for each, an entry in `ANIMATIONS`.

Each counts time in ticks of its own. A frame is shown from the tick nearest to its time, so that rounding never adds up
and the whole runs as long as it should. Browsers slow down frames of 10 ms and less, and GIFs' of less than 20: where
frames follow each other faster, some are left out. Pillow, and imageio with it, would write these formats only from all
frames in memory at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np

from vidstyle.errors import EncodingError
from vidstyle.media.stills import codecs
from vidstyle.media.writers import mux, readback
from vidstyle.media.writers.base import FileSink
from vidstyle.media.writers.encoders import SAME_BYTES, Encoder, to_63
from vidstyle.media.writers.palette import Reducer, choose
from vidstyle.system import ffmpeg
from vidstyle.types import ClipInfo

SHORTEST = Fraction(11, 1000)
WEBP_TICK = Fraction(1, 1000)
TOLERANCE = Fraction(2, 1000)  # s; Pillow rounds to milliseconds
GIF_TICK = Fraction(1, 100)
SHORTEST_GIF = Fraction(2, 100)  # s; browsers show a shorter frame of a GIF for a tenth
HALF = 128  # opacity from which a pixel of a GIF is opaque
CLEAR = 255  # the colour of a GIF that is transparent: what ffmpeg's encoder draws where nothing has changed
SAMPLES = 20_000  # pixels of a clip that choose its palette


class FrameTiming:
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
    """A GIF, which counts hundredths of a second.

    The palette needs all frames first, so they wait in a lossless part file.
    """

    def _start(self) -> None:
        self._lossless = self._part(".nut")
        self._timing = FrameTiming(self.info, GIF_TICK, SHORTEST_GIF)
        self._samples: list[np.ndarray] = []
        codec = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", "-threads", "8"]
        if self.encoding.transparent:
            codec = ["-c:v", "ffv1", "-pix_fmt", "bgra", "-threads", "8"]
        self._encode(self.info.width, self.info.height, [*codec, "-f", "nut"], self._lossless)

    def _write(self, pixels: np.ndarray) -> None:
        if self._written in self._timing.starts:
            self._samples.append(sample(pixels, self.info.frames, self._written))
            super()._write(pixels)

    def _finish(self) -> Path:
        self._finish_encoding()
        part, encoding = self._part(".gif"), self.encoding
        colors = choose(joined(self._samples), encoding.colors)
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
            for packet in self._packets(source, stream, reducer, has_opacity=encoding.transparent):
                end = next(bounds)
                packet.pts = packet.dts = start
                packet.duration, packet.time_base, packet.stream = end - start, GIF_TICK, stream
                out.mux(packet)
                start = end
        self._embed(part)
        size = (self.info.width, self.info.height)
        readback.verify(part, size, self._timing.times, self._timing.unit)
        verify_animation(part, size, self._timing.times)
        return part

    @staticmethod
    def _packets(
        source: av.container.InputContainer, stream: Any, reducer: Reducer, *, has_opacity: bool
    ) -> Iterator[Any]:
        for number, frame in enumerate(source.decode(video=0)):
            pixels = frame.to_ndarray(format="rgba" if has_opacity else "rgb24")
            shown = cleared(reducer(pixels[:, :, :3]), pixels)
            yield from stream.encode(picture(shown, reducer.colors, number))
        yield from stream.encode(None)


class AvifSink(Encoder):
    """AV1 in an image sequence, colours at full resolution. Its time is exact."""

    reader = "avif"
    opacity = "alphaextract,format=gray,setparams=colorspace=bt709:range=pc"
    _opacity: Path | None = None
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
        if not self.encoding.transparent:
            self._encode(self.info.width, self.info.height, ["-vf", self.color, *coding], self._video)
            return
        self._opacity = self._part("-opacity.mp4")
        apart = f"split[a][b];[a]{self.color}[colors];[b]{self.opacity}[opacity]"
        # At the quality of the colours its edges would show rings.
        fine = [*coding[:-1], str(to_63(self.encoding) // 3)]
        shades = ["-map", "[opacity]", *fine, *SAME_BYTES, ffmpeg.file_url(self._opacity)]
        both = ["-filter_complex", apart, *shades, "-map", "[colors]", *coding]
        self._encode(self.info.width, self.info.height, both, self._video)

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
            mux.combine(out, self._video, info, opacity=self._opacity)
        self._embed(part)
        verify_animation(part, (info.width, info.height), times)
        return part


class FrameByFrame(FileSink):
    """An animation that PyAV encodes, each frame with its own time."""

    failures = (OSError, av.FFmpegError)
    kind: ClassVar[str]  # of the container
    codec: ClassVar[str]
    pixels: ClassVar[str]
    merges: ClassVar[bool] = False  # a frame like the one before becomes part of it
    _out: av.container.OutputContainer | None = None

    def _pixels(self) -> str:
        """FFmpeg's name of the kind of pixels that are encoded."""
        return self.pixels

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
        stream.width, stream.height, stream.pix_fmt = self.info.width, self.info.height, self._pixels()
        stream.thread_count = 4
        stream.codec_context.time_base = stream.time_base = self._timing.unit
        self._stream = stream

    def _write(self, pixels: np.ndarray) -> None:
        tick = self._timing.starts.get(self._written)
        if tick is None:
            return
        frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if self.encoding.transparent else "rgb24")
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
        self._embed(self._encoded, self.path.suffix.lower())
        verify_animation(self._encoded, (self.info.width, self.info.height), self._timing.times, merges=self.merges)
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

    def _pixels(self) -> str:
        return "rgba" if self.encoding.transparent else self.pixels

    def _tick(self) -> Fraction:
        return mux.clock(self.info)

    def _options(self) -> tuple[dict[str, str], dict[str, str]]:
        *_, last, end = self._timing.bounds
        delay = (end - last) * self._timing.unit
        return {"pred": "mixed"}, {"plays": str(self.encoding.plays), "final_delay": str(delay)}


ANIMATIONS: dict[str, type[FileSink]] = {".gif": GifSink, ".webp": WebpSink, ".avif": AvifSink, ".png": ApngSink}


def sample(pixels: np.ndarray, frames: int, number: int) -> np.ndarray:
    """Pixels of frame `number` of so many, for the choice of a palette, (N, 3) uint8; of (H, W, 4) those to be seen."""
    flat, count = pixels.reshape(-1, pixels.shape[2]), -(-SAMPLES // frames)
    if flat.shape[1] == 4:
        flat = flat[flat[:, 3] >= HALF, :3]
    return flat if len(flat) <= count else flat[np.random.default_rng(number).integers(0, len(flat), count)]


def joined(samples: Sequence[np.ndarray]) -> np.ndarray:
    """The samples of all frames, (N, 3) uint8; of frames in which nothing is to be seen, black."""
    found = np.concatenate(samples)
    return found if len(found) else np.zeros((1, 3), np.uint8)


def cleared(shown: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(H, W) numbers of colours, CLEAR where more of the picture (H, W, 4) is transparent than not."""
    if pixels.shape[2] == 3:
        return shown
    found: np.ndarray = np.where(pixels[:, :, 3] >= HALF, shown, CLEAR).astype(shown.dtype)
    return found


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


def verify_animation(part: Path, size: tuple[int, int], times: list[Fraction], *, merges: bool = False) -> None:
    """Let imageio decode an animation that was just written, and compare it with what it should hold.

    Args:
        size: width and height.
        times: seconds at which the frames start, and the end.
        merges: a frame may have become part of the one before, which it resembles.

    Raises:
        EncodingError: it cannot be decoded, or holds something else.
    """
    found, now, got = [], 0.0, size
    try:
        for pixels, said in codecs.frames(part):
            got = pixels.shape[1], pixels.shape[0]
            now = said.get("timestamp", now)  # in ms; a PNG says only how long each frame is shown
            found.append(now)
            now += said.get("duration", 0)
    except (OSError, SyntaxError, ValueError) as error:
        raise EncodingError(f"the encoded file cannot be read back ({error})") from error
    shown, end = [Fraction(start) / 1000 for start in found], Fraction(now) / 1000
    if merges:
        times = [*(min(times[:-1], key=lambda time: abs(time - start)) for start in shown), times[-1]]
    if len(shown) == 1:
        end = times[-1]  # a still has no time
    readback.compare((got, [*shown, end]), (size, times), TOLERANCE)

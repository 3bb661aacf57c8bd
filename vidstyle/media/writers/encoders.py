"""Sinks of clips: ffmpeg encodes them, PyAV muxes them. One class for each container, an entry in `CLIPS`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import numpy as np

from vidstyle.media.writers import mux
from vidstyle.media.writers.base import Encoding, FileSink
from vidstyle.media.writers.containers import MKV, MOV, MP4, WEBM, Container
from vidstyle.media.writers.readback import Span, verify
from vidstyle.media.writers.tracks import Excerpt, described, soundtracks, subtitles
from vidstyle.system import ffmpeg

BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
    "format=yuv420p,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
)


SAME_BYTES = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact")  # at every run
EXACT = Fraction(1, 10_000)  # s; that a container without a tick may be off, since times are multiples of its clock


class Encoder(FileSink):
    """A sink that feeds ffmpeg, frames at a constant rate; timestamps are set afterwards."""

    failures = (OSError, av.FFmpegError)
    _process: ffmpeg.Process | None = None

    def _encode(self, width: int, height: int, arguments: Sequence[str], part: Path) -> None:
        pixels = "rgba" if self.encoding.transparent else "rgb24"
        source = ffmpeg.frames_input(width, height, self.info.fps, pixels)
        self._process = ffmpeg.Process([*source, *arguments, *SAME_BYTES, ffmpeg.file_url(part)])

    def _write(self, pixels: np.ndarray) -> None:
        assert self._process is not None
        self._process.write(np.ascontiguousarray(pixels).data)

    def _finish_encoding(self) -> None:
        assert self._process is not None
        self._process.finish()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()


class ClipSink(Encoder):
    """A clip, BT.709 and tagged so; odd sides grow by a repeated row or column.

    A clip of varying rate keeps every frame once, at its own time. What else the clip of `encoding.sound` holds comes
    along, cut to the selection: sound, subtitles, chapters, languages and titles, see `soundtracks` and `subtitles`.
    """

    container: ClassVar[Container]
    interim: ClassVar[str] = ".mp4"  # of the pictures alone; says when each packet is decoded

    def _coding(self) -> list[str]:
        """Arguments of ffmpeg that encode the pictures. None may follow the machine's number of threads."""
        raise NotImplementedError

    def _colors(self) -> str:
        """FFmpeg's filters from RGB to what is encoded."""
        return BT709

    def _start(self) -> None:
        self._video = self._part(self.interim)
        self._pad = ((0, self.info.height % 2), (0, self.info.width % 2), (0, 0))
        self._size = (self.info.width + self._pad[1][1], self.info.height + self._pad[0][1])
        self._encode(*self._size, ["-vf", self._colors(), *self._coding()], self._video)

    def _write(self, pixels: np.ndarray) -> None:
        super()._write(np.pad(pixels, self._pad, mode="edge"))

    def _finish(self) -> Path:
        self._finish_encoding()
        part, container = self._part(f".muxed{self.container.suffix}"), self.container
        extras, sounds = self._extras()
        if self.encoding.origin:
            extras = dataclasses.replace(extras, tags={**extras.tags, "comment": self.encoding.origin})
        options = {**container.options, "fflags": "bitexact"}
        with av.open(ffmpeg.file_url(part), "w", container.name, options=options) as out:
            mux.combine(out, self._video, self.info, extras)
        verify(part, self._size, [*self.info.times, self.info.seconds], container.tick or EXACT, sounds)
        return part

    def _extras(self) -> tuple[mux.Extras, list[Span]]:
        """What goes beside the pictures, and when each of its sound tracks is heard."""
        sound, note = self.encoding.sound, self.encoding.on_note
        if sound is None:
            return mux.Extras(), []
        excerpt = sound if isinstance(sound, Excerpt) else Excerpt.of(sound, self.encoding.delay)
        heard = soundtracks(excerpt, self.container, self._part, note)
        read = subtitles(excerpt, self.container, self.info.seconds, self._part, note)
        tracks = [*(track for track, _ in heard), *read]
        return described(excerpt, self.container, self.info.seconds, tracks), [span for _, span in heard]


class H264Sink(ClipSink):
    """H.264, in what players of its container play."""

    def _coding(self) -> list[str]:
        # x264's result depends on the number of its threads.
        order = [] if mux.reordered(self.info) else ["-bf", "0"]
        return ["-c:v", "libx264", "-preset", "medium", "-threads", "8", "-crf", str(self.encoding.crf), *order]


class Mp4Sink(H264Sink):
    """H.264 in MP4, the index in front; sound that is coded anew is AAC."""

    container = MP4


class MovSink(H264Sink):
    """The same in QuickTime's container, for video editors."""

    container = MOV


class MkvSink(H264Sink):
    """H.264 in Matroska, which takes every kind of sound and subtitles as it is."""

    container = MKV


class WebmSink(ClipSink):
    """VP9 in WebM, whose clock counts milliseconds; sound that is coded anew is Opus."""

    container, interim = WEBM, ".webm"

    def _coding(self) -> list[str]:
        speed = ["-deadline", "good", "-cpu-used", "2", "-threads", "4", "-row-mt", "0"]
        speed += ["-auto-alt-ref", "0"] if self.encoding.transparent else []  # libvpx has one or the other
        return ["-c:v", "libvpx-vp9", *speed, "-b:v", "0", "-crf", str(to_63(self.encoding))]

    def _colors(self) -> str:
        return BT709.replace("yuv420p", "yuva420p") if self.encoding.transparent else BT709

    def _extras(self) -> tuple[mux.Extras, list[Span]]:
        extras, sounds = super()._extras()
        if self.encoding.transparent:
            extras = dataclasses.replace(extras, picture_tags={**extras.picture_tags, "alpha_mode": "1"})
        return extras, sounds


def to_63(encoding: Encoding) -> int:
    """The quality on the scale of VP9 and AV1, 0 best to 63 worst."""
    return round(encoding.crf * 63 / 51)


CLIPS: dict[str, type[ClipSink]] = {sink.container.suffix: sink for sink in (Mp4Sink, MovSink, MkvSink, WebmSink)}

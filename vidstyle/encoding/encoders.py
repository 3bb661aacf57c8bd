"""Sinks of clips, MP4 and WebM: ffmpeg encodes them, PyAV puts them together. One class a kind, an entry in `CLIPS`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import numpy as np

from vidstyle import ffmpeg
from vidstyle.encoding import mux
from vidstyle.encoding.partfile import Encoding, PartFile
from vidstyle.media import CLIP_FORMATS, Clip, open_container, sound_tracks

BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
    "format=yuv420p,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
)


class Encoder(PartFile):
    """A sink that feeds ffmpeg, frames at a constant rate; timestamps are set afterwards."""

    failures = (OSError, av.FFmpegError)
    _process: ffmpeg.Process | None = None

    def _encode(self, width: int, height: int, arguments: Sequence[str], part: Path) -> None:
        source = ffmpeg.frames_input(width, height, self.info.fps)
        exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]  # the same bytes at every run
        self._process = ffmpeg.Process([*source, *arguments, *exact, ffmpeg.file_url(part)])

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

    A clip of varying rate keeps every frame once, at its own time. The sound of `encoding.sound` comes along with all
    its tracks: as it is if the whole clip is kept and players of the container take its coding, else coded anew and cut
    to the sample. It keeps its offset to the pictures, and its length where the clip is kept whole.
    """

    container: ClassVar[str]
    sound_coding: ClassVar[Sequence[str]]
    muxing: ClassVar[dict[str, str]] = {}  # options of the container
    tick: ClassVar[Fraction] = Fraction(0)  # to which the container rounds times, in seconds

    def _coding(self) -> list[str]:
        """Arguments of ffmpeg that encode the pictures. None may follow the machine's number of threads."""
        raise NotImplementedError

    def _start(self) -> None:
        self._video = self._part(f".{self.container}")
        self._pad = ((0, self.info.height % 2), (0, self.info.width % 2), (0, 0))
        self._size = (self.info.width + self._pad[1][1], self.info.height + self._pad[0][1])
        options = [word for name, value in self.muxing.items() for word in (f"-{name}", value)]
        self._encode(*self._size, ["-vf", BT709, *self._coding(), *options], self._video)

    def _write(self, pixels: np.ndarray) -> None:
        super()._write(np.pad(pixels, self._pad, mode="edge"))

    def _finish(self) -> Path:
        self._finish_encoding()
        part, sound = self._video, self.encoding.sound
        if sound is not None and not sound.has_audio:
            sound = None
        if sound is not None or self.info.timestamps is not None:
            part = self._part(f".muxed.{self.container}")
            options = {**self.muxing, "fflags": "bitexact"}
            with av.open(ffmpeg.file_url(part), "w", self.container, options=options) as out:
                mux.combine(out, self._video, self.info, *(self._track(sound) if sound is not None else ()))
        slack = 1 / self.info.fps + self.tick  # WebM does not say how long its last frame lasts
        mux.verify(part, self._size, self.info.frames, self.info.seconds, slack)
        return part

    def _track(self, sound: Clip) -> tuple[Path, Fraction]:
        """A file with the sound, in a coding that fits, and the time in it that goes with the first frame."""
        with open_container(sound.path) as source:
            tracks = sound_tracks(source)
            fits = all(mux.fits(stream, self.container) for stream in tracks)
            maps = [word for stream in tracks for word in ("-map", f"0:{stream.index}")]
        if sound.whole and fits:
            return sound.path, sound.origin - self.encoding.delay
        start, length = sound.origin + sound.start_seconds, sound.end_seconds - sound.start_seconds
        end = "" if sound.whole else f":end={float(start + length):.6f}"
        cut = f"atrim=start={float(start):.6f}{end},asetpts=PTS-{float(start):.6f}/TB,aresample=async=1:first_pts=0"
        part = self._part(f".sound.{self.container}")
        source_arguments = ["-copyts", *ffmpeg.file_input(sound.path, formats=",".join(CLIP_FORMATS))]
        ffmpeg.run([*source_arguments, *maps, "-af", cut, *self.sound_coding, ffmpeg.file_url(part)])
        return part, -self.encoding.delay


class Mp4Sink(ClipSink):
    """H.264 in MP4, the index in front; sound that is coded anew is AAC."""

    container = "mp4"
    sound_coding = ("-c:a", "aac", "-b:a", "192k")
    muxing: ClassVar = {"movflags": "+faststart"}

    def _coding(self) -> list[str]:
        # x264's result depends on the number of its threads.
        return ["-c:v", "libx264", "-preset", "medium", "-threads", "8", "-crf", str(self.encoding.crf)]


class WebmSink(ClipSink):
    """VP9 in WebM, whose clock counts milliseconds; sound that is coded anew is Opus."""

    container, tick = "webm", Fraction(1, 1000)
    sound_coding = ("-c:a", "libopus", "-b:a", "160k", "-mapping_family", "0")

    def _coding(self) -> list[str]:
        speed = ["-deadline", "good", "-cpu-used", "2", "-threads", "4", "-row-mt", "0"]
        return ["-c:v", "libvpx-vp9", *speed, "-b:v", "0", "-crf", str(to_63(self.encoding))]


def to_63(encoding: Encoding) -> int:
    """The quality on the scale of VP9 and AV1, 0 best to 63 worst."""
    return round(encoding.crf * 63 / 51)


CLIPS: dict[str, type[Encoder]] = {".mp4": Mp4Sink, ".webm": WebmSink}

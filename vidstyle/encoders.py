"""Sinks of moving pictures: ffmpeg encodes them, PyAV puts them together. One class a kind, one entry in `ENCODERS`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidstyle import ffmpeg, mux
from vidstyle.media import CLIP_FORMATS, Clip, open_container, sound_tracks
from vidstyle.mux import GIF_TICK
from vidstyle.partfile import PartFile
from vidstyle.types import ClipInfo

# x264's result depends on the number of its threads, so it must not follow the machine's.
X264 = ["-c:v", "libx264", "-preset", "medium", "-threads", "8"]
BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
    "format=yuv420p,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
)
GIF_SHORTEST = 2  # ticks; browsers show a shorter frame for 10


class Encoder(PartFile):
    """A sink that feeds ffmpeg, frames at a constant rate; timestamps are set afterwards."""

    failures = (OSError, av.FFmpegError)
    _process: ffmpeg.Process | None = None

    def __init__(self, path: Path, info: ClipInfo, crf: int, sound: Clip | None) -> None:
        super().__init__(path, info)
        self.crf, self.sound = crf, sound

    def _encode(self, width: int, height: int, arguments: Sequence[str], part: Path) -> None:
        source = ffmpeg.frames_input(width, height, self.info.fps)
        exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]  # the same bytes at every run
        self._process = ffmpeg.Process([*source, *arguments, *exact, ffmpeg.file_url(part)])

    def _write(self, pixels: np.ndarray) -> None:
        assert self._process is not None
        self._process.write(np.ascontiguousarray(pixels).data)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()


class Mp4Sink(Encoder):
    """H.264 in MP4, BT.709 and tagged so, the index in front; odd sides grow by a repeated row or column.

    A clip of varying rate keeps every frame once, at its own time. The sound of `sound` comes along with all its
    tracks: as it is if the whole clip is kept and MP4 players take its coding, else as AAC of 192 kbit/s, cut to the
    sample. It keeps its offset to the pictures, and its length where the clip is kept whole.
    """

    def _start(self) -> None:
        self._video = self._part(".mp4")
        self._pad = ((0, self.info.height % 2), (0, self.info.width % 2), (0, 0))
        height, width = self.info.height + self._pad[0][1], self.info.width + self._pad[1][1]
        arguments = ["-vf", BT709, *X264, "-crf", str(self.crf), "-movflags", "+faststart"]
        self._encode(width, height, arguments, self._video)

    def _write(self, pixels: np.ndarray) -> None:
        super()._write(np.pad(pixels, self._pad, mode="edge"))

    def _finish(self) -> Path:
        assert self._process is not None
        self._process.finish()
        part = self._video
        sound = self.sound if self.sound is not None and self.sound.has_audio else None
        if sound is not None or self.info.timestamps is not None:
            part = self._part(".muxed.mp4")
            with av.open(
                ffmpeg.file_url(part), "w", "mp4", options={"movflags": "faststart", "fflags": "bitexact"}
            ) as out:
                mux.combine(out, self._video, self.info, *(self._track(sound) if sound is not None else ()))
        height, width = self.info.height + self._pad[0][1], self.info.width + self._pad[1][1]
        mux.verify(part, (width, height), self.info.frames, self.info.seconds, 1 / self.info.fps)
        return part

    def _track(self, sound: Clip) -> tuple[Path, Fraction]:
        """A file with the sound, in a coding that fits MP4, and the time in it that goes with the first frame."""
        with open_container(sound.path) as source:
            tracks = sound_tracks(source)
            fits = all(mux.fits_mp4(stream) for stream in tracks)
            maps = [word for stream in tracks for word in ("-map", f"0:{stream.index}")]
        if sound.whole and fits:
            return sound.path, sound.origin
        start = sound.origin + sound.start_seconds
        end = "" if sound.whole else f":end={float(start + self.info.seconds):.6f}"
        cut = f"atrim=start={float(start):.6f}{end},asetpts=PTS-{float(start):.6f}/TB,aresample=async=1:first_pts=0"
        part = self._part(".sound.mp4")
        source_arguments = ["-copyts", *ffmpeg.file_input(sound.path, formats=",".join(CLIP_FORMATS))]
        ffmpeg.run([*source_arguments, *maps, "-af", cut, "-c:a", "aac", "-b:a", "192k", ffmpeg.file_url(part)])
        return part, Fraction(0)


class GifSink(Encoder):
    """A GIF that loops for ever, with one palette of 256 colours for all frames.

    GIF counts hundredths of a second: frame i is shown from the nearest one to its time, so that the whole runs as
    long as it should. Browsers slow down frames shorter than two of them: of more than 50 a second some are left out.
    The palette needs all frames first, so they wait in a lossless part file. Dithering is ordered: it keeps still from
    frame to frame, where diffused errors would flicker, and packs better.
    """

    def _start(self) -> None:
        self._lossless = self._part(".nut")
        times = self.info.timestamps or [number / self.info.fps for number in range(self.info.frames)]
        ticks = [round(time / GIF_TICK) for time in times]
        self._total = max(round(self.info.seconds / GIF_TICK), ticks[-1] + GIF_SHORTEST)
        self._kept: dict[int, int] = {}
        last = -GIF_SHORTEST
        for number, tick in enumerate(ticks):
            if tick - last >= GIF_SHORTEST:
                self._kept[number] = last = tick
        codec = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0"]
        self._encode(self.info.width, self.info.height, [*codec, "-f", "nut"], self._lossless)

    def _write(self, pixels: np.ndarray) -> None:
        if self._written in self._kept:
            super()._write(pixels)

    def _finish(self) -> Path:
        assert self._process is not None
        self._process.finish()
        palette, encoded, part = self._part(".palette.nut"), self._part(".encoded.gif"), self._part(".gif")
        frames = ffmpeg.file_input(self._lossless, formats="nut")
        ffmpeg.run([*frames, "-vf", "palettegen", "-c:v", "rawvideo", "-f", "nut", ffmpeg.file_url(palette)])
        colors = ffmpeg.file_input(palette, formats="nut")
        ffmpeg.run([*frames, *colors, "-lavfi", "paletteuse=dither=bayer:bayer_scale=5", ffmpeg.file_url(encoded)])
        ticks = [*self._kept.values(), self._total]
        with av.open(ffmpeg.file_url(encoded)) as source, av.open(ffmpeg.file_url(part), "w", "gif") as out:
            mux.retime_gif(source, out, ticks)
        size = (self.info.width, self.info.height)
        mux.verify(part, size, len(self._kept), self._total * GIF_TICK, GIF_TICK)
        return part


ENCODERS: dict[str, type[Encoder]] = {".mp4": Mp4Sink, ".gif": GifSink}

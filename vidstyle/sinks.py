"""Where painted frames go: one class a kind of file, one entry in `SINKS` a suffix.

Every sink writes hidden part files beside the output, reads the result back, and only then puts it in its place. So an
output is there whole or not at all, and an old one stays until the new one is good.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import av
import numpy as np
from PIL import Image

from vidstyle import ffmpeg, mux
from vidstyle.errors import DiskError, OutputExistsError, UsageError, VidstyleError
from vidstyle.media import CLIP_FORMATS, Clip, open_container, sound_tracks
from vidstyle.mux import GIF_TICK
from vidstyle.pictures import load_picture
from vidstyle.types import ClipInfo, Sink

# x264's result depends on the number of its threads, so it must not follow the machine's.
X264 = ["-c:v", "libx264", "-preset", "medium", "-threads", "8"]
BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
    "format=yuv420p,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
)
GIF_SHORTEST = 2  # ticks; browsers show a shorter frame for 10


def check_output(path: Path, *, moving: bool, overwrite: bool) -> None:
    """Find out before any painting whether `path` can be written.

    Args:
        moving: whether there will be more than one frame.
        overwrite: whether a file that is there already may be replaced.

    Raises:
        UsageError: the suffix is unknown, or of a still where frames move or the other way round.
        DiskError: the folder is missing or cannot be written, or `path` is not a plain file.
        OutputExistsError: the file is there and may not be replaced.
    """
    known = ", ".join(suffix for suffix, sink in SINKS.items() if sink.moving == moving)
    sink = SINKS.get(path.suffix.lower())
    if sink is None or sink.moving != moving:
        what = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise UsageError(f"output {path} {what}; a {'moving' if moving else 'still'} picture is written as {known}")
    try:
        if not path.parent.is_dir():
            raise DiskError(f"there is no folder {path.parent}; make it first")
        if path.is_dir():
            raise DiskError(f"output {path} is a folder; give the name of a file in it")
        if path.exists() and not path.is_file():
            raise DiskError(f"output {path} is no plain file; give another name")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.part"):
            pass
    except OSError as error:
        raise DiskError(f"{path} cannot be written ({error.strerror}); give another output") from error
    if path.exists() and not overwrite:
        raise OutputExistsError(f"output {path} is there already; give -y to overwrite it, or another name")


def open_sink(path: str | Path, info: ClipInfo, *, crf: int = 18, sound: Clip | None = None) -> Sink:
    """The sink for the suffix of `path`.

    Args:
        info: of the frames that will be written.
        crf: quality of an MP4, 0 lossless to 51 worst.
        sound: the clip whose sound goes into an MP4, cut to its selection; None for none.

    Raises:
        UsageError: the suffix is unknown.
    """
    path = Path(path)
    sink = SINKS.get(path.suffix.lower())
    if sink is None:
        raise UsageError(f"output {path} has an unknown suffix; known: {', '.join(SINKS)}")
    return sink(path, info, crf, sound)


class _Sink:
    """What sinks share: the part files, and the order of encoding, checking and replacing.

    A context manager. Leaving it without an error finishes the file; it raises `DiskError` if the disk is full and
    `VidstyleError` if frames are missing or the file does not read back as written.
    """

    moving: ClassVar[bool]

    def __init__(self, path: Path, info: ClipInfo, crf: int, sound: Clip | None) -> None:
        self.path, self.info, self.crf, self.sound = path, info, crf, sound
        self._parts: list[Path] = []
        self._written = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._clean()
            raise
        return self

    def write(self, pixels: np.ndarray) -> None:
        """Append one frame, (H, W, 3) uint8 sRGB of the size in `info`."""
        wanted = (self.info.height, self.info.width, 3)
        if pixels.shape != wanted or pixels.dtype != np.uint8:
            raise ValueError(f"got a frame of {pixels.shape} {pixels.dtype}, wanted {wanted} uint8")
        self._write(pixels)
        self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self._written != self.info.frames:
                    raise VidstyleError(f"{self._written} frames were written to {self.path}, not {self.info.frames}")
                part = self._finish()
                os.replace(part, self.path)
        except (OSError, av.FFmpegError) as failure:
            raise _failure(self.path, failure) from failure
        finally:
            self._stop()
            self._clean()

    def _part(self, kind: str) -> Path:
        part = self.path.with_name(f".{self.path.name}.part{kind}")
        self._parts.append(part)
        return part

    def _clean(self) -> None:
        for part in self._parts:
            part.unlink(missing_ok=True)

    def _start(self) -> None:
        """Get ready to take frames."""

    def _write(self, pixels: np.ndarray) -> None:
        raise NotImplementedError

    def _finish(self) -> Path:
        """Complete and check the file; the part file that holds it."""
        raise NotImplementedError

    def _stop(self) -> None:
        """End what may still run."""


class _Encoded(_Sink):
    """A sink that feeds ffmpeg, frames at a constant rate; timestamps are set afterwards."""

    moving = True
    _process: ffmpeg.Process | None = None

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


class Mp4Sink(_Encoded):
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


class GifSink(_Encoded):
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


class StillSink(_Sink):
    """One picture: PNG (lossless) or JPEG (quality 95, colours at full resolution)."""

    moving = False

    def _write(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    def _finish(self) -> Path:
        part = self._part(self.path.suffix)
        lossless = self.path.suffix.lower() == ".png"
        options: dict[str, Any] = {"optimize": True} if lossless else {"quality": 95, "subsampling": 0}
        encoded = io.BytesIO()  # Pillow does not notice when a disk is full
        Image.fromarray(self._pixels).save(encoded, "PNG" if lossless else "JPEG", **options)
        part.write_bytes(encoded.getvalue())
        read_back = np.rint(load_picture(part) * 255)
        if read_back.shape != self._pixels.shape or (lossless and not np.array_equal(read_back, self._pixels)):
            raise VidstyleError(f"{self.path} does not read back as it was written; nothing was kept")
        return part


SINKS: dict[str, type[_Sink]] = {
    ".mp4": Mp4Sink,
    ".gif": GifSink,
    ".png": StillSink,
    ".jpg": StillSink,
    ".jpeg": StillSink,
}


def _failure(path: Path, error: OSError | av.FFmpegError) -> VidstyleError:
    """What an error of the operating system or of PyAV, whose errors carry the same numbers, means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskError(f"the disk is full ({error.strerror}); free some space and run the same command again")
    kind = VidstyleError if isinstance(error, av.FFmpegError) else DiskError
    return kind(f"{path} cannot be written ({error.strerror or error}); nothing was kept")

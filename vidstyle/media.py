"""Clips: the only module that opens moving input, through PyAV."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from vidstyle.errors import MediaError, UsageError
from vidstyle.pictures import check_file, look, over_white, require_pixels
from vidstyle.types import ClipInfo

# Containers that hold their own pictures. None of these opens another file, as a playlist would.
CLIP_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "avi",
    "gif",
    "apng",
    "mpegts",
    "mpeg",
    "flv",
    "ogg",
    "asf",
    "nut",
    "yuv4mpegpipe",
)
UNTAGGED = (0, 2, 3)  # colour matrix "RGB" (on a YUV picture), "unspecified", "reserved"
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class Clip:
    """A moving picture that has been decoded once to its end, and the frames selected of it. Made by `survey`."""

    path: Path
    info: ClipInfo  #: of the selected frames
    first: int  #: number of the first selected frame in the file
    has_audio: bool
    times: tuple[Fraction, ...]  #: seconds at which the selected frames are shown, from the first of the file
    end_seconds: Fraction  #: where the last selected frame ends, exclusive
    whole: bool  #: all frames of the file are selected
    origin: Fraction  #: time of the file's first frame on the clock of the container, which the sound shares

    @property
    def start_seconds(self) -> Fraction:
        """When the first selected frame is shown, from the first of the file."""
        return self.times[0]

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The selected frames from number `start` on, (H, W, 3) uint8 sRGB of full range.

        Upright, with square pixels, transparency over white. Frames before are decoded, too: seeking is not exact in
        every container, and decoding is cheap beside painting. Holds a few frames in memory.

        Raises:
            MediaError: the file has changed since it was surveyed.
        """
        with _Reader(self.path) as reader:
            given = 0
            for number, frame in enumerate(reader.frames()):
                if number < self.first + start:
                    continue
                if start + given == self.info.frames:
                    return
                image = reader.to_rgb(frame)
                if image.shape != (self.info.height, self.info.width, 3):
                    raise MediaError(f"{self.path} has changed its size since it was first read; start again")
                yield image
                given += 1
        if start + given < self.info.frames:
            raise MediaError(f"{self.path} has lost frames since it was first read; start again")


def survey(
    path: str | Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    observe: Callable[[np.ndarray], object] | None = None,
) -> Clip:
    """Decode a whole clip once, to know what it really holds before anything is painted.

    Args:
        start, end: seconds from the first frame; frames with start <= t < end are selected, t as the container says.
        observe: called with each selected frame, (H, W, 3) uint8.

    Raises:
        MediaError: the file is missing, no clip, without pictures, damaged, shorter than it says, HDR, or its size
            changes on the way.
        UsageError: no frame lies between `start` and `end`.
    """
    path = Path(path)
    # str() makes the decimal number that was typed exact: a frame at 1/10 s is not before 0.1.
    low, high = Fraction(str(start)), None if end is None else Fraction(str(end))
    ticks: list[int] = []
    selected = range(0)
    size = (0, 0)
    with _Reader(path) as reader:
        for number, frame in enumerate(reader.frames()):
            ticks.append(reader.ticks(frame, ticks))
            if frame_size := reader.size(frame):
                if number and frame_size != size:
                    raise MediaError(f"{path} changes its size at frame {number}; convert it to one size first")
                size = frame_size
            seconds = (ticks[-1] - ticks[0]) * reader.time_base
            if low <= seconds and (high is None or seconds < high):
                selected = range(selected.start if selected else number, number + 1)
                if observe is not None:
                    observe(reader.to_rgb(frame))
        reader.require_complete(len(ticks))
        times = [(tick - ticks[0]) * reader.time_base for tick in ticks]
        if not selected:
            wanted = f"from {start:g} s" + ("" if end is None else f" to {end:g} s")
            raise UsageError(f"{path} has no frame {wanted}: its last one is at {float(times[-1]):.3f} s")
        info = _clip_info(size, [times[n] for n in selected], reader.time_base, reader.rates())
        return Clip(
            path=path,
            info=info,
            first=selected.start,
            has_audio=reader.has_audio,
            times=tuple(times[number] for number in selected),
            end_seconds=times[selected.start] + info.seconds,
            whole=len(selected) == len(ticks),
            origin=ticks[0] * reader.time_base,
        )


def open_container(path: Path) -> av.container.InputContainer:
    """Open a clip so that nothing but this one file is read, whatever it says. Raises `MediaError`."""
    check_file(path)
    options = {"format_whitelist": ",".join(CLIP_FORMATS), "protocol_whitelist": "file"}
    try:
        return av.open("file:" + os.path.abspath(path), options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"{path} is not a clip that can be read: {look(path)}") from error


def sound_tracks(container: av.container.InputContainer) -> list[av.AudioStream]:
    """The sound tracks of an open clip that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


class _Reader:
    """An open clip: its best video stream, decoded from the start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = open_container(path)
        try:
            self._open_stream()
        except BaseException:
            self._container.close()
            raise

    def _open_stream(self) -> None:
        # PyAV's stubs do not tell that it is a stream of video.
        stream: Any = self._container.streams.best("video")
        cover = stream is not None and bool(stream.disposition & av.stream.Disposition.attached_pic)
        if stream is None or cover or stream.codec_context is None:
            what = "only sound" if self.has_audio else "no moving pictures"
            raise MediaError(f"{self.path} holds {what}; give a video clip")
        self._stream = stream
        self.time_base: Fraction = stream.time_base
        self._decoder = stream.codec_context
        require_pixels(self.path, self._decoder.width, self._decoder.height)
        tags = {name.lower(): value for name, value in stream.metadata.items()}
        if tags.get("alpha_mode") == "1" and stream.codec_context.name in ("vp8", "vp9"):
            # The built-in decoders of VP8 and VP9 ignore transparency.
            self._decoder = av.CodecContext.create(f"libvpx{'-vp9' if stream.codec_context.name == 'vp9' else ''}", "r")
        self._decoder.thread_type = "AUTO"
        self._reformatter = VideoReformatter()  # one for all frames: making it nearly doubles the cost of a frame
        self._discarded = 0
        self._packet_ticks: list[int | None] = []
        self._end = Fraction(0)

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def has_audio(self) -> bool:
        return bool(sound_tracks(self._container))

    def frames(self) -> Iterator[av.VideoFrame]:
        """All frames in the order of showing. Raises `MediaError` at a damaged one."""
        count = 0
        try:
            for packet in self._container.demux():
                self._watch(packet)
                if packet.stream.index != self._stream.index:
                    continue
                for frame in self._decoder.decode(packet if packet.size else None):
                    if frame.is_corrupt:
                        raise MediaError(f"{self.path} is damaged at frame {count}; get it again or convert it")
                    count += 1
                    yield frame
        except av.FFmpegError as error:
            raise MediaError(f"{self.path} is damaged after {count} frames ({error.strerror}); get it again") from error

    def _watch(self, packet: av.Packet[Any]) -> None:
        if packet.pts is not None and packet.time_base:
            self._end = max(self._end, (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base))
        if packet.stream.index == self._stream.index and packet.size:
            self._packet_ticks.append(packet.pts)
            self._discarded += packet.is_discard

    def require_complete(self, frames: int) -> None:
        """Raise `MediaError` if the file, now read to its end, held less than its header promised.

        MP4 and its kin list every frame, AVI counts them, Matroska and FLV say how long they are, GIF ends with a mark.
        A transport stream promises nothing, so its end cannot be missed.
        """
        if frames == 0:
            raise MediaError(f"{self.path} holds no frame that can be decoded")
        kind = self._container.format.name
        got, promised = f"{frames} frames", 0
        if kind.startswith("mov"):
            promised = len(self._stream.index_entries) - self._discarded
            short = frames < promised
        elif kind.startswith(("matroska", "flv")) and self._container.duration and not self._duration_is_a_guess():
            seconds = Fraction(self._container.duration, av.time_base) + self._start()
            short = self._end < seconds - Fraction(1, 5)  # some writers count a last frame or padding twice
            got = f"{float(self._end):.2f} of {float(seconds):.2f} s"
        elif kind == "gif":
            short = not _ends_with_trailer(self.path)
        else:
            promised = self._stream.frames
            short = len(self._packet_ticks) < promised
        if short:
            wanted = f" of {promised}" if promised else ""
            raise MediaError(f"{self.path} is cut short: it holds only {got}{wanted}; get it again")

    def _start(self) -> Fraction:
        return Fraction(self._container.start_time or 0, av.time_base)

    def _duration_is_a_guess(self) -> bool:
        """Without a duration in the header, FFmpeg divides the file size by the sum of the streams' bit rates."""
        codecs = [stream.codec_context for stream in self._container.streams]
        rates = sum(codec.bit_rate or 0 for codec in codecs if codec is not None)
        return rates > 0 and rates == self._container.bit_rate

    def ticks(self, frame: av.VideoFrame, before: list[int]) -> int:
        """When `frame` is shown, in units of `time_base`."""
        ticks = frame.dts if frame.pts is None else frame.pts
        if self._container.format.name == "avi":  # knows the order of decoding only; the times are the same, sorted
            ticks = self._packet_ticks[len(before)]
        if ticks is None:  # raw streams do not say; they run at a constant rate
            rate = next(self.rates(), Fraction(25))
            return round(len(before) / (rate * self.time_base))
        if before and ticks <= before[-1]:
            raise MediaError(f"the clock of {self.path} runs backwards at frame {len(before)}; convert it first")
        return ticks

    def rates(self) -> Iterator[Fraction]:
        """The frame rates that the container claims, the most trusted first."""
        for rate in (self._stream.average_rate, self._stream.guessed_rate, self._stream.base_rate):
            if rate:
                yield Fraction(rate)

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of `frame` once upright with square pixels."""
        width, height = self._square(frame)
        return (height, width) if _orientation(frame)[0] else (width, height)

    def _square(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Size with square pixels: the side that is too short grows, so that nothing is lost."""
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        width = round(frame.width * max(aspect, Fraction(1)))
        height = round(frame.height / min(aspect, Fraction(1)))
        require_pixels(self.path, width, height)
        return width, height

    def to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 sRGB. Untagged, it is taken for BT.709 if of HD size, else for BT.601, as players do."""
        if frame.color_trc in HDR_TRANSFERS:
            raise MediaError(
                f"{self.path} is an HDR clip ({HDR_TRANSFERS[frame.color_trc]}), whose brightness sRGB cannot hold; "
                "convert it to SDR first (in ffmpeg: zscale and tonemap)"
            )
        pixels = frame.format
        alpha = pixels.has_palette or any(component.is_alpha for component in pixels.components)
        matrix = None
        if not pixels.is_rgb and frame.colorspace in UNTAGGED:
            matrix = Colorspace.ITU709 if frame.width >= 1280 or frame.height >= 720 else Colorspace.ITU601
        width, height = self._square(frame)
        converted = self._reformatter.reformat(
            frame, width, height, "rgba" if alpha else "rgb24", src_colorspace=matrix, interpolation=SCALING
        )
        image = converted.to_ndarray()
        if alpha:
            image = over_white(image.astype(np.float32) / 255)
            image = np.rint(image * 255).astype(np.uint8)
        transpose, mirror_x, mirror_y = _orientation(frame)
        if transpose:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1])


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether to swap the axes of `frame`, and then to mirror x and y, so that it is upright.

    From the display matrix ((a, b, u), (c, d, v), (x, y, w)): the pixel at (p, q) is shown at (a p + c q, b p + d q).
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False, False, False
    (a, b, _), (c, d, _) = np.frombuffer(bytes(data), "=i4").reshape(3, 3)[:2].tolist()
    if b == c == 0 and a and d:
        return False, a < 0, d < 0
    if a == d == 0 and b and c:
        return True, c < 0, b < 0
    raise MediaError("a clip that is rotated by something else than quarter turns cannot be read; convert it first")


def _clip_info(
    size: tuple[int, int], times: list[Fraction], time_base: Fraction, rates: Iterable[Fraction]
) -> ClipInfo:
    """What frames shown at `times` are: of the constant rate that explains them best, else of a varying one."""
    times = [time - times[0] for time in times]
    claimed = list(rates)
    if len(times) == 1:
        return ClipInfo(*size, fps=claimed[0] if claimed else Fraction(25), frames=1)
    average = (len(times) - 1) / times[-1]
    broadcast = Fraction(round(average * 1001 / 1000) * 1000, 1001)
    usual = [rate for rate in (*claimed, Fraction(round(average)), broadcast) if rate > 0]
    for rate in (min(usual, key=lambda rate: _deviation(times, rate)), average):
        # Give or take a tick of the clock, but never half a frame: that would hide a frame left out.
        if _deviation(times, rate) <= min(time_base, Fraction(49, 100) / rate):
            return ClipInfo(*size, fps=rate, frames=len(times))
    return ClipInfo(*size, fps=average, frames=len(times), timestamps=tuple(times))


def _deviation(times: list[Fraction], rate: Fraction) -> Fraction:
    """How far, at most, frame i is shown from i / rate; in seconds."""
    return max(abs(time - number / rate) for number, time in enumerate(times))


def _ends_with_trailer(path: Path) -> bool:
    """Whether a GIF ends with its end mark (some writers pad it with zeros)."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 1024))
        return file.read().rstrip(b"\0").endswith(b";")

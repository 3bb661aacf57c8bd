"""The reader of an open clip: decodes its best video stream from the start, every frame with its time."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidstyle.errors import MediaError
from vidstyle.media.stills.decoders import MAX_FRAME_PIXELS
from vidstyle.media.video.clock import Clock
from vidstyle.media.video.colors import Colors
from vidstyle.media.video.containers import cut_short, open_container, sound_tracks
from vidstyle.media.video.fields import Deinterlacer, Timed
from vidstyle.settings import Deinterlace, Hdr

SIDE_DATA = "CONTENT_LIGHT_LEVEL", "MASTERING_DISPLAY_METADATA", "DISPLAYMATRIX"
BEGIN_ANYWHERE = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc")  # formats


class Reader:
    """A context manager. Raises `MediaError` if the file is no clip that can be read."""

    def __init__(self, path: Path, deinterlace: Deinterlace = "auto", hdr: Hdr = "tonemap") -> None:
        self.path = path
        self._container = open_container(path)
        try:
            self._open_stream()
        except BaseException:
            self._container.close()
            raise
        self.clock = Clock(path, self._container, self._stream)
        self._colors = Colors(path, self._decoder.codec_tag, hdr)
        self._fields = Deinterlacer() if deinterlace == "auto" else None
        self._frames = 0
        self._watched = self._demuxed()
        self._stopped = False  # before the end of the file

    def _open_stream(self) -> None:
        # PyAV's stubs do not tell that it is a stream of video.
        stream: Any = self._container.streams.best("video")
        cover = stream is not None and bool(stream.disposition & av.stream.Disposition.attached_pic)
        if stream is None or cover or stream.codec_context is None:
            what = "only sound" if self.has_audio else "no moving pictures"
            raise MediaError(f"{self.path} holds {what}; give a video clip")
        self._stream = stream
        self._decoder = stream.codec_context
        self._require_pixels(self._decoder.width, self._decoder.height)
        tags = {name.lower(): value for name, value in stream.metadata.items()}
        if tags.get("alpha_mode") == "1" and self._decoder.name in ("vp8", "vp9"):
            # The built-in decoders of VP8 and VP9 ignore transparency.
            self._decoder = av.CodecContext.create(f"libvpx{'-vp9' if self._decoder.name == 'vp9' else ''}", "r")
        self._decoder.thread_type = "AUTO"
        self._decoder.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # where a size is only known once it is decoded

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def has_audio(self) -> bool:
        return bool(sound_tracks(self._container))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the pictures so far that the person should know."""
        notes = []
        if self._fields is not None and self._fields.used:
            notes.append(
                f"{self.path} is interlaced and was deinterlaced (bwdif); with --deinterlace off it stays as it is"
            )
        if self._colors.tone_mapped:
            notes.append(
                f"{self.path} is HDR ({self._colors.tone_mapped}); its brightness was mapped to SDR (BT.2390); with "
                "--hdr refuse it is not read"
            )
        return tuple(notes)

    def frames(self, until: Fraction | None = None) -> Generator[Timed]:
        """The frames in the order of showing, each with the tick of `clock` at which it is shown.

        Args:
            until: seconds from the first frame; nothing is decoded that only frames from there on need.

        Raises:
            MediaError: one of them is damaged.
        """
        stamped = ((self.clock.stamp(frame), frame) for frame in self._decoded(until))
        try:
            yield from stamped if self._fields is None else self._fields(stamped)
        except av.FFmpegError as error:
            raise MediaError(
                f"{self.path} is damaged after {self._frames} frames ({error.strerror}); get it again"
            ) from error

    @property
    def seekable(self) -> bool:
        """Whether the frames so far could be found again by their own times: none was deinterlaced or counted."""
        # A palette is no part of the checksum of a frame.
        palette = self._decoder.format is not None and self._decoder.format.has_palette
        return not (palette or self.clock.slots or (self._fields is not None and self._fields.used))

    def sought(self, tick: int) -> Iterator[av.VideoFrame]:
        """The frames from some key frame at or before `tick` on, in the order of showing, with the times of the file.

        To be called on a new reader. Nothing is checked: not whether the first ones are whole, nor where they begin.
        """
        self._container.seek(tick, stream=self._stream)
        for packet in self._container.demux():
            if packet.stream.index == self._stream.index and packet.size:
                yield from self._decoder.decode(packet)
        yield from self._decoder.decode(None)

    def _decoded(self, until: Fraction | None) -> Iterator[av.VideoFrame]:
        # A recording of what is sent may begin anywhere, before the first frame that can be decoded alone.
        lenient = self._container.format.name in BEGIN_ANYWHERE
        for packet in self._packets(until):
            try:
                frames = self._decoder.decode(packet)
            except av.InvalidDataError:
                if self._frames or not lenient:
                    raise
                continue
            for frame in frames:
                if frame.is_corrupt and lenient and not self._frames:
                    continue
                if frame.is_corrupt:
                    raise MediaError(f"{self.path} is damaged at frame {self._frames}; get it again or convert it")
                self._colors.check(frame)
                self._frames += 1
                yield frame

    def _packets(self, until: Fraction | None) -> Iterator[av.Packet[Any] | None]:
        """The packets of the stream that are needed, and None for their end."""
        for packet in self._watched:
            if until is not None and self.clock.is_behind(packet, until):
                self._stopped = True
                break
            yield packet
        yield None

    def _demuxed(self) -> Iterator[av.Packet[Any]]:
        for packet in self._container.demux():
            if packet.stream.index == self._stream.index and packet.size:
                self.clock.watch(packet)
                yield packet

    def following(self, tick: int) -> int | None:
        """The tick of the frame that is shown after that of `tick`, where `until` has ended the decoding before it.

        Its packet may come behind others that are shown later: reads on until none can come before it.
        """
        if not self._stopped:
            return None
        for packet in self._watched:
            found = self.clock.after(tick)
            if found is not None and packet.dts is not None and packet.dts >= found:
                break
        return self.clock.after(tick)

    def require_uncut(self) -> None:
        """Raise `MediaError` if bytes are missing at the end of the file, where that can be seen without reading it."""
        if cut_short(self.path, self._container.format.name):
            raise MediaError(f"{self.path} is cut short: bytes are missing at its end; get it again")

    def require_complete(self) -> None:
        """Raise `MediaError` if the file, now read to its end, held fewer packets than its list of them, or none.

        Not of frames: not every packet gives one, as where a clip was cut without coding it anew; and in an AVI a
        packet may be left out, so that a frame stays. A transport stream promises nothing, so its end cannot be missed.
        """
        if self._frames == 0:
            raise MediaError(f"{self.path} holds no frame that can be decoded")
        kind, got = self._container.format.name, self.clock.packets
        promised = len(self._stream.index_entries) if kind.startswith("mov") else self._stream.frames
        if got < promised and (kind != "avi" or cut_short(self.path, kind) is None):
            raise MediaError(f"{self.path} is cut short: it holds only {got} frames of {promised}; get it again")

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of `frame` once upright with square pixels."""
        width, height = self._square(frame)
        return (height, width) if _orientation(frame)[0] else (width, height)

    def _square(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Size with square pixels: the side that is too short grows, so that nothing is lost."""
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        width = round(frame.width * max(aspect, Fraction(1)))
        height = round(frame.height / min(aspect, Fraction(1)))
        self._require_pixels(width, height)
        return width, height

    def _require_pixels(self, width: int, height: int) -> None:
        if width * height > MAX_FRAME_PIXELS:
            raise MediaError(
                f"{self.path} has frames of {width}x{height} pixels; "
                f"at most {MAX_FRAME_PIXELS // 10**6} megapixels (8K) can be read: make it smaller first"
            )

    def to_rgb(self, frame: av.VideoFrame, most: int = 0) -> np.ndarray:
        """(H, W, 3) uint8 sRGB, upright, with square pixels; (H, W, 4) if the frame has opacity.

        Args:
            most: pixels of the long side, of a larger frame; 0 for its own size. Converting a small one costs less.
        """
        width, height = self._square(frame)
        if 0 < most < max(width, height):
            width, height = (max(1, round(side * most / max(width, height))) for side in (width, height))
        image = self._colors.to_srgb(frame, width, height)
        transpose, mirror_x, mirror_y = _orientation(frame)
        if transpose:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1])


def checksum(frame: av.VideoFrame) -> int:
    """CRC-32 of the samples of a decoded frame, without what fills up its lines, and of what says how to show them."""
    found = zlib.crc32(repr(traits(frame)).encode())
    for number, plane in enumerate(frame.planes):
        width = sum(part.width * -(-part.bits // 8) for part in frame.format.components if part.plane == number)
        samples: Any = plane  # a buffer, which PyAV's stubs do not tell
        lines = np.frombuffer(samples, np.uint8)[: plane.height * plane.line_size].reshape(plane.height, -1)
        found = zlib.crc32(np.ascontiguousarray(lines[:, :width]).data, found)
    return found


def traits(frame: av.VideoFrame) -> tuple[object, ...]:
    """How the samples of a frame are shown: its format, colours, light and orientation."""
    data: Any = frame.side_data
    beside = [bytes(data[name]) if data.get(name) is not None else None for name in SIDE_DATA]
    colors = (frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries)
    return (frame.width, frame.height, frame.format.name, *map(int, colors), *beside)


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

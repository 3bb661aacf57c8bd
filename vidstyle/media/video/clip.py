"""A clip: surveyed once to its end, then decoded from any frame on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from vidstyle.errors import MediaError, UsageError
from vidstyle.media.stills.pictures import described, is_still
from vidstyle.media.stills.sequence import is_sequence, survey_sequence
from vidstyle.media.video.clock import clip_info, spread
from vidstyle.media.video.reader import Reader, checksum, traits
from vidstyle.settings import Deinterlace, Hdr
from vidstyle.types import ClipInfo, SeekIndex

MOST_FRAMES = 500_000  # in one job: more than four hours at 30 a second
SMALLEST_FRAME = 16  # bytes in a file
MOTION_JPEG = (".mjpeg", ".mjpg")


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
    notes: tuple[str, ...] = ()  #: sentences for the person: what is done to the pictures unasked
    deinterlace: Deinterlace = "auto"
    hdr: Hdr = "tonemap"
    index: SeekIndex | None = field(default=None, repr=False)  #: None where it must be decoded from the beginning

    @property
    def start_seconds(self) -> Fraction:
        """When the first selected frame is shown, from the first of the file."""
        return self.times[0]

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The selected frames from number `start` on, (H, W, 3) uint8 sRGB of full range.

        Upright, with square pixels, transparency over white. Decodes from the key frame before them, or from the
        beginning where they would then not be found, or not be the same to the bit. Holds a few frames in memory.

        Raises:
            MediaError: the file has changed since it was surveyed.
        """
        with closing(self._frames(start)) as frames:
            for reader, frame in frames:
                image = reader.to_rgb(frame)
                if image.shape != (self.info.height, self.info.width, 3):
                    raise MediaError(f"{self.path} has changed its size since it was first read; start again")
                yield image

    def _frames(self, start: int) -> Generator[tuple[Reader, av.VideoFrame]]:
        """The selected frames from number `start` on, each with the reader that converts it."""
        with closing(self._sought(start)) as sought:
            for found in sought:
                yield found
                start += 1
        first, end = self.first + start, self.first + self.info.frames
        if first >= end:
            return
        with Reader(self.path, self.deinterlace, self.hdr) as reader, closing(reader.frames(self._needed)) as frames:
            for number, (_, frame) in enumerate(frames):
                if number >= first:
                    yield reader, frame
                if number + 1 == end:
                    return
        raise MediaError(f"{self.path} has lost frames since it was first read; start again")

    def _sought(self, start: int) -> Generator[tuple[Reader, av.VideoFrame]]:
        """The same, decoded from a key frame; ends before the first frame that is not as it was surveyed."""
        index = self.index
        if index is None or start >= self.info.frames or (place := index.place(start)) is None:
            return
        faults = suppress(av.FFmpegError, MediaError, ValueError)  # decoding from the beginning finds others, too
        with faults, Reader(self.path, self.deinterlace, self.hdr) as reader:
            for frame in reader.sought(place):
                if frame.pts is None or frame.pts > index.ticks[start]:
                    return
                if frame.pts == index.ticks[start]:
                    if checksum(frame) != index.checksums[start]:
                        return
                    yield reader, frame
                    start += 1
                if start == self.info.frames:
                    return

    @property
    def _needed(self) -> Fraction | None:
        """Up to where the file must be decoded, in seconds from its first frame; None for its end."""
        return None if self.whole else self.end_seconds


def survey(
    path: str | Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    rate: float | None = None,
    on_frame: Callable[[np.ndarray], object] | None = None,
    deinterlace: Deinterlace = "auto",
    hdr: Hdr = "tonemap",
) -> Clip:
    """Decode a clip once, as far as it is selected, to know what it really holds before anything is painted.

    Args:
        start, end: seconds from the first frame; frames with start <= t < end are selected, t as the container says.
        rate: of pictures that are read as a clip and have no times of their own.
        on_frame: called with each selected frame, (H, W, 3) uint8.
        deinterlace: auto, where the frames are marked interlaced, or off.
        hdr: tonemap to SDR, or refuse.

    Raises:
        MediaError: the file is missing, no clip, without pictures, damaged, shorter than it says, of colours that
            cannot be converted, or its size changes on the way.
        UsageError: no frame lies between `start` and `end`, or more of them than anybody will wait for.
    """
    path = Path(path)
    if is_sequence(path):  # which has the same interface, and never sound
        return cast(Clip, survey_sequence(path, start=start, end=end, rate=rate, on_frame=on_frame))
    # FFmpeg would show some kinds as a clip of one frame. A stream of JPEG pictures begins as one does.
    if path.suffix.lower() not in MOTION_JPEG and is_still(path):
        raise MediaError(f"{path} is not a clip: {described(path, 'clip')}")
    if rate is not None:
        raise UsageError(f"--input-fps is for pictures without times, and {path} has its own; leave it out")
    # str() makes the decimal number that was typed exact: a frame at 1/10 s is not before 0.1.
    low, high = Fraction(str(start)), None if end is None else Fraction(str(end))
    with Reader(path, deinterlace, hdr) as reader:
        clock, found = reader.clock, _selected(reader, low, high, on_frame)
        if not found.chosen:
            wanted = f"from {start:g} s" + ("" if end is None else f" to {end:g} s")
            last = float(clock.seconds(found.ticks[-1]))
            raise UsageError(f"{path} has no frame {wanted}: its last one is at {last:.3f} s")
        ended = clock.end() if found.beyond is None else found.beyond
        stop = None if ended is None else clock.seconds(ended)
        times = spread([clock.seconds(found.ticks[number]) for number in found.chosen], stop)
        info = clip_info(found.size, times, stop, clock.time_base, clock.rates)
        return Clip(
            path=path,
            info=info,
            first=found.chosen.start,
            has_audio=reader.has_audio,
            times=times,
            end_seconds=times[0] + info.seconds,
            whole=found.beyond is None and len(found.chosen) == len(found.ticks),
            origin=found.ticks[0] * clock.time_base,
            notes=reader.notes,
            deinterlace=deinterlace,
            hdr=hdr,
            index=found.index,
        )


def transparent(path: str | Path) -> bool:
    """Whether the first frame of a clip lets something shine through. Raises `MediaError` as `survey` does."""
    with Reader(Path(path)) as reader, closing(reader.frames()) as frames:
        for _, frame in frames:
            if frame.format.has_palette or any(component.is_alpha for component in frame.format.components):
                return bool((frame.to_ndarray(format="rgba")[..., 3] < 255).any())
            break
    return False


@dataclass(frozen=True)
class _Selection:
    """What decoding a clip as far as it is selected has shown."""

    ticks: Sequence[int]  #: of all frames that were decoded
    chosen: range  #: numbers of the selected ones
    beyond: int | None  #: tick of the frame behind these; None if the clip ends with them
    size: tuple[int, int]  #: width and height
    index: SeekIndex | None  #: of the selected ones, if they were looked at


def _selected(
    reader: Reader, low: Fraction, high: Fraction | None, on_frame: Callable[[np.ndarray], object] | None
) -> _Selection:
    """Decode a clip from its first frame, and select from `low` until before `high`, in seconds from that frame."""
    path, unit = reader.path, reader.clock.time_base
    if high is None:
        reader.require_uncut()
        _require_few(path, min(reader.clock.expected(), path.stat().st_size // SMALLEST_FRAME))  # a header may lie
    ticks: list[int] = []
    checksums: list[int] = []
    timed, looks = True, set()  # each frame has the tick that the file says; how all of them are shown
    chosen, size = range(0), (0, 0)
    beyond = None
    with closing(reader.frames(high)) as frames:
        for number, (tick, frame) in enumerate(frames):
            if high is not None and ticks and (tick - ticks[0]) * unit >= high:
                beyond = tick
                break
            ticks.append(tick)
            _require_few(path, len(ticks))
            if (frame_size := reader.size(frame)) != size and number:
                raise MediaError(f"{path} changes its size at frame {number}; convert it to one size first")
            size = frame_size
            looks.add(traits(frame))  # the first one says how all are converted
            if (tick - ticks[0]) * unit >= low:
                chosen = range(chosen.start if chosen else number, number + 1)
                if on_frame is not None:
                    checksums.append(checksum(frame))
                    timed = timed and frame.pts == tick and (len(ticks) < 2 or tick > ticks[-2])
                    on_frame(reader.to_rgb(frame))
        if ticks and (following := reader.following(ticks[-1])) is not None:
            beyond = following
    if beyond is None:
        reader.require_complete()
    index = None
    if checksums and timed and reader.seekable and len(looks) == 1:
        index = SeekIndex(tuple(ticks[chosen.start :]), tuple(checksums), tuple(sorted(reader.clock.keys)))
    return _Selection(ticks, chosen, beyond, size, index)


def _require_few(path: Path, frames: int) -> None:
    if frames > MOST_FRAMES:
        raise UsageError(
            f"{path} has {frames} frames or more; at a second each they take {frames / 86400:.0f} days to paint: "
            "select a part with --start and --end"
        )

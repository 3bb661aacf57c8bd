"""Presentation times of a clip's frames, and its end, whatever order and gaps its packets have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import av

from vidstyle.errors import MediaError
from vidstyle.types import ClipInfo

FINEST = Fraction(1, 2000)  # s; what is less off its time than this is not seen
SLOTS = ("avi",)  # formats that number their packets, in the order of decoding; times of showing are FFmpeg's guess
UNGUESSED = ("h264", "hevc")  # codecs whose frames may be reordered so that this guess is wrong


class Clock:
    """The times of one stream of pictures, fed with its packets as they are read, in ticks of the stream.

    Attributes:
        time_base: seconds of a tick.
        packets: how many with data have been read.
        slots: the format numbers its packets instead of saying when they are shown.
        keys: when the key frames are shown, and where to seek to for each: when it, or an earlier packet, is decoded.
    """

    def __init__(self, path: Path, container: Any, stream: Any) -> None:
        self.path, self._container, self._stream = path, container, stream
        self._kind: str = container.format.name
        self.slots = self._kind in SLOTS
        self.time_base: Fraction = stream.time_base
        self.packets = 0
        self.keys: list[tuple[int, int]] = []
        self._decoding: list[int | None] = []  # times of decoding, which only rise
        self._shown: list[int] = []  # times of showing, in the order of decoding
        self._timing: list[int] = []  # of the frames so far
        self._duration = 0  # of the last frame; 0 = unknown
        self._durations: set[int] = set()  # of the packets
        self._rate = Fraction(stream.guessed_rate or stream.average_rate or 25)

    def expected(self, until: Fraction | None = None) -> int:
        """About how many frames the container says that it has before a second, or in all; 0 if it does not say."""
        seconds = (self._stream.duration or 0) * self.time_base or Fraction(self._container.duration or 0, av.time_base)
        frames = int(self._stream.frames or seconds * self._rate)
        return frames if until is None or until >= seconds else min(frames, math.ceil(until * self._rate))

    def watch(self, packet: av.Packet[Any]) -> None:
        """Take note of the next packet of the stream."""
        self.packets += 1
        self._decoding.append(packet.dts)
        self._durations.add(packet.duration or 0)
        if packet.pts is not None and not packet.is_discard:
            self._shown.append(packet.pts)
            if packet.is_keyframe and packet.dts is not None:
                self.keys.append((packet.pts, min(packet.pts, packet.dts)))

    def is_behind(self, packet: av.Packet[Any], until: Fraction) -> bool:
        """Whether nothing that is shown before `until`, in seconds from the first frame, needs this packet."""
        if self.slots or packet.dts is None or not (self._timing or self._shown):
            return False
        first = self._timing[0] if self._timing else self._shown[0]
        return (packet.dts - first) * self.time_base >= until

    def stamp(self, frame: av.VideoFrame) -> int:
        """When the next decoded frame is shown. Raises `MediaError` if that is before the one before."""
        number, last = len(self._timing), self._timing[-1] if self._timing else None
        tick = self._slot(frame, number) if self.slots else frame.pts
        if tick is None and number < len(self._decoding):
            # Frames come in the order of showing; their times are those of decoding, sorted, but for a constant.
            tick = self._decoding[number]
        if tick is None:  # a stream without container
            tick = 0 if last is None else last + (frame.duration or round(1 / (self._rate * self.time_base)))
        if last is not None and tick < last:
            if (last - tick) * self.time_base >= 1 / self._rate:
                raise MediaError(
                    f"the clock of {self.path} runs backwards at frame {number}, as where recordings were joined; "
                    "write it anew first: ffmpeg -i CLIP -c copy NEW.mkv"
                )
            tick = last  # rounded, or mended by who cut it; the decoder knows the order
        self._timing.append(tick)
        self._duration = frame.duration or 0
        return tick

    def seconds(self, tick: int) -> Fraction:
        """A tick in seconds from the first frame."""
        return (tick - self._timing[0]) * self.time_base

    def _slot(self, frame: av.VideoFrame, number: int) -> int:
        """The place of a frame in a format of `SLOTS`, none of which two frames can have."""
        guess = None if self._stream.codec_context.name in UNGUESSED else frame.pts
        if guess is None and number < len(self._decoding):
            guess = self._decoding[number]
        return max(guess or 0, self._timing[-1] + 1 if self._timing else 0)

    def after(self, tick: int) -> int | None:
        """The next time in the packets read so far at which a frame is shown."""
        return min((shown for shown in self._shown if shown > tick), default=None)

    def end(self) -> int | None:
        """The tick at which the last frame of the file ends, once all have been read; None if the file does not say."""
        last, stream, ends = self._timing[-1], self._stream, []
        listed = self._kind.startswith(("mov", "avi", "mxf")) and stream.duration  # of all frames
        # Decoded before others that are shown earlier, it has the duration of one of those.
        own = len(self._durations) == 1 or not self._shown or self._shown[-1] == last
        if self._duration and (own or not listed):
            ends.append(last + self._duration)
        if listed:
            shift = last - (self._decoding[-1] or 0) if self.slots else stream.start_time or 0  # shown after decoding
            ends.insert(0 if self.slots else 1, shift + stream.duration)
        seconds = round((_seconds(stream.metadata.get("DURATION", "")) or self._whole_seconds()) / self.time_base)
        if self._kind == "flv":
            ends.insert(0, seconds)
        elif self._kind.startswith("matroska"):  # counted from 0 by most writers, by some from the first frame
            ends += [seconds, self._timing[0] + seconds]
        return next((end for end in ends if end > last), None)

    def _whole_seconds(self) -> Fraction:
        """How long the container says that it is, if it holds nothing but this stream; 0 if it does not say.

        Without a duration in the header, FFmpeg divides the file size by the bit rate.
        """
        container, rate = self._container, self._stream.codec_context.bit_rate
        if len(container.streams) > 1 or not container.duration or (rate and rate == container.bit_rate):
            return Fraction(0)
        return Fraction(container.duration, av.time_base)

    @property
    def rates(self) -> list[Fraction]:
        """The frame rates that the container claims, the most trusted first."""
        stream = self._stream
        return [Fraction(rate) for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate) if rate]


def spread(times: Sequence[Fraction], end: Fraction | None) -> tuple[Fraction, ...]:
    """Rising times of frames: of several with the same time, each gets its share of the time until the next.

    Args:
        end: where the last one ends; if None, after the average of the steps before.
    """
    if len(set(times)) == len(times):
        return tuple(times)
    if end is None:
        end = times[-1] + ((times[-1] - times[0]) / (len(times) - 1) or Fraction(1, 25))
    runs = [(time, len(list(run))) for time, run in groupby(times)]
    stops = [*(time for time, _ in runs[1:]), end]
    return tuple(
        time + (stop - time) * number / count
        for (time, count), stop in zip(runs, stops, strict=True)
        for number in range(count)
    )


def clip_info(
    size: tuple[int, int],
    times: Sequence[Fraction],
    end: Fraction | None,
    tick: Fraction,
    rates: Sequence[Fraction],
) -> ClipInfo:
    """What frames shown at `times` are: of the constant rate that explains them best, else of a varying one.

    Args:
        size: width and height.
        end: where the last one ends; None if that is unknown.
        tick: to which the times are rounded.
        rates: those that the container claims.
    """
    tick = max(tick, FINEST)
    end = None if end is None else end - times[0]
    times = [time - times[0] for time in times]
    rate, even = _rate(times, tick, rates, end)
    slack = min(tick, Fraction(49, 100) / rate) if even else FINEST
    if end is not None and abs(end - times[-1] - 1 / rate) <= slack:
        end = None  # as usual
    return ClipInfo(*size, fps=rate, frames=len(times), timestamps=None if even else tuple(times), end=end)


def _rate(
    times: list[Fraction], tick: Fraction, claimed: Sequence[Fraction], end: Fraction | None
) -> tuple[Fraction, bool]:
    """Frames per second, and whether they are constant."""
    if len(times) == 1:
        fitting = [rate for rate in claimed if end is not None and abs(1 / rate - end) <= tick]
        return next(iter((*fitting, *claimed)), Fraction(25)), True
    average = (len(times) - 1) / times[-1]
    broadcast = Fraction(round(average * 1001 / 1000) * 1000, 1001)
    usual = [rate for rate in (*claimed, Fraction(round(average)), broadcast) if rate > 0]
    usual.sort(key=lambda rate: (not _is_standard(rate), _deviation(times, rate)))
    for rate in (*usual, average):
        # Give or take a tick of the clock, but never half a frame: that would hide a frame left out.
        if _deviation(times, rate) <= min(tick, Fraction(49, 100) / rate):
            return rate, True
    return average, False


def _is_standard(rate: Fraction) -> bool:
    return 1 in (rate.denominator, (rate * Fraction(1001, 1000)).denominator)


def _deviation(times: list[Fraction], rate: Fraction) -> Fraction:
    """How far, at most, frame i is shown from i / rate; in seconds."""
    return max(abs(time - number / rate) for number, time in enumerate(times))


def _seconds(text: str) -> Fraction:
    """A duration like 00:01:02.345000000; 0 if it is none."""
    try:
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    except ValueError:
        return Fraction(0)

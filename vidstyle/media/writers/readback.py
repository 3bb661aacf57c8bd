"""Verification of a written file: decoded again, it must have every frame's time and every sound track."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vidstyle.errors import EncodingError
from vidstyle.system import ffmpeg

EXACT = Fraction(1, 1000)  # s; how far a sound may be off at its beginning
LOOSE = Fraction(1, 5)  # s; and at its end, which codecs pad or round to a block


@dataclass(frozen=True)
class Span:
    """When the sound of a track is heard."""

    begin: Fraction  #: seconds on the clock of its file
    end: Fraction  #: exclusive
    damaged: int = 0  #: packets that cannot be decoded

    def moved(self, seconds: Fraction) -> Span:
        """The same so much later."""
        return Span(self.begin + seconds, self.end + seconds, self.damaged)


def verify(
    part: Path,
    size: tuple[int, int],
    times: Sequence[Fraction],
    tolerance: Fraction,
    sounds: Sequence[Span] = (),
) -> None:
    """Decode a file that was just written, and compare it with what it should hold.

    Args:
        size: width and height.
        times: seconds at which the frames start, and the end of the last one, give or take `tolerance`.
        sounds: when each sound track should be heard.

    Raises:
        EncodingError: it cannot be decoded, or holds something else.
    """
    try:
        with av.open(ffmpeg.file_url(part)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            found, end, got = [], Fraction(0), size
            for frame in container.decode(stream):
                base = Fraction(frame.time_base or 1)
                found.append((frame.pts or 0) * base)
                end = found[-1] + frame.duration * base
                got = (frame.width, frame.height)
            told = stream.metadata.get("DURATION")  # Matroska does not say how long each frame lasts
            end = _seconds(told) if told else end
        heard = spans(part) if sounds else []
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise EncodingError(f"the encoded file cannot be read back ({error})") from error
    compare((got, [*found, end]), (size, times), tolerance)
    if len(heard) != len(sounds):
        raise EncodingError(f"the encoded file reads back with {len(heard)} sound tracks, not {len(sounds)}")
    for track, (one, wanted) in enumerate(zip(heard, sounds, strict=True), 1):
        compare_sound(one, wanted, tolerance, f"sound track {track} of the encoded file")


def compare(
    found: tuple[tuple[int, int], Sequence[Fraction]],
    wanted: tuple[tuple[int, int], Sequence[Fraction]],
    tolerance: Fraction,
) -> None:
    """Raise `EncodingError` unless size, and the times of the frames and of the end, are as wanted, give or take."""
    (got, times), (size, right) = found, wanted
    if len(times) != len(right) or got != size or abs(times[-1] - right[-1]) > tolerance:
        raise EncodingError(
            f"the encoded file reads back as {len(times) - 1} frames of {got[0]}x{got[1]}, {float(times[-1]):.3f} s, "
            f"not {len(right) - 1} of {size[0]}x{size[1]}, {float(right[-1]):.3f} s"
        )
    off, number = max(
        (abs(time - other), number) for number, (time, other) in enumerate(zip(times, right, strict=True))
    )
    if off > tolerance:
        raise EncodingError(f"frame {number} of the encoded file reads back {float(1000 * off):.1f} ms off its time")


def compare_sound(found: Span | None, wanted: Span, tolerance: Fraction, what: str) -> None:
    """Raise `EncodingError` unless a sound can be decoded, begins when it should and is about as long."""
    if found is None or found.damaged > wanted.damaged:
        raise EncodingError(f"{what} cannot be decoded")
    if abs(found.begin - wanted.begin) > EXACT + tolerance or abs(found.end - wanted.end) > LOOSE:
        raise EncodingError(
            f"{what} is heard from {float(found.begin):.3f} to {float(found.end):.3f} s, "
            f"not from {float(wanted.begin):.3f} to {float(wanted.end):.3f} s"
        )


def spans(path: Path) -> list[Span | None]:
    """When each sound track of a file of ours is heard; None for one that is never heard. Raises `av.FFmpegError`."""
    with av.open(ffmpeg.file_url(path)) as container:
        return listen(container, container.streams.audio)


def listen(
    container: av.container.InputContainer,
    tracks: Sequence[av.AudioStream],
    low: Fraction | None = None,
    high: Fraction | None = None,
) -> list[Span | None]:
    """Decode the sound between two times of an open file, and say when each of its tracks is heard there."""
    found: dict[int, list[Fraction]] = {}
    damaged = dict.fromkeys((stream.index for stream in tracks), 0)
    for packet in container.demux(*tracks) if tracks else ():
        try:
            for begin, end in _heard(packet):
                if (low is None or end > low) and (high is None or begin < high):
                    bounds = found.setdefault(packet.stream.index, [begin, end])
                    bounds[0], bounds[1] = min(bounds[0], begin), max(bounds[1], end)
        except av.FFmpegError:
            damaged[packet.stream.index] += 1
        if high is not None and packet.dts is not None and packet.dts * Fraction(packet.time_base) > high + 2:
            break
    result: list[Span | None] = []
    for index, errors in damaged.items():
        if index not in found:
            result.append(None)
            continue
        begin, end = found[index]
        begin, end = begin if low is None else max(begin, low), end if high is None else min(end, high)
        result.append(Span(begin, end, errors))
    return result


def _heard(packet: Any) -> Iterator[tuple[Fraction, Fraction]]:
    for frame in packet.decode():
        if frame.pts is not None and frame.sample_rate:
            begin = frame.pts * Fraction(frame.time_base)
            yield begin, begin + Fraction(frame.samples, frame.sample_rate)


def _seconds(text: str) -> Fraction:
    """00:00:02.023000000 as seconds."""
    hours, minutes, seconds = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)

"""Muxing of packets from several files into one container with PyAV, without re-encoding: exact times, same bytes."""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from vidstyle.system import ffmpeg
from vidstyle.types import ClipInfo

COARSE_CLOCK, FINEST_CLOCK = 90_000, 10_000_000  # ticks a second
LONGEST = 2**31  # ticks between two frames that every container takes


@dataclass(frozen=True)
class Track:
    """A sound or subtitle track that is ready to be copied into a container."""

    path: Path  #: holds this track alone; its time 0 is that of the first picture
    tags: Mapping[str, str] = field(default_factory=dict)  #: language and title
    disposition: int = 0  #: like default and forced, in FFmpeg's bits


@dataclass(frozen=True)
class Extras:
    """What goes into a container beside the pictures."""

    tracks: Sequence[Track] = ()
    tags: Mapping[str, str] = field(default_factory=dict)  #: title of the whole
    picture_tags: Mapping[str, str] = field(default_factory=dict)  #: language and title of the pictures' track
    chapters: Sequence[Any] = ()  #: as PyAV gives and takes them


def combine(
    out: av.container.OutputContainer,
    video: Path,
    info: ClipInfo,
    extras: Extras = Extras(),
    opacity: Path | None = None,
) -> None:
    """Copy pictures, and what goes beside them, into `out` without coding them anew.

    Args:
        video: a file of ours whose pictures run at the constant rate of `info`.
        info: gives the pictures the times they really have; see `reordered`.
        opacity: the same of their opacity, as grey pictures, where the container takes that beside them.

    Raises:
        av.FFmpegError: reading or writing fails, as when the disk is full, or the container does not take a track.
        ValueError: PyAV knows that the container does not take it.
    """
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(av.open(ffmpeg.file_url(video)))
        target = out.add_stream_from_template(source.streams.video[0], opaque=True)  # PyAV may have no such encoder
        target.time_base = clock(info)
        target.metadata.update(extras.picture_tags)
        flows = [_pictures(source, target, info)]
        if opacity is not None:
            held = stack.enter_context(av.open(ffmpeg.file_url(opacity)))
            shades = out.add_stream_from_template(held.streams.video[0], opaque=True)
            shades.time_base = clock(info)
            flows.append(_pictures(held, shades, info))
        for track in extras.tracks:
            held = stack.enter_context(av.open(ffmpeg.file_url(track.path)))
            copy: Any = out.add_stream_from_template(held.streams[0], opaque=True)
            copy.metadata.update(track.tags)
            copy.disposition = track.disposition
            flows.append(_copied(held, copy))
        out.metadata.update(extras.tags)
        if extras.chapters:
            out.set_chapters(list(extras.chapters))
        out.start_encoding()
        for packet in heapq.merge(*flows, key=lambda packet: packet.dts * Fraction(packet.time_base)):
            out.mux(packet)


def repack(source: Path, target: Path, container: str, options: Mapping[str, str]) -> None:
    """Copy the only track of a file of ours, to find out whether `combine` can. Raises what it raises."""
    with (
        av.open(ffmpeg.file_url(source)) as held,
        av.open(ffmpeg.file_url(target), "w", container, options={**options, "fflags": "bitexact"}) as out,
    ):
        stream = out.add_stream_from_template(held.streams[0], opaque=True)
        for packet in _copied(held, stream):
            out.mux(packet)


def reordered(info: ClipInfo) -> bool:
    """Whether pictures may be coded in another order than they are shown (B-frames).

    Containers tell how long a frame lasts by the distance of packets as they are decoded. Where frames last differently
    that is true for every reader only if both orders are the same.
    """
    return info.timestamps is None and info.end in (None, info.frames / info.fps)


def _pictures(source: av.container.InputContainer, target: av.VideoStream, info: ClipInfo) -> Iterator[Any]:
    """The packets of a file of constant rate, at the times of `info`; in decoding order, which has times, too."""
    unit, bounds = clock(info), [*info.times, info.seconds]

    def ticks(number: int) -> int:
        seconds = bounds[number] if 0 <= number < len(bounds) else number / info.fps  # decoding starts before 0
        return round(seconds / unit)

    packet: Any  # of a file of ours, where every packet has its times
    for packet in source.demux(video=0):
        if packet.dts is None:  # the end
            continue
        shown, decoded = (round(tick * packet.time_base * info.fps) for tick in (packet.pts, packet.dts))
        packet.duration = ticks(shown + 1) - ticks(shown)
        packet.pts, packet.dts, packet.time_base, packet.stream = ticks(shown), ticks(decoded), unit, target
        yield packet


def _copied(source: av.container.InputContainer, target: Any) -> Iterator[Any]:
    packet: Any
    for packet in source.demux(source.streams[0]):
        if packet.dts is None:  # the end, or a packet whose time only a decoder would tell
            if packet.pts is None:
                continue
            packet.dts = packet.pts
        packet.stream = target
        yield packet


def clock(info: ClipInfo) -> Fraction:
    """A unit of time that every picture's time is a multiple of, or nearly."""
    bounds = [*info.times, info.seconds] if info.timestamps or info.end else [Fraction(0), 1 / info.fps]
    longest = max(after - before for before, after in pairwise(bounds))
    common = math.lcm(*(time.denominator for time in bounds))
    if common > FINEST_CLOCK or common * longest >= LONGEST:
        common = COARSE_CLOCK
    return Fraction(1, common)

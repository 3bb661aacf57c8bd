"""Packets from one container into another, through PyAV and without coding them anew; and the check of the result."""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vidstyle import ffmpeg
from vidstyle.errors import VidstyleError
from vidstyle.media import open_container, sound_tracks
from vidstyle.types import ClipInfo

COPIED_SOUND = {  # what players of a container take
    "mp4": ("aac", "mp3", "ac3", "eac3", "opus", "alac"),
    "webm": ("opus", "vorbis"),
}
GIF_TICK = Fraction(1, 100)
MP4_TICKS, FINEST_CLOCK = 90_000, 10_000_000


def combine(
    out: av.container.OutputContainer,
    video: Path,
    info: ClipInfo,
    sound: Path | None = None,
    origin: Fraction = Fraction(0),
) -> None:
    """Copy pictures, and sound if there is any, into `out` without coding them anew.

    Args:
        video: a file of ours whose pictures run at the constant rate of `info`.
        info: gives the pictures the times they really have.
        sound: a clip, all of whose sound tracks are copied; each must fit, see `fits`.
        origin: the time in `sound`, in seconds, that goes with the first picture.

    Raises:
        MediaError: `sound` cannot be opened.
        av.FFmpegError: reading or writing fails, as when the disk is full.
    """
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(av.open(ffmpeg.file_url(video)))
        pictures = source.streams.video[0]
        target = out.add_stream_from_template(pictures, opaque=True)  # as it is: PyAV may have no such encoder
        target.time_base = clock(info)
        tracks = [_pictures(source, target, info)]
        if sound is not None:
            heard = stack.enter_context(open_container(sound))
            targets = {stream.index: out.add_stream_from_template(stream) for stream in sound_tracks(heard)}
            tracks.append(_sounds(heard, targets, origin))
        out.start_encoding()
        for packet in heapq.merge(*tracks, key=lambda packet: packet.dts * Fraction(packet.time_base)):
            out.mux(packet)


def fits(stream: av.AudioStream, container: str) -> bool:
    """Whether a sound track can be copied into a container, mp4 or webm, as it is, and its players take it."""
    codec = stream.codec_context
    if codec is None or codec.name.removesuffix("float") not in COPIED_SOUND[container]:
        return False
    return codec.name != "aac" or bool(codec.extradata)  # the AAC of a transport stream has its headers in the packets


def verify(part: Path, size: tuple[int, int], frames: int, seconds: Fraction, tolerance: Fraction) -> None:
    """Decode a file that was just written, and compare it with what it should hold.

    Args:
        size: width and height.
        seconds: where the last frame should end, give or take `tolerance`.

    Raises:
        VidstyleError: it cannot be decoded, or holds something else.
    """
    try:
        with av.open(ffmpeg.file_url(part)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            count, end, got = 0, Fraction(0), size
            for frame in container.decode(stream):
                count += 1
                end = ((frame.pts or 0) + frame.duration) * Fraction(frame.time_base or 1)
                got = (frame.width, frame.height)
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise VidstyleError(f"the encoded file cannot be read back ({error}); nothing was kept") from error
    compare((count, got, end), (frames, size, seconds), tolerance)


def compare(
    found: tuple[int, tuple[int, int], Fraction], wanted: tuple[int, tuple[int, int], Fraction], tolerance: Fraction
) -> None:
    """Raise `VidstyleError` if frames, size or seconds of an encoded file are not as wanted, give or take `tolerance`.

    Only the seconds have a tolerance.
    """
    (count, got, end), (frames, size, seconds) = found, wanted
    if count != frames or got != size or abs(end - seconds) > tolerance:
        raise VidstyleError(
            f"the encoded file reads back as {count} frames of {got[0]}x{got[1]}, {float(end):.3f} s, not {frames} of "
            f"{size[0]}x{size[1]}, {float(seconds):.3f} s; nothing was kept"
        )


def _pictures(source: av.container.InputContainer, target: av.VideoStream, info: ClipInfo) -> Iterator[Any]:
    """The packets of a file of constant rate, at the times of `info`; in decoding order, which has times, too."""
    unit = clock(info)

    def ticks(number: int) -> int:
        if info.timestamps is None or number < 0:  # decoding starts before the first picture is shown
            return round(number / info.fps / unit)
        seconds = info.timestamps[number] if number < info.frames else info.seconds
        return round(seconds / unit)

    packet: Any  # of a file of ours, where every packet has its times
    for packet in source.demux(video=0):
        if packet.dts is None:  # the end
            continue
        shown, decoded = (round(tick * packet.time_base * info.fps) for tick in (packet.pts, packet.dts))
        packet.duration = ticks(shown + 1) - ticks(shown)
        packet.pts, packet.dts, packet.time_base, packet.stream = ticks(shown), ticks(decoded), unit, target
        yield packet


def _sounds(source: av.container.InputContainer, targets: dict[int, av.AudioStream], origin: Fraction) -> Iterator[Any]:
    """The packets of all sound tracks of `source` for their streams in `targets`, with `origin` as the new 0."""
    packet: Any
    for packet in source.demux(*sound_tracks(source)):
        if packet.dts is None:
            continue
        shift = round(origin / packet.time_base)
        packet.pts = (packet.dts if packet.pts is None else packet.pts) - shift
        packet.dts, packet.stream = packet.dts - shift, targets[packet.stream.index]
        yield packet


def clock(info: ClipInfo) -> Fraction:
    """A unit of time that every picture's time is a multiple of, or nearly."""
    times = [1 / info.fps] if info.timestamps is None else info.timestamps
    common = math.lcm(*(time.denominator for time in times))
    return Fraction(1, common if common <= FINEST_CLOCK else MP4_TICKS)

"""Clips with every kind of sound for tests, made by ffmpeg, and what a second reader hears in a file."""

from __future__ import annotations

import random
import re
import subprocess
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import clicks, heard_clicks, make_clip, numbered


@dataclass(frozen=True)
class Sound:
    """How the sound of a test clip is coded."""

    suffix: str
    arguments: str  #: of ffmpeg
    rate: int = 48_000
    channels: int = 2
    layout: str = ""
    shift: float = 0.0  #: s that the sound begins later than the pictures


SOUNDS = {
    "AAC": Sound(".mp4", "-c:a aac"),
    "AAC in TS": Sound(".ts", "-c:a aac"),
    "AAC in FLV": Sound(".flv", "-c:a aac", 44_100),
    "AAC 3.0": Sound(".mp4", "-c:a aac", channels=3, layout="3.0"),
    "AAC 5.1": Sound(".mp4", "-c:a aac", channels=6, layout="5.1"),
    "AAC that begins later": Sound(".mp4", "-c:a aac", shift=0.3),
    "AAC that begins before": Sound(".mp4", "-c:a aac", shift=-0.3),
    "AC-3 5.1": Sound(".mkv", "-c:a ac3", channels=6, layout="5.1"),
    "AC-3 5.1(side)": Sound(".mkv", "-c:a ac3", channels=6, layout="5.1(side)"),
    "E-AC-3 in TS": Sound(".ts", "-c:a eac3"),
    "MP2 in TS": Sound(".ts", "-c:a mp2"),
    "MP3": Sound(".mkv", "-c:a libmp3lame", 44_100),
    "MP3 8 kHz": Sound(".mkv", "-c:a libmp3lame", 8_000, 1),
    "MP3 11 kHz": Sound(".mkv", "-c:a libmp3lame", 11_025, 1),
    "Opus": Sound(".mkv", "-c:a libopus"),
    "Opus 5.1": Sound(".mkv", "-c:a libopus", channels=6, layout="5.1"),
    "Opus that begins before": Sound(".mkv", "-c:a libopus", shift=-0.48),
    "Opus that begins later": Sound(".mkv", "-c:a libopus", shift=0.48),
    "Vorbis": Sound(".mkv", "-c:a libvorbis", 44_100),
    "FLAC 7.1": Sound(".mkv", "-c:a flac", channels=8, layout="7.1"),
    "ALAC": Sound(".mov", "-c:a alac", 44_100),
    "DTS": Sound(".mkv", "-c:a dca -strict -2"),
    "PCM 2.1": Sound(".mkv", "-c:a pcm_s16le", channels=3, layout="2.1"),
    "PCM of 16 channels": Sound(".mov", "-c:a pcm_s16le", channels=16),
    "PCM of 12 channels": Sound(".mkv", "-c:a pcm_s16le", channels=12),
    "PCM 44,056 Hz": Sound(".mkv", "-c:a pcm_s16le", 44_056),
    "PCM 192 kHz": Sound(".mkv", "-c:a pcm_s24le", 192_000),
    "PCM 5 kHz": Sound(".mkv", "-c:a pcm_u8", 5_000, 1),
    "mu-law": Sound(".mov", "-c:a pcm_mulaw", 8_000, 1),
    "ADPCM": Sound(".mkv", "-c:a adpcm_ms", 22_050),
}


def ffmpeg(*arguments: object) -> None:
    """Run the ffmpeg that imageio-ffmpeg brings."""
    executable = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    subprocess.run([executable, "-v", "error", "-y", *map(str, arguments)], check=True)


def sounding(path: Path, sound: Sound, *, rate: Fraction | int = 25, frames: int = 40, seconds: float = 1.6) -> Path:
    """A clip of `numbered` frames with a click at every tenth of a second in all its channels; `path` has no suffix."""
    pictures = make_clip(path.with_suffix(".pictures.mp4"), numbered(frames, 64, 48), rate=rate)
    samples = (clicks(seconds, sound.rate) * 32_767).astype("<i2")
    with wave.open(str(path.with_suffix(".wav")), "wb") as file:
        file.setnchannels(sound.channels)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(np.repeat(samples[:, None], sound.channels, 1).tobytes())
    layout = ["-channel_layout", sound.layout] if sound.layout else []
    early, late = (["-itsoffset", str(abs(sound.shift))] if sound.shift * side > 0 else [] for side in (-1, 1))
    inputs = [*early, "-i", pictures, *late, *layout, "-i", path.with_suffix(".wav")]
    made = path.with_suffix(sound.suffix)
    ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", "-c:v", "copy", *sound.arguments.split(), made)
    return made


def jittered(source: Path, target: Path) -> Path:
    """A copy of a Matroska file in which the times of every fifth packet of sound repeat or run back."""
    data, chance = bytearray(source.read_bytes()), random.Random(0)
    blocks = [*re.finditer(rb"\xa3(?:[\x40-\x7f].|[\x81-\xff])\x82(..)\x80", bytes(data), re.DOTALL)]
    assert len(blocks) > 20
    for block in blocks[4::5]:
        time = int.from_bytes(block[1], "big", signed=True) - chance.choice([21, 22, 25, 30])
        data[block.start(1) : block.end(1)] = time.to_bytes(2, "big", signed=True)
    target.write_bytes(data)
    return target


def damaged(source: Path, target: Path, first: int, last: int) -> Path:
    """A copy in which the packets of sound from number `first` to before `last` are noise."""
    av = pytest.importorskip("av")
    number = 0
    with av.open(str(source)) as clip, av.open(str(target), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in clip.streams}
        for packet in clip.demux():
            if packet.dts is None:
                continue
            copy = packet
            if packet.stream.type == "audio":
                number += 1
                if first <= number < last:
                    copy = av.Packet(random.Random(number).randbytes(packet.size))
                    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                    copy.duration = packet.duration
            copy.stream = streams[packet.stream.index]
            out.mux(copy)
    return target


def off(source: Path, output: Path, *, start: float = 0.0, end: float = 9.0, delay: float = 0.0) -> float:
    """Seconds that a click of `source` between two times, from its first picture, is away from where it should be."""
    av = pytest.importorskip("av")
    with av.open(str(source)) as container:
        origin = next(container.decode(video=0)).time
    wanted = [click - origin for click in heard_clicks(source)[0]]
    wanted = [click - start + delay for click in wanted if start + 0.06 < click < end - 0.06]
    heard = heard_clicks(output)[0]
    assert len(wanted) >= 2
    return max(min(abs(click - other) for other in heard) for click in wanted)

"""Pictures and clips for tests, made when they are needed, by another encoder than the one under test (PyAV's).

A test that makes or reads a clip is skipped, visibly, where PyAV is not installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PATCHES = (
    (255, 255, 255),
    (0, 0, 0),
    (220, 40, 40),
    (40, 200, 60),
    (40, 60, 220),
    (230, 220, 50),
    (128, 128, 128),
    (200, 120, 40),
)


def texture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Soft blobs of colour, (H, W, 3) uint8, with a tint of their own for each seed."""
    noise = np.random.default_rng(seed)
    cells = noise.integers(0, 256, (height // 24 + 2, width // 24 + 2, 3)).astype(np.float32)
    blobs = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    return (0.6 * blobs + 0.4 * noise.integers(0, 256, 3)).astype(np.uint8)


def pan(count: int, width: int = 96, height: int = 64, *, seed: int = 0, speed: int = 2) -> Iterator[np.ndarray]:
    """`count` frames of a camera that moves over a texture, (H, W, 3) uint8."""
    whole = texture(width + speed * count, height, seed)
    for number in range(count):
        yield whole[:, number * speed : number * speed + width].copy()


def numbered(count: int, width: int = 96, height: int = 64) -> Iterator[np.ndarray]:
    """`count` frames that `number_of` tells apart after lossy encoding, too: eight black or white bars."""
    for number in range(count):
        bits = np.array([255 * (number >> bit & 1) for bit in range(8)], np.uint8)
        bars = np.repeat(bits, -(-width // 8))[:width]
        yield np.broadcast_to(bars[None, :, None], (height, width, 3)).copy()


def number_of(frame: np.ndarray) -> int:
    """The number that `numbered` drew into a frame."""
    width = frame.shape[1]
    centres = [(2 * bit + 1) * width // 16 for bit in range(8)]
    return sum(1 << bit for bit, x in enumerate(centres) if frame[frame.shape[0] // 2, x].mean() > 127)


def patches(side: int = 32) -> np.ndarray:
    """The eight colours of `PATCHES` in a row, each a flat square."""
    return np.repeat(np.repeat(np.array([PATCHES], np.uint8), side, axis=0), side, axis=1)


def quarters(side: int = 16) -> np.ndarray:
    """Red, green above blue, white."""
    top, bottom = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)
    return np.repeat(np.repeat(np.stack([top, bottom]), side, axis=0), side, axis=1)


def patch_error(frame: np.ndarray, side: int = 32) -> int:
    """The largest difference of any channel in the middle of the squares of `patches`."""
    middle = slice(side // 4, 3 * side // 4)
    squares = [frame[middle, number * side :][:, middle].astype(int) for number in range(len(PATCHES))]
    return max(int(np.abs(square - colour).max()) for square, colour in zip(squares, PATCHES, strict=True))


def clicks(seconds: float, rate: int = 48_000) -> np.ndarray:
    """Samples with a click of 2 ms at every tenth of a second, (N,) float32."""
    return np.where(np.arange(int(seconds * rate)) / rate % 0.1 < 0.002, 0.8, 0.0).astype(np.float32)


def make_clip(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    rate: Fraction | int = 25,
    times: Sequence[Fraction] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode `frames` with PyAV; `times` are the seconds each is shown at, `sound` samples at 48 kHz."""
    av = pytest.importorskip("av")
    frames = list(frames)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=Fraction(rate), options=options or {})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixels
        if aspect is not None:
            video.sample_aspect_ratio = aspect
        if times is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream(sound_codec, rate=48_000, layout="mono") if sound is not None else None
        for number, pixels_of_frame in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels_of_frame, format="rgb24")
            if times is None:
                frame.pts, frame.time_base = number, 1 / Fraction(rate)
            else:
                frame.pts, frame.time_base = int(times[number] * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            samples = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 48_000, 0
            container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path


def probe(path: Path) -> dict[str, Any]:
    """What PyAV alone makes of a clip: frames, seconds and times of the pictures, codec of each sound track."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        last = frames[-1]
        end = (last.pts + last.duration) * last.time_base
        pts = [frame.pts * frame.time_base for frame in frames]
        audio = [track.codec_context.name for track in container.streams.audio]
    return {"frames": len(frames), "seconds": end, "times": pts, "audio": audio, "size": (last.width, last.height)}


def heard_clicks(path: Path, track: int = 0) -> tuple[list[float], float]:
    """Seconds of the `clicks` in a file, and the seconds of its sound."""
    av = pytest.importorskip("av")
    samples, first, rate = [], None, 48_000
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        for frame in container.decode(audio=track):
            first = frame.time if first is None else first
            samples += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    loud = np.abs(np.concatenate(samples)) > 0.4
    starts = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
    starts = starts[np.insert(np.diff(starts) > rate // 50, 0, True)] if len(starts) else starts
    return [(first or 0) + start / rate for start in starts], len(loud) / rate

"""When each frame is shown in every format, told by readers that share nothing with vidstyle; and how long the last."""

import random
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from clips import number_of, numbered, probe
from PIL import Image
from test_animations import seen

from vidstyle.media.writers import sinks
from vidstyle.media.writers.base import Encoding
from vidstyle.types import ClipInfo

av, executable = pytest.importorskip("av"), pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
pytestmark = pytest.mark.clips
STEPS = {
    "a screen recording": (Fraction(1, 60), Fraction(1, 30), Fraction(1, 2), Fraction(6, 5)),
    "two rates": (Fraction(1, 24), Fraction(1001, 30_000)),
    "a pause": (Fraction(33, 1000), Fraction(33, 1000), Fraction(133, 1000)),
    "odd clocks": (Fraction(1, 7), Fraction(1, 11), Fraction(7, 90_000) + Fraction(1, 50), Fraction(3)),
}
TICKS = {".mp4": 0.0001, ".mov": 0.0001, ".mkv": 0.001, ".webm": 0.001, ".gif": 0.0051, ".webp": 0.0011}
TICKS |= {".avif": 0.002, ".png": 0.002}  # s, to which a format or its reader rounds


def varying(kind, seed, count):
    """A clip of varying rate whose last frame, too, lasts as long as it likes."""
    chance, times = random.Random(seed), [Fraction(0)]
    for _ in range(count):
        times.append(times[-1] + chance.choice(STEPS[kind]))
    end = times.pop() + chance.choice([0, 2])
    average = (count - 1) / times[-1] if count > 1 else Fraction(25)
    return ClipInfo(64, 48, average, count, tuple(times) if count > 1 else None, end)


def write(path, info):
    with sinks.open_sink(path, info, Encoding()) as sink:
        for frame in numbered(info.frames, info.width, info.height):
            sink.write(frame)


def by_ffmpeg(path):
    """Seconds of each frame as the ffmpeg program decodes a file."""
    command = [executable, "-v", "error", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc"]
    lines = subprocess.run([*command, "-enc_time_base", "demux", "-"], capture_output=True, text=True, check=True)
    lines = lines.stdout.splitlines()
    (base,) = (Fraction(line.split()[-1]) for line in lines if line.startswith("#tb 0"))
    return [float(int(line.split(",")[2]) * base) for line in lines if not line.startswith("#")]


def check(path, info):
    """Compare what readers find with the times in `info`, one by one."""
    write(path, info)
    suffix, times = path.suffix, [float(time) for time in info.times]
    tick = TICKS[suffix]
    if suffix in (".webp", ".avif", ".png"):
        frames, starts, end = seen(path)
        found, end = [start / 1000 for start in starts], end / 1000
        assert [number_of(frame) for frame in frames] == list(range(info.frames))
    else:
        read = probe(path)
        found, end = [float(time) for time in read["times"]], float(read["seconds"])
        np.testing.assert_allclose(by_ffmpeg(path), times, atol=tick)
        with av.open(str(path)) as container:
            if suffix in (".mkv", ".webm"):  # say how long the whole lasts, and not each frame
                end = container.duration / 1e6
            numbers = [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        assert numbers == list(range(info.frames))
    np.testing.assert_allclose(found, times, atol=tick)
    assert end == pytest.approx(float(info.seconds), abs=tick)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("kind", STEPS)
def test_varying_steps(tmp_path, kind, suffix):
    for seed in range(3):
        check(tmp_path / f"a{suffix}", varying(kind, seed, 20))
    check(tmp_path / f"a{suffix}", varying(kind, 9, 3))


@pytest.mark.soak
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("kind", STEPS)
def test_varying_steps_of_many_seeds(tmp_path, kind, suffix):
    for seed in range(50):
        check(tmp_path / f"a{suffix}", varying(kind, seed, random.Random(seed).choice([2, 3, 5, 20, 40])))


@pytest.mark.parametrize("suffix", TICKS)
@pytest.mark.parametrize("varies", [False, True])
def test_how_long_the_last_frame_is_shown(tmp_path, suffix, varies):
    """Five times 100 ms and two seconds, as a GIF may say."""
    times = tuple(Fraction(number, 10) for number in range(6))
    info = ClipInfo(64, 48, Fraction(10), 6, times if varies else None, Fraction(5, 2))
    check(tmp_path / f"a{suffix}", info)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".gif"])
def test_a_single_frame_is_shown_as_long_as_it_should(tmp_path, suffix):
    check(tmp_path / f"a{suffix}", ClipInfo(64, 48, Fraction(25), 1, None, Fraction(3)))


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_a_single_frame_may_be_a_still_without_time(tmp_path, suffix):
    write(tmp_path / f"a{suffix}", ClipInfo(64, 48, Fraction(25), 1, None, Fraction(3)))
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.size == (64, 48)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_frame_that_is_shown_for_minutes(tmp_path, suffix):
    times = (Fraction(0), Fraction(1, 60), Fraction(1, 60) + Fraction(1000, 7))
    check(tmp_path / f"a{suffix}", ClipInfo(64, 48, 2 / times[-1], 3, times, times[-1] + 600))

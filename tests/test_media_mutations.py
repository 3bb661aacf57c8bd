"""Damaged files: read or refused with a sentence, whatever the damage; never long, never in much memory.

Run as a program in a process of its own, where a hang or too much memory shows: SEED, how many, and seconds at most.
"""

import faulthandler
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

HANG, MOST_MEMORY = 20, 1.5e9  # seconds of the processor, which a busy machine does not lengthen; bytes
SUFFIXES = ("mp4", "mov", "mkv", "webm", "avi", "gif", "png", "ts", "mpg", "flv", "nut", "jpg", "avif", "webp", "tif")


def seeds(folder):
    from clips import make_clip, pan
    from PIL import Image

    for suffix in SUFFIXES:
        path = folder / f"seed.{suffix}"
        if suffix in ("gif", "png", "webp", "avif"):
            frames = [Image.fromarray(frame) for frame in pan(6)]
            frames[0].save(path, save_all=True, append_images=frames[1:], duration=80)
        elif suffix in ("jpg", "tif"):
            Image.fromarray(next(pan(1))).save(path)
        else:
            codec = {"webm": "libvpx", "flv": "flv1", "mpg": "mpeg2video", "avi": "mpeg4"}.get(suffix, "libx264")
            make_clip(path, pan(8), codec=codec)
        yield path


def mutated(content, dice):
    """The same with some bytes changed, cut out, put in twice, or set to the extremes of a length."""
    content = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        place = min(int(dice.random() ** 2 * len(content)), len(content) - 1)  # more often near the start
        kind = dice.randrange(6)
        if kind == 0:
            content[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            content[place : place + 4] = dice.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\x01\0\0")
            )
        elif kind == 2:
            content[place : place + dice.randrange(1, 64)] = dice.randbytes(dice.randrange(64))
        elif kind == 3:
            del content[place : place + dice.randrange(1, 4096)]
        elif kind == 4:
            content[place:place] = content[place : place + dice.randrange(1, 4096)]
        else:
            content[place : place + 2] = dice.randbytes(2)
        content = content or bytearray(b"\0")
    return bytes(content)


def main(seed, count, seconds):
    from peak import peak

    from vidstyle.errors import VidstyleError
    from vidstyle.media import video
    from vidstyle.media.stills import pictures

    faulthandler.register(signal.SIGPROF, chain=True)  # tells where it hangs, and ends the process
    until, dice = time.monotonic() + seconds, random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        contents = [(path.suffix, path.read_bytes()) for path in seeds(Path(name))]
        read = refused = 0
        for number in range(count):
            if time.monotonic() > until:
                break
            suffix, content = dice.choice(contents)
            path = Path(name) / f"mutated{suffix}"
            path.write_bytes(mutated(content, dice))
            for attempt in (lambda: list(video.survey(path).decode()), lambda: pictures.load_picture(path)):  # noqa: B023
                signal.setitimer(signal.ITIMER_PROF, HANG)
                try:
                    attempt()
                    read += 1
                except VidstyleError:
                    refused += 1
                except BaseException:
                    path.rename(f"/tmp/mutation-{seed}-{number}{suffix}")
                    raise
                signal.setitimer(signal.ITIMER_PROF, 0)
                memory = peak()
                assert memory < MOST_MEMORY, (number, suffix, memory)
    print(f"{read} read, {refused} refused, {memory / 1e9:.2f} GB")


def fuzz(seed, count, seconds):
    command = [sys.executable, __file__, str(seed), str(count), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 120)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.clips
def test_damaged_files_are_read_or_refused():
    fuzz(1, 150, 60)


@pytest.mark.soak
@pytest.mark.clips
@pytest.mark.parametrize("seed", range(2, 4))
def test_damaged_files_for_ten_minutes(seed):
    fuzz(seed, 10**9, 300)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

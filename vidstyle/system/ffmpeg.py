"""Starts ffmpeg, to encode. Only workers are processes, too (see `executors`).

imageio-ffmpeg brings the executable; its own writer is not used, because it raises nothing when the disk is full or
the encoder fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import weakref
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from vidstyle.errors import DiskError, EncodingError, UsageError
from vidstyle.system import environment
from vidstyle.system.files import message_file, messages_in

DISK_FULL = re.compile("No space left|Disk quota exceeded|File too large")
DISK_FULL_CODE = 228  # ffmpeg exits with the low byte of -ENOSPC
FILE_TOO_LARGE_SIGNAL = getattr(signal, "SIGXFSZ", None)

_running: weakref.WeakSet[Process] = weakref.WeakSet()

TAGS = re.compile(r"^(\[[^\]]* @ 0x[0-9a-f]+\] )+")  # which part of ffmpeg says something
# What ffmpeg says about an error it has told already, and lists that belong to the line before.
CONSEQUENCES = re.compile(r"Error |Task |Terminating |Could not |Nothing was |Failed to set |To ignore |\s|.*:$")


def executable() -> str:
    """Absolute path of the ffmpeg that imageio-ffmpeg brings, or that IMAGEIO_FFMPEG_EXE names.

    Raises `UsageError` if there is none.
    """
    environment.tidy()  # imageio-ffmpeg starts what it finds
    try:
        name = str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise UsageError(f"there is no ffmpeg ({error}); reinstall imageio-ffmpeg or set IMAGEIO_FFMPEG_EXE") from error
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    if (path := shutil.which(name, path=os.pathsep.join(folders))) is None:
        raise UsageError(f"{name} is no program that can be run; set IMAGEIO_FFMPEG_EXE to an ffmpeg, or unset it")
    return os.path.abspath(path)


def version() -> str:
    """The first line that `ffmpeg -version` prints. Raises `UsageError` if it cannot be run."""
    try:
        done = subprocess.run([executable(), "-version"], capture_output=True, stdin=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"ffmpeg cannot be run ({error}); reinstall imageio-ffmpeg") from error
    return done.stdout.decode(errors="replace").partition("\n")[0].strip()


def file_url(path: Path) -> str:
    """`path` so that ffmpeg takes it for a file, whatever it looks like (a leading dash, a colon)."""
    return "file:" + os.path.abspath(path)


def file_input(path: Path, *, formats: str) -> list[str]:
    """Arguments that read `path`: only as one of the container `formats`, and nothing it may refer to."""
    return ["-protocol_whitelist", "file", "-format_whitelist", formats, "-i", file_url(path)]


def frames_input(width: int, height: int, fps: Fraction, pixels: str = "rgb24") -> list[str]:
    """Arguments that read RGB frames of 8 bits a channel, or others in FFmpeg's name, from the pipe."""
    size, rate = f"{width}x{height}", f"{fps.numerator}/{fps.denominator}"
    raw = ["-f", "rawvideo", "-pixel_format", pixels, "-video_size", size, "-framerate", rate]
    return [*raw, "-protocol_whitelist", "pipe", "-i", "pipe:0"]


class Process:
    """A running ffmpeg that takes bytes on its standard input.

    Whoever starts one ends it with `finish` or `kill`. Should we be killed, its input ends, and so it ends, too.
    Messages go to a temporary file: a pipe that nobody reads would fill up and stop both sides. It runs in its own
    session, so that Ctrl-C reaches only us, who then kill it.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        command = [executable(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]
        self._messages = message_file()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._messages,
                start_new_session=True,
            )
        except OSError as error:
            self._messages.close()
            raise UsageError(f"ffmpeg cannot be started ({error}); reinstall imageio-ffmpeg") from error
        _running.add(self)

    def write(self, data: bytes | memoryview) -> None:
        """Feed it. Raises `DiskError` or `EncodingError` if it has died."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except OSError:  # a broken pipe; EINVAL on Windows
            self.finish()
            raise EncodingError("ffmpeg stopped reading before the last frame") from None

    def finish(self) -> None:
        """Say that this was all and wait. Raises `DiskError` if the disk is full, else `EncodingError` if it failed."""
        try:
            self._close_input()
            code = self._process.wait()
            text = messages_in(self._messages).strip()
        finally:
            self.kill()
        if code == 0:
            return
        reason = reason_in(text) or (f"it was ended by signal {-code}" if code < 0 else f"exit code {code}")
        if DISK_FULL.search(text) or code == DISK_FULL_CODE or -code == FILE_TOO_LARGE_SIGNAL:
            raise DiskError(f"the disk is full ({reason}); free some space")
        raise EncodingError(f"ffmpeg failed: {reason}")

    def kill(self) -> None:
        """End it now, whatever it is doing; harmless when it has ended."""
        self._process.kill()
        self._process.wait()
        self._close_input()
        self._messages.close()

    def kill_now(self) -> None:
        """End it, and wait for nothing."""
        self._process.kill()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died with bytes still on their way; its exit code tells why
            self._process.stdin.close()


def reason_in(messages: str) -> str:
    """The line that says why ffmpeg failed: not the last one, which says only that it did. Empty if there is none.

    It is the last line before those that follow from it. Lines before may tell of damage that ffmpeg got over.
    """
    lines = [TAGS.sub("", line) for line in messages.splitlines() if line.strip()]
    if full := next(filter(DISK_FULL.search, lines), None):
        return full
    told = lines[:1]
    for line in lines:
        if not CONSEQUENCES.match(line):
            told = [line]
        elif line.startswith("Error "):
            break
    return told[0] if told else ""


def run(arguments: Sequence[str], frames: Iterable[bytes] = ()) -> None:
    """Run ffmpeg to its end, feeding it `frames`.

    Raises:
        DiskError: the disk is full.
        EncodingError: it failed otherwise; the text ends with the reason that it gave.
    """
    process = Process(arguments)
    try:
        for frame in frames:
            process.write(frame)
        process.finish()
    except BaseException:
        process.kill()
        raise


def kill_all() -> None:
    """End every ffmpeg of this process, from whatever thread."""
    for process in list(_running):
        process.kill_now()

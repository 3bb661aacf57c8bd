"""Faults in a process, at a numbered change of the disk: it is killed, it is held, or the disk is full.

A change is what a system call of Python's does: opening for writing, each half of what is written, a flush, a rename, a
removal, a new folder, a new process. So that work of encoders is interrupted, too, a frame of a job that is read counts
as well. What C libraries write by themselves is not seen here: `test_kills` traces that.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import signal
import stat
import sys
import threading
from dataclasses import dataclass
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "subprocess.Popen")
open_file, write_bytes, flush_bytes = io.open, os.write, os.fsync


@dataclass(frozen=True)
class Faults:
    """What goes wrong in one process; a change is given by its number, from 1, or by a pattern of its name."""

    kill: int | str | None = None  #: before this change the process is killed
    hold: int | str | None = None  #: before the first such change the process is stopped, until SIGCONT comes
    room: int | None = None  #: bytes that it can write to files in all, until the disk is full


class Changes:
    """Counts the changes in this process, from now on, and lets things go wrong."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.log: list[str] = []
        self.written, self._lock, self._here = 0, threading.Lock(), f"{os.getcwd()}/"
        self._signals = [(faults.kill, signal.SIGKILL), (faults.hold, signal.SIGSTOP)]
        sys.addaudithook(self._audit)
        builtins.open = io.open = self._open
        os.write, os.fsync = self._write, self._flush

    def happens(self, what: str, where: Any) -> None:
        """Called before each change."""
        if isinstance(where, int):
            where = os.readlink(f"/proc/self/fd/{where}")
        change = f"{what} {os.fsdecode(where).removeprefix(self._here)}"
        with self._lock:
            self.log.append(change)
            number = len(self.log)
            met = [one for one in self._signals if _is_meant(one[0], number, change)]
            self._signals = [one for one in self._signals if one not in met]  # a pattern may match again
        for _, number_of_signal in met:
            signal.pthread_kill(threading.get_ident(), number_of_signal)  # of the process, this thread would run on

    def room_for(self, size: int, descriptor: int) -> int:
        """How many of `size` bytes still fit the disk. Raises `OSError` if none does."""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return size
        fits = size if self.faults.room is None else min(size, self.faults.room - self.written)
        if size and not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.written += fits
        return fits

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        where = arguments[0] if arguments else ""
        if event in CHANGES:
            self.happens(event, str(where))
        elif event == "open" and not isinstance(where, int) and not str(where).startswith(("/dev/", "/proc/")):
            if (arguments[2] or 0) & WRITES:
                self.happens("open", where)
            elif re.search(r"\.job/frames/\d+\.png$", str(where)):
                self.happens("read", where)

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, *text: Any, **more: Any) -> Any:
        """`open`, where what is written goes through `Raw`."""
        if not set(mode) & set("wax+"):
            return open_file(file, mode, buffering, *text, **more)
        ways = {name: more.pop(name) for name in ("closefd", "opener") if name in more}
        raw = Raw(file, mode.translate({ord(letter): None for letter in "bt"}), **ways)
        raw.changes = self
        if buffering == 0:
            return raw
        binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, *text, **more)

    def _write(self, descriptor: int, data: Any) -> int:
        self.happens("write", descriptor)
        return write_bytes(descriptor, memoryview(data)[: self.room_for(len(data), descriptor)])

    def _flush(self, descriptor: int) -> None:
        self.happens("flush", descriptor)
        flush_bytes(descriptor)


def _is_meant(wanted: int | str | None, number: int, change: str) -> bool:
    return bool(re.match(wanted, change)) if isinstance(wanted, str) else wanted == number


class Raw(io.FileIO):
    """An unbuffered file that writes half of what it is given, and then the rest."""

    changes: Changes

    def write(self, data: Any) -> int:
        data, done = memoryview(data).cast("B"), 0
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self.changes.happens("write", self.fileno())
            try:
                fits = self.changes.room_for(len(part), self.fileno())
            except OSError:
                if done:
                    return done  # as the system does: the next write says that the disk is full
                raise
            done += super().write(part[:fits]) or 0
            if fits < len(part):
                break
        return done

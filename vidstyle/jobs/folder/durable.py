"""File operations of a job folder, beside those of `files`: appending, flushing, errors of the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidstyle.errors import DiskError
from vidstyle.system.files import FULL

IN_USE = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR)


@contextmanager
def disk_errors(path: Path, hope: str = "") -> Iterator[None]:
    """Turn what the operating system has against using `path` into a `DiskError` that says what to do."""
    try:
        yield
    except OSError as error:
        advice = "free some space on that disk"
        if error.errno not in FULL:
            advice = "make the folder writable, or choose another output"
        raise DiskError(f"cannot write {error.filename or path}: {error.strerror or error}; {advice}{hope}") from error


def append(path: Path, data: bytes, *, flush: bool = False) -> None:
    """Append to a file all of `data` or, with an `OSError`, nothing; `flush` makes it survive a power cut."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o666), "ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            if flush:
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


def remove_empty(folder: Path) -> None:
    """Remove a folder; one that holds something stays. Raises `OSError`."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in IN_USE:
            raise

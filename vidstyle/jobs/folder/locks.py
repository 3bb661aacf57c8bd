"""A lock on a folder, so that only one process writes there.

Where the file system has locks, the kernel lets go of one when its process dies. Where it has none, as on some network
drives, a file stands for the lock; its holder renews it, and one that has not been renewed for `LEASE` seconds, or
whose process is gone from this machine, is taken over.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, SoftFileLease, Timeout

from vidstyle.errors import JobError
from vidstyle.jobs.folder.records import as_json, parsed, read

LOCK, SIGN, OWNER = "lock", "lock.lease", "owner.json"  # the last one says whom to wait for
FILES = (LOCK, SIGN, OWNER)  # in the folder
LEASE = 15.0  # seconds
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    pid: int  #: number of the process
    host: str  #: name of its machine


@contextmanager
def locked(folder: Path, what: str) -> Iterator[Callable[[], None]]:
    """Hold the lock of a folder until the block is left; what is yielded raises `JobError` once it is lost.

    Args:
        what: is done there, like "paints clip.mp4".

    Raises:
        JobError: another process or thread holds it.
        OSError: the folder cannot be written.
    """
    lock = _acquired(folder, what)
    try:
        with suppress(OSError):  # it only tells others whom to wait for
            (folder / OWNER).unlink(missing_ok=True)
            with open(folder / OWNER, "x") as file:
                json.dump(as_json(Owner(os.getpid(), socket.gethostname())), file)
        yield lambda: _require(lock, folder)
    finally:
        lock.release()


def _acquired(folder: Path, what: str) -> FileLock | SoftFileLease:
    try:
        try:
            lock = FileLock(folder / LOCK, fallback_to_soft=False)
            lock.acquire(timeout=0)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in NO_LOCKS:
                raise
            lease = SoftFileLease(folder / SIGN, lease_duration=LEASE, thread_local=False)
            lease.acquire(timeout=1.5 * LEASE)
            return lease
        return lock
    except Timeout:
        raise JobError(f"{folder} is in use: {_owner(folder)} {what}; wait for it or stop it") from None


def _require(lock: FileLock | SoftFileLease, folder: Path) -> None:
    if isinstance(lock, SoftFileLease) and lock.compromise is not None:
        raise JobError(
            f"{folder} was taken over by another vidstyle, since this one gave no sign of life for {LEASE:g} s; "
            "run the same command again when that one has ended"
        )


def _owner(folder: Path) -> str:
    """Who holds the lock, for the text of an error."""
    with suppress(OSError, ValueError):
        owner = read(Owner, parsed((folder / OWNER).read_bytes()))
        return f"process {owner.pid} on {owner.host}"
    return "another vidstyle"

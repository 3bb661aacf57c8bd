"""Two renames that `os` lacks: one that never replaces a file, and one that exchanges two names at once."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path
from typing import Any

HERE = -100  # AT_FDCWD: relative names count from the current folder
NO_REPLACE, EXCHANGE = {"darwin": (4, 2)}.get(sys.platform, (1, 2))  # RENAME_EXCL, RENAME_SWAP; RENAME_NOREPLACE, …
UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)  # not on this system


def rename_new(source: Path, target: Path) -> None:
    """Rename a file or a folder to a name that is free. Raises `FileExistsError` if it is not, or another `OSError`.

    No one can take the name in between, but for folders on systems that know no such renaming.
    """
    try:
        _rename(source, target, NO_REPLACE)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        _rename_new_plainly(source, target)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names, of files or folders, at once. False if the system cannot. Raises `OSError` otherwise."""
    try:
        _rename(one, other, EXCHANGE)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        return False
    return True


def _rename(source: Path, target: Path, flag: int) -> None:
    """Rename with a flag of Linux or macOS."""
    libc: Any = None if os.name == "nt" else ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(source), os.fsencode(target)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(HERE, names[0], HERE, names[1], flag)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, flag)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(source), None, os.fspath(target))


def _rename_new_plainly(source: Path, target: Path) -> None:
    if os.name == "posix" and source.is_file():
        try:
            os.link(source, target)  # refuses a name that is taken
        except OSError as error:
            if error.errno not in UNKNOWN:
                raise
        else:
            os.unlink(source)
            return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    os.rename(source, target)

"""The atomic writer: files and folders appear whole or not at all, and never over another one without leave.

`made_whole` and `write_whole` make a file in a hidden folder beside its place, `write_inside` in a folder that is
locked; `put` gives what is complete its name, and `append` adds to a file all or nothing. The checks say before any
work whether an output can be written, and that it is no input.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import glob
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from vidstyle.errors import DiskError, OutputExistsError, UsageError

STAGING = ".vidstyle-"  # the prefix of a staging folder's name, before eight random characters
STAGED = re.compile(re.escape(STAGING) + r"[a-z0-9_]{8}")
LOCK = "vidstyle.lock"  # in a staging folder: held as long as somebody uses it
PART = ".part"  # the suffix of a file that is being written
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
HERE = -100  # AT_FDCWD: relative names count from the current folder
NO_REPLACE, EXCHANGE = {"darwin": (4, 2)}.get(sys.platform, (1, 2))  # RENAME_EXCL, RENAME_SWAP; RENAME_NOREPLACE, …
UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)  # not on this system

Record = Callable[[Path, Path], None]
Check = Callable[[Path], None]


def check_writable(path: Path, *, overwrite: bool, inputs: Iterable[str | Path] = ()) -> None:
    """Find out before any work whether a file can be written.

    Raises:
        UsageError: it is one of the `inputs`.
        DiskError: the folder is missing or cannot be written, or `path` is not a plain file.
        OutputExistsError: something is there, and may not be replaced.
    """
    check_apart([path], inputs)
    place = check_place(path)
    if place.is_dir():
        raise DiskError(f"output {path} is a folder; give the name of a file in it")
    if place.exists() and not place.is_file():
        raise DiskError(f"output {path} is no plain file; give another name")
    if os.path.lexists(path) and not overwrite:
        raise OutputExistsError(f"output {path} is there already; give -y to overwrite it, or another name")


def check_place(path: Path, suffix: str = "") -> Path:
    """Where what is called `path` will lie; see `place_of`.

    Args:
        suffix: of a longer name beside it that will be needed, too.

    Raises:
        DiskError: the folder is missing or cannot be written, or the name is too long.
    """
    try:
        place = place_of(path)
        if not place.parent.is_dir():
            raise DiskError(f"there is no folder {place.parent}; make it first")
        with suppress(FileNotFoundError):
            os.lstat(f"{path}{suffix}")
        with staging(place.parent):
            return place
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise DiskError(f"the name of output {path} is too long; give a shorter one") from error
        raise failure(path, error) from error


def check_apart(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Raise `UsageError` if an output would replace an input, whatever the two are called and whoever allowed it.

    Files in a folder count as the folder, and those that a pattern (%04d.png, *.png) names as the pattern.
    """
    read = {identity: file for file in inputs for identity in _identities(file)}
    for output in outputs:
        for identity in _identities(output):
            if identity in read:
                raise UsageError(f"output {output} {_clash(output, read[identity])}; give the output another name")


def place_of(path: Path) -> Path:
    """Where what is called `path` lies: a link is followed, as other tools do, so that it goes on pointing there."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A new hidden folder in `folder` for files that are not complete; it goes when the block is left.

    Nobody else can enter it, nor foresee its name: no link can wait in it for what is written. Names in it may be
    short, whatever the output is called. What killed runs have left in `folder` is removed. Raises `OSError`.
    """
    _sweep(folder)
    while True:
        place = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
        lock = FileLock(place / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
            if (place / LOCK).is_file():
                break
        except (Timeout, FileNotFoundError):  # taken for a left one by another run, before it was locked
            continue
        except (OSError, NotImplementedError):  # a file system without locks: nobody removes what is left there
            break
    try:
        yield place
    finally:
        _remove(place)
        lock.release()
        _remove(place)  # Windows removes no open file


@contextmanager
def made_whole(path: Path, *, overwrite: bool = True, record: Record | None = None) -> Iterator[Path]:
    """Where the block is to write a file that then appears as `path`: whole or not at all, even after a power cut.

    Args:
        record: told `path` and where it was written, before that takes its place.

    Raises:
        OutputExistsError: something is there, and may not be replaced.
        DiskError: it cannot be written.
    """
    try:
        place = place_of(path)
        with staging(place.parent) as folder:
            yield folder / "part"
            if record is not None:
                record(path, folder / "part")
            put(folder / "part", place, overwrite=overwrite)
    except OSError as error:
        raise failure(path, error) from error


def write_whole(path: Path, data: str | bytes, *, overwrite: bool = True, record: Record | None = None) -> None:
    """Write a file in this way; raises the same.

    Args:
        data: characters that UTF-8 does not know, as of names of files, are written as JSON escapes them.
    """
    with made_whole(path, overwrite=overwrite, record=record) as part:
        part.write_bytes(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


def write_inside(path: Path, data: bytes, *, flush: bool = True) -> None:
    """The same in a folder where nobody else writes, like one that is locked: faster, its part file called PATH.part.

    It replaces what is there. A part file that a killed run has left is in nobody's way. Raises `OSError`.

    Args:
        flush: without it the file is whole after a kill, but not after a power cut.
    """
    part = path.with_name(path.name + PART)
    part.unlink(missing_ok=True)
    try:
        with open(part, "xb") as file:  # follows no link
            file.write(data)
        if flush:
            put(part, path, overwrite=True)
        else:
            os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


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


def message_file() -> IO[bytes]:
    """A file without a name for what another process tells. Raises `DiskError`."""
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise DiskError(f"no temporary file can be made ({error}); let TMPDIR name a folder with room") from error


def messages_in(file: IO[bytes]) -> str:
    """What was told in such a file so far."""
    file.seek(0)
    return file.read().decode(errors="replace")


def put(part: Path, path: Path, *, overwrite: bool, check_old: Check = lambda path: None) -> None:
    """Give a complete file or folder its name, at once. When this returns it has outlived a power cut.

    An old folder changes places with the new one, and is left at `part`, or beside it.

    Args:
        check_old: raises for a folder that may not be replaced, because of what is in it.

    Raises:
        OutputExistsError: something is there, and may not be replaced.
        OSError: it cannot be done.
    """
    flush(part)
    if overwrite and not part.is_dir():
        os.replace(part, path)
    elif part.is_dir() and os.path.lexists(path):
        check_old(path)
        if any(path.iterdir()) and not overwrite:
            raise _appeared(path)
        _exchange_folders(part, path, check_old)
    else:
        try:
            rename_new(part, path)
        except FileExistsError as error:
            raise _appeared(path) from error
    flush(path.parent)


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


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, written to the disk, as far as the system can."""
    if path.is_dir() and (os.name != "posix" or not os.access(path, os.R_OK)):
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def failure(path: Path, error: OSError) -> DiskError:
    """What an error of the operating system means to whoever wants `path` written."""
    why = error.strerror or error
    if error.errno in FULL:
        return DiskError(f"{path} cannot be written, the disk is full ({why}); free some space")
    return DiskError(f"{path} cannot be written ({why}); give another output")


@contextmanager
def disk_errors(path: Path, hope: Callable[[], str] = str) -> Iterator[None]:
    """Turn what the operating system has against using a folder of ours into a `DiskError` that says what to do.

    Args:
        hope: what more is said then.
    """
    try:
        yield
    except OSError as error:
        advice = "free some space on that disk"
        if error.errno not in FULL:
            advice = "make the folder writable, or choose another output"
        advice += hope()
        raise DiskError(f"cannot write {error.filename or path}: {error.strerror or error}; {advice}") from error


def plain(value: Any) -> Any:
    """`value` as JSON knows it: keys are text, tuples are lists, a number that is not finite is None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _clash(output: str | Path, read: str | Path) -> str:
    """What an output would do to an input."""
    if os.path.realpath(output) == os.path.realpath(read):
        return "is an input, too"
    if os.path.isfile(read):
        return f"is the input {read} by another name"
    return f"would replace a file of the input {read}"


def _identities(path: str | Path) -> Iterator[tuple[int, int]]:
    """Device and inode of a file, of those in a folder, or of those that a pattern names; nothing if there is none."""
    files = [os.fspath(path)]
    with suppress(OSError, ValueError):
        if os.path.isdir(path):
            files += [entry.path for entry in os.scandir(path)]
        elif not os.path.lexists(path):
            files = glob(re.sub(r"%\d*d", "*", os.fspath(path)))
    for file in files:
        with suppress(OSError, ValueError):
            found = os.stat(file)
            yield found.st_dev, found.st_ino


def _sweep(folder: Path) -> None:
    """Remove staging folders that a killed run of this user has left in `folder`."""
    entries: list[os.DirEntry[str]] = []
    with suppress(PermissionError):  # a folder that may be written, not read
        entries = list(os.scandir(folder))
    for entry in entries:
        if not STAGED.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        place = folder / entry.name
        with suppress(OSError, NotImplementedError, Timeout):
            if os.name == "posix" and entry.stat(follow_symlinks=False).st_uid != os.geteuid():
                continue
            if not (place / LOCK).is_file():
                place.rmdir()  # only if it is empty
                continue
            with FileLock(place / LOCK, thread_local=False).acquire(timeout=0):
                _remove(place)
            _remove(place)


def _remove(place: Path) -> None:
    """Remove a staging folder, its lock last: as long as that is there, it is known to be one."""
    with suppress(OSError):
        for entry in os.scandir(place):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != LOCK:
                os.unlink(entry.path)
        (place / LOCK).unlink(missing_ok=True)
        place.rmdir()


def _appeared(path: Path) -> OutputExistsError:
    """What to say of an output that was not there when the work began."""
    return OutputExistsError(f"output {path} has appeared meanwhile and is left as it is; give -y to replace it")


def _exchange_folders(new: Path, old: Path, check_old: Check) -> None:
    """Exchange two folders, at once where the system can; not if the old one just got other files."""
    aside = new.with_name("old")
    if exchange(new, old):
        aside = new
    else:
        os.rename(old, aside)
        try:
            os.rename(new, old)
        except OSError:
            os.rename(aside, old)
            raise
    try:
        check_old(aside)
    except DiskError:
        if not exchange(aside, old):
            os.rename(old, new)
            os.rename(aside, old)
        raise


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

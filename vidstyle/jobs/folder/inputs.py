"""The input files of a job: hashed once, and checked for changes while it runs."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from vidstyle.errors import MediaError
from vidstyle.system.notes import tell
from vidstyle.system.sites import said

STYLE = re.compile(r"\bstyle\b")  # in the roles of styles, and of their masks
MUCH = 2 * 10**9  # bytes of inputs: reading so many is said before
FileStats = tuple[tuple[int, ...], ...]  # what the file system says of files; it changes when they do


class Inputs:
    """The inputs of a job, by the names that they have in its manifest, each of one file or several.

    What the file system says of the files is kept at birth, so that a later change is noticed, whenever one is read.

    Raises `MediaError` if one is not there.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]]) -> None:
        self.files = files
        self._stats = {role: _stats(paths) for role, paths in files.items()}

    @functools.cached_property
    def hashes(self) -> Mapping[str, str]:
        """SHA-256 of each input. Reads all of them. Raises `MediaError` if one has changed since birth."""
        size = sum(stats[2] for found in self._stats.values() for stats in found)
        if size > MUCH:
            tell(f"{said(size)} of inputs are read to the end first, to know them again: some seconds a gigabyte")
        hashes = {role: _hash(paths) for role, paths in self.files.items()}
        for role, paths in self.files.items():
            if _stats(paths) != self._stats[role]:
                raise _changed(paths)
        return hashes

    @property
    def read_frame_by_frame(self) -> list[str]:
        """The files that are read while frames are painted; the others are pictures, which are read at birth."""
        roles = [role for role in self.files if role != "init" and not STYLE.search(role)]
        return [str(path) for role in roles for path in self.files[role]]

    def require_unchanged(self) -> None:
        """Raise `MediaError` if an input is not what it was at birth. As cheap as reading its metadata."""
        for role, paths in self.files.items():
            if (stats := _stats(paths)) != self._stats[role]:
                if _hash(paths) != self.hashes[role]:
                    raise _changed(paths)
                self._stats[role] = stats  # only touched


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal. Raises `OSError` as `open` does."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(files: Sequence[Path]) -> str:
    """SHA-256 of a file or, of several, over their names and hashes. Raises `OSError`."""
    if len(files) == 1:
        return file_hash(files[0])
    lines = "".join(f"{file_hash(path)} {path.name}\n" for path in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _hash(files: Sequence[Path]) -> str:
    try:
        return hash_of(files)
    except OSError as error:
        raise MediaError(f"{error.filename or files[0]} cannot be read ({error.strerror})") from error


def _stats(files: Sequence[Path]) -> FileStats:
    try:
        found = [os.stat(path) for path in files]
    except OSError as error:
        raise MediaError(
            f"{error.filename} is not there any more ({error.strerror}); put it back and run the same command again"
        ) from error
    return tuple((one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def _changed(files: Sequence[Path]) -> MediaError:
    return MediaError(
        f"{files[0] if len(files) == 1 else files[0].parent} was changed or replaced while it was painted; put it back "
        "as it was and run the same command to continue, or paint the new one with --restart"
    )

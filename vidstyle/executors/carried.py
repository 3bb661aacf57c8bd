"""Files that travel to machines which do not share our disk: read once here, written once on each of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Place = Callable[[str], str]  # where a file, or a folder of files, lies on this machine


@dataclass(frozen=True)
class CarriedFile:
    """A file of the machine that the job was started on."""

    path: str  #: absolute
    sha256: str

    @classmethod
    def of(cls, path: str) -> CarriedFile:
        """Raises `OSError` if it cannot be read."""
        return cls(path, _hash(path))

    def is_at(self, path: str) -> bool:
        """Whether this file lies there."""
        return os.path.isfile(path) and _hash(path) == self.sha256


def arrived(files: Sequence[CarriedFile], name: str, fetch: Callable[[int], bytes]) -> Place | None:
    """Where the files lie on this machine; None if they all lie where they did, as on a shared disk.

    Those that are not there are written to a folder for temporary files. Several processes may do so at once.

    Args:
        name: of that folder.
        fetch: gives the bytes of a file by its number.
    """
    if all(file.is_at(file.path) for file in files):
        return None
    folders = {os.path.dirname(file.path) for file in files}

    def place(path: str) -> str:
        if path in folders:
            return _folder(name, path)
        return os.path.join(_folder(name, os.path.dirname(path)), os.path.basename(path))

    for number, file in enumerate(files):
        there = Path(place(file.path))
        if not file.is_at(str(there)):
            there.parent.mkdir(parents=True, exist_ok=True)
            part = there.with_name(f"{there.name}.{os.getpid()}.part")
            part.write_bytes(fetch(number))
            part.replace(there)
    return place


def remove(name: str) -> None:
    """Remove what `arrived` has written on this machine."""
    shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


def _folder(name: str, folder: str) -> str:
    return os.path.join(tempfile.gettempdir(), name, hashlib.sha256(os.fsencode(folder)).hexdigest()[:16])


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

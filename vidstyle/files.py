"""Files that are there whole or not at all, and never written over another without leave."""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidstyle.errors import DiskError, OutputExistsError


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a file can be written.

    Raises:
        DiskError: the folder is missing or cannot be written, or `path` is not a plain file.
        OutputExistsError: the file is there and may not be replaced.
    """
    check_place(path)
    if path.is_dir():
        raise DiskError(f"output {path} is a folder; give the name of a file in it")
    if path.exists() and not path.is_file():
        raise DiskError(f"output {path} is no plain file; give another name")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"output {path} is there already; give -y to overwrite it, or another name")


def check_place(path: Path) -> None:
    """Raise `DiskError` if the folder that `path` is to lie in is missing or cannot be written."""
    try:
        if not path.parent.is_dir():
            raise DiskError(f"there is no folder {path.parent}; make it first")
        path.exists()  # a name that is too long
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.part"):
            pass
    except OSError as error:
        raise DiskError(f"{path} cannot be written ({error.strerror}); give another output") from error


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a hidden name beside `path`, then put it in its place. Raises `DiskError`."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise DiskError(f"{path} cannot be written ({error.strerror}); give another output") from error


def plain(value: Any) -> Any:
    """`value` as JSON knows it: keys are text, tuples are lists, a number that is not finite is None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Protection of the import path: code in the current folder, beside somebody's clips, is not run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOADER_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")


@contextmanager
def kept() -> Iterator[None]:
    """Undo what the block does to the search paths of the dynamic loader, which only child processes read."""
    before = {name: os.environ.get(name) for name in LOADER_PATHS}
    try:
        yield
    finally:
        for name, value in before.items():
            _set(name, value)


def tidy() -> None:
    """Take the current folder out of these search paths: their empty and relative elements.

    Whoever imported OpenCV before vidstyle has an empty one, and so has a shell with `export LD_LIBRARY_PATH=DIR:`.
    """
    for name in LOADER_PATHS:
        if value := os.environ.get(name):
            _set(name, os.pathsep.join(filter(os.path.isabs, value.split(os.pathsep))) or None)


def import_from_elsewhere() -> None:
    """Take the current folder, which `python -m` puts first, out of the search path of modules, unless we lie there."""
    if sys.path[0] == os.getcwd() and not os.path.abspath(__file__).startswith(os.path.join(sys.path[0], "")):
        del sys.path[0]


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    elif os.environ.get(name) != value:
        os.environ[name] = value

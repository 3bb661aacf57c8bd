"""Libraries that only clips need: without them a machine still paints pictures and runs benchmarks.

Modules that import one at their top are themselves imported only where a clip is opened or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from vidstyle.errors import UsageError

CLIP_LIBRARIES = ("av", "imageio_ffmpeg")


def missing(names: Sequence[str] = CLIP_LIBRARIES) -> list[str]:
    """Those of `names` that are not installed. None is imported."""
    return [name for name in names if find_spec(name) is None]


def require(purpose: str, *names: str) -> None:
    """Raise `UsageError` if one of `names` is not installed, which `purpose` (like "reading a clip") takes."""
    if lacking := missing(names):
        raise UsageError(f"{purpose} takes {' and '.join(lacking)}, not installed here; run {pip_install(lacking)}")


def pip_install(names: Sequence[str]) -> str:
    """The command that installs `names`."""
    return f"pip install {' '.join(name.replace('_', '-') for name in names)}"

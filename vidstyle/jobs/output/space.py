"""An estimate of the disk space that a job and its outputs need, before any painting."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vidstyle.errors import DiskError
from vidstyle.system.sites import said
from vidstyle.types import ClipInfo

PNG, FLAT_PNG = 2.0, 0.5  # bytes a pixel: measured on paintings, 1.5 to 2.4; and what even flat colours take
STATES = 24  # bytes a pixel: float32 RGB, and the next one is written before the last one goes
LOSSLESS = (".png", "")  # outputs, a folder among them, that are about as large as the frames


MANY = 2000  # frames: a job of more says what it takes before it begins


def announced(info: ClipInfo, painted: int) -> str | None:
    """A sentence that says what a very long job takes; None for any other.

    Args:
        info: of the frames, for their size.
        painted: how many of them are still to be painted.
    """
    if painted <= MANY:
        return None
    hours, size = painted / 3600, job_bytes(info, painted)
    return (
        f"{painted} frames of {info.width}x{info.height} are to be painted: {hours:.1f} hours at a second each, and "
        f"about {said(size)} on the disk until the outputs are made"
    )


def job_bytes(info: ClipInfo, painted: int) -> float:
    """About how many bytes the job folder takes when so many frames of a size are painted."""
    return info.width * info.height * (painted * PNG + STATES)


def outputs_bytes(outputs: Sequence[Path], info: ClipInfo, shown: int) -> float:
    """The same for the outputs that are about as large as their frames; others are much smaller."""
    return sum(path.suffix.lower() in LOSSLESS for path in outputs) * info.width * info.height * shown * PNG


def require_space(outputs: Sequence[Path], info: ClipInfo, painted: int, shown: int) -> None:
    """Raise `DiskError` if a disk has surely too little room, with about how much is needed.

    Args:
        outputs: the first one has the job folder beside it. What is painted there already needs no more room.
        info: of the frames, for their size.
        painted, shown: how many frames are painted, and shown in each output.
    """
    job = outputs[0].with_name(outputs[0].name + ".job")
    left = max(painted - sum(1 for _ in job.glob("frames/*.png")), 0)
    states = STATES if left else 0
    needs = [(job.parent, left, states)]
    needs += [(path.parent, shown, 0) for path in outputs if path.suffix.lower() in LOSSLESS]
    disks: dict[int, list[tuple[Path, int, int]]] = {}
    for need in needs:
        with suppress(OSError):
            disks.setdefault(need[0].stat().st_dev, []).append(need)
    for found in disks.values():
        folder, usage = found[0][0], shutil.disk_usage(found[0][0])
        frames, pixels = sum(count for _, count, _ in found), info.width * info.height
        if usage.total and usage.free < pixels * (frames * FLAT_PNG + states):  # some network drives know no total
            raise DiskError(
                f"{left} frames of {info.width}x{info.height}, and outputs of them, take about "
                f"{said(pixels * (frames * PNG + states))} on the disk of {folder.resolve()}, where {said(usage.free)} "
                "are free; free some, write to another disk, or give a smaller --size or fewer seconds"
            )

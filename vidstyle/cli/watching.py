"""The command that shows the progress of a job, running or finished, in a terminal."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.text import Text

from vidstyle.cli.endings import errors_told
from vidstyle.system.sites import said as size_said

if TYPE_CHECKING:
    import numpy as np

    from vidstyle.api import JobStatus, JobWatcher

CURVE_ROWS = 4
WIDEST = 100  # columns that are used
UNDER = 12  # lines of the terminal that are not for the picture

app = typer.Typer()


@app.command(no_args_is_help=True)
def watch(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The folder of a job, OUTPUT.job, or its output.")],
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often to look.", min=0.05, max=3600)] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print how far it is, and stop.")] = False,
) -> None:
    """Watch a job, running or finished: progress, newest frame, loss, rate and time left. Ends when the job does.

    The job is only read: it may run elsewhere, and is not disturbed.
    """
    with errors_told():
        from vidstyle.api import JobWatcher  # not at the top: torch is imported

        watcher = JobWatcher(job)
        watcher.require()
        console = Console(highlight=False, soft_wrap=True)
        status = watcher.status()
        if once:
            console.print(described(status), markup=False)
        elif console.is_terminal:
            _live(watcher, status, every, console)
        else:
            _lines(watcher, status, every, console)


def _live(watcher: JobWatcher, status: JobStatus, every: float, console: Console) -> None:
    """Draw the job until it ends; what is drawn last stays."""
    with Live(_drawn(watcher, status, console), console=console, auto_refresh=False, transient=False) as live:
        live.refresh()
        while not status.ended:
            time.sleep(every)
            status = _next(watcher, status)
            live.update(_drawn(watcher, status, console), refresh=True)


def _lines(watcher: JobWatcher, status: JobStatus, every: float, console: Console) -> None:
    """A line whenever something has changed, for a file or a pipe."""
    told = None
    while True:
        key = (status.phase, status.painted)
        if key != told:
            told = key
            console.print(described(status), markup=False)
        if status.ended:
            return
        time.sleep(every)
        status = _next(watcher, status)


def _next(watcher: JobWatcher, before: JobStatus) -> JobStatus:
    """The status now; of a folder that is gone, what was known of it before."""
    now = watcher.status()
    if now.phase != "gone":
        return now
    return dataclasses.replace(before, phase="gone", fps=None)


def described(status: JobStatus) -> str:
    """A line that says how far a job is."""
    words = {
        "starting": "starting",
        "painting": "painting",
        "encoding": "encoding",
        "stopped": "stopped; the same command goes on",
        "finished": "finished",
        "gone": "the job folder was removed, as it is when the outputs are made",
    }
    parts = [f"{status.painted} of {status.frames or '?'} frames"]
    if status.shots > 1:
        parts.append(f"shot {status.shot} of {status.shots}")
    if status.losses:
        parts.append(f"loss {status.losses[-1]:.4f}")
    if status.evaluations and status.running:
        parts.append(f"{status.evaluations} evaluations")
    if status.fps:
        parts.append(f"{status.fps:.2f} frames/s" if status.fps >= 1 else f"{1 / status.fps:.1f} s/frame")
    if status.eta_seconds is not None:
        parts.append(f"{spoken(status.eta_seconds)} left")
    if status.memory:
        parts.append(f"{size_said(status.memory)} of memory")
    return f"{status.folder.name.removesuffix('.job')}: {', '.join(parts)}; {words[status.phase]}"


def spoken(seconds: float) -> str:
    """A duration like 1:02:03, or 42 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _drawn(watcher: JobWatcher, status: JobStatus, console: Console) -> RenderableType:
    width = min(console.width, WIDEST)
    parts: list[RenderableType] = [Text(described(status))]
    parts.append(ProgressBar(total=max(status.frames, 1), completed=status.painted, width=width))
    if len(status.losses) > 1:
        parts.append(Text(f"loss of the frames, {min(status.losses):.4f} to {max(status.losses):.4f}"))
        parts.append(Text("\n".join(curve(status.losses, width))))
    readable = (console.encoding or "").lower().startswith("utf")
    rows = console.height - UNDER
    if readable and rows >= 4 and (picture := watcher.newest(status)) is not None:
        parts.append(half_blocks(picture, width, rows))
    return Group(*parts)


def curve(values: Sequence[float], width: int, rows: int = CURVE_ROWS) -> list[str]:
    """Lines of block characters: the values from left to right, the largest of those that share a column."""
    from vidstyle.lab.plots import EIGHTHS  # not at the top: OpenCV is imported

    columns = min(width, len(values))
    bins = [values[len(values) * n // columns : len(values) * (n + 1) // columns] for n in range(columns)]
    low, high = min(values), max(values)
    heights = [1 + round((max(one) - low) / ((high - low) or 1) * (8 * rows - 1)) for one in bins]
    return [
        "".join(EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in heights).rstrip()
        for row in reversed(range(rows))
    ]


def half_blocks(picture: np.ndarray, columns: int, rows: int) -> Text:
    """A picture, (H, W, 3) uint8, as characters that are each two pixels high, in at most so many columns and rows."""
    from vidstyle.system.opencv import cv2  # not at the top: it is not needed otherwise

    height, width = picture.shape[:2]
    scale = min(columns / width, 2 * rows / height, 1)
    across, down = max(round(width * scale), 1), max(round(height * scale / 2), 1)
    small = cv2.resize(picture, (across, 2 * down), interpolation=cv2.INTER_AREA)
    text = Text()
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        text.append("\n")
    text.right_crop(1)
    return text

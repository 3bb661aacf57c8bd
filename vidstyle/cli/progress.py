"""The progress bar and the messages of a running job."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console

if TYPE_CHECKING:
    from vidstyle.types import Fitted, Progress, Result

OnStep = Callable[[str, int, int], None]
READING = "reading"  # before anything is painted


class _Messages:
    """Standard error, ignoring that it was closed: a closed terminal or pipe does not stop a job."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


console = Console(file=cast(IO[str], _Messages()), highlight=False)


@contextmanager
def progress(
    outputs: list[str], quiet: bool, report: bool
) -> Iterator[tuple[Callable[[Result, int], None] | None, OnStep]]:
    """A progress bar with the time left, and a last line with the outputs; yields callbacks for frames and steps."""
    if quiet:
        with bar(quiet) as on_step:
            yield None, on_step
        return
    began = time.perf_counter()
    with bar(quiet) as on_step:

        def on_frame(result: Result, total: int) -> None:
            on_step(f"loss {result.losses['total']:.4f}", result.index + 1, total)
            if result.index + 1 == total:
                on_step("measuring, encoding" if report else "encoding", total, total)

        yield on_frame, on_step
    tell([*outputs, *(["a report"] if report else [])], began)


def on_workers(on_step: OnStep, report: bool) -> Callable[[Progress], None]:
    """A callback for the progress of workers, shown by steps."""

    def on_progress(now: Progress) -> None:
        text = f"{now.shots} shot{'s' * (now.shots != 1)}, {now.rate:.2f} frames/s"
        if now.painted == now.frames:
            text = "measuring, encoding" if report else "encoding"
        on_step(text, now.painted, now.frames)

    return on_progress


def tell(made: list[str], began: float) -> None:
    """A line that says what was made, and how long it took since the clock of `time.perf_counter` said `began`."""
    console.print(f"{', '.join(made)} ({time.perf_counter() - began:.0f} s)", markup=False, soft_wrap=True)


def tell_fitted(fitted: Fitted) -> None:
    """A line that says how large an output of limited size is, and what it gave up."""
    console.print(str(fitted), markup=False, soft_wrap=True)


def tell_note(note: str) -> None:
    """A line that says what does not go along with the pictures, and why; also where all else is quiet."""
    console.print(f"vidstyle: {note}", markup=False, soft_wrap=True)


@contextmanager
def bar(quiet: bool) -> Iterator[OnStep]:
    """A progress bar with the time left; yields a callback that takes a description, the steps done and all steps."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, disable=quiet)
    with shown:
        task = shown.add_task(READING, total=None)

        def on_step(text: str, done: int, total: int) -> None:
            shown.update(task, description=text, completed=done, total=total)

        try:
            yield on_step
        except BaseException:
            shown.live.transient = shown.tasks[task].description == READING  # of a refusal only its sentence stays
            raise
        shown.update(task, description="done")

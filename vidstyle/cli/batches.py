"""The command that paints the jobs of a file."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vidstyle.cli.endings import errors_told
from vidstyle.cli.listening import notes_told
from vidstyle.cli.options import Overwrite, Quiet, Threads, Verbose
from vidstyle.cli.progress import READING, console, progress, tell, tell_fitted, tell_note
from vidstyle.errors import VidstyleError
from vidstyle.system import exits, signals

if TYPE_CHECKING:
    from vidstyle.batch.runs import Batch
    from vidstyle.batch.tables import JobTable

app = typer.Typer()


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a row of the table at the end."""

    line: int
    name: str
    outputs: Sequence[str]
    what: str
    code: int = 0


@app.command(no_args_is_help=True)
def batch(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="A file of jobs: vidstyle guide batch.")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Paint this job, or those like it (*), and what it reads."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, say what would be painted, and stop.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", metavar="INT", min=1, help="Paint so many jobs at the same time.")
    ] = 1,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Paint the jobs of a file, as far as something has changed since they were painted.

    All are checked before the first is painted. A job that fails does not stop the others.
    """
    with errors_told(verbose=verbose), notes_told(quiet):
        from vidstyle.batch.runs import Batch  # not at the top: torch is imported

        jobs = Batch(file, only or (), overwrite=overwrite)
        found = []
        for trouble in jobs.troubles:
            code, text = exits.outcome(trouble.error)
            complain(file, trouble.line, trouble.name, text)
            found.append(Outcome(trouble.line, trouble.name, (), "cannot be painted", code))
        if dry_run:
            for job in jobs.jobs:
                what = "would be painted" if jobs.is_due(job) else "up to date"
                found.append(Outcome(job.line, job.name, job.outputs, what))
        elif workers == 1:
            found += [_done(jobs, job, file, quiet, threads) for job in jobs.jobs]
        else:
            found += _done_at_once(jobs, file, quiet, workers, threads)
        if not quiet:
            _show(found)
    if code := worst([outcome.code for outcome in found]):
        raise exits.Ended(code)


def worst(codes: Sequence[int]) -> int:
    """The exit code of several jobs: that of a bug before all others, then the largest."""
    return exits.BUG if exits.BUG in codes else max(codes, default=0)


def _done(jobs: Batch, job: JobTable, file: Path, quiet: bool, threads: int | None) -> Outcome:
    """Paint a job if it is due; what goes wrong is told, and does not stop the others."""
    began = time.perf_counter()
    try:
        if not jobs.is_due(job):
            return Outcome(job.line, job.name, job.outputs, "up to date")
        painted = bool(job.styles)
        with progress(list(job.outputs), quiet or not painted, report=False) as (on_frame, on_step):
            told: dict[str, Any] = {"on_frame": on_frame, "threads": threads}
            if job.kind in ("video", "balance"):
                told["on_fitted"] = None if quiet else tell_fitted
            if job.kind == "video" and not quiet:
                told["on_read"] = functools.partial(on_step, READING)
            if job.kind == "balance":
                told["on_pilot"] = functools.partial(on_step, "pilot render")
            jobs.paint(job, **told)
    except Exception as error:
        if signals.received():
            raise
        return _failed(job, file, error)
    return Outcome(job.line, job.name, job.outputs, f"painted in {time.perf_counter() - began:.0f} s")


def _done_at_once(jobs: Batch, file: Path, quiet: bool, workers: int, threads: int | None) -> list[Outcome]:
    """Paint the jobs that are due, several at the same time; of each it is told when it has ended."""
    import torch  # not at the top: it takes long

    from vidstyle.batch.workers import paint_at_once

    found: list[Outcome] = []
    each = threads or max(torch.get_num_threads() // workers, 1)
    for together in jobs.rounds():
        began, due = time.perf_counter(), []
        for job in together:
            try:
                if jobs.is_due(job):
                    due.append(job)
                else:
                    found.append(Outcome(job.line, job.name, job.outputs, "up to date"))
            except VidstyleError as error:
                found.append(_failed(job, file, error))

        def ended(job: JobTable, notes: Sequence[str], error: Exception | None, began: float = began) -> None:
            for note in () if quiet else notes:
                tell_note(f"{job.name}: {note}")
            if error is not None:
                found.append(_failed(job, file, error))
                return
            found.append(Outcome(job.line, job.name, job.outputs, "painted"))
            if not quiet:
                tell(list(job.outputs), began)

        paint_at_once(jobs, due, workers, each, ended)
    return found


def _failed(job: JobTable, file: Path, error: Exception) -> Outcome:
    code, text = exits.outcome(error)
    if code == exits.BUG:
        from vidstyle.system import facts

        logging.getLogger("vidstyle").info("%s", facts.trace(error))
    complain(file, job.line, job.name, text)
    return Outcome(job.line, job.name, job.outputs, "failed", code)


def complain(file: Path, line: int, name: str, text: str) -> None:
    """Tell what is wrong with a job, with the line of the file."""
    shown = f"vidstyle: {file}:{line}: {name}{': ' if name else ''}{text}"
    console.print(shown, style="red", markup=False, soft_wrap=True)


def _show(found: Sequence[Outcome]) -> None:
    """A table of what became of each job, in the order of the file."""
    from vidstyle.lab.tables import Grid

    rows = [
        (str(one.line), one.name, ", ".join(one.outputs), one.what, str(one.code))
        for one in sorted(found, key=lambda one: one.line)
    ]
    Console(highlight=False, markup=False).print(
        Grid("", ("line", "<job", "<outputs", "<what became of it", "exit code"), rows).shown()
    )

"""The command that paints the jobs of a file."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vidstyle.cli.endings import errors_told
from vidstyle.cli.listening import notes_told
from vidstyle.cli.options import Overwrite, Quiet, Verbose
from vidstyle.cli.progress import console, progress, tell_fitted
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
        for job in jobs.jobs:
            if dry_run:
                what = "would be painted" if jobs.is_due(job) else "up to date"
                found.append(Outcome(job.line, job.name, job.outputs, what))
            else:
                found.append(_done(jobs, job, file, quiet))
        if not quiet:
            _show(found)
    if code := worst([outcome.code for outcome in found]):
        raise exits.Ended(code)


def worst(codes: Sequence[int]) -> int:
    """The exit code of several jobs: that of a bug before all others, then the largest."""
    return exits.BUG if exits.BUG in codes else max(codes, default=0)


def _done(jobs: Batch, job: JobTable, file: Path, quiet: bool) -> Outcome:
    """Paint a job if it is due; what goes wrong is told, and does not stop the others."""
    began = time.perf_counter()
    try:
        if not jobs.is_due(job):
            return Outcome(job.line, job.name, job.outputs, "up to date")
        painted = bool(job.styles)
        with progress(list(job.outputs), quiet or not painted, report=False) as (on_frame, on_step):
            told: dict[str, Callable[..., Any] | None] = {"on_frame": on_frame}
            if job.kind in ("video", "balance"):
                told["on_fitted"] = None if quiet else tell_fitted
            if job.kind == "balance":
                told["on_pilot"] = functools.partial(on_step, "pilot render")
            jobs.paint(job, **told)
    except Exception as error:
        if signals.received():
            raise
        code, text = exits.outcome(error)
        if code == exits.BUG:
            from vidstyle.system import facts

            logging.getLogger("vidstyle").info("%s", facts.trace(error))
        complain(file, job.line, job.name, text)
        return Outcome(job.line, job.name, job.outputs, "failed", code)
    return Outcome(job.line, job.name, job.outputs, f"painted in {time.perf_counter() - began:.0f} s")


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

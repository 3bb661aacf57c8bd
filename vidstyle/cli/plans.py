"""The command that says what a job, or the jobs of a file, will take before anything is painted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vidstyle.cli.batches import complain, worst
from vidstyle.cli.options import OUTPUT, STYLES, job_options
from vidstyle.cli.sections import Sectioned
from vidstyle.errors import UsageError, VidstyleError
from vidstyle.settings import VideoSettings
from vidstyle.system import exits

if TYPE_CHECKING:
    from vidstyle.lab.plan.figures import Plan
    from vidstyle.lab.tables import Grid

app = typer.Typer()


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("video", plans=True)
def plan(
    clip: Annotated[Path, typer.Argument(metavar="CLIP|FILE.toml", help="A video clip, or a file of jobs.")],
    styles: Annotated[list[Path] | None, STYLES] = None,
    output: Annotated[list[str] | None, OUTPUT] = None,
    time_budget: Annotated[
        str | None,
        typer.Option("--time-budget", metavar="TIME", help="Say what would fit into a time like 20m or 1h30m."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object: vidstyle guide plan.")] = False,
    **job: Any,
) -> None:
    """Say what painting a clip will take: time, memory and disk. Paints nothing, and writes no file.

    Takes the options of video. Of a file of jobs (vidstyle guide batch), what each of them will take.
    """
    from vidstyle.lab.plan.model import seconds_of  # not at the top: torch is imported

    budget = None if time_budget is None else seconds_of(time_budget)
    if clip.suffix.lower() == ".toml":
        if styles or output or budget or job["settings"] != VideoSettings() or job["run"].restart:
            raise UsageError(f"{clip} says itself what its jobs are; give it without styles and options of video")
        _plan_batch(clip, as_json, overwrite=job["run"].overwrite)
        return
    if not styles:
        raise UsageError("to plan a clip takes a STYLE, as to paint it")
    from vidstyle.lab.plan.estimate import plan_job

    found = plan_job(clip, styles, output or [], **job, budget=budget)
    if as_json:
        typer.echo(json.dumps(found.json(), indent=1, allow_nan=False))
    else:
        for part in _lines(found):
            _print(part)


def _plan_batch(file: Path, as_json: bool, *, overwrite: bool) -> None:
    """The jobs of a file, those that are up to date without cost; what cannot be painted is told."""
    from vidstyle.batch.runs import Batch
    from vidstyle.lab.plan.estimate import plan_job
    from vidstyle.lab.tables import Grid, duration

    jobs = Batch(file, overwrite=overwrite)
    rows: list[dict[str, Any]] = []

    def failed(line: int, name: str, error: Exception) -> None:
        code, text = exits.outcome(error)
        complain(file, line, name, text)
        rows.append({"line": line, "name": name, "what": "cannot be painted", "seconds": None, "exit_code": code})

    for trouble in jobs.troubles:
        failed(trouble.line, trouble.name, trouble.error)
    for job in jobs.jobs:
        row = {"line": job.line, "name": job.name, "exit_code": 0, "plan": None}
        try:
            if not jobs.is_due(job):
                rows.append({**row, "what": "up to date", "seconds": 0.0})
            elif any(map(jobs.is_due, jobs.awaited(job))):
                rows.append({**row, "what": "reads an output that is not painted yet", "seconds": None})
            elif not job.styles:
                rows.append({**row, "what": "paints nothing", "seconds": 0.0})
            else:
                found = plan_job(job.content, job.styles, job.outputs, job.settings, jobs.run_options(job))
                rows.append({**row, "what": "to be painted", "seconds": found.seconds, "plan": found.json()})
        except VidstyleError as error:
            failed(job.line, job.name, error)
    rows.sort(key=lambda row: int(row["line"]))
    total = sum(row["seconds"] or 0.0 for row in rows)
    unknown = sum(row["seconds"] is None for row in rows)
    if as_json:
        typer.echo(json.dumps({"jobs": rows, "seconds": total, "jobs_without_time": unknown}, indent=1))
    else:
        shown = [
            (str(row["line"]), row["name"], row["what"], "–" if row["seconds"] is None else duration(row["seconds"]))
            for row in rows
        ]
        without = f", without {unknown} of them whose time is not known" if unknown else ""
        _print(Grid("", ("line", "<job", "<what becomes of it", "time"), shown))
        _print(f"one after the other, on this machine: {duration(total)}{without}")
    if code := worst([row["exit_code"] for row in rows]):
        raise exits.Ended(code)


def _lines(plan: Plan) -> Iterator[Grid | str]:
    """A plan for a terminal."""
    from vidstyle.lab.tables import Grid, counted, duration, memory

    there = plan.frames - plan.frames_left
    yield (
        f"{plan.content}: {counted(plan.frames, 'frame')} of {plan.width}x{plan.height} in "
        f"{counted(len(plan.shots), 'shot')}{f', {there} of them painted already' if there else ''}; on {plan.device}"
        + (f", {counted(plan.threads, 'thread')}" if plan.threads else "")
    )
    rows = [
        (
            str(number),
            str(shot.first),
            str(shot.end - 1),
            f"{shot.start_seconds or 0:.3f}",
            f"{shot.end_seconds or 0:.3f}",
            str(shot.frames_left),
            duration(shot.seconds),
        )
        for number, shot in enumerate(plan.shots, 1)
    ]
    yield Grid("Shots", ("shot", "first", "last", "start s", "end s", "frames to paint", "time"), rows)
    costs = [("first", plan.first_frame, plan.first_frame_seconds)]
    if plan.later_frame is not None and plan.later_frame_seconds is not None:
        costs.append(("later", plan.later_frame, plan.later_frame_seconds))
    yield Grid(
        "A frame",
        ("frame", "seconds", "evaluations", "at most", "of each", "the rest", "flow, saving"),
        [
            (
                name,
                f"{seconds:.2f}",
                f"{one.evaluations:.0f}",
                str(one.most_evaluations),
                duration(one.evaluation_seconds),
                duration(one.fixed_seconds),
                duration(one.beside_seconds),
            )
            for name, one, seconds in costs
        ],
    )
    yield Grid(
        "Time",
        ("workers", "time", "at least"),
        [(str(one.workers), duration(one.seconds), duration(one.bound_seconds)) for one in plan.workers],
    )
    yield (
        f"of which to read and prepare {duration(plan.start_seconds)}, to paint {duration(plan.painting_seconds)}, "
        f"to encode {duration(plan.encoding_seconds)}"
    )
    yield f"memory of {plan.device}: {memory(plan.memory_bytes)}, of {memory(plan.memory_free_bytes)} free"
    yield (
        f"disk: {memory(plan.job_folder_bytes)} for the job folder until the outputs are made"
        + (f", {memory(plan.outputs_bytes)} for outputs" if plan.outputs_bytes else "")
        + f"; {memory(plan.disk_free_bytes)} free"
    )
    yield from _fitted(plan)
    yield "This assumes:"
    yield from (f"* {one}" for one in plan.assumes)


def _fitted(plan: Plan) -> Sequence[str]:
    """What a time budget changes."""
    from vidstyle.lab.tables import duration

    fit = plan.fit
    if fit is None:
        return [plan.command]
    if fit.command == plan.command:
        return [f"it fits {duration(fit.budget_seconds)} as it is:", fit.command]
    what = f"--size {fit.size}, at most {fit.first_iterations} evaluations of a first frame"
    if fit.iterations is not None:
        what += f" and {fit.iterations} of a warm-started one"
    if not fit.fits:
        return [f"nothing fits {duration(fit.budget_seconds)}; {what} would take {duration(fit.seconds)}:", fit.command]
    return [f"to fit {duration(fit.budget_seconds)}: {what}; {duration(fit.seconds)}:", fit.command]


def _print(part: Grid | str) -> None:
    shown = Console(highlight=False, markup=False, soft_wrap=isinstance(part, str))
    shown.print(part if isinstance(part, str) else part.shown())

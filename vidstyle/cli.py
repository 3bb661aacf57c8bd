"""The command line: flags become `Settings`, one pipeline call is made, an error class becomes an exit code."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.console import Console

from vidstyle.errors import UsageError, VidstyleError
from vidstyle.flags import flag, from_flag
from vidstyle.progress import bar, console, progress, tell
from vidstyle.types import PRESETS, Job, Settings

if TYPE_CHECKING:
    from vidstyle.course import Course
    from vidstyle.shots import Shot

INTERRUPTED = 130

app = typer.Typer(
    help="Moving pictures by neural style transfer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Content = Annotated[Path, typer.Argument(metavar="CONTENT", help="A picture.")]
STYLES: Any = typer.Argument(metavar="STYLE...", help="One style picture, or several to blend.")
OUTPUT: Any = typer.Option(
    "--output", "-o", metavar="FILE", help="The file to write, or a folder/; for more, give it again."
)
Styles = Annotated[list[Path], STYLES]
Output = Annotated[list[str], OUTPUT]
Overwrite = Annotated[bool, typer.Option("--yes", "-y", help="Overwrite an existing output.")]
Restart = Annotated[bool, typer.Option("--restart", help="Forget what an interrupted run has painted.")]
KeepJob = Annotated[bool, typer.Option("--keep-job", help="Keep the folder OUTPUT.job with every frame.")]
SomeStyles = Annotated[list[Path] | None, typer.Argument(metavar="STYLE...", help="Style pictures [a generated one].")]
Figures = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE.json", help="Write every figure there, too.")
]
Judge = Annotated[str, typer.Option(metavar="compact|vgg19", help="Network of the style distance.")]
Plot = Annotated[
    bool, typer.Option("--plot-schedule", help="Draw the numbers that change over time, and stop before painting.")
]
Shots = Annotated[bool, typer.Option("--shots", help="List the shots, and stop; takes neither STYLE nor -o.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def main() -> None:
    """Run the command line."""
    app(prog_name="vidstyle")


@contextmanager
def _errors() -> Iterator[None]:
    """Every `VidstyleError` ends in one sentence and its exit code; an interruption says how to go on."""
    try:
        yield
    except VidstyleError as error:
        console.print(f"vidstyle: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        console.print("vidstyle: interrupted; the same command goes on where this one stopped", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def job_options(job: Job, *, runs: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each field of `Settings` that `job` reads and, if it runs one, those of every job.

    The command receives them as the keyword arguments of its pipeline function.
    """
    fields = [option for option in dataclasses.fields(Settings) if job in option.metadata["only"]]
    named = Annotated[str | None, typer.Option(metavar="NAME", help=f"A named set of options: {', '.join(PRESETS)}.")]
    flags = {"overwrite": Overwrite, "restart": Restart, "keep_job": KeepJob, "quiet": Quiet} if runs else {}
    presets = {"preset": named} if job != "encode" else {}
    options: dict[str, Any] = {**{option.name: flag(option) for option in fields}, **presets}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            given = {name: values.pop(name) for name in options}
            preset = given.pop("preset", None)
            with _errors():
                changes = {name: from_flag(name, value) for name, value in given.items() if value is not None}
                settings = Settings.preset(preset, **changes) if preset else Settings(**changes)
                if not runs:
                    return command(**values, settings=settings)
                report = values.get("report", False)
                paints = values["styles"] and values["output"]
                paints = paints and not values.get("plot_schedule") and not values.get("shots")
                with progress(values["output"], values.pop("quiet") or not paints, report) as on_frame:
                    return command(**values, settings=settings, on_frame=on_frame)

        hints = get_type_hints(command, include_extras=True)
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            *(p.replace(annotation=hints[p.name], kind=keyword) for p in own),
            *(inspect.Parameter(name, keyword, default=False, annotation=kind) for name, kind in flags.items()),
            *(inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in options.items()),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


@app.command(no_args_is_help=True)
@job_options("video")
def video(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video clip.")],
    styles: Annotated[list[Path] | None, STYLES] = None,
    output: Annotated[list[str] | None, OUTPUT] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Measure the painted frames, too: OUTPUT.report.json and .html.")
    ] = False,
    plot_schedule: Plot = False,
    shots: Shots = False,
    **job: Any,
) -> None:
    """Paint a video clip; its sound and frame rate stay."""
    if shots:
        from vidstyle.pipeline import find_shots

        _list(find_shots(clip, job["settings"]))
    elif not (styles and output):
        raise UsageError("to paint a clip takes a STYLE and -o FILE; only --shots does without")
    elif plot_schedule:
        from vidstyle.pipeline import plan_video

        _draw(plan_video(clip, styles, job["settings"]))
    elif report:
        from vidstyle.report import stylize_with_report

        stylize_with_report(clip, styles, output, **job)
    else:
        from vidstyle.pipeline import stylize_video

        stylize_video(clip, styles, output, **job)


@app.command(no_args_is_help=True)
@job_options("balance")
def balance(content: Content, styles: Styles, output: Output, plot_schedule: Plot = False, **job: Any) -> None:
    """Animate the balance: a picture turns into a painting and back."""
    from vidstyle.pipeline import animate_balance, plan_balance

    if plot_schedule:
        _draw(plan_balance(content, styles, job["settings"]))
    else:
        animate_balance(content, styles, output, **job)


@app.command(no_args_is_help=True)
@job_options("image")
def image(content: Content, styles: Styles, output: Output, **job: Any) -> None:
    """Paint one picture."""
    from vidstyle.pipeline import stylize_image

    stylize_image(content, styles, output, **job)


@app.command(no_args_is_help=True)
@job_options("encode", runs=False)
def encode(
    folder: Annotated[Path, typer.Argument(metavar="JOB", help="The folder of a finished job: OUTPUT.job.")],
    output: Output,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    **job: Any,
) -> None:
    """Encode a finished job (--keep-job) anew, with other settings; paints nothing."""
    from vidstyle.encode import encode_job

    began = time.perf_counter()
    with _all_or_nothing():
        encode_job(folder, output, overwrite=overwrite, **job)
    if not quiet:
        tell(output, began)


@app.command(no_args_is_help=True)
@job_options("image", runs=False)
def compare(
    contents: Annotated[Path, typer.Argument(metavar="CONTENTS", help="A picture, or a folder of pictures.")],
    styles: Annotated[Path, typer.Argument(metavar="STYLES", help="A picture, or a folder of pictures.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="For pictures and figures.")],
    tries: Annotated[int, typer.Option(min=0, help="Paintings to make the content distances agree.")] = 2,
    pairs: Annotated[int | None, typer.Option(min=1, help="Stop after so many pairs [all].")] = None,
    **job: Any,
) -> None:
    """Paint with a network and with VGG-19 and let VGG-19 judge: is the network good enough?"""
    from vidstyle import comparison

    done = 0

    def on_pair(pair: comparison.Pair, total: int) -> None:
        nonlocal done
        done += 1
        console.print(f"{done}/{total} {pair}", markup=False, soft_wrap=True)

    report = comparison.compare(contents, styles, output, tries=tries, limit=pairs, on_pair=on_pair, **job)
    for line in report.lines():
        typer.echo(line)


@app.command()
@job_options("video", runs=False)
def bench(
    clip: Annotated[Path | None, typer.Argument(metavar="CLIP", help="A video clip [a generated one].")] = None,
    styles: SomeStyles = None,
    output: Figures = None,
    overwrite: Overwrite = False,
    frames: Annotated[int, typer.Option(min=2, help="Frames of the whole job.")] = 8,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Race the textbook program, too (--network vgg19; takes long).")
    ] = False,
    baseline_steps: Annotated[int, typer.Option(min=1, help="Outer steps of the textbook program.")] = 31,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Measure how the cost grows with size and styles.")
    ] = False,
    **job: Any,
) -> None:
    """Measure how fast vidstyle is on this machine, which should do nothing else meanwhile. Needs no files."""
    from vidstyle import bench
    from vidstyle.bench.tables import tables

    began = time.perf_counter()

    def on_part(text: str) -> None:
        console.print(f"{time.perf_counter() - began:4.0f} s  {text}", markup=False, soft_wrap=True)

    if output is not None:
        bench.check_report(output, overwrite=overwrite)
    steps = baseline_steps if baseline else None
    with _all_or_nothing():
        report = bench.measure(
            clip, styles or [], frames=frames, baseline_steps=steps, scaling=scaling, on_part=on_part, **job
        )
    if output is not None:
        bench.save(report, output)
    shown = Console(highlight=False)
    for table in tables(report):
        shown.print(table, markup=False)


@app.command()
@job_options("video", runs=False)
def steadiness(
    picture: Annotated[Path | None, typer.Argument(metavar="PICTURE", help="A picture [a generated one].")] = None,
    styles: SomeStyles = None,
    output: Figures = None,
    overwrite: Overwrite = False,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each clip.")] = 12,
    clips: Annotated[str, typer.Option(metavar="A,B,…", help="Which clips, like pan,occlusion [all].")] = "",
    beside: Annotated[bool, typer.Option(help="Paint each with --warm-start previous, too.")] = True,
    judge: Judge = "compact",
    quiet: Quiet = False,
    **job: Any,
) -> None:
    """Measure how steady paintings are on clips made of a picture, whose motion is known exactly. Needs no files."""
    from vidstyle import bench
    from vidstyle.bench import steadiness, tables

    if output is not None:
        bench.check_report(output, overwrite=overwrite)
    names = [name.strip() for name in clips.split(",") if name.strip()]
    with _all_or_nothing(), bar(quiet) as on_step:
        proof = steadiness.measure(
            picture, styles or [], frames=frames, names=names, beside=beside, judge=judge, on_step=on_step, **job
        )
    if output is not None:
        bench.save(proof, output)
    shown = Console(highlight=False, quiet=quiet)
    for table in tables.steadiness(proof):
        shown.print(table, markup=False)


@app.command(no_args_is_help=True)
@job_options("video", runs=False)
def measure(
    clip: Annotated[Path, typer.Argument(metavar="INPUT", help="The clip that was painted.")],
    painted: Annotated[Path, typer.Argument(metavar="PAINTED", help="What vidstyle or another tool made of it.")],
    styles: Annotated[
        list[Path] | None,
        typer.Option("--style", metavar="STYLE", help="A picture it was painted after; several: give it again."),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of frames painted independently, to compare with.")] = 3,
    judge: Judge = "compact",
    outputs: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a report as .json or .html; or give it twice."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    **job: Any,
) -> None:
    """Measure a painted clip: flicker, style, crispness, drift. The options are those of the job that painted it."""
    from vidstyle import report
    from vidstyle.report.tables import tables

    for output in outputs or ():
        report.check_report(output, overwrite=overwrite)
    with _all_or_nothing(), bar(quiet) as on_step:
        found = report.measure_clip(clip, painted, styles or [], pairs=pairs, judge=judge, on_step=on_step, **job)
    for output in outputs or ():
        report.save(found, output)
    shown = Console(highlight=False, quiet=quiet)
    for table in tables(found):
        shown.print(table, markup=False)


@app.command()
def doctor() -> None:
    """Show what vidstyle finds on this machine, and how to mend what is missing."""
    from vidstyle.doctor import examine

    with _errors():
        findings = examine()
    for finding in findings:
        mark = "ok     " if finding.ok else "MISSING"
        typer.echo(f"{mark} {finding.subject}: {finding.text}")
        if finding.mend:
            typer.echo(f"        {finding.mend}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from vidstyle import __version__

        typer.echo(f"vidstyle {__version__}")
        raise typer.Exit()


def _list(shots: list[Shot]) -> None:
    typer.echo("shot   first    last   start s     end s  length s")
    for number, shot in enumerate(shots, 1):
        start, end = shot.range
        typer.echo(f"{number:4} {shot.first:7} {shot.end - 1:7} {start:9.3f} {end:9.3f} {end - start:9.3f}")


def _draw(course: Course) -> None:
    from vidstyle.chart import drawn

    for line in drawn(course.curves(), course.times, min(console.width, 80)):
        typer.echo(line)


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """An interruption leaves nothing to go on from."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("vidstyle: interrupted; nothing was written", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None

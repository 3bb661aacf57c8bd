"""The commands that paint, and the one that encodes what is painted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidstyle.cli.endings import all_or_nothing, errors_told
from vidstyle.cli.options import OUTPUT, STYLES, Content, Output, Overwrite, Plot, Quiet, Shots, Styles, job_options
from vidstyle.cli.progress import console, tell, tell_fitted
from vidstyle.cli.sections import Sectioned
from vidstyle.errors import UsageError

if TYPE_CHECKING:
    from vidstyle.api import ParameterCurves, Shot

app = typer.Typer()


@app.command(cls=Sectioned, no_args_is_help=True)
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
        from vidstyle.api import find_shots

        _list(find_shots(clip, job["settings"]))
    elif not (styles and output):
        raise UsageError("to paint a clip takes a STYLE and -o FILE; only --shots does without")
    elif plot_schedule:
        from vidstyle.api import plan_video

        _draw(plan_video(clip, styles, job["settings"]))
    elif report:
        from vidstyle.lab.evaluate.report import stylize_with_report

        stylize_with_report(clip, styles, output, **job)
    else:
        from vidstyle.api import stylize_video

        stylize_video(clip, styles, output, **job)


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("balance")
def balance(content: Content, styles: Styles, output: Output, plot_schedule: Plot = False, **job: Any) -> None:
    """Animate the balance: a picture turns into a painting and back."""
    from vidstyle.api import animate_balance, plan_balance

    if plot_schedule:
        _draw(plan_balance(job["settings"], len(styles)))
    else:
        animate_balance(content, styles, output, **job)


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("image")
def image(content: Content, styles: Styles, output: Output, **job: Any) -> None:
    """Paint one picture."""
    from vidstyle.api import stylize_image

    stylize_image(content, styles, output, **job)


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("sheet")
def sheet(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="A picture or a clip.")],
    output: Output,
    styles: Annotated[
        list[Path] | None, typer.Argument(metavar="STYLE...", help="Style pictures, each on its own.")
    ] = None,
    **job: Any,
) -> None:
    """Paint a picture at several alphas, or a frame of each shot of a clip, in each style, on one sheet to choose from.

    A clip without STYLE: its shots, unpainted.
    """
    from vidstyle.api import make_sheet

    make_sheet(content, styles or [], output, **job)


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("encode", runs=False)
def encode(
    folder: Annotated[Path, typer.Argument(metavar="JOB", help="The folder of a finished job: OUTPUT.job.")],
    output: Output,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    **job: Any,
) -> None:
    """Encode a finished job (--keep-job) again, with other settings; nothing is painted."""
    from vidstyle.api import encode_job

    began = time.perf_counter()
    with all_or_nothing():
        encode_job(folder, output, overwrite=overwrite, on_fitted=None if quiet else tell_fitted, **job)
    if not quiet:
        tell(output, began)


@app.command(no_args_is_help=True)
def show(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="An output of vidstyle, a file or a folder.")],
) -> None:
    """Print the command that made a result, and the hashes of its inputs, from its metadata."""
    with errors_told():
        from vidstyle.api import origin_of

        origin = origin_of(result)
        for line in origin.commands(result.name + "/" * result.is_dir()):
            typer.echo(line)
        typer.echo(f"# vidstyle {origin.vidstyle}")
        for role, hashed in origin.sha256.items():
            typer.echo(f"# SHA-256 of {role}: {hashed}")


def _list(shots: list[Shot]) -> None:
    typer.echo("shot   first    last   start s     end s  length s")
    for number, shot in enumerate(shots, 1):
        start, end = shot.range
        typer.echo(f"{number:4} {shot.first:7} {shot.end - 1:7} {start:9.3f} {end:9.3f} {end - start:9.3f}")


def _draw(curves: ParameterCurves) -> None:
    from vidstyle.lab.plots import text_plots

    for line in text_plots(curves.by_name(), curves.times, min(console.width, 80)):
        typer.echo(line)

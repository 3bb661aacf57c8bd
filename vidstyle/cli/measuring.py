"""The commands that measure: networks, speed, temporal consistency, perceptual uniformity, painted clips."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from vidstyle.cli.endings import all_or_nothing, errors_told
from vidstyle.cli.options import Figures, Judge, Overwrite, Quiet, SomeStyles, job_options
from vidstyle.cli.progress import bar, console
from vidstyle.cli.sections import Sectioned
from vidstyle.errors import UsageError

app = typer.Typer()
# settings that nothing here reads
MASK = ("mask", "feather", "region", "first", "key", "first_weight", "split_after", "colors_only")


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("image", runs=False, without={"mix", "bits", *MASK})
def compare(
    contents: Annotated[Path, typer.Argument(metavar="CONTENTS", help="A picture, or a folder of pictures.")],
    styles: Annotated[Path, typer.Argument(metavar="STYLES", help="A picture, or a folder of pictures.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="For pictures and figures.")],
    tries: Annotated[int, typer.Option(min=0, help="Paintings to make the content distances agree.")] = 2,
    pairs: Annotated[int | None, typer.Option(min=1, help="Stop after so many pairs [all].")] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Compare with finished pictures of another tool, called CONTENT-STYLE.* or CONTENT-STYLE-*; VGG-19 "
            "then only judges.",
        ),
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Write blind.html, too: a page to choose the better pictures without names.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Replace an earlier report; its pictures are used again in any case."),
    ] = False,
    **job: Any,
) -> None:
    """Compare a network with VGG-19: paint with both, and measure with VGG-19 and with a judge without a network.

    Pictures stay in the folder: an interrupted call goes on when it is repeated, and a finished one is judged anew, and
    its sheet.png, report.json and blind.html replaced, only with -y.
    """
    from vidstyle.lab.evaluate import comparison
    from vidstyle.lab.evaluate.comparison_report import Pair

    done = 0

    def on_pair(pair: Pair, total: int) -> None:
        nonlocal done
        done += 1
        console.print(f"{done}/{total} {pair}", markup=False, soft_wrap=True)

    report = comparison.compare(
        contents,
        styles,
        output,
        tries=tries,
        limit=pairs,
        beside=beside,
        blind=blind,
        overwrite=overwrite,
        on_pair=on_pair,
        **job,
    )
    for line in report.lines():
        typer.echo(line)


@app.command(cls=Sectioned)
@job_options("video", runs=False, without=MASK)
def bench(
    clip: Annotated[Path | None, typer.Argument(metavar="CLIP", help="A video clip [a generated one].")] = None,
    styles: SomeStyles = None,
    output: Figures = None,
    overwrite: Overwrite = False,
    frames: Annotated[int, typer.Option(min=2, help="Frames of the whole job.")] = 8,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Time the textbook program, too (--network vgg19; takes long).")
    ] = False,
    baseline_steps: Annotated[int, typer.Option(min=1, help="Outer steps of the textbook program.")] = 31,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Measure how the cost grows with size and styles.")
    ] = False,
    roofline: Annotated[
        bool,
        typer.Option(
            "--roofline", help="Count what frames ask of a device, and how fast a GPU could be by that count."
        ),
    ] = False,
    **job: Any,
) -> None:
    """Measure how fast vidstyle is on this machine, which should do nothing else meanwhile. Needs no files."""
    from vidstyle.lab import bench
    from vidstyle.lab.bench.tables import tables
    from vidstyle.lab.results import check_report

    began = time.perf_counter()

    def on_part(text: str) -> None:
        console.print(f"{time.perf_counter() - began:4.0f} s  {text}", markup=False, soft_wrap=True)

    if output is not None:
        check_report(output, overwrite=overwrite, inputs=[*([clip] if clip else []), *(styles or [])])
    steps = baseline_steps if baseline else None
    with all_or_nothing():
        report = bench.measure(
            clip,
            styles or [],
            frames=frames,
            baseline_steps=steps,
            scaling=scaling,
            count=roofline,
            on_part=on_part,
            **job,
        )
    if output is not None:
        report.save(output, overwrite=overwrite)
    shown = Console(highlight=False)
    for table in tables(report):
        shown.print(table, markup=False)


@app.command(cls=Sectioned)
@job_options("video", runs=False, without={"start", "end", "cuts", "deinterlace", "hdr", "input_fps", *MASK})
def consistency(
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
    """Measure temporal consistency on synthetic clips with ground-truth motion. Needs no files."""
    from vidstyle.lab.evaluate import consistency
    from vidstyle.lab.results import check_report

    if output is not None:
        check_report(output, overwrite=overwrite, inputs=[*([picture] if picture else []), *(styles or [])])
    names = [name.strip() for name in clips.split(",") if name.strip()]
    with all_or_nothing(), bar(quiet) as on_step:
        found = consistency.measure(
            picture, styles or [], frames=frames, names=names, beside=beside, judge=judge, on_step=on_step, **job
        )
    if output is not None:
        found.save(output, overwrite=overwrite)
    shown = Console(highlight=False, quiet=quiet)
    for table in consistency.tables(found):
        shown.print(table, markup=False)


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("balance", runs=False, without={"mix", *MASK})
def uniformity(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture.")],
    styles: Annotated[
        list[Path] | None, typer.Argument(metavar="STYLE...", help="Style pictures, each on its own.")
    ] = None,
    output: Figures = None,
    overwrite: Overwrite = False,
    beside: Annotated[bool, typer.Option(help="Paint each with --space linear, too.")] = True,
    both_directions: Annotated[
        bool, typer.Option("--both-directions", help="Paint the same alphas in the other direction, too.")
    ] = False,
    judge: Annotated[
        str,
        typer.Option(
            metavar="painter|compact|vgg19", help="Network of the steps' sizes; painter: the one that paints."
        ),
    ] = "painter",
    quiet: Quiet = False,
    **job: Any,
) -> None:
    """Measure the perceptual uniformity of a balance animation, painted one way, and its cost. Writes no animation."""
    from vidstyle.lab.evaluate import uniformity
    from vidstyle.lab.results import check_report

    if output is not None:
        check_report(output, overwrite=overwrite, inputs=[picture, *(styles or [])])
    with all_or_nothing(), bar(quiet) as on_step:
        found = uniformity.measure(
            picture,
            styles or [],
            beside=beside,
            both_directions=both_directions,
            judge=judge,
            on_step=on_step,
            **job,
        )
    if output is not None:
        found.save(output, overwrite=overwrite)
    shown = Console(highlight=False, quiet=quiet)
    for table in uniformity.tables(found, min(shown.width, 80)):
        shown.print(table, markup=False)


@app.command(cls=Sectioned, no_args_is_help=True)
@job_options("video", runs=False, without={*MASK} - {"mask", "feather"})
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
    """Measure a painted clip: flicker, style, colours, crispness, drift. The options are those of its job."""
    from vidstyle.lab.evaluate import report
    from vidstyle.lab.evaluate.tables import tables
    from vidstyle.lab.results import check_report

    for output in outputs or ():
        check_report(output, report.SUFFIXES, overwrite=overwrite, inputs=[clip, painted, *(styles or [])])
    with all_or_nothing(), bar(quiet) as on_step:
        found = report.measure_clip(clip, painted, styles or [], pairs=pairs, judge=judge, on_step=on_step, **job)
    for output in outputs or ():
        report.save(found, output, overwrite=overwrite)
    shown = Console(highlight=False, quiet=quiet)
    for table in tables(found):
        shown.print(table, markup=False)


@app.command()
def doctor(
    job: Annotated[Path | None, typer.Argument(metavar="[JOB]", help="With --report: a job folder.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Print what a report of a bug needs instead.")] = False,
) -> None:
    """Show what vidstyle finds on this machine, and how to install what is missing."""
    with errors_told():
        from vidstyle.lab import doctor

        if job is not None and not report:
            raise UsageError("doctor looks at a job folder only with --report")
        lines = doctor.report(job) if report else []
        findings = {} if report else doctor.examine()
    for line in lines:
        typer.echo(line)
    for subject, finding in findings.items():
        mark = "ok     " if finding.ok else "MISSING"
        typer.echo(f"{mark} {subject}: {finding.text}")
        if finding.mend:
            typer.echo(f"        {finding.mend}")
    if not all(finding.ok for finding in findings.values()):
        raise typer.Exit(1)

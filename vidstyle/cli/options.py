"""Options that several commands share, and the decorator that gives a command the options of its job."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from vidstyle.cli.endings import errors_told
from vidstyle.cli.flags import flag
from vidstyle.cli.listening import notes_told
from vidstyle.cli.progress import READING, on_workers, progress, tell_fitted
from vidstyle.errors import UsageError
from vidstyle.settings import JOBS, PRESETS, Job, PaintingSettings, Settings, encodes, option_name, options
from vidstyle.settings.texts import from_text

OWN = (
    *("report", "plot_schedule", "restart", "keep_job", "quiet", "preset", "params_from"),
    *("threads", "workers", "ray_address", "same_device", "only_first", "redo"),
)
PARALLEL = ("video", "sheet")  # jobs of which workers paint parts at the same time
SPELLED = {"styles": "STYLE", "output": "-o", "overwrite": "-y"} | {name: f"--{name.replace('_', '-')}" for name in OWN}

Content = Annotated[Path, typer.Argument(metavar="CONTENT", help="A picture.")]
STYLES: Any = typer.Argument(metavar="STYLE...", help="One style, a picture or a clip, or several to blend.")
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
    bool, typer.Option("--plot-schedule", help="Draw the parameters that change over time, and stop before painting.")
]
Shots = Annotated[bool, typer.Option("--shots", help="List the shots, and stop; takes neither STYLE nor -o.")]
ParamsFrom = Annotated[
    Path | None,
    typer.Option("--params-from", metavar="RESULT", help="Take what is not given from the settings of this result."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="INT", min=1, help="Threads of torch, in each worker [all processors, divided]."),
]
WORKERS = {
    "workers": Annotated[
        str | None,
        typer.Option("--workers", metavar="INT|ray", help="Paint shots at the same time: vidstyle guide workers."),
    ],
    "ray_address": Annotated[
        str | None,
        typer.Option("--ray-address", metavar="HOST:PORT", help="The cluster [RAY_ADDRESS, else one on this machine]."),
    ],
    "same_device": Annotated[
        bool, typer.Option("--same-device", help="Refuse workers whose devices are of different kinds.")
    ],
}
OF_CLIPS = {
    "only_first": Annotated[
        bool,
        typer.Option("--only-first", help="Paint the first frame of each shot alone, and a sheet: OUTPUT.first.png."),
    ],
    "redo": Annotated[
        str | None,
        typer.Option(
            "--redo", metavar="FIRST-LAST|As-Bs", help="Paint frames of a kept job again: vidstyle guide redo."
        ),
    ],
}
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print what a bug report needs, too.")]


def _require_read(kind: type[Settings], values: dict[str, Any]) -> None:
    """Raise `UsageError` if a command that only lists or draws is given options that it does not use."""
    given = {name for name, value in values.items() if value not in (None, False, [])}
    if values.get("shots"):
        what, idle = "--shots lists the shots of a clip", given - {"clip", "shots", "start", "end", "cuts"}
    elif values.get("plot_schedule"):
        what, idle = "--plot-schedule prints", given & {"quiet"}
    else:
        return
    if idle:
        names = ", ".join(SPELLED.get(name) or option_name(options(kind)[name]) for name in values if name in idle)
        raise UsageError(f"{what} and stops; leave out {names}")


def _workers(text: str | None) -> int | str | None:
    """What --workers says. Raises `UsageError` if that is neither a number nor ray."""
    if text is None or text == "ray":
        return text
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--workers is {text!r}; give a number of processes of this machine, or ray for a cluster")
    return int(text)


def _made(outputs: list[str], ways: dict[str, Any]) -> list[str]:
    """What a call makes."""
    from vidstyle.api import first_sheet  # not at the top: torch is imported

    return [str(first_sheet(outputs[0]))] if outputs and ways.get("only_first") else outputs


def _settings(kind: type[Settings], params_from: Path | None, *, preset: str | None = None, **given: Any) -> Settings:
    """The settings that are typed, on top of those of a preset, or of those that made a result."""
    before: dict[str, Any] = {}
    if params_from is not None:
        if preset:
            raise UsageError("--params-from and --preset both say what is not typed; give one of them")
        from vidstyle.api import origin_of  # not at the top: torch is imported

        before = origin_of(params_from).values(kind)
    changes = before | {name: from_text(kind, name, value) for name, value in given.items() if value not in (None, [])}
    return kind.preset(preset, **changes) if preset and issubclass(kind, PaintingSettings) else kind(**changes)


def job_options(
    job: Job, *, runs: bool = True, plans: bool = False, without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each setting of `job` and, if it runs one, those of every job.

    The command receives them as the arguments `settings` and `run` of its function of the library.

    Args:
        runs: the command makes the outputs of the job; one that measures has no options of encoding.
        plans: the command says what the job would take: it takes the same options, and shows no progress.
        without: fields that the command does not read.
    """
    kind, measures = JOBS[job], not runs and job != "encode"
    fields = [o for o in options(kind).values() if o.name not in without and not (measures and encodes(o))]
    named = Annotated[str | None, typer.Option(metavar="NAME", help=f"A named set of options: {', '.join(PRESETS)}.")]
    flags = {"overwrite": Overwrite, "restart": Restart, "keep_job": KeepJob, "quiet": Quiet} if runs else {}
    flags["verbose"] = Verbose
    own_settings: dict[str, Any] = {"params_from": ParamsFrom} if runs or job == "encode" else {}
    where: dict[str, Any] = {"threads": Threads} | (WORKERS if job in PARALLEL else {}) if runs else {}
    where |= OF_CLIPS if job == "video" and runs and not plans else {}
    typed: dict[str, Any] = {option.name: flag(kind, option) for option in fields}
    typed |= {"preset": named} if issubclass(kind, PaintingSettings) else {}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            given = {name: values.pop(name) for name in typed}
            told = errors_told(verbose=values.pop("verbose"), given=given)
            with told, notes_told(values.get("quiet", False)):
                _require_read(kind, {**values, **given})
                settings = _settings(kind, values.pop("params_from", None), **given)
                if not runs:
                    return command(**values, settings=settings)
                from vidstyle.api import RunOptions  # not at the top: torch is imported

                ways = {name: values.pop(name) for name in ("overwrite", "restart", "keep_job", *where)}
                if "workers" in ways:
                    ways |= {"workers": _workers(ways["workers"]), "same_device": bool(ways["same_device"])}
                if "only_first" in ways:
                    ways["only_first"] = bool(ways["only_first"])
                if plans:
                    values.pop("quiet")
                    return command(**values, settings=settings, run=RunOptions(**ways))
                report = values.get("report", False)
                lists = values.get("plot_schedule") or values.get("shots")
                quiet = values.pop("quiet") or lists or not (values["output"] and (values["styles"] or job == "sheet"))
                if job in ("video", "balance"):
                    ways["on_fitted"] = None if quiet else tell_fitted
                with progress(_made(values["output"], ways), quiet, report) as (on_frame, on_step):
                    if job == "video" and not quiet:
                        ways["on_read"] = functools.partial(on_step, READING)
                    if job == "balance":
                        ways["on_pilot"] = functools.partial(on_step, "pilot render")
                    if ways.get("workers") is None or quiet:
                        ways["on_frame"] = on_frame
                    else:
                        ways["on_progress"] = on_workers(on_step, report)
                    return command(**values, settings=settings, run=RunOptions(**ways))

        parameters = _parameters(command, flags, {**where, **typed, **own_settings})
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _parameters(command: Callable[..., None], flags: dict[str, Any], values: dict[str, Any]) -> list[inspect.Parameter]:
    """Those of a command itself, then flags, and then options that have a value; the dicts have the annotations."""
    hints = get_type_hints(command, include_extras=True)
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        *(p.replace(annotation=hints[p.name], kind=keyword) for p in own),
        *(inspect.Parameter(name, keyword, default=False, annotation=shown) for name, shown in flags.items()),
        *(inspect.Parameter(name, keyword, default=None, annotation=shown) for name, shown in values.items()),
    ]

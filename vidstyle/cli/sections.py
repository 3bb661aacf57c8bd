"""The `--help` of commands with many options, in sections; the options that people use most come first."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

SECTIONS: dict[str, tuple[str, ...]] = {
    "Used most": (
        *("--output", "--alpha", "--alphas", "--size", "--network", "--preset", "--start", "--end", "--seconds"),
        *("--max-size", "--params-from", "--keep-job", "--yes"),
    ),
    "What to paint": ("--shots", "--only-first", "--redo", "--cuts", "--deinterlace", "--hdr", "--input-fps"),
    "Look": (
        *(
            "--mask",
            "--region",
            "--feather",
            "--first",
            "--key",
            "--first-weight",
            "--mix",
            "--preserve-color",
            "--style-scale",
            "--content-focus",
            "--recolor",
            "--match-colors",
            "--colors-only",
        ),
        *("--tv-weight", "--style-metric", "--init", "--seed"),
        *("--first-iterations", "--iterations", "--tolerance", "--coarse-to-fine", "--optimizer", "--objective"),
        *("--content-layers", "--style-layers", "--style-layer-weights"),
    ),
    "Motion": (
        *("--temporal-weight", "--boil", "--loop", "--warm-start", "--warm-tolerance", "--long-term", "--flow"),
        "--flow-weights",
    ),
    "Time": (
        *("--from", "--to", "--bounce", "--direction", "--space", "--timelapse", "--plot-schedule", "--fps"),
        *("--pingpong", "--hold-first", "--hold-last", "--plays"),
    ),
    "Output": (
        *("--for", "--background", "--width", "--layout", "--caption", "--gauge", "--title", "--title-seconds"),
        *("--font", "--poster", "--figure", "--metadata", "--report", "--crf", "--bits", "--sound"),
    ),
    "Machine": (
        *("--device", "--precision", "--low-memory", "--memory", "--weights", "--cuda-graphs", "--restart"),
        *("--threads", "--workers", "--ray-address", "--same-device", "--split-after"),
        *("--quiet", "--verbose", "--help"),
    ),
}


class Sectioned(TyperCommand):
    """A command whose help shows its arguments, the options that only it has, and then those of `SECTIONS`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        records = {name_of(one): one.get_help_record(ctx) for one in self.get_params(ctx)}
        arguments = [name_of(one) for one in self.get_params(ctx) if one.param_type_name == "argument"]
        known = {name for names in SECTIONS.values() for name in names}
        own = [name for name in records if name not in known and name not in arguments]
        for title, names in {"Arguments": arguments, "Options of this command": own, **SECTIONS}.items():
            if rows := [records[name] for name in names if records.get(name)]:
                with formatter.section(title):
                    formatter.write_dl(rows)


def name_of(parameter: Any) -> str:
    """The long name of an option, like --output; of an argument, its name."""
    return str(max(parameter.opts, key=len))

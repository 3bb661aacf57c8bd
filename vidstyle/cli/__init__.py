"""The command line: options become settings, one function of the library is called, an error becomes an exit code."""

from __future__ import annotations

import mimetypes
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vidstyle.cli import batches, guide, masks, measuring, painting, plans, studio, watching
from vidstyle.system.version import __version__

HELP = """Moving pictures by neural style transfer.

\b
vidstyle video clip.mp4 painting.jpg -o painted.mp4
vidstyle balance photo.jpg painting.jpg -o balance.gif
vidstyle image photo.jpg painting.jpg -o painted.png

The first paints a clip, the second lets a photograph turn into a painting and back, the third paints one picture.
`vidstyle guide` is the manual."""
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".tif", ".tiff", ".bmp")


class Commands(TyperGroup):
    """The commands; a file in the place of one is answered with the command that it may be meant for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        first = args[0]
        if first not in self.commands and (Path(first).suffix or Path(first).exists()):
            kind = mimetypes.guess_type(first)[0] or ""
            still = (kind.startswith("image/") and kind != "image/gif") or Path(first).suffix.lower() in PICTURES
            likely = "encode" if first.rstrip("/").endswith(".job") else "image" if still else "video"
            besides = ", or balance for an animation of it" if still else ""
            ctx.fail(f"{first!r} is no command; did you mean: vidstyle {likely} {shlex.join(args)}{besides}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(painting.app)
app.add_typer(masks.app)
app.add_typer(plans.app)
app.add_typer(batches.app)
app.add_typer(watching.app)
app.add_typer(studio.app)
app.add_typer(measuring.app)
app.add_typer(guide.app)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"vidstyle {__version__}")
        raise typer.Exit()

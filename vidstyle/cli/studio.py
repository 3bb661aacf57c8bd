"""The command that serves the studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidstyle.cli.endings import errors_told

app = typer.Typer()


@app.command()
def studio(
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Below which all files are written.")] = Path("."),
    port: Annotated[int, typer.Option(metavar="PORT", help="0 for one that is free.", min=0, max=65535)] = 0,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; any but this machine's own needs a password.")
    ] = "127.0.0.1",
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the password that the page asks for.")
    ] = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser [on].")] = True,
) -> None:
    """Open a page on this machine to choose, paint and look at pictures and clips (extra: studio)."""
    with errors_told():
        from vidstyle.studio.server import run

        run(folder, host, port, password_file, opens=opens, tell=typer.echo)

"""The command line: flags become `Settings`, one pipeline call is made, an error class becomes an exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from vidstyle.cli import measuring, painting

app = typer.Typer(
    help="Moving pictures by neural style transfer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(painting.app)
app.add_typer(measuring.app)


def main() -> None:
    """Run the command line."""
    app(prog_name="vidstyle")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from vidstyle import __version__

        typer.echo(f"vidstyle {__version__}")
        raise typer.Exit()

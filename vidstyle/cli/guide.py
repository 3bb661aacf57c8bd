"""`vidstyle guide`: the manual, one Markdown page for each topic, shown in the terminal."""

from __future__ import annotations

import difflib
import re
import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vidstyle.cli.endings import errors_told
from vidstyle.errors import UsageError

PAGES = {path.stem: path for path in sorted((Path(__file__).parent.parent / "guide").glob("*.md"))}
WIDEST = 100  # columns: longer lines are hard to read
NOT_SHOWN = re.compile(r"^(?:<!--.*?-->|!\[[^\]]*\]\([^)]*\))\n+", re.M | re.S)  # comments and pictures
LINKS = (  # to other pages, as they are written; as they are shown
    (re.compile(r"\(\[[^]]+\]\((\w+)\.md[^)]*\)\)"), r"(`vidstyle guide \1`)"),
    (re.compile(r"\[([^]]+)\]\((\w+)\.md[^)]*\)"), r"\1 (`vidstyle guide \2`)"),
)

app = typer.Typer()


@app.command()
def guide(
    topic: Annotated[str | None, typer.Argument(metavar="[TOPIC]", help="A page [the list of them].")] = None,
) -> None:
    """Show a page of the manual; without TOPIC, list the pages."""
    with errors_told():
        shown = None if topic is None else text_of(page_of(topic))
    console = Console(highlight=False)
    width = min(console.width, WIDEST)
    if shown is None:
        for line in listed(width):
            typer.echo(line)
    elif console.is_terminal:
        from rich.markdown import Markdown  # not at the top: other commands need no parser

        console.print(Markdown(shown, hyperlinks=False), width=width)
    else:
        typer.echo(shown, nl=False)


def listed(width: int) -> list[str]:
    """The names of the pages, each with the first sentence of its page."""
    indent = max(map(len, PAGES)) + 2
    rows = (f"{name:{indent}}{_sentence(name)}" for name in PAGES)
    lines = [line for row in rows for line in textwrap.wrap(row, width, subsequent_indent=" " * indent)]
    return ["The manual. To read a page: vidstyle guide TOPIC", "", *lines]


def page_of(topic: str) -> str:
    """The name of a page, in any case of its letters. Raises `UsageError`, which names the nearest page."""
    wanted = topic.lower().removesuffix(".md")
    if wanted in PAGES:
        return wanted
    raise UsageError(
        f"there is no page {topic!r} in the manual; the nearest is {_nearest(wanted)!r}, and vidstyle guide lists all"
    )


def text_of(name: str) -> str:
    """A page without its comments and pictures; its links say how to read the other page."""
    text = NOT_SHOWN.sub("", PAGES[name].read_text(encoding="utf-8"))
    for written, shown in LINKS:
        text = written.sub(shown, text)
    return text


def _nearest(topic: str) -> str:
    """The page with a similar name, or else the one in which the word stands most often."""
    if similar := difflib.get_close_matches(topic, PAGES, n=1):
        return similar[0]
    return max(PAGES, key=lambda name: text_of(name).lower().count(topic))


def _sentence(name: str) -> str:
    """The first paragraph of a page, which is one sentence."""
    return " ".join(text_of(name).split("\n\n")[1].split())

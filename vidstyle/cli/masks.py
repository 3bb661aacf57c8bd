"""The command that makes masks."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from vidstyle.cli.endings import all_or_nothing, errors_told
from vidstyle.cli.listening import notes_told
from vidstyle.cli.options import Overwrite, Quiet
from vidstyle.cli.progress import console, tell
from vidstyle.errors import UsageError
from vidstyle.system.values import whole

app = typer.Typer()
BOX = re.compile(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*", re.ASCII)
POINT = re.compile(r"([+-])(\d{1,6}),(\d{1,6})", re.ASCII)


@app.command(no_args_is_help=True)
def mask(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="A picture or a clip.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The mask; of a clip the masks, best in a folder/.")
    ],
    box: Annotated[str, typer.Option("--box", metavar="X,Y,W,H", help="Where the thing is, in pixels.")],
    points: Annotated[
        str | None,
        typer.Option("--points", metavar="'+X,Y -X,Y'", help="Pixels that belong to the thing (+), or do not (-)."),
    ] = None,
    frame: Annotated[
        str | None, typer.Option("--frame", metavar="INT", help="The frame of a clip that shows the box so [0].")
    ] = None,
    size: Annotated[
        str, typer.Option("--size", metavar="INT", help="Long side of the masks in pixels [512].", show_default=False)
    ] = "512",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Make the mask of a thing in a box, for --mask and --region; of a clip, for each frame of the shot."""
    began = time.perf_counter()
    with errors_told(), all_or_nothing(), notes_told(quiet):
        from vidstyle.api import make_mask  # not at the top: torch is imported

        if not (found := BOX.fullmatch(box)):
            raise UsageError(f"--box is {box!r}; give X,Y,W,H in pixels, like 120,80,200,160")
        marks = [_point(one) for one in re.split(r"[\s;]+", points or "") if one]
        make_mask(
            content,
            output,
            box=[int(one) for one in found.groups()],
            points=marks,
            frame=None if frame is None else whole(frame, "--frame"),
            size=_size(size),
            overwrite=overwrite,
            on_mask=None if quiet else _told,
        )
    if not quiet:
        tell([output], began)


def _point(text: str) -> tuple[int, int, int]:
    if not (found := POINT.fullmatch(text)):
        raise UsageError(f"--points has {text!r}; give '+X,Y -X,Y' in pixels, + inside and - outside")
    return int(found[2]), int(found[3]), int(found[1] == "+")


def _size(text: str) -> int:
    from vidstyle.settings import VideoSettings

    return VideoSettings(size=whole(text, "--size")).size


def _told(number: int, total: int) -> None:
    if number % 24 == 0 or number == total:
        console.print(f"mask {number}/{total}", markup=False)

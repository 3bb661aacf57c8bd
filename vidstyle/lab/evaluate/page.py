"""The HTML page of a measurement: a template, with the pictures and plots embedded."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from vidstyle.lab.evaluate.accumulators import shrunk
from vidstyle.lab.evaluate.figures import Measurement
from vidstyle.lab.evaluate.tables import grids, headline
from vidstyle.lab.plots import Line, heat, line_plot
from vidstyle.lab.tables import number

LARGEST = 640  # pixels of the long side of the worst pair
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)


def html(found: Measurement) -> str:
    """The whole page."""
    worst: dict[str, object] = {}
    if found.worst is not None:
        colours, top = heat(found.worst.squares)
        worst = {"colours": colours, "top": number(top)}
    return TEMPLATES.get_template("report.html").render(
        found=found,
        headline=headline(found),
        grids=grids(found),
        worst=worst,
        plots=_plots(found),
        cuts=len(found.shots) > 1,
        settings={name: _worded(value) for name, value in found.settings.items()},
        jpeg=jpeg,
    )


def jpeg(picture: np.ndarray) -> dict[str, object]:
    """The size and the data URI of a picture, shrunk if it is large."""
    small, encoded = shrunk(picture, LARGEST), io.BytesIO()
    Image.fromarray(small).save(encoded, "JPEG", quality=88)
    data = base64.b64encode(encoded.getvalue()).decode()
    return {"width": small.shape[1], "height": small.shape[0], "uri": f"data:image/jpeg;base64,{data}"}


def _plots(found: Measurement) -> Iterator[tuple[str, list[Line], str]]:
    """Title, lines and SVG of each plot."""
    seconds, cuts = [one.seconds for one in found.frames], set(found.shots) - {0}
    for title, lines, floor in _lines(found):
        yield title, lines, line_plot(lines, seconds, alt=_told(title, lines), breaks=cuts, floor=floor)


def _lines(found: Measurement) -> Iterator[tuple[str, list[Line], float | None]]:
    """Title, lines and floor of each plot."""
    near = {pair.frame: pair for pair in found.consistency[0].pairs}
    pairs = [near.get(one.frame) for one in found.frames]
    names = {"painted": "warping", "input": "input_warping"}
    errors = [Line(kind, kind, [getattr(pair, name, math.nan) for pair in pairs]) for kind, name in names.items()]
    yield "Warping error", errors, 0
    views = {"painted": "painted", "input": "input", "beyond": "painted minus input"}
    for title, name, floor in (
        ("Sharpness, as a share of the first frame's", "sharpness", None),
        ("Luma, 1/255 from the first frame", "luma", 0),
        ("Chroma, 1/255 from the first frame", "chroma", 0),
    ):
        lines = [
            Line(words, kind, [getattr(getattr(one, kind), name) for one in found.frames])
            for kind, words in views.items()
            if name != "sharpness" or kind != "beyond"
        ]
        yield title, lines, floor


def _told(title: str, lines: Sequence[Line]) -> str:
    """A plot in words."""
    ranges = []
    for line in lines:
        seen = [value for value in line.values if not math.isnan(value)]
        ranges.append(f"{line.name} {number(min(seen))} to {number(max(seen))}" if seen else f"{line.name} none")
    return f"{title} over time: {', '.join(ranges)}"


def _worded(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", True: "on", False: "off"}[value]
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

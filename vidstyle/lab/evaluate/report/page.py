"""The HTML page of a measurement, with its pictures and plots embedded."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
from PIL import Image

from vidstyle.lab.evaluate.report.figures import Measurement, WorstPair
from vidstyle.lab.evaluate.report.plots import Line, heat, line_plot
from vidstyle.lab.evaluate.report.tables import Grid, grids, number
from vidstyle.lab.evaluate.report.words import headline
from vidstyle.media.stills import pictures

LARGEST = 640  # pixels of the long side of the worst pair
STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf7;--ink:#22211f;--quiet:#6d6a63;--rule:#dcd8ce;--painted:#b03a1e;
--input:#7d7a72;--beyond:#1f5fa8}
@media(prefers-color-scheme:dark){:root{--paper:#171614;--ink:#e9e6df;--quiet:#a09c92;--rule:#3a3833;--painted:#ff8a66;
--input:#9a968c;--beyond:#7db4f5}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:1.2rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.2;margin:.3rem 0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
h3{font-size:1rem;margin:0}p{margin:.4rem 0}.quiet,caption,figcaption,summary{color:var(--quiet);font-size:.875rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}
th{font-weight:600;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;white-space:pre-wrap;min-width:9rem;font-weight:400}
img{display:block;width:100%;height:auto;border-radius:2px}figure{margin:0}
.strip{display:flex;gap:.5rem;overflow-x:auto;padding-bottom:.4rem}.strip figure{flex:1 0 7rem}
.strip img+img{margin-top:.3rem}
.three{display:grid;gap:.8rem;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr))}
.plots{display:grid;gap:1.4rem;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr))}
svg{display:block;width:100%;height:auto}svg text{fill:var(--quiet);font:11px system-ui,sans-serif}
.grid{stroke:var(--rule)}.cut{stroke:var(--quiet);stroke-dasharray:3 3}
.line{fill:none;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round;stroke:var(--painted)}
.line.input{stroke:var(--input)}.line.beyond{stroke:var(--beyond)}
.key{display:inline-block;margin-right:1rem;font-size:.875rem}
.key::before{content:"";display:inline-block;width:1rem;height:3px;margin-right:.4rem;vertical-align:middle;
background:var(--painted)}
.key.input::before{background:var(--input)}.key.beyond::before{background:var(--beyond)}
.scale{height:.6rem;max-width:16rem;margin:.5rem 0 .2rem;border-radius:2px;
background:linear-gradient(90deg,#000004,#420a68,#932667,#dd513a,#fca50a,#fcffa4)}
.headline{display:grid;gap:.8rem;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));margin:1.4rem 0;
font-size:.875rem;line-height:1.3}
.headline b{display:block;font-size:1.7rem;line-height:1.2;font-weight:600}
.notes{border-left:4px solid var(--rule);padding-left:.9rem;margin:1rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--rule);border-radius:4px;padding:.7rem;margin:0}
"""


def html(found: Measurement) -> str:
    """The whole page."""
    title = escape(f"{found.painted.name}, measured")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{title}</h1>",
        f'<p class="quiet">{escape(_subtitle(found))}</p>',
        _headline(found),
        _strip(found),
        _notes(found.notes),
        *(_table(grid) for grid in grids(found)),
        _worst(found.worst) if found.worst is not None else "",
        _plots(found),
        f"<h2>How this was made</h2><pre>{escape(found.command)}</pre>",
        _settings(found),
        "</main></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _subtitle(found: Measurement) -> str:
    style = f", in the style of {', '.join(found.styles)}" if found.styles else ""
    return f"Painted from {found.input.name}{style}. Measured by vidstyle {found.vidstyle}."


def _headline(found: Measurement) -> str:
    figures = "".join(f"<div><b>{escape(value)}</b>{escape(text)}</div>" for value, text in headline(found))
    return f'<div class="headline">{figures}</div>'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return f'<div class="notes">{"".join(f"<p>{escape(note)}</p>" for note in notes)}</div>'


def _strip(found: Measurement) -> str:
    figures = [
        f"<figure>{_image(still.input, f'{found.input.name}, frame {still.frame}')}"
        f"{_image(still.painted, f'{found.painted.name}, frame {still.frame}')}"
        f"<figcaption>{still.seconds:.2f} s, frame {still.frame}</figcaption></figure>"
        for still in found.stills
    ]
    return f'<h2>Input above, painting below</h2><div class="strip">{"".join(figures)}</div>'


def _table(grid: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in grid.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for first, *cells in grid.rows
    )
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    caption = f'<p class="quiet">{escape(grid.caption)}</p>'
    return f'<h2>{escape(grid.title)}</h2><div class="scroll">{body}</div>{caption}'


def _worst(pair: WorstPair) -> str:
    coloured, top = heat(pair.squares)
    shown = (
        (pair.before, f"painting, frame {pair.frame - 1}"),
        (pair.after, f"painting, frame {pair.frame}"),
        (coloured, "where they differ along the motion of the input"),
    )
    figures = "".join(
        f"<figure>{_image(picture, text)}<figcaption>{escape(text)}</figcaption></figure>" for picture, text in shown
    )
    scale = (
        f'<div class="scale"></div><p class="quiet">Black: no difference; yellow: {number(top)} or more (root mean '
        "square of RGB in [0, 1]); grey: hidden in the frame before, not counted.</p>"
    )
    return f'<h2>The worst pair of neighbours</h2><div class="three">{figures}</div>{scale}'


def _plots(found: Measurement) -> str:
    frames, cuts = found.frames, set(found.shots) - {0}
    figures = []
    for title, lines, floor in _lines(found):
        keys = "".join(f'<span class="key {line.kind}">{line.name}</span>' for line in lines)
        drawn = line_plot(lines, [one.seconds for one in frames], alt=_told(title, lines), breaks=cuts, floor=floor)
        figures.append(f"<figure><h3>{escape(title)}</h3>{keys}{drawn}</figure>")
    dashed = '<p class="quiet">Dashed: a cut.</p>' if cuts else ""
    return f'<h2>Over time</h2><div class="plots">{"".join(figures)}</div>{dashed}'


def _lines(found: Measurement) -> Iterator[tuple[str, list[Line], float | None]]:
    """Title, lines and floor of each plot."""
    near = {pair.frame: pair for pair in found.consistency[0].pairs}
    pairs = [near.get(one.frame) for one in found.frames]
    names = {"painted": "warping", "input": "input_warping"}
    yield (
        "Warping error",
        [Line(kind, kind, [getattr(pair, name, math.nan) for pair in pairs]) for kind, name in names.items()],
        0,
    )
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


def _settings(found: Measurement) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(_worded(value))}</td></tr>'
        for name, value in found.settings.items()
    )
    table = f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'
    return f"<details><summary>All settings</summary>{table}</details>"


def _worded(value: object) -> str:
    words = {None: "", True: "on", False: "off"}
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _image(picture: np.ndarray, alt: str) -> str:
    """An img element with the picture in it, shrunk if it is large."""
    height, width = picture.shape[:2]
    factor = min(1.0, LARGEST / max(height, width))
    small = pictures.resize(picture, max(1, round(width * factor)), max(1, round(height * factor)))
    encoded = io.BytesIO()
    Image.fromarray(small).save(encoded, "JPEG", quality=88)
    data = base64.b64encode(encoded.getvalue()).decode()
    size = f'width="{small.shape[1]}" height="{small.shape[0]}"'
    return f'<img {size} alt="{escape(alt)}" src="data:image/jpeg;base64,{data}">'

"""The figures of a painted clip as tables, for a terminal and for the page. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType

from vidstyle.lab.evaluate.figures import (
    Drift,
    Independence,
    Measurement,
    PatchFigures,
    Range,
    Spread,
    TemporalConsistency,
)
from vidstyle.lab.evaluate.patches import LABELS, MEANING, PatchDistances
from vidstyle.lab.tables import JUDGES, Grid, counted, number, share, signed


def tables(found: Measurement) -> Iterator[RenderableType]:
    """Everything for a terminal, with the notes."""
    for grid in grids(found):
        yield from (grid.shown(), "")
    yield from found.notes


def grids(found: Measurement) -> Iterator[Grid]:
    """Everything in a measurement but the figures of each frame, in the order in which it is read."""
    yield clips(found)
    yield flicker(found.consistency)
    if found.independence is not None:
        yield beside(found.independence)
    if found.patches:
        yield likeness(found.patches)
    yield drifting(found.drift)


def clips(found: Measurement) -> Grid:
    """What was looked at."""
    rows = [
        (f"{role}: {one.name}", f"{one.width}x{one.height}", f"{one.frames}", f"{one.fps:.4g}", f"{one.seconds:.2f} s")
        for role, one in (("input", found.input), ("painted", found.painted))
    ]
    cuts = len(found.shots) > 1
    shots = f"{len(found.shots)} shots; pairs of frames across a cut are left out." if cuts else "One shot."
    return Grid("The clips", ("", "pixels", "frames", "a second", "length"), rows, shots)


def flicker(consistency: Sequence[TemporalConsistency]) -> Grid:
    """Warping errors and plain differences."""
    rows = []
    for one in consistency:
        if not one.pairs:
            continue
        count = f"{len(one.pairs)}" if len(one.pairs) == one.candidates else f"{len(one.pairs)} of {one.candidates}"
        rows.append((f"{one.distance}", count, *_spread(one.warping), number(one.input_warping.mean)))
        if one.distance == 1:
            rows.append(("1, without flow", count, *_spread(one.plain), number(one.input_plain.mean)))
    return Grid(
        "Flicker: warping error",
        ("frames apart", "pairs", "mean", "median", "worst", "at frame", "input"),
        rows,
        "Mean squared difference per channel, RGB in [0, 1], with the earlier frame carried along the motion of the "
        "input; what was hidden does not count (Lai et al. 2018). The input's own is what the flow cannot explain: "
        "noise, changing light, faults of the flow. A clip that differs little without flow and much with it stands "
        "still where it should move.",
    )


def beside(one: Independence) -> Grid:
    """The painted clip and independent paintings."""
    names = {
        "warping": "warping error",
        "style": f"style distance, judged by {JUDGES[one.judge]}",
        "content": "content distance",
        "sharpness": "sharpness",
    }
    return Grid(
        f"Beside frames painted independently, with the same settings ({counted(len(one.pairs), 'pair')})",
        ("", "painted clip", "independent", "ratio"),
        [
            (label, *(number(getattr(one, each)) for each in (name, f"independent_{name}", f"{name}_ratio")))
            for name, label in names.items()
        ],
        "Warping error: a ratio of 1 is as much flicker as in independent frames, 0 is none. Style distance: 0 = the "
        "style, 1 = as far from it as the input; mean over relu1_1 to relu5_1. Content distance: 0 = the input, 1 = as "
        "far from it as its mean feature; relu4_2. A ratio above 1 in either, or below 1 in sharpness, means that "
        "consistency has a cost in paint.",
    )


def likeness(frames: Sequence[PatchFigures]) -> Grid:
    """Colours and patches beside the style's, without a network."""
    columns = [one.painted for one in frames] + [PatchDistances.average(one.input for one in frames)]
    return Grid(
        "Colours and patches beside the style's, judged without a network",
        ("", *(f"frame {one.frame}" for one in frames), "input"),
        [(label, *(number(getattr(one, name)) for one in columns)) for name, label in LABELS.items()],
        f"{MEANING} The input: the same frames before they were painted.",
    )


def drifting(drift: Drift) -> Grid:
    """What changes within the shots."""
    return Grid(
        "Drift since the first frame of the shot",
        ("", "least", "most", "last frame"),
        [
            ("sharpness", *_range(drift.sharpness, share)),
            ("  the input's own", *_range(drift.input_sharpness, share)),
            ("  as a multiple of that", *_range(drift.corrected_sharpness, share)),
            ("luma", *_range(drift.luma, signed)),
            ("  minus the input's own", *_range(drift.corrected_luma, signed)),
            ("chroma", *_range(drift.chroma, number)),
            ("  minus the input's own", *_range(drift.corrected_chroma, number)),
        ],
        "Sharpness: mean length of the gradient, as a share of the first frame's. Luma and chroma: means of Y' and of "
        "Cb and Cr (BT.709) against the first frame, in 1/255.",
    )


def _spread(one: Spread) -> tuple[str, ...]:
    frame = "–" if one.worst_frame is None else f"{one.worst_frame}"
    return number(one.mean), number(one.median), number(one.worst), frame


def _range(one: Range, words: Callable[[float], str]) -> tuple[str, ...]:
    return words(one.least), words(one.most), words(one.last)

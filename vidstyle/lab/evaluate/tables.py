"""The figures of a painted clip as tables and sentences, for a terminal and for the page. Nothing is printed here."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType

from vidstyle.lab.evaluate import figures
from vidstyle.lab.evaluate.figures import Measurement, TemporalConsistency
from vidstyle.lab.evaluate.patches import LABELS, MEANING, PatchDistances
from vidstyle.lab.results import used
from vidstyle.lab.tables import JUDGES, Grid, counted, number, share, signed
from vidstyle.settings import Settings
from vidstyle.settings.texts import as_typed, changed

STILL = 0.2  # share of the input's own change below which a clip counts as frozen: paint has more contrast, not less
BLUNT = 0.75  # share of the sharpness of the first frame, beyond what the input does itself
SKEW = 0.02  # difference of the proportions


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


def beside(one: figures.Independence) -> Grid:
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


def likeness(frames: Sequence[figures.PatchFigures]) -> Grid:
    """Colours and patches beside the style's, without a network."""
    columns = [one.painted for one in frames] + [PatchDistances.average(one.input for one in frames)]
    return Grid(
        "Colours and patches beside the style's, judged without a network",
        ("", *(f"frame {one.frame}" for one in frames), "input"),
        [(label, *(number(getattr(one, name)) for one in columns)) for name, label in LABELS.items()],
        f"{MEANING} The input: the same frames before they were painted.",
    )


def drifting(drift: figures.Drift) -> Grid:
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


def _spread(one: figures.Spread) -> tuple[str, ...]:
    frame = "–" if one.worst_frame is None else f"{one.worst_frame}"
    return number(one.mean), number(one.median), number(one.worst), frame


def _range(one: figures.Range, words: Callable[[float], str]) -> tuple[str, ...]:
    return words(one.least), words(one.most), words(one.last)


def command_line(words: Sequence[str], settings: Settings) -> str:
    """A command with the options that differ from their defaults."""
    return shlex.join(["vidstyle", *words, *as_typed(type(settings), changed(settings, used(settings)))])


def headline(found: Measurement) -> Iterator[tuple[str, str]]:
    """The few figures that say most: a number and what it is."""
    near, drift, beside = found.consistency[0], found.drift, found.independence
    if beside is not None:
        yield f"{number(100 * beside.warping_ratio)} %", "of the flicker of independently painted frames"
        yield f"{number(beside.style_ratio)} times", "the distance from the style that independent frames have"
    else:
        yield number(near.warping.mean), f"mean warping error (the input's own: {number(near.input_warping.mean)})"
    yield share(drift.sharpness.least), "of the sharpness of the shot's first frame, at the least"
    luma = max(abs(drift.corrected_luma.least), abs(drift.corrected_luma.most))
    yield f"{luma:.1f} / 255", "largest drift of luma beyond the input's own"


def notes(found: Measurement, *, encoded: bool) -> Iterator[str]:
    """What was left out, and what makes the figures mean something else than they seem to.

    Args:
        encoded: the painted frames come from a file, not from the painter.
    """
    clip, painted, near = found.input, found.painted, found.consistency[0]
    if not found.styles:
        yield (
            "No style was given, so there is no style distance and no comparison with independently painted frames; "
            "give the job's --style and options for them."
        )
    elif encoded:
        yield (
            "The painted clip was encoded and the independent frames were not: what the encoding did counts against "
            "the clip. `vidstyle video --report` measures the frames as they are painted."
        )
    for one in found.consistency:
        if not one.candidates:
            yield f"No shot is longer than {counted(one.distance, 'frame')}: no error over that distance."
        elif math.isnan(one.warping.mean):
            yield f"Nothing can be followed over {counted(one.distance, 'frame')}: no error over that."
    if (clip.width, clip.height) != (painted.width, painted.height):
        sizes = f"{clip.width}x{clip.height} pixels to the {painted.width}x{painted.height}"
        yield f"The input was resized from {sizes} of the painted clip."
    skew = clip.width * painted.height / (clip.height * painted.width)
    if abs(skew - 1) > SKEW:
        yield f"Their proportions differ by {abs(skew - 1):.0%}; if the painted clip was cropped, no figure holds."
    if abs(clip.seconds - painted.seconds) > 1 / min(clip.fps, painted.fps):
        yield f"They do not run equally long: {painted.seconds:.2f} s beside {clip.seconds:.2f} s."
    yield from _suspicions(found, near)


def _suspicions(found: Measurement, near: TemporalConsistency) -> Iterator[str]:
    """Conditions under which a figure is better than the clip."""
    if near.plain.mean < min(STILL * near.input_plain.mean, near.warping.mean):
        yield "The painted clip stands still while the input moves: its plain difference is low for that reason alone."
    if near.warping.mean < near.input_warping.mean:
        yield (
            "Between neighbours the painted clip follows the estimated motion more closely than the input does itself. "
            "A clip of vidstyle's was painted along this very estimate: its flicker is below what the flow can show, "
            "and how far below means nothing. The errors over longer distances are estimated anew."
        )
    blunt = min((one.beyond.sharpness for one in found.frames if one.beyond.sharpness >= 0), default=1.0)
    if blunt < BLUNT:
        yield (
            f"The painted clip loses crispness, down to {blunt:.0%} of its shot's first frame beyond what the input "
            "loses: a blurred clip flickers less for that reason alone."
        )

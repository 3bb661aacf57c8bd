"""Sentences of a report: the command that gives the same figures, and what the figures must not be taken for."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidstyle.lab.evaluate.report.figures import Measurement, TemporalConsistency
from vidstyle.lab.evaluate.report.tables import number, share
from vidstyle.settings import Settings, VideoSettings, option_name, options, typed

FILES = ("weights", "flow_weights", "network", "init")  # settings that may name one
STILL = 0.2  # share of the input's own change below which a clip counts as frozen: paint has more contrast, not less
BLUNT = 0.75  # share of the sharpness of the first frame, beyond what the input does itself
SKEW = 0.02  # difference of the proportions


def used(settings: Settings) -> dict[str, Any]:
    """The settings of a job; of files the names only."""
    values = {name: getattr(settings, name) for name in options(type(settings))}
    return values | {name: Path(values[name]).name for name in FILES if values.get(name)}


def command_line(words: Sequence[str], settings: VideoSettings) -> str:
    """A command with the options that differ from their defaults."""
    values = used(settings)
    line = ["vidstyle", *words]
    for option in options(type(settings)).values():
        value = values[option.name]
        if value == option.default:
            continue
        name = option_name(option)
        if isinstance(value, bool):
            line.append(name if value else f"--no-{name[2:]}")
        else:
            line += [name, typed(value)]
    return shlex.join(line)


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
            yield f"No shot is longer than {one.distance} frame{'s' * (one.distance > 1)}: no error over that distance."
        elif math.isnan(one.warping.mean):
            yield f"Nothing can be followed over {one.distance} frame{'s' * (one.distance > 1)}: no error over that."
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

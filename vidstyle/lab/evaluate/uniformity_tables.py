"""Tables and charts, for a terminal, of the perceptual uniformity of a balance animation. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from rich.console import RenderableType

from vidstyle.lab.bench.figures import AnimationFigures, StyleUniformity, Uniformity
from vidstyle.lab.bench.tables import duration
from vidstyle.lab.chart import drawn
from vidstyle.lab.evaluate.report.tables import JUDGES as OTHERS
from vidstyle.lab.evaluate.report.tables import Grid, number, share, shown

PAINTER = "painter"  # the judge that paints as well
JUDGES = {PAINTER: "the network that paints", **OTHERS}


def tables(found: Uniformity, width: int = 80) -> Iterator[RenderableType]:
    """Everything in the order in which it is read; `width` is that of the charts, in letters."""
    yield (
        f"{found.settings['network']}, {found.width}x{found.height} pixels, {found.frames} frames at {found.fps:.4g} a "
        f"second, judged by {JUDGES[found.judge]}, vidstyle {found.vidstyle}"
    )
    yield f"picture: {found.picture}; {'a timelapse' if found.settings['timelapse'] else 'one way'}"
    grids = [uniformity(found.styles), cost(found.styles)]
    if any(one.other for one in found.styles):
        grids.append(directions(found.styles))
    for grid in grids:
        yield ""
        yield shown(grid)
    for one in found.styles:
        yield from chart(one, found.fps, width)


def uniformity(styles: Sequence[StyleUniformity]) -> Grid:
    """How equal the steps from frame to frame are."""
    rows = []
    for label, animation in _labelled(styles):
        words = map(number, (animation.step_variation, animation.least, animation.greatest, animation.boiling))
        rows.append((label, *words, share(animation.straight)))
    return Grid(
        "Perceptual uniformity",
        ("style, space", "variation", "least", "greatest", "boiling", "straight"),
        tuple(rows),
        "A step is the feature distance of a frame from the one before. Variation: standard deviation of the steps / "
        "their mean, 0 = all are equal; least and greatest step / mean. Boiling: mean squared difference of "
        "neighbours / that of a cross-fade from the first to the last frame; 1 = such a fade, as many as there are "
        "steps = each goes a way of its own. Straight: distance of the last frame from the first / all steps together.",
    )


def cost(styles: Sequence[StyleUniformity]) -> Grid:
    """The time, and the style that is reached."""
    rows = []
    for label, animation in _labelled(styles):
        pilot = (
            (duration(animation.pilot_seconds), share(animation.pilot_share)) if animation.pilot_seconds else ("", "")
        )
        rows.append(
            (label, *pilot, duration(animation.seconds), f"{animation.evaluations}", number(animation.style_loss))
        )
    return Grid(
        "What it costs",
        ("style, space", "pilot", "share", "painting", "evaluations", "style loss"),
        tuple(rows),
        "Pilot: the pilot renders; share: pilot / painting. Evaluations: of the loss at the full size, all frames "
        "together. Style loss: of the frame with the least alpha, of several the last.",
    )


def directions(styles: Sequence[StyleUniformity]) -> Grid:
    """The same alphas, painted the other way round."""
    rows = []
    for one in styles:
        if one.other is not None and one.hysteresis is not None:
            both = {animation.direction: animation.style_loss for animation in (one.animations[0], one.other)}
            rows.append((one.style, number(one.hysteresis), number(both["forward"]), number(both["backward"])))
    return Grid(
        "Painted in the other direction, too",
        ("style", "apart", "style loss forward", "backward"),
        tuple(rows),
        "Apart: feature distance of both paintings at the same alpha, mean of all frames, in steps (the mean one). "
        "Style loss: as above.",
    )


def chart(one: StyleUniformity, fps: float, width: int) -> Iterator[str]:
    """The steps over time, all at one scale."""
    curves = {
        animation.space: [step / animation.mean for step in animation.steps]
        for animation in one.animations
        if animation.mean
    }
    if curves:
        yield ""
        yield f"{one.style}: steps / their mean, over time"
        rate = Fraction(fps).limit_denominator(1001)
        times = [number / rate for number in range(len(one.animations[0].steps))]
        yield from drawn(curves, times, width, top=max(map(max, curves.values())))


def _labelled(styles: Sequence[StyleUniformity]) -> Iterator[tuple[str, AnimationFigures]]:
    """Each animation and what it is called."""
    for one in styles:
        first, *others = one.animations
        yield f"{one.style}, {first.space}", first
        for animation in others:
            yield f"  {animation.space}", animation
        if one.other is not None:
            yield f"  {one.other.direction}", one.other

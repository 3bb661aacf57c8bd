"""`vidstyle uniformity`: the perceptual uniformity of a balance animation (equal steps), and its cost."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import RenderableType
from torch import Tensor

from vidstyle.core import metrics
from vidstyle.core.probe import require_memory
from vidstyle.errors import UsageError
from vidstyle.jobs.painting.retiming import retime
from vidstyle.jobs.sources.balance import Animation, PictureSource
from vidstyle.jobs.sources.clips import to_tensor
from vidstyle.lab.painter import CONTENT_LAYER, STYLE_LAYERS, OnStep, Painter, check_judge, load_styles, silent
from vidstyle.lab.plots import text_plots
from vidstyle.lab.results import Results, ratio, used
from vidstyle.lab.tables import JUDGES, PAINTER, Grid, duration, number, share, spaced
from vidstyle.media.stills import pictures
from vidstyle.settings import BalanceSettings, Direction, Space
from vidstyle.system.version import __version__
from vidstyle.types import Result

ALL_JUDGES = {PAINTER: "the network that paints", **JUDGES}


@dataclass(frozen=True)
class AnimationFigures:
    """A balance animation, painted one way. Frames are in the order shown, and as they are shown: of 8 bits.

    Between two keys of a schedule steps are meant to be equal, or eased where it is; `boiling` and `straight` say
    nothing of an animation that comes back.
    """

    space: str  #: "even": the picture changes by equal steps, or "linear": alpha does
    direction: str  #: in which it was painted: "forward", from the content, or "backward"
    alpha: tuple[float, ...]  #: of each frame
    steps: tuple[float, ...]  #: `metrics.feature_distance` of each frame but the first from the one before
    mean: float  #: of the steps
    step_variation: float  #: standard deviation (of the population) of the steps / their mean
    least: float  #: step / mean
    greatest: float  #: step / mean
    boiling: float  #: mean squared difference of neighbours / (that of the last frame from the first / len(steps)^2)
    straight: float  #: feature distance of the last frame from the first / sum of the steps
    pilot_seconds: float  #: wall time of the pilot renders; 0 where there are none
    seconds: float  #: of painting all frames
    pilot_share: float  #: pilot_seconds / seconds
    evaluations: int  #: of the loss at the full size, of all frames together
    style_loss: float  #: as in `types.Result`, of the frame with the least alpha; of several the last


@dataclass(frozen=True)
class StyleUniformity:
    """An animation in one style."""

    style: str  #: file name
    animations: tuple[AnimationFigures, ...]  #: that of the settings; beside it the linear one
    other: AnimationFigures | None  #: the first of them, painted in the other direction; None if not asked for
    apart: tuple[float, ...]  #: feature distance of these two in each frame
    hysteresis: float | None  #: mean of `apart` / mean step of the first animation


@dataclass(frozen=True)
class Uniformity(Results):
    """The perceptual uniformity of a balance animation, one way."""

    vidstyle: str  #: version
    picture: str  #: file name
    settings: dict[str, Any]  #: of the job
    judge: str  #: the network of the feature distances: "painter" (that of the job), "compact" or "vgg19"
    layers: tuple[str, ...]  #: that they are the mean of
    width: int  #: pixels
    height: int  #: pixels
    fps: float  #: frames per second
    frames: int  #: of the way there
    styles: tuple[StyleUniformity, ...]


def measure(
    picture: Path,
    styles: Sequence[Path],
    settings: BalanceSettings,
    *,
    beside: bool = True,
    both_directions: bool = False,
    judge: str = PAINTER,
    on_step: OnStep = silent,
) -> Uniformity:
    """Paint the way there of a balance animation, or a timelapse, in each style, as `balance` would, and measure it.

    The arguments are the options of the command: `beside` paints each at equal steps of alpha (`--space linear`), too,
    `both_directions` the same alphas in the other direction. Raises `VidstyleError`.
    """
    if not styles:
        raise UsageError("no style was given; give at least one picture")
    check_judge(judge, ALL_JUDGES)
    if settings.mix:
        raise UsageError("--mix blends styles, and here each is painted on its own; leave it out")
    if both_directions and settings.timelapse:
        raise UsageError("--both-directions is for the balance; a timelapse grows in one only; give it without")
    animation = Animation(settings, (1.0,)).one_way()
    photo, paintings = pictures.load_picture(picture), load_styles(styles)
    painter = Painter((), animation.settings, judge)
    animation = Animation(painter.settings, animation.mix)
    own = *settings.style_layers, *settings.content_layers
    layers = tuple(dict.fromkeys(own if judge == PAINTER else (*STYLE_LAYERS, CONTENT_LAYER)))
    painter.critic.require(layers)
    info = PictureSource(photo, painter.settings, animation.plan()).info
    require_memory(painter.network, painter.settings, (info.height, info.width))
    spaces: list[Space] = [settings.space]
    if beside and settings.space != "linear":
        spaces.append("linear")
    runs = [
        _StyleRun(style.name, painting, photo, animation, painter, layers, on_step)
        for style, painting in zip(styles, paintings, strict=True)
    ]
    return Uniformity(
        vidstyle=__version__,
        picture=picture.name,
        settings=used(settings),
        judge=judge,
        layers=layers,
        width=info.width,
        height=info.height,
        fps=float(animation.fps),
        frames=len(animation.times),
        styles=tuple(run.paint(spaces, both_directions) for run in runs),
    )


@dataclass(frozen=True, eq=False)
class _Rendered:
    """A painted animation, its frames in the order shown."""

    space: Space
    direction: Direction
    alpha: tuple[float, ...]
    results: list[Result]
    shown: list[Tensor]  #: as shown, in 8 bits; (3, H, W) in [0, 1] each


@dataclass(frozen=True, eq=False)
class _StyleRun:
    """The animation in one style; `on_step` is told as `measure` says."""

    name: str
    style: Tensor  #: (3, H, W)
    photo: np.ndarray  #: (H, W, 3) float32 sRGB in [0, 1]
    animation: Animation  #: one way
    painter: Painter[BalanceSettings]
    layers: Sequence[str]  #: of the distances
    on_step: OnStep

    def paint(self, spaces: Sequence[Space], both_directions: bool) -> StyleUniformity:
        """Paint and measure; the first of `spaces` in the other direction, too, if that is asked for."""
        direction = self.animation.settings.direction
        animations: list[AnimationFigures] = []
        other: AnimationFigures | None = None
        apart: tuple[float, ...] = ()
        for space in spaces:
            times, pilot_seconds = self._retimed() if space == "even" else (None, 0.0)
            rendered = self._painted(space, direction, times)
            animations.append(self._figures(rendered, pilot_seconds))
            if both_directions and space == spaces[0]:
                back = self._painted(space, "backward" if direction == "forward" else "forward", times)
                other = self._figures(back, 0.0)
                apart = tuple(map(self._distance, rendered.shown, back.shown))
        hysteresis = ratio(statistics.fmean(apart), animations[0].mean) if apart else None
        return StyleUniformity(self.name, tuple(animations), other, apart, hysteresis)

    def _retimed(self) -> tuple[list[Fraction], float]:
        """The remapped times in equal steps, as a job finds them, and the seconds that the pilot renders take."""
        began, told = time.perf_counter(), functools.partial(self.on_step, f"{self.name}, pilot render")
        stylizer = self.painter.stylizer([self.style])
        times = retime(self.animation, self.photo, stylizer, self.painter.network, told)
        return times, time.perf_counter() - began

    def _painted(self, space: Space, direction: Direction, times: Sequence[Fraction] | None) -> _Rendered:
        settings = dataclasses.replace(self.animation.settings, direction=direction)
        plan = Animation(settings, self.animation.mix).plan(times)
        source = PictureSource(self.photo, settings, plan, starts_unpainted=settings.timelapse)
        stylizer, state = self.painter.stylizer([self.style]), None
        results: list[Result] = []
        for frame in source.frames(0):
            result, state = stylizer.step(frame, state)
            results.append(result)
            self.on_step(f"{self.name}, {space}, {direction}", len(results), len(source.playback))
        results = [results[number] for number in source.playback]
        alpha = tuple(source.curves.alpha[number] for number in source.playback)
        shown = [to_tensor(one.image).to(self.painter.device) for one in results]
        return _Rendered(space, direction, alpha, results, shown)

    def _distance(self, one: Tensor, other: Tensor) -> float:
        return metrics.feature_distance(self.painter.critic, one, other, self.layers)

    def _figures(self, rendered: _Rendered, pilot_seconds: float) -> AnimationFigures:
        """The figures of a painted animation."""
        shown, pairs = rendered.shown, list(pairwise(rendered.shown))
        steps = tuple(itertools.starmap(self._distance, pairs))
        average, everywhere = statistics.fmean(steps), torch.ones_like(shown[0][:1])
        change = statistics.fmean(metrics.warping_error(*pair, everywhere) for pair in pairs)
        fade = metrics.warping_error(shown[0], shown[-1], everywhere) / len(steps) ** 2
        painted = min(range(len(shown)), key=lambda frame: (rendered.alpha[frame], -frame))
        seconds = sum(result.seconds for result in rendered.results)
        return AnimationFigures(
            space=rendered.space,
            direction=rendered.direction,
            alpha=rendered.alpha,
            steps=steps,
            mean=average,
            step_variation=ratio(statistics.pstdev(steps), average),
            least=ratio(min(steps), average),
            greatest=ratio(max(steps), average),
            boiling=ratio(change, fade),
            straight=ratio(self._distance(shown[0], shown[-1]), sum(steps)),
            pilot_seconds=pilot_seconds,
            seconds=seconds,
            pilot_share=ratio(pilot_seconds, seconds),
            evaluations=sum(result.iterations for result in rendered.results),
            style_loss=rendered.results[painted].losses["style"],
        )


def tables(found: Uniformity, width: int = 80) -> Iterator[RenderableType]:
    """Everything in the order in which it is read; `width` is that of the plots, in characters."""
    parts: list[Grid | str] = [
        f"{found.settings['network']}, {found.width}x{found.height} pixels, {found.frames} frames at {found.fps:.4g} a "
        f"second, judged by {ALL_JUDGES[found.judge]}, vidstyle {found.vidstyle}",
        f"picture: {found.picture}; {'a timelapse' if found.settings['timelapse'] else 'one way'}",
        *(table(list(_labelled(found.styles))) for table in (variation, cost)),
    ]
    if any(one.other for one in found.styles):
        parts.append(directions(found.styles))
    for one in found.styles:
        parts += _plotted(one, Fraction(found.fps).limit_denominator(1001), width)
    return spaced(parts)


def variation(animations: Sequence[tuple[str, AnimationFigures]]) -> Grid:
    """How equal the steps from frame to frame are."""
    rows = []
    for label, animation in animations:
        words = map(number, (animation.step_variation, animation.least, animation.greatest, animation.boiling))
        rows.append((label, *words, share(animation.straight)))
    return Grid(
        "Perceptual uniformity",
        ("style, space", "variation", "least", "greatest", "boiling", "straight"),
        rows,
        "A step is the feature distance of a frame from the one before. Variation: standard deviation of the steps / "
        "their mean, 0 = all are equal; least and greatest step / mean. Boiling: mean squared difference of "
        "neighbours / that of a cross-fade from the first to the last frame; 1 = such a fade, as many as there are "
        "steps = each goes a way of its own. Straight: distance of the last frame from the first / all steps together.",
    )


def cost(animations: Sequence[tuple[str, AnimationFigures]]) -> Grid:
    """The time, and the style that is reached."""
    rows = []
    for label, one in animations:
        pilot = (duration(one.pilot_seconds), share(one.pilot_share)) if one.pilot_seconds else ("", "")
        rows.append((label, *pilot, duration(one.seconds), f"{one.evaluations}", number(one.style_loss)))
    return Grid(
        "What it costs",
        ("style, space", "pilot", "share", "painting", "evaluations", "style loss"),
        rows,
        "Pilot: the pilot renders; share: pilot / painting. Evaluations: of the loss at the full size, all frames "
        "together. Style loss: of the frame with the least alpha, of several the last.",
    )


def directions(styles: Sequence[StyleUniformity]) -> Grid:
    """The same alphas, painted the other way round."""
    rows = []
    for one in styles:
        if one.other is not None and one.hysteresis is not None:
            both = {animation.direction: animation.style_loss for animation in (one.animations[0], one.other)}
            rows.append((one.style, *map(number, (one.hysteresis, both["forward"], both["backward"]))))
    return Grid(
        "Painted in the other direction, too",
        ("style", "apart", "style loss forward", "backward"),
        rows,
        "Apart: feature distance of both paintings at the same alpha, mean of all frames, in steps (the mean one). "
        "Style loss: as above.",
    )


def _plotted(one: StyleUniformity, fps: Fraction, width: int) -> Iterator[str]:
    """The steps over time, all at one scale."""
    curves = {
        animation.space: [step / animation.mean for step in animation.steps]
        for animation in one.animations
        if animation.mean
    }
    if curves:
        yield from ("", f"{one.style}: steps / their mean, over time")
        times = [number / fps for number in range(len(one.animations[0].steps))]
        yield from text_plots(curves, times, width, top=max(map(max, curves.values())))


def _labelled(styles: Sequence[StyleUniformity]) -> Iterator[tuple[str, AnimationFigures]]:
    """Each animation and what it is called."""
    for one in styles:
        first, *others = one.animations
        yield f"{one.style}, {first.space}", first
        for animation in others:
            yield f"  {animation.space}", animation
        if one.other is not None:
            yield f"  {one.other.direction}", one.other

"""`vidstyle uniformity`: the perceptual uniformity of a balance animation (equal steps), and its cost."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidstyle.core import metrics, networks, optimize
from vidstyle.core.probe import require_memory
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import UsageError
from vidstyle.jobs.balance import Animation, PictureSource
from vidstyle.jobs.retiming import retime
from vidstyle.jobs.sources import to_tensor
from vidstyle.jobs.tasks import load_network
from vidstyle.lab.bench.figures import AnimationFigures, StyleUniformity, Uniformity
from vidstyle.lab.evaluate.report.baseline import CONTENT_LAYER, STYLE_LAYERS
from vidstyle.lab.evaluate.report.words import used
from vidstyle.lab.evaluate.uniformity_tables import JUDGES, PAINTER
from vidstyle.media.stills import pictures
from vidstyle.settings import BalanceSettings, Direction, Space
from vidstyle.system.devices import pick_device
from vidstyle.system.version import __version__
from vidstyle.types import Result

OnStep = Callable[[str, int, int], None]


def measure(
    picture: Path,
    styles: Sequence[Path],
    settings: BalanceSettings,
    *,
    beside: bool = True,
    both_directions: bool = False,
    judge: str = PAINTER,
    on_step: OnStep = lambda text, done, total: None,
) -> Uniformity:
    """Paint the way there of a balance animation, or a timelapse, in each style, as `balance` would, and measure it.

    Args:
        picture: that is painted.
        styles: pictures, each on its own.
        settings: of the job.
        beside: paint each at equal steps of alpha (`--space linear`), too.
        both_directions: paint the same alphas in the other direction, too.
        judge: the network of the distances: painter (that of the job), compact or vgg19; the latter takes its weights
            from `settings.weights`.
        on_step: told what is done, after how many paintings of how many: of the pilot renders, or of an animation.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    _check(styles, settings, judge, both_directions)
    animation = Animation(settings, (1.0,)).one_way()
    photo = pictures.load_picture(picture)
    paintings = [to_tensor(pictures.load_picture(style)) for style in styles]
    painter = _Painter(photo, animation, judge)
    info = PictureSource(photo, painter.settings, animation.plan()).info
    require_memory(painter.network, painter.settings, (info.height, info.width))
    spaces: list[Space] = [settings.space]
    if beside and settings.space != "linear":
        spaces.append("linear")
    found = tuple(
        _Trial(style.name, painting, painter, on_step).run(spaces, both_directions)
        for style, painting in zip(styles, paintings, strict=True)
    )
    return Uniformity(
        vidstyle=__version__,
        picture=picture.name,
        settings=used(settings),
        judge=judge,
        layers=painter.layers,
        width=info.width,
        height=info.height,
        fps=float(animation.fps),
        frames=len(animation.times),
        styles=found,
    )


def _check(styles: Sequence[Path], settings: BalanceSettings, judge: str, both_directions: bool) -> None:
    """Raise `UsageError` for settings that contradict each other."""
    if not styles:
        raise UsageError("no style was given; give at least one picture")
    if judge not in JUDGES:
        raise UsageError(f"--judge is {judge!r}; it must be one of {', '.join(JUDGES)}")
    if settings.mix:
        raise UsageError("--mix blends styles, and here each is painted on its own; leave it out")
    if both_directions and settings.timelapse:
        raise UsageError("--both-directions is for the balance; a timelapse grows in one only; give it without")


@dataclass(frozen=True, eq=False)
class _Rendered:
    """A painted animation, its frames in the order shown."""

    space: Space
    direction: Direction
    alpha: tuple[float, ...]
    results: list[Result]
    shown: list[Tensor]  #: what is seen of them, 8 bits; (3, H, W) in [0, 1] each


class _Painter:
    """What paints the animation, and what judges it, in whatever style.

    Args:
        picture: (H, W, 3) float32 sRGB in [0, 1].
        animation: one way.
        judge: one of `JUDGES`.

    Raises:
        WeightsError: a network cannot be read.
    """

    def __init__(self, picture: np.ndarray, animation: Animation, judge: str) -> None:
        settings = animation.settings
        if judge == "vgg19" and settings.network != "vgg19":
            self.settings = dataclasses.replace(settings, weights=None)  # they are the judge's alone
        else:
            self.settings = settings
        self.picture, self.animation = picture, Animation(self.settings, animation.mix)
        self.network = load_network(self.settings)
        # Another one, even of the same kind: it judges in full precision.
        makers: dict[str, Callable[[], networks.FeatureNetwork]] = {
            PAINTER: lambda: load_network(self.settings),
            "compact": networks.compact,
            "vgg19": lambda: networks.vgg19(settings.weights),
        }
        self.critic = makers[judge]()
        own = *settings.style_layers, *settings.content_layers
        self.layers = tuple(dict.fromkeys(own if judge == PAINTER else (*STYLE_LAYERS, CONTENT_LAYER)))
        self.critic.require(self.layers)
        self.device = pick_device(settings.device)
        optimize.prepare(self.critic, self.device, "float32")
        self.init = None
        if settings.init not in ("content", "noise"):
            self.init = to_tensor(pictures.load_picture(settings.init))

    def stylizer(self, style: Tensor) -> Stylizer:
        """One of its own, as a job would make it."""
        return Stylizer(self.network, [style], self.settings, init=self.init)

    def distance(self, one: Tensor, other: Tensor) -> float:
        """`metrics.feature_distance`, as the judge sees it."""
        return metrics.feature_distance(self.critic, one, other, self.layers)


class _Trial:
    """The animation in one style; `on_step` is told as `measure` says."""

    def __init__(self, name: str, style: Tensor, painter: _Painter, on_step: OnStep) -> None:
        self.name, self.style, self.painter, self.on_step = name, style, painter, on_step

    def run(self, spaces: Sequence[Space], both_directions: bool) -> StyleUniformity:
        """Paint and measure; the first of `spaces` in the other direction, too, if that is asked for."""
        direction = self.painter.settings.direction
        animations: list[AnimationFigures] = []
        other: AnimationFigures | None = None
        apart: tuple[float, ...] = ()
        for space in spaces:
            remapped_times, pilot_seconds = self._retimed() if space == "even" else (None, 0.0)
            rendered = self._painted(space, direction, remapped_times)
            animations.append(self._figures(rendered, pilot_seconds))
            if both_directions and space == spaces[0]:
                back = self._painted(space, "backward" if direction == "forward" else "forward", remapped_times)
                other = self._figures(back, 0.0)
                apart = tuple(map(self.painter.distance, rendered.shown, back.shown))
        hysteresis = ratio(statistics.fmean(apart), animations[0].mean) if apart else None
        return StyleUniformity(self.name, tuple(animations), other, apart, hysteresis)

    def _retimed(self) -> tuple[list[Fraction], float]:
        """The remapped times in equal steps, as a job finds them, and the seconds that the pilot renders take."""
        painter, began = self.painter, time.perf_counter()
        stylizer = painter.stylizer(self.style)
        told = functools.partial(self.on_step, f"{self.name}, pilot render")
        remapped_times = retime(painter.animation, painter.picture, stylizer, painter.network, told)
        return remapped_times, time.perf_counter() - began

    def _painted(self, space: Space, direction: Direction, remapped_times: Sequence[Fraction] | None) -> _Rendered:
        painter = self.painter
        settings = dataclasses.replace(painter.settings, direction=direction)
        plan = Animation(settings, painter.animation.mix).plan(remapped_times)
        source = PictureSource(painter.picture, settings, plan, starts_unpainted=settings.timelapse)
        stylizer, state = painter.stylizer(self.style), None
        results: list[Result] = []
        for frame in source.frames(0):
            result, state = stylizer.step(frame, state)
            results.append(result)
            self.on_step(f"{self.name}, {space}, {direction}", len(results), len(source.playback))
        results = [results[place] for place in source.playback]
        alpha = tuple(source.curves.alpha[place] for place in source.playback)
        return _Rendered(space, direction, alpha, results, [to_tensor(one.image).to(painter.device) for one in results])

    def _figures(self, rendered: _Rendered, pilot_seconds: float) -> AnimationFigures:
        """The figures of a painted animation."""
        distance, shown, pairs = self.painter.distance, rendered.shown, list(pairwise(rendered.shown))
        steps = tuple(itertools.starmap(distance, pairs))
        average = statistics.fmean(steps)
        everywhere = torch.ones_like(shown[0][:1])
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
            straight=ratio(distance(shown[0], shown[-1]), sum(steps)),
            pilot_seconds=pilot_seconds,
            seconds=seconds,
            pilot_share=ratio(pilot_seconds, seconds),
            evaluations=sum(result.iterations for result in rendered.results),
            style_loss=rendered.results[painted].losses["style"],
        )


def ratio(part: float, whole: float) -> float:
    """part / whole; nan where the whole is nothing."""
    return part / whole if whole else math.nan

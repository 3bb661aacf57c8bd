"""The source of a still, a balance animation (alpha over time) or a timelapse: one picture, painted repeatedly."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from vidstyle.errors import UsageError
from vidstyle.jobs.sources.clips import opacity_of, to_tensor
from vidstyle.jobs.sources.curves import ParameterCurves
from vidstyle.jobs.sources.masks import fitted
from vidstyle.jobs.sources.regions import layered
from vidstyle.media.stills import pictures
from vidstyle.media.stills.transparency import filled_colors
from vidstyle.motion import flow
from vidstyle.schedule import OverTime, constant, there_and_back
from vidstyle.settings import BalanceSettings, ImageSettings
from vidstyle.types import Budget, ClipInfo, Frame

FLOW_TIME = 1e-2, 1e2  # of the gradient flow in a timelapse; before it nothing is visible, after it nothing changes


@dataclass(frozen=True)
class Plan:
    """The frames of an animation of one picture, in the order of painting and as they are shown."""

    curves: ParameterCurves  #: in the order of time, one way
    fps: Fraction
    painted: tuple[int, ...]  #: numbers of frames of the curves in the order of painting
    shown: tuple[int, ...]  #: places in `painted` in the order in which they are shown


class PictureSource:
    """A source of frames of one picture, each painted from the previous pastiche.

    Args:
        picture: (H, W, 3) float32 sRGB in [0, 1], at its own size; or (H, W, 4) with its opacity.
        settings: size and, of an animation, the budget of a frame are read.
        plan: how often, with which numbers, and in which order.
        mask: where it is painted, (H, W) uint8; None for everywhere.
        regions: where its regions are, the same.
        starts_unpainted: the first frame is the picture that the optimisation starts from, unpainted.
    """

    def __init__(
        self,
        picture: np.ndarray,
        settings: BalanceSettings | ImageSettings,
        plan: Plan,
        mask: np.ndarray | None = None,
        regions: Sequence[np.ndarray] = (),
        *,
        starts_unpainted: bool = False,
    ) -> None:
        width, height = pictures.fit(picture.shape[1], picture.shape[0], settings.size)
        sized = pictures.resize(picture, width, height)
        self.image = to_tensor(filled_colors(sized))
        self.opacity = opacity_of(sized)
        self.content: np.ndarray = np.rint(255 * sized).astype(np.uint8)  # as it is shown beside the painting
        self.mask = None if mask is None else fitted(mask, width, height, settings.feather)
        self.regions = layered(regions, width, height, settings.feather)
        self.budget = Budget(settings.iterations, settings.tolerance) if isinstance(settings, BalanceSettings) else None
        self.first_budget = Budget(1, 0.0) if starts_unpainted else None
        self.curves = plan.curves.reordered(plan.painted, plan.curves.times)
        self.playback: Sequence[int] = plan.shown
        self.info = ClipInfo(width, height, plan.fps, len(plan.shown))

    @property
    def transparent(self) -> bool:
        """Whether the picture is, somewhere."""
        return self.opacity is not None

    def frames(self, start: int) -> Generator[Frame]:
        """The frames from number `start` on."""
        _, height, width = self.image.shape
        still = flow.no_motion(height, width)
        for index in range(start, len(self.curves.times)):
            motion, budget = (still, self.budget) if index else (None, self.first_budget)
            own = self.curves.at(index)
            yield Frame(
                *(index, self.image, motion),
                budget=budget,
                mask=self.mask,
                regions=self.regions,
                opacity=self.opacity,
                **own,
            )


def still_plan(settings: ImageSettings, mix: Sequence[OverTime], alpha: OverTime) -> Plan:
    """The plan of a still: painted once."""
    fps = Fraction(1)
    curves = ParameterCurves.of([Fraction(0)], fps, alpha=alpha, mix=mix, preserve_color=settings.preserve_color)
    return Plan(curves, fps, (0,), (0,))


class Animation:
    """A balance animation as the settings describe it, before retiming.

    If it bounces, the schedules run on the way there; the way back shows the same frames in reverse.

    Args:
        settings: all that only the balance animation has are read.
        mix: share of each style.

    Raises:
        UsageError: it is too short, or its settings contradict each other.

    Attributes:
        times: seconds of the frames on the way there.
        shown: their numbers in the order in which they are shown.
    """

    def __init__(self, settings: BalanceSettings, mix: Sequence[OverTime]) -> None:
        self.settings, self.mix = settings, mix
        shown = round(settings.seconds * settings.fps)
        if shown < 2:
            raise UsageError(
                f"{settings.seconds:g} s at {settings.fps:g} frames a second are {shown} frame(s); it takes two"
            )
        if settings.direction == "both" and not settings.bounce:
            raise UsageError("--direction both is for an animation that goes there and back; leave out --no-bounce")
        self.fps = Fraction(settings.fps).limit_denominator(1001)
        self.shown = there_and_back(shown) if settings.bounce else tuple(range(shown))
        count = max(self.shown) + 1
        self.times = tuple(number / self.fps for number in range(count))
        alpha = settings.alpha
        if settings.timelapse:
            self.alpha: OverTime = constant(ImageSettings.alpha if alpha is None else alpha)
        else:
            self.alpha = f"start:{settings.alpha_from}, end:{settings.alpha_to}" if alpha is None else alpha

    @property
    def numbers(self) -> tuple[OverTime, ...]:
        """The settings that may change over time."""
        settings = self.settings
        return (self.alpha, *self.mix, settings.preserve_color, settings.temporal_weight)

    def plan(self, remapped_times: Sequence[Fraction] | None = None) -> Plan:
        """How it is painted and shown, with the schedules evaluated at `remapped_times` instead of `times`.

        Raises:
            UsageError: a schedule does not fit the length.
        """
        settings = self.settings
        curves = ParameterCurves.of(
            self.times,
            self.fps,
            alpha=self.alpha,
            mix=self.mix,
            preserve_color=settings.preserve_color,
            temporal_weight=settings.temporal_weight,
            remapped_times=remapped_times,
        )
        if settings.timelapse:
            curves = _growing(curves, remapped_times or self.times)
        count = len(self.times)
        there = range(count)
        shown = self.shown
        if settings.direction == "both":
            return Plan(curves, self.fps, shown, tuple(range(len(shown))))
        if settings.timelapse or (curves.alpha[0] >= curves.alpha[-1]) == (settings.direction == "forward"):
            return Plan(curves, self.fps, tuple(there), shown)
        return Plan(curves, self.fps, tuple(reversed(there)), tuple(count - 1 - number for number in shown))

    def one_way(self) -> Animation:
        """The same animation without the way back."""
        settings = self.settings
        length = float(len(self.times) / self.fps)
        direction = "forward" if settings.direction == "both" else settings.direction
        return Animation(dataclasses.replace(settings, bounce=False, seconds=length, direction=direction), self.mix)


def _growing(curves: ParameterCurves, remapped_times: Sequence[Fraction]) -> ParameterCurves:
    """The curves of a timelapse: everything is constant but the temporal weight, and how far colours are matched.

    Each frame is a step of the gradient flow dP/dt = -dL/dP, taken implicitly: the P that minimises
    L(P) + |P - previous|^2 / t (Parikh & Boyd 2014, "Proximal Algorithms", section 4.1.1), so that 1 / t is the weight
    of staying with what was painted before. The time passes from the first of FLOW_TIME to the last, by equal factors.
    """
    first, last = FLOW_TIME
    clock = [first * (last / first) ** float(time / remapped_times[-1]) for time in remapped_times]
    weights = tuple(1 / (now - before) for before, now in pairwise([0.0, *clock]))
    shares = tuple(float(time / remapped_times[-1]) for time in remapped_times)
    return dataclasses.replace(curves, temporal_weight=weights, match_share=shares)

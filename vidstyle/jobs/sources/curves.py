"""Parameter curves: the parameters of a job that may change over time, sampled at each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vidstyle.errors import UsageError
from vidstyle.schedule import OverTime, values

DECIMALS = 9  # of alpha: what is rounded off 1 - 0.9 paints another picture than 0.1 within a few frames


@dataclass(frozen=True)
class ParameterCurves:
    """The value of each parameter in each frame."""

    times: tuple[Fraction, ...]  #: seconds from the first
    alpha: tuple[float, ...]
    mix: tuple[tuple[float, ...], ...]  #: share of each style, summing to 1
    preserve_color: tuple[float, ...]
    temporal_weight: tuple[float, ...]
    match_share: tuple[float, ...]  #: how far the setting `match_colors` is followed

    @classmethod
    def of(
        cls,
        times: Sequence[Fraction],
        fps: Fraction,
        *,
        alpha: OverTime,
        mix: Sequence[OverTime],
        preserve_color: OverTime = 0.0,
        temporal_weight: OverTime = 0.0,
        remapped_times: Sequence[Fraction] | None = None,
    ) -> ParameterCurves:
        """The curves of some settings in frames at these seconds.

        Args:
            remapped_times: seconds at which the schedules are evaluated for each frame, instead of its own.

        Raises:
            UsageError: keys are not in the order of time, or there is a frame in which no style has a share.
        """
        named = [(f"--mix, style {number}", share) for number, share in enumerate(mix, 1)]
        shares = [values(share, times, fps, name, remapped_times) for name, share in named]
        for index, each in enumerate(zip(*shares, strict=True)):
            if not any(each):
                raise UsageError(f"--mix leaves no style a share in frame {index}, at {float(times[index]):.4g} s")
        return cls(
            tuple(times),
            tuple(round(each, DECIMALS) for each in values(alpha, times, fps, "--alpha", remapped_times)),
            tuple(tuple(share / sum(each) for share in each) for each in zip(*shares, strict=True)),
            values(preserve_color, times, fps, "--preserve-color", remapped_times),
            values(temporal_weight, times, fps, "--temporal-weight", remapped_times),
            (1.0,) * len(times),
        )

    def at(self, index: int) -> dict[str, Any]:
        """The fields of a `Frame` that come from here."""
        return {name: entries[index] for name, entries in vars(self).items() if name != "times"}

    def unchanged_at(self, index: int) -> bool:
        """Whether a frame has the alpha and the mix of the frame before."""
        # Not so for the colours that are kept: they are put over the painting. Nor for the temporal weight: a painting
        # that is not to change costs nothing.
        return self.alpha[index] == self.alpha[index - 1] and self.mix[index] == self.mix[index - 1]

    def reordered(self, order: Sequence[int], times: Sequence[Fraction]) -> ParameterCurves:
        """The curves in another order of the frames, which are then at these seconds."""
        entries = {name: tuple(each[index] for index in order) for name, each in vars(self).items()}
        return ParameterCurves(**{**entries, "times": tuple(times)})

    def by_name(self) -> dict[str, tuple[float, ...]]:
        """The curve of each parameter, by its name."""
        shares = {f"share of style {number}": each for number, each in enumerate(zip(*self.mix, strict=True), 1)}
        found = {"alpha": self.alpha, **(shares if len(shares) > 1 else {}), "preserve-color": self.preserve_color}
        return found | ({"temporal-weight": self.temporal_weight} if any(self.temporal_weight) else {})

"""The figures of a painted clip: the schema of its JSON report, see `results.Results`."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vidstyle.lab.evaluate.patches import PatchDistances
from vidstyle.lab.results import Results, mean, ratio


@dataclass(frozen=True)
class ClipFacts:
    """A clip that was looked at."""

    name: str  #: of the file
    width: int  #: pixels
    height: int  #: pixels
    frames: int
    fps: float  #: frames per second; the average where the rate varies
    seconds: float  #: from the first frame to the end of the last


@dataclass(frozen=True)
class Spread:
    """A number that each pair of frames has: where it lies. Pairs that have none do not count."""

    mean: float
    median: float
    worst: float  #: the largest
    worst_frame: int | None  #: the later frame of that pair; None if no pair has a number

    @classmethod
    def of(cls, values: Mapping[int, float]) -> Spread:
        """Of the values of pairs, by their later frame."""
        seen = {frame: value for frame, value in values.items() if not math.isnan(value)}
        if not seen:
            return cls(math.nan, math.nan, math.nan, None)
        worst = max(seen, key=lambda frame: seen[frame])
        return cls(statistics.fmean(seen.values()), statistics.median(seen.values()), seen[worst], worst)


@dataclass(frozen=True)
class PairFigures:
    """Two frames of a shot: mean squared differences per channel, of RGB in [0, 1]."""

    frame: int  #: the later one
    visible: float  #: share of the painted pixels that the earlier one shows, too: only they count in a warping error
    warping: float  #: `metrics.warping_error` of the painted clip, along the motion of the input
    plain: float  #: difference of the painted frames as they are
    input_warping: float  #: the same two of the input itself: what flow cannot explain (noise, light, its own faults)
    input_plain: float


@dataclass(frozen=True)
class TemporalConsistency:
    """How much the painted clip changes beyond the motion of the input, over a distance in time."""

    distance: int  #: frames from the earlier to the later one of a pair
    candidates: int  #: pairs of that distance that no cut divides
    pairs: tuple[PairFigures, ...]  #: those that were measured: all of distance 1, a sample of the others
    visible: float  #: mean of theirs
    warping: Spread
    plain: Spread
    input_warping: Spread
    input_plain: Spread

    @classmethod
    def of(cls, distance: int, candidates: int, pairs: Sequence[PairFigures]) -> TemporalConsistency:
        """Of measured pairs."""
        names = ("warping", "plain", "input_warping", "input_plain")
        spreads = [Spread.of({pair.frame: getattr(pair, name) for pair in pairs}) for name in names]
        return cls(distance, candidates, tuple(pairs), mean([pair.visible for pair in pairs]), *spreads)


@dataclass(frozen=True)
class BaselinePair:
    """Two neighbouring frames of the painted clip, and the same two painted independently, each from scratch."""

    frame: int  #: the later one
    warping: float  #: that of the painted clip
    independent_warping: float  #: that of the two independent paintings
    style: dict[str, float]  #: `metrics.style_distance` of the painted clip's later frame, by layer
    independent_style: dict[str, float]  #: that of the independent painting of it
    content: float  #: `metrics.content_distance` of the painted clip's later frame
    independent_content: float  #: that of the independent painting of it
    sharpness: float  #: `metrics.sharpness` of the painted clip's later frame
    independent_sharpness: float


@dataclass(frozen=True)
class Independence:
    """The painted clip beside frames painted independently with the same settings: means over the pairs."""

    judge: str  #: the network that distances are measured with: compact or vgg19
    pairs: tuple[BaselinePair, ...]
    warping: float  #: of the painted clip
    independent_warping: float
    warping_ratio: float  #: the one / the other: 0 = no flicker, 1 = as much as in independent frames
    style: float  #: mean over the layers: 0 = the style, 1 = as far from it as the input
    independent_style: float
    style_ratio: float  #: above 1: consistency costs style
    content: float  #: 0 = the input's features, 1 = as far from them as their mean
    independent_content: float
    content_ratio: float  #: above 1: consistency costs content
    sharpness: float
    independent_sharpness: float
    sharpness_ratio: float  #: below 1: consistency costs sharpness

    @classmethod
    def of(cls, judge: str, pairs: Sequence[BaselinePair]) -> Independence:
        """Of the pairs that were painted."""

        def both(name: str) -> tuple[float, float, float]:
            one, other = (
                mean([mean(value.values()) if isinstance(value, dict) else value for value in column])
                for column in ([getattr(pair, prefix + name) for pair in pairs] for prefix in ("", "independent_"))
            )
            return one, other, ratio(one, other)

        return cls(judge, tuple(pairs), *both("warping"), *both("style"), *both("content"), *both("sharpness"))


@dataclass(frozen=True)
class PatchFigures:
    """A frame beside the styles, as the judge without a network sees it."""

    frame: int
    painted: PatchDistances
    input: PatchDistances  #: of the input's frame: where the painting began


@dataclass(frozen=True)
class Appearance:
    """A frame beside the first one of its shot."""

    sharpness: float  #: `metrics.sharpness`, as a multiple of the first frame's
    luma: float  #: mean Y' minus the first frame's, in 1/255: BT.709 of the gamma-coded colours
    cb: float  #: the same of Cb
    cr: float  #: the same of Cr

    @property
    def chroma(self) -> float:
        """Length of the drift in the plane of Cb and Cr, in 1/255."""
        return math.hypot(self.cb, self.cr)

    def beyond(self, other: Appearance) -> Appearance:
        """This drift without the other one; the sharpness as a multiple of the other one."""
        sharpness = ratio(self.sharpness, other.sharpness)
        return Appearance(sharpness, self.luma - other.luma, self.cb - other.cb, self.cr - other.cr)


@dataclass(frozen=True)
class FrameFigures:
    """One frame of both clips."""

    frame: int
    seconds: float  #: when it is shown, from the first
    first: int  #: the first frame of its shot
    painted: Appearance
    input: Appearance

    @property
    def beyond(self) -> Appearance:
        """The painted appearance, without what the input does itself."""
        return self.painted.beyond(self.input)


@dataclass(frozen=True)
class Range:
    """A number that each frame has."""

    least: float
    most: float
    last: float  #: that of the last frame of the clip

    @classmethod
    def of(cls, values: Sequence[float]) -> Range:
        """Of the values of all frames, in their order."""
        seen = [value for value in values if not math.isnan(value)] or [math.nan]
        return cls(min(seen), max(seen), values[-1])


@dataclass(frozen=True)
class Drift:
    """The drift of appearance within the shots; units as in `Appearance`. Corrected: without the input's own drift."""

    sharpness: Range
    input_sharpness: Range
    corrected_sharpness: Range
    luma: Range
    corrected_luma: Range
    chroma: Range
    corrected_chroma: Range

    @classmethod
    def of(cls, frames: Sequence[FrameFigures]) -> Drift:
        """Of all frames of a clip."""
        views = {"": "painted", "input_": "input", "corrected_": "beyond"}
        ranges = {
            prefix + name: Range.of([getattr(getattr(one, view), name) for one in frames])
            for prefix, view in views.items()
            for name in ("sharpness", "luma", "chroma")
        }
        return cls(**{one.name: ranges[one.name] for one in dataclasses.fields(cls)})


@dataclass(frozen=True, eq=False)
class WorstPair:
    """Where the warping error is largest."""

    frame: int  #: the later one
    before: np.ndarray  #: (H, W, 3) uint8, the painted frame before it
    after: np.ndarray  #: (H, W, 3) uint8, the painted frame
    squares: np.ndarray  #: (H, W) float32, squared difference; nan where the earlier frame does not show the place


@dataclass(frozen=True, eq=False)
class FilmstripFrame:
    """A frame of both clips for the filmstrip."""

    frame: int
    seconds: float
    input: np.ndarray  #: (h, w, 3) uint8, small
    painted: np.ndarray  #: (h, w, 3) uint8, small


@dataclass(frozen=True)
class Measurement(Results):
    """All figures of a painted clip."""

    vidstyle: str  #: version
    command: str  #: that measures the same again, file names without their folders
    input: ClipFacts  #: as the file has it; measured at the size of the painted clip
    painted: ClipFacts
    styles: tuple[str, ...]  #: file names
    settings: dict[str, Any]  #: of the job, as the independent frames were painted
    shots: tuple[int, ...]  #: first frames
    consistency: tuple[TemporalConsistency, ...]  #: over 1 frame, and over the longer distances
    independence: Independence | None  #: None without a style
    drift: Drift
    frames: tuple[FrameFigures, ...]
    patches: tuple[PatchFigures, ...] = ()  #: of the first, a middle and the last frame; empty without a style
    notes: tuple[str, ...] = ()  #: sentences: what was left out, and what the figures must not be taken for
    worst: WorstPair | None = field(default=None, repr=False, compare=False)  #: None if there is no pair
    stills: tuple[FilmstripFrame, ...] = field(default=(), repr=False, compare=False)

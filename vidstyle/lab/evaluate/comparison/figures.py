"""The figures of a comparison, as frozen dataclasses, and the tables that it prints."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vidstyle.lab.evaluate.patches import COUNT, LABELS, MEANING, PatchDistances
from vidstyle.system.files import plain

Which = Literal["reference", "same_alpha", "same_content"]


@dataclass(frozen=True)
class Judgement:
    """One pastiche, what VGG-19 says of it, and what the neutral judge does."""

    picture: Path  #: where it lies
    alpha: float | None  #: that it was painted with; None: nobody knows, it is of another tool
    style: dict[str, float]  #: `metrics.style_distance`, by layer
    content: float  #: `metrics.content_distance`
    patches: PatchDistances  #: from the style, as `patches.distances` finds them
    resampled: tuple[PatchDistances, ...]  #: the same of other random places
    resized_from: tuple[int, int] | None = None  #: width and height, where it was not of the pastiche's size

    @property
    def mean_style(self) -> float:
        """Mean of the style distances over the layers."""
        return statistics.fmean(self.style.values())

    def json(self) -> dict[str, Any]:
        """All of it; of the samples the standard deviation, as "patch_noise"."""
        table = dataclasses.asdict(self) | {"picture": str(self.picture)}
        del table["resampled"]
        return table | {"patch_noise": dataclasses.asdict(PatchDistances.deviation((self.patches, *self.resampled)))}


@dataclass(frozen=True)
class Pair:
    """One content in one style."""

    content: Path  #: picture
    style: Path  #: picture
    reference: Judgement  #: of the pastiche that VGG-19, or another tool, painted
    same_alpha: Judgement  #: of the network's pastiche at the alpha that was given: that of VGG-19's
    same_content: Judgement  #: and at an alpha that gives it, as nearly as was tried, the reference's content distance

    def __str__(self) -> str:
        told = ", ".join(
            f"{one.mean_style:.4f} / {one.content:.3f}"
            + (f" at alpha {one.alpha:.3g}" if one.alpha is not None else "")
            for one in (self.reference, self.same_alpha, self.same_content)
        )
        return f"{self.content.stem} in {self.style.stem}: style / content {told}"

    def json(self) -> dict[str, Any]:
        """All of it."""
        files = {"content": str(self.content), "style": str(self.style)}
        return files | {which: getattr(self, which).json() for which in get_args(Which)}


@dataclass(frozen=True)
class Speed:
    """Seconds of one evaluation of the losses and their gradient; medians of runs in turn."""

    size: int  #: pixels of each side
    reference: float  #: of VGG-19
    network: float  #: of the network

    @property
    def ratio(self) -> float:
        """How many times faster the network is."""
        return self.reference / self.network


@dataclass(frozen=True)
class Report:
    """What a comparison found."""

    pairs: list[Pair]
    reference: str  #: who painted the references: VGG-19, or the name of the folder of another tool's pictures
    network: str  #: what it is called
    alpha: float  #: that the network painted with first
    beside: Path | None  #: the folder of another tool's pictures; None: VGG-19 painted the references
    speed: Speed | None  #: None: VGG-19 painted nothing

    def json(self) -> dict[str, Any]:
        """All of it as JSON knows it."""
        table = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        table["pairs"] = [pair.json() for pair in self.pairs]
        table["beside"] = None if self.beside is None else str(self.beside)
        table["speed"] = None if self.speed is None else dataclasses.asdict(self.speed)
        found: dict[str, Any] = plain(table)
        return found

    def means(self, which: Which) -> dict[str, float]:
        """Mean over the pairs of each layer's style distance, of their mean ("style"), and of the content distance."""
        judgements: list[Judgement] = [getattr(pair, which) for pair in self.pairs]
        table = {layer: statistics.fmean(one.style[layer] for one in judgements) for layer in judgements[0].style}
        table["style"] = statistics.fmean(one.mean_style for one in judgements)
        return table | {"content": statistics.fmean(one.content for one in judgements)}

    def patch_means(self, which: Which) -> list[PatchDistances]:
        """Means over the pairs, one for each sample of random places, the first of them the one that counts."""
        judgements: list[Judgement] = [getattr(pair, which) for pair in self.pairs]
        samples = zip(*((one.patches, *one.resampled) for one in judgements), strict=True)
        return [PatchDistances.average(sample) for sample in samples]

    def lines(self) -> list[str]:
        """The means as tables in Markdown, with the ratio to the reference's, and the speed."""
        return [*self._distances(), "", *self._patches(), *self._resized(), *self._speed()]

    @property
    def _others(self) -> tuple[tuple[Which, str], ...]:
        alpha = "same alpha" if self.beside is None else f"alpha {self.alpha:.3g}"
        return ("same_alpha", f"{self.network}, {alpha}"), ("same_content", f"{self.network}, same content distance")

    def _distances(self) -> Iterator[str]:
        """VGG-19's judgement."""
        reference = self.means("reference")
        pairs = f"{len(self.pairs)} pair{'s' * (len(self.pairs) != 1)}, judged by VGG-19"
        yield f"| {pairs} | {' | '.join(reference)} |"
        yield f"| --- |{' --- |' * len(reference)}"
        yield f"| {self.reference} | {' | '.join(f'{value:.4f}' for value in reference.values())} |"
        for which, name in self._others:
            table = self.means(which)
            yield f"| {name} | {' | '.join(f'{value:.4f}' for value in table.values())} |"
            ratios = (table[key] / reference[key] if reference[key] else float("nan") for key in table)
            yield f"| ratio | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |"

    def _patches(self) -> Iterator[str]:
        """The neutral judge's, with the standard deviations of the samples."""
        reference = self.patch_means("reference")
        columns, digits = {self.reference: reference}, [4]
        for which, name in self._others:
            found = self.patch_means(which)
            ratios = [one.over(other) for one, other in zip(found, reference, strict=True)]
            columns |= {name: found, f"ratio, {name.removeprefix(f'{self.network}, ')}": ratios}
            digits += [4, 3]
        yield f"| colours and patches | {' | '.join(columns)} |"
        yield f"| --- |{' --- |' * len(columns)}"
        noises = [PatchDistances.deviation(samples) for samples in columns.values()]
        for name, label in LABELS.items():
            cells = (
                f"{getattr(samples[0], name):.{places}f} ± {getattr(noise, name):.{places}f}"
                for samples, noise, places in zip(columns.values(), noises, digits, strict=True)
            )
            yield f"| {label} | {' | '.join(cells)} |"
        yield ""
        yield f"{MEANING} ±: one standard deviation over {len(reference)} samples of {COUNT} places."

    def _resized(self) -> Iterator[str]:
        count = sum(pair.reference.resized_from is not None for pair in self.pairs)
        if count:
            yield ""
            yield f"{count} of the {len(self.pairs)} pictures of {self.reference} had another size and were resized."

    def _speed(self) -> Iterator[str]:
        if self.speed is not None:
            yield ""
            yield (
                f"one evaluation at {self.speed.size}x{self.speed.size} px: VGG-19 {self.speed.reference:.3f} s, "
                f"{self.network} {self.speed.network:.3f} s, ratio {self.speed.ratio:.1f}"
            )

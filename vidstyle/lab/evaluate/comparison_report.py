"""What a comparison shows: its figures, the tables that it prints, the contact sheet, the page of the blind test."""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, features

from vidstyle.lab.evaluate.accumulators import shrunk
from vidstyle.lab.evaluate.page import TEMPLATES
from vidstyle.lab.evaluate.patches import COUNT, LABELS, MEANING, PatchDistances
from vidstyle.lab.results import Results, ratio
from vidstyle.lab.tables import Grid, counted
from vidstyle.media.stills import pictures
from vidstyle.system.opencv import cv2

TILE = 256  # pixels of a picture's long side in the contact sheet
GAP = 6  # pixels between pairs
SMALL = 320  # pixels of the long side of content and style in the page
LARGEST_WEBP = 16383  # pixels of a side

Which = Literal["reference", "same_alpha", "same_content"]


@dataclass(frozen=True)
class Judgement:
    """One pastiche, what VGG-19 says of it, and what the neutral judge does."""

    picture: Path  #: where it lies
    alpha: float | None  #: that it was painted with; None: nobody knows, it is of another tool
    style: dict[str, float]  #: `metrics.style_distance`, by layer
    content: float  #: `metrics.content_distance`
    patches: PatchDistances  #: from the style, as `patches.distances` finds them
    resampled: tuple[PatchDistances, ...] = field(repr=False)  #: the same of other random places
    resized_from: tuple[int, int] | None = None  #: width and height, where it was not of the pastiche's size
    patch_noise: PatchDistances | None = field(init=False)  #: standard deviation over the random places

    def __post_init__(self) -> None:
        noise = PatchDistances.deviation((self.patches, *self.resampled)) if self.resampled else None
        object.__setattr__(self, "patch_noise", noise)

    @property
    def mean_style(self) -> float:
        """Mean of the style distances over the layers."""
        return statistics.fmean(self.style.values())


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
class Report(Results):
    """What a comparison found."""

    pairs: list[Pair]
    reference: str  #: who painted the references: VGG-19, or the name of the folder of another tool's pictures
    network: str  #: what it is called
    alpha: float  #: that the network painted with first
    beside: Path | None  #: the folder of another tool's pictures; None: VGG-19 painted the references
    speed: Speed | None  #: None: VGG-19 painted nothing

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
        lines = [*self._distances().markdown(), "", *self._patches().markdown()]
        if count := sum(pair.reference.resized_from is not None for pair in self.pairs):
            of_all = f"{count} of the {len(self.pairs)} pictures of {self.reference}"
            lines += ["", f"{of_all} had another size and were resized."]
        if self.speed is not None:
            size, reference, network = self.speed.size, self.speed.reference, self.speed.network
            seconds = f"VGG-19 {reference:.3f} s, {self.network} {network:.3f} s, ratio {self.speed.ratio:.1f}"
            lines += ["", f"one evaluation at {size}x{size} px: {seconds}"]
        return lines

    @property
    def _others(self) -> tuple[tuple[Which, str], ...]:
        alpha = "same alpha" if self.beside is None else f"alpha {self.alpha:.3g}"
        return ("same_alpha", alpha), ("same_content", "same content distance")

    def _distances(self) -> Grid:
        """VGG-19's judgement."""
        reference = self.means("reference")
        rows = [(self.reference, *(f"{value:.4f}" for value in reference.values()))]
        for which, name in self._others:
            found = self.means(which)
            rows.append((f"{self.network}, {name}", *(f"{value:.4f}" for value in found.values())))
            rows.append(("ratio", *(f"{ratio(found[key], reference[key]):.2f}" for key in found)))
        return Grid("", (f"{counted(len(self.pairs), 'pair')}, judged by VGG-19", *reference), rows)

    def _patches(self) -> Grid:
        """The neutral judge's, with the standard deviations of the samples."""
        reference = self.patch_means("reference")
        columns, digits = {self.reference: reference}, [4]
        for which, name in self._others:
            found = self.patch_means(which)
            ratios = [one.over(other) for one, other in zip(found, reference, strict=True)]
            columns |= {f"{self.network}, {name}": found, f"ratio, {name}": ratios}
            digits += [4, 3]
        noises = [PatchDistances.deviation(samples) for samples in columns.values()]
        rows = []
        for name, label in LABELS.items():
            cells = (
                f"{getattr(samples[0], name):.{places}f} ± {getattr(noise, name):.{places}f}"
                for samples, noise, places in zip(columns.values(), noises, digits, strict=True)
            )
            rows.append((label, *cells))
        caption = f"{MEANING} ±: one standard deviation over {len(reference)} samples of {COUNT} places."
        return Grid("", ("colours and patches", *columns), rows, caption)


def contact_sheet(pairs: Sequence[Pair]) -> np.ndarray:
    """Every pair's two pastiches, the reference left, at equal content distance: (H, W, 3) uint8 RGB.

    A row is a content, a column a style.
    """
    contents, styles = (list(dict.fromkeys(getattr(pair, name) for pair in pairs)) for name in ("content", "style"))
    cells = {}
    for pair in pairs:
        cells[pair.content, pair.style] = np.concatenate([_tile(one) for one in pastiches(pair)], axis=1)
    height, width = (max(cell.shape[axis] for cell in cells.values()) + GAP for axis in (0, 1))
    sheet = np.full((height * len(contents), width * len(styles), 3), 255, np.uint8)
    for (content, style), cell in cells.items():
        top, left = height * contents.index(content), width * styles.index(style)
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet


def _tile(image: np.ndarray) -> np.ndarray:
    factor = TILE / max(image.shape[:2])
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    tile: np.ndarray = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return tile


def pastiches(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """The reference and the network's at the same content distance, each (H, W, 3) uint8 and of the latter's size."""
    reference, network = (_pixels(one.picture) for one in (pair.reference, pair.same_content))
    return pictures.resize(reference, network.shape[1], network.shape[0]), network


def _pixels(path: Path) -> np.ndarray:
    pixels: np.ndarray = (pictures.load_picture(path) * 255).round().astype(np.uint8)
    return pixels


def blind_page(report: Report) -> str:
    """The HTML page of a blind test: a person chooses the better of two unnamed paintings, pair by pair.

    Pictures, names and the program are in it, and it asks nobody for anything.
    """
    names = {"reference": report.reference, "network": report.network}
    comparison = {"names": names, "pairs": [pair_data(pair) for pair in report.pairs]}
    return TEMPLATES.get_template("blind.html").render(comparison=comparison)


def pair_data(pair: Pair) -> dict[str, Any]:
    """What the page knows of a pair."""
    reference, network = pastiches(pair)
    small = [
        (shrunk(pictures.load_picture(path, enough=SMALL), SMALL) * 255).round().astype(np.uint8)
        for path in (pair.content, pair.style)
    ]
    return {
        "content": {"name": pair.content.stem, "image": _data(small[0])},
        "style": {"name": pair.style.stem, "image": _data(small[1])},
        "width": network.shape[1],
        "height": network.shape[0],
        "images": {"reference": _data(reference), "network": _data(network)},
    }


def _data(image: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data URI, without loss."""
    encoded = io.BytesIO()
    kind = "webp" if features.check("webp") and max(image.shape[:2]) <= LARGEST_WEBP else "png"
    Image.fromarray(image).save(encoded, kind.upper(), **({"lossless": True} if kind == "webp" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(encoded.getvalue()).decode()}"

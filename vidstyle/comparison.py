"""How good a network is for painting: its pastiches beside those of VGG-19, judged by VGG-19.

Every content is painted in every style by both networks. Style and content pull against each other, so that a network
that keeps less of the content looks better at the style; therefore each pair is painted again with alpha moved until
the content distances agree. Pictures are kept in the folder and not painted again.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vidstyle import losses, metrics, networks, optimize
from vidstyle.course import require_still
from vidstyle.encoding.outputs import files_read
from vidstyle.encoding.sinks import write_still
from vidstyle.errors import DiskError, UsageError
from vidstyle.jobs.inputs import file_hash
from vidstyle.jobs.tasks import load_network
from vidstyle.pipeline import stylize_image
from vidstyle.schedule import constant
from vidstyle.settings import Settings
from vidstyle.sources import to_tensor
from vidstyle.stills import pictures
from vidstyle.stylemetrics import gram
from vidstyle.stylizer import scaled_style, size_of
from vidstyle.system.files import check_apart, write_whole
from vidstyle.system.opencv import cv2

AGREEMENT = 0.05  # content distances this close to each other count as equal
SLOPE = 0.4  # d log(content distance) / d log((1 - alpha) / alpha), roughly, for the first guess of an equal alpha
ALPHAS = (0.005, 0.995)  # between which alpha is moved
TILE = 256  # pixels of a picture's long side in the contact sheet
GAP = 6  # pixels between pairs there


@dataclass(frozen=True)
class Judgement:
    """One pastiche and what VGG-19 says of it."""

    picture: Path  #: where it lies
    alpha: float  #: that it was painted with
    style: dict[str, float]  #: `metrics.style_distance`, by layer
    content: float  #: `metrics.content_distance`

    @property
    def mean_style(self) -> float:
        """Mean of the style distances over the layers."""
        return statistics.fmean(self.style.values())


@dataclass(frozen=True)
class Pair:
    """One content in one style."""

    content: Path  #: picture
    style: Path  #: picture
    reference: Judgement  #: of the pastiche that VGG-19 painted
    same_alpha: Judgement  #: of the network's pastiche at the same alpha
    same_content: Judgement  #: and at an alpha that gives it, as nearly as was tried, the same content distance

    def __str__(self) -> str:
        figures = (self.reference, self.same_alpha, self.same_content)
        told = ", ".join(f"{one.mean_style:.4f} / {one.content:.3f} at alpha {one.alpha:.3g}" for one in figures)
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


class Comparison:
    """Paints and judges pairs.

    Args:
        folder: for the pictures; made if it is not there.
        settings: alpha, size, network and whatever else the pictures are painted with; `weights` are those of VGG-19,
            the other painter and the judge.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        if settings.network == "vgg19":
            raise UsageError("--network is vgg19, which the network is compared with; give another")
        require_still(settings)
        self.folder, self.settings = folder, dataclasses.replace(settings, weights=None)
        self.reference = dataclasses.replace(settings, network="vgg19")
        self.judge = load_network(self.reference)
        self.device = optimize.pick_device(settings.device)
        optimize.place(self.judge, self.device, "float32")
        self.network = load_network(self.settings)
        self.prints = {"vgg19": networks.fingerprint(self.judge), "network": networks.fingerprint(self.network)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"the folder {folder} cannot be made ({error.strerror}); give another") from error

    def pairs(self, contents: Sequence[Path], styles: Sequence[Path], *, tries: int = 2) -> Iterator[Pair]:
        """Every content in every style, in turn.

        Args:
            tries: times that alpha is moved to make the content distances agree; 0 leaves it.
        """
        for shift in range(len(styles)):  # diagonals first: a run that is cut short has seen every content
            for number, content in enumerate(contents):
                yield self.pair(content, styles[(number + shift) % len(styles)], tries)

    def pair(self, content: Path, style: Path, tries: int) -> Pair:
        """Paint and judge one content in one style."""
        reference = self._judged(content, style, self.reference)
        same_alpha = self._judged(content, style, self.settings)
        seen = [same_alpha]
        for _ in range(tries):
            if abs(math.log(seen[-1].content / reference.content)) <= AGREEMENT:
                break
            alpha = next_alpha([(one.alpha, one.content) for one in seen], reference.content)
            seen.append(self._judged(content, style, dataclasses.replace(self.settings, alpha=alpha)))
        nearest = min(seen, key=lambda one: abs(math.log(one.content / reference.content)))
        return Pair(content, style, reference, same_alpha, nearest)

    def speed(self, runs: int = 5) -> Speed:
        """Time both networks on a picture of noise, at the settings' size and precision."""
        reference = copy.deepcopy(self.judge)  # the judge itself must not be rounded
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs + 1):
            for network, found in zip((reference, self.network), seconds, strict=True):
                optimize.place(network, self.device, self.settings.precision)
                found.append(self._evaluation(network))
        return Speed(self.settings.size, *(statistics.median(found[1:]) for found in seconds))

    def _evaluation(self, network: networks.FeatureNetwork) -> float:
        settings, side = self.settings, self.settings.size
        image = torch.rand(1, 3, side, side, device=self.device, requires_grad=True)
        readouts = {layer: readout.to(self.device) for layer, readout in network.readouts.items()}
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        features = network(image, (*settings.content_layers, *settings.style_layers))
        terms = [losses.project(features[x], readouts.get(x)).square().sum() for x in settings.content_layers]
        terms += [gram(features[x]).square().sum() for x in settings.style_layers]
        float(torch.autograd.grad(torch.stack(terms).sum(), image)[0].sum())  # waits for the device
        return time.perf_counter() - began

    def _judged(self, content: Path, style: Path, settings: Settings) -> Judgement:
        name = "vgg19" if settings.network == "vgg19" else "network"
        precision = optimize.pick_precision(settings.precision, self.device)
        lasting = dataclasses.replace(settings, weights=None, network="compact", device="auto", precision=precision)
        key = repr((self.prints[name], lasting, file_hash(content), file_hash(style)))
        digest = hashlib.sha256(key.encode()).hexdigest()[:8]
        alpha = constant(settings.alpha)
        path = self.folder / f"{content.stem}-{style.stem}-{name}-{alpha:.4g}-{digest}.png"
        if not path.exists():
            stylize_image(content, [style], path, settings)
        pastiche = to_tensor(pictures.load_picture(path)).to(self.device)
        height, width = size_of(pastiche)
        photo = to_tensor(pictures.resize(pictures.load_picture(content), width, height)).to(self.device)
        painting = to_tensor(pictures.load_picture(style)).to(self.device)
        painting = scaled_style(painting, (height, width), settings.style_scale)[0]
        return Judgement(
            path,
            alpha,
            metrics.style_distance(self.judge, pastiche, photo, painting, settings.style_layers),
            metrics.content_distance(self.judge, pastiche, photo, settings.content_layers[0]),
        )


def next_alpha(seen: Sequence[tuple[float, float]], wanted: float) -> float:
    """The alpha to try next for a content distance of `wanted`, from pairs of an alpha and its content distance.

    A straight line in the logarithms of the odds (1 - alpha) / alpha and of the distance: through the last two points,
    or through the only one with the usual slope.
    """
    points = [(math.log((1 - alpha) / alpha), math.log(distance)) for alpha, distance in seen]
    odds, distance = points[-1]
    slope = SLOPE
    if len(points) > 1 and abs(odds - points[-2][0]) > 1e-6:
        slope = max((distance - points[-2][1]) / (odds - points[-2][0]), SLOPE / 4)
    odds += (math.log(wanted) - distance) / slope
    return min(max(1 / (1 + math.exp(odds)), ALPHAS[0]), ALPHAS[1])


@dataclass(frozen=True)
class Report:
    """What a comparison found."""

    pairs: list[Pair]
    speed: Speed

    def means(self, which: str) -> dict[str, float]:
        """Mean over the pairs of each layer's style distance, of their mean ("style"), and of the content distance.

        Args:
            which: reference, same_alpha or same_content.
        """
        judgements: list[Judgement] = [getattr(pair, which) for pair in self.pairs]
        table = {layer: statistics.fmean(one.style[layer] for one in judgements) for layer in judgements[0].style}
        table["style"] = statistics.fmean(one.mean_style for one in judgements)
        return table | {"content": statistics.fmean(one.content for one in judgements)}

    def lines(self) -> list[str]:
        """The means as a table in Markdown, with the ratio to VGG-19's, and the speed."""
        reference = self.means("reference")
        lines = [
            f"| {len(self.pairs)} pairs | {' | '.join(reference)} |",
            f"| --- |{' --- |' * len(reference)}",
            f"| VGG-19 | {' | '.join(f'{value:.4f}' for value in reference.values())} |",
        ]
        for which, name in (("same_alpha", "network, same alpha"), ("same_content", "network, same content distance")):
            table = self.means(which)
            lines.append(f"| {name} | {' | '.join(f'{value:.4f}' for value in table.values())} |")
            lines.append(f"| ratio | {' | '.join(f'{table[key] / reference[key]:.2f}' for key in table)} |")
        speed = self.speed
        lines.append("")
        lines.append(
            f"one evaluation at {speed.size}x{speed.size} px: VGG-19 {speed.reference:.3f} s, "
            f"network {speed.network:.3f} s, ratio {speed.ratio:.1f}"
        )
        return lines


def contact_sheet(pairs: Sequence[Pair]) -> np.ndarray:
    """Every pair's two pastiches side by side, VGG-19's left, at equal content distance: (H, W, 3) uint8 RGB.

    A row is a content, a column a style.
    """
    contents, styles = (list(dict.fromkeys(getattr(pair, name) for pair in pairs)) for name in ("content", "style"))
    cells = {}
    for pair in pairs:
        both = [_tile(judgement.picture) for judgement in (pair.reference, pair.same_content)]
        cells[pair.content, pair.style] = np.concatenate(both, axis=1)
    height, width = (max(cell.shape[axis] for cell in cells.values()) + GAP for axis in (0, 1))
    sheet = np.full((height * len(contents), width * len(styles), 3), 255, np.uint8)
    for (content, style), cell in cells.items():
        top, left = height * contents.index(content), width * styles.index(style)
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet


def _tile(path: Path) -> np.ndarray:
    image = (pictures.load_picture(path) * 255).round().astype(np.uint8)
    factor = TILE / max(image.shape[:2])
    return cv2.resize(
        image, (round(image.shape[1] * factor), round(image.shape[0] * factor)), interpolation=cv2.INTER_AREA
    )


def compare(
    contents: Path,
    styles: Path,
    output: Path,
    settings: Settings,
    *,
    tries: int = 2,
    limit: int | None = None,
    on_pair: Callable[[Pair, int], None] | None = None,
) -> Report:
    """Compare a network with VGG-19; `output` gets the pictures, `sheet.png` and `report.json`.

    Args:
        contents, styles: a picture or a folder of pictures; every content is painted in every style.
        output: a folder; pictures that it holds from an earlier call with the same inputs are not painted again.
        settings: `network` names the one that is judged, `weights` are VGG-19's.
        tries: times that alpha is moved to make the content distances of a pair agree; 0 leaves it.
        limit: pairs to stop after; the first ones show every content, in different styles.
        on_pair: called after each pair with it and the number of pairs in all.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    made = [output / name for name in ("sheet.png", "report.json")]
    check_apart(made, [contents, styles, *files_read(settings)])
    comparison = Comparison(output, settings)
    pairs: list[Pair] = []
    chosen = [pictures.in_folder(path) for path in (contents, styles)]
    total = min(len(chosen[0]) * len(chosen[1]), limit or sys.maxsize)
    for pair in itertools.islice(comparison.pairs(*chosen, tries=tries), total):
        pairs.append(pair)
        if on_pair is not None:
            on_pair(pair, total)
    sheet = contact_sheet(pairs)
    write_still(sheet, made[:1])
    report = Report(pairs, comparison.speed())
    write_whole(made[1], json.dumps(dataclasses.asdict(report), indent=1, default=str))
    return report

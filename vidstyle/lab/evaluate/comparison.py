"""`vidstyle compare`: the pastiches of a network beside those of VGG-19 or of another tool, with their distances.

Every content is painted in every style. Style and content pull against each other, so that a network that keeps less of
the content looks better at the style; therefore each pair is painted again with alpha moved until the content distances
agree. VGG-19 judges, and a judge without a network does (`evaluate.patches`). Pictures are kept in the folder and not
painted again.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from vidstyle.api import stylize_image
from vidstyle.core import losses, metrics, networks, optimize
from vidstyle.core.stylemetrics import STYLE_METRICS
from vidstyle.core.stylizer import scaled_style, size_of
from vidstyle.errors import DiskError, UsageError
from vidstyle.jobs.folder.inputs import file_hash
from vidstyle.jobs.output.export import files_read
from vidstyle.jobs.sources.clips import to_tensor
from vidstyle.jobs.task_inputs import load_network
from vidstyle.lab.evaluate import patches
from vidstyle.lab.evaluate.comparison_report import Judgement, Pair, Report, Speed, blind_page, contact_sheet
from vidstyle.lab.evaluate.finished import Finished, Names, find_finished
from vidstyle.lab.tables import VGG19
from vidstyle.media.stills import pictures
from vidstyle.media.writers.sinks import write_still
from vidstyle.schedule import constant
from vidstyle.settings import ImageSettings
from vidstyle.system.devices import pick_device
from vidstyle.system.files import check_apart, check_writable, write_whole

AGREEMENT = 0.05  # content distances this close to each other count as equal
SLOPE = 0.4  # d log(content distance) / d log((1 - alpha) / alpha), roughly, for the first guess of an equal alpha
ALPHAS = (0.005, 0.995)  # between which alpha is moved
NO_DISTANCE = 1e-6  # a content distance below which a picture is its content
NAMES = {VGG19: "VGG-19"}  # of networks; a file goes by its own


class Comparison:
    """Paints and judges pairs.

    Args:
        folder: for the pictures; made if it is not there.
        settings: alpha, size, network and whatever else the pictures are painted with; `weights` are those of VGG-19,
            the judge and, unless there are finished pictures, the other painter.
        finished: pictures of another tool, by pair, that take the place of VGG-19's.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """

    def __init__(self, folder: Path, settings: ImageSettings, finished: dict[Names, Finished] | None = None) -> None:
        if settings.network == VGG19 and finished is None:
            raise UsageError("--network is vgg19, which the network is compared with; give another, or --beside")
        self.folder, self.finished = folder, finished
        self.reference = dataclasses.replace(settings, network=VGG19)
        self.settings = settings if settings.network == VGG19 else dataclasses.replace(settings, weights=None)
        self.judge = load_network(self.reference)
        self.device = pick_device(settings.device)
        optimize.prepare(self.judge, self.device, "float32")
        self.network = load_network(self.settings)
        self.prints = {VGG19: networks.fingerprint(self.judge), "network": networks.fingerprint(self.network)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"the folder {folder} cannot be made ({error.strerror}); give another") from error

    def pair(self, content: Path, style: Path, tries: int = 2) -> Pair:
        """Paint and judge one content in one style.

        Args:
            tries: times that alpha is moved to make the content distances agree; 0 leaves it.
        """
        if self.finished is None:
            reference = self._painted(content, style, self.reference)
        else:
            reference = self._found(content, style, self.finished[content, style])
        same_alpha = self._painted(content, style, self.settings)
        seen = [same_alpha]
        for _ in range(tries):
            if not _apart(seen[-1], reference) > AGREEMENT:
                break
            known = [(one.alpha, one.content) for one in seen if one.alpha is not None]
            alpha = next_alpha(known, reference.content)
            seen.append(self._painted(content, style, dataclasses.replace(self.settings, alpha=alpha)))
        return Pair(content, style, reference, same_alpha, min(seen, key=lambda one: _apart(one, reference)))

    def speed(self, runs: int = 5) -> Speed:
        """Time both networks on a picture of noise, at the settings' size and precision."""
        reference = copy.deepcopy(self.judge)  # the judge itself must not be rounded
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs + 1):
            for network, found in zip((reference, self.network), seconds, strict=True):
                optimize.prepare(network, self.device, self.settings.precision)
                found.append(self._evaluation(network))
        return Speed(self.settings.size, *(statistics.median(found[1:]) for found in seconds))

    def _evaluation(self, network: networks.FeatureNetwork) -> float:
        settings, side = self.settings, self.settings.size
        image = torch.rand(1, 3, side, side, device=self.device, requires_grad=True)
        readouts = {layer: readout.to(self.device) for layer, readout in network.readouts.items()}
        see = STYLE_METRICS[settings.style_metric].statistic
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        features = network(image, (*settings.content_layers, *settings.style_layers))
        terms = [losses.project(features[x], readouts.get(x)).square().sum() for x in settings.content_layers]
        terms += [see(features[x]).square().sum() for x in settings.style_layers]
        float(torch.autograd.grad(torch.stack(terms).sum(), image)[0].sum())  # waits for the device
        return time.perf_counter() - began

    def _painted(self, content: Path, style: Path, settings: ImageSettings) -> Judgement:
        """Paint a pair, unless the folder holds it, and judge it."""
        name = VGG19 if settings.network == VGG19 else "network"
        precision = optimize.pick_precision(settings.precision, self.device)
        lasting = dataclasses.replace(settings, weights=None, network="compact", device="auto", precision=precision)
        key = repr((self.prints[name], lasting, file_hash(content), file_hash(style)))
        digest = hashlib.sha256(key.encode()).hexdigest()[:8]
        alpha = constant(settings.alpha)
        path = self.folder / f"{content.stem}-{style.stem}-{name}-{alpha:.4g}-{digest}.png"
        if not path.exists():
            stylize_image(content, [style], path, settings)
        return self._judged(content, style, path, alpha, pictures.load_picture(path))

    def _found(self, content: Path, style: Path, one: Finished) -> Judgement:
        """Judge a picture of another tool, resized to the pastiches beside it."""
        picture = pictures.resize(pictures.load_picture(one.path), *one.size)
        judgement = self._judged(content, style, one.path, None, picture)
        return judgement if one.size == one.own_size else dataclasses.replace(judgement, resized_from=one.own_size)

    def _judged(self, content: Path, style: Path, path: Path, alpha: float | None, picture: np.ndarray) -> Judgement:
        settings, pastiche = self.settings, to_tensor(picture).to(self.device)
        height, width = size_of(pastiche)
        photo = to_tensor(pictures.resize(pictures.load_picture(content), width, height)).to(self.device)
        painting = to_tensor(pictures.load_picture(style)).to(self.device)
        painting = scaled_style(painting, (height, width), settings.style_scale)[0]
        wanted = painting.permute(1, 2, 0).cpu().numpy()
        return Judgement(
            path,
            alpha,
            metrics.style_distance(self.judge, pastiche, photo, painting, settings.style_layers),
            metrics.content_distance(self.judge, pastiche, photo, settings.content_layers[0]),
            patches.distances(picture, wanted),
            tuple(patches.distances(picture, wanted, seed=seed) for seed in patches.SEEDS),
        )


def _apart(one: Judgement, other: Judgement) -> float:
    """How far the content distances are from each other, as the logarithm of their ratio."""
    return abs(math.log(max(one.content, NO_DISTANCE) / max(other.content, NO_DISTANCE)))


def next_alpha(seen: Sequence[tuple[float, float]], wanted: float) -> float:
    """The alpha to try next for a content distance of `wanted`, from pairs of an alpha and its content distance.

    A straight line in the logarithms of the odds (1 - alpha) / alpha and of the distance: through the last two points,
    or through the only one with the usual slope.
    """
    within = [(min(max(alpha, ALPHAS[0]), ALPHAS[1]), distance) for alpha, distance in seen]  # 0 and 1 have no odds
    points = [(math.log((1 - alpha) / alpha), math.log(max(distance, NO_DISTANCE))) for alpha, distance in within]
    odds, distance = points[-1]
    slope = SLOPE
    if len(points) > 1 and abs(odds - points[-2][0]) > 1e-6:
        slope = max((distance - points[-2][1]) / (odds - points[-2][0]), SLOPE / 4)
    odds += (math.log(max(wanted, NO_DISTANCE)) - distance) / slope
    return min(max(1 / (1 + math.exp(odds)), ALPHAS[0]), ALPHAS[1])


def in_turn(contents: Sequence[Path], styles: Sequence[Path]) -> Iterator[Names]:
    """Every content in every style, diagonals first: a run that is cut short has seen every content."""
    for shift in range(len(styles)):
        for number, content in enumerate(contents):
            yield content, styles[(number + shift) % len(styles)]


def compare(
    contents: Path,
    styles: Path,
    output: Path,
    settings: ImageSettings,
    *,
    tries: int = 2,
    limit: int | None = None,
    beside: Path | None = None,
    blind: bool = False,
    overwrite: bool = False,
    on_pair: Callable[[Pair, int], None] | None = None,
) -> Report:
    """Compare a network with VGG-19 or another tool; `output` gets the pictures, `sheet.png` and `report.json`.

    The arguments are the options of the command: `settings.network` is judged, `settings.weights` are VGG-19's, the
    first `limit` pairs show every content, `beside` holds pictures as `finished.find_finished` finds them; `on_pair` is
    told each pair and the number of pairs in all. Raises `VidstyleError`.
    """
    sheet, figures, page = (output / name for name in ("sheet.png", "report.json", "blind.html"))
    made = [sheet, figures, page] if blind else [sheet, figures]
    check_apart(made, [contents, styles, *([beside] if beside else []), *files_read(settings)])
    for path in made if output.is_dir() else ():
        check_writable(path, overwrite=overwrite)
    all_pairs = list(in_turn(*(pictures.in_folder(path) for path in (contents, styles))))
    chosen = all_pairs[:limit]
    finished = None if beside is None else find_finished(beside, output, all_pairs, chosen, settings.size)
    comparison = Comparison(output, settings, finished)
    pairs: list[Pair] = []
    for content, style in chosen:
        pairs.append(comparison.pair(content, style, tries))
        if on_pair is not None:
            on_pair(pairs[-1], len(chosen))
    speed = comparison.speed() if beside is None else None
    report = Report(pairs, *_names(settings, beside), constant(settings.alpha), beside, speed)
    write_still(contact_sheet(pairs), [sheet], overwrite=overwrite)
    if blind:
        write_whole(page, blind_page(report), overwrite=overwrite)
    report.save(figures, overwrite=overwrite)
    return report


def _names(settings: ImageSettings, beside: Path | None) -> tuple[str, str]:
    """What the reference and the network are called; never the same."""
    network = NAMES.get(settings.network) or Path(settings.network).name
    reference = NAMES[VGG19] if beside is None else beside.resolve().name or f"{beside}"
    return (f"{reference} (beside)" if reference == network else reference), network

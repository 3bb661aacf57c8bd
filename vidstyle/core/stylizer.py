"""The stylizer: paints one frame from the state of the previous one, with warm start and coarse-to-fine."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidstyle.core import color, colormatch, losses, optimize, temporal, warp
from vidstyle.core.networks import FeatureNetwork, halvings
from vidstyle.core.objective import TERMS, Area, FeatureExtractor, Objective
from vidstyle.core.stylemetrics import moments
from vidstyle.errors import DivergedError, UsageError
from vidstyle.settings import MotionSettings, PaintingSettings
from vidstyle.system.devices import engine, pick_device
from vidstyle.system.stopwatch import stage
from vidstyle.types import Budget, Frame, Result, State

SMALLEST_SCALE = 64  # pixels of the short side at which coarse-to-fine begins
CAUTION = 10.0  # how much shorter the steps of the second attempt at a frame are
EXPLODED = 10.0  # times the loss of the start: a minimisation that ends there and never got below the start has failed
COLOR_POWER = 8  # styles' colours are given by 1 - alpha^8: 99.6 % at .5, 57 % at .9, none at 1
COARSE_EVALUATIONS = 6  # at half the size, of a warm-started frame of which some is new
LITTLE_NEW = 0.004  # share of a picture that is new and gets none
FIRST_CHECK = 3  # evaluations of a warm-started frame after which it may be done
SEEDS = 10**9  # frames of a job at most: each has a seed of its own
PERFECT = 1e-3  # a loss below which a start is as good as it can be, and its multiples say nothing

Size = tuple[int, int]  # height, width


@dataclass(frozen=True, eq=False)
class RegionStyle:
    """How a region of every frame is painted."""

    picture: Tensor  #: its style, (3, H, W) float32 sRGB in [0, 1], of any size
    mask: Tensor | None = None  #: (1, H, W): how far each pixel of the style counts; None for all alike
    alpha: float | None = None  #: 1 = all content, 0 = all style; None for that of the frame
    scale: float | None = None  #: size of the style relative to the painting; None for that of the settings


class Stylizer:
    """Paints frames of one size in the styles of one job. Holds only what is constant for the job.

    Args:
        network: that judges content and style; moved to the settings' device and precision.
        styles: pictures, (3, H, W) float32 sRGB in [0, 1], of any size.
        settings: of the job. Those of a clip say how a warm-started frame is painted that has no budget of its own.
        init: (3, H, W), the picture that frames without predecessor start from if `settings.init` names a file.
        regions: the styles of the regions of each frame, in the order of `Frame.regions`.
        keys: pictures like the styles, whose shares in `Frame.mix` follow theirs, but of the size of the painting
            whatever `settings.style_scale`: key frames.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        styles: Sequence[Tensor],
        settings: PaintingSettings,
        *,
        init: Tensor | None = None,
        regions: Sequence[RegionStyle] = (),
        keys: Sequence[Tensor] = (),
    ) -> None:
        network.require((*settings.content_layers, *settings.style_layers))
        self.settings, self.styles, self.init, self.regions = settings, tuple(styles), init, tuple(regions)
        self.device = pick_device(settings.device)
        self.network = network
        optimize.prepare(network, self.device, settings.precision)
        readouts = {layer: readout.to(self.device) for layer, readout in network.readouts.items()}
        self.extract = FeatureExtractor(network, settings, readouts)
        self.layers = (*settings.content_layers, *settings.style_layers)
        self.motion = settings if isinstance(settings, MotionSettings) else MotionSettings()
        normalized = settings.objective == "normalized"
        self.recolor = settings.recolor if normalized else 0.0
        self.match_colors = settings.match_colors if normalized else 0.0
        self._mixed = [*map(RegionStyle, self.styles), *(RegionStyle(key, scale=1.0) for key in keys)]
        self._style_colors = [moments(one.picture[None]).cpu() for one in self._mixed]
        self._region_colors = [_moments_in(one.picture, one.mask) for one in self.regions]
        self._style_samples = [colormatch.sample(one.picture.to(self.device)) for one in self._mixed]
        self._region_samples = [colormatch.sample(one.picture.to(self.device), one.mask) for one in self.regions]
        self._styles_at: dict[Size, list[losses.Statistics]] = {}
        self._style_targets: dict[Size, tuple[tuple[float, ...], losses.StyleTarget]] = {}  # with the mix that it is of
        self._region_targets: dict[Size, list[losses.StyleTarget]] = {}
        # Without a mask, and with one; without regions, and with them.
        self._minimisations: dict[tuple[Size, bool, int], _Minimisation] = {}
        self._tape = tape_for(settings, self.device)
        self._carriers: dict[Size, optimize.RecordedFunction] = {}
        self._transfers: dict[int, tuple[Tensor, Tensor]] = {}  # by the number of the area: the last moments, the map
        # Recordings read the weights where they lie now, even if another stylizer moves the network's.
        self._weights = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]

    def step(self, frame: Frame, state: State | None) -> tuple[Result, State]:
        """Paint `frame`, starting from `state` if it continues a shot.

        Returns:
            What to show, and what the next frame needs.

        Raises:
            DivergedError: no finite picture was found, twice.
            MemoryLimitError: the device had too little memory.
        """
        began = time.perf_counter()
        if frame.mask is not None and not frame.mask.any():
            frame = dataclasses.replace(frame, budget=Budget(1, 0.0))  # nothing of it is painted
        with engine(self.device):
            colored, colors = self._recolored(frame, state)
            content = colored.image.to(self.device)[None]
            if frame.lead is None and (frame.motion is None or state is None):
                minimum = self._paint_cold(colored, content)
            else:
                minimum = self._paint_warm(colored, content, state)
            pastiche = minimum.image[0]
            if frame.lead is not None and frame.lead.hold:
                pastiche = torch.lerp(pastiche, frame.lead.picture.to(self.device), frame.lead.hold)
            history = temporal.update_history(frame, state)
            first = state.first if state is not None else pastiche if self.motion.loop else None
            maps = self._color_maps(frame, pastiche, colors, state)
            of = () if maps is None else (frame.alpha, *frame.mix)
            after = State(frame.index, pastiche, minimum.inverse_curvature, history, first, colors, maps, of)
            pixels = to_pixels(self.shown(frame, after))
        result = Result(
            index=frame.index,
            image=pixels,
            losses=dict(zip(TERMS, minimum.terms, strict=True)) | {"total": minimum.loss},
            iterations=minimum.evaluations,
            seconds=time.perf_counter() - began,
        )
        return result, after

    def shown(self, frame: Frame, state: State) -> Tensor:
        """What is shown of a frame, (3, H, W), of the state after it: the pastiche with its colours matched to the
        styles' or preserved, and the content where it is not painted.
        """
        pastiche = state.pastiche.to(self.device)
        if state.color_maps is not None:
            areas, shares = _areas(frame), self._match_shares(frame)
            found = [
                colormatch.matched(pastiche, one, share) for one, share in zip(state.color_maps, shares, strict=True)
            ]
            pastiche = found[0]
            if frame.regions:
                weights = [area.to(self.device) for area in areas if area is not None]
                pastiche = torch.stack([weight * one for weight, one in zip(weights, found, strict=True)]).sum(0)
        return color.shown(pastiche, frame.image.to(self.device), frame.preserve_color, frame.mask)

    def objective(self, frame: Frame) -> Objective:
        """The objective of `frame` as a still, at its own size; valid until the next call of this stylizer."""
        frame, _ = self._recolored(frame, None)
        content = frame.image.to(self.device)[None]
        return self._prepared(frame, content).objective

    def _recolored(self, frame: Frame, state: State | None) -> tuple[Frame, Tensor | None]:
        """The frame in the styles' colours, with its image on the device; and the moments that were mapped to theirs.

        These are of the frame of most contrast so far in what is painted without a new start: all frames get one map,
        so that what changes in the clip changes in the painting; but what fades in is not mapped from black. The
        nearer alpha is to 1, the more of its own colours the content keeps; all of them where it is not painted.
        """
        if not (self.recolor or self.match_colors) or frame.budget == Budget(1, 0.0):
            return frame, None if state is None else state.colors
        image, areas = frame.image.cpu(), _areas(frame)
        weights = areas if frame.mask is None else [frame.mask if one is None else frame.mask * one for one in areas]
        colors = torch.stack([_moments_in(image, one) for one in weights])
        if frame.motion is not None and state is not None and state.colors is not None:
            earlier = state.colors.view_as(colors)
            grown = _contrast(colors) > _contrast(earlier)
            colors = torch.where(torch.from_numpy(grown)[:, None, None], colors, earlier) if any(grown) else earlier
        parts = (share * each for share, each in zip(frame.mix, self._style_colors, strict=True))
        mixed = functools.reduce(torch.add, parts)
        image, found = frame.image.to(self.device), []
        wanted = [mixed, *self._region_colors] if frame.regions else [mixed]
        for number, (own, style, alpha) in enumerate(zip(colors, wanted, self._alphas(frame), strict=True)):
            share = self.recolor * (1 - alpha**COLOR_POWER)
            found.append(color.recolored(image, self._transfer(number, own, style), share))
        blended = found[0]
        if frame.regions:
            shares = [area.to(self.device) for area in areas if area is not None]
            blended = torch.stack([share * one for share, one in zip(shares, found, strict=True)]).sum(0).clamp(0, 1)
        return dataclasses.replace(frame, image=blended), colors if frame.regions else colors[0]

    def _transfer(self, number: int, own: Tensor, style: Tensor) -> Tensor:
        """`color.transfer` of an area; of the frame before if nothing has changed, as in most frames of a shot."""
        both = torch.stack([own, style])
        if number not in self._transfers or not torch.equal(self._transfers[number][0], both):
            self._transfers[number] = both, color.transfer(own, style)
        return self._transfers[number][1]

    def _color_maps(self, frame: Frame, pastiche: Tensor, colors: Tensor | None, state: State | None) -> Tensor | None:
        """The maps that match the colours of each area to its styles', (N, 3, …); None where nothing is matched.

        In a clip the frames of a shot have the same maps, so that they do not flicker, until contrast, alpha or mix
        change; `colors` are those of `_recolored`.
        """
        if frame.budget == Budget(1, 0.0):
            return None if state is None else state.color_maps
        if not any(self._match_shares(frame)):
            return None
        if isinstance(self.settings, MotionSettings) and frame.motion is not None and state is not None:
            same = colors is not None and state.colors is not None and torch.equal(colors, state.colors)
            if same and tuple(state.color_maps_of) == (frame.alpha, *frame.mix):
                return state.color_maps
        areas = _areas(frame)
        weights = areas if frame.mask is None else [frame.mask if one is None else frame.mask * one for one in areas]
        wanted = [colormatch.mixed(self._style_samples, frame.mix), *self._region_samples][: len(areas)]
        maps = [
            colormatch.matching(colormatch.sample(pastiche, one), style)
            for one, style in zip(weights, wanted, strict=True)
        ]
        return torch.stack(maps)

    def _match_shares(self, frame: Frame) -> list[float]:
        """How far the colours of each area are matched."""
        share = self.match_colors * frame.match_share
        return [share * (1 - alpha**COLOR_POWER) for alpha in self._alphas(frame)]

    def _alphas(self, frame: Frame) -> list[float]:
        """Of what lies outside the regions, and of each of them."""
        own = [frame.alpha if one.alpha is None else one.alpha for one in self.regions]
        return [frame.alpha, *own] if frame.regions else [frame.alpha]

    def _paint_cold(self, frame: Frame, content: Tensor) -> optimize.Minimum:
        """Coarse to fine: each scale starts from the last pastiche plus the fine detail of the initial picture."""
        full = size_of(content)
        sizes = scales(full) if self.settings.coarse_to_fine else [full]
        initial = self._initial(content)
        settings = self.settings
        budget = frame.budget or Budget(settings.first_iterations, settings.tolerance)
        if min(self._alphas(frame)) == 1 and settings.init == "content":
            budget = Budget(1, 0.0)  # it is painted already; to go on would follow rounding errors
        pastiche = None
        for size in sizes:
            scaled = resized(content, size)
            start = resized(initial, size)
            if pastiche is not None:
                coarse = resized(initial, size_of(pastiche)).clamp(0, 1)  # like every start
                start = start + resized(pastiche - coarse, size)
            prepared = self._prepared(frame, scaled)
            minimum = self._minimise(frame, prepared.minimiser, start, budget)
            pastiche = minimum.image
        return minimum

    def _paint_warm(self, frame: Frame, content: Tensor, state: State | None) -> optimize.Minimum:
        """Warm start: from the earlier pastiches of the shot, or from a key frame that is carried to this one.

        What is new is painted at half the size first: its strokes take some evaluations, there at a quarter of the
        price, and what is known needs hardly any.
        """
        with stage("warp"):
            painting, known = (
                one[None] for one in temporal.warp_history(frame, state, self.device, self._carrier(size_of(content)))
            )
            boil = self.motion.boil if frame.motion is not None else 0.0
            patches = noise = None
            if boil:
                seed = SEEDS * self.settings.seed + frame.index
                patches, noise = (one.to(self.device) for one in temporal.boiling(size_of(content), boil, seed))
                known = known * (1 - patches)
            start = temporal.initial_image(frame, painting[0], known[0])[None]
            if patches is not None and noise is not None:
                start = start + patches * noise
        budget = frame.budget or Budget(self.motion.iterations, self.motion.warm_tolerance)
        curvature = 0.0 if state is None else state.inverse_curvature
        sizes = scales(size_of(content)) if self.settings.coarse_to_fine else []
        if len(sizes) > 1 and budget.evaluations > 1 and (boil or temporal.new_share(frame) > LITTLE_NEW):
            small, smaller = sizes[-2], functools.partial(resized, size=sizes[-2])
            known_there = functional.interpolate(known, size=small, mode="area")
            prepared = self._prepared(frame, smaller(content), smaller(painting), known_there)
            coarse = smaller(start).clamp(0, 1)
            few = Budget(min(COARSE_EVALUATIONS, budget.evaluations), 0.0)
            warm = _Warm(curvature, temporal.freedom(known_there))
            painted = self._minimise(frame, prepared.minimiser, coarse, few, warm).image
            start = start + temporal.new_area(known) * resized(painted - coarse, size_of(content))
        prepared = self._prepared(frame, content, painting, known)
        warm = _Warm(curvature, temporal.freedom(known))
        return self._minimise(frame, prepared.minimiser, start, budget, warm)

    def _initial(self, content: Tensor) -> Tensor:
        if self.settings.init == "content":
            return content
        if self.settings.init == "noise":
            generator = torch.Generator().manual_seed(self.settings.seed)
            return torch.rand(content.shape, generator=generator).to(self.device)
        if self.init is None:
            raise UsageError(f"--init is {self.settings.init!r} but no picture was given with it")
        return resized(self.init.to(self.device)[None], size_of(content))

    def _prepared(
        self, frame: Frame, content: Tensor, warped: Tensor | None = None, visible: Tensor | None = None
    ) -> _Minimisation:
        """The minimisation at the size of `content`, with the objective of `frame`."""
        size, mask = size_of(content), None
        with stage("aim"):
            if frame.mask is not None and frame.mask.any():
                mask = functional.interpolate(frame.mask[None], size=size, mode="area")
            areas = self._areas_at(frame, size, mask)
            prepared = self._minimisation(size, masked=mask is not None, areas=len(areas))
            if mask is not None:
                mask = mask.to(self.device)
            prepared.objective.set_frame(content, areas, frame.temporal_weight, warped, visible, mask)
        return prepared

    def _areas_at(self, frame: Frame, size: Size, mask: Tensor | None) -> list[Area]:
        """What lies outside the regions, and each of them, at a size and under the mask of the frame, (1, 1, H, W)."""
        style = self.style(size, frame.mix)
        if not frame.regions:
            return [Area(style, frame.alpha, None if mask is None else mask.to(self.device))]
        masks = [functional.interpolate(one[None], size=size, mode="area") for one in _areas(frame) if one is not None]
        masks = masks if mask is None else [mask * one for one in masks]
        pixels = [float(one.sum()) for one in masks]
        return [
            Area(target, alpha, one.to(self.device), count / max(sum(pixels), 1), seen_at(count, self.settings))
            for target, alpha, one, count in zip(
                [style, *self._styles_of_regions(size)], self._alphas(frame), masks, pixels, strict=True
            )
        ]

    def _carrier(self, size: Size) -> optimize.RecordedFunction:
        if size not in self._carriers:
            self._carriers[size] = optimize.RecordedFunction(warp.Carrier(size, self.device), self._tape)
        return self._carriers[size]

    def _minimisation(self, size: Size, *, masked: bool, areas: int = 1) -> _Minimisation:
        """The objective and its minimiser for pictures of a size, with or without masks and regions, made once."""
        key = size, masked, areas
        if key not in self._minimisations:
            like = torch.zeros(1, 3, *size, device=self.device)
            objective = Objective(self.extract, like, masked=masked, areas=areas, tape=self._tape)
            minimiser = optimize.Minimiser(objective, like, len(TERMS), method=self.settings.optimizer, tape=self._tape)
            self._minimisations[key] = _Minimisation(objective, minimiser)
        return self._minimisations[key]

    def _minimise(
        self, frame: Frame, minimiser: optimize.Minimiser, start: Tensor, budget: Budget, warm: _Warm | None = None
    ) -> optimize.Minimum:
        inverse_curvature = warm.inverse_curvature if warm else 0.0
        for caution in (1.0, CAUTION):
            with stage("evaluate"):
                minimum = minimiser.run(
                    start,
                    evaluations=budget.evaluations,
                    tolerance=budget.tolerance,
                    first_check=FIRST_CHECK if warm else optimize.CHECK_EVERY,
                    inverse_curvature=inverse_curvature,
                    caution=caution,
                    freedom=warm.freedom if warm else None,
                )
            # A comparison with NaN is false: a loss or a gradient that is not finite ends here, too.
            if minimum.loss < minimum.first_loss or minimum.last_loss <= EXPLODED * max(minimum.first_loss, PERFECT):
                return minimum
            inverse_curvature = 0.0
        raise DivergedError(
            f"frame {frame.index} diverged twice (loss {minimum.last_loss}, from {minimum.first_loss}, after "
            f"{minimum.evaluations} evaluations); check the weights, or try --precision float32 and another --alpha"
        )

    @torch.no_grad()
    def style(self, size: Size, mix: Sequence[float]) -> losses.StyleTarget:
        """The target of the style loss for the mixed styles, scaled for a pastiche of `size`.

        Computed anew when size or mix change, for `wasserstein` with an eigendecomposition a layer, on the CPU.
        """
        if size not in self._styles_at:
            self._styles_at[size] = [self._style_statistics(one, size) for one in self._mixed]
        if size not in self._style_targets or self._style_targets[size][0] != tuple(mix):
            mixed = losses.Statistics.mixed(self._styles_at[size], mix)
            target = losses.StyleTarget.of(self.extract.metric, mixed, self.extract.readouts)
            self._style_targets[size] = tuple(mix), target
        return self._style_targets[size][1]

    @torch.no_grad()
    def _styles_of_regions(self, size: Size) -> list[losses.StyleTarget]:
        if size not in self._region_targets:
            found = [self._style_statistics(one, size) for one in self.regions]
            targets = [losses.StyleTarget.of(self.extract.metric, one, self.extract.readouts) for one in found]
            self._region_targets[size] = targets
        return self._region_targets[size]

    def _style_statistics(self, style: RegionStyle, size: Size) -> losses.Statistics:
        # Shrunk on the CPU: on CUDA a large picture does not fit the memory of that kernel.
        least, scale = self.network.smallest_side(self.layers), style.scale or self.settings.style_scale
        picture, masks = scaled_style(style.picture, size, scale, least), None
        if style.mask is not None:
            mask = functional.interpolate(style.mask[None], size=size_of(picture), mode="area").to(self.device)
            masks = {layer: losses.pooled(mask, halvings(layer))[0, 0] for layer in self.layers}
        return self.extract.statistics(picture.to(self.device), self.extract.readouts, masks)[1]


@dataclass(frozen=True, eq=False)
class _Minimisation:
    objective: Objective
    minimiser: optimize.Minimiser


@dataclass(frozen=True, eq=False)
class _Warm:
    """What a minimisation takes over from the frame before."""

    inverse_curvature: float
    freedom: Tensor  #: (1, 1, H, W), as `optimize.Minimiser.run` takes it


def tape_for(settings: PaintingSettings, device: torch.device) -> optimize.Tape | None:
    """To record on, where the settings and the device allow it."""
    return optimize.Tape() if settings.cuda_graphs and device.type == "cuda" else None


def seen_at(pixels: float, settings: PaintingSettings) -> list[bool]:
    """Whether each style layer counts for a region of so many pixels: its positions are no larger than the region."""
    return [pixels >= 4 ** halvings(layer) for layer in settings.style_layers]


def _areas(frame: Frame) -> list[Tensor | None]:
    """What lies outside the regions of a frame, and each of them, (1, H, W) in [0, 1]; None for everywhere."""
    if not frame.regions:
        return [None]
    return [(1 - torch.stack(frame.regions).sum(0)).clamp_min(0), *frame.regions]


def _moments_in(image: Tensor, weights: Tensor | None) -> Tensor:
    """Moments (3, 4) of the colours of (3, H, W) where (1, H, W) is above 0, and as far as it is; on the CPU."""
    return moments(image[None], None if weights is None else losses.pooled(weights[None], 0).view(-1, 1)).cpu()


def _contrast(colors: Tensor) -> np.ndarray:
    """The summed variance of colours of these moments, (N, 3, 4) on the CPU; (N,)."""
    products, means = np.split(colors.numpy(), [3], axis=2)
    contrast: np.ndarray = np.trace(products, axis1=1, axis2=2) - np.square(means).sum((1, 2))
    return contrast


def scales(size: Size) -> list[Size]:
    """Sizes from coarse to `size`, each about twice the last; the first has a short side of at least SMALLEST_SCALE."""
    height, width = size
    steps = max(int(np.log2(min(size) / SMALLEST_SCALE)), 0)
    return [(round(height / 2**step), round(width / 2**step)) for step in range(steps, -1, -1)]


def scaled_style(style: Tensor, size: Size, scale: float, least: int = 1) -> Tensor:
    """A style (3, H, W) for a pastiche of `size`, as (1, 3, H', W'), whose long side is `scale` times as long.

    Its short side gets `least` pixels at the least, which the network needs to see anything: a narrow style is then
    larger than asked.
    """
    height, width = size_of(style)
    factor = max(scale * max(size) / max(height, width), least / min(height, width))
    return resized(style[None], (max(round(height * factor), 1), max(round(width * factor), 1)))


def size_of(image: Tensor) -> Size:
    """Height and width of (…, H, W)."""
    return image.shape[-2], image.shape[-1]


def resized(image: Tensor, size: Size) -> Tensor:
    """(1, 3, H, W) at another size: bicubic, low-passed when it shrinks; the same tensor if nothing changes."""
    if size_of(image) == size:
        return image
    return functional.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False)


def to_pixels(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] as (H, W, 3) uint8."""
    pixels: np.ndarray = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(pixels)

"""The stylizer: paints one frame from the state of the previous one, with warm start and coarse-to-fine."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidstyle.core import losses, optimize, temporal, warp
from vidstyle.core.networks import FeatureNetwork, halvings
from vidstyle.core.objective import TERMS, Area, FeatureExtractor, Objective
from vidstyle.core.opacity import counted
from vidstyle.core.regions import RegionStyle, alphas_of, areas_of
from vidstyle.core.stylecolors import StyleColors
from vidstyle.errors import DivergedError, UsageError
from vidstyle.settings import MotionSettings, PaintingSettings
from vidstyle.system.devices import engine, pick_device
from vidstyle.system.stopwatch import stage
from vidstyle.types import Budget, Frame, Result, State

SMALLEST_SCALE = 64  # pixels of the short side at which coarse-to-fine begins
CAUTION = 10.0  # how much shorter the steps of the second attempt at a frame are
EXPLODED = 10.0  # times the loss of the start: a minimisation that ends there and never got below the start has failed
COARSE_EVALUATIONS = 6  # at half the size, of a warm-started frame of which some is new
GROWN = 0.25  # share by which the contrast of a shot grows until its frames get new maps of colours altogether
LITTLE_NEW = 0.004  # share of a picture that is new and gets none
FIRST_CHECK = 3  # evaluations of a warm-started frame after which it may be done
SEEDS = 10**9  # frames of a job at most: each has a seed of its own
PERFECT = 1e-3  # a loss below which a start is as good as it can be, and its multiples say nothing

Size = tuple[int, int]  # height, width
OnGrowth = Callable[[Callable[[], np.ndarray]], None]  # given what makes the picture so far, (H, W, 3) uint8


class Stylizer:
    """Paints frames of one size in the styles of one job. Holds only what is constant for the job.

    Args:
        network: that judges content and style; moved to the settings' device and precision.
        styles: pictures, (3, H, W) float32 sRGB in [0, 1], of any size; or (4, H, W) with their opacity; or several
            frames of a clip, (N, 3 or 4, H, W), of whose statistics the mean counts.
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
        self._mixed = [*map(_frames_of, self.styles), *((RegionStyle.of(key, scale=1.0),) for key in keys)]
        self.colors = StyleColors(settings, self.device, self._mixed, self.regions)
        self._styles_at: dict[Size, list[losses.Statistics]] = {}
        self._style_targets: dict[Size, tuple[tuple[float, ...], losses.StyleTarget]] = {}  # with the mix that it is of
        self._region_targets: dict[Size, list[losses.StyleTarget]] = {}
        # Without a mask, and with one; without regions, and with them.
        self._minimisations: dict[tuple[Size, bool, int], _Minimisation] = {}
        self._tape = tape_for(settings, self.device)
        self._carriers: dict[Size, optimize.RecordedFunction] = {}
        # Recordings read the weights where they lie now, even if another stylizer moves the network's.
        self._weights = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
        self.on_growth: OnGrowth | None = None  # called after each step of a minimisation
        self._painting: tuple[Frame, Tensor | None, State | None] | None = None

    def step(self, frame: Frame, state: State | None) -> tuple[Result, State]:
        """Paint `frame`, starting from `state` if it continues a shot.

        Returns:
            What to show, and what the next frame needs.

        Raises:
            DivergedError: no finite picture was found, twice.
            MemoryLimitError: the device had too little memory.
        """
        began = time.perf_counter()
        visible = counted(frame.mask, frame.opacity)
        if visible is not None and not visible.any():
            frame = dataclasses.replace(frame, budget=Budget(1, 0.0))  # nothing of it is painted
        with engine(self.device):
            colored, colors = self.colors.recolored(frame, state)
            self._painting = None if self.on_growth is None else (frame, colors, state)
            content = colored.image.to(self.device)[None]
            if self.settings.colors_only:
                minimum = optimize.Minimum(content, 0.0, 0.0, 0.0, [0.0] * len(TERMS), 0, 0.0)
            elif frame.lead is None and (frame.motion is None or state is None):
                minimum = self._paint_cold(colored, content)
            else:
                minimum = self._paint_warm(colored, content, state)
            pastiche = minimum.image[0]
            if frame.lead is not None and frame.lead.hold:
                pastiche = torch.lerp(pastiche, frame.lead.picture.to(self.device), frame.lead.hold)
            history = temporal.update_history(frame, state)
            first = state.first if state is not None else pastiche if self.motion.loop else None
            maps = self.colors.maps(frame, pastiche, colors, state)
            of = () if maps is None else (frame.alpha, *frame.mix)
            after = State(frame.index, pastiche, minimum.inverse_curvature, history, first, colors, maps, of)
            pixels = to_pixels(self.colors.shown(frame, after))
        if frame.opacity is not None:
            pixels = np.concatenate([pixels, to_pixels(frame.opacity)], axis=2)
        result = Result(
            index=frame.index,
            image=pixels,
            losses=dict(zip(TERMS, minimum.terms, strict=True)) | {"total": minimum.loss},
            iterations=minimum.evaluations,
            seconds=time.perf_counter() - began,
        )
        return result, after

    def _seen(self, image: Tensor) -> None:
        """Offer `on_growth` the frame that is being painted."""
        if self.on_growth is not None and self._painting is not None:
            self.on_growth(functools.partial(self._so_far, image, *self._painting))

    def _so_far(self, image: Tensor, frame: Frame, colors: Tensor | None, state: State | None) -> np.ndarray:
        """A frame as it would be shown if its painting ended now."""
        pastiche = resized(image, size_of(frame.image[None]))[0]
        maps = self.colors.maps(frame, pastiche, colors, state)
        return to_pixels(self.colors.shown(frame, State(frame.index, pastiche, 0.0, color_maps=maps)))

    def objective(self, frame: Frame) -> Objective:
        """The objective of `frame` as a still, at its own size; valid until the next call of this stylizer."""
        frame, _ = self.colors.recolored(frame, None)
        content = frame.image.to(self.device)[None]
        return self._prepared(frame, content).objective

    def _paint_cold(self, frame: Frame, content: Tensor) -> optimize.Minimum:
        """Coarse to fine: each scale starts from the last pastiche plus the fine detail of the initial picture."""
        full = size_of(content)
        sizes = scales(full) if self.settings.coarse_to_fine else [full]
        initial = self._initial(content)
        settings = self.settings
        budget = frame.budget or Budget(settings.first_iterations, settings.tolerance)
        if min(alphas_of(frame, self.regions)) == 1 and settings.init == "content":
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
        size, mask, counts = size_of(content), None, counted(frame.mask, frame.opacity)
        with stage("aim"):
            if counts is not None and counts.any():
                mask = functional.interpolate(counts[None], size=size, mode="area")
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
        masks = [
            functional.interpolate(one[None], size=size, mode="area") for one in areas_of(frame) if one is not None
        ]
        masks = masks if mask is None else [mask * one for one in masks]
        pixels = [float(one.sum()) for one in masks]
        return [
            Area(target, alpha, one.to(self.device), count / max(sum(pixels), 1), seen_at(count, self.settings))
            for target, alpha, one, count in zip(
                [style, *self._styles_of_regions(size)], alphas_of(frame, self.regions), masks, pixels, strict=True
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
                    seen=None if self.on_growth is None else self._seen,
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
            found = [[self._style_statistics(one, size) for one in frames] for frames in self._mixed]
            self._styles_at[size] = [losses.Statistics.mixed(one, [1 / len(one)] * len(one)) for one in found]
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


def _frames_of(style: Tensor) -> tuple[RegionStyle, ...]:
    return tuple(map(RegionStyle.of, style if style.dim() == 4 else (style,)))


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

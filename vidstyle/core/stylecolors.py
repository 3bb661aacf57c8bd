"""The colours of a job's styles: the content gets them before it is painted, and the painting is matched to them after.

The frames of a shot get the same maps as far as they can, so that nothing flickers.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidstyle.core import color, colormatch, losses
from vidstyle.core.opacity import counted
from vidstyle.core.regions import RegionStyle, alphas_of, areas_of
from vidstyle.core.stylemetrics import moments
from vidstyle.settings import MotionSettings, PaintingSettings
from vidstyle.types import Budget, Frame, State

COLOR_POWER = 8  # styles' colours are given by 1 - alpha^8: 99.6 % at .5, 57 % at .9, none at 1
GROWN = 0.25  # share by which the contrast of a shot grows until its frames get new maps of colours altogether


class StyleColors:
    """Gives frames the colours of the styles of one job. Holds only what is constant for the job, and the last map.

    Args:
        mixed: the frames of each style whose share is in `Frame.mix`; a picture has one.
        regions: those of the regions of each frame.
    """

    def __init__(
        self,
        settings: PaintingSettings,
        device: torch.device,
        mixed: Sequence[Sequence[RegionStyle]],
        regions: Sequence[RegionStyle],
    ) -> None:
        self.regions, self.device = regions, device
        normalized = settings.objective == "normalized"
        self.recolor = settings.recolor if normalized and not settings.colors_only else 0.0
        self.match_colors = 1.0 if settings.colors_only else settings.match_colors if normalized else 0.0
        self.moving = isinstance(settings, MotionSettings)
        self._moments = [torch.stack([_moments_in(one.picture, one.mask) for one in each]).mean(0) for each in mixed]
        self._region_moments = [_moments_in(one.picture, one.mask) for one in regions]
        samples = [[colormatch.sample(one.picture.to(device), one.mask) for one in each] for each in mixed]
        self._samples = [
            one[0] if len(one) == 1 else colormatch.mixed(one, [1 / len(one)] * len(one)) for one in samples
        ]
        self._region_samples = [colormatch.sample(one.picture.to(device), one.mask) for one in regions]
        self._transfers: dict[int, tuple[Tensor, Tensor]] = {}  # by the number of the area: the last moments, the map

    def recolored(self, frame: Frame, state: State | None) -> tuple[Frame, Tensor | None]:
        """The frame in the styles' colours, with its image on the device; and the moments that were mapped to theirs.

        These are of the frame of most contrast so far in what is painted without a new start: all frames get one map,
        so that what changes in the clip changes in the painting; but what fades in is not mapped from black. The
        nearer alpha is to 1, the more of its own colours the content keeps; all of them where it is not painted.
        """
        if not (self.recolor or self.match_colors) or frame.budget == Budget(1, 0.0):
            return frame, None if state is None else state.colors
        image, weights = frame.image.cpu(), _counted(frame)
        colors = torch.stack([_moments_in(image, one) for one in weights])
        if frame.motion is not None and state is not None and state.colors is not None:
            earlier = state.colors.view_as(colors)
            grown = _contrast(colors) > _contrast(earlier)
            colors = torch.where(torch.from_numpy(grown)[:, None, None], colors, earlier) if any(grown) else earlier
        parts = (share * each for share, each in zip(frame.mix, self._moments, strict=True))
        mixed = functools.reduce(torch.add, parts)
        image, found = frame.image.to(self.device), []
        wanted = [mixed, *self._region_moments] if frame.regions else [mixed]
        for number, (own, style, alpha) in enumerate(zip(colors, wanted, alphas_of(frame, self.regions), strict=True)):
            share = self.recolor * (1 - alpha**COLOR_POWER)
            found.append(color.recolored(image, self._transfer(number, own, style), share))
        blended = found[0]
        if frame.regions:
            shares = [area.to(self.device) for area in areas_of(frame) if area is not None]
            blended = torch.stack([share * one for share, one in zip(shares, found, strict=True)]).sum(0).clamp(0, 1)
        return dataclasses.replace(frame, image=blended), colors if frame.regions else colors[0]

    def maps(self, frame: Frame, pastiche: Tensor, colors: Tensor | None, state: State | None) -> Tensor | None:
        """The maps that match the colours of each area to its styles', (N, 3, …); None where nothing is matched.

        In a clip the frames of a shot have the same maps, so that they do not flicker, until contrast, alpha or mix
        change; where contrast grows a little, so do the maps. `colors` are those of `recolored`.
        """
        if frame.budget == Budget(1, 0.0):
            return None if state is None else state.color_maps
        if not any(self._shares(frame)):
            return None
        earlier, grown = None, 0.0
        if self.moving and frame.motion is not None and state is not None:
            if tuple(state.color_maps_of) == (frame.alpha, *frame.mix) and state.color_maps is not None:
                earlier = state.color_maps
            if earlier is not None and colors is not None and state.colors is not None:
                if torch.equal(colors, state.colors):
                    return earlier
                grown = _growth(colors.view(-1, 3, 4), state.colors.view(-1, 3, 4))
        weights = _counted(frame)
        wanted = [colormatch.mixed(self._samples, frame.mix), *self._region_samples][: len(weights)]
        maps = [
            colormatch.matching(colormatch.sample(pastiche, one), style)
            for one, style in zip(weights, wanted, strict=True)
        ]
        found = torch.stack(maps)
        return found if earlier is None else torch.lerp(earlier.to(found), found, min(grown / GROWN, 1.0))

    def shown(self, frame: Frame, state: State) -> Tensor:
        """What is shown of a frame, (3, H, W), of the state after it: the pastiche with its colours matched to the
        styles' or preserved, and the content where it is not painted.
        """
        pastiche = state.pastiche.to(self.device)
        if state.color_maps is not None:
            areas, shares = areas_of(frame), self._shares(frame)
            found = [
                colormatch.matched(pastiche, one, share) for one, share in zip(state.color_maps, shares, strict=True)
            ]
            pastiche = found[0]
            if frame.regions:
                weights = [area.to(self.device) for area in areas if area is not None]
                pastiche = torch.stack([weight * one for weight, one in zip(weights, found, strict=True)]).sum(0)
        return color.shown(pastiche, frame.image.to(self.device), frame.preserve_color, frame.mask)

    def _transfer(self, number: int, own: Tensor, style: Tensor) -> Tensor:
        """`color.transfer` of an area; of the frame before if nothing has changed, as in most frames of a shot."""
        both = torch.stack([own, style])
        if number not in self._transfers or not torch.equal(self._transfers[number][0], both):
            self._transfers[number] = both, color.transfer(own, style)
        return self._transfers[number][1]

    def _shares(self, frame: Frame) -> list[float]:
        """How far the colours of each area are matched."""
        share = self.match_colors * frame.match_share
        return [share * (1 - alpha**COLOR_POWER) for alpha in alphas_of(frame, self.regions)]


def _counted(frame: Frame) -> list[Tensor | None]:
    """How far the pixels of the areas of a frame count, (1, H, W) in [0, 1]: where they are painted and visible."""
    visible = counted(frame.mask, frame.opacity)
    return [one if visible is None else visible if one is None else visible * one for one in areas_of(frame)]


def _moments_in(image: Tensor, weights: Tensor | None) -> Tensor:
    """Moments (3, 4) of the colours of (3, H, W) where (1, H, W) is above 0, and as far as it is; on the CPU."""
    return moments(image[None], None if weights is None else losses.pooled(weights[None], 0).view(-1, 1)).cpu()


def _contrast(colors: Tensor) -> np.ndarray:
    """The summed variance of colours of these moments, (N, 3, 4) on the CPU; (N,)."""
    products, means = np.split(colors.numpy(), [3], axis=2)
    contrast: np.ndarray = np.trace(products, axis1=1, axis2=2) - np.square(means).sum((1, 2))
    return contrast


def _growth(colors: Tensor, earlier: Tensor) -> float:
    """By what share the contrast of these moments, (N, 3, 4) each, has grown, at most over the areas."""
    now, before = _contrast(colors), _contrast(earlier)
    return float((now / np.maximum(before, 1e-6) - 1).max())

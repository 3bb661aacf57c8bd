"""The regions of a job: the parts of its frames that have styles of their own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidstyle.core.regions import RegionStyle
from vidstyle.core.stylizer import seen_at
from vidstyle.errors import MediaError, UsageError
from vidstyle.jobs.sources.carried import Carrier
from vidstyle.jobs.sources.masks import Masks, array_masks, carried_along, mask_in, masks_in
from vidstyle.media.stills import pictures
from vidstyle.settings import ImageSettings, MaskSettings, PaintingSettings, RegionFiles, VideoSettings
from vidstyle.system.notes import tell
from vidstyle.system.opencv import cv2
from vidstyle.types import Motion, Region

LEVELS = 256  # of the weights of a region: blurring must leave exact zeros, where nothing has to be computed
OVERLAP = 0.1  # by which the sum of masks may exceed 1: borders that meet are rounded, and encoders change them
SHAPES_APART = 0.01  # share by which the width of a style's mask may differ from the style's


@dataclass(frozen=True, eq=False)
class Regions:
    """The masks of the regions of a clip, in their order."""

    masks: tuple[Masks, ...]
    feather: float  #: pixels

    def sized(self, width: int, height: int, start: int) -> Generator[tuple[Tensor, ...]]:
        """Those of each frame from number `start` on, as `layered` gives them."""
        before: tuple[np.ndarray, ...] | None = None
        made: tuple[Tensor, ...] = ()
        for masks in self.decoded(start):
            if before is None or any(one is not other for one, other in zip(masks, before, strict=True)):
                before, made = masks, layered(masks, width, height, self.feather)
            yield made

    def decoded(self, start: int) -> Generator[tuple[np.ndarray, ...]]:
        """The masks of each frame from number `start` on."""
        with ExitStack() as stack:
            yield from zip(*(stack.enter_context(closing(one.decode(start))) for one in self.masks), strict=False)


def layered(masks: Sequence[np.ndarray], width: int, height: int, feather: float) -> tuple[Tensor, ...]:
    """Masks (H, W) uint8 at another size, (1, height, width) in [0, 1], whose sum is 1 at most: later ones lie on top.

    Borders are blurred, by `feather` pixels on the whole.
    """
    sized = [pictures.resize(mask, width, height).astype(np.float32) / 255 for mask in masks]
    found = [_soft(mask, feather) for mask in _on_top(sized)]
    return tuple(torch.from_numpy(one)[None] for one in _on_top(found))  # what is rounded may sum to more than 1


def _on_top(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What is seen of masks (H, W), of which later ones lie on top."""
    found: list[np.ndarray] = []
    for mask in reversed(masks):
        found.insert(0, np.minimum(mask, 1 - np.sum(found, axis=0, dtype=np.float32)))
    return found


def _soft(mask: np.ndarray, feather: float) -> np.ndarray:
    blurred = cv2.GaussianBlur(mask, (0, 0), feather / 2, borderType=cv2.BORDER_REPLICATE) if feather else mask
    weights: np.ndarray = np.rint(blurred * LEVELS) / LEVELS
    return weights.astype(np.float32)


def visible_regions(motion: Motion, now: Sequence[Tensor], before: Sequence[Tensor]) -> Motion:
    """A motion that only sees what was painted in the style that it is painted in now."""
    if not now:
        return motion
    agreed = np.zeros(now[0].shape[1:], np.float32)
    for one, other in zip(_all(now), _all(before), strict=True):
        agreed += np.minimum(one[0].numpy(), carried_along(motion, other[0]))
    return dataclasses.replace(motion, visible=motion.visible * torch.from_numpy(agreed.clip(max=1)))


def _all(regions: Sequence[Tensor]) -> list[Tensor]:
    return [1 - torch.stack(list(regions)).sum(0), *regions]


def styles_of(regions: Sequence[RegionFiles], settings: PaintingSettings) -> list[RegionStyle]:
    """The styles of regions in files. Raises `MediaError`."""
    found = []
    for region in regions:
        scale = region.scale or settings.style_scale
        style = pictures.load_style(region.style, enough=math.ceil(settings.size * scale))
        mask = None
        if region.style_mask is not None:
            mask = pictures.load_mask(region.style_mask)
            _require_part(mask, f"the mask {region.style_mask} of the style", pictures.picture_size(region.style))
        found.append(style_of(style, mask, region.alpha, region.scale))
    return found


def style_of(style: np.ndarray, mask: np.ndarray | None, alpha: float | None, scale: float | None) -> RegionStyle:
    """The style of a region from a picture (H, W, 3 or 4) float32 in [0, 1] and its mask, (H, W) uint8."""
    picture = torch.from_numpy(np.ascontiguousarray(style.transpose(2, 0, 1), np.float32))
    part = None
    if mask is not None:
        sized = pictures.resize(mask, style.shape[1], style.shape[0]).astype(np.float32) / 255
        part = torch.from_numpy(sized)[None]
    return RegionStyle.of(picture, part, alpha=alpha, scale=scale)


def _require_part(mask: np.ndarray, what: str, size: tuple[int, int]) -> None:
    (tall, wide), (width, height) = mask.shape, size
    if abs(wide * height - width * tall) > SHAPES_APART * width * tall:
        raise MediaError(f"{what} has {wide}x{tall} pixels, and the style {width}x{height}; give one of that shape")
    if not mask.any():
        raise MediaError(f"{what} is black everywhere; make white what of the style counts")


def clip_regions(
    settings: VideoSettings,
    width: int,
    height: int,
    frames: int,
    first: int = 0,
    *,
    whole: bool = True,
    carrier: Carrier | None = None,
) -> Regions | None:
    """The regions of a clip, checked; None if it has none. The arguments are those of `masks.clip_masks`.

    Raises:
        MediaError: a mask cannot be read, does not fit the clip or is black everywhere, or a region is hidden.
    """
    files = [region.mask for region in settings.regions]
    if not files:
        return None
    size = width, height, frames, first
    each = tuple(masks_in(file, settings.feather, *size, whole=whole, carrier=carrier) for file in files)
    regions = Regions(each, settings.feather)
    with closing(regions.decoded(0)) as masks:
        _check(masks, (width, height), frames, settings)
    return regions


def picture_regions(settings: PaintingSettings, width: int, height: int) -> tuple[np.ndarray, ...]:
    """The masks of the regions of a picture of this size, checked as `clip_regions` does."""
    files = [region.mask for region in settings.regions] if isinstance(settings, MaskSettings) else []
    masks = tuple(mask_in(file, width, height) for file in files)
    _check([masks], (width, height), 1, settings)
    return masks


def array_regions(
    regions: Sequence[Region], settings: VideoSettings | ImageSettings, width: int, height: int, frames: int
) -> Regions | None:
    """Regions in memory, checked; None if there are none. Raises `UsageError`."""
    found = [array_masks(one.mask, settings, width, height, frames) for one in regions]
    each = tuple(one for one in found if one is not None)
    if len(each) < len(found):
        raise UsageError("a region has no mask; give one for all frames, or one for each")
    if not each:
        return None
    made = Regions(each, settings.feather)
    with closing(made.decoded(0)) as masks:
        _check(masks, (width, height), frames, settings)
    return made


def _check(
    frames: Iterable[Sequence[np.ndarray]], size: tuple[int, int], count: int, settings: PaintingSettings
) -> None:
    """Say what is not painted as somebody may expect. Raises `MediaError` for a region that is hidden everywhere."""
    width, height = pictures.fit(*size, settings.size)
    feather = settings.feather if isinstance(settings, MaskSettings) else 0.0
    largest: list[float] = []
    before, overlap = None, False
    for _, masks in zip(range(count), frames, strict=False):
        if before is not None and all(one is other for one, other in zip(masks, before, strict=True)):
            continue
        before = masks
        pixels = [float(one.sum()) for one in layered(masks, width, height, feather)]
        largest = list(map(max, pixels, largest or pixels))
        sum_of_all = sum(pictures.resize(mask, width, height).astype(np.float32) / 255 for mask in masks)
        overlap = overlap or bool(np.any(sum_of_all > 1 + OVERLAP))
    if overlap:
        tell("regions overlap: where they do, the one that is given later is painted")
    for number, pixels_of_one in enumerate(largest, 1):
        if pixels_of_one < 1:
            raise MediaError(f"region {number} is hidden by those after it, or too small; change the order or its mask")
        seen = seen_at(pixels_of_one, settings)
        if not all(seen):
            left_out = ", ".join(layer for layer, here in zip(settings.style_layers, seen, strict=True) if not here)
            tell(f"region {number} is smaller than a position of {left_out}: its style has no such layers")

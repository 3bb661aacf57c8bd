"""The masks of a job: where each of its frames is painted, from a picture, a clip or a folder of pictures."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import MediaError, UsageError
from vidstyle.jobs.sources.carried import Carrier, require_painted
from vidstyle.media.stills import pictures
from vidstyle.media.stills.sequence import is_sequence, pictures_in
from vidstyle.settings import KeyFile, MaskSettings
from vidstyle.system.notes import tell
from vidstyle.system.opencv import cv2
from vidstyle.types import Motion

SHAPES_APART = 0.01  # share by which the width of a mask, at the height of the content, may differ from the content's
CODED = 8  # levels from black and from white that a lossy encoder may change


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of the frames of a clip, at their own size."""

    decode: Callable[[int], Generator[np.ndarray]]  #: those from that of frame `start` on, (H, W) uint8
    feather: float  #: pixels

    def sized(self, width: int, height: int, start: int) -> Generator[Tensor | None]:
        """The masks from that of frame `start` on, as `fitted` gives them."""
        with closing(self.decode(start)) as masks:
            before, made = None, None
            for mask in masks:
                if mask is not before:
                    before, made = mask, fitted(mask, width, height, self.feather)
                yield made


def fitted(mask: np.ndarray, width: int, height: int, feather: float) -> Tensor | None:
    """A mask, (H, W) uint8, at another size and feathered, as (1, height, width) in [0, 1]; None if all is painted.

    The feather is a ramp from the border inwards: what was black stays 0.
    """
    mask = pictures.resize(mask, width, height)
    weights = mask.astype(np.float32) / 255
    if feather and not mask.all():
        inside = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        weights *= (inside / np.float32(feather + 1)).clip(max=1)
    return None if (weights == 1).all() else torch.from_numpy(weights)[None]


def visible_paint(motion: Motion, mask: Tensor | None) -> Motion:
    """A motion that only sees what was painted in the earlier frame, whose mask this is."""
    if mask is None:
        return motion
    there = carried_along(motion, (mask[0] > 0).float())
    return dataclasses.replace(motion, visible=motion.visible * torch.from_numpy(there))


def carried_along(motion: Motion, mask: Tensor) -> np.ndarray:
    """A mask (H, W) of the earlier frame at the places that each pixel of this frame comes from."""
    rows, columns = np.indices(mask.shape, np.float32)
    across, down = motion.flow.numpy()
    places = columns + across, rows + down
    return cv2.remap(mask.numpy(), *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def clip_masks(
    settings: MaskSettings,
    width: int,
    height: int,
    frames: int,
    first: int = 0,
    *,
    whole: bool = True,
    carrier: Carrier | None = None,
) -> Masks | None:
    """The masks of a clip, checked; None if it has none.

    Args:
        width, height: of the clip in pixels.
        frames: how many are painted.
        first: number of the first of them in the file.
        whole: that is the whole clip.
        carrier: for a mask of one frame.

    Raises:
        MediaError: the file cannot be read, has another shape or number of frames, or is black everywhere.
        UsageError: there is a feather and no mask, or a mask of a frame that is not painted.
    """
    if settings.mask is None:
        require_mask(settings)
        return None
    size = width, height, frames, first
    return masks_in(settings.mask, settings.feather, *size, whole=whole, alone=True, carrier=carrier)


def masks_in(
    file: str,
    feather: float,
    width: int,
    height: int,
    frames: int,
    first: int = 0,
    *,
    whole: bool = True,
    alone: bool = False,
    carrier: Carrier | None = None,
) -> Masks:
    """The masks in a file, a folder or a pattern. `alone`: nothing is painted outside. Else as `clip_masks`."""
    if (key := KeyFile.of_mask(file)) is not None and key.frame is not None:
        if carrier is None:
            raise UsageError(f"the mask {file} is of one frame of a clip; give one for all")
        require_painted(key.frame, carrier.numbers, f"the mask {file}")
        if len(carrier.seen.shots) > 1:
            shot = carrier.seen.shot(key.frame - first)
            tell(
                f"the mask {file} is carried as far as its shot, from frame {shot.start + first} to frame "
                f"{shot.stop - 1 + first}; elsewhere it is black"
            )
        mask = _picture(Path(os.path.abspath(key.file)), width, height, alone=False)
        return Masks(carrier.carried(mask, key.frame).decode, feather)
    path = Path(os.path.abspath(file))  # the working folder may change while it is painted
    if is_sequence(path) and path.is_file():
        raise MediaError(f"the mask {path} is an animated WebP; give a picture, a clip, or a folder of pictures")
    if not is_sequence(path) and pictures.is_still(path):
        mask = _picture(path, width, height, alone=alone)
        return Masks(lambda start: _stepwise(repeat(mask)), feather)
    enough = max(width, height)
    read, count = _files(pictures_in(path), enough) if is_sequence(path) else _clip(path)
    part = not whole and count >= first + frames  # masks of the whole clip, a part of which is painted
    if count != frames and not part:
        raise MediaError(f"the mask {path} has {count} frames, and {frames} are painted; give as many, or one picture")
    offset = first if count != frames else 0
    painted = False
    with closing(read(0)) as masks:
        for mask in masks:
            _require_shape(path, mask, width, height)
            painted = painted or bool(mask.any())
    if not painted:
        raise _empty(path)
    return Masks(lambda start: read(start + offset), feather)


def picture_mask(settings: MaskSettings, width: int, height: int) -> np.ndarray | None:
    """The mask of a picture of this size, (H, W) uint8, checked; None if it has none. Raises as `clip_masks` does."""
    if settings.mask is None:
        require_mask(settings)
        return None
    return mask_in(settings.mask, width, height, alone=True)


def mask_in(file: str, width: int, height: int, *, alone: bool = False) -> np.ndarray:
    """The mask in a file, for a picture of this size. `alone`: nothing is painted outside. Else as `picture_mask`."""
    if KeyFile.of_mask(file) is not None:
        raise UsageError(f"the mask {file} is of one frame of a clip, and one picture is painted; give its file alone")
    path = Path(os.path.abspath(file))
    if is_sequence(path) or not pictures.is_still(path):
        raise MediaError(f"the mask {path} is a clip or holds several pictures, and one is painted; give one picture")
    return _picture(path, width, height, alone=alone)


def _picture(path: Path, width: int, height: int, *, alone: bool) -> np.ndarray:
    """The mask in a file, for pictures of this size."""
    mask = pictures.load_mask(path, enough=max(width, height))
    _require_shape(path, mask, width, height)
    if not mask.any():
        raise _empty(path)
    if alone and mask.min() == 255:
        tell(f"the mask {path} is white everywhere: all is painted, as without it")
    return mask


def array_masks(
    masks: Sequence[np.ndarray] | np.ndarray | None,
    settings: MaskSettings,
    width: int,
    height: int,
    frames: int,
    *,
    regions: bool = False,
) -> Masks | None:
    """Masks in memory: one, (H, W), or one for each frame. Raises `UsageError` if they do not fit.

    Args:
        regions: there are some, which have a feather, too.
    """
    if masks is None:
        if not regions:
            require_mask(settings)
        return None
    one = len(masks) > 0 and np.ndim(masks[0]) == 1
    each = [np.asarray(masks)] if one else list(map(np.asarray, masks))
    if not one and len(each) != frames:
        raise UsageError(f"there are {len(each)} masks for {frames} frames; give one for each, or one for all")
    for number, mask in enumerate(each):
        if mask.shape != (height, width) or mask.dtype != np.uint8:
            raise UsageError(f"mask {number} is {mask.shape} {mask.dtype}; it must be ({height}, {width}) uint8")
    if not any(mask.any() for mask in each):
        raise UsageError("the masks are 0 everywhere, so nothing would be painted; give 255 where the style goes")
    return Masks(lambda start: _stepwise(repeat(each[0]) if one else each[start:]), settings.feather)


def require_mask(settings: MaskSettings) -> None:
    """Raise `UsageError` if there is a feather although there is no mask and no region."""
    if settings.feather != MaskSettings.feather and not settings.region:
        raise UsageError("--feather belongs to --mask or --region; give one of them, too, or leave it out")


def _stepwise(masks: Iterable[np.ndarray]) -> Generator[np.ndarray]:
    yield from masks


def _files(files: Sequence[Path], enough: int) -> tuple[Callable[[int], Generator[np.ndarray]], int]:
    """Pictures as masks: those from a number on, and how many there are."""
    load = functools.partial(pictures.load_mask, enough=enough)
    return lambda start: _stepwise(map(load, files[start:])), len(files)


def _clip(path: Path) -> tuple[Callable[[int], Generator[np.ndarray]], int]:
    """A clip as masks: those from a number on, and how many there are."""
    from vidstyle.media.video import survey, transparent  # not at the top: it takes a library

    if transparent(path):
        raise MediaError(f"the mask {path} is a clip with transparency; give its opacity as grey, or a folder of PNGs")
    clip = survey(path)
    levels = np.rint((np.arange(256) - CODED) * (255 / (255 - 2 * CODED))).clip(0, 255).astype(np.uint8)

    def masks(start: int) -> Iterator[np.ndarray]:
        with closing(clip.decode(start)) as decoded:
            for picture in decoded:
                yield levels[pictures.luma(picture)]

    return lambda start: _stepwise(masks(start)), clip.info.frames


def _require_shape(path: Path, mask: np.ndarray, width: int, height: int) -> None:
    tall, wide = mask.shape
    if abs(wide * height - width * tall) > SHAPES_APART * width * tall:
        raise MediaError(
            f"the mask {path} has {wide}x{tall} pixels, and what is painted {width}x{height}; give one of that shape"
        )


def _empty(path: Path) -> MediaError:
    return MediaError(f"the mask {path} is black everywhere, so nothing would be painted; make white what is to be")

"""Training data: pictures, and random, disturbed crops of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import MediaError
from vidstyle.system.opencv import cv2

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def picture_files(folders: Iterable[str | Path]) -> list[Path]:
    """Files in `folders`, and in folders in them, with a picture's suffix, sorted."""
    return sorted(path for folder in folders for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)


def load_pictures(folders: Iterable[str | Path], smallest: int) -> list[np.ndarray]:
    """All pictures in `folders` with a short side of `smallest` pixels or more: (H, W, 3) uint8 RGB, sorted by path."""
    decoded = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in picture_files(folders))
    pictures = [np.ascontiguousarray(image[..., ::-1]) for image in decoded if image is not None]
    pictures = [image for image in pictures if min(image.shape[:2]) >= smallest]
    if len(pictures) < 2:
        raise MediaError(f"found {len(pictures)} pictures of at least {smallest} px; give folders with more (--images)")
    return pictures


def random_crop(pictures: Sequence[np.ndarray], side: int, generator: torch.Generator) -> Tensor:  # (3, side, side)
    """A square of a random picture, of random place and size, now and then turned; sRGB in [0, 1]."""
    image = pictures[int(torch.randint(len(pictures), (), generator=generator))]
    size, left, top, flip, turn = torch.rand(5, generator=generator).tolist()
    largest = min(image.shape[:2])
    smallest = min(largest, round(0.6 * side))
    wide = round(smallest * (largest / smallest) ** size)
    y, x = round(top * (image.shape[0] - wide)), round(left * (image.shape[1] - wide))
    how = cv2.INTER_AREA if wide > side else cv2.INTER_CUBIC
    crop = _tensor(cv2.resize(image[y : y + wide, x : x + wide], (side, side), interpolation=how))
    crop = crop.flip(2) if flip < 0.5 else crop
    return crop.rot90(1 + int(turn * 15), (1, 2)) if turn < 0.2 else crop


def disturbed_crop(pictures: Sequence[np.ndarray], side: int, generator: torch.Generator) -> Tensor:  # (3, side, side)
    """A random crop, often blended or patched with another, recoloured or noisy: what a pastiche passes through."""
    blend, recolour, shuffle, noise, share, strength = torch.rand(6, generator=generator).tolist()
    patch, left, top, wide, high = torch.rand(5, generator=generator).tolist()
    crop = random_crop(pictures, side, generator)
    if patch < 0.25:
        height, width = (round(side * (0.3 + 0.5 * part)) for part in (high, wide))
        y, x = round(top * (side - height)), round(left * (side - width))
        crop[:, y : y + height, x : x + width] = random_crop(pictures, side, generator)[:, :height, :width]
    if blend < 0.2:
        crop = torch.lerp(crop, random_crop(pictures, side, generator), share)
    if recolour < 0.4:
        order = torch.randperm(3, generator=generator) if shuffle < 0.5 else torch.arange(3)
        mixing = torch.eye(3)[order] + 0.25 * torch.randn(3, 3, generator=generator)
        mean = crop.mean(dim=(1, 2), keepdim=True)
        target = (mean + 0.15 * torch.randn(3, 1, 1, generator=generator)).clamp(0.1, 0.9)
        crop = torch.einsum("ij,jhw->ihw", mixing, crop - mean) + target
    if noise < 0.3:
        crop = crop + 0.2 * strength**2 * torch.randn(crop.shape, generator=generator)
    return crop.clamp(0, 1)


def middle_square(image: np.ndarray, side: int) -> Tensor:  # (H, W, 3) -> (3, side, side)
    """The middle of a picture, as large as can be, at another size; sRGB in [0, 1]."""
    least = min(image.shape[:2])
    top, left = ((length - least) // 2 for length in image.shape[:2])
    square = image[top : top + least, left : left + least]
    return _tensor(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA))


def _tensor(picture: np.ndarray) -> Tensor:  # (H, W, 3) uint8 -> (3, H, W)
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255

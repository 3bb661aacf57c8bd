"""The memory probe: whether a picture of a size fits the memory, measured by painting small ones."""

from __future__ import annotations

import dataclasses
import functools
import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vidstyle.core import optimize
from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.regions import RegionStyle
from vidstyle.core.stylizer import Size, Stylizer
from vidstyle.errors import MemoryLimitError
from vidstyle.settings import MaskSettings, PaintingSettings
from vidstyle.system import limits, memory, outofmemory
from vidstyle.system.devices import pick_device
from vidstyle.types import Budget, Frame, Motion

SIDES = (96, 192)  # pixels of the squares that are painted; memory is linear in their area
SMALLEST_SIZE = 32  # pixels: smaller paintings are useless
SAFE = 0.9  # share of the free memory that a size is named for: at the next call a little less may be free
SCALING = 80 * 10**6  # bytes of address space: at the next call a picture is scaled first, by a thread with a heap
# What a process takes for each byte of tensors: on a CPU kernels have scratch space and the heap has gaps (1.2 to 1.9
# measured from 0.1 to 2 megapixels), on CUDA the recordings of all scales keep memory (an estimate).
OVERHEAD = {"cuda": 1.5, "mps": 1.5, "cpu": 1.9}
# Bytes on a CPU for libraries that are first used while a picture is painted, and for the program that encodes.
OTHERS = 40 * 10**6


@dataclass(frozen=True)
class Need:
    """Bytes that painting takes, as a function of the picture's size."""

    fixed: float  #: bytes
    per_pixel: float  #: bytes

    def bytes(self, pixels: int) -> float:
        """For a picture of so many pixels."""
        return self.fixed + self.per_pixel * pixels


def measured(network: FeatureNetwork, settings: PaintingSettings) -> Need:
    """The memory that painting with a network needs, cold and warm-started."""
    short = dataclasses.replace(settings, first_iterations=1, init="content")
    device = pick_device(settings.device)
    small, large = (
        memory.peak_of(functools.partial(_paint, _stylizer(network, short, side), side), device) for side in SIDES
    )
    slope = (large - small) / (SIDES[1] ** 2 - SIDES[0] ** 2)
    fixed = max(0.0, large - slope * SIDES[1] ** 2)
    return Need(OVERHEAD[device.type] * fixed, OVERHEAD[device.type] * slope)


def needed(
    network: FeatureNetwork, settings: PaintingSettings, size: Size, beside: Callable[[int], float] | None = None
) -> tuple[int, int | None]:
    """The bytes that pictures of `size` take on the device, and those that are free; None where nobody says.

    For `beside` see `require_memory`.
    """
    device, (height, width) = pick_device(settings.device), size
    need = measured(network, settings)
    taken = _taken(need, device, beside or no_bytes)
    return round(taken(height * width)), _free(settings, device)


def no_bytes(pixels: int) -> float:
    """What painting a picture takes beside the stylizer: hardly anything."""
    return 0.0


def require_memory(
    network: FeatureNetwork, settings: PaintingSettings, size: Size, beside: Callable[[int], float] = no_bytes
) -> None:
    """Raise `MemoryLimitError`, with a sentence that says what would do, if pictures of `size` do not fit.

    Args:
        beside: bytes of the CPU's memory that pictures of so many pixels take outside the stylizer; not decreasing.
    """
    height, width = size
    device = pick_device(settings.device)
    at_first = _free(settings, device)
    if at_first is None or height * width <= SIDES[1] ** 2:
        return
    smallest = 0
    if device.type == "cpu" and settings.memory_limit is None:
        smallest = outofmemory.START_USED + sum(tensor.nbytes for tensor in network.parameters())
        outofmemory.require_free(smallest, "the smallest painting", at_first)
    try:
        need = measured(network, settings)
    except MemoryLimitError as error:
        raise MemoryLimitError(
            f"not even {SIDES[1]}x{SIDES[1]} pixels fit the memory of {device.type} that is free; end other programs, "
            "or raise the limit that is set"
        ) from error

    taken = _taken(need, device, beside)
    free = _free(settings, device)  # after the libraries have taken theirs
    if free is None or taken(height * width) <= free:
        return
    room = SAFE * free - (SCALING if limits.rlimits() else 0)
    pixels = bisect_right(range(height * width), room, key=taken)
    largest = math.floor(max(size) * math.sqrt(max(pixels - 1, 0) / (height * width)))
    raise MemoryLimitError(
        f"{width}x{height} pixels need about {taken(height * width) / 1e9:.2f} GB of memory on {device.type} and "
        f"{free / 1e9:.2f} GB are {'free' if settings.memory is None else 'allowed by --memory'}; "
        + _advice(settings, device, largest if SAFE * at_first >= smallest else 0)
    )


def _advice(settings: PaintingSettings, device: torch.device, largest: int) -> str:
    """What to do where a picture does not fit, of which the `largest` size does."""
    if largest < SMALLEST_SIZE:
        return "end other programs or raise the limit" if settings.memory is None else "allow more"
    more = [
        text
        for text, used in (
            ("--low-memory", settings.low_memory),
            ("--precision bfloat16", optimize.pick_precision(settings.precision, device) == "bfloat16"),
        )
        if not used
    ]
    return f"the largest --size that fits is {largest}" + (
        f", and a larger one with {' or '.join(more)}" if more else ""
    )


def _taken(need: Need, device: torch.device, beside: Callable[[int], float]) -> Callable[[int], float]:
    """Bytes of the device's memory that a picture of so many pixels takes; CUDA and MPS have one of their own."""
    if device.type != "cpu":
        return need.bytes
    return lambda pixels: need.bytes(pixels) + beside(pixels) + OTHERS


def _free(settings: PaintingSettings, device: torch.device) -> int | None:
    """Bytes that may be taken on `device`; None where the system does not say."""
    return settings.memory_limit or memory.available(device)


def _stylizer(network: FeatureNetwork, settings: PaintingSettings, side: int) -> Stylizer:
    count = len(settings.region) if isinstance(settings, MaskSettings) else 0
    return Stylizer(network, [_noise(side)], settings, regions=[RegionStyle(_noise(side))] * count)


def _paint(stylizer: Stylizer, side: int) -> None:
    image, count = _noise(side), len(stylizer.regions)
    regions = tuple(torch.full((1, side, side), 1 / (count + 1)) for _ in range(count))
    motion = Motion(torch.full((2, side, side), 0.5), torch.ones(1, side, side))
    _, state = stylizer.step(Frame(0, image, None, 0.5, (1.0,), regions=regions), None)
    budget = Budget(1, 1.0)
    warm = Frame(1, image, motion, 0.5, (1.0,), temporal_weight=1.0, budget=budget, regions=regions)
    stylizer.step(warm, state)


def _noise(side: int) -> torch.Tensor:  # (3, side, side)
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))

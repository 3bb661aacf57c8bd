"""The architecture of a feature network, as stored in its file, checked before anything is built from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from torch import Tensor

Blocks = tuple[tuple[int, ...], ...]
Pool = Literal["max", "average"]
MOST = 9  # blocks, and convolutions of a block: the names of layers have one digit for each
CONTENT_WEIGHTS = (1e-6, 1e6)  # far beyond all that was ever calibrated (0.5 to 2)
CONTENT_SLOPES = (-1.0, 2.0)  # the same


@dataclass(frozen=True)
class Architecture:
    """A stack of blocks of 3x3 convolutions, as `networks.FeatureNetwork` builds it. Raises `ValueError` at birth."""

    blocks: Blocks  #: output channels of each convolution, block by block
    pool: Pool = "max"  #: how a block is halved
    skip: bool = False  #: a block also sees what the first convolution of the block below made
    content_weight: float = 1.0  #: factor of the normalised content loss at alpha .5
    content_slope: float = 0.0  #: power of alpha / (1 - alpha) that it is multiplied by elsewhere

    def __post_init__(self) -> None:
        sizes = [len(self.blocks), *map(len, self.blocks)]
        if not all(1 <= size <= MOST for size in sizes):
            raise ValueError(f"it has {len(self.blocks)} blocks of {sizes[1:][:MOST]} convolutions, not 1 to {MOST}")
        if not all(type(width) is int and width > 0 for block in self.blocks for width in block):
            raise ValueError("its numbers of channels are no positive integers")
        if self.pool not in get_args(Pool):
            raise ValueError(f"its pool is {self.pool!r}, not {' or '.join(get_args(Pool))}")
        if not isinstance(self.skip, bool):
            raise ValueError(f"its skip is {self.skip!r}, not true or false")
        for name, (low, high) in (("content_weight", CONTENT_WEIGHTS), ("content_slope", CONTENT_SLOPES)):
            number = getattr(self, name)
            if type(number) not in (int, float) or not low <= number <= high:
                raise ValueError(f"its {name} is {number!r}, not a number from {low} to {high}")

    @staticmethod
    def parsed(text: str) -> Architecture:
        """From the JSON of a file. Raises `ValueError`."""
        try:
            values: Any = json.loads(text)
            blocks = tuple(tuple(block) for block in values.pop("blocks"))
            return Architecture(blocks, **values)
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"it does not describe blocks of convolutions ({type(error).__name__}: {error})"
            ) from error

    def json(self) -> str:
        """As `parsed` reads it."""
        return json.dumps(asdict(self))

    def channels(self) -> dict[str, tuple[int, int]]:
        """The numbers of input and output channels of each convolution, by names like conv2_1."""
        found, channels = {}, 3
        for number, widths in enumerate(self.blocks, 1):
            for position, width in enumerate(widths, 1):
                found[f"conv{number}_{position}"] = channels, width
                channels = width
            if self.skip and len(widths) > 1:
                channels += widths[0]
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of the network but its read-outs."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (taken, made) in self.channels().items():
            shapes[f"convolutions.{name}.weight"] = made, taken, 3, 3
            shapes[f"convolutions.{name}.bias"] = (made,)
        return shapes

    def check_readouts(self, readouts: Mapping[str, Tensor]) -> None:
        """Raise `ValueError` for a read-out of a layer that is not there, or of another shape than (K, channels)."""
        widths = {name[4:]: made for name, (_, made) in self.channels().items()}
        for layer, matrix in readouts.items():
            width = widths.get(layer[4:]) if layer[:4] in ("conv", "relu") else None
            if width is None:
                raise ValueError(f"it has a read-out of {layer!r}, a layer that it lacks")
            if matrix.ndim != 2 or matrix.shape[0] < 1 or matrix.shape[1] != width:
                raise ValueError(f"its read-out of {layer} has shape {tuple(matrix.shape)}, not (K, {width})")

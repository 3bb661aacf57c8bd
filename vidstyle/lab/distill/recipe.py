"""The hyperparameters of a distillation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from vidstyle.core.architecture import Blocks
from vidstyle.errors import UsageError
from vidstyle.settings import Device, Precision


def number(default: Any, text: str) -> Any:
    """A field of `Recipe`: its default and its sentence, which the command line shows."""
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number a training run depends on. Raises `UsageError` for an invalid value."""

    blocks: Blocks = number(
        ((16, 8), (48, 32), (96, 56, 56, 56), (160, 144, 128, 128), (256,)),
        "Channels of each convolution: commas within a block, slashes between them.",
    )
    steps: int = number(12000, "Updates of the weights; the learning rate has fallen to zero by then,")
    minutes: float = number(math.inf, "or by then, if that comes first.")
    apprenticeship: float = number(0.05, "Share of the run in which each convolution learns for itself.")
    stages: float = number(0.25, "Share, after that, in which those between two style layers learn together.")
    crop: int = number(160, "Side of the pictures to learn from, in pixels.")
    batch: int = number(8, "Pictures in an update.")
    pool: int = number(8, "Batches that the teacher labels in a round.")
    pastiches: int = number(16, "How many pictures of the pool are the student's own pastiches, when it works alone.")
    repeats: int = number(4, "Times that the student sees a picture.")
    memory: int = number(6, "Rounds that a picture stays in the memory from which the student's batches are drawn.")
    paint: int = number(8, "Evaluations that the pastiches are carried on for in a round.")
    lr: float = number(0.03, "Highest learning rate of the convolutions (Muon): share of its length a weight may move.")
    lr_rest: float = number(2e-3, "Highest learning rate of biases and read-outs (Adam).")
    calibration: int = number(8, "Pairs painted in the end to find what alpha means; 0 leaves that out.")
    seed: int = number(0, "Seed of everything random.")
    device: Device = number("auto", "Where to compute; auto takes CUDA, else the CPU.")
    precision: Precision = number("bfloat16", "Number format of the teacher's and the student's convolutions.")

    def __post_init__(self) -> None:
        for name in ("steps", "crop", "batch", "pool", "repeats", "memory", "lr", "lr_rest", "minutes"):
            if not getattr(self, name) > 0:
                raise UsageError(f"--{name} is {getattr(self, name)}; it must be above 0")
        if not self.blocks or not all(blocks and min(blocks) > 0 for blocks in self.blocks):
            raise UsageError(f"--blocks is {self.blocks}; every block needs a convolution, and that a channel")
        if not 0 <= self.pastiches < self.batch * self.pool:
            raise UsageError(f"--pastiches is {self.pastiches}; it must be below the pool's {self.batch * self.pool}")
        for name in ("apprenticeship", "stages"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"--{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.apprenticeship + self.stages > 1:
            raise UsageError(f"--apprenticeship {self.apprenticeship} and --stages {self.stages} are more than the run")


def blocks_from(text: str) -> Blocks:
    """Blocks written as 16,8/48,32. Raises `UsageError` for anything else."""
    try:
        return tuple(tuple(int(width) for width in block.split(",")) for block in text.split("/"))
    except ValueError:
        raise UsageError(f"--blocks is {text!r}; write channels like 16,8/48,32") from None


def written(blocks: Blocks) -> str:
    """The text that `blocks_from` reads."""
    return "/".join(",".join(map(str, widths)) for widths in blocks)

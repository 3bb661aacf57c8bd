"""Muon, the optimiser that trains the compact network."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a weight is orthogonalised, so that all directions are learnt at the same pace.

    Jordan 2024, https://kellerjordan.github.io/posts/muon; a convolution counts as the matrix (out, in * 3 * 3). Unlike
    there, `lr` is the length of a step in that of the weight itself, so that it means the same at every scale.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.9) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight along its orthogonalised momentum."""
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(momentum, group["momentum"]).flatten(1)
                direction = orthogonalised(update).view_as(weight)
                weight.sub_(direction * (group["lr"] * weight.norm() / direction.norm().clamp_min(1e-7)))


def orthogonalised(matrix: Tensor) -> Tensor:  # (A, B) -> (A, B)
    """The matrix with its singular values brought near 1, by five Newton-Schulz iterations of the fifth order."""
    x: Tensor = (matrix / (matrix.norm() + 1e-7)).bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return (x.mT if tall else x).to(matrix.dtype)

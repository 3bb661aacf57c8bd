"""Layers without weights, with gradients of their own where torch's are slower or not the same at every run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional


def normalized(image: Tensor, mean: Tensor, std: Tensor) -> Tensor:  # (N, 3, H, W), twice (1, 3, 1, 1) -> as image
    """(image - mean) / std."""
    x: Tensor = _Normalized.apply(image, mean, std)  # type: ignore[no-untyped-call]
    return x


class _Normalized(torch.autograd.Function):
    """Its gradient lies in memory as the picture does, for all that is added to it and compared with it later."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        ctx.save_for_backward(std)
        return (image - mean).div_(std)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (std,) = ctx.saved_tensors
        return gradient.contiguous() / std, None, None


def replicate_border(x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H + 2, W + 2)
    """Repeat the outermost pixels once, with a gradient that is the same bits at every run on CUDA."""
    bordered: Tensor = _ReplicateBorder.apply(x)  # type: ignore[no-untyped-call]
    return bordered


class _ReplicateBorder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
        return torch.cat([x[:, :, :, :1], x, x[:, :, :, -1:]], dim=3)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:  # type: ignore[override]
        for dim in (2, 3):
            size = gradient.shape[dim]
            first, last = gradient.narrow(dim, 0, 1), gradient.narrow(dim, size - 1, 1)
            gradient = gradient.narrow(dim, 1, size - 2).clone()
            gradient.narrow(dim, 0, 1).add_(first)
            gradient.narrow(dim, size - 3, 1).add_(last)
        return gradient


def halved(x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H // 2, W // 2)
    """Means of 2x2 pixels."""
    means: Tensor = _Halved.apply(x)  # type: ignore[no-untyped-call]
    return means


class _Halved(torch.autograd.Function):
    """Average pooling; its gradient, written as an enlargement, takes a third of the time of torch's on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.size = list(x.shape[2:])
        return functional.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        spread: Tensor = torch.ops.aten.upsample_nearest2d(gradient / 4, ctx.size, 2.0, 2.0)
        for dim in (2, 3):
            if spread.shape[dim] % 2:  # the last row or column is in no mean
                spread.narrow(dim, spread.shape[dim] - 1, 1).zero_()
        return spread

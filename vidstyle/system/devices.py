"""The device that torch computes on, and the global state of torch while it does."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from vidstyle.errors import MemoryLimitError, UsageError

_alone = threading.RLock()  # held by the thread inside the engine


def pick_device(name: str) -> torch.device:
    """The device that a name or "auto" means: CUDA or the CPU. MPS must be asked for, since no test has run there.

    Raises `UsageError` if it is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there.get(name, False):
        found = ", ".join(kind for kind, found in there.items() if found)
        raise UsageError(f"--device {name} is not available on this machine; available: {found}")
    return torch.device(name)


def kind_of(device: torch.device) -> str:
    """The kind of a device, in words: two of one kind are taken to compute the same bits."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return device.type


@contextmanager
def engine(device: torch.device, *, tf32: bool = True) -> Iterator[None]:
    """Run the engine inside: the same bits at every run, TF32 on CUDA, and running out of memory said in a sentence.

    One thread at a time is inside for a device other than the CPU: what is switched there holds for all threads, and
    while one records a graph on CUDA no other may start work.

    Raises:
        MemoryLimitError: the device had too little memory.
    """
    try:
        with nullcontext() if device.type == "cpu" else _switched(tf32):
            yield
    except torch.OutOfMemoryError as error:
        raise MemoryLimitError(_out_of_memory(device)) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise MemoryLimitError(_out_of_memory(device)) from error
        raise


@contextmanager
def _switched(tf32: bool) -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    with _alone:
        before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, False, tf32, tf32
        # Gram matrices are sums over all positions: not to be summed in bfloat16.
        in_half, matmul.allow_bf16_reduced_precision_reduction = matmul.allow_bf16_reduced_precision_reduction, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
            matmul.allow_bf16_reduced_precision_reduction = in_half


def _out_of_memory(device: torch.device) -> str:
    return f"the picture does not fit the memory of {device}; give a smaller --size, or --network compact"

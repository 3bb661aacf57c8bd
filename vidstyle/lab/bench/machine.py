"""The limits of a machine (fastest matrix product, fastest copy), and the peak memory of a piece of work."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from vidstyle.system.memory import give_back_freed_memory

MATRIX_SIDE = {"cuda": 8192, "mps": 4096, "cpu": 2048}  # a small product would not fill a GPU
COPIED_BYTES = 256 * 2**20  # more than any cache holds
BUDGET = 2.0  # seconds that a measurement may repeat itself for
STATUS, CLEAR, PEAK_ONLY = Path("/proc/self/status"), Path("/proc/self/clear_refs"), "5"  # Linux: proc(5)


@dataclass(frozen=True)
class Machine:
    """A device, and its own limits as measured."""

    device: str  #: its name
    kind: str  #: cuda, mps or cpu
    threads: int  #: of torch on the processor
    torch: str  #: version
    precision: str  #: of the matrix product
    matrix_side: int  #: of the square matrices that were multiplied
    peak_flops: float  #: floating-point operations a second of the fastest matrix product (a multiplication is one)
    copy_bandwidth: float  #: bytes a second, read and written, of the fastest copy of a large tensor


def measured(device: torch.device, precision: str) -> Machine:
    """Multiply matrices and copy memory on `device`. Float32 means TF32 on CUDA, as it does for the convolutions."""
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    side = MATRIX_SIDE[device.type]
    a, b = torch.randn(2, side, side, device=device).to(kinds[precision])
    product, matmul = torch.empty_like(a), torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, True
    try:
        multiplied = min(seconds_of(lambda: torch.mm(a, b, out=product), device))
    finally:
        matmul.allow_tf32 = before
    source = torch.ones(COPIED_BYTES // 4, device=device)
    target = torch.zeros_like(source)
    copied = min(seconds_of(lambda: target.copy_(source), device))
    return Machine(
        device=device_name(device),
        kind=device.type,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        precision=precision,
        matrix_side=side,
        peak_flops=2 * side**3 / multiplied,
        copy_bandwidth=2 * COPIED_BYTES / copied,
    )


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def seconds_of(
    function: Callable[[], object], device: torch.device, *, least: int = 3, most: int = 50, warm_up: bool = True
) -> list[float]:
    """Wall seconds of each of several calls, until `device` is done.

    Args:
        least, most: calls; between them the calls end when they took `BUDGET` seconds.
        warm_up: call it once before, and leave that out.
    """
    if warm_up:
        function()
    found: list[float] = []
    while len(found) < least or (len(found) < most and sum(found) < BUDGET):
        synchronise(device)
        began = time.perf_counter()
        function()
        synchronise(device)
        found.append(time.perf_counter() - began)
    return found


def median_seconds(function: Callable[[], object], device: torch.device, *, least: int = 3) -> float:
    """The median of `seconds_of`."""
    return statistics.median(seconds_of(function, device, least=least))


def synchronise(device: torch.device) -> None:
    """Wait until `device` has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def forget_peak(device: torch.device) -> None:
    """Give free memory back and begin to look for the peak anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    give_back_freed_memory()
    try:
        CLEAR.write_text(PEAK_ONLY)
    except OSError:  # no Linux, or a sandbox: then the peak is that of the whole process so far
        return


def peak(device: torch.device) -> int | None:
    """Bytes held at the most since `forget_peak`, by CUDA's allocator or by the whole process; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))  # the scratch memory of recordings is not allocated
    if device.type != "cpu" or not STATUS.is_file():
        return None
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) * 1024 if "VmHWM" in fields else None

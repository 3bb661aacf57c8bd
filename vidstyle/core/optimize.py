"""The minimiser of a loss over the pixels of a picture, on CUDA as a recorded graph; precision and memory format.

Nothing in the loop waits for the device: the host looks at the loss once in `CHECK_EVERY` evaluations, to stop early.
On CUDA an evaluation with its step is recorded once as a graph and played back.
"""

from __future__ import annotations

import ctypes
import functools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vidstyle.core.optimizers import OPTIMIZERS, Evaluate, Evaluation
from vidstyle.settings import Precision

# A loss: picture (1, 3, H, W) -> its value () and a vector of the terms it is made of, for the record.
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]

CHECK_EVERY = 5  # evaluations between two looks at the loss
WARM_UP = 2  # calls on CUDA before a function is recorded
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's mallopt
LARGEST_INT = 2**31 - 1
PROCESSOR, NATIVE_BFLOAT16 = Path("/proc/cpuinfo"), {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True, eq=False)
class Minimum:
    """What a `Minimiser` found."""

    image: Tensor  #: (1, 3, H, W) in [0, 1]: the best picture seen
    loss: float  #: its loss; not finite if no picture had a finite loss
    first_loss: float  #: the loss of the start
    last_loss: float  #: the loss of the last picture tried, which need not be the best
    terms: list[float]  #: the parts of the loss, in the order of the loss function
    evaluations: int  #: of the loss and its gradient
    inverse_curvature: float  #: step per gradient of the last pair, 0 if unknown; starts a similar minimisation


class Minimiser:
    """Finds pictures of one size with little loss, as often as it is asked.

    Args:
        loss: differentiable; called once an evaluation. What it reads may change between two runs, but in place: on
            CUDA it is called a few times only, and then played back with the tensors that it read.
        like: (1, 3, H, W) float32, of the size and on the device.
        terms: length of the vector that `loss` returns.
        method: a key of `optimizers.OPTIMIZERS`.
        tape: to record on; None if nothing is to be recorded.
    """

    def __init__(
        self, loss: Loss, like: Tensor, terms: int, *, method: str = "lbfgs", tape: Tape | None = None
    ) -> None:
        self.optimizer = OPTIMIZERS[method](_evaluator(loss), like, terms)
        self.evaluate_start: Callable[[], None] = self.optimizer.evaluate_start
        self.advance: Callable[[], None] = self.optimizer.advance
        if tape is not None:
            first = Recording(self.optimizer.evaluate_start, tape)
            self.evaluate_start, self.advance = first, Recording(self.optimizer.advance, tape, also=first)

    def run(
        self,
        start: Tensor,
        *,
        evaluations: int,
        tolerance: float = 0.0,
        first_check: int = CHECK_EVERY,
        inverse_curvature: float = 0.0,
        caution: float = 1.0,
        freedom: Tensor | None = None,
        seen: Callable[[Tensor], None] | None = None,
    ) -> Minimum:
        """The picture near `start` with the least loss, its pixels kept in [0, 1].

        Args:
            start: (1, 3, H, W) float32 in [0, 1].
            evaluations: of the loss, at most.
            tolerance: stop when `CHECK_EVERY` evaluations lower the loss by less than this fraction.
            first_check: evaluations after which that is looked at for the first time.
            inverse_curvature: `Minimum.inverse_curvature` of a similar minimisation, or 0.
            caution: divides the length of every step that is not derived from a measured inverse curvature.
            freedom: (1, 1, H, W) above 0, how far each pixel moves in a step beside others; None for all alike.
            seen: called after each step with the best picture so far, which the next step changes.
        """
        found = self.optimizer
        found.start(start.detach().clamp(0, 1), inverse_curvature, caution, freedom)
        self.evaluate_start()
        first, done, before = found.value.clone(), 1, math.nan
        while True:
            checked = done >= first_check and (done - first_check) % CHECK_EVERY == 0
            if checked or done >= evaluations:
                *terms, value, first_value, last_value, measured = self.read(first)
                gained = (first_value if math.isnan(before) else before) - value
                goes_on = gained >= tolerance * (gained + value) and math.isfinite(value) and value != 0
                if done >= evaluations or not goes_on:
                    break
                before = value
            self.advance()
            done += 1
            if seen is not None:
                seen(found.image)
        # Where every step was refused, what they measured is noise, and steps of its length would be refused again.
        known = measured if value < first_value or done == 1 else 0.0
        return Minimum(found.image.clone(), value, first_value, last_value, terms, done, known)

    def read(self, first: Tensor) -> list[float]:
        """The terms, the loss, the first one, that of the last try, the inverse curvature: waits for the device."""
        found = self.optimizer
        ends = torch.stack([found.value, first, found.tried_value, found.inverse_curvature])
        numbers: list[float] = torch.cat([found.terms, ends]).tolist()
        return numbers


def _evaluator(loss: Loss) -> Evaluate:
    def evaluate(image: Tensor) -> Evaluation:
        x = image.detach().requires_grad_()
        with torch.enable_grad():
            value, terms = loss(x)
        (gradient,) = torch.autograd.grad(value, x)
        # At a bound, a gradient that points out of [0, 1] cannot be followed and must not change the curvature. Of a
        # picture in [0, 1] these limits are 0 there and far beyond any gradient elsewhere.
        largest = torch.finfo(image.dtype).max
        kept = gradient.clamp((image - 1) * largest, image * largest)
        return value.detach().float(), kept, terms.detach()

    return evaluate


class Tape:
    """What recordings on CUDA share: a stream and scratch memory, in which none of them leaves anything."""

    def __init__(self) -> None:
        self.stream, self.pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()


class Recording:
    """A function of nothing that works in place on CUDA tensors, from its third call on played back as a graph.

    The processor then starts one graph instead of some hundred kernels. The first calls run as they are, on the stream
    that is recorded later, so that libraries set themselves up (PyTorch, "CUDA semantics", "Whole-network capture").

    Args:
        also: recorded at the same time, so that the memory that it needs is taken before the first frame is done.
    """

    def __init__(self, function: Callable[[], None], tape: Tape, also: Recording | None = None) -> None:
        self.function, self.tape, self.also, self.calls = function, tape, also, 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if self.graph is None and self.calls < WARM_UP:
            self.calls += 1
            here = torch.cuda.current_stream()
            self.tape.stream.wait_stream(here)
            with torch.cuda.stream(self.tape.stream):
                self.function()
            here.wait_stream(self.tape.stream)
            return
        if self.also is not None:
            self.also.recorded()
        self.recorded().replay()

    def recorded(self) -> torch.cuda.CUDAGraph:
        """The graph; recording executes nothing."""
        if self.graph is None:
            graph = torch.cuda.CUDAGraph()
            # Other threads decode, save and free memory meanwhile; `engine` keeps them from the device.
            with torch.cuda.graph(
                graph, pool=self.tape.pool, stream=self.tape.stream, capture_error_mode="thread_local"
            ):
                self.function()
            self.graph = graph  # only now: a recording that failed must not be played
        return self.graph


class RecordedFunction:
    """A function of tensors that is recorded for each combination of their shapes, if there is a tape.

    What it returns is overwritten by its next call for the same shapes.
    """

    def __init__(self, function: Callable[..., Tensor], tape: Tape | None) -> None:
        self.function, self.tape = function, tape
        self._recorded: dict[tuple[torch.Size, ...], tuple[list[Tensor], list[Tensor], Recording]] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        if self.tape is None:
            return self.function(*inputs)
        shapes = tuple(one.shape for one in inputs)
        if shapes not in self._recorded:
            kept, results = [one.clone() for one in inputs], list[Tensor]()

            def run() -> None:
                result = self.function(*kept)
                if results:
                    results[0].copy_(result)
                else:
                    results.append(result.clone())

            self._recorded[shapes] = kept, results, Recording(run, self.tape)
        kept, results, recording = self._recorded[shapes]
        for one, new in zip(kept, inputs, strict=True):
            one.copy_(new)
        recording()
        return results[0]


def pick_precision(name: Precision, device: torch.device) -> Precision:
    """The number format of that name; "auto" is bfloat16 where the device has instructions for it, else float32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device.type == "cpu" and NATIVE_BFLOAT16 & _processor_flags() else "float32"


@functools.cache
def _processor_flags() -> set[str]:
    return set(PROCESSOR.read_text().split()) if PROCESSOR.is_file() else set()


def prepare(network: nn.Module, device: torch.device, precision: Precision) -> None:
    """Move the network to its device, its convolutions to their precision and the memory format that they like."""
    kinds: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    dtype = kinds[pick_precision(precision, device)]
    if device.type == "cpu":
        keep_freed_memory()
    network.to(device).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(dtype)


@functools.cache
def keep_freed_memory() -> None:
    """Let what this process frees stay with it, where the C library is glibc; elsewhere nothing happens.

    By default glibc maps every feature map anew, and the system fills each page with zeros as it is first touched: with
    VGG-19 at 512 pixels that is a third of the time of an evaluation.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, LARGEST_INT)

"""The iteration: a picture is moved down the gradient of its loss. Precision, memory format and devices live here.

Nothing in the loops waits for the device: decisions are taken with `torch.where` on the device, and the host looks at
the loss once in `CHECK_EVERY` evaluations, to stop early.
"""

from __future__ import annotations

import ctypes
import functools
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidstyle.errors import MemoryLimitError, UsageError

# A loss: picture (1, 3, H, W) -> its value () and a vector of the terms it is made of, for the record.
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]

HISTORY = 6  # curvature pairs that L-BFGS remembers; of 4, 8, 12, 20 none lowers a loss by 2 % more than another
KNEE = 0.03  # cycles per pixel, above which a step falls with the frequency
FIRST_STEP = 0.02  # root mean square change of a pixel (of 1) in the very first step
LONGEST_STEP = 0.1  # and the most that any step may change
CURVATURE_FLOOR = 1e-4  # least cosine between a step and the change of its gradient for the pair to be believed
CHECK_EVERY = 10  # evaluations between two looks at the loss
ADAM_BETAS = (0.9, 0.99)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's mallopt
LARGEST_INT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Minimum:
    """What `minimise` found."""

    image: Tensor  #: (1, 3, H, W) in [0, 1]: the best picture seen
    loss: float  #: its loss; not finite if no picture had a finite loss
    first_loss: float  #: the loss of the start
    last_loss: float  #: the loss of the last picture tried, which need not be the best
    terms: list[float]  #: the parts of the loss, in the order of the loss function
    evaluations: int  #: of the loss and its gradient
    curvature: float  #: step per gradient that suited last, 0 if unknown; a good start for a similar minimisation


def minimise(
    loss: Loss,
    start: Tensor,
    *,
    method: str = "lbfgs",
    evaluations: int,
    tolerance: float = 0.0,
    curvature: float = 0.0,
    caution: float = 1.0,
) -> Minimum:
    """The picture near `start` with the least `loss`, its pixels kept in [0, 1].

    Args:
        loss: differentiable; called once an evaluation.
        start: (1, 3, H, W) float32 in [0, 1].
        method: a key of `METHODS`.
        evaluations: of the loss, at most.
        tolerance: stop when `CHECK_EVERY` evaluations lower the loss by less than this fraction.
        curvature: `Minimum.curvature` of a similar minimisation, or 0.
        caution: divides the length of every step that is not derived from measured curvature.
    """
    run = METHODS[method](_evaluator(loss), start.detach().clamp(0, 1), curvature, caution)
    last = math.inf
    for done, best in enumerate(run, 1):
        if done == 1:
            first = best
        if done == evaluations:
            break
        if done % CHECK_EVERY == 0:
            value = float(best.value)
            if not math.isfinite(value) or last - value < tolerance * last or value == 0:
                break
            last = value
    ends = torch.stack([best.value, first.value, best.tried_value, best.curvature])
    *terms, value, first_value, last_value, measured = torch.cat([best.terms.float(), ends]).tolist()
    return Minimum(best.image, value, first_value, last_value, terms, done, measured)


@dataclass(frozen=True, eq=False)
class _Best:
    image: Tensor
    value: Tensor
    terms: Tensor
    tried_value: Tensor
    curvature: Tensor


Evaluation = tuple[Tensor, Tensor, Tensor]  # value (), gradient like the picture, terms (K,)


def _evaluator(loss: Loss) -> Callable[[Tensor], Evaluation]:
    def evaluate(image: Tensor) -> Evaluation:
        x = image.detach().requires_grad_()
        with torch.enable_grad():
            value, terms = loss(x)
        (gradient,) = torch.autograd.grad(value, x)
        # At a bound, a gradient that points out of [0, 1] cannot be followed and must not bend the curvature.
        blocked = ((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0))
        return value.detach().float(), gradient.masked_fill(blocked, 0), terms.detach()

    return evaluate


def _lbfgs(evaluate: Callable[[Tensor], Evaluation], x: Tensor, curvature: float, caution: float) -> Iterator[_Best]:
    """Limited-memory BFGS without a line search: a step that does not lower the loss is undone, its curvature is kept.

    Every evaluation yields the best picture so far; it never gets worse. After a refused step the next one is a quarter
    as long, after an accepted one it may be twice as long again.
    """
    value, gradient, terms = evaluate(x)
    pairs = _Pairs(x)
    measured = torch.full_like(value, curvature)
    longest = torch.full_like(value, LONGEST_STEP / caution)
    radius = longest
    tried_value = value
    while True:
        yield _Best(x, value, terms, tried_value, measured)
        step = -pairs.inverse_hessian(gradient, measured, FIRST_STEP / caution)
        step = step * (radius / _rms(step)).clamp(max=1)
        tried = (x + step).clamp(0, 1)
        tried_value, tried_gradient, tried_terms = evaluate(tried)
        measured = pairs.add(tried - x, tried_gradient - gradient, measured)
        better = tried_value < value  # false for NaN
        radius = torch.where(better, torch.minimum(2 * radius, longest), _rms(step) / 4)
        x, value = torch.where(better, tried, x), torch.where(better, tried_value, value)
        gradient, terms = torch.where(better, tried_gradient, gradient), torch.where(better, tried_terms, terms)


class _Pairs:
    """The last steps s and the changes y of the gradient over them, and the inverse Hessian H that they imply.

    The compact form of Byrd, Nocedal and Schnabel (1994), theorem 2.2, instead of the two-loop recursion: products
    with tall matrices and some small operations, all on the device. H begins as gamma * `coarse_first`.
    """

    def __init__(self, like: Tensor) -> None:
        self.steps = like.new_zeros(HISTORY, like.numel())  # S^T: memory is HISTORY pictures, twice
        self.changes = like.new_zeros(HISTORY, like.numel())  # (P Y)^T, for P = coarse_first
        small = torch.float32 if like.device.type == "mps" else torch.float64
        self.sy, self.ypy = (like.new_zeros(HISTORY, HISTORY, dtype=small) for _ in range(2))  # S^T Y and Y^T P Y
        self.order = torch.stack([torch.arange(HISTORY).roll(-shift) for shift in range(HISTORY)]).to(like.device)
        self.count = 0

    def add(self, step: Tensor, change: Tensor, measured: Tensor) -> Tensor:
        """Remember a pair if its curvature is positive; returns its gamma, s.y / y.Py, or `measured` if it is not."""
        s, y, p = step.flatten(), change.flatten(), coarse_first(change).flatten()
        ss, sy, yy, yp = s @ s, s @ y, y @ y, y @ p
        believed = sy > CURVATURE_FLOOR * (ss * yy).sqrt()  # false for NaN
        length = torch.where(believed, ss.sqrt(), 1)
        slot = self.count % HISTORY
        # A refused pair is a row of zeros: it then has no part in any product below.
        self.steps[slot] = torch.where(believed, s / length, 0)
        self.changes[slot] = torch.where(believed, p / length, 0)
        y = torch.where(believed, y / length, 0)
        # Of S^T Y only what is not below the diagonal in the order of time is read: older rows are right as they are.
        self.sy[:, slot] = (self.steps @ y).to(self.sy)
        self.ypy[:, slot] = self.ypy[slot] = (self.changes @ y).to(self.ypy)
        self.count += 1
        return torch.where(believed, sy / yp, measured)

    def inverse_hessian(self, gradient: Tensor, gamma: Tensor, first: float) -> Tensor:
        """H g, the shape of `gradient`; while gamma is zero, unknown, such that its root mean square is `first`."""
        smooth = coarse_first(gradient)
        gamma = torch.where(gamma > 0, gamma, first / _rms(smooth))
        if not self.count:
            first_step: Tensor = gamma * smooth
            return first_step
        g = gradient.flatten()
        order = self.order[self.count % HISTORY]  # oldest first
        sg, yg = ((rows @ g)[order].to(self.sy) for rows in (self.steps, self.changes))
        sy, ypy = (products[order][:, order] for products in (self.sy, self.ypy))
        diagonal, wide = sy.diagonal(), gamma.to(self.sy)
        r = sy.triu() + torch.diag((diagonal == 0).to(self.sy))
        q = torch.linalg.solve_triangular(r, sg[:, None], upper=True)
        right: Tensor = (torch.diag(diagonal) + wide * ypy) @ q - wide * yg[:, None]
        p = torch.linalg.solve_triangular(r.T, right, upper=False)
        back = torch.empty_like(order).scatter_(0, order, torch.arange(HISTORY, device=order.device))
        p, q = p[back, 0].to(g.dtype), q[back, 0].to(g.dtype)
        product: Tensor = gamma * smooth + (p @ self.steps - gamma * (q @ self.changes)).view_as(gradient)
        return product


def coarse_first(gradient: Tensor) -> Tensor:  # (1, 3, H, W), the same
    """Divide the spectrum by sqrt(1 + (f / KNEE)^2): what spans many pixels moves further than what spans few.

    A step along the plain gradient is mostly fine grain. Olah et al. 2017, "Feature visualization",
    https://distill.pub/2017/feature-visualization, "Preconditioning and parameterization", scale by 1 / f.
    """
    height, width = gradient.shape[-2:]
    down = torch.fft.fftfreq(height, device=gradient.device)[:, None]
    across = torch.fft.rfftfreq(width, device=gradient.device)
    scale = (1 + (down.square() + across.square()) / KNEE**2).rsqrt()
    smooth: Tensor = torch.fft.irfft2(scale * torch.fft.rfft2(gradient), s=(height, width))
    return smooth


def _adam(evaluate: Callable[[Tensor], Evaluation], x: Tensor, curvature: float, caution: float) -> Iterator[_Best]:
    """Adam (Kingma & Ba, https://arxiv.org/abs/1412.6980), steps of FIRST_STEP, yielding the best picture so far."""
    value, gradient, terms = evaluate(x)
    best = _Best(x, value, terms, value, torch.zeros_like(value))
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    count = 0
    while True:
        yield best
        count += 1
        first = torch.lerp(gradient, first, ADAM_BETAS[0])
        second = torch.lerp(gradient.square(), second, ADAM_BETAS[1])
        scale = (second / (1 - ADAM_BETAS[1] ** count)).sqrt() + 1e-12
        x = (x - FIRST_STEP / caution / (1 - ADAM_BETAS[0] ** count) * first / scale).clamp(0, 1)
        value, gradient, terms = evaluate(x)
        better = value < best.value
        best = _Best(
            torch.where(better, x, best.image),
            torch.where(better, value, best.value),
            torch.where(better, terms, best.terms),
            value,
            best.curvature,
        )


METHODS: dict[str, Callable[[Callable[[Tensor], Evaluation], Tensor, float, float], Iterator[_Best]]] = {
    "lbfgs": _lbfgs,
    "adam": _adam,
}


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt().clamp_min(torch.finfo(torch.float32).tiny)


def pick_device(name: str) -> torch.device:
    """The device that a name or "auto" means. Raises `UsageError` if it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, found in there.items() if found))
    if not there.get(name, False):
        found = ", ".join(kind for kind, found in there.items() if found)
        raise UsageError(f"--device {name} is not available on this machine; available: {found}")
    return torch.device(name)


def place(network: nn.Module, device: torch.device, precision: str) -> None:
    """Move the network to its device, its convolutions to their precision and the memory format that they like."""
    kinds: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if device.type == "cpu":
        keep_freed_memory()
    network.to(device).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(kinds[precision])


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


@contextmanager
def engine(device: torch.device) -> Iterator[None]:
    """Run the engine inside: the same bits at every run, TF32 on CUDA, and running out of memory said in a sentence.

    Raises:
        MemoryLimitError: the device had too little memory.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, False, True, False
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryLimitError(_out_of_memory(device)) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise MemoryLimitError(_out_of_memory(device)) from error
        raise
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


def _out_of_memory(device: torch.device) -> str:
    return f"the picture does not fit the memory of {device}; give a smaller --size, or --network compact"

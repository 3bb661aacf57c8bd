"""The optimisers L-BFGS and Adam, which change a picture to lower its loss, one evaluation at a time.

An optimiser keeps everything that changes in tensors of its own, writes into them in place, and decides with
`torch.where` on the device. So `evaluate_start` and `advance` are the same kernels on the same memory at every call,
and `vidstyle.core.optimize` can record them once and play them back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

HISTORY = 6  # curvature pairs that L-BFGS keeps; of 4, 8, 12, 20 none lowers a loss by 2 % more than another
KNEE = 0.03  # cycles per pixel, above which a step falls with the frequency
FIRST_STEP = 0.02  # root mean square change of a pixel (of 1) in the very first step
LONGEST_STEP = 0.1  # and the most that any step may change
SHORTEST_STEP = 1e-4  # that measures an inverse curvature worth handing on; what shorter ones measure is rounding
CURVATURE_FLOOR = 1e-4  # least cosine between a step and the change of its gradient for the pair to be believed
ADAM_BETAS = (0.9, 0.99)

Evaluation = tuple[Tensor, Tensor, Tensor]  # value (), gradient like the picture, terms (K,)
Evaluate = Callable[[Tensor], Evaluation]


class Optimizer(Protocol):
    """A minimisation in progress. The attributes are the same tensors from birth on."""

    image: Tensor  #: (1, 3, H, W) in [0, 1]: the best picture so far; it never gets worse
    value: Tensor  #: (), its loss
    terms: Tensor  #: (K,), the parts of its loss
    tried_value: Tensor  #: (), the loss of the last picture tried
    inverse_curvature: Tensor  #: (), step per gradient of the last accepted step above SHORTEST_STEP, 0 if unknown

    def start(self, image: Tensor, inverse_curvature: float, caution: float, freedom: Tensor | None = None) -> None:
        """Forget all earlier steps and start from `image`.

        Args:
            image: (1, 3, H, W).
            inverse_curvature: a first value of the attribute, or 0.
            caution: divides the length of steps that no measured inverse curvature tells.
            freedom: (1, 1, H, W) above 0, how far each pixel moves in a step beside others; None for all alike.
        """
        ...

    def evaluate_start(self) -> None:
        """The first evaluation, of the start."""
        ...

    def advance(self) -> None:
        """A step and its evaluation."""
        ...


class Lbfgs:
    """Limited-memory BFGS without a line search: a step that does not lower the loss is undone.

    Its curvature pair is kept all the same. After a refused step the next one is a quarter as long, after an accepted
    one it may be twice as long again.

    Args:
        evaluate: of a picture, the loss, its gradient and its terms.
        like: a picture of the size.
        terms: how many terms the loss has.
    """

    def __init__(self, evaluate: Evaluate, like: Tensor, terms: int) -> None:
        self.evaluate = evaluate
        self.image, self.gradient = torch.zeros_like(like), torch.zeros_like(like)
        self.freedom = torch.ones_like(like[:, :1])
        self.value, self.tried_value, self.inverse_curvature = like.new_zeros(3).unbind()
        self.radius, self.longest, self.first = like.new_zeros(3).unbind()
        self.gamma = torch.zeros_like(self.inverse_curvature)  # step per gradient of the last pair that was believed
        self.terms = like.new_zeros(terms)
        self.precondition = Preconditioner(like)
        # The last steps s and the changes y of the gradient over them: memory is HISTORY pictures, twice.
        self.steps = like.new_zeros(HISTORY, like.numel())  # S^T
        self.changes = like.new_zeros(HISTORY, like.numel())  # (P Y)^T, for P = Preconditioner
        small = torch.float32 if like.device.type == "mps" else torch.float64
        self.products = like.new_zeros(2, HISTORY, HISTORY, dtype=small)
        self.sy, self.ypy = self.products.unbind()  # S^T Y and Y^T P Y
        self.rows = torch.arange(HISTORY, device=like.device)
        self.count = torch.zeros_like(self.rows[:1])  # pairs seen, (1,)

    def start(self, image: Tensor, inverse_curvature: float, caution: float, freedom: Tensor | None = None) -> None:
        """See `Optimizer`."""
        self.image.copy_(image)
        self.freedom.copy_(torch.ones_like(self.freedom) if freedom is None else freedom)
        self.inverse_curvature.fill_(inverse_curvature)
        self.gamma.fill_(inverse_curvature)
        self.longest.fill_(LONGEST_STEP / caution)
        self.first.fill_(FIRST_STEP / caution)
        self.radius.copy_(self.longest)
        for memory in (self.steps, self.changes, self.products, self.count):
            memory.zero_()

    def evaluate_start(self) -> None:
        """See `Optimizer`."""
        value, gradient, terms = self.evaluate(self.image)
        self.value.copy_(value)
        self.tried_value.copy_(value)
        self.gradient.copy_(gradient)
        self.terms.copy_(terms)

    def advance(self) -> None:
        """See `Optimizer`."""
        # The memory is of a picture in units of `freedom`: its steps are shorter, and its gradients longer to match.
        step = -self.freedom * self.newton(self.freedom * self.gradient)
        step = step * (self.radius / rms(step)).clamp(max=1)
        tried = (self.image + step).clamp(0, 1)
        value, gradient, terms = self.evaluate(tried)
        self.store_pair((tried - self.image) / self.freedom, self.freedom * (gradient - self.gradient))
        better = value < self.value  # false for NaN
        self.tried_value.copy_(value)
        measured = better & (rms(tried - self.image) > SHORTEST_STEP)
        self.inverse_curvature.copy_(torch.where(measured, self.gamma, self.inverse_curvature))
        self.radius.copy_(torch.where(better, torch.minimum(2 * self.radius, self.longest), rms(step) / 4))
        for kept, new in ((self.image, tried), (self.value, value), (self.gradient, gradient), (self.terms, terms)):
            kept.copy_(torch.where(better, new, kept))

    def store_pair(self, step: Tensor, change: Tensor) -> None:
        """Keep a pair if its curvature is positive, and its inverse curvature gamma = s.y / y.Py."""
        s, y, p = step.flatten(), change.flatten(), self.precondition(change).flatten()
        ss, sy, yy, yp = s @ s, s @ y, y @ y, y @ p
        believed = sy > CURVATURE_FLOOR * (ss * yy).sqrt()  # false for NaN
        length = torch.where(believed, ss.sqrt(), 1)
        slot = self.count % HISTORY
        # A refused pair is a row of zeros: it then has no part in any product below.
        self.steps.index_copy_(0, slot, torch.where(believed, s / length, 0)[None])
        self.changes.index_copy_(0, slot, torch.where(believed, p / length, 0)[None])
        y = torch.where(believed, y / length, 0)
        # Of S^T Y only what is not below the diagonal in the order of time is read: older rows are right as they are.
        self.sy.index_copy_(1, slot, (self.steps @ y).to(self.sy)[:, None])
        products = (self.changes @ y).to(self.ypy)
        self.ypy.index_copy_(1, slot, products[:, None]).index_copy_(0, slot, products[None])
        self.count += 1
        self.gamma.copy_(torch.where(believed, sy / yp, self.gamma))

    def newton(self, gradient: Tensor) -> Tensor:
        """H g, the shape of `gradient`, for the inverse Hessian H that the pairs imply, beginning with gamma * P.

        The compact form of Byrd, Nocedal and Schnabel (1994), theorem 2.2, instead of the two-loop recursion: products
        with tall matrices and some small operations. While gamma is unknown, it is such that the step has the length
        of a first one.
        """
        preconditioned = self.precondition(gradient)
        gamma = torch.where(self.gamma > 0, self.gamma, self.first / rms(preconditioned))
        g = gradient.flatten()
        order = (self.rows + self.count) % HISTORY  # oldest first
        sg, yg = ((rows @ g)[order].to(self.sy) for rows in (self.steps, self.changes))
        sy, ypy = (products[order][:, order] for products in (self.sy, self.ypy))
        diagonal, wide = sy.diagonal(), gamma.to(self.sy)
        r = sy.triu() + torch.diag((diagonal == 0).to(self.sy))
        q = torch.linalg.solve_triangular(r, sg[:, None], upper=True)
        right: Tensor = (torch.diag(diagonal) + wide * ypy) @ q - wide * yg[:, None]
        p = torch.linalg.solve_triangular(r.T, right, upper=False)
        back = (self.rows - self.count) % HISTORY  # undoes that order
        p, q = p[back, 0].to(g.dtype), q[back, 0].to(g.dtype)
        product: Tensor = gamma * preconditioned + (p @ self.steps - gamma * (q @ self.changes)).view_as(gradient)
        return product


class Preconditioner:
    """Divides the spectrum of a gradient by sqrt(1 + (f / KNEE)^2): what spans many pixels moves further.

    A step along the plain gradient is mostly fine grain. Olah et al. 2017, "Feature visualization",
    https://distill.pub/2017/feature-visualization, "Preconditioning and parameterization", scale by 1 / f.
    """

    def __init__(self, like: Tensor) -> None:
        self.size = like.shape[-2:]
        down = torch.fft.fftfreq(self.size[0], device=like.device, dtype=like.dtype)[:, None]
        across = torch.fft.rfftfreq(self.size[1], device=like.device, dtype=like.dtype)
        self.scale = (1 + (down.square() + across.square()) / KNEE**2).rsqrt()

    def __call__(self, gradient: Tensor) -> Tensor:  # (1, 3, H, W), the same
        smooth: Tensor = torch.fft.irfft2(self.scale * torch.fft.rfft2(gradient), s=self.size)
        return smooth


class Adam:
    """Adam (Kingma & Ba, https://arxiv.org/abs/1412.6980), with steps of FIRST_STEP; the arguments are `Lbfgs`'s."""

    def __init__(self, evaluate: Evaluate, like: Tensor, terms: int) -> None:
        self.evaluate = evaluate
        self.image, self.last = torch.zeros_like(like), torch.zeros_like(like)
        self.freedom = torch.ones_like(like[:, :1])
        self.gradient, self.mean, self.square = (torch.zeros_like(like) for _ in range(3))
        self.value, self.tried_value, self.inverse_curvature, self.length, self.count = like.new_zeros(5).unbind()
        self.terms = like.new_zeros(terms)

    def start(self, image: Tensor, inverse_curvature: float, caution: float, freedom: Tensor | None = None) -> None:
        """See `Optimizer`; `inverse_curvature` is not used."""
        self.freedom.copy_(torch.ones_like(self.freedom) if freedom is None else freedom)
        for kept in (self.image, self.last):
            kept.copy_(image)
        self.length.fill_(FIRST_STEP / caution)
        for memory in (self.mean, self.square, self.count):
            memory.zero_()

    def evaluate_start(self) -> None:
        """See `Optimizer`."""
        value, gradient, terms = self.evaluate(self.image)
        for kept, new in (
            (self.value, value),
            (self.tried_value, value),
            (self.gradient, gradient),
            (self.terms, terms),
        ):
            kept.copy_(new)

    def advance(self) -> None:
        """See `Optimizer`."""
        self.count += 1
        self.mean.lerp_(self.gradient, 1 - ADAM_BETAS[0])
        self.square.lerp_(self.gradient.square(), 1 - ADAM_BETAS[1])
        scale = (self.square / (1 - ADAM_BETAS[1] ** self.count)).sqrt() + 1e-12
        step = self.freedom * self.length / (1 - ADAM_BETAS[0] ** self.count) * self.mean / scale
        self.last.copy_((self.last - step).clamp(0, 1))
        value, gradient, terms = self.evaluate(self.last)
        better = value < self.value
        self.tried_value.copy_(value)
        self.gradient.copy_(gradient)
        for kept, new in ((self.image, self.last), (self.value, value), (self.terms, terms)):
            kept.copy_(torch.where(better, new, kept))


OPTIMIZERS: dict[str, Callable[[Evaluate, Tensor, int], Optimizer]] = {"lbfgs": Lbfgs, "adam": Adam}


def rms(x: Tensor) -> Tensor:
    """Root mean square, never zero."""
    return x.square().mean().sqrt().clamp_min(torch.finfo(torch.float32).tiny)

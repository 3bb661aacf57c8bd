"""The optimiser on functions whose minimum is known, and its promises."""

import math

import pytest
import torch

from vidstyle import optimize
from vidstyle.errors import UsageError


def quadratic(center, scale):
    def loss(x):
        value = (scale * (x - center).square()).sum()
        return value, torch.stack([value, value * 0])

    return loss


@pytest.fixture
def bowl():
    generator = torch.Generator().manual_seed(0)
    center = torch.rand(1, 3, 12, 14, generator=generator) * 0.8 + 0.1
    scale = torch.logspace(-2, 2, center.numel()).view_as(center)
    return center, scale


@pytest.mark.parametrize("method", list(optimize.METHODS))
def test_finds_the_minimum(bowl, method):
    center, scale = bowl
    start = torch.full_like(center, 0.5)
    found = optimize.minimise(quadratic(center, scale), start, method=method, evaluations=400)
    assert found.loss < 1e-3 * found.first_loss
    assert found.evaluations == 400
    assert found.terms[0] == pytest.approx(found.loss)


def test_compact_form_is_the_two_loop_recursion(bowl):
    center, scale = bowl
    generator = torch.Generator().manual_seed(1)
    pairs = optimize._Pairs(center)
    history = []
    inverse = torch.tensor(0.3)
    for _ in range(optimize.HISTORY + 5):  # more than it remembers
        s = torch.randn(center.shape, generator=generator)
        y = scale * s
        history.append((s.flatten().double(), y.flatten().double()))
        inverse = pairs.add(s, y, inverse)
    g = torch.randn(center.shape, generator=generator)
    q = g.flatten().double()
    history = history[-optimize.HISTORY :]
    steps = []
    for s, y in reversed(history):
        a = (s @ q) / (s @ y)
        steps.append(a)
        q = q - a * y
    r = float(inverse) * optimize.coarse_first(q.view(center.shape)).flatten()
    for (s, y), a in zip(history, reversed(steps), strict=True):
        r = r + s * (a - (y @ r) / (s @ y))
    found = pairs.inverse_hessian(g, inverse, 0.02).flatten().double()
    assert torch.allclose(found, r, rtol=1e-3, atol=1e-3 * r.abs().max())


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 7, 12), (1, 3, 12, 7)])
def test_coarse_first_is_symmetric_and_keeps_means(shape):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    assert torch.allclose((a * optimize.coarse_first(b)).sum(), (b * optimize.coarse_first(a)).sum())
    assert torch.allclose(optimize.coarse_first(a).mean(dim=(2, 3)), a.mean(dim=(2, 3)))
    assert (a * optimize.coarse_first(a)).sum() > 0


def test_first_step_has_the_length_that_was_asked_for():
    gradient = torch.randn(1, 3, 16, 18, generator=torch.Generator().manual_seed(0))
    step = optimize._Pairs(gradient).inverse_hessian(gradient, torch.tensor(0.0), 0.02)
    assert float(step.square().mean().sqrt()) == pytest.approx(0.02, rel=1e-4)


def test_never_gets_worse_and_stays_a_picture(bowl):
    center, scale = bowl
    seen = []

    def rough(x):
        value = (scale * (x - center).square()).sum() + 0.3 * torch.sin(40 * x).sum()
        seen.append(x.detach())
        return value, value[None]

    losses = [optimize.minimise(rough, torch.zeros_like(center), evaluations=n).loss for n in (1, 3, 10, 40)]
    assert losses == sorted(losses, reverse=True)
    assert all(x.min() >= 0 and x.max() <= 1 for x in seen)


def test_steps_into_nan_are_taken_back(bowl):
    center, scale = bowl

    def cliff(x):
        value = (scale * (x - center).square()).sum()
        value = value + torch.where((x - 0.5).abs().max() > 0.03, torch.nan, 0.0)
        return value, value[None]

    found = optimize.minimise(cliff, torch.full_like(center, 0.5), evaluations=60)
    assert math.isfinite(found.loss)
    assert found.loss < found.first_loss
    assert torch.isfinite(found.image).all()


def test_carried_curvature_saves_the_first_steps(bowl):
    center, scale = bowl
    start = torch.full_like(center, 0.5)
    loss = quadratic(center, scale)
    known = optimize.minimise(loss, start, evaluations=30).curvature
    assert known > 0
    near = center + 0.01 * torch.sign(start - center)
    anew, warm = (optimize.minimise(loss, near, evaluations=4, curvature=c).loss for c in (0.0, known))
    assert warm < anew


def test_stops_when_nothing_is_left_to_gain(bowl):
    center, scale = bowl
    found = optimize.minimise(quadratic(center, scale), center.clone(), evaluations=500, tolerance=1e-3)
    assert found.evaluations <= optimize.CHECK_EVERY
    assert torch.equal(found.image, center)


def test_unavailable_device_is_a_sentence():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UsageError, match="available: cpu"):
        optimize.pick_device("cuda")

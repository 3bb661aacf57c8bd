"""The style metrics against distances computed in other ways."""

import pytest
import torch

from vidstyle.core import stylemetrics
from vidstyle.core.stylemetrics import STYLE_METRICS, covariance, gram, moments, positions, wasserstein_distance


def features_of(channels, seed, *, positions=400, least=0.3):
    """Correlated features with a mean, (channels, positions), float64."""
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    noise = torch.randn(channels, positions, generator=generator, dtype=torch.float64)
    mean = torch.randn(channels, 1, generator=generator, dtype=torch.float64)
    return (factor / channels**0.5 + least * torch.eye(channels)) @ noise + mean


def statistics(f):
    """Moments of features (C, N), in the network's shape."""
    return moments(f.view(1, len(f), 1, -1)).to(f)


def distance(painted, style):
    """What the loss computes."""
    metric = STYLE_METRICS["wasserstein"]
    basis, target = metric.target(statistics(style))
    return metric.distance(metric.mapped(statistics(painted), basis), target)


def exact_distance(painted, style):
    """Squared Wasserstein-2 distance of Gaussians, from the eigenvalues of the product of their covariances."""
    (p, m), (s, n) = ((torch.cov(f, correction=0), f.mean(1)) for f in (painted, style))
    roots = torch.linalg.eigvals(p @ s).real.clamp_min(0).sqrt()
    return float((m - n).square().sum() + p.trace() + s.trace() - 2 * roots.sum())


def expanded_distance(painted, style):
    """The formula of `wasserstein_distance`, entry by entry, from features (C, N) float64."""
    s, mean = torch.cov(style, correction=0), style.mean(1)
    u, values, _ = torch.linalg.svd(s)  # eigenvectors by another routine; their signs do not matter
    floor = stylemetrics.VARIANCE_FLOOR * float(values.mean())
    p = u.T @ torch.cov(painted, correction=0) @ u
    total = float((painted.mean(1) - mean).square().sum())
    for i in range(len(values)):
        wanted, found = float(values[i]) + floor, float(p[i, i]) + floor
        total += (found**0.5 - wanted**0.5) ** 2
        for j in range(i):
            other, its = float(values[j]) + floor, float(p[j, j]) + floor
            share = (wanted * other / (found * its)) ** 0.5
            total += float(p[i, j]) ** 2 * share / ((wanted * found) ** 0.5 + (other * its) ** 0.5)
    return total


@pytest.fixture
def no_floor(monkeypatch):
    monkeypatch.setattr(stylemetrics, "VARIANCE_FLOOR", 0.0)


def test_gradients():
    features = torch.randn(1, 5, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    plain = torch.einsum("nchw,ndhw->cd", features, features) / 12
    second = torch.cat([plain, features.mean((0, 2, 3))[:, None]], dim=1)
    for expected, metric in ((plain, "gram"), (second, "wasserstein")):
        found = STYLE_METRICS[metric].statistic(features)
        weights = torch.arange(float(found.numel())).view_as(found).sin()  # not symmetric
        (wanted,) = torch.autograd.grad((expected * weights).sum(), features, retain_graph=True)
        (gradient,) = torch.autograd.grad((found * weights).sum(), features)
        assert torch.allclose(gradient, wanted, atol=1e-6)
        assert gradient.is_contiguous(memory_format=torch.channels_last)  # as the network's


@pytest.mark.parametrize("metric", list(STYLE_METRICS))
def test_a_style_is_at_no_distance_from_itself(metric):
    m = STYLE_METRICS[metric].statistic(features_of(6, 0).view(1, 6, 20, 20).float())
    basis, target = STYLE_METRICS[metric].target(m)
    found = STYLE_METRICS[metric].mapped(m, torch.eye(6) if basis is None else basis)
    nothing = STYLE_METRICS[metric].distance(torch.zeros_like(found), target)
    assert 0 <= float(STYLE_METRICS[metric].distance(found, target)) < 1e-9 * float(nothing)


@pytest.mark.usefixtures("no_floor")
def test_distance_is_exact_where_the_covariances_commute():
    style = features_of(6, 0)
    s = torch.cov(style, correction=0)
    u = torch.linalg.eigh(s).eigenvectors
    stretch = u @ torch.diag(torch.tensor([0.1, 3.0, 0.5, 1.0, 2.0, 0.7], dtype=torch.float64)) @ u.T
    painted = stretch @ (style - style.mean(1, keepdim=True)) + 0.3
    assert float(distance(painted, style)) == pytest.approx(exact_distance(painted, style), rel=1e-5)


@pytest.mark.usefixtures("no_floor")
@pytest.mark.parametrize("seed", range(4))
def test_distance_is_exact_to_second_order(seed):
    style = features_of(6, seed)
    away = 1e-3 * features_of(6, seed + 10)
    painted = style + away
    assert float(distance(painted, style)) == pytest.approx(exact_distance(painted, style), rel=1e-2)


@pytest.mark.parametrize("seed", range(8))
def test_distance_is_near_the_exact_one_elsewhere(seed):
    painted, style = features_of(12, seed), features_of(12, seed + 100)
    assert 0.8 < float(distance(painted, style)) / exact_distance(painted, style) < 3
    assert float(distance(painted, style)) == pytest.approx(expanded_distance(painted, style), rel=1e-5)


def test_distance_knows_no_directions():
    """Features turned by the same rotation are as far from each other as before."""
    painted, style = features_of(8, 1), features_of(8, 2)
    turn = torch.linalg.qr(features_of(8, 3)[:, :8]).Q
    assert float(distance(turn @ painted, turn @ style)) == pytest.approx(float(distance(painted, style)), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_a_distance_is_its_slope(seed):
    """Central differences in float64, of the distance of symmetric moments."""
    painted, style = (features_of(5, seed + shift) for shift in (0, 100))
    second = painted @ painted.T / painted.shape[1]
    m = torch.cat([second, painted.mean(1, keepdim=True)], dim=1).requires_grad_()
    target = STYLE_METRICS["wasserstein"].target(statistics(style))[1]
    (gradient,) = torch.autograd.grad(3 * wasserstein_distance(m, target), m)
    generator, step = torch.Generator().manual_seed(seed), 1e-5
    for _ in range(6):
        way = torch.randn(5, 6, generator=generator, dtype=torch.float64)
        way[:, :5] += way[:, :5].T.clone()
        ends = [3 * float(wasserstein_distance(m.detach() + sign * step * way, target)) for sign in (1, -1)]
        assert float((gradient * way).sum()) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


def test_a_variance_that_rounding_made_negative_has_no_slope():
    """The square root is taken of the floor there, which does not change."""
    target = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    m = torch.tensor([[-1e-3, 0.0, 0.0], [0.0, 1.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(wasserstein_distance(m, target), m)
    assert gradient[0, 0] == 0
    assert gradient[1, 1] < 0


def test_nothing_of_what_the_style_has_pulls_and_is_finite():
    """A direction in which a picture has no variance at all: the gradient is finite and wants more of it."""
    style = features_of(6, 0).float()
    painted = torch.zeros(6, 400).requires_grad_()
    noise = torch.randn(6, 400, generator=torch.Generator().manual_seed(1))
    value = distance(painted + noise * 1e-4, style)
    (gradient,) = torch.autograd.grad(value, painted)
    assert torch.isfinite(gradient).all()
    stepped = noise * 1e-4 - gradient / gradient.abs().max() * 1e-4
    assert (stepped.std(1) > (noise * 1e-4).std(1)).all()  # every direction gets more variance
    assert float(distance(stepped.detach(), style)) < float(value)
    for flat in (torch.zeros(6, 400), torch.ones(6, 400)):
        assert torch.isfinite(distance(style, flat)) and torch.isfinite(distance(flat, flat))


def test_what_is_not_finite_stays_so():
    """Weights gone wild are found by the loss, not by an eigendecomposition that does not converge."""
    style = features_of(6, 0).float()
    assert torch.isnan(distance(style, style * float("inf"))) and torch.isnan(distance(style * float("nan"), style))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize("size", [(256, 256), (90, 101), (5, 7)])
@pytest.mark.parametrize("statistic", [gram, moments])
@pytest.mark.parametrize(("channels", "fast"), [(16, True), (stylemetrics.WIDE, True), (stylemetrics.WIDE, False)])
def test_statistics_of_bfloat16_features_are_not_rounded_to_it(statistic, size, device, channels, fast, monkeypatch):
    """The products themselves, in float64, are what is wanted: rounded to bfloat16 they would differ by 2e-3."""
    if not fast:
        monkeypatch.setattr(stylemetrics, "_accumulates_in_float32", lambda: False)
    height, width = size
    f = features_of(channels, 5, positions=height * width) * torch.logspace(0, -1.5, channels)[:, None] / 4 + 2
    features = f.float().view(1, channels, height, width).contiguous(memory_format=torch.channels_last).bfloat16()
    plain = positions(features).double()
    wanted, found = plain.T @ plain / len(plain), statistic(features.to(device)).cpu()
    assert found.dtype == torch.float32
    assert torch.allclose(found[:, :channels].double(), wanted, rtol=1e-5, atol=0)
    if statistic is moments:
        assert torch.allclose(found[:, channels].double(), plain.mean(0), rtol=1e-6, atol=0)
    assert not torch.allclose(wanted.bfloat16().double(), wanted, rtol=1e-3, atol=0)


def test_covariance_of_moments():
    f = features_of(5, 4)
    assert torch.allclose(covariance(statistics(f)), torch.cov(f, correction=0), atol=1e-6)

"""The optimiser on functions whose minimum is known, and its promises."""

import math
import threading

import pytest
import torch

from vidstyle.core import optimize, optimizers
from vidstyle.errors import UsageError
from vidstyle.system.devices import engine, pick_device


def quadratic(center, scale):
    def loss(x):
        value = (scale * (x - center).square()).sum()
        return value, torch.stack([value, value * 0])

    return loss


def minimise(loss, start, method="lbfgs", **how):
    terms = len(loss(start)[1])
    return optimize.Minimiser(loss, start, terms, method=method).run(start, **how)


@pytest.fixture
def bowl():
    generator = torch.Generator().manual_seed(0)
    center = torch.rand(1, 3, 12, 14, generator=generator) * 0.8 + 0.1
    scale = torch.logspace(-2, 2, center.numel()).view_as(center)
    return center, scale


@pytest.mark.parametrize("method", list(optimizers.OPTIMIZERS))
def test_finds_the_minimum(bowl, method):
    center, scale = bowl
    start = torch.full_like(center, 0.5)
    found = minimise(quadratic(center, scale), start, method=method, evaluations=400)
    assert found.loss < 1e-3 * found.first_loss
    assert found.evaluations == 400
    assert found.terms[0] == pytest.approx(found.loss)


def test_compact_form_is_the_two_loop_recursion(bowl):
    center, scale = bowl
    generator = torch.Generator().manual_seed(1)
    found = optimizers.Lbfgs(None, center, 1)
    history = []
    for _ in range(optimizers.HISTORY + 5):  # more than it remembers
        s = torch.randn(center.shape, generator=generator)
        y = scale * s
        history.append((s.flatten().double(), y.flatten().double()))
        found.store_pair(s, y)
    g = torch.randn(center.shape, generator=generator)
    q = g.flatten().double()
    history = history[-optimizers.HISTORY :]
    steps = []
    for s, y in reversed(history):
        a = (s @ q) / (s @ y)
        steps.append(a)
        q = q - a * y
    r = float(found.gamma) * found.precondition(q.view(center.shape)).flatten()
    for (s, y), a in zip(history, reversed(steps), strict=True):
        r = r + s * (a - (y @ r) / (s @ y))
    assert torch.allclose(found.newton(g).flatten().double(), r, rtol=1e-3, atol=1e-3 * r.abs().max())


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 7, 12), (1, 3, 12, 7)])
def test_coarse_first_is_symmetric_and_keeps_means(shape):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    smooth = optimizers.Preconditioner(a)
    assert torch.allclose((a * smooth(b)).sum(), (b * smooth(a)).sum())
    assert torch.allclose(smooth(a).mean(dim=(2, 3)), a.mean(dim=(2, 3)))
    assert (a * smooth(a)).sum() > 0


def test_first_step_has_the_length_that_was_asked_for():
    gradient = torch.randn(1, 3, 16, 18, generator=torch.Generator().manual_seed(0))
    found = optimizers.Lbfgs(None, gradient, 1)
    found.start(gradient, inverse_curvature=0.0, caution=1.0)
    step = found.newton(gradient)
    assert float(step.square().mean().sqrt()) == pytest.approx(optimizers.FIRST_STEP, rel=1e-4)


def test_never_gets_worse_and_stays_a_picture(bowl):
    center, scale = bowl
    seen = []

    def rough(x):
        value = (scale * (x - center).square()).sum() + 0.3 * torch.sin(40 * x).sum()
        seen.append(x.detach())
        return value, value[None]

    losses = [minimise(rough, torch.zeros_like(center), evaluations=n).loss for n in (1, 3, 10, 40)]
    assert losses == sorted(losses, reverse=True)
    assert all(x.min() >= 0 and x.max() <= 1 for x in seen)


def test_a_gradient_that_points_out_of_the_range_counts_nothing_at_a_bound():
    """Of pixels at 0, at 1, beside them and between, with each sign of the gradient."""
    one = torch.tensor(1.0)
    pixels = torch.stack([one * 0, one * 1e-20, one / 2, one.nextafter(one * 0), one]).repeat(2)
    slope = torch.tensor([-3.0] * 5 + [3.0] * 5)

    def loss(image):
        return (image.flatten() * slope).sum(), torch.zeros(1)

    _, gradient, _ = optimize._evaluator(loss)(pixels.view(1, 1, 2, 5))
    assert gradient.flatten().tolist() == [-3, -3, -3, -3, 0, 0, 3, 3, 3, 3]


def test_steps_into_nan_are_taken_back(bowl):
    center, scale = bowl

    def cliff(x):
        value = (scale * (x - center).square()).sum()
        value = value + torch.where((x - 0.5).abs().max() > 0.03, torch.nan, 0.0)
        return value, value[None]

    found = minimise(cliff, torch.full_like(center, 0.5), evaluations=60)
    assert math.isfinite(found.loss)
    assert found.loss < found.first_loss
    assert torch.isfinite(found.image).all()


def test_carried_inverse_curvature_makes_the_first_step_fit(bowl):
    center, _ = bowl
    start = torch.full_like(center, 0.5)
    loss = quadratic(center, torch.full_like(center, 3.0))
    known = minimise(loss, start, evaluations=30).inverse_curvature
    assert known > 0
    near = center + 0.01 * torch.sign(start - center)
    anew, warm = (minimise(loss, near, evaluations=2, inverse_curvature=c) for c in (0.0, known))
    assert anew.loss == anew.first_loss  # the step was too long and is undone
    assert warm.loss < 0.8 * warm.first_loss


@pytest.mark.parametrize("method", list(optimizers.OPTIMIZERS))
def test_a_second_run_knows_nothing_of_the_first(bowl, method):
    center, scale = bowl
    minimiser = optimize.Minimiser(quadratic(center, scale), center, 2, method=method)
    start = torch.full_like(center, 0.5)
    first = minimiser.run(start, evaluations=20)
    minimiser.run(torch.zeros_like(center), evaluations=9, inverse_curvature=0.1)
    again = minimiser.run(start, evaluations=20)
    assert torch.equal(first.image, again.image)
    assert (first.loss, first.terms, first.inverse_curvature) == (again.loss, again.terms, again.inverse_curvature)


def test_stops_when_nothing_is_left_to_gain(bowl):
    center, scale = bowl
    found = minimise(quadratic(center, scale), center.clone(), evaluations=500, tolerance=1e-3)
    assert found.evaluations <= optimize.CHECK_EVERY
    assert torch.equal(found.image, center)


def test_auto_precision_is_what_the_processor_has(monkeypatch):
    cpu = torch.device("cpu")
    for flags, expected in (({"avx512f"}, "float32"), ({"avx512f", "avx512_bf16"}, "bfloat16")):
        monkeypatch.setattr(optimize, "_processor_flags", lambda flags=flags: flags)
        assert optimize.pick_precision("auto", cpu) == expected
        assert optimize.pick_precision("float32", cpu) == "float32"
    assert optimize.pick_precision("auto", torch.device("mps")) == "float32"


def test_unavailable_device_is_a_sentence():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UsageError, match="available: cpu"):
        pick_device("cuda")


def test_mps_is_taken_only_when_asked_for(monkeypatch):
    """No test has run there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto").type == "cpu"
    assert pick_device("mps").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"


def test_an_accelerator_is_one_threads_at_a_time_and_left_as_it_was():
    cudnn, device = torch.backends.cudnn, torch.device("cuda")  # nothing is computed there: it need not exist
    before = cudnn.deterministic, cudnn.allow_tf32
    inside, leave = threading.Event(), threading.Event()

    def work():
        with engine(device, tf32=False):
            inside.set()
            leave.wait(10)

    with engine(device), engine(device):  # one thread may enter again
        thread = threading.Thread(target=work)
        thread.start()
        assert not inside.wait(0.1)
        assert (cudnn.deterministic, cudnn.allow_tf32) == (True, True)
    assert inside.wait(10)
    assert (cudnn.deterministic, cudnn.allow_tf32) == (True, False)
    with engine(torch.device("cpu")):
        leave.set()
    thread.join()
    assert (cudnn.deterministic, cudnn.allow_tf32) == before


def test_the_inverse_curvature_that_is_handed_on_is_that_of_accepted_steps(bowl):
    """What refused steps measure near a minimum is rounding, and would stop the next frame where it stands."""
    center, scale = bowl

    def exact(image):
        return (scale * (image - center).square()).mean(), torch.zeros(1)

    def rounded(image):
        value, terms = exact(image)
        return value + ((value * 1e6).detach() % 1000) / 1e6, terms

    start = torch.full_like(center, 0.5)
    wanted = optimize.Minimiser(exact, center, 1).run(start, evaluations=12).inverse_curvature
    rough = optimize.Minimiser(rounded, center, 1).run(start, evaluations=80)
    assert wanted / 30 < rough.inverse_curvature < wanted * 30
    known = rough.inverse_curvature
    again = optimize.Minimiser(rounded, center, 1).run(rough.image, evaluations=12, inverse_curvature=known)
    assert again.loss == again.first_loss
    assert again.inverse_curvature == 0
    one = optimize.Minimiser(exact, center, 1).run(start, evaluations=1, inverse_curvature=0.7)
    assert one.inverse_curvature == pytest.approx(0.7)


@pytest.mark.parametrize("method", list(optimizers.OPTIMIZERS))
def test_what_is_free_moves_first_and_the_rest_arrives_too(method):
    center = torch.full((1, 3, 12, 14), 0.7)
    loss, start, freedom = quadratic(center, torch.ones_like(center)), center - 0.4, torch.full((1, 1, 12, 14), 0.2)
    freedom[..., :7] = 1

    def left(evaluations):
        found = minimise(loss, start, method=method, evaluations=evaluations, freedom=freedom).image
        return [(found - center).abs()[..., columns].mean() for columns in (slice(0, 7), slice(7, 14))]

    free, held = left(3)
    assert free < 0.95 * held
    assert max(left(300)) < 0.01


@pytest.mark.parametrize("method", list(optimizers.OPTIMIZERS))
def test_what_is_all_alike_free_is_painted_as_without_a_word_of_it(bowl, method):
    center, scale = bowl
    start = torch.full_like(center, 0.5)
    found = [
        minimise(quadratic(center, scale), start, method=method, evaluations=9, freedom=freedom).image
        for freedom in (None, torch.ones_like(center[:, :1]))
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize(("first_check", "looks"), [(3, [3, 8, 13, 18, 20]), (5, [5, 10, 15, 20])])
def test_the_loss_is_looked_at_after_a_few_evaluations_and_then_after_every_five(bowl, first_check, looks):
    center, scale = bowl
    start, done, found = torch.full_like(center, 0.5), [0], []
    minimiser = optimize.Minimiser(quadratic(center, scale), start, 2)
    read, evaluate = minimiser.read, minimiser.optimizer.evaluate

    def evaluated(image):
        done[0] += 1
        return evaluate(image)

    minimiser.optimizer.evaluate = evaluated
    minimiser.read = lambda first: found.append(done[0]) or read(first)
    minimiser.run(start, evaluations=20, first_check=first_check)
    assert found == looks
    done[0] = 0
    assert minimiser.run(start, evaluations=20, tolerance=1.0, first_check=first_check).evaluations == first_check

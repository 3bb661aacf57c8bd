"""The losses against second implementations and pictures whose loss is known."""

import dataclasses

import pytest
import torch
from conftest import texture
from test_stylemetrics import expanded_distance
from torch import nn

from vidstyle.core import losses, networks
from vidstyle.core.stylemetrics import STYLE_METRICS, gram, moments
from vidstyle.core.stylizer import Stylizer, scaled_style
from vidstyle.settings import VideoSettings
from vidstyle.types import Frame


def terms_of(stylizer, frame, pastiche):
    """(total, [content, style, temporal, tv]) of a pastiche (3, H, W)."""
    total, terms = stylizer.objective(frame)(pastiche[None])
    return float(total), terms.tolist()


def frame_of(image, alpha=0.5):
    return Frame(0, image, None, alpha, (1.0,))


def test_gram_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, two positions
    expected = torch.tensor([[1 + 4, 3 + 8], [3 + 8, 9 + 16]]) / 2
    assert torch.allclose(gram(features), expected)
    assert torch.allclose(moments(features), torch.cat([expected, torch.tensor([[1.5], [3.5]])], dim=1))
    readout = torch.tensor([[1.0, 1.0], [0.0, 2.0], [1.0, 0.0]])
    through = torch.einsum("kc,nchw->nkhw", readout, features)
    for metric in STYLE_METRICS.values():
        found = losses.mapped(metric, dict.fromkeys(("a", "b"), metric.statistic(features)), {"a": readout})
        assert torch.allclose(found["a"], metric.statistic(through))
        assert torch.equal(found["b"], metric.statistic(features))
    assert torch.allclose(losses.project(features, readout), losses.project(through))


@pytest.mark.parametrize("size", [(72, 96), (150, 110)])
def test_normalized_terms_are_one_where_they_are_worst(tiny_network, style, size):
    content = texture(*size, seed=3)
    settings = VideoSettings(device="cpu", recolor=0)
    stylizer = Stylizer(tiny_network, [style], settings)
    _, (content_term, style_term, *_) = terms_of(stylizer, frame_of(content), content)
    assert content_term == 0
    assert style_term == pytest.approx(1, rel=1e-4)


def test_content_term_of_unrelated_features_is_one(tiny_network):
    """The style's own features at shuffled places, compared by a plain mean over many pairs of positions."""
    content, style = texture(64, 64, seed=4), texture(64, 64, seed=5)
    features_c, features_s = (tiny_network(x[None], ["relu4_2"])["relu4_2"][0].flatten(1).T for x in (content, style))
    pairs = torch.cdist(features_c, features_s).square().mean()
    own, its = (losses.Statistics.of({"relu4_2": features}, {}) for features in (features_c, features_s))
    wanted = losses.StyleTarget.of(STYLE_METRICS["gram"], its, {})
    units = losses.normalized_units(own, wanted, {"relu4_2": len(features_c)}, ())
    assert float(units.content["relu4_2"] * pairs * len(features_c)) == pytest.approx(
        wanted.metric.content_calibration, rel=1e-3
    )


def test_the_networks_content_weight_moves_the_content_term_only(tiny_network, style):
    content = texture(64, 64, seed=4)
    terms = []
    for weight in (1.0, 3.0):
        tiny_network.content_weight = weight
        stylizer = Stylizer(tiny_network, [style], VideoSettings(device="cpu"))
        terms.append(terms_of(stylizer, frame_of(content), content * 0.8)[1])
    assert terms[1][0] == pytest.approx(3 * float(terms[0][0]), rel=1e-5)
    assert terms[1][1] == pytest.approx(float(terms[0][1]), rel=1e-5)


def test_the_content_weight_grows_with_the_odds_of_alpha(tiny_network):
    tiny_network.content_weight, tiny_network.content_slope = 2.0, 0.5
    assert tiny_network.content_weight_at(0.5) == pytest.approx(2)
    assert tiny_network.content_weight_at(0.8) == pytest.approx(2 * 4**0.5)
    assert tiny_network.content_weight_at(0.0) == pytest.approx(2 * 99**-0.5, rel=0.01)  # finite at both ends
    assert tiny_network.content_weight_at(1.0) == pytest.approx(2 * 99**0.5, rel=0.01)


def test_plain_grounds_weigh_less_by_hand():
    """Features of one channel on 20 x 30 positions, which vary on the right half only."""
    features = torch.zeros(20, 30)
    features[:, 15:] = torch.randn(20, 15, generator=torch.Generator().manual_seed(0))
    weights = losses.detail_weights(features.view(-1, 1), (20, 30), 1.0).view(20, 30)
    assert float(weights.mean()) == pytest.approx(1, rel=1e-5)
    assert float(weights[:, :11].max()) < 1e-3  # beyond the two windows of 5 positions
    assert float(weights[:, 20:].mean()) > 1.5
    assert torch.equal(losses.detail_weights(features.view(-1, 1), (20, 30), 0.0), torch.ones(600, 1))
    squared = losses.detail_weights(features.view(-1, 1), (20, 30), 2.0).view(20, 30)
    assert torch.allclose(squared / squared.max(), (weights / weights.max()) ** 2, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (20, 30)])
def test_a_plain_content_weighs_alike_everywhere(size):
    features = torch.full((size[0] * size[1], 3), 5.0)
    assert torch.allclose(losses.detail_weights(features, size, 1.0), torch.ones(len(features), 1), atol=1e-3)
    assert torch.equal(losses.detail_weights(0 * features, size, 1.0), torch.ones(len(features), 1))


def test_content_term_by_hand(tiny_network, style):
    content, painted = texture(64, 64, seed=4), texture(64, 64, seed=5)
    settings = VideoSettings(device="cpu", precision="float32", recolor=0, content_focus=1.0)
    stylizer = Stylizer(tiny_network, [style], settings)
    found = terms_of(stylizer, frame_of(content), painted)[1][0]
    plain = Stylizer(tiny_network, [style], dataclasses.replace(settings, content_focus=0.0))
    unweighted = terms_of(plain, frame_of(content), painted)[1][0]
    features = [tiny_network(image[None], ["relu4_2"])["relu4_2"][0].flatten(1).T for image in (content, painted)]
    weights = losses.detail_weights(features[0], (8, 8), 1.0)
    squares = (features[0] - features[1]).square().sum(1, keepdim=True)
    assert float(found / unweighted) == pytest.approx(float((weights * squares).sum() / squares.sum()), rel=1e-3)


def test_style_layers_weigh_half_as_much_a_block_deeper():
    assert STYLE_METRICS["gram"].layer_weights(("relu1_1", "relu5_1")) == (1, 1)
    assert STYLE_METRICS["wasserstein"].layer_weights(("relu2_1", "relu3_1", "conv3_2")) == (0.25, 0.125, 0.125)


def test_mixed_styles_lie_between(tiny_network, picture):
    one, other = texture(80, 80, seed=6), texture(80, 80, seed=7)
    for metric in STYLE_METRICS:
        settings = VideoSettings(device="cpu", style_metric=metric)
        stylizer = Stylizer(tiny_network, [one, other], settings)
        parts = [stylizer.style((72, 96), shares).statistics.style for shares in ((1.0, 0.0), (0.0, 1.0))]
        mixed = stylizer.style((72, 96), (0.25, 0.75))
        for layer, found in mixed.statistics.style.items():
            assert torch.allclose(found, 0.25 * parts[0][layer] + 0.75 * parts[1][layer])
            wanted = STYLE_METRICS[metric].target(found)[1]  # of the mixed statistics, not mixed targets
            assert torch.equal(mixed.targets[layer], wanted)
        again = stylizer.style((72, 96), (1.0, 0.0)).statistics.style
        alone = Stylizer(tiny_network, [one], settings).style((72, 96), (1.0,)).statistics.style
        assert all(torch.equal(alone[layer], again[layer]) for layer in alone)


@pytest.mark.parametrize("read_out", [False, True])
@pytest.mark.parametrize("metric", list(STYLE_METRICS))
def test_style_term_by_hand(tiny_network, style, metric, read_out):
    """Against features that are projected at every position, and the distance of `test_stylemetrics`."""
    content, painted, layer = texture(64, 64, seed=4), texture(64, 64, seed=5), "relu2_1"
    channels = tiny_network(content[None], [layer])[layer].shape[1]
    if read_out:
        matrix = torch.randn(channels, channels, generator=torch.Generator().manual_seed(0))
        tiny_network.readouts = {**tiny_network.readouts, layer: matrix}
    layers = {"style_layers": (layer,), "content_layers": (layer,)}
    settings = VideoSettings(device="cpu", precision="float32", style_metric=metric, recolor=0, **layers)
    stylizer = Stylizer(tiny_network, [style], settings)
    found = terms_of(stylizer, frame_of(content), painted)[1][1]

    def features(image):
        f = tiny_network(image, [layer])[layer][0].flatten(1).double()
        matrix = tiny_network.readouts.get(layer)
        return f if matrix is None else matrix.double() @ f

    wanted, near, far = map(features, (scaled_style(style, (64, 64), 1.0), painted[None], content[None]))
    if metric == "gram":
        g, near, far = (f @ f.T / f.shape[1] for f in (wanted, near, far))
        expected = (near - g).square().sum() / (far - g).square().sum()
    else:
        expected = expanded_distance(near, wanted) / expanded_distance(far, wanted)
    assert found == pytest.approx(float(expected), rel=2e-3)


def test_a_style_equal_to_the_content_stays_finite(tiny_network, picture):
    total, _ = terms_of(
        Stylizer(tiny_network, [picture], VideoSettings(device="cpu")), frame_of(picture), picture * 0.9
    )
    assert total == pytest.approx(total)
    assert total < 1e3


def test_plain_pictures_stay_finite(tiny_network):
    black, white = torch.zeros(3, 64, 64), torch.ones(3, 64, 64)
    total, _ = terms_of(Stylizer(tiny_network, [white], VideoSettings(device="cpu")), frame_of(black), black + 0.5)
    assert total == pytest.approx(total)


def test_pixel_losses_by_hand():
    pastiche, warped = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.4)
    visible = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert losses.temporal_loss(pastiche, warped, visible).item() == pytest.approx(0.25, rel=1e-4)
    stripes = torch.tensor([0.0, 0.1, 0.0, 0.1]).expand(1, 3, 4, 4)
    assert losses.total_variation(stripes).item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_pixel_and_content_losses_are_autograds(weighted):
    generator = torch.Generator().manual_seed(0)
    pastiche, warped = torch.rand(2, 1, 3, 6, 7, generator=generator, dtype=torch.float64).requires_grad_().unbind()
    visible, counts = torch.rand(2, 1, 1, 6, 7, generator=generator, dtype=torch.float64).unbind()
    across, down = (pastiche[..., 1:] - pastiche[..., :-1]) ** 2, (pastiche[:, :, 1:] - pastiche[:, :, :-1]) ** 2
    if weighted:
        across, down = across * counts[..., :-1], down * counts[:, :, :-1]
    f, target = (x.permute(0, 2, 3, 1).reshape(42, 3) for x in (pastiche, warped.detach()))
    weights = counts.view(42, 1) if weighted else torch.ones(42, 1)
    units = losses.Units({"x": torch.tensor(0.3, dtype=torch.float64)}, {})
    content = losses.content_loss({"x": f}, {"x": target}, units, {"x": counts.view(42, 1)} if weighted else {})
    for found, expected in (
        (
            losses.temporal_loss(pastiche, warped.detach(), visible),
            (visible * (pastiche - warped.detach()) ** 2).mean() * 100,
        ),
        (losses.total_variation(pastiche, counts if weighted else None), (across.mean() + down.mean()) * 100),
        (content, 0.3 * (weights * (f - target) ** 2).sum()),
    ):
        assert torch.allclose(found, expected)
        (slope,), (wanted,) = (torch.autograd.grad(7 * x, pastiche, retain_graph=True) for x in (found, expected))
        assert torch.allclose(slope, wanted)


def blog_loss(convolutions, pastiche, content, style, alpha):
    """The blog post's loss, written plainly: three forwards through convolutions counted in order, before the ReLU."""
    names = ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]

    def taps(x):
        found = []
        for name in names:
            if name in ("conv2_1", "conv3_1"):
                x = nn.functional.max_pool2d(x, 2, 2)
            x = nn.functional.conv2d(x, convolutions[name].weight, convolutions[name].bias, padding=1)
            found.append(x)
            x = nn.functional.relu(x)
        return found

    def gram(x):
        _, c, h, w = x.shape
        f = x.view(c, h * w)
        return torch.mm(f, f.t()) / (c * h * w)

    p, c, s = taps(pastiche), taps(content), taps(style)
    mse = nn.MSELoss()
    content_score = mse(p[3] * 1, c[3] * 1)
    style_score = sum(mse(gram(x) * 1000, gram(y) * 1000) for x, y in zip(p, s, strict=True))
    return alpha * content_score + (1 - alpha) * style_score


def check_blog_preset(network):
    content, style, pastiche = (texture(64, 64, seed=seed) for seed in (8, 9, 10))
    settings = VideoSettings.preset("blog", device="cpu", alpha=0.3)
    total, _ = terms_of(Stylizer(network, [style], settings), frame_of(content, alpha=0.3), pastiche)
    expected = blog_loss(network.convolutions, pastiche[None], content[None], style[None], 0.3)
    assert total == pytest.approx(float(expected), rel=1e-4)


def test_blog_preset_is_the_posts_loss():
    torch.manual_seed(1)
    network = networks.FeatureNetwork(((8, 8), (8, 8), (8,)), padding="zeros", normalize=False)
    check_blog_preset(network.requires_grad_(False))


def test_blog_preset_is_the_posts_loss_with_vgg19(vgg19_weights):
    from vidstyle.jobs.task_inputs import load_network

    check_blog_preset(load_network(VideoSettings.preset("blog", weights=vgg19_weights)))

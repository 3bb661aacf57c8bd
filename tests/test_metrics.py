import math

import pytest
import torch

from vidstyle.core import metrics
from vidstyle.core.networks import FeatureNetwork, compact


@pytest.fixture
def network():
    torch.manual_seed(0)
    return FeatureNetwork(((4,), (6, 6))).requires_grad_(False)


def pictures(number: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, 16, 20, generator=generator) for _ in range(number)]


def test_warping_error_counts_visible_pixels_only():
    previous, visible = torch.zeros(3, 4, 4), torch.ones(1, 4, 4)
    current = torch.full((3, 4, 4), 0.5)
    current[:, 0] = 1.0
    visible[:, 0] = 0
    assert metrics.warping_error(previous, current, visible) == pytest.approx(0.25)
    visible[:, 0] = 0.5
    assert metrics.warping_error(previous, current, visible) == pytest.approx((12 * 0.25 + 2 * 1) / 14)
    assert metrics.warping_error(current, current, visible) == 0
    assert math.isnan(metrics.warping_error(previous, current, torch.zeros(1, 4, 4)))


def test_style_distance_is_none_at_the_style_and_one_at_the_content(network):
    content, style, other = pictures(3)
    layers = ("relu1_1", "relu2_2")
    assert metrics.style_distance(network, style, content, style, layers) == {"relu1_1": 0, "relu2_2": 0}
    assert metrics.style_distance(network, content, content, style, layers) == {"relu1_1": 1, "relu2_2": 1}
    assert all(value > 0 for value in metrics.style_distance(network, other, content, style, layers).values())
    assert math.isnan(metrics.style_distance(network, other, style, style, ("relu1_1",))["relu1_1"])


def test_readouts_are_applied_to_features(network):
    content, style, pastiche = pictures(3)
    matrix = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    network.readouts = {"relu2_2": matrix}

    def gram(image: torch.Tensor) -> torch.Tensor:
        f = torch.einsum("kc,chw->khw", matrix, network(image[None], ["relu2_2"])["relu2_2"][0])
        return torch.einsum("ahw,bhw->ab", f, f) / (f.shape[1] * f.shape[2])

    wanted = (gram(pastiche) - gram(style)).norm() ** 2 / (gram(content) - gram(style)).norm() ** 2
    got = metrics.style_distance(network, pastiche, content, style, ["relu2_2"])["relu2_2"]
    assert got == pytest.approx(float(wanted), rel=1e-3)


def test_several_styles_are_one_mixed_in_their_statistics(network):
    content, one, other, pastiche = pictures(4)

    def gram(image: torch.Tensor) -> torch.Tensor:
        f = network(image[None], ["relu2_1"])["relu2_1"][0]
        return torch.einsum("ahw,bhw->ab", f, f) / (f.shape[1] * f.shape[2])

    mixed = 0.3 * gram(one) + 0.7 * gram(other)
    wanted = (gram(pastiche) - mixed).norm() ** 2 / (gram(content) - mixed).norm() ** 2
    got = metrics.style_distance(network, pastiche, content, [one, other], ["relu2_1"], (0.3, 0.7))
    assert got["relu2_1"] == pytest.approx(float(wanted), rel=1e-3)
    alone = metrics.style_distance(network, pastiche, content, one, ["relu2_1"])
    assert metrics.style_distance(network, pastiche, content, [one, other], ["relu2_1"], (1, 0)) == alone


def test_content_distance(network):
    content, other = pictures(2)
    assert metrics.content_distance(network, content, content, "relu2_1") == 0
    assert metrics.content_distance(network, other, content, "relu2_1") > 0


def test_sharpness():
    ramp = (torch.arange(10) / 10).expand(3, 8, 10)
    assert metrics.sharpness(ramp) == pytest.approx(0.1)
    assert metrics.sharpness(ramp.flip(2)) == pytest.approx(0.1)
    assert metrics.sharpness(torch.full((3, 5, 5), 0.7)) == 0


def test_feature_distance_is_a_distance(network):
    layers = ("relu1_1", "relu2_2")
    one, other, third = pictures(3)
    assert metrics.feature_distance(network, one, one, layers) == 0
    there = metrics.feature_distance(network, one, other, layers)
    assert 0 < there <= math.sqrt(2)  # features are not negative
    assert metrics.feature_distance(network, other, one, layers) == pytest.approx(there)
    around = [metrics.feature_distance(network, third, end, layers) for end in (one, other)]
    assert there <= sum(around)
    near = metrics.feature_distance(network, one, torch.lerp(one, other, 0.1), layers)
    assert near < there / 2


@pytest.mark.cuda
def test_on_cuda_pictures_are_as_far_apart_as_on_the_cpu():
    one, other = (torch.nn.functional.interpolate(picture[None], size=96)[0] for picture in pictures(2))
    network, layers = compact(), ("relu1_1", "relu3_1", "relu5_1")
    here = metrics.feature_distance(network, one, other, layers)
    there = metrics.feature_distance(network.to("cuda"), one.to("cuda"), other.to("cuda"), layers)
    assert there == pytest.approx(here, rel=1e-2)

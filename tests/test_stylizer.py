"""What a frame's painting promises when the optimisation goes wrong."""

import pytest
import torch

from vidstyle import networks
from vidstyle.errors import DivergedError
from vidstyle.optimize import METHODS
from vidstyle.stylizer import Stylizer, scales
from vidstyle.types import Frame, Settings


class Poisoned(networks.FeatureNetwork):
    """Finite features whose gradient is not a number, the first `times` times that it is asked for."""

    times = 10**9

    def poison(self, gradient):
        self.times -= 1
        return gradient * float("nan") if self.times >= 0 else gradient

    def forward(self, image, layers):
        features = super().forward(image, layers)
        for feature in features.values():
            if feature.requires_grad:
                feature.register_hook(self.poison)
        return features


def poisoned(tiny_network, times):
    network = Poisoned(tiny_network.blocks)
    network.load_state_dict(tiny_network.state_dict())
    network.requires_grad_(False).times = times
    return network


@pytest.mark.parametrize("method", list(METHODS))
def test_gradients_that_are_no_numbers_are_told_not_painted_over(tiny_network, picture, style, method):
    settings = Settings(device="cpu", optimizer=method, first_iterations=12)
    stylizer = Stylizer(poisoned(tiny_network, 10**9), [style], settings)
    with pytest.raises(DivergedError, match="frame 7"):
        stylizer.step(Frame(7, picture, None, 0.3, (1.0,)), None)


def test_a_second_attempt_is_made(tiny_network, picture, style):
    settings = Settings(device="cpu", optimizer="adam", first_iterations=12)
    stylizer = Stylizer(poisoned(tiny_network, 6), [style], settings)
    result, state = stylizer.step(Frame(0, picture, None, 0.3, (1.0,)), None)
    assert torch.isfinite(state.pastiche).all()
    assert result.losses["style"] < 1


def test_scales_double_up_to_the_size():
    assert scales((288, 512)) == [(72, 128), (144, 256), (288, 512)]
    assert scales((40, 50)) == [(40, 50)]

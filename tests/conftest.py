import os
from pathlib import Path

import numpy as np
import pytest
import torch

from vidstyle import networks


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if "cuda" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture
def vgg19_weights():
    """A real VGG-19, where the machine has one."""
    path = os.environ.get("VIDSTYLE_VGG19", "")
    if not Path(path).is_file():
        pytest.skip("VIDSTYLE_VGG19 names no weights file")
    return path


@pytest.fixture
def tiny_network():
    """A random network of VGG's shape, some thousand times cheaper."""
    torch.manual_seed(0)
    network = networks.FeatureNetwork(((4, 4), (6, 6), (8, 8), (8, 8), (8,)))
    for convolution in network.convolutions.values():
        torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        torch.nn.init.zeros_(convolution.bias)
    return network.requires_grad_(False).eval()


@pytest.fixture(scope="session")
def samples():
    return Path(__file__).parent.parent / "samples"


@pytest.fixture
def picture():
    """A colourful picture with structure at all sizes, (3, 72, 96)."""
    return texture(72, 96, seed=1)


@pytest.fixture
def style():
    return texture(80, 80, seed=2)


def texture(height, width, seed):
    """Fractal noise in colour, (3, height, width) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, height, width)
    for octave in range(1, 6):
        noise = torch.randn(1, 3, 2**octave, 2**octave, generator=generator)
        total += torch.nn.functional.interpolate(noise, (height, width), mode="bicubic") / octave
    return torch.sigmoid(total)[0]


def pixels(image):
    """(3, H, W) in [0, 1] as (H, W, 3) uint8."""
    return np.ascontiguousarray((image * 255).round().byte().permute(1, 2, 0).numpy())

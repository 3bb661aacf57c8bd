import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # set before torch is imported: several processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
import typer
from browsers import lasting, launcher
from torchvision.models.vgg import cfgs, make_layers
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.core import networks
from vidstyle.settings import options
from vidstyle.system import libraries

# The channels of a VGG-19 that is some hundred times cheaper, by blocks and as torchvision writes them.
SLIM_VGG19 = ((4, 4), (6, 6), (8,) * 4, (8,) * 4, (8,) * 4)
SLIM_CFG: list[str | int] = [width for block in SLIM_VGG19 for width in (*block, "M")]
TINY_LAYERS = {"relu1_1": 4, "relu2_1": 6, "relu3_1": 8, "relu4_1": 8, "relu4_2": 8, "relu5_1": 8}  # and channels


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests that take many seconds, too")
    parser.addoption("--soak", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config, items):
    """Skip, visibly, what this machine cannot run and what nobody asked for."""
    reasons = {mark: f"takes {time}; give --{mark}" for mark, time in (("slow", "many seconds"), ("soak", "minutes"))}
    reasons = {mark: reason for mark, reason in reasons.items() if not config.getoption(f"--{mark}")}
    if lacking := libraries.missing():
        reasons["clips"] = f"not installed: {', '.join(lacking)}"
    if not torch.cuda.is_available() and not cuda_required():
        reasons["cuda"] = "there is no CUDA device"
    for item in items:
        for mark, reason in reasons.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def cuda_required():
    """Whether the machine is said to have a CUDA device: a test that needs one then fails where none is found."""
    return os.environ.get("VIDSTYLE_REQUIRE_CUDA") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    if item.get_closest_marker("cuda") and cuda_required() and not torch.cuda.is_available():
        pytest.fail("VIDSTYLE_REQUIRE_CUDA=1, and torch finds no CUDA device", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def hurried_session():
    """Nothing that a test writes must outlast a power cut, and the command line is built once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr("typer.testing._get_command", functools.cache(typer.main.get_command), raising=False)
        yield


CALL = "import importlib, sys; sys.path[:0] = sys.argv[1:2]; "
CALL += "getattr(importlib.import_module(sys.argv[2]), sys.argv[3])(*sys.argv[4:])"


def in_fresh_process(function, *arguments):
    """Call a function of a test module with texts, in a Python of its own: one that forks must not do so in ours.

    Its threads, and garbage that waits for them when it is collected, would leave a child that hangs.
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", CALL, str(Path(__file__).parent)]
    command += [function.__module__, function.__name__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def vidstyle():
    """Run the command line in this process."""

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def kept_folders(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def once(request, tmp_path, kept_folders):
    """`once(make)` calls a function that makes files in `tmp_path`; later tests of the module are given copies."""

    def paint(make):
        kept = kept_folders / f"{request.module.__name__}-{make.__qualname__}"
        if kept.exists():
            shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
        else:
            make()
            shutil.copytree(tmp_path, kept)

    return paint


@pytest.fixture
def vgg19_weights():
    """A real VGG-19, where the machine has one."""
    path = os.environ.get("VIDSTYLE_VGG19", "")
    if not Path(path).is_file():
        pytest.skip("VIDSTYLE_VGG19 names no weights file")
    return path


@pytest.fixture
def tiny_network():
    return random_network()


def random_network():
    """A random network of VGG's shape, some thousand times cheaper."""
    torch.manual_seed(0)
    network = networks.FeatureNetwork(((4, 4), (6, 6), (8, 8), (8, 8), (8,)))
    for convolution in network.convolutions.values():
        torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        torch.nn.init.zeros_(convolution.bias)
    return network.requires_grad_(False).eval()


@pytest.fixture
def network(tmp_path, tiny_network):
    return network_file(tmp_path / "tiny.safetensors", tiny_network)


def network_file(path, network):
    """The file of a tiny network that answers the layers of the defaults."""
    network.readouts = {layer: torch.eye(width) for layer, width in TINY_LAYERS.items()}
    networks.save_compact(network, path)
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A checkpoint as torchvision writes them, of a VGG-19 that has learnt nothing."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save({f"features.{key}": value for key, value in make_layers(cfgs["E"]).state_dict().items()}, path)
    return path


@pytest.fixture
def slim_vgg19(tmp_path_factory, monkeypatch):
    """A checkpoint of a slim VGG-19 that has learnt nothing; what reads or builds a VGG-19 expects one as slim."""
    monkeypatch.setattr(networks, "VGG19_BLOCKS", SLIM_VGG19)
    monkeypatch.setattr("vidstyle.lab.bench.baseline.cfgs", {"E": SLIM_CFG})
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("slim") / "vgg19.pth"
    torch.save({f"features.{key}": value for key, value in make_layers(SLIM_CFG).state_dict().items()}, path)
    return path


@pytest.fixture(scope="session")
def samples():
    return Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; the tests that need it are skipped, visibly, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = lasting(launcher(started))
        yield browser
        browser.close()


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


def settings_of(kind, settings, **changes):
    """Settings of another job with the values that both classes have, and `changes`."""
    own, there = options(type(settings)), options(kind)
    values = {name: getattr(settings, name) for name in own if name in there}
    given = {name: value for name, value in values.items() if value != own[name].default}
    return kind(**{**given, **changes})

"""The networks against torchvision's VGG-19, and the files they come in."""

import math

import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from vidstyle.core import layers, losses, networks
from vidstyle.core.stylemetrics import gram, moments
from vidstyle.errors import UsageError, WeightsError


@pytest.fixture(scope="module")
def torchvision_vgg19(tmp_path_factory):
    """torchvision's VGG-19 without its classifier, with random weights, and a checkpoint of it."""
    torch.manual_seed(0)
    layers = make_layers(cfgs["E"]).requires_grad_(False)
    path = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, path)
    return layers, path


def test_vgg19_is_torchvisions(torchvision_vgg19):
    layers, path = torchvision_vgg19
    network = networks.vgg19(path, padding="zeros")
    image = torch.rand(1, 3, 48, 64)
    x = (image - torch.tensor(networks.IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(networks.IMAGENET_STD).view(3, 1, 1)
    expected = []
    for layer in layers:
        layer.inplace = False
        x = layer(x)
        expected.append(x)
    names = {"conv1_1": 0, "relu1_1": 1, "relu2_1": 6, "conv3_4": 16, "relu4_2": 22, "relu5_1": 29, "relu5_4": 35}
    found = network(image, names)
    assert set(found) == set(names)
    for name, index in names.items():
        assert torch.allclose(found[name], expected[index], rtol=1e-4, atol=1e-6), name


def test_nothing_above_the_last_layer_is_computed(tiny_network):
    tiny_network.convolutions["conv4_1"].weight.fill_(float("nan"))
    found = tiny_network(torch.rand(1, 3, 32, 32), ["relu1_1", "relu3_1"])
    assert all(torch.isfinite(x).all() for x in found.values())
    with pytest.raises(UsageError, match="relu9_1"):
        tiny_network.require(["relu9_1"])


def test_the_border_is_replicated(tiny_network):
    plain = torch.full((1, 3, 16, 16), 0.7)
    features = tiny_network(plain, ["relu1_1"])["relu1_1"]
    assert torch.equal(features, features[:, :, 8:9, 8:9].expand_as(features))
    image = torch.rand(1, 2, 5, 6)
    expected = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    assert torch.equal(layers.replicate_border(image), expected)


@pytest.mark.parametrize("height", [5, 37, 64, 65, 66])
@pytest.mark.parametrize("skip", [False, True])
def test_strips_see_what_the_whole_shows(height, skip):
    """Features, Gram matrices and the gradient, whatever is left for the last strip."""
    torch.manual_seed(0)
    network = networks.FeatureNetwork(((4, 5), (6, 6), (8,)), skip=skip).requires_grad_(False).double()
    image = torch.rand(1, 3, height, 20, dtype=torch.float64).requires_grad_()
    taps = [networks.Tap("conv1_2", gram, losses.joined_means)]
    taps += [networks.Tap("relu1_1", losses.project, losses.joined_features)]
    taps += [networks.Tap(layer, gram, losses.joined_means) for layer in ("relu1_1", "relu2_1")]
    taps += [networks.Tap(layer, moments, losses.joined_means) for layer in ("relu1_1", "relu3_1")]
    found = []
    for low_memory in (False, True):
        seen = network.tapped(image, taps, low_memory=low_memory)
        found.append([*seen, *torch.autograd.grad(sum(one.square().sum() for one in seen), image)])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one.float(), other.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 6, 7), (1, 4, 9, 2)])
def test_own_gradients_are_those_of_torch(shape):
    def gradient(function):
        image = torch.linspace(-1, 1, math.prod(shape), dtype=torch.float64).view(shape).requires_grad_()
        made = function(image)
        return made, torch.autograd.grad((made * torch.arange(made.numel()).view(made.shape).sin()).sum(), image)[0]

    def border(image):
        return torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")

    pairs = [(layers.replicate_border, border)]
    mean, std = (torch.linspace(low, 1, shape[1], dtype=torch.float64).view(1, -1, 1, 1) for low in (0, 0.3))
    pairs.append((lambda image: layers.normalized(image, mean, std), lambda image: (image - mean) / std))
    if min(shape[2:]) > 1:
        pairs.append((layers.halved, lambda image: torch.nn.functional.avg_pool2d(image, 2)))
    for own, torchs in pairs:
        for found, expected in zip(gradient(own), gradient(torchs), strict=True):
            assert torch.allclose(found, expected)


def test_a_block_also_sees_the_first_convolution_of_the_block_below():
    torch.manual_seed(0)
    network = networks.FeatureNetwork(((4, 5), (6,), (7,)), pool="average", skip=True).requires_grad_(False)
    assert [c.in_channels for c in network.convolutions.values()] == [3, 4, 9, 6]  # a block of one has nothing more
    image = torch.rand(1, 3, 17, 20)
    found = network(image, ["relu1_1", "relu1_2", "relu2_1", "relu3_1"])
    both = torch.cat([found["relu1_2"], found["relu1_1"]], dim=1)
    convolution = network.convolutions["conv2_1"]
    expected = torch.relu(convolution(torch.nn.functional.avg_pool2d(both, 2)))
    assert torch.allclose(found["relu2_1"], expected, atol=1e-6)
    with pytest.raises(RuntimeError):  # the file must say it
        networks.FeatureNetwork(((4, 5), (6,), (7,))).load_state_dict(network.state_dict())


def test_a_readout_is_reduced_without_changing_lengths():
    readout, features = torch.randn(40, 6), torch.randn(6, 100)
    small = networks.reduce_readout(readout)
    assert small.shape == (6, 6)
    assert torch.allclose((small @ features).norm(dim=0), (readout @ features).norm(dim=0), rtol=1e-4)


def test_a_network_survives_its_file(tmp_path):
    network = networks.FeatureNetwork(((4, 5), (6,)), pool="average", skip=True, content_weight=1.5, content_slope=0.25)
    network.readouts = {"relu1_1": torch.eye(4), "relu2_1": torch.rand(6, 6).half().float()}
    for parameter in network.requires_grad_(False).parameters():
        parameter.copy_(parameter.half())
    networks.save_compact(network, tmp_path / "n.safetensors")
    read = networks.compact(tmp_path / "n.safetensors")
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(read(image, ["relu2_1"])["relu2_1"], network(image, ["relu2_1"])["relu2_1"])
    assert (read.content_weight, read.content_slope) == (1.5, 0.25)
    assert networks.fingerprint(read) == networks.fingerprint(network)
    read.content_weight = 1.0
    assert networks.fingerprint(read) != networks.fingerprint(network)
    with pytest.raises(UsageError, match="relu1_1, relu2_1"):
        read.require(["relu3_1"])


def test_the_embedded_network_is_small_and_complete():
    network = networks.compact()
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
    assert all(torch.isfinite(x).all() for x in network(torch.rand(1, 3, 64, 64), layers).values())
    assert (networks.files("vidstyle") / "assets" / networks.COMPACT_FILE).stat().st_size <= 4_000_000


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(networks, "VGG19_URL", (tmp_path / "vgg19-00000000.pth").as_uri())
    with pytest.raises(WeightsError, match=r"--weights.*--network compact"):
        networks.vgg19()


def test_a_download_is_checked_by_its_hash(tmp_path, monkeypatch, torchvision_vgg19):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "vgg19-00000000.pth"
    path.write_bytes(b"not what was promised")
    monkeypatch.setattr(networks, "VGG19_URL", path.as_uri())
    with pytest.raises(WeightsError, match="hash"):
        networks.vgg19()
    assert not list((tmp_path / "hub").rglob("*.pth"))


def test_the_real_vgg19_has_its_layers(vgg19_weights):
    features = networks.vgg19(vgg19_weights)(torch.rand(1, 3, 32, 32), ["relu1_1", "relu5_1"])
    assert features["relu1_1"].shape == (1, 64, 32, 32)
    assert features["relu5_1"].shape == (1, 512, 2, 2)

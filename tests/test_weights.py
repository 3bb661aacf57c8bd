"""Files of weights and fonts that somebody crafted, damaged or mistook: one sentence and the exit code, no picture."""

import json
import struct

import pytest
import torch
from conftest import pixels, texture
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchvision.models import optical_flow

from vidstyle.core import networks
from vidstyle.errors import WeightsError
from vidstyle.motion import raft

WEIGHT, READOUT = "convolutions.conv2_1.weight", "readouts.relu2_1"


def changed(name, change):
    """The tensors with one of them changed; None drops it."""

    def craft(tensors, shape, header):
        tensor = change(tensors.get(name))
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor.contiguous()

    return craft


def described(**values):
    """What the file says of its network changed."""
    return lambda tensors, shape, header: shape.update(values)


def said(text):
    """The description replaced by a text."""
    return lambda tensors, shape, header: header.update(network=text)


FIRST = [4, 4]
REST = [[6, 6], [8, 8], [8, 8], [8]]
CRAFTED = {
    "key missing": changed(WEIGHT, lambda tensor: None),
    "key too many": changed("convolutions.conv9_9.weight", lambda tensor: torch.zeros(3)),
    "another shape": changed(WEIGHT, lambda tensor: tensor[:2]),
    "a scalar": changed(WEIGHT, lambda tensor: torch.tensor(1.0)),
    "integers": changed(WEIGHT, lambda tensor: tensor.long()),
    "booleans": changed(WEIGHT, lambda tensor: tensor > 0),
    "complex numbers": changed(WEIGHT, lambda tensor: tensor.to(torch.complex64)),
    "NaN": changed(WEIGHT, lambda tensor: tensor * float("nan")),
    "infinity": changed(WEIGHT, lambda tensor: tensor + float("inf")),
    "read-out of another width": changed(READOUT, lambda tensor: torch.eye(3)),
    "read-out of one dimension": changed(READOUT, lambda tensor: torch.ones(6)),
    "empty read-out": changed(READOUT, lambda tensor: torch.zeros(0, 6)),
    "NaN in a read-out": changed(READOUT, lambda tensor: tensor * float("nan")),
    "read-out of no layer": changed("readouts.relu7_1", lambda tensor: torch.eye(6)),
    "read-out of no name": changed("readouts.", lambda tensor: torch.eye(6)),
    "no blocks": described(blocks=[]),
    "empty blocks": described(blocks=[[], []]),
    "no channels": described(blocks=[[0, 0], *REST]),
    "negative channels": described(blocks=[[-4, 4], *REST]),
    "channels beyond all memory": described(blocks=[[10**12, 10**12], *REST]),
    "half a channel": described(blocks=[[4.5, 4], *REST]),
    "channels in words": described(blocks="four"),
    "channels of true": described(blocks=[[True, 4], *REST]),
    "more blocks than names": described(blocks=[FIRST, *REST] * 100),
    "more blocks than weights": described(blocks=[FIRST, *REST, [8]]),
    "unknown pool": described(pool="median"),
    "skip in words": described(skip="yes"),
    "content weight in words": described(content_weight="much"),
    "content weight NaN": described(content_weight=float("nan")),
    "content slope in words": described(content_slope="steep"),
    "content slope beyond reason": described(content_slope=100.0),
    "negative content weight": described(content_weight=-1.0),
    "content weight beyond float32": described(content_weight=1e308),
    "unknown field": described(color="blue"),
    "no JSON": said("{oops"),
    "a list": said("[1, 2]"),
    "null": said("null"),
    "empty text": said(""),
    "deep JSON": said("[" * 100_000 + "]" * 100_000),
    "deep blocks": said('{"blocks": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "a number of 10,000 digits": said('{"blocks": [[' + "9" * 10_000 + "]]}"),
    "no description": lambda tensors, shape, header: header.pop("network"),
    "another format": lambda tensors, shape, header: header.update(format="vidstyle-network-99"),
    "no format": lambda tensors, shape, header: header.clear(),
    "nothing": lambda tensors, shape, header: tensors.clear(),
}


def in_header(change):
    """Bytes with another header of safetensors: its length in 8 bytes, JSON, the numbers."""

    def craft(data):
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        change(header[WEIGHT])
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    return craft


DAMAGED = {
    "empty": lambda data: b"",
    "shorter than a header": lambda data: data[:5],
    "cut": lambda data: data[:-100],
    "longer": lambda data: data + b"more",
    "header beyond the end": lambda data: struct.pack("<Q", 2**60) + data[8:],
    "header too short": lambda data: struct.pack("<Q", 50) + data[8:],
    "text": lambda data: b"no network " * 50,
    "shape beyond all memory": in_header(lambda tensor: tensor.update(shape=[2**40] * 4)),
    "negative shape": in_header(lambda tensor: tensor.update(shape=[-4, 4, 3, 3])),
    "offsets beyond the end": in_header(lambda tensor: tensor.update(data_offsets=[0, 2**50])),
    "offsets backwards": in_header(lambda tensor: tensor.update(data_offsets=[500, 100])),
    "unknown type": in_header(lambda tensor: tensor.update(dtype="F99")),
}


@pytest.fixture
def paint(vidstyle, tmp_path):
    """Paint a small picture with other options."""
    Image.fromarray(pixels(texture(40, 48, seed=1))).save(tmp_path / "picture.png")

    def run(*options):
        picture, out = tmp_path / "picture.png", tmp_path / "out.png"
        done = vidstyle("image", picture, picture, "-o", out, "-q", "-y", "--first-iterations", 1, *options)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert out.exists() == (done.exit_code == 0)
        return done

    return run


def refused(done, code, *words):
    assert done.exit_code == code, done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_network_is_refused(paint, network, case):
    with safe_open(network, "pt") as file:
        header = file.metadata()
    tensors, shape = load_file(network), json.loads(header["network"])
    before = json.dumps(shape)
    CRAFTED[case](tensors, shape, header)
    if json.dumps(shape) != before:
        header["network"] = json.dumps(shape)
    save_file(tensors, network, metadata=header)
    refused(paint("--network", network), 8, str(network), "; give another file, or --network compact")


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused(paint, network, case):
    network.write_bytes(DAMAGED[case](network.read_bytes()))
    refused(paint("--network", network), 8, f"{network} cannot be read as network weights")


def test_what_is_no_crafted_file_still_paints(paint, network):
    assert paint("--network", network).exit_code == 0
    tensors = {key: tensor.to(torch.float64) for key, tensor in load_file(network).items()}
    with safe_open(network, "pt") as file:
        save_file(tensors, network, metadata=file.metadata())
    assert paint("--network", network).exit_code == 0


@pytest.mark.parametrize(
    ("name", "meant"), [("VGG19", "vgg19"), ("vgg-19", "vgg19"), ("Compact", "compact"), ("vgg", "vgg19"), ("x", None)]
)
def test_a_mistyped_name_of_a_network_names_what_there_is(paint, name, meant):
    done = paint("--network", name)
    refused(done, 2, f"--network is {name!r}, neither compact nor vgg19 nor a file")
    assert (f"did you mean {meant}?" in done.stderr) == (meant is not None)


class Marker:
    """A pickle that leaves a file where it is run."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin", "safetensors"])
def test_pickles_are_never_run(paint, tmp_path, suffix):
    file, marker = tmp_path / f"weights.{suffix}", tmp_path / "run"
    torch.save({"features.0.weight": Marker(marker)}, file)
    for options in (["--network", file], ["--network", "vgg19", "--weights", file]):
        refused(paint(*options), 8, str(file))
    assert not marker.exists()


CHECKPOINTS = {
    "a tensor": (torch.zeros(3), "holds no table"),
    "a list": ([torch.zeros(3)], "holds no table"),
    "numbers for names": ({0: torch.zeros(3)}, "it has no"),
    "numbers for tensors": ({"features.0.weight": 1.0}, "holds no table"),
    "another shape": ({"features.0.weight": torch.zeros(64, 3, 5, 5)}, "has shape"),
    "integers": ({"features.0.weight": torch.zeros(64, 3, 3, 3, dtype=torch.int32)}, "of type torch.int32"),
    "NaN": ({"features.0.weight": torch.full((64, 3, 3, 3), float("nan"))}, "not finite"),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_checkpoint_of_something_else_is_refused(paint, tmp_path, case):
    contents, words = CHECKPOINTS[case]
    torch.save(contents, tmp_path / "vgg.pth")
    refused(paint("--network", "vgg19", "--weights", tmp_path / "vgg.pth"), 8, "vgg.pth", words)


@pytest.mark.parametrize("change", [lambda t: t[:1], lambda t: t.long(), lambda t: t * float("nan"), lambda t: None])
def test_a_crafted_raft_is_refused(tmp_path, change):
    state = optical_flow.raft_small(weights=None).state_dict()
    key = next(iter(state))
    tensor = change(state.pop(key))
    save_file({**state, **({} if tensor is None else {key: tensor.contiguous()})}, tmp_path / "raft.safetensors")
    with pytest.raises(WeightsError, match=r"raft\.safetensors holds no raft_small: .*; give a torchvision raft_small"):
        raft.Raft(raft.SMALL, tmp_path / "raft.safetensors", torch.device("cpu"))


def test_the_embedded_network_passes_its_own_check():
    assert networks.compact().content_weight > 0


@pytest.mark.parametrize(
    ("options", "code"), [(["--network"], 2), (["--network", "vgg19", "--weights"], 8), (["--init"], 3)]
)
def test_a_name_too_long_for_any_file(paint, options, code):
    done = paint(*options, "x" * 5000)
    assert done.exit_code == code, done.output


def test_others_may_read_a_network_as_they_may_any_file(tmp_path, tiny_network):
    networks.save_compact(tiny_network, tmp_path / "own.safetensors")
    (tmp_path / "any").touch()
    assert (tmp_path / "own.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode

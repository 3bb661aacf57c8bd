"""What the soak tests run: a runner, and a clip, a picture, a style and a network so small that a run takes moments."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from clips import clicks, make_clip, pan, texture
from PIL import Image

from soak.runs import Runner
from vidstyle.core import networks

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")


@dataclass(frozen=True)
class Inputs:
    """Files to paint, and the options that make it cheap."""

    folder: Path

    def named(self, command: str) -> list[str]:
        """The words of a command in which {clip}, {large}, {photo} and {style} stand for these; painted cheaply."""
        files = {path.stem: path for path in self.folder.iterdir()}
        verb, *words = command.format(**files).split()
        return [verb, *f"--network {files['network']} --size 32 --first-iterations 1 --quiet".split(), *words]


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    make_clip(folder / "clip.mp4", pan(3, 64, 48), rate=10, sound=clicks(0.3))
    make_clip(folder / "large.mp4", pan(4, 160, 120), rate=10, sound=clicks(0.4))
    Image.fromarray(texture(64, 48, seed=5)).save(folder / "photo.png")
    Image.fromarray(texture(48, 48, seed=6)).save(folder / "style.png")
    torch.manual_seed(0)
    network = networks.FeatureNetwork(((4, 4), (6, 6), (8, 8), (8, 8), (8,)))
    network.readouts = {layer: torch.eye(width) for layer, width in zip(LAYERS, (4, 6, 8, 8, 8, 8), strict=True)}
    networks.save_compact(network.requires_grad_(False).eval(), folder / "network.safetensors")
    return Inputs(folder)


@pytest.fixture(scope="session")
def runner(inputs, tmp_path_factory):
    if sys.platform != "linux":
        pytest.skip("forks, and adopts what killed processes leave: Linux only")
    with Runner(tmp_path_factory.mktemp("notes")) as runner:
        for command in ("video {clip} {style} -o a.mp4", "balance {photo} {style} --seconds .2 -o a.gif"):
            runner(tmp_path_factory.mktemp("first"), *inputs.named(command))  # imports all that is needed
        yield runner

"""Every command that the README and the guide show is run as it stands there, at less cost, on copies of samples."""

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from conftest import network_file, random_network
from test_every_option import SLIM_CFG, hurried  # noqa: F401 (a fixture)
from torchvision.models.vgg import make_layers

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "vidstyle/guide").glob("*.md"))]
FEW = "--first-iterations 1 --network {tiny} -y"
CHEAP = {  # what is added to a command; of an option that is given twice the later one counts
    "video": f"--iterations 1 --end .2 --size 96 {FEW}",
    "balance": f"--iterations 1 --fps 2 {FEW}",
    "image": f"--size 96 {FEW}",
    "sheet": f"--size 64 --end .2 {FEW}",
    "encode": "-y",
    "measure": "--end .2 --first-iterations 1 --network {tiny} -y",
    "bench": "--size 64 --frames 3 --iterations 1 --first-iterations 1 --network {tiny}",
    "doctor": "",
}


def blocks():
    """The commands of each fenced block that has any."""
    for page in PAGES:
        for number, block in enumerate(re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.M | re.S)):
            text = block.replace("\\\n", " ")
            if found := re.findall(r"(?:^|&& )(vidstyle .*)$", text, re.M):
                yield pytest.param(found, id=f"{page.stem}-{number}")


@pytest.mark.clips
@pytest.mark.parametrize("commands", [*blocks()])
def test_what_is_shown_works(vidstyle, commands, tmp_path, monkeypatch, samples):
    shutil.copytree(samples, tmp_path / "samples", ignore=shutil.ignore_patterns("*.py"))
    tiny = network_file(tmp_path / "tiny.safetensors", random_network())
    monkeypatch.chdir(tmp_path)
    torch.save({f"features.{key}": value for key, value in make_layers(SLIM_CFG).state_dict().items()}, "vgg19.pth")
    for line in commands:
        words = shlex.split(line)[1:]
        cheap = CHEAP[words[0]].format(tiny=tiny)
        if "vgg19" in words:
            cheap = cheap.replace(f"--network {tiny}", "--baseline-steps 1 --weights vgg19.pth")
        if words[0] == "sheet" and words[1].endswith((".jpg", ".png")):
            cheap = cheap.replace("--end .2", "")
        before = set(tmp_path.rglob("*"))
        done = vidstyle(*words, *shlex.split(cheap))
        assert done.exit_code == 0, (line, done.output, done.exception)
        outputs = [value for flag, value in pairwise(words) if flag in ("-o", "--poster", "--figure")]
        assert all((tmp_path / output).exists() for output in outputs)
        assert outputs or before == set(tmp_path.rglob("*"))

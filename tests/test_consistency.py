"""What is measured on synthetic clips with ground-truth motion."""

import json
from statistics import fmean

import pytest
from conftest import pixels, texture
from PIL import Image
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.core.stylizer import Stylizer
from vidstyle.settings import VideoSettings

FAST = ["--size", 64, "--frames", 7, "--first-iterations", 8, "--iterations", 8, "--device", "cpu"]


@pytest.fixture
def pictures(tmp_path):
    for name, seed in (("photo", 1), ("style", 2)):
        Image.fromarray(pixels(texture(80, 120, seed))).save(tmp_path / f"{name}.png")
    return [tmp_path / "photo.png", tmp_path / "style.png"]


def run(network, *arguments):
    return CliRunner().invoke(app, ["consistency", *map(str, (*FAST, "--network", network, *arguments))])


def figures(tmp_path, network, *arguments):
    done = run(network, *arguments, "-q", "-o", tmp_path / "s.json", "-y")
    assert (done.exit_code, done.output) == (0, "")
    return json.loads((tmp_path / "s.json").read_text())["clips"]


def test_it_needs_no_files_and_tells_everything(tmp_path, network):
    done = run(network, "-o", tmp_path / "s.json", "--clips", "slow-pan,occlusion")
    assert done.exit_code == 0, done.output
    for words in ("slow-pan", "previous", "÷ anew", "returns", "estimated motion", "evals", "generated"):
        assert words in done.output
    found = json.loads((tmp_path / "s.json").read_text())
    assert set(found) == {"vidstyle", "picture", "styles", "settings", "clips"}
    assert (found["picture"], found["styles"]) == ("generated", ["generated"])
    clips = found["clips"]
    assert [(one["clip"], one["warm_start"]) for one in clips] == [
        (name, start) for name in ("slow-pan", "occlusion") for start in ("warped", "previous")
    ]
    for one in clips:
        assert (one["frames"], one["width"], one["height"]) == (7, 64, 36)
        assert [pair["frame"] for pair in one["consistency"]["pairs"]] == list(range(1, 7))
        assert [pair["frame"] for pair in one["independence"]["pairs"]] == [5, 6]
        beside = one["independence"]["independent_warping"]
        assert one["warping_ratio"] == pytest.approx(one["consistency"]["warping"]["mean"] / beside)
        assert all(one["independence"][f"{name}_ratio"] > 0 for name in ("style", "content", "sharpness"))
        assert len(one["frame_figures"]) == 7
        assert one["drift"]["sharpness"]["last"] == one["frame_figures"][-1]["painted"]["sharpness"]
        assert 0 < one["evaluations"] <= 8
        assert one["flow_seconds"] > 0
        both = one["flow_seconds"] + one["warp_seconds"]
        assert one["motion_share"] == pytest.approx(both / (one["flow_seconds"] + one["seconds"]))
        assert [back["frame"] for back in one["returns"]] == ([5, 6] if one["clip"] == "occlusion" else [])
        assert (one["return_ratio"] is None) == (one["clip"] == "slow-pan")
        assert (one["flow_error"]["mean"] is None) == (one["warm_start"] == "previous")
    assert clips[0]["flow_error"]["mean"] < 0.2
    pairs = [[pair["independent_warping"] for pair in one["independence"]["pairs"]] for one in clips[:2]]
    assert pairs[0] == pairs[1]  # painted once


@pytest.mark.slow
def test_paintings_without_memory_and_frozen_ones_are_told_apart(tmp_path, network, pictures, monkeypatch):
    options = [*pictures, "--clips", "pan", "--no-beside", "--alpha", 0.1, "--first-iterations", 40]
    (warped,) = figures(tmp_path, network, *options)
    (anew,) = figures(tmp_path, network, *options, "--warm-start", "none", "--iterations", VideoSettings.iterations)
    assert warped["warping_ratio"] < 0.2
    pairs = [pair["warping"] for pair in anew["consistency"]["pairs"]]  # all of them, over the two painted anew
    assert anew["warping_ratio"] == pytest.approx(fmean(pairs) / fmean(pairs[-2:]))
    assert anew["independence"]["warping_ratio"] == anew["independence"]["style_ratio"] == 1
    step = Stylizer.step

    def frozen(self, frame, state):
        result, new = step(self, frame, None) if state is None else (self.last, state)
        self.last = result
        return result, new

    monkeypatch.setattr(Stylizer, "step", frozen)
    (still,) = figures(tmp_path, network, *options)
    assert still["consistency"]["plain"]["mean"] == 0
    assert still["warping_ratio"] > 5 * warped["warping_ratio"]
    assert still["drift"]["sharpness"] == {"least": 1, "most": 1, "last": 1}


def test_refusals(tmp_path, network, pictures):
    cases = [
        (2, "'dolly'", ["--clips", "pan,dolly"]),
        (2, "compact, vgg19", ["--judge", "me"]),
        (2, "--mix has 2", ["--mix", ".5,.5"]),
        (2, ".json", ["-o", tmp_path / "s.txt"]),
        (3, "no-such", [tmp_path / "no-such.png"]),
    ]
    for code, words, arguments in cases:
        done = run(network, *arguments, "-q")
        assert (done.exit_code, done.stdout) == (code, ""), (arguments, done.output)
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1

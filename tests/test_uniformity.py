"""What is measured of the perceptual uniformity of a balance animation."""

import json
import statistics
from itertools import pairwise

import numpy as np
import pytest
from conftest import pixels, texture
from PIL import Image
from test_balance import frames_of
from typer.testing import CliRunner

from vidstyle import BalanceSettings, RunOptions, animate_balance
from vidstyle.cli import app
from vidstyle.core import networks
from vidstyle.core.metrics import feature_distance
from vidstyle.lab.evaluate.uniformity import AnimationFigures, StyleUniformity, Uniformity
from vidstyle.lab.plots import EIGHTHS

FAST = ["--size", 64, "--seconds", 1, "--fps", 8, "--iterations", 8, "--first-iterations", 8, "--device", "cpu"]


@pytest.fixture
def pictures(tmp_path):
    for name, seed in (("photo", 1), ("style", 2), ("other", 3)):
        Image.fromarray(pixels(texture(72, 96, seed))).save(tmp_path / f"{name}.png")
    return [tmp_path / f"{name}.png" for name in ("photo", "style", "other")]


@pytest.fixture
def weights(slim_vgg19):
    return slim_vgg19


def run(network, *arguments):
    return CliRunner().invoke(app, ["uniformity", *map(str, (*FAST, "--network", network, *arguments))])


def figures(tmp_path, network, *arguments):
    done = run(network, *arguments, "-q", "-o", tmp_path / "e.json", "-y")
    assert (done.exit_code, done.output) == (0, "")
    return json.loads((tmp_path / "e.json").read_text())


def names(figure):
    return set(figure.__dataclass_fields__)


@pytest.mark.slow
def test_it_tells_everything(tmp_path, network, pictures):
    done = run(network, *pictures, "-o", tmp_path / "e.json")
    assert done.exit_code == 0, done.output
    for words in ("style.png, even", "other.png, even", "  linear", "variation", "boiling", "pilot", "one way"):
        assert words in done.output
    assert any(block in done.output for block in EIGHTHS[1:])
    found = json.loads((tmp_path / "e.json").read_text())
    assert set(found) == names(Uniformity)
    assert (found["picture"], found["judge"], found["settings"]["space"]) == ("photo.png", "painter", "even")
    assert (found["width"], found["height"], found["fps"], found["frames"]) == (64, 48, 8, 5)
    assert [one["style"] for one in found["styles"]] == ["style.png", "other.png"]
    for one in found["styles"]:
        assert set(one) == names(StyleUniformity)
        assert (one["other"], one["apart"], one["hysteresis"]) == (None, [], None)
        assert [animation["space"] for animation in one["animations"]] == ["even", "linear"]
        for animation in one["animations"]:
            assert set(animation) == names(AnimationFigures)
            steps = animation["steps"]
            assert (len(steps), len(animation["alpha"])) == (4, 5)
            assert (animation["alpha"][0], animation["alpha"][-1], animation["direction"]) == (1, 0, "forward")
            assert animation["mean"] == pytest.approx(statistics.fmean(steps))
            assert animation["step_variation"] == pytest.approx(np.std(steps) / np.mean(steps))
            assert (animation["least"], animation["greatest"]) == pytest.approx(
                [f(steps) / animation["mean"] for f in (min, max)]
            )
            assert 0 < animation["straight"] <= 1
            assert animation["boiling"] >= 1 - 1e-6  # nothing is shorter than the straight way
            assert 5 <= animation["evaluations"] <= 1 + 4 * 8
            assert animation["pilot_share"] == pytest.approx(
                animation["pilot_seconds"] / animation["seconds"], abs=1e-3
            )
            assert (animation["pilot_seconds"] > 0) == (animation["space"] == "even")
        assert one["animations"][1]["alpha"] == pytest.approx([1, 0.75, 0.5, 0.25, 0])


@pytest.mark.clips
@pytest.mark.parametrize(
    ("judge", "direction"), [("painter", "forward"), pytest.param("compact", "backward", marks=pytest.mark.slow)]
)
def test_it_measures_the_animation_that_balance_paints(tmp_path, network, pictures, judge, direction):
    (one,) = figures(tmp_path, network, *pictures[:2], "--judge", judge, "--direction", direction)["styles"]
    even = one["animations"][0]
    settings = BalanceSettings(
        size=64,
        seconds=1,
        fps=8,
        iterations=8,
        first_iterations=8,
        direction=direction,
        device="cpu",
        network=str(network),
    )
    animate_balance(pictures[0], pictures[1:2], tmp_path / "a.png", settings, run=RunOptions(keep_job=True))
    frames = frames_of(tmp_path / "a.png.job")[:5]
    critic = networks.compact(str(network) if judge == "painter" else None)
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
    steps = [feature_distance(critic, *pair, layers) for pair in pairwise(frames)]
    assert even["steps"] == pytest.approx(steps, rel=1e-4)
    straight = feature_distance(critic, frames[0], frames[-1], layers) / sum(steps)
    assert even["straight"] == pytest.approx(straight, rel=1e-4)
    squares = [float((after - before).square().mean()) for before, after in pairwise(frames)]
    fade = float((frames[-1] - frames[0]).square().mean()) / 4**2
    assert even["boiling"] == pytest.approx(statistics.fmean(squares) / fade, rel=1e-4)


def test_vgg19_judges_what_another_network_paints(tmp_path, network, weights, pictures):
    own, other = (
        figures(tmp_path, network, *pictures[:2], "--no-beside", *options)["styles"][0]["animations"][0]
        for options in ([], ["--judge", "vgg19", "--weights", weights])
    )
    assert own["alpha"] == other["alpha"]
    assert all(abs(one / another - 1) > 1e-3 for one, another in zip(own["steps"], other["steps"], strict=True))


def test_what_is_beside_it_is_left_out_if_asked_for(tmp_path, network, pictures):
    (one,) = figures(tmp_path, network, *pictures[:2], "--no-beside")["styles"]
    assert [animation["space"] for animation in one["animations"]] == ["even"]
    (linear,) = figures(tmp_path, network, *pictures[:2], "--space", "linear")["styles"]
    assert [animation["space"] for animation in linear["animations"]] == ["linear"]


@pytest.mark.slow
@pytest.mark.parametrize("direction", [pytest.param("forward", marks=pytest.mark.soak), "backward"])
def test_both_directions(tmp_path, network, pictures, direction):
    options = *pictures[:2], "--both-directions", "--direction", direction
    (one,) = figures(tmp_path, network, *options)["styles"]
    first, other = one["animations"][0], one["other"]
    assert {first["direction"], other["direction"]} == {"forward", "backward"}
    assert (first["direction"], one["animations"][1]["direction"]) == (direction, direction)
    assert first["alpha"] == other["alpha"]
    assert len(one["apart"]) == 5
    assert one["hysteresis"] == pytest.approx(statistics.fmean(one["apart"]) / first["mean"])
    assert one["hysteresis"] > 0
    assert first["style_loss"] != other["style_loss"]
    forward = first if direction == "forward" else other
    assert max(forward["alpha"]) == 1  # whose painting begins with the photograph itself
    words = run(network, *options).output
    assert all(word in words for word in ("apart", direction, "other direction"))


@pytest.mark.slow
def test_a_timelapse(tmp_path, network, pictures):
    found = figures(tmp_path, network, *pictures[:2], "--timelapse", "--alpha", 0.2)
    (one,) = found["styles"]
    assert found["settings"]["timelapse"]
    for animation in one["animations"]:
        assert animation["alpha"] == [0.2] * 5
        assert len(animation["steps"]) == 4
    assert "a timelapse" in run(network, *pictures[:2], "--timelapse").output


@pytest.mark.slow
def test_where_nothing_changes_there_are_no_ratios(tmp_path, network, pictures):
    (one,) = figures(tmp_path, network, *pictures[:2], "--from", 1, "--to", 1)["styles"]
    for animation in one["animations"]:
        assert animation["steps"] == [0] * 4
        assert animation["step_variation"] is animation["boiling"] is animation["straight"] is None
    assert run(network, *pictures[:2], "--from", 1, "--to", 1).exit_code == 0


@pytest.mark.clips
def test_refusals(tmp_path, network, pictures):
    from clips import make_clip, pan

    clip = make_clip(tmp_path / "clip.mp4", pan(4, 64, 48))
    (tmp_path / "there.json").write_text("precious")
    photo, style, _ = pictures
    cases = [
        (2, "no style was given", [photo]),
        (3, "clip.mp4 is not a picture", [clip, style]),
        (3, "clip.mp4 is not a picture", [photo, clip]),
        (3, "no-such", [photo, tmp_path / "no-such.png"]),
        (4, "there.json", [photo, style, "-o", tmp_path / "there.json"]),
        (2, ".json", [photo, style, "-o", tmp_path / "e.txt"]),
        (2, "painter, compact, vgg19", [photo, style, "--judge", "me"]),
        (2, "grows in one only", [photo, style, "--both-directions", "--timelapse"]),
        (2, "it takes two", [photo, style, "--fps", 1]),
    ]
    for code, words, arguments in cases:
        done = CliRunner().invoke(app, ["uniformity", *map(str, ("--network", network, *FAST, *arguments)), "-q"])
        assert (done.exit_code, done.stdout) == (code, ""), (arguments, done.output)
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1
    assert (tmp_path / "there.json").read_text() == "precious"
    assert not list(tmp_path.glob(".*"))

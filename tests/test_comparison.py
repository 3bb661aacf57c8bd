"""The comparison of a network with VGG-19, with a random VGG-19 and a tiny network."""

import json
import math

import pytest
from conftest import pixels, texture
from PIL import Image
from typer.testing import CliRunner

from vidstyle import comparison, networks
from vidstyle.cli import app
from vidstyle.comparison import next_alpha
from vidstyle.errors import UsageError
from vidstyle.settings import Settings


@pytest.fixture
def folders(tmp_path):
    for name, seeds in (("contents", (1, 2)), ("styles", (3, 4))):
        (tmp_path / name).mkdir()
        for seed in seeds:
            Image.fromarray(pixels(texture(40, 64, seed))).save(tmp_path / name / f"{seed}.png")
    return tmp_path / "contents", tmp_path / "styles"


def run(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_every_pair_is_painted_judged_and_shown_once(tmp_path, weights, network, folders):
    options = ["--network", network, "--weights", weights, "--size", 64, "--first-iterations", 3, "--device", "cpu"]
    done = run(*folders, "-o", tmp_path / "out", *options, "--tries", 1)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["pairs"]) == 4
    for pair in report["pairs"]:
        judged = [pair[name] for name in ("reference", "same_alpha", "same_content")]
        assert all(set(one["style"]) == set(Settings().style_layers) for one in judged)
        assert judged[0]["alpha"] == judged[1]["alpha"] == 0.3
        off = [abs(math.log(one["content"] / judged[0]["content"])) for one in judged]
        assert off[2] <= off[1]
    assert "ratio" in done.output
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width > 2 * 2 * 200  # two columns of pairs
    pictures = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*-*.png")}
    assert 8 <= len(pictures) <= 12
    assert run(*folders, "-o", tmp_path / "out", *options, "--tries", 1, "--pairs", 3).exit_code == 0
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["pairs"]) == 3
    assert pictures == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*-*.png")}


def test_a_network_that_is_the_judge_is_its_equal(tmp_path, weights, folders, monkeypatch):
    monkeypatch.setattr(comparison, "load_network", lambda settings: networks.vgg19(weights))
    monkeypatch.setattr("vidstyle.jobs.tasks.load_network", lambda settings: networks.vgg19(weights))
    content, style = (next(folder.iterdir()) for folder in folders)
    settings = Settings(size=64, first_iterations=2, device="cpu")
    found = comparison.compare(content, style, tmp_path / "out", settings)
    assert found.means("reference") == found.means("same_alpha") == found.means("same_content")
    assert found.speed.ratio == pytest.approx(1, rel=0.9)


def test_refusals(tmp_path, weights, folders):
    contents, styles = folders
    done = run(contents, styles, "-o", tmp_path / "out", "--network", "vgg19")
    assert done.exit_code == 2
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", styles, "-o", tmp_path / "out", "--weights", weights).exit_code == 3
    assert run(contents, styles, "-o", tmp_path / "out", "--weights", tmp_path / "none").exit_code == 8
    assert run(contents, styles, "-o", contents / "1.png", "--weights", weights).exit_code == 7
    with pytest.raises(UsageError, match="vgg19"):
        comparison.Comparison(tmp_path / "out", Settings(network="vgg19"))


def test_alpha_is_moved_towards_the_wanted_distance():
    assert next_alpha([(0.3, 1.0)], 1.0) == pytest.approx(0.3)
    assert next_alpha([(0.3, 1.0)], 0.5) > 0.3  # nearer to the content takes more alpha
    law = [(alpha, 2.0 * ((1 - alpha) / alpha) ** 0.3) for alpha in (0.3, 0.4, 0.6)]
    assert next_alpha(law[:2], law[2][1]) == pytest.approx(0.6)
    assert 0 < next_alpha([(0.3, 1.0)], 1e-9) < 1

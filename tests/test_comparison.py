"""The comparison of a network with VGG-19 or another tool, with a random VGG-19 and a tiny network."""

import dataclasses
import json
import math
import re
from pathlib import Path

import pytest
from conftest import pixels, texture
from PIL import Image
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.core import networks
from vidstyle.errors import MediaError, UsageError
from vidstyle.lab.evaluate import comparison, patches
from vidstyle.lab.evaluate.comparison import next_alpha
from vidstyle.lab.evaluate.comparison_report import Judgement, Pair, Report, Speed
from vidstyle.lab.evaluate.finished import find_finished
from vidstyle.lab.evaluate.patches import PatchDistances
from vidstyle.settings import ImageSettings

FAST = ["--size", 64, "--first-iterations", 3, "--device", "cpu"]


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    monkeypatch.setattr(patches, "COUNT", 100)


@pytest.fixture
def folders(tmp_path):
    for name, seeds in (("contents", (1, 2)), ("styles", (3, 4))):
        (tmp_path / name).mkdir()
        for seed in seeds:
            Image.fromarray(pixels(texture(40, 64, seed))).save(tmp_path / name / f"{seed}.png")
    return tmp_path / "contents", tmp_path / "styles"


@pytest.fixture
def beside(tmp_path):
    """Another tool's pictures of the four pairs, one of them larger."""
    folder = tmp_path / "Their Tool"
    folder.mkdir()
    for number, name in enumerate(("1-3.png", "1-4-final.jpg", "2-3.webp", "2-4.png")):
        scale = 2 if name == "2-4.png" else 1
        Image.fromarray(pixels(texture(scale * 40, scale * 64, number + 10))).save(folder / name)
    return folder


@pytest.fixture
def weights(slim_vgg19):
    return slim_vgg19


def run(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_every_pair_is_painted_judged_and_shown_once(tmp_path, weights, network, folders):
    given = [*folders, "-o", tmp_path / "out", "--network", network, "--weights", weights, *FAST, "--tries", 1]
    done = run(*given)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["reference"], report["network"], report["beside"]) == ("VGG-19", "tiny.safetensors", None)
    assert len(report["pairs"]) == 4
    for pair in report["pairs"]:
        judged = [pair[name] for name in ("reference", "same_alpha", "same_content")]
        assert all(set(one["style"]) == set(ImageSettings().style_layers) for one in judged)
        assert judged[0]["alpha"] == judged[1]["alpha"] == 0.4
        off = [abs(math.log(one["content"] / judged[0]["content"])) for one in judged]
        assert off[2] <= off[1]
        for one in judged:
            eight = [value for name, value in one["patches"].items() if name != "mean"]
            assert len(eight) == 8
            assert one["patches"]["mean"] == pytest.approx(sum(eight) / 8)
            assert 0 < one["patch_noise"]["mean"] < one["patches"]["mean"]
    for words in (
        "ratio",
        "4 pairs, judged by VGG-19",
        "mean of the eight",
        "5x5 patches, recall",
        "±",
        "one evaluation",
    ):
        assert words in done.output
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width > 2 * 2 * 200  # two columns of pairs
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert not (tmp_path / "out" / "blind.html").exists()
    painted = {path for path in before if "-" in path.name}
    assert 8 <= len(painted) <= 12
    again = run(*given, "--pairs", 3)
    assert (again.exit_code, "give -y" in again.output) == (4, True)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert run(*given, "--pairs", 3, "-y").exit_code == 0
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["pairs"]) == 3
    assert {path: before[path] for path in painted} == {path: path.stat().st_mtime_ns for path in painted}


def test_an_interrupted_call_goes_on_without_leave(tmp_path, weights, network, folders):
    given = [
        *folders,
        "-o",
        tmp_path / "out",
        "--network",
        network,
        "--weights",
        weights,
        *FAST,
        "--tries",
        0,
        "--pairs",
        1,
    ]
    assert run(*given).exit_code == 0
    painted = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*-*.png")}
    for name in ("sheet.png", "report.json"):
        (tmp_path / "out" / name).unlink()
    assert run(*given, "--blind").exit_code == 0
    assert painted == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*-*.png")}
    (tmp_path / "out" / "report.json").unlink()
    (tmp_path / "out" / "sheet.png").unlink()
    assert run(*given, "--blind").exit_code == 4  # the page is there


def test_a_network_that_is_the_judge_is_its_equal(tmp_path, weights, folders, monkeypatch):
    monkeypatch.setattr(comparison, "load_network", lambda settings: networks.vgg19(weights))
    monkeypatch.setattr("vidstyle.jobs.task_inputs.load_network", lambda settings: networks.vgg19(weights))
    content, style = (next(folder.iterdir()) for folder in folders)
    settings = ImageSettings(size=64, first_iterations=2, device="cpu")
    found = comparison.compare(content, style, tmp_path / "out", settings)
    assert found.means("reference") == found.means("same_alpha") == found.means("same_content")
    assert found.patch_means("reference") == found.patch_means("same_alpha")
    assert found.speed.ratio > 0


@pytest.mark.parametrize("painter", ["tiny", "vgg19"])
def test_pictures_of_another_tool_take_the_place_of_vgg19s(tmp_path, weights, network, folders, beside, painter):
    before = {path: path.read_bytes() for path in beside.iterdir()}
    named = network if painter == "tiny" else painter
    given = ["--beside", beside, "--network", named, "--weights", weights, *FAST, "--tries", 1, "--pairs", 3]
    done = run(*folders, "-o", tmp_path / "out", *given)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["reference"], report["beside"], report["speed"]) == ("Their Tool", str(beside), None)
    names = [Path(pair["reference"]["picture"]).name for pair in report["pairs"]]
    assert names == ["1-3.png", "2-4.png", "1-4-final.jpg"]
    assert [pair["reference"]["resized_from"] for pair in report["pairs"]] == [None, [128, 80], None]
    assert {pair["reference"]["alpha"] for pair in report["pairs"]} == {None}
    assert {pair["same_alpha"]["alpha"] for pair in report["pairs"]} == {0.4}
    assert "| Their Tool |" in done.output and "alpha 0.4 |" in done.output and "same alpha" not in done.output
    assert "1 of the 3 pictures of Their Tool had another size" in done.output
    assert {path: path.read_bytes() for path in beside.iterdir()} == before
    if painter == "tiny":
        assert not list((tmp_path / "out").glob("*-vgg19-*"))
        assert re.findall(r".{10}VGG-19", done.output) == ["judged by VGG-19"]


def test_a_picture_that_is_its_content_is_judged(tmp_path, weights, network, folders):
    (tmp_path / "same").mkdir()
    content, style = (folder / name for folder, name in zip(folders, ("1.png", "3.png"), strict=True))
    (tmp_path / "same" / "1-3.png").write_bytes(content.read_bytes())
    given = ["--beside", tmp_path / "same", "--network", network, "--weights", weights, *FAST, "--tries", 1]
    done = run(content, style, "-o", tmp_path / "out", *given)
    assert done.exit_code == 0, done.output
    (pair,) = json.loads((tmp_path / "out" / "report.json").read_text())["pairs"]
    assert pair["reference"]["content"] == 0
    assert pair["same_content"]["alpha"] > 0.4  # towards the content


def resave(path, size):
    with Image.open(path) as image:
        image.resize(size).save(path)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda theirs, contents: (theirs / "1-3.png").unlink(), 3, "holds no picture 1-3.* or 1-3-*"),
        (lambda theirs, contents: (theirs / "2-3.webp").rename(theirs / "1-3-b.webp"), 2, "(1-3-b.webp, 1-3.png)"),
        (lambda theirs, contents: resave(theirs / "1-3.png", (64, 44)), 3, "64x44 pixels and"),
        (lambda theirs, contents: (theirs / "1-3.png").write_text("letters"), 3, "1-3.png is not a picture"),
        (lambda theirs, contents: (contents / "1.png").rename(contents / "2.jpg"), 2, "in --beside; rename one"),
        (lambda theirs, contents: theirs.rename(theirs.parent / "gone"), 3, "there is no folder"),
        (lambda theirs, contents: [path.unlink() for path in theirs.iterdir()], 3, "holds no picture"),
    ],
)
def test_pictures_beside_are_refused_before_anything_is_painted(tmp_path, folders, beside, change, code, words):
    change(beside, folders[0])
    done = run(*folders, "-o", tmp_path / "out", "--beside", beside, "--weights", tmp_path / "none")
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_output_is_not_the_folder_beside(folders, beside):
    before = set(beside.iterdir())
    done = run(*folders, "-o", beside, "--beside", beside)
    assert (done.exit_code, "is the output, too" in done.output) == (2, True)
    assert set(beside.iterdir()) == before


def test_a_picture_belongs_to_the_longest_name(tmp_path):
    for name in ("ride.png", "dots.png", "dots-2.png", "ride-dots.png", "ride-dots-2.png", "ride-dots-2-b.png"):
        Image.fromarray(pixels(texture(32, 48, 1))).save(tmp_path / name)
    content, dots, other = (tmp_path / name for name in ("ride.png", "dots.png", "dots-2.png"))
    pairs = [(content, dots), (content, other)]
    found = find_finished(tmp_path, tmp_path / "out", pairs, pairs[:1], 512)
    assert {pair: one.path.name for pair, one in found.items()} == {pairs[0]: "ride-dots.png"}
    with pytest.raises(UsageError, match=r"2 pictures of the pair ride-dots-2 \(ride-dots-2-b.png, ride-dots-2.png\)"):
        find_finished(tmp_path, tmp_path / "out", pairs, pairs, 512)
    with pytest.raises(UsageError, match="3 pictures of the pair ride-dots "):
        find_finished(tmp_path, tmp_path / "out", pairs[:1], pairs[:1], 512)


@pytest.mark.parametrize(
    ("size", "fits"),
    [((512, 342), True), ((1024, 683), True), ((300, 199), True), ((512, 352), False), ((341, 512), False)],
)
def test_proportions_agree_within_a_pixel(tmp_path, size, fits):
    content, style = tmp_path / "c.png", tmp_path / "s.png"
    (tmp_path / "theirs").mkdir()
    for path, shape in ((content, (768, 512)), (style, (64, 64)), (tmp_path / "theirs" / "c-s.png", size)):
        Image.new("RGB", shape).save(path)
    pairs = [(content, style)]
    if fits:
        assert find_finished(tmp_path / "theirs", tmp_path, pairs, pairs, 512)[pairs[0]].size == (512, 342)
    else:
        with pytest.raises(MediaError, match="proportions"):
            find_finished(tmp_path / "theirs", tmp_path, pairs, pairs, 512)


def report(beside=None, speed=None):
    """Of one pair, whose second picture halves every number."""
    one = PatchDistances(*[0.2] * 9)
    half = PatchDistances(*[0.1] * 9)
    first = Judgement(Path("a.png"), None if beside else 0.3, {"relu1_1": 0.04}, 0.5, one, (one.over(half), one))
    second = Judgement(Path("b.png"), 0.3, {"relu1_1": 0.02}, 0.5, half, (half, half))
    return Report([Pair(Path("c.png"), Path("s.png"), first, second, second)], "VGG-19", "compact", 0.3, beside, speed)


def test_the_tables():
    lines = report(speed=Speed(64, 2.0, 0.5)).lines()
    assert lines[0].startswith("| 1 pair, judged by VGG-19 | relu1_1 | style | content |")
    assert "| compact, same alpha | 0.0200 | 0.0200 | 0.5000 |" in lines
    assert "| ratio | 0.50 | 0.50 | 1.00 |" in lines
    # samples .2, 2, .2 beside .1, .1, .1: standard deviations 1.0392, 0, and of the ratios .5, .05, .5
    cells = "0.2000 ± 1.0392 | 0.1000 ± 0.0000 | 0.500 ± 0.260 | 0.1000 ± 0.0000 | 0.500 ± 0.260 |"
    assert f"| mean of the eight | {cells}" in lines
    assert sum("±" in line and line.startswith("|") for line in lines) == 9
    assert lines[-1] == "one evaluation at 64x64 px: VGG-19 2.000 s, compact 0.500 s, ratio 4.0"
    assert set(patches.LABELS) == {field.name for field in dataclasses.fields(PatchDistances)}


def test_refusals(tmp_path, weights, folders):
    contents, styles = folders
    done = run(contents, styles, "-o", tmp_path / "out", "--network", "vgg19")
    assert (done.exit_code, "or --beside" in done.output) == (2, True)
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", styles, "-o", tmp_path / "out", "--weights", weights).exit_code == 3
    assert run(contents, styles, "-o", tmp_path / "out", "--weights", tmp_path / "none").exit_code == 8
    assert run(contents, styles, "-o", contents / "1.png", "--weights", weights).exit_code == 7
    with pytest.raises(UsageError, match="vgg19"):
        comparison.Comparison(tmp_path / "out", ImageSettings(network="vgg19"))


def test_alpha_is_moved_towards_the_wanted_distance():
    assert next_alpha([(0.3, 1.0)], 1.0) == pytest.approx(0.3)
    assert next_alpha([(0.3, 1.0)], 0.5) > 0.3  # nearer to the content takes more alpha
    law = [(alpha, 2.0 * ((1 - alpha) / alpha) ** 0.3) for alpha in (0.3, 0.4, 0.6)]
    assert next_alpha(law[:2], law[2][1]) == pytest.approx(0.6)
    assert 0 < next_alpha([(0.3, 1.0)], 1e-9) < 1
    assert 0 < next_alpha([(0, 1.0)], 0.1) < next_alpha([(0, 1.0)], 0.01) < 1  # the ends of the range
    assert 1 > next_alpha([(1, 0.1)], 1.0) > next_alpha([(1, 0.1)], 2.0) > 0


@pytest.mark.parametrize("alpha", ["0", "1"])
def test_both_ends_of_the_balance_can_be_compared(tmp_path, weights, network, folders, alpha):
    contents, styles = folders
    words = ("--alpha", alpha, "--network", network, "--weights", weights, "--pairs", 1, "--tries", 1, *FAST)
    done = run(contents, styles, "-o", tmp_path / "out", *words)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["alpha"] == float(alpha)

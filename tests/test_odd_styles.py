"""Styles that say little, or nothing: finite pictures without a word, in their colours."""

import warnings

import numpy as np
import pytest
from conftest import pixels, texture
from PIL import Image
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.errors import UsageError
from vidstyle.jobs import task_inputs

NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
PHOTO = pixels(texture(48, 64, 1))
STYLES = {
    "one colour": np.full((40, 40, 3), (200, 120, 40), np.uint8),
    "two pixels": np.array([[(255, 0, 0), (0, 0, 255)]], np.uint8),
    "the content": PHOTO,
    "black": np.zeros((40, 40, 3), np.uint8),
    "white": np.full((40, 40, 3), 255, np.uint8),
    "noise": NOISE,
    "16x16": pixels(texture(16, 16, 2)),
    "grey": np.repeat(pixels(texture(40, 40, 3))[:, :, :1], 3, axis=2),
}


@pytest.mark.parametrize("metric", ["wasserstein", "gram"])
@pytest.mark.parametrize("name", list(STYLES))
def test_a_style_that_says_little(name, metric, tmp_path):
    for file, picture in (("photo", PHOTO), ("style", STYLES[name])):
        Image.fromarray(picture).save(tmp_path / f"{file}.png")
    command = ["image", tmp_path / "photo.png", tmp_path / "style.png", "-o", tmp_path / "o.png", "--device", "cpu"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = CliRunner().invoke(app, [*map(str, command), "--style-metric", metric, "--first-iterations", "8", "-q"])
    assert (done.exit_code, done.output) == (0, "")
    with Image.open(tmp_path / "o.png") as picture:
        painted = np.asarray(picture).astype(float)
    assert painted.shape == PHOTO.shape
    away = np.abs(painted - PHOTO).mean()
    if name == "the content":
        assert away < 12
    elif name == "noise":
        assert np.diff(painted, axis=1).std() > np.diff(PHOTO.astype(float), axis=1).std()
    else:
        its, own = (np.abs(painted.mean((0, 1)) - image.mean((0, 1))).mean() for image in (STYLES[name], PHOTO))
        assert its < 0.5 * own + 6
    if name in ("one colour", "grey"):  # its shapes are still there
        seen = np.corrcoef(painted.mean(2).ravel(), PHOTO.mean(2).ravel())[0, 1]
        assert seen > 0.5


@pytest.mark.parametrize("size", [(1000, 100), (100, 1000), (2000, 20), (600, 16)], ids=str)
@pytest.mark.parametrize("content", [(512, 340), (64, 48)], ids=str)
def test_a_panoramic_style_at_every_scale(tmp_path, size, content):
    """Coarse-to-fine begins at 64 pixels, where such a style would be too narrow for the deepest layer."""
    for file, (width, height), seed in (("photo", content, 1), ("style", size, 2)):
        Image.fromarray(pixels(texture(height, width, seed))).save(tmp_path / f"{file}.png")
    words = ["image", tmp_path / "photo.png", tmp_path / "style.png", "-o", tmp_path / "o.png", "--device", "cpu"]
    done = CliRunner().invoke(app, [*map(str, words), "--first-iterations", "2", "-q"])
    assert (done.exit_code, done.output) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.png", "photo.png", "style.png"]


@pytest.mark.parametrize(
    "words",
    [
        ["image", "photo.png", "style.png", "-o", "o.png"],
        ["balance", "photo.png", "style.png", "-o", "o.gif", "--space", "linear"],
        ["balance", "photo.png", "style.png", "-o", "o.gif"],
        ["sheet", "photo.png", "style.png", "-o", "o.png"],
        ["video", "frames", "style.png", "-o", "o.gif"],
    ],
    ids=lambda words: " ".join(words[:1] + words[5:]),
)
def test_a_job_that_is_refused_before_its_first_frame_leaves_no_folder(tmp_path, monkeypatch, words):
    """Whatever is refused once the folder has been made; then the mended command finds nothing in its way."""
    (tmp_path / "frames").mkdir()
    for file in ("photo", "style", "frames/1", "frames/2"):
        Image.fromarray(pixels(texture(48, 64, len(file)))).save(tmp_path / f"{file}.png")
    before = sorted(tmp_path.rglob("*"))

    def refused(*arguments, **options):
        assert list(tmp_path.glob("*.job")), "there is no folder yet"
        raise UsageError("refused late")

    monkeypatch.setattr(task_inputs, "Stylizer", refused)
    places = [tmp_path / word if word.endswith((".png", ".gif", "frames")) else word for word in words]
    done = CliRunner().invoke(app, [*map(str, places), "--device", "cpu", "-q"])
    assert (done.exit_code, done.output) == (2, "vidstyle: refused late\n")
    assert sorted(tmp_path.rglob("*")) == before

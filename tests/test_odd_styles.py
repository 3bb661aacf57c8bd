"""Styles that say little, or nothing: finite pictures without a word, in their colours."""

import warnings

import numpy as np
import pytest
from conftest import pixels, texture
from PIL import Image
from typer.testing import CliRunner

from vidstyle.cli import app

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

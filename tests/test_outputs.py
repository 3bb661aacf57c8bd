"""Several outputs of one painting, and encoding a finished job anew."""

import dataclasses

import numpy as np
import pytest
from clips import clicks, make_clip, pan, probe
from conftest import pixels
from conftest import texture as noise
from PIL import Image
from test_animations import seen
from typer.testing import CliRunner

from vidstyle import Settings, animate_balance, stylize_image
from vidstyle.cli import app
from vidstyle.errors import DiskError, OutputExistsError, UsageError

pytestmark = pytest.mark.clips
FAST = ["--size", "64", "--first-iterations", "4", "--iterations", "3", "--device", "cpu"]


@pytest.fixture
def settings(network):
    return Settings(size=64, first_iterations=4, iterations=3, device="cpu", network=str(network))


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(noise(64, 64, seed=2))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", pan(6, 64, 48), rate=24, sound=clicks(6 / 24))


@pytest.fixture
def vidstyle():
    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def test_every_format_from_one_painting(vidstyle, tmp_path, clip, style, network):
    names = ["a.mp4", "a.webm", "a.gif", "a.webp", "a.avif", "a.png", "frames/"]
    outputs = [word for name in names for word in ("-o", f"{tmp_path}/{name}")]
    done = vidstyle("video", clip, style, *outputs, "--network", network, *FAST)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [name.strip("/") for name in names] + ["clip.mp4", "style.png", "tiny.safetensors"]
    )
    frames = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "frames").glob("*.png"))]
    for name, error in (("a.png", 0), ("a.webp", 10), ("a.avif", 6)):
        again, _, end = seen(tmp_path / name)
        assert end == pytest.approx(250, abs=1)
        assert np.abs(np.array(again).astype(int) - frames).mean() <= error
    for name, sound in (("a.mp4", ["aac"]), ("a.webm", ["opus"]), ("a.gif", [])):
        found = probe(tmp_path / name)
        assert (found["frames"], found["audio"]) == (6, sound)


def test_nothing_is_painted_twice(tmp_path, style, settings):
    outputs = [tmp_path / "a.gif", tmp_path / "b.webp"]
    painted = []
    made = animate_balance(
        style,
        [style],
        outputs,
        dataclasses.replace(settings, seconds=1, fps=6),
        on_frame=lambda result, total: painted.append(result.index),
    )
    assert (made, painted) == (outputs[0], [0, 1, 2, 3])
    assert stylize_image(style, [style], [tmp_path / "a.png", tmp_path / "a.jpg"], settings) == tmp_path / "a.png"
    assert Image.open(tmp_path / "a.jpg").size == (64, 64)


def test_every_output_is_checked_before_painting(tmp_path, style, settings):
    (tmp_path / "there.gif").write_text("precious")
    for outputs, error, words in (
        (["a.gif", "there.gif"], OutputExistsError, "there.gif"),
        (["a.gif", "b.xyz"], UsageError, "b.xyz"),
        (["a.gif", "none/b.webp"], DiskError, "none"),
        (["a.gif", "b.webp", "./a.gif"], UsageError, "twice"),
        ([], UsageError, "no output"),
    ):
        with pytest.raises(error, match=words):
            animate_balance(
                style,
                [style],
                [tmp_path / output for output in outputs],
                settings,
                on_frame=lambda result, total: pytest.fail("it paints"),
            )
    assert not list(tmp_path.glob("*.job"))


def test_the_others_are_made_where_one_fails(tmp_path, style, settings, monkeypatch):
    from vidstyle import animations

    settings = dataclasses.replace(settings, seconds=1, fps=6)
    outputs = [tmp_path / name for name in ("a.gif", "b.webp", "c.png")]

    def fail(self):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(animations.WebpSink, "_finish", fail)
        with pytest.raises(DiskError, match=r"disk is full.*2 of 3 outputs are made.*a\.gif\.job"):
            animate_balance(style, [style], outputs, settings)
    assert [output.exists() for output in outputs] == [True, False, True]
    assert not [path for path in tmp_path.iterdir() if "part" in path.name]
    painted = []
    animate_balance(
        style, [style], outputs, settings, overwrite=True, on_frame=lambda result, total: painted.append(result)
    )
    assert painted == []
    assert outputs[1].exists()
    assert not list(tmp_path.glob("*.job"))

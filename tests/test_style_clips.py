"""A clip as a style: its statistics are the mean of those of eight frames, spread evenly over it."""

import numpy as np
import pytest
import torch
from clips import make_clip, number_of, numbered, pan, texture
from conftest import texture as fractal
from PIL import Image

from vidstyle import ImageSettings
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import MediaError
from vidstyle.jobs.sources.styles import FRAMES, load_styles, thumbnail

FAST = ("--first-iterations", 3, "--device", "cpu", "--precision", "float32")
WIDTH, HEIGHT = 96, 64

pytestmark = pytest.mark.clips


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def animated(path, frames):
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


@pytest.fixture
def files(tmp_path, network):
    saved(tmp_path / "photo.png", texture(WIDTH, HEIGHT, 1))
    make_clip(tmp_path / "style.mkv", pan(20, speed=9), codec="ffv1", pixels="bgr0")
    return tmp_path


@pytest.fixture
def run(files, vidstyle):
    def run(job, content, style, output, *arguments, code=0):
        network = files / "tiny.safetensors"
        given = ("-o", f"{files}/{output}", "--network", network, *FAST, *arguments)
        done = vidstyle(job, files / content, files / style, *given)
        assert done.exit_code == code, done.output
        return " ".join(done.output.split())

    return run


def test_which_frames_are_taken(tmp_path):
    make_clip(tmp_path / "a.mkv", numbered(20), codec="ffv1", pixels="bgr0")
    (style,) = load_styles([tmp_path / "a.mkv"])
    assert style.shape == (FRAMES, 3, HEIGHT, WIDTH)
    found = [number_of((frame.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)) for frame in style]
    assert found == [1, 3, 6, 8, 11, 13, 16, 18]
    make_clip(tmp_path / "b.mkv", numbered(3), codec="ffv1", pixels="bgr0")
    assert len(load_styles([tmp_path / "b.mkv"])[0]) == 3
    (small,) = load_styles([tmp_path / "a.mkv"], enough=24)
    assert small.shape == (FRAMES, 3, 32, 48)
    assert thumbnail(style).shape == (3, HEIGHT, WIDTH)


def test_the_statistics_are_the_mean_of_the_frames(tiny_network):
    frames = torch.stack([fractal(40, 48, seed) for seed in range(4)])
    layers = {"content_layers": ("relu2_1",), "style_layers": ("relu1_1", "relu2_1")}
    settings = ImageSettings(device="cpu", precision="float32", **layers)
    as_clip, apart = Stylizer(tiny_network, [frames], settings), Stylizer(tiny_network, [*frames], settings)
    one, other = as_clip.style((32, 48), (1.0,)), apart.style((32, 48), (0.25,) * 4)
    for layer, wanted in other.statistics.style.items():
        assert torch.allclose(one.statistics.style[layer], wanted, rtol=1e-4, atol=1e-5)
    colors = torch.stack(apart.colors._moments).mean(0)
    assert torch.allclose(as_clip.colors._moments[0], colors, atol=1e-6)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_a_clip_of_one_picture_paints_as_that_picture(files, run, suffix):
    still = texture(WIDTH, HEIGHT, 5)
    saved(files / "still.png", np.asarray(Image.fromarray(still).quantize(64).convert("RGB")))
    frames = [np.asarray(Image.open(files / "still.png").convert("RGB"))] * 2
    marked = frames[1].copy()
    marked[0, 0] = 255 - marked[0, 0]  # or the second is left out
    options = {"lossless": True} if suffix == "webp" else {}
    first, second = map(Image.fromarray, (frames[0], marked))
    first.save(files / f"moving.{suffix}", save_all=True, append_images=[second], duration=100, **options)
    run("image", "photo.png", "still.png", "a.png")
    run("image", "photo.png", f"moving.{suffix}", "b.png")
    run("image", "photo.png", "style.mkv", "c.png")
    one, other, third = (np.asarray(Image.open(files / f"{name}.png")).astype(int) for name in "abc")
    assert np.abs(one - other).mean() < 0.2 * np.abs(one - third).mean()


def test_of_a_picture_and_of_a_clip(files, run):
    run("image", "photo.png", "style.mkv", "o.png")
    run("image", "photo.png", "photo.png", "p.png", files / "style.mkv", "--mix", ".5,.5")
    make_clip(files / "clip.mkv", pan(3), codec="ffv1", pixels="bgr0")
    run("video", "clip.mkv", "style.mkv", "out/", "--iterations", 2, "--layout", "triptych", "--report", "--keep-job")
    shown = np.asarray(Image.open(files / "out" / "000000.png"))
    middle = list(pan(20, speed=9))[11]
    assert (np.abs(shown[:, -WIDTH:].astype(int) - middle).max(2) == 0).all(), "the frame in the middle"
    run("sheet", "photo.png", "style.mkv", "sheet.png", "--size", 64)
    run("image", "photo.png", "style.mkv", "q.png", "--colors-only")


def test_encoded_anew_beside_it(files, run, vidstyle):
    make_clip(files / "clip.mkv", pan(3), codec="ffv1", pixels="bgr0")
    run("video", "clip.mkv", "style.mkv", "out/", "--iterations", 2, "--keep-job")
    done = vidstyle("encode", files / "out.job", "-o", f"{files}/again/", "--layout", "triptych")
    assert done.exit_code == 0, done.output
    assert np.asarray(Image.open(files / "again" / "000000.png")).shape[1] > 3 * WIDTH


def test_what_is_visible_of_a_transparent_one(files):
    solid = np.full((HEIGHT, WIDTH), 255, np.uint8)
    frames = [np.dstack([texture(WIDTH, HEIGHT, seed), solid]) for seed in (1, 2)]
    frames[0][:, 50:] = 0
    animated(files / "cut.png", [*frames, np.zeros_like(frames[0])])
    (style,) = load_styles([files / "cut.png"])
    assert style.shape == (2, 4, HEIGHT, WIDTH), "that of which nothing is visible does not count"
    assert style[0, 3, 0, 49] == 1
    assert style[0, 3, 0, 50] == 0
    assert style[0, :3, :, 60:].mean() > 0.1, "its hidden colours are not black"


def test_no_clip(files, run):
    (files / "sound.mp4").write_bytes(b"\0" * 100)
    assert "sound.mp4" in run("image", "photo.png", "sound.mp4", "o.png", code=3)
    with pytest.raises(MediaError):
        load_styles([files / "sound.mp4"])
    region = f"{files / 'photo.png'}={files / 'style.mkv'}"
    assert "style.mkv is not a picture" in run("image", "photo.png", "photo.png", "o.png", "--region", region, code=3)

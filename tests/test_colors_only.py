"""`--colors-only`: the content with the styles' colours, of which nothing is painted."""

import itertools
import json

import cv2
import numpy as np
import pytest
from clips import pan, texture
from PIL import Image

from vidstyle import ImageSettings, RunOptions, VideoSettings, stylize_image, stylize_video
from vidstyle.errors import UsageError
from vidstyle.settings.parts import OF_MOVED, OF_PAINTED

WIDTH, HEIGHT = 96, 64


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def files(tmp_path):
    saved(tmp_path / "photo.png", texture(WIDTH, HEIGHT, 1))
    saved(tmp_path / "style.png", (texture(80, 80, 2) * (0.3, 0.9, 0.5)).astype(np.uint8))
    return tmp_path


@pytest.fixture
def run(files, vidstyle):
    """Run a command with the style; what it printed."""

    def run(job, content, output, *arguments, code=0):
        given = ("--colors-only", "--device", "cpu", *arguments)
        done = vidstyle(job, files / content, files / "style.png", "-o", f"{files}/{output}", *given)
        assert done.exit_code == code, done.output
        return " ".join(done.output.split())

    return run


def picture(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


def lab(pixels):
    return cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)


def test_the_colours_are_the_styles(files, run):
    """Means, deviations and quantiles are the style's, in a space that the matching does not work in."""
    run("image", "photo.png", "out.png")
    found, style, photo = (lab(picture(files / f"{name}.png")) for name in ("out", "style", "photo"))
    steps = np.linspace(0.05, 0.95, 10)
    wanted, *both = (np.quantile(one, steps, axis=0) for one in (style, found, photo))
    matched, before = (np.abs(one - wanted).mean() for one in both)
    assert matched < 2 < 8 < before
    assert np.abs(found.std(0) - style.std(0)).max() < 2


def test_the_shapes_are_the_contents(files, run):
    """What has one colour in the content has one colour in the result, and what differs stays in its order."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    flat = (rows // 16 * 6 + columns // 16).astype(np.uint8)
    saved(files / "flat.png", np.dstack([flat * 9, flat * 8, flat * 7]))
    run("image", "flat.png", "out.png")
    found = picture(files / "out.png")
    colors = [np.unique(found[flat == number].reshape(-1, 3), axis=0) for number in range(24)]
    assert all(len(one) == 1 for one in colors)
    places = np.argsort(
        np.argsort([cv2.cvtColor(one[None].astype(np.float32), cv2.COLOR_RGB2GRAY)[0, 0] for one in colors])
    )
    assert np.corrcoef(places, range(24))[0, 1] > 0.9


def test_nothing_is_painted(files):
    seen = []
    settings = ImageSettings(colors_only=True, device="cpu")
    run = RunOptions(on_frame=lambda result, total: seen.append((result.iterations, result.losses["total"])))
    stylize_image(files / "photo.png", [files / "style.png"], files / "out.png", settings, run)
    assert seen == [(0, 0.0)]


def test_alpha_one_is_the_content(files, run):
    run("image", "photo.png", "out.png", "--alpha", 1)
    assert np.array_equal(picture(files / "out.png"), picture(files / "photo.png"))


def test_a_mask_and_a_region(files, run):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :48] = 255
    saved(files / "left.png", mask)
    saved(files / "right.png", 255 - mask)
    saved(files / "red.png", (texture(80, 80, 4) * (1, 0.1, 0.1)).astype(np.uint8))
    run("image", "photo.png", "masked.png", "--mask", files / "left.png")
    found, photo = picture(files / "masked.png"), picture(files / "photo.png")
    assert np.array_equal(found[:, 48:], photo[:, 48:])
    assert np.abs(found[:, :40] - photo[:, :40]).mean() > 10
    run("image", "photo.png", "region.png", "--region", f"{files}/right.png={files}/red.png")
    found = picture(files / "region.png")
    right = found[:, 60:]
    assert right[..., 0].mean() > 3 * right[..., 1].mean(), "red"
    assert found[:, :36, 1].mean() > found[:, :36, 0].mean(), "not red"


def test_a_balance_runs_from_the_contents_colours_to_the_styles(files, run):
    run("balance", "photo.png", "out/", "--seconds", 1, "--fps", 8, "--no-bounce")
    run("image", "photo.png", "out.png", "--alpha", 0)
    found = [picture(file) for file in sorted((files / "out").glob("*.png"))]
    assert np.array_equal(found[0], picture(files / "photo.png"))
    assert np.abs(found[-1] - picture(files / "out.png")).max() <= 1
    changes = [np.abs(after - before).mean() for before, after in itertools.pairwise(found)]
    assert max(changes) < 3 * min(changes)


@pytest.mark.clips
class TestClips:
    @pytest.fixture
    def clip(self, files):
        (files / "clip").mkdir()
        shots = [*pan(4, WIDTH, HEIGHT), *(255 - frame for frame in pan(3, WIDTH, HEIGHT, seed=9))]
        for number, frame in enumerate(shots):
            saved(files / "clip" / f"{number}.png", frame)
        return shots

    def test_frames_of_a_shot_get_one_map_of_colours(self, files, run, clip):
        """What has one colour in two frames of a pan has one colour in both results."""
        run("video", "clip", "out/", "--keep-job")
        found = [picture(file) for file in sorted((files / "out").glob("*.png"))]
        assert len(found) == 7
        journal = [json.loads(line) for line in (files / "out.job" / "journal.jsonl").read_text().splitlines()]
        assert {entry["iterations"] for entry in journal} == {0}
        maps = []
        for painted, frame in zip(found, clip, strict=True):
            colors = frame.reshape(-1, 3).tolist()
            maps.append({tuple(key): one for key, one in zip(colors, painted.reshape(-1, 3), strict=True)})
        shared = maps[1].keys() & maps[2].keys()
        assert len(shared) > 1000
        assert max(np.abs(maps[1][key] - maps[2][key]).max() for key in shared) <= 4

    def test_resumed_with_the_same_bytes(self, files, clip):
        settings = VideoSettings(colors_only=True, device="cpu")
        style = [files / "style.png"]
        stylize_video(files / "clip", style, files / "whole.webp", settings)

        def stop(result, total):
            raise KeyboardInterrupt

        for _ in range(7):
            with pytest.raises(KeyboardInterrupt):
                stylize_video(files / "clip", style, files / "parts.webp", settings, RunOptions(on_frame=stop))
        stylize_video(files / "clip", style, files / "parts.webp", settings)
        assert (files / "parts.webp").read_bytes() == (files / "whole.webp").read_bytes()


@pytest.mark.parametrize("name", [*OF_PAINTED, *OF_MOVED, "first"])
def test_what_only_a_painting_reads_is_refused(name):
    other = {
        "content_layers": ("relu3_1",),
        "style_layers": ("relu3_1",),
        "style_layer_weights": (1.0, 1, 1, 1, 1),
        "style_metric": "gram",
        "init": "noise",
        "objective": "blog",
        "optimizer": "adam",
        "coarse_to_fine": False,
        "warm_start": "previous",
        "long_term": (4,),
        "flow": "raft",
        "loop": True,
        "first": ("a.png",),
    }
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} belongs to "):
        VideoSettings(colors_only=True, **{name: other.get(name, 0.5)})

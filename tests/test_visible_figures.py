"""The figures of a clip count only what is painted and visible of it."""

import json

import numpy as np
import pytest
import torch
from clips import make_clip, pan
from conftest import texture as fractal
from PIL import Image

from vidstyle import VideoSettings, measure_clip
from vidstyle.core import metrics
from vidstyle.lab.evaluate import patches
from vidstyle.lab.evaluate.accumulators import appearance

WIDTH, HEIGHT, HALF = 96, 64, 48
FAST = {"first_iterations": 3, "iterations": 2, "device": "cpu", "precision": "float32"}


def left():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :HALF] = 255
    return mask


@pytest.fixture
def halves():
    """Two pictures that agree in their left half, and how far pixels count: those of that half."""
    one, other = fractal(HEIGHT, WIDTH, 1), fractal(HEIGHT, WIDTH, 2)
    other[:, :, :HALF] = one[:, :, :HALF]
    return one, other, torch.from_numpy(left()).float()[None] / 255


class TestMetrics:
    def test_of_a_part_they_are_those_of_the_part_alone(self, halves):
        one, other, counts = halves
        part = one[:, :, :HALF]
        assert metrics.sharpness(one, counts) == pytest.approx(metrics.sharpness(part), rel=1e-5)
        assert metrics.sharpness(one, counts) == metrics.sharpness(other, counts)
        wanted = appearance(part)
        assert vars(appearance(other, counts)) == pytest.approx(vars(wanted), rel=1e-4)

    def test_what_does_not_count_changes_no_distance(self, halves, tiny_network):
        """But at the border, where the network sees some pixels of it: relu1_1 sees one."""
        one, other, counts = halves
        style, content = fractal(40, 40, 3), fractal(HEIGHT, WIDTH, 4)
        inside = counts.clone()
        inside[:, :, HALF - 2 :] = 0
        tiny_network.readouts = {}
        given = (content, style, ("relu1_1",), (1.0,))
        found = [metrics.style_distance(tiny_network, each, *given, inside)["relu1_1"] for each in (one, other)]
        assert found[0] == pytest.approx(found[1], rel=1e-5)
        assert found[0] != metrics.style_distance(tiny_network, one, *given)["relu1_1"]
        found = [metrics.content_distance(tiny_network, each, content, "relu1_1", inside) for each in (one, other)]
        assert found[0] == pytest.approx(found[1], rel=1e-5)
        ones = torch.ones_like(counts)
        whole = metrics.content_distance(tiny_network, one, content, "relu1_1")
        assert metrics.content_distance(tiny_network, one, content, "relu1_1", ones) == pytest.approx(whole, rel=1e-4)

    def test_a_style_of_which_a_part_counts(self, halves, tiny_network):
        one, other, counts = halves
        tiny_network.readouts = {}
        inside = counts.clone()
        inside[:, :, HALF - 2 :] = 0
        pastiche, content = fractal(HEIGHT, WIDTH, 5), fractal(HEIGHT, WIDTH, 4)
        given = (tiny_network, pastiche, content)
        found = [
            metrics.style_distance(*given, [style], ("relu1_1",), style_counts=[inside])["relu1_1"]
            for style in (one, other)
        ]
        assert found[0] == pytest.approx(found[1], rel=1e-5)

    def test_patches_come_from_what_counts(self, halves, monkeypatch):
        monkeypatch.setattr(patches, "COUNT", 300)
        one, other, counts = (each.permute(1, 2, 0).numpy() for each in halves)
        there = counts[:, :, 0]
        black = np.zeros_like(one)
        black[:, :HALF] = one[:, :HALF]
        found = [patches.distances(each, black, counts=there, style_counts=[there]) for each in (one, other, black)]
        assert found[0] == found[1] == found[2]
        assert found[0].color_precision < 0.05 < patches.distances(one, black).color_precision


@pytest.mark.clips
class TestClips:
    @pytest.fixture
    def clips(self, tmp_path):
        """A pan, and a painting of it that is steady in its left half and noise in the other."""
        frames = list(pan(6, WIDTH, HEIGHT))
        random = np.random.default_rng(0)
        painted = [255 - frame for frame in frames]
        for frame in painted:
            frame[:, HALF:] = random.integers(0, 256, (HEIGHT, HALF, 3))
        for name, pictures in (("clip", frames), ("painted", painted)):
            make_clip(tmp_path / f"{name}.mkv", pictures, codec="ffv1", pixels="bgr0")
        Image.fromarray(left()).save(tmp_path / "left.png")
        (tmp_path / "cut").mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(np.dstack([frame, left()])).save(tmp_path / "cut" / f"{number}.png")
        return tmp_path

    def test_noise_outside_the_mask_is_no_flicker(self, clips):
        settings = VideoSettings(mask=str(clips / "left.png"), feather=0, device="cpu")
        found = measure_clip(clips / "clip.mkv", clips / "painted.mkv", settings=settings)
        whole = measure_clip(clips / "clip.mkv", clips / "painted.mkv", settings=VideoSettings(device="cpu"))
        one, other = found.consistency[0], whole.consistency[0]
        assert one.warping.mean < 0.003 < 0.03 < other.warping.mean
        assert 0.9 < one.visible <= 1, "of what is painted"

    def test_noise_where_the_input_is_transparent_is_none(self, clips):
        settings = VideoSettings(device="cpu")
        found = measure_clip(clips / "cut", clips / "painted.mkv", settings=settings)
        assert found.consistency[0].warping.mean < 0.003

    def test_the_command_takes_the_mask(self, clips, vidstyle):
        line = ("measure", clips / "clip.mkv", clips / "painted.mkv", "-o", clips / "o.json", "--device", "cpu")
        done = vidstyle(*line, "--mask", clips / "left.png", "--feather", 0)
        assert done.exit_code == 0, done.output
        found = json.loads((clips / "o.json").read_text())
        assert found["consistency"][0]["warping"]["mean"] < 0.003

    def test_a_report_of_a_masked_and_of_a_transparent_clip(self, clips, network, vidstyle):
        Image.fromarray(np.dstack([next(iter(pan(1, 48, 48, seed=7))), left()[:48, :48]])).save(clips / "style.png")
        line = ("--network", network, "--first-iterations", 3, "--iterations", 2, "--device", "cpu", "--report")
        for name, more in (("clip.mkv", ("--mask", clips / "left.png")), ("cut", ())):
            out = clips / f"{name}.out.mkv"
            done = vidstyle("video", clips / name, clips / "style.png", "-o", out, *line, *more)
            assert done.exit_code == 0, done.output
            found = json.loads((clips / f"{name}.out.report.json").read_text())
            pairs = found["independence"]["pairs"]
            assert pairs
            assert all(0 <= pair["style"]["relu1_1"] < 5 for pair in pairs)
            assert len(found["frames"]) == 6

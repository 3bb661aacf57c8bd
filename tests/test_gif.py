"""GIFs: the palette, the dither, what stands still, and the times."""

import hashlib
import subprocess
from itertools import pairwise

import cv2
import numpy as np
import pytest
from clips import pan
from conftest import pixels
from conftest import texture as noise
from test_animations import seen
from test_sinks import hidden, write

from vidstyle.media.writers import palette

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
pytestmark = pytest.mark.clips


def blurred(rgb):
    return cv2.GaussianBlur(palette.oklab(rgb), (0, 0), 1)


def distance(frames, others):
    """Root of the mean squared difference of two clips, as a distant eye sees them."""
    return np.sqrt(np.mean([np.square(blurred(a) - blurred(b)).mean() for a, b in zip(frames, others, strict=True)]))


def morph(count=10, side=(96, 64)):
    """A colourful picture turns into another one."""
    one, other = (pixels(noise(side[1], side[0], seed)).astype(float) for seed in (4, 5))
    return [np.rint(one + (other - one) * n / (count - 1)).astype(np.uint8) for n in range(count)]


def sky(count=6):
    """A smooth gradient that stands still, beside a square that moves."""
    y, x = np.mgrid[:64, :96]
    frames = []
    for number in range(count):
        frame = np.stack([90 + y * 0.6, 130 + y * 0.5 + x * 0.1, 220 - x * 0.3], 2).astype(np.uint8)
        frame[20:36, 10 * number : 10 * number + 16] = (200, 80, 20)
        frames.append(frame)
    return frames


class TestPalette:
    def test_oklab_of_known_colors_and_back(self):
        known = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
        lab = palette.oklab(known)
        expected = [[1, 0, 0], [0, 0, 0], [0.628, 0.225, 0.126], [0.452, -0.032, -0.312]]  # Ottosson 2020
        np.testing.assert_allclose(lab, expected, atol=1e-3)
        every = np.random.default_rng(0).integers(0, 256, (1000, 3)).astype(np.uint8)
        np.testing.assert_array_equal(palette.srgb(palette.oklab(every)), every)

    def test_few_colors_are_kept_as_they_are(self):
        colors = np.random.default_rng(0).integers(0, 256, (40, 3)).astype(np.uint8)
        assert {*map(tuple, palette.choose(np.repeat(colors, 5, 0), 40))} == {*map(tuple, colors)}

    def test_clusters_are_found(self):
        chance = np.random.default_rng(0)
        centers = np.array([[30, 30, 30], [200, 40, 40], [40, 200, 60], [230, 230, 200]])
        cloud = np.clip(centers[chance.integers(0, 4, 4000)] + chance.normal(0, 5, (4000, 3)), 0, 255).astype(np.uint8)
        found = palette.choose(cloud, 4)
        assert max(np.abs(found.astype(int) - center).max(1).min() for center in centers) <= 3

    @pytest.mark.parametrize("dither", ["none", "bayer:bayer_scale=3", "sierra2_4a", "floyd_steinberg", "atkinson"])
    def test_it_is_nearer_than_that_of_ffmpeg(self, tmp_path, dither):
        frames = morph()
        write(tmp_path / "ours.gif", frames, 10)
        raw = b"".join(frame.tobytes() for frame in frames)
        size = f"{frames[0].shape[1]}x{frames[0].shape[0]}"
        graph = f"split[a][b];[a]palettegen[p];[b][p]paletteuse=dither={dither}"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "10", "-i", "pipe:0"]
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-v",
            "error",
            *source,
            "-lavfi",
            graph,
            str(tmp_path / "theirs.gif"),
        ]
        subprocess.run(command, input=raw, check=True)
        ours, theirs = (distance(frames, seen(tmp_path / f"{name}.gif")[0]) for name in ("ours", "theirs"))
        assert ours < theirs


class TestDither:
    def test_it_hides_the_steps_of_a_gradient(self, tmp_path):
        off = {}
        for dither in (0, 0.5):
            write(tmp_path / "a.gif", sky(), 10, colors=12, dither=dither)
            off[dither] = distance(sky(), seen(tmp_path / "a.gif")[0])
        assert off[0.5] < 0.8 * off[0]

    def test_what_stands_still_keeps_still(self, tmp_path):
        write(tmp_path / "a.gif", sky(), 10, colors=12, dither=0.5)
        frames, _, _ = seen(tmp_path / "a.gif")
        for before, after in pairwise(frames):
            assert np.array_equal(before[40:], after[40:])
        assert len(np.unique(frames[0][40:].reshape(-1, 3), axis=0)) > 2  # it is dithered

    def test_a_color_of_the_palette_is_not_dithered(self):
        colors = np.array([[0, 0, 0], [255, 255, 255], [200, 30, 30]], np.uint8)
        shown = palette.Reducer(colors, 0.5, 0)(np.tile(colors[2], (8, 8, 1)))
        assert (colors[shown] == colors[2]).all()

    @pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
    def test_a_mix_is_right_on_the_average(self, share):
        colors = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
        between = palette.srgb(palette.oklab(colors).astype(float).T @ np.array([1 - share, share]))
        shown = palette.Reducer(colors, 1, 0)(np.tile(between, (64, 64, 1)))
        assert colors[shown].mean() / 255 == pytest.approx(share, abs=0.03)


class TestStill:
    def test_it_saves_and_never_drifts(self, tmp_path):
        frames = morph(40)
        sizes = {}
        write(tmp_path / "b.gif", frames, 10, dither=0)
        free, _, _ = seen(tmp_path / "b.gif")
        for still in (0, 0.02, 0.04):
            write(tmp_path / "a.gif", frames, 10, dither=0, still=still)
            sizes[still] = (tmp_path / "a.gif").stat().st_size
            for frame, plain, shown in zip(frames, free, seen(tmp_path / "a.gif")[0], strict=True):
                worst = np.sqrt(palette.squared(palette.oklab(shown) - palette.oklab(frame))).max()
                own = np.sqrt(palette.squared(palette.oklab(plain) - palette.oklab(frame))).max()
                assert worst <= own + still + 0.05
        assert sizes[0.04] < sizes[0.02] < 0.9 * sizes[0]

    def test_a_sudden_change_is_shown(self, tmp_path):
        one, other = (np.full((32, 48, 3), value, np.uint8) for value in (60, 90))
        write(tmp_path / "a.gif", [one] * 4 + [other] * 4, 10, still=0.04)
        frames, _, _ = seen(tmp_path / "a.gif")
        assert [int(frame.mean()) for frame in frames] == [60] * 4 + [90] * 4


def test_the_number_of_colors(tmp_path):
    off = []
    for colors in (255, 64, 16):
        write(tmp_path / "a.gif", morph(), 10, colors=colors)
        frames, _, _ = seen(tmp_path / "a.gif")
        assert len(np.unique(np.concatenate(frames).reshape(-1, 3), axis=0)) <= colors
        off.append(distance(morph(), frames))
    assert off == sorted(off)


def test_same_frames_same_bytes(tmp_path):
    digests = set()
    for _ in range(2):
        write(tmp_path / "a.gif", pan(12), 12, still=0.01)
        digests.add(hashlib.sha256((tmp_path / "a.gif").read_bytes()).digest())
    assert len(digests) == 1
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("fps", [10, 12, 24, 30])
def test_times_by_a_second_reader(tmp_path, fps):
    write(tmp_path / "a.gif", morph(13), fps)
    _, starts, end = seen(tmp_path / "a.gif")
    np.testing.assert_allclose(starts, [10 * round(100 * n / fps) for n in range(13)], atol=1e-6)
    assert end == 10 * round(1300 / fps)

"""The figures of a painted clip, on clips whose figures are known beforehand."""

import math
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from clips import make_clip, pan, texture
from conftest import pixels
from conftest import texture as fractal
from PIL import Image

from vidstyle import VideoSettings, measure_clip
from vidstyle.errors import MediaError, UsageError
from vidstyle.lab.evaluate import accumulators, patches
from vidstyle.lab.evaluate.accumulators import FlickerAccumulator, View, spread, undivided
from vidstyle.lab.evaluate.figures import Appearance, Range, Spread
from vidstyle.types import Frame, Motion

pytestmark = pytest.mark.clips

FAST = {"first_iterations": 8, "device": "cpu", "precision": "float32"}


def lossless(path, frames, **options):
    return make_clip(path, frames, codec="ffv1", pixels="bgr0", **options)


def plain_noise(count, width=96, height=64, seed=5):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def colored(frames):
    """A painter that knows no flicker: each colour becomes another."""
    return [255 - frame[:, :, [1, 2, 0]] for frame in frames]


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    monkeypatch.setattr(patches, "COUNT", 200)


@pytest.fixture
def clip(tmp_path):
    """A camera that moves by two pixels a frame."""
    return lossless(tmp_path / "clip.mkv", pan(12))


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(fractal(80, 80, seed=2))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


@pytest.fixture
def weights(slim_vgg19):
    return slim_vgg19


def measured(tmp_path, clip, frames, *arguments, **options):
    return measure_clip(clip, lossless(tmp_path / "painted.mkv", frames), *arguments, **options)


def test_the_input_itself(clip, network, style):
    # With the losses of the style distance itself: a random network knows of no other likeness.
    settings = VideoSettings.preset("gatys", network=str(network), **FAST)
    found = measure_clip(clip, clip, [style], settings)
    near = found.consistency[0]
    assert (near.distance, near.candidates, len(near.pairs)) == (1, 11, 11)
    assert near.warping == near.input_warping
    assert near.plain == near.input_plain
    assert near.warping.mean < 2e-4
    assert all(0.5 < pair.visible <= 1 for pair in near.pairs)
    for drift in (found.drift.corrected_luma, found.drift.corrected_chroma):
        assert drift == Range(0, 0, 0)
    assert found.drift.sharpness == found.drift.input_sharpness
    beside = found.independence
    assert beside.judge == "compact"
    assert [pair.frame for pair in beside.pairs] == [2, 6, 10]
    assert beside.style == pytest.approx(1)  # as far from the style as the input
    assert beside.warping == pytest.approx(np.mean([near.pairs[pair.frame - 1].warping for pair in beside.pairs]))
    assert beside.warping_ratio == pytest.approx(beside.warping / beside.independent_warping)
    assert beside.style_ratio == pytest.approx(beside.style / beside.independent_style)
    assert beside.style_ratio > 1  # painting brings a frame nearer to the style
    assert beside.content == pytest.approx(0, abs=1e-6)  # and takes it away from the input
    assert beside.independent_content > 0.01
    assert beside.sharpness_ratio == pytest.approx(beside.sharpness / beside.independent_sharpness)


def test_the_judge_without_a_network_sees_the_first_a_middle_and_the_last_frame(tmp_path, network, style):
    """Painted frames that show the style itself, then one that keeps half of it, then the input."""
    with Image.open(style) as picture:
        painted = np.asarray(picture.resize((96, 96), Image.Resampling.BICUBIC))[:64]
    frames = list(pan(3, 96, 64))
    clip = lossless(tmp_path / "clip.mkv", frames)
    half = np.concatenate([painted[:, :48], frames[1][:, 48:]], axis=1)
    settings = VideoSettings(network=str(network), **FAST)
    found = measured(tmp_path, clip, [painted, half, frames[2]], [style], settings, pairs=1)
    assert [one.frame for one in found.patches] == [0, 1, 2]
    first, middle, last = found.patches
    assert first.painted.mean < middle.painted.mean < last.painted.mean
    assert first.painted.mean < 0.8 * first.input.mean
    assert last.painted == last.input
    shown = patches.distances(frames[2].astype(np.float32) / 255, styled(style))
    assert last.painted.mean == pytest.approx(shown.mean, abs=1e-3)
    assert set(found.json()["patches"][0]) == {"frame", "painted", "input"}
    assert measure_clip(clip, clip).patches == ()


def styled(path):
    """The style as a painter of 96x64 pixels sees it."""
    picture = torch.from_numpy(np.asarray(Image.open(path), np.float32) / 255).permute(2, 0, 1)
    return torch.nn.functional.interpolate(picture[None], (96, 96), mode="bicubic")[0].permute(1, 2, 0).numpy()


def test_the_input_as_lossy_as_clips_are(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", pan(6), options={"crf": "20"})
    found = measure_clip(clip, clip)
    assert 0 < found.consistency[0].warping.mean < 1e-3


def test_noise_flickers(tmp_path, clip):
    found = measured(tmp_path, clip, plain_noise(12))
    near = found.consistency[0]
    assert near.plain.mean == pytest.approx(1 / 6, rel=0.02)  # twice the variance of what is uniform in [0, 1]
    assert near.warping.mean > 0.1
    assert near.input_warping.mean < 2e-4
    assert found.independence is None
    assert "No style was given" in found.notes[0]


def test_what_moves_with_the_input_does_not_flicker(tmp_path, clip):
    near = measured(tmp_path, clip, colored(pan(12))).consistency[0]
    assert near.warping.mean < 2e-4
    assert near.plain.mean > 20 * near.warping.mean
    assert near.visible > 0.9


def test_a_frozen_clip_is_seen_through(tmp_path, clip):
    found = measured(tmp_path, clip, [next(pan(1))] * 12)
    near = found.consistency[0]
    assert near.plain.mean == 0
    assert near.warping.mean > 10 * near.input_warping.mean
    assert any("stands still" in note for note in found.notes)
    assert not any("stands still" in note for note in measure_clip(clip, clip).notes)


def test_a_clip_that_blurs_is_seen_through(tmp_path, clip):
    frames = [cv2.GaussianBlur(frame, (0, 0), 0.1 + number) for number, frame in enumerate(pan(12))]
    found = measured(tmp_path, clip, frames)
    assert found.drift.sharpness.least == found.drift.sharpness.last < 0.6
    assert found.drift.input_sharpness.least > 0.8
    assert found.drift.corrected_sharpness.last == pytest.approx(
        found.drift.sharpness.last / found.drift.input_sharpness.last
    )
    assert any("crispness" in note for note in found.notes)


def brightened(frames, step):
    """Brighter by `step` from frame to frame."""
    return [(0.5 * frame + number * step).round().astype(np.uint8) for number, frame in enumerate(frames)]


def test_drift_of_luma(tmp_path):
    still = [texture(96, 64)] * 10
    clip = lossless(tmp_path / "clip.mkv", still)
    found = measured(tmp_path, clip, brightened(still, 2))
    assert found.drift.luma.last == pytest.approx(18, abs=0.2)
    assert found.drift.luma.last == found.drift.luma.most
    assert found.drift.luma == found.drift.corrected_luma
    assert found.drift.chroma.most < 0.1
    assert [one.painted.luma for one in found.frames] == pytest.approx([2 * number for number in range(10)], abs=0.2)


def test_drift_of_the_input_is_taken_off(tmp_path):
    still = [texture(96, 64)] * 10
    clip = lossless(tmp_path / "clip.mkv", brightened(still, 2))
    found = measured(tmp_path, clip, brightened(still, 3))
    assert found.drift.luma.last == pytest.approx(27, abs=0.2)
    assert found.drift.corrected_luma.last == pytest.approx(9, abs=0.2)


def test_drift_of_chroma(tmp_path):
    """10 / 255 more blue are Y' + .722, Cb + (10 - .722) / 1.8556 = 5.000, Cr - .722 / 1.5748 = -.458 (BT.709)."""
    still = texture(96, 64) // 2
    clip = lossless(tmp_path / "clip.mkv", [still] * 3)
    found = measured(tmp_path, clip, [still, still, still + np.array([0, 0, 10], np.uint8)])
    last = found.frames[-1].painted
    assert (last.luma, last.cb, last.cr) == pytest.approx((0.722, 5.0, -0.4585), abs=1e-3)
    assert found.drift.chroma.last == pytest.approx(math.hypot(5.0, 0.4585), abs=1e-3)


def test_a_pair_across_a_cut_does_not_count(tmp_path):
    frames = [*pan(12, seed=1), *pan(12, seed=7)]
    found = measured(tmp_path, lossless(tmp_path / "clip.mkv", frames), colored(frames))
    near = found.consistency[0]
    assert found.shots == (0, 12)
    assert {pair.frame for pair in near.pairs} == set(range(1, 24)) - {12}
    assert near.plain.worst < 0.05  # that of the cut would be far larger
    assert [one.first for one in found.frames] == [0] * 12 + [12] * 12
    assert found.frames[12].painted == Appearance(1, 0, 0, 0)
    assert found.consistency[1].candidates == 4
    whole = measure_clip(tmp_path / "clip.mkv", tmp_path / "painted.mkv", settings=VideoSettings(cuts=False))
    assert len(whole.consistency[0].pairs) == 23  # as the job would see it


def test_errors_over_long_distances(tmp_path):
    frames = list(pan(44, 96, 64, speed=1))
    found = measured(tmp_path, lossless(tmp_path / "clip.mkv", frames), colored(frames))
    _, ten, thirty = found.consistency
    assert (ten.distance, ten.candidates, len(ten.pairs)) == (10, 34, 8)
    assert (thirty.distance, thirty.candidates, len(thirty.pairs)) == (30, 14, 8)
    for one in (ten, thirty):
        assert one.warping.mean < 0.1 * one.plain.mean
        assert all(pair.frame >= one.distance for pair in one.pairs)
    short = measure_clip(lossless(tmp_path / "short.mkv", frames[:8]), tmp_path / "short.mkv")
    assert [len(one.pairs) for one in short.consistency] == [7, 0, 0]
    assert sum("No shot is longer than" in note for note in short.notes) == 2


def test_the_size_of_the_painted_clip_rules(tmp_path):
    frames = list(pan(4, 192, 128))
    clip = lossless(tmp_path / "clip.mkv", frames, rate=12)
    small = [cv2.resize(frame, (96, 64), interpolation=cv2.INTER_AREA) for frame in frames]
    found = measured(tmp_path, clip, small, settings=VideoSettings(size=32))
    assert (found.input.width, found.input.height) == (192, 128)
    assert (found.painted.width, found.painted.height) == (96, 64)
    assert (found.input.fps, found.painted.fps) == (12, 25)
    assert found.consistency[0].warping == found.consistency[0].input_warping  # resized as the painter did
    assert any("resized" in note for note in found.notes)
    assert any("run equally long" in note for note in found.notes)


def test_a_part_of_the_input(tmp_path):
    frames = list(pan(10))
    clip = lossless(tmp_path / "clip.mkv", frames)
    found = measured(tmp_path, clip, frames[5:8], settings=VideoSettings(start=0.2, end=0.32))
    assert found.consistency[0].warping == found.consistency[0].input_warping
    with pytest.raises(MediaError, match=r"3 frames and .* 10"):
        measure_clip(clip, tmp_path / "painted.mkv")


def test_one_frame_has_no_pairs(tmp_path, network, style):
    clip = lossless(tmp_path / "clip.mkv", pan(1))
    found = measure_clip(clip, clip, [style], VideoSettings(network=str(network), **FAST))
    assert found.worst is None
    assert math.isnan(found.consistency[0].warping.mean)
    assert found.independence.pairs == ()
    assert found.json()["independence"]["warping_ratio"] is None


def test_vgg19_judges(clip, network, style, weights):
    settings = VideoSettings(network=str(network), weights=str(weights), **FAST)
    found = measure_clip(clip, clip, [style], settings, pairs=1, judge="vgg19")
    assert found.independence.judge == "vgg19"
    assert len(found.independence.pairs) == 1
    assert set(found.independence.pairs[0].style) == {f"relu{block}_1" for block in range(1, 6)}
    assert found.independence.style == pytest.approx(1)
    for judge, told in (("compact", "--weights"), ("me", "compact, vgg19")):
        with pytest.raises(UsageError, match=told):
            measure_clip(clip, clip, [style], settings, judge=judge)


def test_figures_of_pairs_without_a_number():
    assert Spread.of({1: 2.0, 2: math.nan, 3: 4.0}) == Spread(3, 3, 4, 3)
    nothing = Spread.of({1: math.nan})
    assert math.isnan(nothing.mean)
    assert nothing.worst_frame is None


def test_samples_are_spread_evenly():
    assert spread(range(10), 3) == [1, 5, 8]
    assert spread([3, 4], 5) == [3, 4]
    assert spread([], 3) == []
    assert undivided({0, 5}, 8, 1) == [1, 2, 3, 4, 6, 7]
    assert undivided({0, 5}, 8, 3) == [3, 4]


def test_a_longer_clip_takes_no_more_memory(monkeypatch):
    """Whatever the length: what an accumulator of pairs keeps are the sampled pairs that are under way."""
    still = Motion(torch.zeros(2, 16, 16), torch.ones(1, 16, 16))
    monkeypatch.setattr(accumulators.flow, "estimator", lambda name: lambda *_: still)
    for count in (100, 400):
        flicker, most = FlickerAccumulator(30, spread(range(30, count), 8), count - 30), 0
        for number in range(count):
            frame = Frame(number, torch.zeros(3, 16, 16), None, 0.3, (1.0,))
            flicker.add(View(frame, np.zeros((16, 16, 3), np.uint8), torch.device("cpu")))
            most = max(most, len(flicker._waiting))
        assert most <= 8
        assert not flicker._waiting
        assert len(flicker.consistency().pairs) == 8


def test_times_of_a_varying_rate(tmp_path):
    times = [Fraction(number, 25) for number in (0, 1, 4, 5)]
    clip = lossless(tmp_path / "clip.mkv", pan(4), times=times)
    found = measure_clip(clip, clip)
    assert [one.seconds for one in found.frames] == pytest.approx([float(time) for time in times])

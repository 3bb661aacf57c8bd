"""Cuts where there are some, to the frame; none in what only moves, fades or flashes; the same ones in a shot alone."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from clips import pan
from PIL import Image

from vidstyle.motion.shots import CutDetector

PHOTOS = ("valley", "swirls", "harbor", "facets", "woodcut", "dots")
SIZE = (192, 108)


def fed(frames):
    detector = CutDetector()
    for frame in frames:
        detector.add(frame)
    return detector


def cuts(frames):
    return fed(frames).cuts()


def starts(shots):
    """Numbers of the frames that begin the second shot and those after it."""
    return np.cumsum([len(shot) for shot in shots])[:-1].tolist()


def joined(shots):
    return [frame for shot in shots for frame in shot]


@pytest.fixture(scope="session")
def footage(samples):
    """A camera that pans over one of the sample pictures, and zooms: frames (H, W, 3) uint8."""
    photos = {}
    for name in PHOTOS:
        with Image.open(samples / f"{name}.jpg") as photo:
            photo.thumbnail((480, 480))
            photos[name] = np.asarray(photo.convert("RGB"))

    def moves(number, count, *, size=SIZE, speed=0.0, angle=0.0, zoom=0.0, way=None):
        """`speed` is in pixels a frame, `zoom` in parts of the picture; `way` lists the pixels gone by each frame."""
        photo = photos[PHOTOS[number % len(PHOTOS)]]
        height, width = photo.shape[:2]
        way = speed * (np.arange(count) - count / 2) if way is None else np.asarray(way)
        for frame in range(count):
            scale = min(width / size[0], height / size[1]) / 1.8 / (1 + zoom) ** frame
            x, y = width / 2 + scale * way[frame] * np.cos(angle), height / 2 + scale * way[frame] * np.sin(angle)
            window = np.float32([[scale, 0, x - scale * size[0] / 2], [0, scale, y - scale * size[1] / 2]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            yield cv2.warpAffine(photo, window, size, flags=flags, borderMode=cv2.BORDER_REFLECT)

    return lambda *arguments, **options: list(moves(*arguments, **options))


def lit(frame, gain, offset=0.0):
    return np.clip(frame * np.float32(gain) + np.float32(offset), 0, 255).astype(np.uint8)


def noisy(frames, sigma, seed=0):
    noise = np.random.default_rng(seed)
    return [np.clip(frame + noise.normal(0, sigma, frame.shape), 0, 255).astype(np.uint8) for frame in frames]


@pytest.mark.parametrize("size", [(64, 36), (96, 64), (192, 108), (144, 256)])
@pytest.mark.parametrize("speed", [0, 1, 4])
def test_cuts_between_moving_shots_are_exact(footage, size, speed):
    lengths = (20, 9, 14, 6, 25, 11)
    speed *= max(size) / max(SIZE)
    shots = [footage(n, length, size=size, speed=speed, angle=n, zoom=0.004 * n) for n, length in enumerate(lengths)]
    assert cuts(joined(shots)) == starts(shots)


@pytest.mark.parametrize("speed", [0, 2])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_cuts_near_the_ends_are_seen(footage, speed, length):
    short, long = footage(0, length, speed=speed), footage(1, 20, speed=speed)
    assert cuts(short + long) == [length]
    assert cuts(long + short) == [20]


def test_short_dark_grey_and_fast_shots_are_told_apart(footage):
    short = [footage(n, 2 + n % 4, speed=2) for n in range(12)]
    assert cuts(joined(short)) == starts(short)
    shots = [footage(n, 16, speed=3, angle=n) for n in range(6)]
    frames = joined(shots)
    assert cuts(noisy([lit(frame, 0.25) for frame in frames], 4)) == starts(shots)
    assert cuts([np.repeat(frame.mean(-1, keepdims=True), 3, -1).astype(np.uint8) for frame in frames]) == starts(shots)
    fast = [footage(n, 16, speed=12, angle=n) for n in range(6)]
    assert cuts(joined(fast)) == starts(fast)


@pytest.mark.parametrize("number", range(6))
def test_motion_is_no_cut(footage, number):
    for speed in (2, 8, 16):
        assert cuts(footage(number, 30, speed=speed, angle=number)) == []
    rush = np.cumsum([0] * 8 + [5, 10, 20, 30, 30, 20, 10, 5] + [0] * 8)
    assert cuts(footage(number, len(rush), way=rush)) == []
    assert cuts(footage(number, 24, zoom=0.05)) == []
    assert cuts(footage(number, 24, way=[0] * 12 + [16] * 12)) == []
    assert cuts([frame for frame in footage(number, 8, speed=9) for _ in range(3)]) == []


@pytest.mark.parametrize("sigma", [0, 12, 35])
def test_stillness_and_noise_are_no_cuts(footage, sigma):
    assert all(cuts(noisy(footage(number, 20), sigma)) == [] for number in range(6))


@pytest.mark.parametrize(("speed", "size"), [(6, 60), (16, 90), (30, 108)])
def test_an_object_that_crosses_is_no_cut(footage, speed, size):
    thing = cv2.resize(footage(3, 1)[0], (size, size))
    frames = footage(0, 36, speed=1)
    for number, frame in enumerate(frames):
        left = speed * (number - 6) - size
        shown = slice(max(left, 0), min(left + size, frame.shape[1]))
        if shown.start < shown.stop:
            frame[:size, shown] = thing[:, shown.start - left : shown.stop - left]
    assert cuts(frames) == []


@pytest.mark.parametrize("length", [4, 8, 20])
@pytest.mark.parametrize("number", [0, 3, 4])
def test_fades_and_dissolves_are_no_cuts(footage, number, length):
    frames = footage(number, length + 20, speed=2)
    share = np.clip((np.arange(length + 20) - 9) / length, 0, 1)
    assert cuts([lit(frame, 1 - w) for frame, w in zip(frames, share, strict=True)]) == []
    assert cuts([lit(frame, w) for frame, w in zip(frames, share, strict=True)]) == []
    assert cuts([lit(frame, 1 - w, 255 * w) for frame, w in zip(frames, share, strict=True)]) == []
    assert cuts([lit(frame, abs(2 * w - 1)) for frame, w in zip(frames, share, strict=True)]) == []
    other = footage(number + 1, length + 20, speed=2)
    dissolve = [lit(one, 1 - w, w * two) for one, two, w in zip(frames, other, share, strict=True)]
    assert cuts(dissolve) == []


@pytest.mark.parametrize("speed", [0, 3])
@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("light", [(0, 255), (0, 0), (3, 90)])
def test_flashes_and_missing_pictures_are_no_cuts(footage, light, length, speed):
    for number in range(length % 2, 6, 2):  # the other photos with the other length
        frames = noisy(footage(number, 28, speed=speed), 2)
        flash = set(range(13, 13 + length))
        for one in flash:
            frames[one] = lit(frames[one], *light)
        found = fed(frames)
        assert found.cuts() == []
        assert found.flashes() <= flash
        if light[0] == 0:  # otherwise there may be enough to see
            assert found.flashes() == flash


@pytest.mark.parametrize("place", [-5, -4, -3, -2, 1, 2, 3, 5])
def test_a_flash_beside_a_cut_hides_nothing(footage, place):
    frames = footage(0, 20, speed=2) + footage(1, 20, speed=2)
    frames[20 + place] = np.full_like(frames[20], 255)
    found = fed(frames)
    assert found.cuts() == [20]
    assert found.flashes() == {20 + place}


def test_a_shot_goes_on_behind_black_and_another_one_begins(footage):
    one, other = footage(0, 40, speed=1), footage(1, 20, speed=1)
    dark = np.clip(np.abs(np.arange(40) - 17.5) / 8 - 0.75, 0, 1)  # twelve black frames in the middle
    faded = [lit(frame, w) for frame, w in zip(one, dark, strict=True)]
    assert cuts(faded) == []
    assert set(range(12, 24)) <= fed(faded).flashes()
    appearing = [lit(frame, w) for frame, w in zip(other, dark[18:38], strict=True)]
    between = cuts(faded[:18] + appearing)
    assert len(between) == 1 and 10 < between[0] < 26  # where it goes dark, or bright again
    black = [np.zeros_like(one[0])] * 12
    assert cuts(one + black + appearing) == [40]
    assert cuts(faded[:18] + other) == [18]
    assert cuts(black + other) == [12]
    assert cuts(one + black + other) == [40, 52]


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_in_a_shot_alone_no_cut_is_found(footage, seed):
    """Whatever the frames are: shots of any length, flashes, black, fast motion."""
    chance = np.random.default_rng(seed)
    frames = []
    for _ in range(24):
        speed, angle = chance.choice([0, 2, 12, 40]), chance.uniform(0, 6)
        shot = footage(chance.integers(6), chance.choice([1, 2, 3, 5, 9, 16]), size=(96, 54), speed=speed, angle=angle)
        for frame in range(len(shot)):
            if chance.random() < 0.15:
                shot[frame] = lit(shot[frame], *[(0, 0), (0, 255), (2.2, 60), (0.02, 0)][chance.integers(4)])
        frames += shot
    found = fed(frames)
    assert len(found.cuts()) > 2
    for start, end in pairwise([0, *found.cuts(), len(frames)]):
        alone = fed(frames[start:end])
        assert alone.cuts() == []
        assert {start + number for number in alone.flashes()} == {n for n in found.flashes() if start <= n < end}


def test_smooth_small_and_empty_clips():
    shots = [list(pan(length, 320, 180, seed=seed)) for seed, length in enumerate((20, 17, 25))]
    assert cuts(joined(shots)) == [20, 37]
    assert cuts([]) == []
    assert cuts(shots[0][:1]) == []
    assert cuts([np.zeros((1, 1, 3), np.uint8)] * 9) == []
    assert cuts([np.zeros((64, 64, 3), np.uint8)] * 20 + [np.full((64, 64, 3), 200, np.uint8)] * 20) == [20]

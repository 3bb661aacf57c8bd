import numpy as np
import pytest
from clips import pan

CutDetector = pytest.importorskip("vidstyle.shots").CutDetector


def cuts(frames):
    detector = CutDetector()
    for frame in frames:
        detector.add(frame)
    return detector.cuts()


def shots(*lengths, speed=2):
    return [frame for seed, length in enumerate(lengths) for frame in pan(length, 320, 180, seed=seed, speed=speed)]


def test_cuts_are_exact():
    assert cuts(shots(20, 17, 25)) == [20, 37]
    assert cuts(shots(7, 7, 7, 7)) == [7, 14, 21]


@pytest.mark.parametrize("speed", [0, 1, 4, 8])
def test_a_pan_is_no_cut(speed):
    assert cuts(shots(40, speed=speed)) == []


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_is_no_cut(length):
    frames = shots(40)
    for number in range(20, 20 + length):
        frames[number] = np.full_like(frames[number], 255)
    assert cuts(frames) == []


def test_a_fade_through_black_and_a_dissolve_are_no_cuts():
    one, other = list(pan(40, 320, 180, seed=1)), list(pan(40, 320, 180, seed=2))
    weights = np.clip((np.arange(40) - 14) / 12, 0, 1)
    assert cuts([(a * (1 - w) + b * w).astype(np.uint8) for a, b, w in zip(one, other, weights, strict=True)]) == []
    assert cuts([(a * abs(2 * w - 1)).astype(np.uint8) for a, w in zip(one, weights, strict=True)]) == []


def test_short_small_and_empty_clips():
    assert cuts([]) == []
    assert cuts(shots(1)) == []
    assert cuts([np.zeros((1, 1, 3), np.uint8)] * 9) == []
    assert cuts([np.zeros((64, 64, 3), np.uint8)] * 20 + [np.full((64, 64, 3), 200, np.uint8)] * 20) == [20]

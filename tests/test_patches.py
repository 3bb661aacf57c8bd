"""The neutral judge beside a slow second implementation, and on pictures of which one knows what it must say."""

import dataclasses
import math

import numpy as np
import pytest
from conftest import pixels, texture

from vidstyle.lab.evaluate import patches
from vidstyle.lab.evaluate.patches import PatchDistances, distances, nearest

PRECISION = [field.name for field in dataclasses.fields(PatchDistances) if field.name.endswith("precision")]
RECALL = [field.name for field in dataclasses.fields(PatchDistances) if field.name.endswith("recall")]


def picture(height, width, seed):
    return pixels(texture(height, width, seed)).astype(np.float32) / 255


def plain(color, height=40, width=48):
    return np.full((height, width, 3), color, np.float32)


def lab_by_hand(red, green, blue):
    """sRGB to CIE Lab under D65, IEC 61966-2-1 and CIE 15."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)]
    x, y, z = (
        sum(weight * value for weight, value in zip(row, linear, strict=True))
        for row in ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
    )
    fx, fy, fz = (
        ratio ** (1 / 3) if ratio > (6 / 29) ** 3 else ratio / (3 * (6 / 29) ** 2) + 4 / 29
        for ratio in (x / 0.950456, y, z / 1.088754)
    )
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def by_hand(pastiche, style, count):
    """The eight numbers with loops; sides are multiples of four."""
    found = []
    for side in (1, 5):
        for shrink in (1, 4):
            random = np.random.default_rng(0)
            samples = []
            for image in (pastiche, style):
                height, width = (length // shrink for length in image.shape[:2])
                lab = [[[v / 100 for v in lab_by_hand(*map(float, pixel))] for pixel in row] for row in image]
                mean = [
                    [
                        [
                            sum(
                                lab[shrink * y + dy][shrink * x + dx][c] for dy in range(shrink) for dx in range(shrink)
                            )
                            / shrink**2
                            for c in range(3)
                        ]
                        for x in range(width)
                    ]
                    for y in range(height)
                ]
                tops = random.integers(0, height - side + 1, count)
                lefts = random.integers(0, width - side + 1, count)
                samples.append(
                    [
                        [v for y in range(side) for x in range(side) for v in mean[top + y][left + x]]
                        for top, left in zip(tops, lefts, strict=True)
                    ]
                )
            for ones, others in (samples, samples[::-1]):
                found.append(sum(min(math.dist(one, other) for other in others) for one in ones) / count / side)
    return found


def test_it_agrees_with_a_slow_second_implementation(monkeypatch):
    monkeypatch.setattr(patches, "COUNT", 30)
    one, other = picture(24, 32, 1), picture(28, 20, 2)
    found = dataclasses.astuple(distances(one, other))
    assert found[1:] == pytest.approx(by_hand(one, other, 30), rel=2e-3, abs=2e-4)
    assert found[0] == pytest.approx(np.mean(found[1:]))


def test_black_is_1_from_white():
    found = distances(plain(0), plain(1))
    assert dataclasses.astuple(found) == pytest.approx([1] * 9, abs=1e-3)


def test_a_picture_is_near_itself():
    one = picture(64, 96, 1)
    assert distances(one, one).color_precision < 0.02
    assert distances(one, one).mean < 0.3 * distances(one, picture(64, 96, 2)).mean
    assert distances(plain(0.3), plain(0.3)) == PatchDistances(*[0.0] * 9)


def test_what_the_style_lacks_costs_precision_and_what_it_loses_costs_recall():
    """Pictures of two colours; each half is large enough for the coarse patches."""
    two, one = plain(0.2, 64, 96), plain(0.2, 64, 96)
    two[:, 48:] = (0.9, 0.1, 0.1)
    foreign, missing = distances(two, one), distances(one, two)
    for name in PRECISION:
        assert getattr(foreign, name) > 0.2 > 1e-4 > getattr(missing, name)
    for name in RECALL:
        assert getattr(missing, name) > 0.2 > 1e-4 > getattr(foreign, name)


def test_the_seed_alone_decides():
    one, other = picture(64, 96, 1), picture(80, 80, 2)
    assert distances(one, other) == distances(one, other) != distances(one, other, seed=1)
    several = [distances(one, other, seed=seed) for seed in range(3)]
    noise, average = PatchDistances.deviation(several), PatchDistances.average(several)
    assert 0 < noise.color_recall == pytest.approx(np.std([found.color_recall for found in several], ddof=1))
    assert average.color_recall == pytest.approx(np.mean([found.color_recall for found in several]))
    assert noise.mean < 0.05 * average.mean
    assert average.over(average) == PatchDistances(*[1.0] * 9)
    assert math.isnan(average.over(PatchDistances(*[0.0] * 9)).mean)


def test_several_styles_are_one_supply_of_patches():
    black, white = plain(0), plain(1)
    grey = distances(black, [black, white], shares=[3, 1])
    assert grey.color_precision == pytest.approx(0, abs=1e-4)
    assert grey.color_recall == pytest.approx(0.25, abs=1e-3)  # a quarter of them is as far as can be
    assert distances(black, [black, white], shares=[1, 0]).mean == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (4, 50), (3, 3), (5, 5), (17, 2)])
def test_a_picture_smaller_than_a_patch_is_judged(size):
    small, large = plain(0.5, *size), plain(0.5)
    for pair in ((small, large), (large, small)):
        assert distances(*pair).mean == pytest.approx(0, abs=1e-4)


def test_colours_beyond_the_range_are_clipped():
    assert distances(plain(1.2), plain(1.0)).mean == 0


def test_the_nearest_is_found_and_not_rounded():
    random = np.random.default_rng(3)
    ones, others = (random.random((count, 7), np.float32) for count in (20, 30))
    assert nearest(ones, others) == pytest.approx(np.mean([min(np.linalg.norm(others - one, axis=1)) for one in ones]))
    assert nearest(ones + 100, ones + 100) == 0

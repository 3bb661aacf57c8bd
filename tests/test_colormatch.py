"""Matched colours: the painting gets the distribution of the styles' colours, the same way in all frames of a shot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clips import texture

from vidstyle import ImageSettings, stylize
from vidstyle.core import colormatch


def quantiles(pixels: np.ndarray) -> np.ndarray:
    """Of each channel of (N, 3), by numpy."""
    return np.quantile(pixels, np.linspace(0.05, 0.95, 10), axis=0)


def noise(seed: int, power: float = 1.0, tint: tuple[float, float, float] = (1, 1, 1)) -> torch.Tensor:
    """Correlated colours (3, 60, 80)."""
    random = np.random.default_rng(seed)
    values = random.random((3, 60, 80)) ** power
    values[1] = 0.7 * values[0] + 0.3 * values[1]
    return torch.from_numpy(values * np.reshape(tint, (3, 1, 1))).float()


def rows(picture: torch.Tensor) -> np.ndarray:
    return picture.flatten(1).T.numpy()


def matched(picture: torch.Tensor, style: torch.Tensor, share: float = 1.0) -> torch.Tensor:
    table = colormatch.matching(colormatch.sample(picture), colormatch.sample(style))
    return colormatch.matched(picture, table, share)


def test_a_picture_gets_the_distribution_of_the_style():
    picture, style = noise(1), noise(2, power=2.5, tint=(0.9, 0.6, 0.3))
    found = matched(picture, style)
    before = np.abs(quantiles(rows(picture)) - quantiles(rows(style))).max()
    after = np.abs(quantiles(rows(found)) - quantiles(rows(style))).max()
    assert before > 0.3
    assert after < 0.03
    together = np.corrcoef(rows(found).T) - np.corrcoef(rows(style).T)
    assert np.abs(together).max() < 0.05  # also how the channels go together


def test_a_share_blends_and_none_leaves_the_picture_alone():
    picture, style = noise(1), noise(2, power=2.5)
    half, whole = matched(picture, style, 0.5), matched(picture, style, 1.0)
    assert torch.allclose(half, (picture + whole) / 2, atol=1e-6)
    assert torch.equal(matched(picture, style, 0.0), picture)


def test_a_picture_that_has_the_colours_keeps_them():
    picture = noise(3)
    assert (matched(picture, picture) - picture).abs().max() < 0.01


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_plain_style_leaves_shapes_and_a_plain_picture_stays_plain(value):
    picture, plain = noise(1), torch.full((3, 20, 30), value)
    found = matched(picture, plain)
    assert found.isfinite().all()
    assert 0.02 < found.std() < 0.2
    assert abs(float(found.mean()) - value) < 0.06
    still = matched(plain, noise(2))
    assert still.isfinite().all()
    assert still.std(dim=(1, 2)).max() < 1e-5


def test_only_what_counts_is_looked_at():
    left, right = noise(1, tint=(1, 0.2, 0.2)), noise(2, tint=(0.2, 0.2, 1))
    both = torch.cat([left, right], dim=2)
    weights = torch.zeros(1, *both.shape[1:])
    weights[..., 80:] = 1
    assert np.allclose(quantiles(colormatch.sample(both, weights).numpy()), quantiles(rows(right)), atol=0.02)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_several_styles_count_by_their_shares(share):
    black, white = (colormatch.sample(torch.full((3, 8, 8), value)) for value in (0.0, 1.0))
    mixed = colormatch.mixed([black, white], [1 - share, share])
    assert float(mixed.mean()) == pytest.approx(share, abs=1e-3)


def test_a_still_comes_nearer_to_the_colours_of_its_style_and_alpha_1_is_the_content():
    content, style = texture(96, 72, seed=1), texture(80, 80, seed=2)
    style = (style * np.array([1.0, 0.6, 0.2])).astype(np.uint8)
    wanted = quantiles(style.reshape(-1, 3) / 255)

    def apart(**settings: float) -> float:
        painted = stylize(content, [style], ImageSettings(size=96, first_iterations=3, recolor=0.0, **settings))
        return float(np.abs(quantiles(painted.reshape(-1, 3) / 255) - wanted).mean())

    assert apart(match_colors=1.0) < 0.6 * apart(match_colors=0.0)
    whole = stylize(content, [style], ImageSettings(size=96, alpha=1.0, match_colors=1.0))
    assert np.array_equal(whole, content)

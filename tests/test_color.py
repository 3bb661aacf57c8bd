import pytest
import torch

from vidstyle.core import color
from vidstyle.core.stylemetrics import moments


def picture(seed: int, scale: float = 0.15, height: int = 30, width: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.rand(3, 3, generator=generator)
    pixels = mixing @ torch.randn(3, height * width, generator=generator)
    return (0.5 + scale * 0.5 * pixels / pixels.std()).clamp(0, 1).view(3, height, width)


def test_matched_statistics_are_the_targets():
    source, target = picture(1), picture(2)
    matched = color.match_statistics(source, source, target).flatten(1)
    wanted = target.flatten(1)
    torch.testing.assert_close(matched.mean(1), wanted.mean(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(matched), torch.cov(wanted), atol=3e-4, rtol=0)


def test_matching_to_itself_changes_nothing():
    image, source = picture(1), picture(2)
    torch.testing.assert_close(color.match_statistics(image, source, source), image, atol=1e-4, rtol=0)


def test_pixels_of_no_weight_do_not_count():
    source, target = picture(1), picture(2)
    weight = torch.zeros(1, 30, 40)
    weight[:, :, :20] = 1
    plain = color.match_statistics(source, source[:, :, :20], target[:, :, :20])
    target[:, :, 20:] = 0
    torch.testing.assert_close(color.match_statistics(source, source, target, weight), plain, atol=1e-4, rtol=0)


def test_without_any_weight_the_picture_stays():
    image = picture(1)
    matched = color.match_statistics(image, picture(2), picture(3), torch.zeros(1, 30, 40))
    torch.testing.assert_close(matched, image, atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_plain_and_grey_pictures_are_no_trouble(value):
    plain = torch.full((3, 8, 8), value)
    torch.testing.assert_close(color.match_statistics(plain, plain, plain), plain, atol=1e-6, rtol=0)
    moved = color.match_statistics(plain, plain, picture(1))
    torch.testing.assert_close(moved.mean((1, 2)), picture(1).mean((1, 2)), atol=1e-3, rtol=0)
    grey = picture(1)[:1].expand(3, 30, 40)
    assert torch.isfinite(color.match_statistics(grey, grey, picture(2))).all()


def test_preserve_color_takes_light_from_one_and_colour_from_the_other():
    pastiche, content = picture(1, 0.05), picture(2, 0.05)
    luminance = torch.tensor(color.LUMINANCE).view(3, 1, 1)
    kept = color.preserve_color(pastiche, content, 1.0)
    torch.testing.assert_close((luminance * kept).sum(0), (luminance * pastiche).sum(0))
    torch.testing.assert_close(kept[0] - kept[2], content[0] - content[2], atol=1e-6, rtol=0)
    half = color.preserve_color(pastiche, content, 0.5)
    torch.testing.assert_close(half, (kept + pastiche) / 2, atol=1e-6, rtol=0)
    assert torch.equal(color.preserve_color(pastiche, content, 0.0), pastiche)


def test_preserve_color_stays_in_range():
    kept = color.preserve_color(torch.ones(3, 2, 2), torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1).expand(3, 2, 2), 1.0)
    assert kept.min() >= 0 and kept.max() <= 1


def test_transferred_colours_are_the_targets():
    source, target = picture(1, 0.1), picture(2, 0.12)
    colors = color.transfer(moments(source[None]), moments(target[None]))
    found = color.recolored(source, colors, 1.0).flatten(1)
    torch.testing.assert_close(found.mean(1), target.flatten(1).mean(1), atol=2e-3, rtol=0)
    grey = color.LEAST_DEVIATION**2 * torch.ones(3, 3)
    torch.testing.assert_close(torch.cov(found), torch.cov(target.flatten(1)) + grey, atol=1e-3, rtol=0)
    half = color.recolored(source, colors, 0.5).flatten(1)
    torch.testing.assert_close(half, (found + source.flatten(1)) / 2)
    assert torch.equal(color.recolored(source, colors, 0.0), source)


def test_transfer_moves_colours_least():
    """The map is symmetric and positive, which only the optimal transport is (Brenier's theorem)."""
    matrix = color.transfer(moments(picture(1, 0.1)[None]), moments(picture(2, 0.12)[None]))[:, :3]
    torch.testing.assert_close(matrix, matrix.T, atol=1e-6, rtol=1e-5)
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_transfer_from_and_to_plain_pictures(value):
    plain, other = torch.full((3, 8, 8), value), picture(1)
    to_plain = color.recolored(other, color.transfer(moments(other[None]), moments(plain[None])), 1.0)
    assert torch.isfinite(to_plain).all()
    if value == 0.5:  # a style of one colour: its colour, and the shapes stay faintly visible
        torch.testing.assert_close(to_plain.mean((1, 2)), plain.mean((1, 2)), atol=1e-2, rtol=0)
        deviation = to_plain.flatten(1).mean(0).std()
        assert float(deviation) == pytest.approx(color.LEAST_DEVIATION, rel=0.1)
    noise = (plain + 0.002 * torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    stretched = color.recolored(noise, color.transfer(moments(noise[None]), moments(other[None])), 1.0)
    assert float(stretched.std((1, 2)).max()) < 1.05 * color.MOST_CONTRAST * float(noise.std((1, 2)).max()) + 1e-3

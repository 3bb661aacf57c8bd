import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidstyle.core import warp
from vidstyle.motion import flow


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def constant(x: float, y: float, height: int, width: int) -> torch.Tensor:
    return torch.tensor([x, y], dtype=torch.float32).view(2, 1, 1).expand(2, height, width).clone()


def test_dis_finds_a_known_shift_backwards():
    big = texture(120, 160)
    previous, current = big[10:106, 10:138], big[13:109, 15:143]  # what is here at (0, 0) was there at (5, 3)
    motion = flow.estimator("dis")(previous, current)
    inner = motion.flow[:, 16:-16, 16:-16]
    assert inner[0].mean() == pytest.approx(5, abs=0.05)
    assert inner[1].mean() == pytest.approx(3, abs=0.05)
    assert motion.visible[:, 16:-16, 16:-16].mean() > 0.95
    assert motion.visible[:, :, -4:].max() == 0  # came in from the right


def test_either_flow_of_a_pair_may_be_rough():
    big = texture(120, 160)
    pair = big[10:106, 10:138], cv2.GaussianBlur(big[13:109, 15:143], (0, 0), 0.7)
    both, backward, neither = (flow.Dis()(*pair, fine=fine) for fine in ("both", "backward", "neither"))
    assert np.array_equal(backward[0], both[0]) and not np.array_equal(neither[0], both[0])
    assert np.array_equal(backward[1], neither[1]) and not np.array_equal(neither[1], both[1])


@pytest.mark.parametrize(("gain", "offset"), [(0.8, 0), (0.4, 0), (0.1, 0), (1.0, 25), (0.5, 127)])
@pytest.mark.parametrize("backwards", [False, True])
def test_light_that_changes_is_no_motion(gain, offset, backwards):
    """Two frames of a fade to black or white, or of an exposure that changes, from one to the other and back."""
    big = texture(120, 160)
    pair = [big[10:106, 10:138], (big[12:108, 13:141] * gain + offset).astype(np.uint8)]
    motion = flow.estimator("dis")(*(pair[::-1] if backwards else pair))
    inner, sign = motion.flow[:, 12:-12, 12:-12], -1 if backwards else 1
    assert (inner - sign * torch.tensor([3.0, 2.0]).view(2, 1, 1)).norm(dim=0).mean() < 0.3
    assert motion.visible[:, 12:-12, 12:-12].mean() > 0.9


def test_a_change_of_light_is_evened_out_and_nothing_else_is():
    picture = cv2.cvtColor(texture(90, 130), cv2.COLOR_RGB2GRAY)
    same = flow.evened(picture, np.roll(picture, 3, 1))
    assert same[0] is picture
    dark, bright = flow.evened((picture * 0.3).astype(np.uint8), picture)
    assert np.abs(dark.astype(float) - bright).mean() < 3
    assert flow.evened(np.zeros((2, 40), np.uint8), np.full((2, 40), 200, np.uint8))[1].shape == (2, 40)


def test_dis_repeats_bit_for_bit_with_any_number_of_threads():
    previous, current = texture(90, 130), np.roll(texture(90, 130), (2, 3), (0, 1))
    threads, motions = cv2.getNumThreads(), []
    try:
        for number in (1, 2, 3):
            cv2.setNumThreads(number)
            motions.append(flow.estimator("dis")(previous, current))
    finally:
        cv2.setNumThreads(threads)
    for motion in motions[1:]:
        assert torch.equal(motion.flow, motions[0].flow)
        assert torch.equal(motion.visible, motions[0].visible)


@pytest.mark.parametrize("shape", [(2, 2), (16, 16), (8, 64), (12, 640), (31, 200)])
def test_dis_takes_small_and_narrow_pictures(shape):
    motion = flow.estimator("dis")(texture(*shape), texture(*shape))
    assert motion.flow.shape == (2, *shape) and motion.visible.shape == (1, *shape)
    assert motion.flow.abs().max() < 0.1


def test_what_is_new_does_not_hold_what_moves_beside_it():
    """A pan over a soft ground in which something else appears: no flow explains that, but the ground goes on."""
    big = cv2.GaussianBlur(texture(140, 200), (0, 0), 4)
    previous, current = big[10:130, 10:170].copy(), big[12:132, 13:173].copy()
    current[40:80, 60:100] = texture(40, 40, seed=1)
    motion = flow.estimator("dis")(previous, current)
    around = np.zeros((120, 160), bool)
    around[30:90, 50:110] = True
    around[36:84, 56:104] = False
    error = (motion.flow - torch.tensor([3.0, 2.0]).view(2, 1, 1)).norm(dim=0)
    assert error[torch.from_numpy(around)].mean() < 1


def test_still_is_no_motion():
    motion = flow.no_motion(20, 30)
    assert motion.flow.shape == (2, 20, 30) and not motion.flow.any()
    assert motion.visible.shape == (1, 20, 30) and motion.visible.min() == 1


def test_pictures_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="different shapes"):
        flow.estimator("dis")(texture(20, 30), texture(20, 31))


def test_visibility_of_a_moving_square():
    """A square of 20 pixels moves right by 6 over a still ground: it uncovers the 6 columns it came from."""
    backward, forward = np.zeros((2, 2, 60, 60), np.float32)
    backward[0, 20:40, 26:46] = -6  # where the square is now
    forward[0, 20:40, 20:40] = 6  # where it was
    visible = flow.visibility(backward, forward)[0]
    assert visible.dtype == np.float32
    assert not visible[20:40, 20:26].any()  # uncovered
    assert visible[25:35, 31:41].min() == 1  # inside the square
    assert visible[:15].min() == 1 and visible[:, 50:].min() == 1  # far from it
    assert visible[28:32, 45:47].max() < 0.5  # a motion boundary, blurred


def test_what_came_from_outside_is_not_visible():
    backward = constant(4.0, 0.0, 20, 30).numpy()
    visible = flow.visibility(backward, -backward)[0]
    assert not visible[:, -4:].any()
    assert visible[:, :20].min() == 1


def test_warp_is_exact_for_whole_pixels_and_repeats_the_border():
    image = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warp.warp(image, constant(0, 0, 40, 50)), image, atol=5e-5, rtol=0)
    moved = warp.warp(image, constant(3, -2, 40, 50))
    torch.testing.assert_close(moved[:, 2:, :-3], image[:, :-2, 3:], atol=5e-5, rtol=0)
    torch.testing.assert_close(moved[:, 2:, -3:], image[:, :-2, -1:].expand(3, 38, 3), atol=5e-5, rtol=0)


def test_warp_follows_a_wave_between_pixels():
    def wave(x: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.4 * torch.sin(x / 2)

    x = torch.arange(80.0)
    image = wave(x).expand(1, 12, 80)
    moved = warp.warp(image, constant(0.3, 0, 12, 80))
    torch.testing.assert_close(moved[0, 5, 12:-12], wave(x + 0.3)[12:-12], atol=1e-5, rtol=0)


def test_warp_matches_an_independent_spline():
    """The interpolating spline solved as linear equations, at one point."""
    row = torch.rand(1, 1, 60, generator=torch.Generator().manual_seed(1))
    taps = np.array([1, 26, 66, 26, 1]) / 120  # a quintic B-spline at the whole numbers
    matrix = np.zeros((60, 60))
    for i in range(60):
        for offset, value in zip(range(-2, 3), taps, strict=True):
            matrix[i, 59 - abs(59 - abs(i + offset))] += value
    coefficients = np.linalg.solve(matrix, row[0, 0].numpy().astype(np.float64))
    halves = np.array([1, 237, 1682, 1682, 237, 1]) / 3840  # and between them
    moved = warp.warp(row, constant(0.5, 0, 1, 60))
    assert moved[0, 0, 30].item() == pytest.approx(coefficients[28:34] @ halves, abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (16, 3)])
def test_warp_takes_tiny_pictures_and_any_flow(shape):
    image = torch.rand(3, *shape)
    warped = warp.warp(image, torch.full((2, *shape), 1e4))
    torch.testing.assert_close(warped, image[:, -1:, -1:].expand(3, *shape), atol=5e-5, rtol=0)


def test_dis_on_real_pairs_with_known_flow():
    """Middlebury pairs, if VIDSTYLE_MEDIA names a folder that holds flow/middlebury."""
    media = os.environ.get("VIDSTYLE_MEDIA")
    if not media:
        pytest.skip("VIDSTYLE_MEDIA is not set")
    for pair in sorted((Path(media) / "flow" / "middlebury").iterdir()):
        then, now = (cv2.imread(str(pair / name))[..., ::-1] for name in ("frame11.png", "frame10.png"))
        data = np.fromfile(pair / "flow10.flo", np.float32)
        truth = torch.from_numpy(data[3:].reshape(*now.shape[:2], 2)).permute(2, 0, 1)
        motion = flow.estimator("dis")(np.ascontiguousarray(then), np.ascontiguousarray(now))
        error = (motion.flow - truth).norm(dim=0)
        seen = (motion.visible[0] > 0.5) & (truth.abs() < 1e6).all(0)
        assert error[seen].mean() < 0.3, pair
        assert error[~seen & (truth.abs() < 1e6).all(0)].mean() > 2 * error[seen].mean(), pair


@pytest.mark.parametrize("noise", [0, 1.5])
def test_a_clear_sky_does_not_stay_where_the_land_moves(noise):
    """Nothing in it says that it moves; strokes that stayed there while all else pans would stick to the screen."""
    random = np.random.default_rng(0)

    def view(shift):
        land = texture(96, 200)[:, 20 + shift : 148 + shift].astype(float)
        land[:48] = (120, 160, 220)
        return (land + random.normal(0, noise, land.shape)).clip(0, 255).round().astype(np.uint8)

    motion = flow.estimator("dis")(view(0), view(5))
    assert motion.flow[0, 56:, 10:-16].mean() == pytest.approx(5, abs=0.1)
    assert motion.flow[0, :8, 10:-16].mean() > 2.5

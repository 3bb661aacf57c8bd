"""The ground-truth motion of synthetic clips is exact."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest import texture

from vidstyle.core import metrics, warp
from vidstyle.errors import UsageError
from vidstyle.jobs.sources.clips import to_tensor
from vidstyle.lab.synthetic import DRIFT, EDGE, HIDDEN, SCENES, SyntheticClip, synthetic_clip
from vidstyle.motion import flow

PICTURE = texture(180, 320, seed=1).permute(1, 2, 0).numpy()


def clip(name, frames=8, size=128, **changes):
    return SyntheticClip(dataclasses.replace(SCENES[name], **changes), PICTURE, size, frames)


def error(one, then, now, motion):
    """Of frame `now` from frame `then`, carried along `motion`."""
    before, after = (to_tensor(one.frame(number)) for number in (then, now))
    return metrics.warping_error(warp.warp(before, motion.flow), after, motion.visible)


@pytest.mark.parametrize("name", SCENES)
def test_the_flow_carries_any_frame_to_any_other(name):
    one = clip(name, noise=0)
    for then, now in ((2, 3), (0, 7), (6, 1)):
        motion = one.motion(then, now)
        still = flow.no_motion(*motion.visible.shape[1:])
        left = error(one, then, now, motion)
        assert left < 1e-4, (then, now)
        assert name == "static" or left < 0.2 * error(one, then, now, dataclasses.replace(motion, flow=still.flow))
        assert motion.visible.mean() > 0.5


def test_the_flow_by_hand():
    assert torch.allclose(clip("pan").motion(2, 4).flow, torch.tensor([3.0, 1.0]).view(2, 1, 1), atol=1e-5)
    zoom = clip("zoom").motion(0, 1)  # what is at the corner was nearer to the middle
    corner = torch.tensor([127 / 2, 71 / 2])
    assert torch.allclose(zoom.flow[:, -1, -1], corner / 1.01 - corner, atol=1e-5)
    turned = clip("rotation").motion(0, 1).flow
    middle, angle = turned[:, 35:37, 63:65], np.radians(0.4)
    assert middle.abs().max() < 0.01
    assert turned[1, 36, -1].item() == pytest.approx(np.sin(angle) * 63.5, abs=0.01)
    for name in SCENES:
        assert clip(name).motion(5, 5).flow.abs().max() < 1e-5


def test_what_comes_in_from_outside_is_not_visible():
    visible = clip("pan").motion(0, 2).visible[0]  # by 3 to the right and 1 down
    assert not visible[:, -3:].any()
    assert not visible[-1:].any()
    assert visible[:-1, :-3].all()


def test_noise_is_of_its_strength_and_anew_in_every_frame():
    one = clip("static")
    noise = [frame.astype(float) - clip("static", noise=0).frame(0) for frame in one.decode()]
    assert np.std(noise[0]) == pytest.approx(2.5, rel=0.1)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("name", ["shake", "occlusion"])
def test_a_film_is_the_same_from_any_frame_on(name):
    frames = list(clip(name).decode())
    assert frames[0].shape == (72, 128, 3)
    assert all(np.array_equal(*pair) for pair in zip(frames[3:], clip(name).decode(3), strict=True))
    assert not np.array_equal(frames[0], frames[1])


def test_what_is_hidden_and_what_returns():
    """Blue bars before a red ground: its colour says what a pixel shows, whatever the clip says of itself."""
    red = np.zeros((144, 256, 3), np.float32)
    red[..., 0] = 1
    one = synthetic_clip("occlusion", red, 128, 12)
    ground, bar = (np.stack([frame[..., channel] == 255 for frame in one.decode()]) for channel in (0, 2))
    assert not (ground & bar).any()
    rows, columns = np.mgrid[:72, :128]

    def before(now, lag):
        """What each pixel of the ground showed so many frames ago."""
        x = np.clip(np.round(columns + lag * DRIFT[0]).astype(int), 0, 127)
        y = np.clip(np.round(rows + lag * DRIFT[1]).astype(int), 0, 71)
        return ground[now - lag, y, x], bar[now - lag, y, x]

    for now in range(1, 12):
        visible = one.motion(now - 1, now).visible[0].numpy() > 0
        seen, hidden = before(now, 1)
        assert not (visible & ground[now] & ~seen).any()
        assert not (visible & ~ground[now] & ~bar[now]).any()  # an edge
        assert (visible & bar[now]).any()
        missed = ground[now] & seen & ~visible  # only beside an edge or the border
        assert missed[1:-2, :-2].mean() < 3 * 2 * EDGE / 128
        assert (ground[now] & hidden & ~visible).any()
        back = one.returning(now)
        assert (back is None) == (now <= HIDDEN)
        if back is not None:
            area = back.visible[0].numpy() > 0
            assert area.any()
            assert area[:, area.any(0)].mean() > 0.9  # a strip from top to bottom
            assert ground[now][area].all()
            assert before(now, HIDDEN + 1)[0][area].all()
            assert all(before(now, lag)[1][area].all() for lag in range(1, HIDDEN + 1))
            assert back.flow[0][area].mean().item() == pytest.approx((HIDDEN + 1) * DRIFT[0], abs=1e-4)


def test_a_film_that_does_not_exist():
    with pytest.raises(UsageError, match="'dolly'; there are pan, slow-pan"):
        synthetic_clip("dolly", PICTURE, 64, 2)

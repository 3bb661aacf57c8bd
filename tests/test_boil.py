"""`--boil`: a share of each frame is painted anew, steady in strength, and the same at every run."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from clips import make_clip, pan, texture
from PIL import Image

from vidstyle import RunOptions, VideoSettings, stylize_frames, stylize_video
from vidstyle.core import temporal
from vidstyle.errors import UsageError

FRAMES = 10


@pytest.fixture
def settings(network):
    few = {"size": 96, "first_iterations": 8, "iterations": 6, "device": "cpu", "precision": "float32"}
    return VideoSettings(network=str(network), **few)


def changes(settings, pictures):
    """The mean change of each pair of paintings."""
    painted = [one.astype(float) for one in stylize_frames(pictures, [texture(48, 48, 2)], settings)]
    return [np.abs(one - other).mean() for one, other in pairwise(painted)]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_the_patches_cover_the_share_and_differ_from_frame_to_frame(share):
    patches = [temporal.boiling((72, 96), share, seed)[0] for seed in range(30)]
    assert {int(one.sum()) for one in patches} == {round(share * 72 * 96)}
    assert all(torch.equal(one, temporal.boiling((72, 96), share, seed)[0]) for seed, one in enumerate(patches))
    if 0 < share < 1:
        assert len({one.numpy().tobytes() for one in patches}) == 30
        everywhere = torch.stack(patches).mean(0)
        assert float((everywhere - share).abs().mean()) < 0.15  # no place is left out


def test_without_it_a_still_clip_stands_still_and_with_it_lives_steadily(settings):
    """The mean change of a pair grows with the share, and hardly differs from pair to pair."""
    still, means = [texture(96, 64, 1)] * FRAMES, []
    for boil in (0, 0.2, 0.8):
        found = changes(dataclasses.replace(settings, boil=boil), still)
        means.append(np.mean(found))
        if boil:
            assert np.std(found) < 0.25 * np.mean(found)
    assert means[0] == 0 < 2 * means[1] < means[2]


def test_only_patches_change(settings):
    """In a clip that stands still most of what is no patch stays as it was."""
    still = [texture(96, 64, 1)] * 3
    painted = list(stylize_frames(still, [texture(48, 48, 2)], dataclasses.replace(settings, boil=0.1)))
    patch = temporal.boiling((64, 96), 0.1, 1)[0][0].numpy() > 0
    apart = np.abs(painted[1].astype(int) - painted[0]).mean(2)
    assert apart[patch].mean() > 3 * apart[~patch].mean()


@pytest.mark.clips
@pytest.mark.parametrize(("loop", "workers"), [(False, None), (True, None), (False, 2)])
def test_interrupted_or_by_workers_it_gives_the_same_bytes(tmp_path, settings, loop, workers):
    clip = make_clip(tmp_path / "clip.mp4", [*pan(3, 96, 64), *(255 - one for one in pan(3, 96, 64, seed=9))], rate=24)
    Image.fromarray(texture(48, 48, 2)).save(tmp_path / "style.png")
    settings = dataclasses.replace(settings, boil=0.3, loop=loop)

    class Stop(Exception):
        pass

    def stop(result, total):
        raise Stop

    def paint(out, **run):
        return stylize_video(
            clip, [tmp_path / "style.png"], f"{tmp_path}/{out}/", settings, RunOptions(threads=1, **run)
        )

    paint("whole")
    if workers is None:
        for _ in range(6):
            with pytest.raises(Stop):
                paint("out", on_frame=stop)
    paint("out", workers=workers)
    one, other = ([file.read_bytes() for file in sorted((tmp_path / name).glob("*.png"))] for name in ("whole", "out"))
    assert len(one) == 6
    assert one == other


def test_the_seed_draws_other_patches(settings):
    still = [texture(96, 64, 1)] * 2
    one, other = (dataclasses.replace(settings, boil=0.3, seed=seed) for seed in (0, 1))
    found = [list(stylize_frames(still, [texture(48, 48, 2)], each)) for each in (one, other)]
    assert np.array_equal(found[0][0], found[1][0])
    assert not np.array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"boil": 1.5}, "--boil is 1.5; it must be at least 0 and at most 1"),
        ({"boil": 0.5, "warm_start": "none"}, "--boil belongs to --warm-start warped or previous"),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    with pytest.raises(UsageError, match=words):
        VideoSettings(**given)

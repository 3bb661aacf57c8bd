"""Masks of one frame that are carried through a clip along its motion, past what hides them."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from clips import make_clip, pan, texture
from maskfiles import paintings, saved, settings_for

from vidstyle import ImageSettings, RunOptions, VideoSettings, stylize_image, stylize_video
from vidstyle.errors import UsageError
from vidstyle.jobs.arrays import ArraySequence
from vidstyle.jobs.sources.carried import Carrier, Seen
from vidstyle.lab.synthetic import centred, synthetic_clip
from vidstyle.lab.synthetic import texture as detailed
from vidstyle.motion.flow import estimator
from vidstyle.motion.tracks import MaskTrack, Track, filled
from vidstyle.types import ClipInfo

LAGS = (3, 6, 9)  # the default of --long-term
FRAMES = 24


def true_mask(clip, number, finer=4):
    """An ellipse on the picture that the camera sees, where no bar hides it, (H, W) uint8: drawn, not tracked."""
    width, height = clip.info.width, clip.info.height
    across, down = (centred(side * finer) / finer for side in (width, height))
    x, y = np.meshgrid(across, down)
    pose = clip.scene.path(number)
    there = [row[0] * x + row[1] * y + row[2] for row in pose[:2]]
    inside = np.square((there[0] - 8) / (width / 5)) + np.square((there[1] - 4) / (height / 3.5)) <= 1
    if clip.bars is not None:
        inside &= clip.bars.depth(across, number) <= 0
    return np.rint(255 * cv2.resize(inside.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)).astype(
        np.uint8
    )


def overlap(one, other):
    one, other = one > 127, other > 127
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize(
    ("name", "least"), [("pan", 0.95), ("zoom", 0.95), ("rotation", 0.95), ("shake", 0.95), ("occlusion", 0.9)]
)
@pytest.mark.parametrize("key", [0, pytest.param(20, marks=pytest.mark.slow)])
def test_it_is_that_of_the_true_motion(name, least, key):
    """Forwards and backwards through 24 frames; beside bars that cross the picture and hide it in part."""
    clip = synthetic_clip(name, detailed(420, 280, seed=5), 160, FRAMES)
    for numbers in (range(key + 1, FRAMES), range(key - 1, -1, -1)):
        track = MaskTrack(estimator("dis"), clip.frame(key), true_mask(clip, key), LAGS)
        for number in numbers:
            found, true = track.next(clip.frame(number)), true_mask(clip, number)
            assert true.sum() < 30 * 255 or overlap(found, true) >= least, number


def test_a_fade_hides_nothing():
    clip = synthetic_clip("pan", detailed(420, 280, seed=5), 128, 12)
    track = Track(estimator("dis"), clip.frame(0), LAGS)
    for number in range(1, 12):
        motion = track.add((clip.frame(number) * (1 - 0.05 * number)).astype(np.uint8))
        true = clip.motion(0, number)
        assert float((motion.visible * true.visible).sum() / true.visible.sum()) > 0.95


def test_what_is_unknown_goes_with_what_looks_like_it():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 30:] = 200
    mask, known = np.zeros((40, 60), np.float32), np.ones((40, 60), bool)
    mask[:, 30:], known[10:30, 22:38] = 255, False
    mask[~known] = 128
    found = filled(mask, known, picture)
    assert np.allclose(found[:, :30], 0, atol=1)
    assert np.allclose(found[:, 30:], 255, atol=1)


def carried(frames, shots, mask, frame, first=0):
    """The masks of all frames."""
    height, width = frames[0].shape[:2]
    sequence = ArraySequence(frames, ClipInfo(width, height, Fraction(25), len(frames)))
    seen = Seen(sequence, width, height, shots, frozenset())
    return Carrier(seen, estimator("dis"), (2,), first).carried(mask, frame)


class TestShots:
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 30:60] = 255

    def test_it_is_black_in_other_shots_and_starts_anywhere(self):
        frames = [*pan(4, 96, 64), *(255 - frame for frame in pan(4, 96, 64, seed=9)), *pan(2, 96, 64, seed=5)]
        whole = list(carried(frames, [0, 4, 8], self.mask, 105, first=100).decode(0))
        assert np.array_equal(whole[5], self.mask)
        assert [bool(mask.any()) for mask in whole] == [False] * 4 + [True] * 4 + [False] * 2
        for number in (4, 6, 7):  # the camera moves two pixels a frame to the right
            moved = np.roll(self.mask, -2 * (number - 5), axis=1)
            assert overlap(whole[number], moved) > 0.95
        for start in (3, 5, 6, 9):
            again = list(carried(frames, [0, 4, 8], self.mask, 105, first=100).decode(start))
            assert all(map(np.array_equal, again, whole[start:]))
            assert len(again) == len(frames) - start


@pytest.fixture
def files(tmp_path, network):
    make_clip(tmp_path / "clip.mp4", list(pan(6, 96, 64)), rate=25, options={"crf": "0"})
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 30:60] = 255
    for name, picture in {
        "style": texture(48, 48, 2),
        "other": texture(48, 48, 3),
        "mask": mask,
        "square": mask[:, :64],
        "black": 0 * mask,
        "photo": texture(96, 64, 1),
    }.items():
        saved(tmp_path / f"{name}.png", picture)
    return tmp_path


@pytest.mark.clips
class TestClip:
    def test_the_painting_moves_with_it(self, files, vidstyle):
        settings = settings_for(files, mask=f"key:{files / 'mask.png'}@2", feather=0)
        stylize_video(files / "clip.mp4", [files / "style.png"], f"{files}/out/", settings)
        network = str(files / "tiny.safetensors")
        unpainted = VideoSettings(network=network, device="cpu", size=96, alpha=1, warm_start="none")
        stylize_video(files / "clip.mp4", [files / "style.png"], f"{files}/plain/", unpainted)
        pairs = zip(paintings(files / "out"), paintings(files / "plain"), strict=True)
        for number, (painted, content) in enumerate(pairs):
            apart = np.abs(painted.astype(int) - content).max(2)
            left = 30 - 2 * (number - 2)
            outside = np.ones_like(apart, bool)
            outside[14:50, left - 2 : left + 32] = False
            assert apart[outside].max() <= 1
            assert apart[18:46, left + 2 : left + 28].mean() > 4
        shown = vidstyle("show", files / "out").output
        assert "--mask key:mask.png@2" in shown
        assert "SHA-256 of mask" in shown

    def test_a_region_moves_with_it(self, files):
        region = f"key:{files / 'mask.png'}@0={files / 'other.png'},alpha=0.1"
        settings = settings_for(files, region=[region])
        stylize_video(files / "clip.mp4", [files / "style.png"], f"{files}/out/", settings)
        stylize_video(files / "clip.mp4", [files / "style.png"], f"{files}/plain/", settings_for(files))
        for number in (0, 3):
            apart = np.abs(paintings(files / "out")[number].astype(int) - paintings(files / "plain")[number]).mean(2)
            left = 30 - 2 * number
            assert apart[20:44, left + 4 : left + 26].mean() > 2 * apart[20:44, left + 40 :].mean()

    @pytest.mark.slow
    def test_interrupted_it_goes_on_with_the_same_bytes(self, files):
        settings = settings_for(files, mask=f"key:{files / 'mask.png'}@3")
        whole = stylize_video(files / "clip.mp4", [files / "style.png"], f"{files}/whole/", settings)

        class Stop(Exception):
            pass

        for frame in range(5):

            def stop(result, total, frame=frame):
                if result.index == frame:
                    raise Stop

            with pytest.raises(Stop):
                stylize_video(
                    files / "clip.mp4", [files / "style.png"], f"{files}/out/", settings, RunOptions(on_frame=stop)
                )
        stylize_video(files / "clip.mp4", [files / "style.png"], f"{files}/out/", settings)
        assert all(map(np.array_equal, paintings(files / "out"), paintings(whole)))


REFUSED = {
    "outside": ("key:{mask}@6", "frame 6 is not painted; frames 0 to 5 are", 2),
    "malformed": ("key:{mask}", "give key:FILE@FRAME", 2),
    "another shape": ("key:{square}@1", "64x64 pixels, and what is painted 96x64", 3),
    "black": ("key:{black}@1", "black everywhere", 3),
    "not there": ("key:nothing.png@1", "nothing.png", 3),
}


@pytest.mark.clips
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("option", ["--mask", "--region"])
def test_a_bad_one_is_refused_in_a_sentence(vidstyle, files, name, option):
    text, words, code = REFUSED[name]
    text = text.format(**{one: files / f"{one}.png" for one in ("mask", "square", "black")})
    text += f"={files / 'other.png'}" * (option == "--region")
    if option == "--region" and name == "malformed":
        text = f"key:{files / 'mask.png'}={files / 'other.png'}"
    done = vidstyle(
        "video", files / "clip.mp4", files / "style.png", "-o", f"{files}/out/", "--device", "cpu", option, text
    )
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (files / "out.job").exists()


def test_a_picture_has_no_frames(files):
    settings = ImageSettings(mask=f"key:{files / 'mask.png'}@0")
    with pytest.raises(UsageError, match="one picture is painted"):
        stylize_image(files / "photo.png", [files / "style.png"], files / "o.png", settings)

"""Arrays in, arrays out: the paintings are those of the same pictures read from files."""

import dataclasses

import numpy as np
import pytest
from clips import pan, texture
from conftest import settings_of
from PIL import Image

from vidstyle import (
    ImageSettings,
    RunOptions,
    VideoSettings,
    VidstyleError,
    stylize,
    stylize_frames,
    stylize_image,
    stylize_video,
)
from vidstyle.errors import UsageError


@pytest.fixture
def settings(network):
    return VideoSettings(network=str(network), size=64, first_iterations=3, device="cpu")


def paintings(job):
    return [np.asarray(Image.open(path)) for path in sorted((job / "frames").glob("*.png"))]


@pytest.mark.clips
@pytest.mark.parametrize("changed", [{}, {"alpha": "0s:0.2, end:0.9"}, {"loop": True}, {"warm_start": "none"}])
def test_frames_are_painted_as_those_of_a_clip(settings, tmp_path, changed):
    settings = dataclasses.replace(settings, **changed)
    frames = [*pan(4, 96, 64), *(255 - frame for frame in pan(3, 96, 64))]  # with a cut
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number:04d}.png")
    style = texture(48, 48, seed=6)
    Image.fromarray(style).save(tmp_path / "style.png")
    whole = dataclasses.replace(settings, input_fps=10.0)
    stylize_video(
        tmp_path / "frames", [tmp_path / "style.png"], tmp_path / "out.gif", whole, run=RunOptions(keep_job=True)
    )
    found = list(stylize_frames(frames, [style], settings, fps=10))
    wanted = paintings(tmp_path / "out.gif.job")
    assert len(found) == len(wanted) == 7
    assert all(np.array_equal(*pair) for pair in zip(found, wanted, strict=True))


def test_a_picture_is_painted_as_one_from_a_file(settings, tmp_path):
    content, style = texture(96, 64, seed=1), texture(48, 48, seed=2)
    settings = settings_of(ImageSettings, settings)
    Image.fromarray(content).save(tmp_path / "content.png")
    Image.fromarray(style).save(tmp_path / "style.png")
    stylize_image(tmp_path / "content.png", [tmp_path / "style.png"], tmp_path / "out.png", settings)
    wanted = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(stylize(content, [style], settings), wanted)
    as_floats = stylize(content.astype(np.float64) / 255, [style.astype(np.float32) / 255], settings)
    assert np.array_equal(as_floats, wanted)


@pytest.mark.clips
def test_a_frame_is_painted_when_it_is_asked_for(settings):
    frames = np.stack(list(pan(3, 64, 48)))
    painted = stylize_frames(frames, [texture(48, 48, seed=6)], settings)
    first = next(painted)
    assert first.shape == (48, 64, 3)
    assert first.dtype == np.uint8
    painted.close()


FRAME = np.zeros((48, 64, 3), np.uint8)
REFUSED = {
    "no frames": ([], {}, "there are no frames"),
    "grey": ([FRAME[..., 0]], {}, r"frame 0 is \(48, 64\) uint8"),
    "floats": ([FRAME.astype(float)], {}, "float64"),
    "another size": ([FRAME, FRAME[:40]], {}, r"frame 1 is \(40, 64, 3\)"),
    "a setting of the input": ([FRAME], {"start": 1.0}, "VideoSettings.start"),
    "a setting of the output": ([FRAME], {"crf": 30}, "VideoSettings.crf"),
    "a setting of another job": (
        [FRAME],
        {"seconds": 9.0},
        "VideoSettings has no setting 'seconds', which is one of B",
    ),
}


@pytest.mark.clips
@pytest.mark.parametrize(("frames", "changed", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_before_painting(settings, frames, changed, words):
    with pytest.raises(UsageError, match=words):
        stylize_frames(frames, [FRAME], dataclasses.replace(settings, **changed))


def test_settings_of_another_job(settings):
    with pytest.raises(UsageError, match=r"settings is a VideoSettings; give vidstyle.ImageSettings"):
        stylize(FRAME, [FRAME], settings)
    with pytest.raises(UsageError, match=r"settings is an ImageSettings; give vidstyle.VideoSettings"):
        stylize_frames([FRAME], [FRAME], ImageSettings())
    with pytest.raises(UsageError, match=r"ImageSettings\.bits"):
        stylize(FRAME, [FRAME], ImageSettings(bits=16))


STYLES = {"none": [], "grey": [FRAME[..., 0]], "too bright": [FRAME + 1.5], "NaN": [FRAME * np.nan], "words": ["x.png"]}


@pytest.mark.parametrize("styles", STYLES.values(), ids=STYLES)
def test_styles_that_are_no_pictures(settings, styles):
    settings = settings_of(ImageSettings, settings)
    with pytest.raises(UsageError, match="style"):
        stylize(FRAME, styles, settings)
    with pytest.raises(VidstyleError):
        stylize(FRAME * np.nan, [FRAME], settings)

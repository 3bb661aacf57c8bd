"""The committed samples are what they say, and the clip's exact flow is exact."""

import importlib
import itertools
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

SAMPLES = Path(__file__).parent.parent / "samples"
PICTURES = ("harbor", "valley", "swirls", "facets", "woodcut", "dots")


@pytest.fixture(scope="module")
def folder():
    """Makes the scripts in samples/ importable: they find each other as a script's neighbours do."""
    sys.path.insert(0, str(SAMPLES))
    yield
    sys.path.remove(str(SAMPLES))


@pytest.fixture(scope="module")
def clip(folder):
    return importlib.import_module("clip")


@pytest.fixture(scope="module")
def truth(clip):
    return list(clip.render_clip(frames=6, width=160, height=96))


def test_pictures_are_committed_with_content():
    for name in PICTURES:
        image = cv2.imread(str(SAMPLES / f"{name}.jpg"))
        assert image is not None, name
        assert sorted(image.shape[:2]) >= [600, 800], name
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
        assert grey.std() > 25, name
        # texture nearly everywhere: most 16 px blocks are not flat
        blocks = grey[: grey.shape[0] // 16 * 16, : grey.shape[1] // 16 * 16]
        blocks = blocks.reshape(grey.shape[0] // 16, 16, -1, 16).std(axis=(1, 3))
        assert np.mean(blocks > 1.5) > 0.95, name


def test_samples_stay_small():
    assert sum(file.stat().st_size for file in SAMPLES.iterdir() if file.is_file()) < 4.25e6


def test_ride_is_a_clip_with_sound():
    av = pytest.importorskip("av")
    with av.open(str(SAMPLES / "ride.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.average_rate, video.width, video.height) == (Fraction(24), 480, 270)
        assert (video.codec.name, video.pix_fmt, audio.codec.name) == ("h264", "yuv420p", "aac")
        assert (video.codec_context.colorspace, video.codec_context.color_trc) == (1, 1)  # BT.709
        assert abs(container.duration / 1e6 - 2.5) < 0.03
        assert sum(1 for _ in container.decode(video)) == 60
        container.seek(0)
        loud = max(float(np.abs(block.to_ndarray()).max()) for block in container.decode(audio))
        assert loud > 0.1


def _carried(previous, flow):
    """The previous frame, looked up where the flow says that each pixel was."""
    row, col = np.mgrid[: flow.shape[1], : flow.shape[2]].astype(np.float32)
    return cv2.remap(previous, col + flow[0], row + flow[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _one_layer(flow, visible, size=9):
    """Pixels whose whole neighbourhood was visible and moves as one."""
    block = np.ones((size, size), np.uint8)
    inside = cv2.erode(visible.astype(np.uint8), block) > 0
    return inside & (cv2.dilate(flow, block) == cv2.erode(flow, block)).all(axis=-1)


def test_exact_flow_carries_each_frame_into_the_next(truth):
    for (before, _, _), (image, flow, visible) in itertools.pairwise(truth):
        assert (image.dtype, flow.dtype, visible.dtype) == (np.uint8, np.float32, bool)
        assert 0.85 < visible.mean() < 0.999
        # softened, because detail near the pixel grid does not survive any interpolation
        was, now = (cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0) for picture in (before, image))
        inside = _one_layer(flow.transpose(1, 2, 0), visible)
        assert inside.mean() > 0.25
        error = np.abs(_carried(was, flow) - now)[inside].mean()
        assert error < 0.4  # of 255
        for dx, dy in ((0.25, 0), (-0.25, 0), (0, 0.25), (0, -0.25)):
            shifted = flow + np.float32([dx, dy])[:, None, None]
            assert np.abs(_carried(was, shifted) - now)[inside].mean() > 1.5 * error


def test_hidden_pixels_are_the_ones_that_flow_cannot_explain(truth):
    for (before, _, _), (image, flow, visible) in itertools.pairwise(truth):
        error = np.abs(_carried(before.astype(np.float32), flow) - image).mean(axis=-1)
        assert error[visible].mean() < 3
        assert error[~visible].mean() > 2.5 * error[visible].mean()


def test_things_move_at_their_own_sub_pixel_speeds(truth):
    flows = np.stack([flow for _, flow, _ in truth[1:]])
    speeds = np.unique(np.round(flows[2, 0], 4))
    assert len(speeds) == 7  # sky, mountains, hills, balloon, train, viaduct, trees
    assert speeds.min() < -0.5 < 0.5 < speeds.max()  # the land goes left while the train goes right
    assert np.all(np.abs(speeds - np.round(speeds)) > 1e-3)
    assert not truth[0][1].any()
    assert not truth[0][2].any()


def test_the_same_every_time(clip, truth):
    again = list(clip.render_clip(frames=2, width=160, height=96))
    for first, second in zip(truth, again, strict=False):
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)


def test_pictures_are_the_same_every_time(folder):
    brush, marks = importlib.import_module("brush"), importlib.import_module("marks")

    def paint():
        canvas = brush.Canvas(60, 40, (0.5, 0.5, 0.5), seed=3)
        colour = np.full((80, 120, 3), 0.5, np.float32)
        canvas.layer(colour, np.zeros((80, 120), np.float32), width=12, length=40)
        return canvas.lit()

    for make in (paint, lambda: marks.woodcut(60, 40)):
        first = make()
        assert first.shape == (40, 60, 3)
        assert 0 <= first.min() < first.max() <= 1
        np.testing.assert_array_equal(first, make())

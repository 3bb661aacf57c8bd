"""Sources start anywhere and give the same frames; the thread that runs ahead stops when told, and hands errors on."""

import threading
from fractions import Fraction

import numpy as np
import pytest
import torch
from clips import make_clip, pan
from PIL import Image

from vidstyle.api import plan_video
from vidstyle.jobs.sources import lookahead
from vidstyle.jobs.sources.clips import SequenceSource, VideoSource
from vidstyle.jobs.sources.lookahead import AHEAD, ALWAYS, Ahead, ahead
from vidstyle.motion.flow import Estimator
from vidstyle.motion.tracks import Track
from vidstyle.settings import VideoSettings
from vidstyle.types import ClipInfo


def same(one, other):
    if not (torch.equal(one.image, other.image) and one.index == other.index):
        return False
    if one.motion is None or other.motion is None:
        return one.motion is None and other.motion is None
    return torch.equal(one.motion.flow, other.motion.flow) and torch.equal(one.motion.visible, other.motion.visible)


def test_a_clip_can_be_entered_anywhere(tmp_path):
    make_clip(tmp_path / "clip.mp4", pan(6), rate=24)
    source = VideoSource(str(tmp_path / "clip.mp4"), VideoSettings(size=64), (1.0,))
    whole = list(source.frames(0))
    assert [frame.index for frame in whole] == list(range(6))
    assert whole[0].motion is None
    assert all(frame.motion is not None for frame in whole[1:])
    for start in range(7):
        assert all(same(*pair) for pair in zip(source.frames(start), whole[start:], strict=True))


def test_the_motion_of_a_pan(tmp_path):
    make_clip(tmp_path / "clip.mp4", pan(3), rate=24)
    source = VideoSource(str(tmp_path / "clip.mp4"), VideoSettings(size=0), (1.0,))
    flow = next(source.frames(2)).motion.flow
    inside = flow[:, 16:-16, 16:-16]
    assert inside[0].median().item() == pytest.approx(2, abs=0.1)  # the camera moves right by 2 pixels a frame
    assert inside[1].median().item() == pytest.approx(0, abs=0.1)


class Pictures:
    """A sequence of given pictures."""

    def __init__(self, pictures):
        self.pictures = list(pictures)
        height, width = self.pictures[0].shape[:2]
        self.info = ClipInfo(width, height, Fraction(24), len(self.pictures))

    def decode(self, start=0):
        yield from self.pictures[start:]


class Asked:
    """A search that finds no motion and keeps which flows were to be fine."""

    fingerprint = ""

    def __init__(self):
        self.fine = []

    def __call__(self, previous, current, *, fine="both"):
        self.fine.append(fine)
        still = np.zeros((2, *current.shape[:2]), np.float32)
        return still, still


def test_a_painting_takes_less_exact_flow_than_masks_and_key_frames():
    search = Asked()
    noise = np.random.default_rng(0)
    pictures = noise.integers(0, 255, (5, 48, 64, 3), np.uint8)  # of which none shows what another does
    source = SequenceSource(
        Pictures(pictures), VideoSettings(size=0, long_term=(3,)), (1.0,), estimator=Estimator(search)
    )
    source.estimated_at_once = 0
    assert len(list(source.frames(0))) == 5
    assert search.fine == ["backward"] * 3 + ["neither"] + ["backward", "neither"]
    search.fine.clear()
    track = Track(Estimator(search), pictures[0])
    track.add(pictures[1])
    assert set(search.fine) == {"both"}


def test_in_a_flash_nothing_moves_and_what_follows_has_moved_since_before_it():
    pictures = list(pan(10, 128, 96, speed=2))
    for flash in (4, 5):
        pictures[flash] = np.full_like(pictures[0], 255)
    source = SequenceSource(Pictures(pictures), VideoSettings(size=0), (1.0,), flashes=(4, 5))
    whole = list(source.frames(0))
    for flash in (4, 5):
        assert not whole[flash].motion.flow.any() and whole[flash].motion.visible.min() == 1
        assert whole[flash].image.min() == 1
    for after, way in ((3, 2), (6, 6), (7, 2)):  # the camera moves right by 2 pixels a frame
        motion = whole[after].motion
        assert motion.flow[0, 16:-16, 16:-16].median().item() == pytest.approx(way, abs=0.1)
        assert motion.visible[0, 16:-16, 16:-16].mean() > 0.9
    for start in range(11):
        assert all(same(*pair) for pair in zip(source.frames(start), whole[start:], strict=True))


def test_a_picture_is_painted_again_after_a_flash_and_black_at_the_beginning_is_a_picture():
    black, picture = np.zeros((64, 96, 3), np.uint8), next(pan(1))
    pictures = [black, black, picture, picture, black, picture, picture]
    source = SequenceSource(Pictures(pictures), VideoSettings(size=0), (1.0,), cuts=[2], flashes=(0, 1, 4))
    frames = list(source.frames(0))
    assert [frame.motion is None for frame in frames] == [True, False, True, False, False, False, False]
    assert [frame.budget is None for frame in frames] == [True, False, True, False, True, True, False]
    for start in range(7):
        assert all(same(*pair) for pair in zip(source.frames(start), frames[start:], strict=True))


def test_a_range_of_seconds(tmp_path):
    make_clip(tmp_path / "clip.mp4", pan(8), rate=24)
    whole = VideoSource(str(tmp_path / "clip.mp4"), VideoSettings(size=64), (1.0,))
    part = VideoSource(str(tmp_path / "clip.mp4"), VideoSettings(size=64, start=0.125, end=0.25), (1.0,))
    assert part.info.frames == 3  # frames 3, 4 and 5 at 24 a second: the end is exclusive
    assert torch.equal(next(part.frames(0)).image, next(whole.frames(3)).image)


@pytest.mark.parametrize(("processors", "megabytes", "made"), [(1, 1000, 5), (16, 1000, 9), (16, 3, 3), (64, 0.1, 1)])
def test_frames_ahead_are_bounded_by_their_bytes(monkeypatch, processors, megabytes, made):
    """However many processors there are, no more frames are made than a share of the free memory holds."""
    monkeypatch.setattr(lookahead, "processors", lambda: processors)
    monkeypatch.setattr(lookahead.limits, "available", lambda: int(8e6 * megabytes))
    decoded = []

    class Counted(Pictures):
        def decode(self, start=0):
            for number, picture in enumerate(super().decode(start), start):
                decoded.append(number)
                yield picture

    source = SequenceSource(Counted(pan(12, 128, 64, speed=1)), VideoSettings(size=0), (1.0,))
    frames = source.frames(0)
    first = next(frames)
    assert len(decoded) == made
    assert [frame.index for frame in (first, *frames)] == list(range(12))
    pixels = 128 * 64
    assert source.ahead.bytes(pixels) == pytest.approx(
        max(ALWAYS * 63 * pixels, min(1e6 * megabytes, (ALWAYS + max(AHEAD, processors // 2)) * 63 * pixels))
        + 15 * 9 * pixels
        + 30 * pixels
    )  # a picture and four motions of three floats, and the decoded picture; nine frames back; the decoder's


def test_a_frame_takes_no_more_than_is_counted():
    frames = list(SequenceSource(Pictures(pan(12, 128, 64, speed=40)), VideoSettings(size=0), (1.0,)).frames(0))
    for frame in frames:
        tensors = [frame.image]
        motions = [frame.motion] if frame.motion else []
        tensors += [part for motion in (*motions, *frame.earlier.values()) for part in (motion.flow, motion.visible)]
        held = sum(tensor.untyped_storage().nbytes() for tensor in tensors)
        assert held <= Ahead.of(VideoSettings(), 9, 128 * 64).frame_bytes * 128 * 64
    assert max(len(frame.earlier) for frame in frames) > 0


def test_processors_are_those_of_the_affinity(monkeypatch):
    monkeypatch.setattr(lookahead.os, "sched_getaffinity", lambda pid: {3}, raising=False)
    monkeypatch.setattr(lookahead.os, "cpu_count", lambda: 64)
    assert (lookahead.processors(), lookahead.motion_workers()) == (1, 1)
    monkeypatch.delattr(lookahead.os, "sched_getaffinity")
    assert (lookahead.processors(), lookahead.motion_workers()) == (64, 32)


@pytest.mark.parametrize("seconds", [0.2, 1.0])
def test_nothing_is_decoded_that_is_behind_the_end(tmp_path, monkeypatch, seconds):
    """Neither by a survey nor by a job that only draws its schedules: the frames wanted, and those on their way."""
    reader = pytest.importorskip("vidstyle.media.video.reader")
    Image.fromarray(next(pan(1))).save(tmp_path / "style.png")
    make_clip(tmp_path / "a.mp4", pan(200, 64, 48), rate=25)
    decoded, real = [], reader.Reader._decoded

    def counted(self, until):
        for frame in real(self, until):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(reader.Reader, "_decoded", counted)
    settings, wanted = VideoSettings(end=seconds, size=64), round(25 * seconds)
    for read in (
        lambda: VideoSource(str(tmp_path / "a.mp4"), settings, (1.0,)).curves,
        lambda: plan_video(tmp_path / "a.mp4", [tmp_path / "style.png"], settings),
    ):
        decoded.clear()
        assert len(read().times) == wanted
        assert wanted <= len(decoded) <= wanted + 20


def numbers(closed, count=1000, fail_at=None):
    try:
        for number in range(count):
            if number == fail_at:
                raise ValueError("broken")
            yield number
    finally:
        closed.set()


def test_ahead_gives_everything_in_order():
    closed = threading.Event()
    assert list(ahead(numbers(closed))) == list(range(1000))
    assert closed.is_set()


def test_ahead_hands_errors_on_after_what_came_before():
    closed, seen = threading.Event(), []
    with pytest.raises(ValueError, match="broken"):
        seen.extend(ahead(numbers(closed, fail_at=5)))
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vidstyle-ahead")]


def test_ahead_stops_when_closed_and_does_not_run_away():
    closed, made = threading.Event(), []
    items = ahead((made.append(number) or number for number in numbers(closed)), depth=3)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert closed.is_set()
    assert len(made) <= 2 + 3 + 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vidstyle-ahead")]

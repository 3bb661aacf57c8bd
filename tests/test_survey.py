"""Before the painting a clip is decoded once: at a small size, with progress, and not again when a job goes on."""

import dataclasses
from contextlib import contextmanager
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from clips import make_clip, pan
from conftest import pixels
from conftest import texture as noise
from PIL import Image

from vidstyle import RunOptions, VideoSettings, stylize_video
from vidstyle.cli import progress
from vidstyle.jobs.folder.records import as_json, read
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.jobs.sources.survey import KeptSurvey, surveyed
from vidstyle.media import video
from vidstyle.motion.shots import CutDetector

pytestmark = pytest.mark.clips


class Stop(Exception):
    pass


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(noise(48, 48, seed=2))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


@pytest.fixture
def settings(network):
    return VideoSettings(size=48, first_iterations=1, iterations=1, device="cpu", network=str(network))


@pytest.fixture
def clip(tmp_path):
    """Two shots of four frames."""
    frames = [*pan(4, 640, 360), *(255 - frame for frame in pan(4, 640, 360, seed=9))]
    return make_clip(tmp_path / "clip.mp4", frames, rate=24)


@pytest.mark.parametrize(("end", "total"), [(None, 8), (0.2, 5)])
def test_it_says_how_far_it_is_of_how_much(clip, end, total):
    told = []
    found = surveyed(str(clip), VideoSettings(end=end), on_read=lambda *both: told.append(both))
    assert found.clip.info.frames == total
    assert told == [(number, total) for number in range(1, total + 1)]


def test_of_pictures_it_says_so_too(tmp_path):
    for number, frame in enumerate(pan(3)):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    told = []
    surveyed(str(tmp_path), VideoSettings(), on_read=lambda *both: told.append(both))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_command_shows_it(vidstyle, tmp_path, clip, style, network, monkeypatch):
    told = []

    @contextmanager
    def bar(quiet):
        yield lambda *step: told.append(step)

    monkeypatch.setattr(progress, "bar", bar)
    fast = ["--size", 48, "--first-iterations", 1, "--iterations", 1, "--device", "cpu", "--network", network]
    assert vidstyle("video", clip, style, "-o", tmp_path / "out.mp4", *fast).exit_code == 0
    assert told[:8] == [("reading", number, 8) for number in range(1, 9)]
    assert told[8][0].startswith("loss")


def test_cuts_are_found_in_small_pictures_as_in_large_ones(clip):
    sizes, detectors = [], {most: CutDetector() for most in (0, 320)}
    for most, detector in detectors.items():
        video.survey(clip, on_frame=lambda frame, d=detector: (sizes.append(frame.shape), d.add(frame)), most=most)
    assert set(sizes) == {(360, 640, 3), (180, 320, 3)}
    assert [detector.cuts() for detector in detectors.values()] == [[4], [4]]


def test_a_small_picture_is_the_large_one_smaller(clip):
    found = {most: [] for most in (0, 320, 5000)}
    for most, frames in found.items():
        video.survey(clip, on_frame=frames.append, most=most)
    for large, small in zip(found[0], found[320], strict=True):
        assert np.abs(cv2.resize(large, (320, 180), interpolation=cv2.INTER_AREA).astype(int) - small).mean() < 3
    assert all(map(np.array_equal, found[0], found[5000]))


class TestKept:
    """What an interrupted call found out is not found out again."""

    @pytest.fixture
    def interrupted(self, tmp_path, clip, style, settings):
        def stop(result, total):
            if result.index == 5:
                raise Stop

        with pytest.raises(Stop):
            stylize_video(clip, [style], tmp_path / "out.mkv", settings, RunOptions(on_frame=stop))

    @pytest.fixture
    def survey(self, monkeypatch):
        counted = Mock(side_effect=video.survey)
        monkeypatch.setattr(video, "survey", counted)
        return counted

    def test_the_same_command_does_not_decode_first(self, tmp_path, clip, style, settings, interrupted, survey):
        stylize_video(clip, [style], tmp_path / "out.mkv", settings)
        assert not survey.called
        stylize_video(clip, [style], tmp_path / "whole.mkv", settings)
        assert survey.called
        assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()

    @pytest.mark.parametrize("changes", [{"cuts": False}, {"end": 0.2}, {"deinterlace": "off"}, {"hdr": "refuse"}])
    def test_read_in_another_way_it_is_decoded(self, tmp_path, clip, style, settings, interrupted, survey, changes):
        other = dataclasses.replace(settings, **changes)
        stylize_video(clip, [style], tmp_path / "out.mkv", other, RunOptions(restart=True))
        assert survey.called

    def test_another_clip_of_that_name_is_decoded(self, tmp_path, clip, style, settings, interrupted, survey):
        make_clip(clip, list(pan(8, 640, 360, seed=3)), rate=24)
        stylize_video(clip, [style], tmp_path / "out.mkv", settings, RunOptions(restart=True))
        assert survey.called

    def test_nor_is_a_damaged_manifest_believed(self, tmp_path, clip, style, settings, interrupted, survey):
        manifest = tmp_path / "out.mkv.job" / "manifest.json"
        manifest.write_bytes(manifest.read_bytes().replace(b'"first": 0', b'"first": 1'))
        stylize_video(clip, [style], tmp_path / "out.mkv", settings, RunOptions(restart=True))
        assert survey.called


def test_it_is_kept_exactly(clip):
    found = surveyed(str(clip), VideoSettings(start=0.05))
    assert found.cuts
    again = surveyed(str(clip), VideoSettings(start=0.05), read(KeptSurvey, as_json(found.kept())))
    assert again == found
    source = VideoSource(str(clip), VideoSettings(size=48, start=0.05), (1.0,), kept=found.kept())
    assert len(list(source.frames(0))) == found.clip.info.frames


def test_one_of_other_frames_is_refused(clip):
    kept = surveyed(str(clip), VideoSettings()).kept()
    for changes in ({"cuts": (8,)}, {"flashes": (-1,)}, {"times": kept.times[1:]}):
        with pytest.raises(ValueError, match="do not fit"):
            dataclasses.replace(kept, **changes)

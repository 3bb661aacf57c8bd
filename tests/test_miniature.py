"""Outputs are made in miniature before anything is painted: what cannot be made is refused then, and costs nothing."""

import itertools
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import clicks, make_clip, numbered, pan, probe
from PIL import Image
from soundclips import SOUNDS, damaged, sounding

from vidstyle.errors import DiskError, UsageError
from vidstyle.media.writers import miniature
from vidstyle.media.writers.base import Encoding
from vidstyle.types import ClipInfo

av, media = map(pytest.importorskip, ("av", "vidstyle.media.video"))
pytestmark = pytest.mark.clips
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".gif", ".webp", ".avif", ".png", "")
SMALL = ("--size", 32, "--iterations", 1, "--first-iterations", 1)


@pytest.fixture
def style(tmp_path):
    Image.fromarray(next(pan(1, 64, 48, seed=3))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary folder of our own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def steps(info):
    return [after - before for before, after in itertools.pairwise([*info.times, info.seconds])]


@pytest.mark.parametrize("size", [(1920, 1080), (1921, 1081), (97, 64), (7, 3000), (1, 1), (4096, 2)])
def test_the_size_is_small_and_odd_where_it_is_odd(size):
    small = miniature.miniature(ClipInfo(*size, Fraction(25), 100))
    assert max(small.width, small.height) <= max(miniature.SIDE + 1, 2)
    assert (small.width % 2, small.height % 2) == (size[0] % 2, size[1] % 2)


def test_the_times_are_the_most_different_ones():
    times = tuple(map(Fraction, ("0", "1/60", "3/2", "8/5", "17/10")))
    info = ClipInfo(64, 48, 4 / times[-1], 5, times, Fraction(9))
    small = miniature.miniature(info)
    assert {max(steps(info)[:-1]), min(steps(info)), steps(info)[-1]} == {*steps(small)}
    assert steps(small)[-1] == steps(info)[-1]
    constant = miniature.miniature(ClipInfo(64, 48, Fraction(24), 1000))
    assert (constant.fps, constant.timestamps, constant.seconds) == (24, None, constant.frames / Fraction(24))
    assert miniature.miniature(ClipInfo(64, 48, Fraction(24), 1, None, Fraction(5))).seconds == 5


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_usual_outputs_can_be_made_and_nothing_is_left(tmp_path, temporary, suffix):
    clip = media.survey(sounding(tmp_path / "in", SOUNDS["AC-3 5.1"]))
    before = {*tmp_path.iterdir()}
    assert miniature.try_outputs([tmp_path / f"a{suffix}"], clip.info, Encoding(sound=clip)) == []
    assert {*tmp_path.iterdir()} == before
    assert [*temporary.iterdir()] == []


def test_what_does_not_go_along_is_told_once(tmp_path):
    clip = media.survey(damaged(sounding(tmp_path / "in", SOUNDS["AAC"]), tmp_path / "b.mp4", 0, 999))
    (note,) = miniature.try_outputs([tmp_path / "a.mp4", tmp_path / "a.webm"], clip.info, Encoding(sound=clip))
    assert "left out" in note


def test_of_long_sound_only_the_beginning_is_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(miniature, "SHORT", 1)
    clip = media.survey(make_clip(tmp_path / "in.mp4", numbered(100), sound=clicks(4.0)))
    heard = []
    monkeypatch.setattr(miniature, "open_sink", lambda path, info, encoding: heard.append(encoding) or _Nothing())
    miniature.try_outputs([tmp_path / "a.mp4"], clip.info, Encoding(sound=clip))
    (encoding,) = heard
    assert encoding.sound.end - encoding.sound.begin == miniature.GLANCE
    monkeypatch.undo()
    monkeypatch.setattr(miniature, "SHORT", 1)
    assert miniature.try_outputs([tmp_path / "a.mp4", tmp_path / "a.webm"], clip.info, Encoding(sound=clip)) == []


class _Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def write(self, pixels):
        pass


@pytest.mark.parametrize(("suffix", "end"), [(".gif", 700), (".webp", 20_000), (".png", 100_000)])
def test_times_that_a_format_cannot_hold_are_refused(tmp_path, temporary, suffix, end):
    info = ClipInfo(64, 48, Fraction(10), 5, None, Fraction(end))
    with pytest.raises(UsageError, match=r"could not be made.*another format"):
        miniature.try_outputs([tmp_path / f"a{suffix}"], info, Encoding())
    assert [*temporary.iterdir()] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_temporary_folder_is_told(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskError, match=r"temporary folder.*TMPDIR"):
        miniature.try_outputs([tmp_path / "a"], ClipInfo(64, 48, Fraction(10), 5), Encoding())


class TestCommandLine:
    def test_nothing_is_painted_for_an_output_that_cannot_be_made(self, vidstyle, tmp_path, network, style):
        """A frame that is shown for twelve minutes: a GIF cannot say that."""
        clip = make_clip(tmp_path / "in.mkv", numbered(3, 64, 48), times=[Fraction(0), Fraction(1), Fraction(721)])
        done = vidstyle("video", clip, style, "-o", tmp_path / "a.gif", "--network", network, *SMALL)
        assert done.exit_code == 2
        assert "a.gif" in done.output
        assert "could not be made" in done.output
        assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "style.png", network.name}

    def test_sound_that_cannot_go_along_is_told_and_the_rest_is_made(self, vidstyle, tmp_path, network, style):
        clip = damaged(sounding(tmp_path / "in", SOUNDS["AAC"]), tmp_path / "b.mp4", 0, 999)
        for quiet in ((), ("-q",)):
            output = tmp_path / "a.mp4"
            done = vidstyle("video", clip, style, "-o", output, "-y", "--network", network, *SMALL, *quiet)
            assert done.exit_code == 0, done.output
            assert done.output.count("was left out") == (not quiet)
            assert (probe(output)["frames"], probe(output)["audio"]) == (40, [])

    @pytest.mark.parametrize("suffix", [".mov", ".mkv"])
    def test_the_new_containers_and_a_limit(self, vidstyle, tmp_path, network, style, suffix):
        clip = sounding(tmp_path / "in", SOUNDS["FLAC 7.1"], frames=10, seconds=0.4)
        output = tmp_path / f"a{suffix}"
        arguments = ("--network", network, *SMALL, "--max-size", "500kB")
        done = vidstyle("video", clip, style, "-o", output, *arguments)
        assert done.exit_code == 0, done.output
        assert probe(output)["frames"] == 10
        assert probe(output)["audio"] == [{".mov": "aac", ".mkv": "flac"}[suffix]]
        assert np.isclose(float(probe(output)["seconds"]), 0.4, atol=0.05)

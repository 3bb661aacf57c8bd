"""WebM, WebP, AVIF, APNG and folders of frames, read back by another library than the one that wrote them."""

import hashlib
import json
import struct
from fractions import Fraction

import numpy as np
import pytest
from clips import clicks, heard_clicks, make_clip, number_of, numbered, pan, patch_error, patches, probe
from PIL import Image
from test_sinks import TIMES, feed, hidden, write

from vidstyle.errors import DiskError, OutputExistsError, UsageError
from vidstyle.media.writers import sinks
from vidstyle.types import ClipInfo

av, media = map(pytest.importorskip, ("av", "vidstyle.media.video"))
pytestmark = pytest.mark.clips
RATES = [10, 12, 24, 25, Fraction(30000, 1001), 60]


def seen(path):
    """What Pillow makes of an animation: the frames, (H, W, 3) uint8, their starts, and the end, in ms."""
    frames, starts, now = [], [], 0
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.array(image.convert("RGB")))
            now = image.info.get("timestamp", now)
            starts.append(now)
            now += image.info["duration"]
    return frames, starts, now


class TestWebm:
    @pytest.mark.parametrize("fps", RATES)
    def test_frames_and_duration(self, tmp_path, fps):
        info = write(tmp_path / "a.webm", numbered(37), fps)
        clip = media.survey(tmp_path / "a.webm")
        assert clip.info == info
        assert [number_of(frame) for frame in clip.decode()] == list(range(37))
        with av.open(str(tmp_path / "a.webm")) as container:
            assert container.duration == pytest.approx(float(info.seconds) * 1e6, abs=1000)
            assert container.streams.video[0].codec_context.name == "vp9"
        assert hidden(tmp_path) == []

    def test_colors(self, tmp_path):
        write(tmp_path / "a.webm", [patches()] * 3)
        with av.open(str(tmp_path / "a.webm")) as container:
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
            assert patch_error(frame.to_ndarray(format="rgb24", src_colorspace="ITU709")) <= 3

    def test_varying_rate_keeps_every_time(self, tmp_path):
        write(tmp_path / "a.webm", numbered(30), times=TIMES)
        assert tuple(probe(tmp_path / "a.webm")["times"]) == TIMES

    @pytest.mark.parametrize(("codec", "kept"), [("libopus", "opus"), ("aac", "opus"), ("flac", "opus")])
    def test_sound(self, tmp_path, codec, kept):
        source = make_clip(tmp_path / "in.mkv", numbered(50), sound=clicks(2.3), sound_codec=codec)
        clip = media.survey(source)
        write(tmp_path / "a.webm", clip.decode(), sound=clip)
        found = probe(tmp_path / "a.webm")
        assert (found["frames"], found["audio"], found["times"][0]) == (50, [kept], 0)
        before, length_before = heard_clicks(source)
        after, length_after = heard_clicks(tmp_path / "a.webm")
        assert length_after == pytest.approx(length_before, abs=0.03)
        for click in [click - float(clip.origin) for click in before][2:]:
            assert min(abs(click - other) for other in after) < 0.002  # its clock counts milliseconds

    def test_selection_of_the_sound(self, tmp_path):
        clip = media.survey(make_clip(tmp_path / "in.mp4", numbered(100), sound=clicks(4.0)), start=0.52, end=1.32)
        write(tmp_path / "a.webm", clip.decode(), sound=clip)
        after, _ = heard_clicks(tmp_path / "a.webm")
        np.testing.assert_allclose(after, [0.08 + 0.1 * n for n in range(8)], atol=0.002)

    @pytest.mark.parametrize("suffix", [".mp4", ".webm"])
    def test_sound_that_begins_later(self, tmp_path, suffix):
        clip = media.survey(make_clip(tmp_path / "in.mp4", numbered(50), sound=clicks(2.0)))
        write(tmp_path / f"a{suffix}", clip.decode(), sound=clip, delay=Fraction(1, 2))
        early, late = (heard_clicks(path)[0] for path in (clip.path, tmp_path / f"a{suffix}"))
        for click in early[2:]:
            assert min(abs(click + 0.5 - other) for other in late) < 0.002
        assert probe(tmp_path / f"a{suffix}")["times"][0] == 0


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".png"])
class TestAnimations:
    @pytest.mark.parametrize("fps", RATES)
    def test_timing_is_exact(self, tmp_path, suffix, fps):
        info = write(tmp_path / f"a{suffix}", numbered(37), fps)
        frames, starts, end = seen(tmp_path / f"a{suffix}")
        assert [number_of(frame) for frame in frames] == list(range(37))
        np.testing.assert_allclose(starts, [1000 * n / float(fps) for n in range(37)], atol=0.5001)
        assert end == pytest.approx(float(info.seconds) * 1000, abs=1)
        assert hidden(tmp_path) == []

    def test_varying_rate(self, tmp_path, suffix):
        info = write(tmp_path / f"a{suffix}", numbered(30), times=TIMES)
        _, starts, end = seen(tmp_path / f"a{suffix}")
        np.testing.assert_allclose(starts, [float(1000 * time) for time in TIMES], atol=1e-6)
        assert end == pytest.approx(float(info.seconds) * 1000, abs=1)

    def test_colors(self, tmp_path, suffix):
        frames = [patches()[:31, :255], patches()[:, ::-1][:31, 1:]]
        write(tmp_path / f"a{suffix}", [*frames, 255 - frames[0]], 10)
        again, _, _ = seen(tmp_path / f"a{suffix}")
        assert again[0].shape == (31, 255, 3)
        middle = [np.abs(frame[8:24].astype(int) - own[8:24]) for frame, own in zip(again, frames, strict=False)]
        flat = [32 * n + 16 for n in range(8)]  # inside the squares
        assert max(error[:, flat].max() for error in middle) <= {".webp": 6, ".avif": 3, ".png": 0}[suffix]

    def test_many_colors(self, tmp_path, suffix):
        frames = list(pan(12, 161, 121))
        write(tmp_path / f"a{suffix}", frames, 12)
        again, _, _ = seen(tmp_path / f"a{suffix}")
        error = max(np.abs(a.astype(int) - b).mean() for a, b in zip(frames, again, strict=True))
        assert error <= {".webp": 4, ".avif": 2, ".png": 0}[suffix]

    def test_a_picture_that_stands_still(self, tmp_path, suffix):
        frames = [*[patches()] * 4, *[255 - patches()] * 6]
        write(tmp_path / f"a{suffix}", frames, 10)
        again, starts, end = seen(tmp_path / f"a{suffix}")
        assert end == pytest.approx(1000, abs=1)
        turned = [start for start, frame in zip(starts, again, strict=True) if frame[16, 16].mean() < 127]
        assert turned[0] == pytest.approx(400, abs=1)
        write(tmp_path / f"b{suffix}", [patches()] * 3, 10)
        with Image.open(tmp_path / f"b{suffix}") as image:
            assert image.n_frames in (1, 3)

    def test_same_frames_same_bytes(self, tmp_path, suffix):
        digests = set()
        for _ in range(2):
            write(tmp_path / f"a{suffix}", pan(20))
            digests.add(hashlib.sha256((tmp_path / f"a{suffix}").read_bytes()).digest())
        assert len(digests) == 1

    def test_frames_too_short_for_browsers_are_left_out(self, tmp_path, suffix):
        write(tmp_path / f"a{suffix}", numbered(60), 120)
        _, starts, end = seen(tmp_path / f"a{suffix}")
        assert min(np.diff(starts)) > 10
        assert end == pytest.approx(500, abs=12)


@pytest.mark.parametrize("plays", [0, 1, 3])
def test_how_often_it_is_played(tmp_path, plays):
    for suffix in (".gif", ".webp", ".avif", ".png"):
        write(tmp_path / f"a{suffix}", pan(5), 10, plays=plays)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info.get("loop") == {0: 0, 1: None, 3: 2}[plays]  # a GIF says how often it is repeated
    for suffix in (".webp", ".png"):
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert image.info["loop"] == plays
    data = (tmp_path / "a.avif").read_bytes()
    # How often AVIF is played: the track is so many times as long as its edit list, which says that it repeats.
    place = data.index(b"elst")
    flags, entry = data[place + 7], 12
    version = data[place + 4]
    shown = struct.unpack(">Q" if version else ">I", data[place + entry : place + entry + (8 if version else 4)])[0]
    place = data.index(b"tkhd")
    version, entry = data[place + 4], 32 if data[place + 4] else 24
    track = struct.unpack(">Q" if version else ">I", data[place + entry : place + entry + (8 if version else 4)])[0]
    assert {0: flags & 1 and track > 1e9 * shown, 1: not flags & 1, 3: flags & 1 and track == 3 * shown}[plays]


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_a_pillow_that_lacks_a_format_is_told_before_painting(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sinks.features, "check", lambda feature: feature != name)
    with pytest.raises(UsageError, match="upgrade pillow"):
        sinks.check_output(tmp_path / f"a.{name}", moving=True, overwrite=False)
    sinks.check_output(tmp_path / "a.gif", moving=True, overwrite=False)


class TestFolder:
    def test_frames_are_lossless_and_numbered(self, tmp_path):
        frames = list(pan(3, 97, 63))
        info = write(tmp_path / "frames", frames, 24)
        files = sorted(path.name for path in (tmp_path / "frames").iterdir())
        assert files == ["000000.png", "000001.png", "000002.png", "timing.json"]
        for number, frame in enumerate(frames):
            np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"frames/{number:06d}.png")), frame)
        timing = json.loads((tmp_path / "frames/timing.json").read_text())
        assert (timing["fps"], timing["seconds"]) == ("24", [float(time) for time in info.times])
        assert hidden(tmp_path) == []

    @pytest.mark.parametrize("before", [0, 5])
    def test_whole_or_not_at_all(self, tmp_path, before):
        if before:
            write(tmp_path / "frames", pan(before))

        def frames():
            yield from pan(2)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            feed(sinks.open_sink(tmp_path / "frames", ClipInfo(96, 64, Fraction(25), 3)), frames())
        assert [path.name for path in tmp_path.iterdir()] == ["frames"] * bool(before)
        write(tmp_path / "frames", pan(3))
        assert len(list((tmp_path / "frames").glob("*.png"))) == 3
        assert hidden(tmp_path) == []

    def test_a_folder_of_somebody_else_is_left_alone(self, tmp_path):
        check = f"{tmp_path}/frames/"
        assert sinks.check_output(check, moving=True, overwrite=False) == tmp_path / "frames"
        (tmp_path / "frames").mkdir()
        sinks.check_output(tmp_path / "frames", moving=True, overwrite=False)  # empty
        (tmp_path / "frames" / "000001.png").write_text("precious")
        with pytest.raises(DiskError, match="new folder"):
            sinks.check_output(check, moving=True, overwrite=True)
        with pytest.raises(DiskError, match="new folder"):
            write(tmp_path / "frames", pan(3))  # it came to be while frames were painted
        assert [path.name for path in tmp_path.rglob("*")] == ["frames", "000001.png"]
        write(tmp_path / "ours", pan(3))
        with pytest.raises(OutputExistsError, match="-y"):
            sinks.check_output(tmp_path / "ours", moving=True, overwrite=False)
        sinks.check_output(tmp_path / "ours", moving=True, overwrite=True)
        (tmp_path / "ours" / "notes.txt").write_text("precious")
        with pytest.raises(DiskError, match="new folder"):
            sinks.check_output(tmp_path / "ours", moving=True, overwrite=True)

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "frames").write_text("precious")
        with pytest.raises(DiskError, match="is a file"):
            sinks.check_output(f"{tmp_path}/frames/", moving=True, overwrite=True)

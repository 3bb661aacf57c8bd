"""How long the last frame is shown, frames of one time, clips that begin late, and what is behind --end."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from clips import make_clip, number_of, numbered, pan
from PIL import Image

from vidstyle.errors import MediaError

av, media = map(pytest.importorskip, ("av", "vidstyle.media.video"))

HOLD = Fraction(2)  # seconds for which the last frame is shown


def held(path, count=5, rate=10):
    """Frames of a constant rate, the last of which is shown for two seconds."""
    if path.suffix in (".gif", ".png", ".avif"):
        frames = [Image.fromarray(frame) for frame in numbered(count)]
        durations = [1000 // rate] * (count - 1) + [int(1000 * HOLD)]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations)
        return path
    codec = {".webm": "libvpx-vp9", ".flv": "flv1"}.get(path.suffix, "libx264")
    options = {"bf": "0"} if codec == "libx264" else {}
    even = make_clip(path.with_stem("even"), numbered(count), rate=rate, codec=codec, options=options)
    remux(even, path, lambda number, packet: {"duration": HOLD if number == count - 1 else Fraction(1, rate)})
    return path


def remux(source, path, change):
    """Copy the pictures with other seconds: `change` gives pts, dts or duration of packet `number`, none reordered."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            for name, seconds in change(number, packet).items():
                setattr(packet, name, round(seconds / packet.time_base))
            packet.stream = stream
            new.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["gif", "png", "avif", "mp4", "mov", "mkv", "webm", "avi", "flv"])
def test_the_last_frame_lasts_as_long_as_the_container_says(tmp_path, suffix):
    clip = media.survey(held(tmp_path / f"a.{suffix}"))
    assert clip.info.frames == 5
    assert clip.info.timestamps is None
    assert (clip.info.fps, clip.info.end) == (10, Fraction(4, 10) + HOLD)
    assert clip.end_seconds == clip.info.seconds == Fraction(4, 10) + HOLD


@pytest.mark.parametrize("suffix", ["gif", "png", "mp4", "mkv", "webm", "avi", "flv", "ts", "mpg"])
@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001)])
def test_a_clip_of_constant_rate_ends_after_a_usual_frame(tmp_path, suffix, rate):
    codec = {"webm": "libvpx", "flv": "flv1", "mpg": "mpeg2video"}.get(suffix, "libx264")
    if suffix in ("gif", "png"):
        frames = [Image.fromarray(frame) for frame in numbered(50)]
        frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=40)
        rate = 25
    else:
        make_clip(tmp_path / f"a.{suffix}", numbered(50), rate=rate, codec=codec)
    info = media.survey(tmp_path / f"a.{suffix}").info
    assert (info.fps, info.frames, info.timestamps, info.end) == (rate, 50, None, None)


def test_part_of_a_clip_ends_where_its_next_frame_begins(tmp_path):
    times = [Fraction(number, 1000) for number in (0, 40, 80, 580, 600)]
    path = make_clip(tmp_path / "a.mkv", numbered(5), times=times)
    clip = media.survey(path, end=0.1)
    assert (clip.info.frames, clip.end_seconds, clip.whole) == (3, Fraction(58, 100), False)
    assert media.survey(path, start=0.01, end=0.6).end_seconds == Fraction(6, 10)
    assert media.survey(path, start=0.59).start_seconds == Fraction(6, 10)


@pytest.mark.clips
@pytest.mark.parametrize("source", ["gif", "mp4"])
@pytest.mark.parametrize("target", ["gif", "webp", "png", "avif", "mp4", "webm"])
def test_outputs_show_the_last_frame_as_long(tmp_path, vidstyle, network, source, target):
    path, out, style = held(tmp_path / f"a.{source}"), tmp_path / f"b.{target}", tmp_path / "style.png"
    Image.fromarray(next(pan(1))).save(style)
    few = ["--network", network, "--size", 32, "--iterations", 1, "--first-iterations", 1]
    result = vidstyle("video", path, style, "-o", out, *few)
    assert result.exit_code == 0, result.output
    assert length(out) == pytest.approx(2.4, abs=0.02)


def length(path):
    """Seconds of a file, by Pillow or by the container's own word."""
    if path.suffix in (".gif", ".webp", ".png"):
        with Image.open(path) as image:
            durations = []
            for number in range(image.n_frames):
                image.seek(number)
                image.load()
                durations.append(image.info["duration"])
        return sum(durations) / 1000
    with av.open(str(path)) as container:
        return container.duration / av.time_base


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_frames_of_one_time_share_it(tmp_path, suffix):
    even = make_clip(tmp_path / "even.mkv", numbered(8), rate=25, options={"bf": "0"})
    doubled = tmp_path / f"a.{suffix}"
    # As a recorder that stalls: frames 3 and 4 both bear the time of 3.
    remux(
        even, doubled, lambda number, packet: dict.fromkeys(("pts", "dts"), Fraction(3 if number == 4 else number, 25))
    )
    clip = media.survey(doubled)
    assert [number_of(frame) for frame in clip.decode()] == list(range(8))
    assert all(a < b for a, b in pairwise(clip.times))
    assert clip.times[3] == pytest.approx(3 / 25, abs=0.001)
    assert clip.times[5] == pytest.approx(5 / 25, abs=0.001)


def test_a_clip_that_begins_late(tmp_path):
    even = make_clip(tmp_path / "even.mkv", numbered(10), options={"bf": "0"})
    late = remux(
        even, tmp_path / "a.mkv", lambda number, packet: dict.fromkeys(("pts", "dts"), 7 + Fraction(number, 25))
    )
    clip = media.survey(late)
    assert (clip.info.frames, clip.info.fps, clip.origin) == (10, 25, 7)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_damage_behind_the_end_does_no_harm(tmp_path, suffix):
    path = make_clip(tmp_path / f"a.{suffix}", pan(60), options={"g": "10", "crf": "5", "bf": "2", "threads": "1"})
    content = bytearray(path.read_bytes())
    middle = len(content) * 7 // 10
    content[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(content)
    with pytest.raises(MediaError):
        media.survey(path)
    clip = media.survey(path, end=1.0)
    assert (clip.info.frames, clip.end_seconds, clip.whole) == (25, 1, False)
    assert len(list(clip.decode())) == 25
    assert len(list(clip.decode(24))) == 1


def test_nothing_is_read_that_is_not_needed(tmp_path):
    path = make_clip(tmp_path / "a.mkv", pan(60), options={"g": "10", "crf": "5"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match="cut short"):
        media.survey(path)
    assert media.survey(path, end=0.2).info.frames == 5


def test_a_recording_that_begins_between_two_key_frames(tmp_path):
    path = make_clip(tmp_path / "a.ts", numbered(30), options={"g": "10"})
    content = path.read_bytes()
    path.write_bytes(content[188 * 8 :])
    clip = media.survey(path)
    numbers = [number_of(frame) for frame in clip.decode()]
    assert numbers == list(range(numbers[0], 30))
    assert 0 < numbers[0] <= 10


def test_times_of_a_varying_rate_with_frames_out_of_order(tmp_path):
    steps = [40, 40, 120, 33, 17, 200, 40, 40, 80, 40, 500]
    times = [Fraction(sum(steps[:number]), 1000) for number in range(12)]
    for suffix in ("mp4", "mkv", "mov"):
        clip = media.survey(make_clip(tmp_path / f"a.{suffix}", numbered(12), times=times, options={"bf": "3"}))
        assert clip.info.timestamps == tuple(times)
        assert [number_of(frame) for frame in clip.decode()] == list(range(12))

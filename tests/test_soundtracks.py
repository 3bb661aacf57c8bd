"""The sound of every kind of clip in every container: copied, coded anew, or left out and said; always in step."""

import dataclasses
import hashlib
import random
from fractions import Fraction

import pytest
from clips import clicks, heard_clicks, make_clip, number_of, numbered, probe
from soundclips import SOUNDS, damaged, ffmpeg, jittered, off, sounding

from vidstyle.media.writers import sinks
from vidstyle.media.writers.base import Encoding

av, media = map(pytest.importorskip, ("av", "vidstyle.media.video"))
pytestmark = pytest.mark.clips
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
CLOSE = 0.001 + 0.001  # s: within 1 ms, and half a tick of each container's clock


def encode(clip, path, *, delay=0):
    """Write the pictures of `clip` with its sound. Returns what was told."""
    notes = []
    encoding = Encoding(sound=clip, delay=Fraction(delay), on_note=notes.append)
    with sinks.open_sink(path, clip.info, encoding) as sink:
        for frame in clip.decode():
            sink.write(frame)
    return notes


def track(path):
    """Codec, channels and rate of the sound of a file."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        return stream.codec_context.name, stream.codec_context.channels, stream.rate


@pytest.mark.parametrize(
    ("kind", "suffix", "wanted"),
    [
        ("AAC", ".mkv", ("aac", 2, 48_000)),
        ("AAC", ".mov", ("aac", 2, 48_000)),
        ("AAC 3.0", ".webm", ("opus", 3, 48_000)),
        ("AAC 5.1", ".webm", ("opus", 6, 48_000)),
        ("AC-3 5.1(side)", ".webm", ("opus", 6, 48_000)),
        ("AC-3 5.1", ".mp4", ("ac3", 6, 48_000)),
        ("FLAC 7.1", ".webm", ("opus", 8, 48_000)),
        ("FLAC 7.1", ".mkv", ("flac", 8, 48_000)),
        ("MP3 8 kHz", ".mp4", ("aac", 1, 8_000)),
        ("MP3 11 kHz", ".mp4", ("aac", 1, 11_025)),
        ("PCM 2.1", ".webm", ("opus", 2, 48_000)),
        ("PCM of 16 channels", ".mp4", ("aac", 2, 48_000)),
        ("PCM of 12 channels", ".webm", ("opus", 2, 48_000)),
        ("PCM of 16 channels", ".mov", ("pcm_s16le", 16, 48_000)),
        ("PCM 44,056 Hz", ".mp4", ("aac", 2, 44_100)),
        ("PCM 5 kHz", ".webm", ("opus", 1, 48_000)),
        ("mu-law", ".mkv", ("aac", 1, 8_000)),
        ("AAC that begins later", ".mp4", ("aac", 2, 48_000)),
        ("AAC that begins before", ".mkv", ("aac", 2, 48_000)),
        ("Opus that begins before", ".webm", ("opus", 2, 48_000)),
        ("MP2 in TS", ".mkv", ("aac", 2, 48_000)),
        ("AAC in FLV", ".mkv", ("aac", 2, 44_100)),
    ],
)
def test_every_kind_of_sound_in_a_container(tmp_path, kind, suffix, wanted):
    source, made = sounding(tmp_path / "in", SOUNDS[kind]), tmp_path / f"a{suffix}"
    assert encode(media.survey(source), made) == []
    assert track(made) == wanted
    assert off(source, made, end=1.6) < CLOSE
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["AAC", "Opus that begins later", "MP3"])
def test_a_selection_after_a_delay(tmp_path, suffix, kind):
    source, made = sounding(tmp_path / "in", SOUNDS[kind]), tmp_path / f"a{suffix}"
    clip = media.survey(source, start=0.52, end=1.44)
    assert encode(clip, made, delay=Fraction(1, 3)) == []
    assert off(source, made, start=0.52, end=1.44, delay=1 / 3) < CLOSE
    assert probe(made)["times"][0] == 0


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3"])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_times_that_repeat_or_run_back(tmp_path, codec, suffix):
    """As live recorders write them: no click is lost, none is far from where it was."""
    even = sounding(tmp_path / "in", dataclasses.replace(SOUNDS["Opus"], arguments=f"-c:a {codec}"))
    source, made = jittered(even, tmp_path / "jittered.mkv"), tmp_path / f"a{suffix}"
    assert encode(media.survey(source), made) == []
    assert off(even, made, end=1.6) < CLOSE


class TestDamage:
    @pytest.fixture
    def whole(self, tmp_path):
        return sounding(tmp_path / "in", SOUNDS["AAC"])

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_track_that_ends_in_noise_is_kept_up_to_there(self, tmp_path, whole, suffix):
        source, made = damaged(whole, tmp_path / "b.mp4", 40, 999), tmp_path / f"a{suffix}"
        (note,) = encode(media.survey(source), made)
        assert "sound track 1" in note
        assert "what can be decoded goes along" in note
        found, seconds = heard_clicks(made)  # every packet can be decoded
        assert 0.7 < seconds < 1.0
        assert min(abs(click - 0.5) for click in found) < CLOSE

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_track_of_nothing_but_noise_is_left_out(self, tmp_path, whole, suffix):
        source, made = damaged(whole, tmp_path / "b.mp4", 0, 999), tmp_path / f"a{suffix}"
        (note,) = encode(media.survey(source), made)
        assert "sound track 1" in note
        assert "was left out: nothing in it can be decoded" in note
        seen = probe(made)
        assert (seen["frames"], seen["audio"]) == (40, [])

    def test_a_hole_stays_in_step(self, tmp_path, whole):
        source, made = damaged(whole, tmp_path / "b.mp4", 25, 34), tmp_path / "a.mp4"
        assert len(encode(media.survey(source), made)) == 1
        heard = heard_clicks(made)[0]
        for click in (0.2, 0.3, 1.2, 1.3, 1.4):
            assert min(abs(click - other) for other in heard) < CLOSE

    def test_an_encoder_that_fails_leaves_the_track_out(self, tmp_path, monkeypatch):
        from vidstyle.media.writers import containers, encoders

        broken = dataclasses.replace(containers.MP4, sound="no_such_encoder")
        monkeypatch.setattr(encoders.Mp4Sink, "container", broken)
        source = sounding(tmp_path / "in", SOUNDS["PCM 2.1"])
        (note,) = encode(media.survey(source), tmp_path / "a.mp4")
        assert "sound track 1" in note
        assert "ncoder" in note
        assert probe(tmp_path / "a.mp4")["audio"] == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_languages_titles_and_all_tracks(tmp_path, suffix):
    source, made = sounding(tmp_path / "one", SOUNDS["AAC"]), tmp_path / f"a{suffix}"
    tags = "language=deu", "language=eng", "title=Comment"
    ffmpeg(
        *("-i", source, "-map", "0", "-map", "0:a", "-c", "copy", "-metadata", "title=A film"),
        *("-metadata:s:a:0", tags[0], "-metadata:s:a:1", tags[1], "-metadata:s:a:1", tags[2], tmp_path / "two.mkv"),
    )
    assert encode(media.survey(tmp_path / "two.mkv"), made) == []
    with av.open(str(made)) as container:
        assert container.metadata["title"] == "A film"
        first, second = (stream.metadata for stream in container.streams.audio)
        assert first["language"] in ("deu", "ger")  # QuickTime has codes of its own
        assert second["language"] == "eng"
        assert second.get("title", second.get("name")) == "Comment"
    for number in (0, 1):
        assert len(heard_clicks(made, number)[0]) >= 15


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_bytes_every_time(tmp_path, suffix):
    clip = media.survey(sounding(tmp_path / "in", SOUNDS["PCM 2.1"]), start=0.2)
    digests = set()
    for _ in range(2):
        encode(clip, tmp_path / f"a{suffix}")
        digests.add(hashlib.sha256((tmp_path / f"a{suffix}").read_bytes()).digest())
    assert len(digests) == 1


def matrix(count):
    """So many clips, each of another rate, sound, length and selection, and the container it goes to."""
    chance = random.Random(0)
    rates = (24, 25, 30, 50, 60, 12, Fraction(30_000, 1001), Fraction(24_000, 1001))
    kinds = [*SOUNDS] * (count // len(SOUNDS) + 1)
    for number, kind in enumerate(kinds[:count]):
        cut = chance.choice([(0.0, None), (0.0, None), (0.3, None), (0.21, 1.33), (0.0, 0.9)])
        yield number, kind, chance.choice(rates), cut, SUFFIXES[(number + number // len(SOUNDS)) % 4]


def check_matrix(tmp_path, cases):
    for number, kind, rate, (start, end), suffix in cases:
        source = sounding(tmp_path / f"in{number}", SOUNDS[kind], rate=rate, frames=int(rate * 1.6))
        clip, made = media.survey(source, start=start, end=end), tmp_path / f"a{number}{suffix}"
        what = f"{kind}, {rate} frames a second, {start} to {end}, {suffix}"
        assert encode(clip, made) == [], what
        with av.open(str(made)) as container:
            numbers = [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        assert numbers == [number % 256 for number in range(clip.first, clip.first + clip.info.frames)], what
        begin = float(clip.start_seconds)
        assert off(source, made, start=begin, end=begin + float(clip.info.seconds)) < CLOSE, what
        for path in tmp_path.iterdir():
            path.unlink()


def test_a_few_clips_of_many_kinds(tmp_path):
    check_matrix(tmp_path, random.Random(1).sample([*matrix(300)], 6))


@pytest.mark.soak
def test_300_clips_of_every_kind(tmp_path):
    check_matrix(tmp_path, matrix(300))


def in_step(tmp_path, seconds):
    """Encode a clip so long that a stand-in paints; how far a click is off near its beginning and near its end."""
    source = make_clip(
        tmp_path / "in.mp4",
        (frame for frame in numbered(int(25 * seconds), 32, 32)),
        sound=clicks(seconds),
        options={"preset": "ultrafast"},
    )
    clip = media.survey(source)
    for suffix in (".mp4", ".webm"):
        made = tmp_path / f"a{suffix}"
        assert encode(clip, made, delay=Fraction(1, 10)) == []  # all coded anew
        heard = heard_clicks(made)[0]
        for click in (0.5, 1.0, seconds / 2, seconds - 1, seconds - 0.5):
            assert min(abs(click - other) for other in heard) < CLOSE, (suffix, click)


def test_sound_stays_in_step_over_twenty_seconds(tmp_path):
    in_step(tmp_path, 20)


@pytest.mark.soak
def test_sound_stays_in_step_over_ten_minutes(tmp_path):
    in_step(tmp_path, 600)

"""Subtitles, chapters and titles of a clip: copied or converted, cut and shifted with the pictures, else said."""

from fractions import Fraction

import pytest
from clips import make_clip, numbered
from soundclips import ffmpeg

from vidstyle.media.writers import sinks
from vidstyle.media.writers.base import Encoding

av, media = map(pytest.importorskip, ("av", "vidstyle.media.video"))
pytestmark = pytest.mark.clips
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
CUES = [(0.2, 0.6, "Hello <i>you</i>\ntwo lines"), (0.9, 1.5, "Größe"), (1.6, 1.9, "42")]
CHAPTERS = ";FFMETADATA1\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={start + 1000}\ntitle=Part {start}\n" for start in (0, 1000)
)


def clock(seconds):
    return f"00:00:{int(seconds):02},{round(seconds % 1 * 1000):03}"


def subtitled(path, codec, *more):
    """A clip of two seconds with `CUES`, in French, and two chapters."""
    pictures = make_clip(path.with_suffix(".pictures.mp4"), numbered(50, 64, 48))
    text, chapters = path.with_suffix(".srt"), path.with_suffix(".txt")
    text.write_text(
        "\n".join(f"{n}\n{clock(a)} --> {clock(b)}\n{words}\n" for n, (a, b, words) in enumerate(CUES, 1)), "utf-8"
    )
    chapters.write_text(CHAPTERS)
    inputs = ["-i", pictures, "-i", text, "-i", chapters, "-map", "0", "-map", "1", "-map_metadata", "2"]
    ffmpeg(*inputs, "-c:v", "copy", "-c:s", codec, "-metadata:s:s:0", "language=fra", *more, path)
    return path


def read(path):
    """What ffmpeg reads: begin, end and words of each subtitle, in seconds."""
    text = path.with_suffix(".read.srt")
    ffmpeg("-i", path, "-map", "0:s:0", "-c:s", "srt", text)
    found = []
    for block in text.read_text("utf-8").strip().split("\n\n"):
        _, times, *words = block.splitlines()
        begin, end = (
            sum(float(part.replace(",", ".")) * 60 ** (2 - place) for place, part in enumerate(time.split(":")))
            for time in times.split(" --> ")
        )
        found.append((begin, end, "\n".join(words)))
    return found


def encode(clip, path, delay=0):
    notes = []
    with sinks.open_sink(path, clip.info, Encoding(sound=clip, delay=Fraction(delay), on_note=notes.append)) as sink:
        for frame in clip.decode():
            sink.write(frame)
    return notes


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("source", "codec"), [("in.mp4", "mov_text"), ("in.mkv", "srt"), ("in.mkv", "ass")])
def test_text_goes_along(tmp_path, source, codec, suffix):
    made = tmp_path / f"a{suffix}"
    assert encode(media.survey(subtitled(tmp_path / source, codec)), made) == []
    found = read(made)
    assert [words for *_, words in found] == [words for *_, words in CUES]
    for (begin, end, _), (wanted, until, _) in zip(found, CUES, strict=True):
        assert (begin, end) == (pytest.approx(wanted, abs=0.011), pytest.approx(until, abs=0.011))
    with av.open(str(made)) as container:
        assert container.streams.subtitles[0].metadata["language"] == "fra"
        chapters = [(chapter["start"] * chapter["time_base"], chapter["metadata"]) for chapter in container.chapters()]
        assert chapters == [(0, {"title": "Part 0"}), (1, {"title": "Part 1000"})]


def test_styled_text_stays_as_it_is_where_it_can(tmp_path):
    encode(media.survey(subtitled(tmp_path / "in.mkv", "ass")), tmp_path / "a.mkv")
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.streams.subtitles[0].codec_context.name in ("ass", "ssa")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("delay", [0, Fraction(1, 4)])
def test_they_are_cut_and_shifted_with_the_pictures(tmp_path, suffix, delay):
    made = tmp_path / f"a{suffix}"
    clip = media.survey(subtitled(tmp_path / "in.mkv", "srt"), start=0.48, end=1.2)
    assert encode(clip, made, delay) == []
    (begin, end, _), (begin_2, end_2, words) = read(made)
    later = float(delay)
    assert (begin, end) == (pytest.approx(later, abs=0.002), pytest.approx(0.12 + later, abs=0.002))
    assert (begin_2, end_2) == (pytest.approx(0.42 + later, abs=0.002), pytest.approx(0.72, abs=0.002))
    assert words == "Größe"


def test_a_selection_without_any_has_no_track(tmp_path):
    clip = media.survey(subtitled(tmp_path / "in.mkv", "srt"), start=0.64, end=0.84)
    assert encode(clip, tmp_path / "a.mp4") == []
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not container.streams.subtitles

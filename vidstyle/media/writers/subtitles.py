"""Subtitles, chapters and titles of an output: copied, converted, or left out with a note."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidstyle.errors import EncodingError
from vidstyle.media.video import open_container
from vidstyle.media.writers.containers import Container
from vidstyle.media.writers.mux import Extras, Track
from vidstyle.media.writers.soundtracks import EXACT_BYTES, Excerpt, NewPart, Note, tags
from vidstyle.system import ffmpeg

TEXTS = ("subrip", "srt", "mov_text", "webvtt", "ass", "ssa", "text")  # codecs of subtitles that are text
CUE = re.compile(r"\d+\n(\d+):(\d\d):(\d\d),(\d{3}) --> (\d+):(\d\d):(\d\d),(\d{3}).*\n")


def subtitles(excerpt: Excerpt, container: Container, seconds: Fraction, part: NewPart, note: Note) -> list[Track]:
    """A file of the container for each subtitle track of an excerpt that has something to be read.

    Args:
        seconds: of the pictures; what would be shown later is left out.
        part: gives the place for a file.
        note: told what is left out, and why.

    Raises:
        DiskError: the disk is full.
    """
    made = []
    with open_container(excerpt.path) as source:
        for number, stream in enumerate(source.streams.subtitles, 1):
            path = part(f".subtitles{stream.index}{container.suffix}")
            try:
                codec = stream.codec_context.name if stream.codec_context else "of an unknown kind"
                there = True
                if container.all_subtitles and excerpt.whole and not excerpt.delay and codec != "mov_text":
                    _copy(excerpt, stream.index, container, path)
                elif codec in TEXTS:
                    there = _as_text(excerpt, stream.index, container, seconds, part, path)
                else:
                    raise EncodingError(f"{codec} is no text that can be converted and cut")
            except EncodingError as error:
                name = container.name.upper()
                note(f"subtitle track {number} of {excerpt.path} was left out: it cannot be put into {name} ({error})")
                continue
            if there:
                made.append(Track(path, tags(stream, container), int(stream.disposition)))
    return made


def _as_text(excerpt: Excerpt, index: int, container: Container, seconds: Fraction, part: NewPart, path: Path) -> bool:
    """Convert a track; whether there is anything in it between the first picture and the end."""
    text = part(f".subtitles{index}.srt")
    ffmpeg.run([*excerpt.input, "-map", f"0:{index}", "-c:s", "srt", *EXACT_BYTES, "-f", "srt", ffmpeg.file_url(text)])
    last = seconds if excerpt.end is None else min(excerpt.end - excerpt.begin + excerpt.delay, seconds)
    cues = [*_moved(text.read_text("utf-8", "replace"), excerpt.delay - excerpt.begin, excerpt.delay, last)]
    text.write_text("\n".join(cues), "utf-8")
    if cues:
        source = ffmpeg.file_input(text, formats="srt")
        coding = ["-c:s", container.subtitles, *EXACT_BYTES, *container.arguments]
        ffmpeg.run([*source, *coding, ffmpeg.file_url(path)])
    return bool(cues)


def _copy(excerpt: Excerpt, index: int, container: Container, path: Path) -> None:
    shift = ["-output_ts_offset", f"{-float(excerpt.begin):.6f}"]
    coding = ["-c:s", "copy", *shift, *EXACT_BYTES, *container.arguments]
    ffmpeg.run([*excerpt.input, "-map", f"0:{index}", *coding, ffmpeg.file_url(path)])


def _moved(text: str, later: Fraction, first: Fraction, last: Fraction) -> Iterator[str]:
    """The cues of an SRT file so many seconds later, as far as they are shown between two times."""
    matches = [*CUE.finditer(text)]
    ends = [match.start() for match in matches[1:]] + [len(text)]
    for match, stop in zip(matches, ends, strict=True):
        words = text[match.end() : stop].strip()
        times = [int(time) for time in match.groups()]
        begin, end = (
            ((60 * hours + minutes) * 60 + seconds) + Fraction(thousandths, 1000) + later
            for hours, minutes, seconds, thousandths in (times[:4], times[4:])
        )
        begin, end = max(begin, first), min(end, last)
        if words and begin < end:
            yield f"1\n{_clock(begin)} --> {_clock(end)}\n{words}\n"


def _clock(seconds: Fraction) -> str:
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"


def described(excerpt: Excerpt, container: Container, seconds: Fraction, tracks: Sequence[Track]) -> Extras:
    """All that goes beside the pictures: tracks that are ready, and the clip's own titles and chapters."""
    with open_container(excerpt.path) as source:
        title = {name.lower(): value for name, value in source.metadata.items()}.get("title")
        pictures = source.streams.best("video")
        return Extras(
            tracks,
            {"title": title} if title else {},
            tags(pictures, container) if pictures is not None else {},
            [*_chapters(source.chapters(), excerpt, seconds)],
        )


def _chapters(chapters: Sequence[Any], excerpt: Excerpt, seconds: Fraction) -> Iterator[Mapping[str, Any]]:
    """The chapters that are shown, from the first picture on."""
    unit, later = Fraction(1, 1000), excerpt.delay - excerpt.begin
    for number, chapter in enumerate(chapters):
        begin, end = (chapter[side] * Fraction(chapter["time_base"]) + later for side in ("start", "end"))
        begin, end = (round(min(max(time, Fraction(0)), seconds) / unit) for time in (begin if number else 0, end))
        if begin < end:
            yield {**chapter, "id": number, "start": begin, "end": end, "time_base": unit}

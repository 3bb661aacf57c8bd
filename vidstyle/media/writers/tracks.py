"""What goes along with the pictures of an output: sound, subtitles, chapters and titles of the clip.

Each track is copied where the container takes it, else converted, else left out with a note.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from vidstyle.errors import EncodingError
from vidstyle.media.video import CLIP_FORMATS, open_container, sound_tracks
from vidstyle.media.writers import mux
from vidstyle.media.writers.containers import Container
from vidstyle.media.writers.readback import Span, compare_sound, listen, spans
from vidstyle.system import ffmpeg

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

EXACT_BYTES = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
TEXTS = ("subrip", "srt", "mov_text", "webvtt", "ass", "ssa", "text")  # codecs of subtitles that are text
CUE = re.compile(r"\d+\n(\d+):(\d\d):(\d\d),(\d{3}) --> (\d+):(\d\d):(\d\d),(\d{3}).*\n")
# Sound without gaps: times that are off by less than 50 ms are taken for jitter of a recorder's clock.
EVEN = "aresample=async=1:first_pts=0:min_hard_comp=0.05"
Note = Callable[[str], None]
NewPart = Callable[[str], Path]


@dataclass(frozen=True)
class Excerpt:
    """The part of a clip whose sound and subtitles go along; times are seconds on the clock of its container."""

    path: Path
    begin: Fraction  #: what belongs to the first picture
    end: Fraction | None  #: exclusive; None = all there is, however long the pictures last
    delay: Fraction  #: seconds of pictures before it
    whole: bool  #: packets may be copied as they are, since nothing is cut off to the sample

    @classmethod
    def of(cls, clip: Clip, delay: Fraction) -> Excerpt:
        """What the frames that are selected of a clip show; all of it where all are."""
        if clip.whole:
            return cls(clip.path, clip.origin, None, delay, whole=True)
        start, end = (clip.origin + seconds for seconds in (clip.start_seconds, clip.end_seconds))
        return cls(clip.path, start, end, delay, whole=False)

    @property
    def input(self) -> list[str]:
        """Arguments of ffmpeg that read the clip with its own times."""
        return ["-copyts", *ffmpeg.file_input(self.path, formats=",".join(CLIP_FORMATS))]

    def spans(self) -> list[Span | None]:
        """When each of its sound tracks is heard, from the first picture on."""
        with open_container(self.path) as container:
            found = listen(container, sound_tracks(container), None if self.whole else self.begin, self.end)
        return [span and span.moved(self.delay - self.begin) for span in found]


def soundtracks(excerpt: Excerpt, container: Container, part: NewPart, note: Note) -> list[tuple[mux.Track, Span]]:
    """A file of the container for each sound track that has something to be heard, verified, and when it is heard.

    Args:
        part: gives the place for a file.
        note: told what is left out, and why.

    Raises:
        MediaError: the clip cannot be opened.
        DiskError: the disk is full.
    """
    made = []
    with open_container(excerpt.path) as source:
        for stream in source.streams.audio:
            if stream.codec_context is None:
                note(f"{_named(source, stream, excerpt)} was left out: nothing here can decode it")
        tracks = sound_tracks(source)
        heard = excerpt.spans() if tracks else []
        for stream, wanted in zip(tracks, heard, strict=True):
            name = _named(source, stream, excerpt)
            if wanted is None:
                if excerpt.whole and excerpt.end is None:
                    note(f"{name} was left out: nothing in it can be decoded")
                continue
            if wanted.damaged:
                note(f"{name} is damaged in {wanted.damaged} places; what can be decoded goes along")
            try:
                path, span = _fitted(stream, wanted, excerpt, container, part)
            except EncodingError as error:
                note(f"{name} was left out: it cannot be put into {container.name.upper()} ({error})")
                continue
            made.append((mux.Track(path, tags(stream, container), int(stream.disposition)), span))
    return made


def _fitted(
    stream: av.AudioStream, wanted: Span, excerpt: Excerpt, container: Container, part: NewPart
) -> tuple[Path, Span]:
    """A track in the first way that gives a file that reads back right. Raises the error of the last way."""
    raw, path = (part(f".{kind}{stream.index}{container.suffix}") for kind in ("raw", "sound"))
    failure: Exception = EncodingError("there is no way")
    for arguments, begin in _ways(stream, wanted, excerpt, container):
        try:
            ffmpeg.run([*excerpt.input, "-map", f"0:{stream.index}", *arguments, *EXACT_BYTES, ffmpeg.file_url(raw)])
            mux.repack(raw, path, container.name, container.options)
            (span,) = spans(path)
            expected = dataclasses.replace(wanted, begin=begin, damaged=0)
            compare_sound(span, expected, container.tick, "its sound")
        except (EncodingError, av.FFmpegError, ValueError) as error:
            failure = error
        else:
            assert span is not None
            return path, span
    raise EncodingError(str(failure))


def _ways(
    stream: av.AudioStream, wanted: Span, excerpt: Excerpt, container: Container
) -> Iterator[tuple[list[str], Fraction]]:
    """Arguments of ffmpeg that put a track into a container, the best first, and when its sound then begins."""
    begin, early = float(excerpt.begin), wanted.begin < 0 and not container.negative
    if excerpt.whole and not excerpt.delay and not early and _copyable(stream, container):
        cut = [] if excerpt.end is None else ["-t", f"{float(excerpt.end):.6f}"]
        shift = ["-output_ts_offset", f"{-begin:.6f}"]
        yield [*cut, "-c:a", "copy", *shift, *container.arguments], max(wanted.begin, Fraction(0))
    end = "" if excerpt.end is None else f":end={float(excerpt.end):.6f}"
    # Silence from the first picture on: not every player heeds what a container says of a track that begins later.
    cut_out = f"atrim=start={begin:.6f}{end},asetpts=PTS-{float(excerpt.begin - excerpt.delay):.6f}/TB,{EVEN}"
    for layout, count in _layouts(stream.codec_context, container):
        yield ["-af", cut_out + layout, *container.sound_coding(count), *container.arguments], Fraction(0)


def _copyable(stream: av.AudioStream, container: Container) -> bool:
    name = stream.codec_context.name.removesuffix("float")
    # The AAC of a transport stream has its headers in the packets.
    return container.takes(name) and (name != "aac" or bool(stream.codec_context.extradata))


def _layouts(codec: av.AudioCodecContext, container: Container) -> Iterator[tuple[str, int]]:
    """Filters that bring sound to channels that an encoder takes, the best first, and how many these are."""
    count, known = codec.channels, container.layouts
    if not known or count <= 2 or codec.layout.name.removesuffix("(side)") in known:
        yield f",aformat=channel_layouts={'|'.join(known)}" if known else "", count
    if count > 2:
        yield ",aresample=out_chlayout=stereo:rematrix_maxval=1", 2  # the sum of all channels is not too loud
        # Nothing says where the channels belong: every other one to the left.
        left, right = ("+".join(f"c{number}" for number in range(side, count, 2)) for side in (0, 1))
        yield f",pan=stereo|c0<{left}|c1<{right}", 2


def tags(stream: Any, container: Container) -> dict[str, str]:
    """Language and title of a track, as the container writes them."""
    known = {name.lower(): value for name, value in stream.metadata.items()}
    language, title = known.get("language", "und"), known.get("title") or known.get("name")
    found = {} if language == "und" else {"language": container.languages.get(language, language)}
    return found | ({"title": title} if title else {})


def _named(source: av.container.InputContainer, stream: av.AudioStream, excerpt: Excerpt) -> str:
    number = [one.index for one in source.streams.audio].index(stream.index) + 1
    return f"sound track {number} of {excerpt.path}"


def subtitles(excerpt: Excerpt, container: Container, seconds: Fraction, part: NewPart, note: Note) -> list[mux.Track]:
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
                made.append(mux.Track(path, tags(stream, container), int(stream.disposition)))
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


def described(excerpt: Excerpt, container: Container, seconds: Fraction, tracks: Sequence[mux.Track]) -> mux.Extras:
    """All that goes beside the pictures: tracks that are ready, and the clip's own titles and chapters."""
    with open_container(excerpt.path) as source:
        title = {name.lower(): value for name, value in source.metadata.items()}.get("title")
        pictures = source.streams.best("video")
        return mux.Extras(
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

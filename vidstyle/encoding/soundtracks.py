"""The sound of a clip for an output: each track copied where that is legal, else coded anew, else left out and said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from vidstyle import ffmpeg
from vidstyle.encoding.containers import Container
from vidstyle.encoding.mux import Track
from vidstyle.encoding.readback import Span, compare_sound, listen, spans
from vidstyle.errors import DiskError, VidstyleError
from vidstyle.media import CLIP_FORMATS, open_container, sound_tracks

if TYPE_CHECKING:
    from vidstyle.media import Clip

MOST_CHANNELS = 8  # that are coded anew as they are
# Sound without gaps: times that are off by less than 20 ms are taken for jitter of a recorder's clock.
EVEN = "aresample=async=1:first_pts=0:min_hard_comp=0.02"
BEFORE = 5  # s that are read before what is wanted where that is sought
Note = Callable[[str], None]
NewPart = Callable[[str], Path]


@dataclass(frozen=True)
class Excerpt:
    """The part of a clip whose sound and subtitles go along; times are seconds on the clock of its container."""

    path: Path
    begin: Fraction  #: what belongs to the first picture
    end: Fraction | None  #: exclusive; None = all there is
    delay: Fraction  #: seconds of pictures before it
    whole: bool  #: nothing is cut off, so that packets may be copied as they are
    sought: bool = False  #: what lies before is not read; for a look at the end of a long file, where seeking may be off

    @classmethod
    def of(cls, clip: Clip, delay: Fraction) -> Excerpt:
        """What the frames that are selected of a clip show; all of it where all are."""
        if clip.whole:
            return cls(clip.path, clip.origin, None, delay, whole=True)
        start, end = (clip.origin + seconds for seconds in (clip.start_seconds, clip.end_seconds))
        return cls(clip.path, start, end, delay, whole=False)

    @property
    def input(self) -> list[str]:
        """Arguments of ffmpeg that read it, and all around it, with its own times."""
        seek = ["-seek_timestamp", "1", "-ss", f"{float(self.begin - BEFORE):.6f}"] if self.sought else []
        return ["-copyts", *seek, *ffmpeg.file_input(self.path, formats=",".join(CLIP_FORMATS))]

    def spans(self) -> list[Span | None]:
        """When each of its sound tracks is heard, from the first picture on."""
        with open_container(self.path) as container:
            if self.sought:
                container.seek(int((self.begin - BEFORE) * av.time_base))
            found = listen(container, sound_tracks(container), None if self.whole else self.begin, self.end)
        return [span and span.moved(self.delay - self.begin) for span in found]


def soundtracks(excerpt: Excerpt, container: Container, part: NewPart, note: Note) -> list[tuple[Track, Span]]:
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
                if excerpt.whole:
                    note(f"{name} was left out: nothing in it can be decoded")
                continue
            if wanted.damaged:
                note(f"{name} is damaged in {wanted.damaged} places; what can be decoded goes along")
            try:
                path, span = _fitted(stream, wanted, excerpt, container, part)
            except DiskError:
                raise
            except VidstyleError as error:
                note(f"{name} was left out: it cannot be put into {container.name.upper()} ({error})")
                continue
            made.append((Track(path, tags(stream, container), int(stream.disposition)), span))
    return made


def _fitted(
    stream: av.AudioStream, wanted: Span, excerpt: Excerpt, container: Container, part: NewPart
) -> tuple[Path, Span]:
    """A track in the first way that gives a file that reads back right. Raises the error of the last way."""
    path = part(f".sound{stream.index}{container.suffix}")
    failure: Exception = VidstyleError("there is no way")
    for arguments, begin in _ways(stream, wanted, excerpt, container):
        try:
            ffmpeg.run([*excerpt.input, "-map", f"0:{stream.index}", *arguments, *EXACT_BYTES, ffmpeg.file_url(path)])
            (span,) = spans(path)
            expected = dataclasses.replace(wanted, begin=begin, damaged=0)
            compare_sound(span, expected, container.tick, "its sound")
        except DiskError:
            raise
        except (VidstyleError, av.FFmpegError, ValueError) as error:
            failure = error
        else:
            assert span is not None
            return path, span
    raise VidstyleError(str(failure))


EXACT_BYTES = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]


def _ways(
    stream: av.AudioStream, wanted: Span, excerpt: Excerpt, container: Container
) -> Iterator[tuple[list[str], Fraction]]:
    """Arguments of ffmpeg that put a track into a container, the best first, and when its sound then begins."""
    begin, channels = float(excerpt.begin), stream.codec_context.channels
    if excerpt.whole and not excerpt.delay and container.takes(stream):
        cut = ["-ss", f"{begin:.6f}"] if excerpt.sought else []
        if excerpt.end is not None:
            cut += ["-t", f"{float(excerpt.end) - begin * excerpt.sought:.6f}"]
        shift = ["-output_ts_offset", f"{-begin:.6f}"]
        yield [*cut, "-c:a", "copy", *shift, *container.arguments], max(wanted.begin, Fraction(0))
    end = "" if excerpt.end is None else f":end={float(excerpt.end):.6f}"
    # Silence from the first picture on: not every player heeds what a container says of a track that begins later.
    cut_out = f"atrim=start={begin:.6f}{end},asetpts=PTS-{float(excerpt.begin - excerpt.delay):.6f}/TB,{EVEN}"
    for layout, count in _layouts(channels, container):
        yield ["-af", cut_out + layout, *container.sound_coding(count), *container.arguments], Fraction(0)


def _layouts(channels: int, container: Container) -> Iterator[tuple[str, int]]:
    """Filters that bring sound to channels that an encoder takes, the best first, and how many these are."""
    if channels <= MOST_CHANNELS:
        yield f",aformat=channel_layouts={container.layouts}" if container.layouts else "", channels
    if channels > 2:
        yield ",aformat=channel_layouts=stereo", 2
        # Nothing says where the channels belong: every other one to the left.
        left, right = ("+".join(f"c{number}" for number in range(side, channels, 2)) for side in (0, 1))
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

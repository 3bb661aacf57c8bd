"""Output containers: which audio codecs they take as they are, and to which one other audio is transcoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

MILLISECOND = Fraction(1, 1000)
PLAYED = ("aac", "mp3", "ac3", "eac3", "alac")  # sound that players of MP4 and QuickTime take
FINE = {"movie_timescale": "90000"}  # ticks a second of what says when a track begins; else milliseconds
# QuickTime's own codes of languages, where they are not those of ISO 639-2/T.
QUICKTIME = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "swe": "sve", "fre": "fra"}


@dataclass(frozen=True)
class Container:
    """A kind of file that holds pictures, sound and subtitles."""

    name: str  #: of FFmpeg's muxer
    suffix: str
    sound: str  #: the encoder of sound that is coded anew
    kilobits: int  #: a second and channel of that sound
    layouts: tuple[str, ...] = ()  #: of channels that encoder takes, in FFmpeg's words; any if empty
    copied: tuple[str, ...] | None = None  #: codecs of sound that are copied as they are; any if None
    subtitles: str = "srt"  #: the encoder of text subtitles
    all_subtitles: bool = False  #: subtitles of every kind may be copied as they are
    negative: bool = False  #: sound that is copied may begin before the pictures: a player leaves that out
    tick: Fraction = Fraction(0)  #: seconds to which times are rounded
    options: Mapping[str, str] = field(default_factory=dict)  #: of the muxer
    languages: Mapping[str, str] = field(default_factory=dict)  #: codes that are written differently

    def takes(self, codec: str) -> bool:
        """Whether sound of this coding may be copied as it is, so that usual players play it."""
        return self.copied is None or codec in self.copied

    def sound_coding(self, channels: int) -> list[str]:
        """Arguments of ffmpeg that code sound of so many channels anew."""
        return ["-c:a", self.sound, "-b:a", f"{self.kilobits * max(channels, 2)}k"]

    @property
    def arguments(self) -> list[str]:
        """Arguments of ffmpeg that write this container."""
        return [word for name, value in self.options.items() for word in (f"-{name}", value)] + ["-f", self.name]


MP4 = Container(
    "mp4",
    ".mp4",
    sound="aac",
    kilobits=96,
    copied=(*PLAYED, "opus"),
    subtitles="mov_text",
    negative=True,
    options={"movflags": "+faststart", **FINE},
)
MOV = Container(
    "mov",
    ".mov",
    sound="aac",
    kilobits=96,
    copied=(*PLAYED, "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"),
    subtitles="mov_text",
    negative=True,
    options={"movflags": "+faststart", **FINE},
    languages=QUICKTIME,
)
WEBM = Container(
    "webm",
    ".webm",
    sound="libopus",
    kilobits=80,
    layouts=("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"),
    copied=("opus", "vorbis"),
    subtitles="webvtt",
    tick=MILLISECOND,
)
MKV = Container("matroska", ".mkv", sound="aac", kilobits=96, all_subtitles=True, tick=MILLISECOND)
CONTAINERS = {container.suffix: container for container in (MP4, MOV, MKV, WEBM)}

"""The survey of a clip: decoded once to its end, it is known what it holds, and where shots begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.settings import VideoSettings
from vidstyle.system import libraries
from vidstyle.system.notes import tell
from vidstyle.types import ClipInfo, SeekIndex

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

FINER = 2  # times larger than they are compared are the pictures that are looked at for cuts

OnRead = Callable[[int, int], object]  # called after each frame with how many are read, and about how many will be


@dataclass(frozen=True)
class Survey:
    """What decoding a clip once has shown."""

    clip: Clip
    cuts: tuple[int, ...]  #: numbers of the frames that begin a new shot
    flashes: frozenset[int]  #: numbers of the frames from which no motion can be estimated

    def moved(self, place: Callable[[str], str]) -> Survey:
        """The same of a clip whose files lie where `place` says by now."""
        clip, files = self.clip, getattr(self.clip, "files", None)
        more = {} if files is None else {"files": tuple(Path(place(str(file))) for file in files)}
        moved = dataclasses.replace(clip, path=Path(place(str(clip.path))), **more)  # type: ignore[arg-type]
        return dataclasses.replace(self, clip=moved)

    def kept(self) -> KeptSurvey | None:
        """What of it is kept for the next call; None of pictures, which are not one file."""
        if hasattr(self.clip, "files"):
            return None
        fields = {
            field.name: getattr(self.clip, field.name) for field in dataclasses.fields(KeptSurvey)[:-2]
        }  # but for cuts and flashes
        return KeptSurvey(**fields, cuts=self.cuts, flashes=tuple(sorted(self.flashes)))


@dataclass(frozen=True)
class KeptSurvey:
    """A survey without the path of the clip, which may lie elsewhere by then, and without settings."""

    info: ClipInfo
    first: int
    has_audio: bool
    times: tuple[Fraction, ...]
    end_seconds: Fraction
    whole: bool
    origin: Fraction
    notes: tuple[str, ...]
    index: SeekIndex | None
    transparent: bool
    cuts: tuple[int, ...]
    flashes: tuple[int, ...]

    def __post_init__(self) -> None:
        frames = range(self.info.frames)
        if len(self.times) != len(frames) or not all(one in frames for one in (*self.cuts, *self.flashes)):
            raise ValueError("the frames do not fit their number")


def surveyed(
    path: str, settings: VideoSettings, kept: KeptSurvey | None = None, on_read: OnRead | None = None
) -> Survey:
    """Decode a clip once, and tell what is to be told of it. Raises as `VideoSource` does.

    Args:
        kept: by an earlier call with the same clip and settings; nothing is decoded then.
    """
    libraries.require("reading a clip", "av")
    # Not at the top: whoever has no clip needs no such library.
    from vidstyle.media.video import Clip, survey
    from vidstyle.motion.shots import LONG_SIDE, CutDetector

    if kept is not None:
        fields = {
            field.name: getattr(kept, field.name) for field in dataclasses.fields(kept)[:-2]
        }  # but for cuts and flashes
        clip = Clip(Path(path), **fields, deinterlace=settings.deinterlace, hdr=settings.hdr)
        found = Survey(clip, kept.cuts, frozenset(kept.flashes))
    else:
        detector = CutDetector()
        clip = survey(
            path,
            start=settings.start,
            end=settings.end,
            rate=settings.input_fps,
            on_frame=detector.add,
            most=FINER * LONG_SIDE,
            on_read=on_read or (lambda done, total: None),
            deinterlace=settings.deinterlace,
            hdr=settings.hdr,
        )
        found = Survey(clip, tuple(detector.cuts()) if settings.cuts else (), detector.flashes())
    for note in clip.notes:
        tell(note)
    return found

"""The survey of a clip: decoded once to its end, it is known what it holds, and where shots begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidstyle.settings import VideoSettings
from vidstyle.system import libraries
from vidstyle.system.notes import tell

if TYPE_CHECKING:
    from vidstyle.media.video import Clip


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


def surveyed(path: str, settings: VideoSettings) -> Survey:
    """Decode a clip once, and tell what is to be told of it. Raises as `VideoSource` does."""
    libraries.require("reading a clip", "av")
    # Not at the top: whoever has no clip needs no such library.
    from vidstyle.media.video import survey
    from vidstyle.motion.shots import CutDetector

    detector = CutDetector()
    clip = survey(
        path,
        start=settings.start,
        end=settings.end,
        rate=settings.input_fps,
        on_frame=detector.add,
        deinterlace=settings.deinterlace,
        hdr=settings.hdr,
    )
    for note in clip.notes:
        tell(note)
    return Survey(clip, tuple(detector.cuts()) if settings.cuts else (), detector.flashes())

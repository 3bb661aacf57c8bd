"""The text of a range of frames of a clip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from vidstyle.errors import UsageError

FRAMES = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", re.ASCII)
NUMBER = r"\s*([0-9]{1,9}|[0-9]{0,9}\.[0-9]{1,9})\s*"
SECONDS = re.compile(f"{NUMBER}s\\s*-{NUMBER}s\\s*", re.ASCII)


@dataclass(frozen=True)
class FrameRange:
    """Some frames of a clip that follow each other: by their numbers in the file, or by the seconds of the file."""

    text: str  #: as it was given
    frames: tuple[int, int] | None = None  #: the first and the last
    seconds: tuple[Fraction, Fraction] | None = None  #: the first, and the one before which it ends

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Read FIRST-LAST, FRAME or STARTs-ENDs. Raises `UsageError` for every other text."""
        if found := FRAMES.fullmatch(text):
            first, last = int(found[1]), int(found[2] or found[1])
            if first <= last:
                return cls(text.strip(), frames=(first, last))
        elif found := SECONDS.fullmatch(text):
            start, end = Fraction(found[1]), Fraction(found[2])
            if start < end:
                return cls(text.strip(), seconds=(start, end))
        else:
            raise UsageError(f"--redo is {text!r}; give FIRST-LAST, like 120-140, or seconds, like 4s-5.5s")
        raise UsageError(f"--redo is {text!r}, which ends before it begins; give the first frame or second first")

"""The texts of key frames: painted frames of a clip, and masks that are of one frame."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from vidstyle.errors import UsageError

FRAME = re.compile(r"\s*([0-9]{1,9})\s*", re.ASCII)
MASK = "key:"  # before the text of a mask that is of one frame


@dataclass(frozen=True)
class KeyFile:
    """A file that belongs to one frame of a clip."""

    file: str
    frame: int | None = None  #: counted in the file of the clip from 0; None for the first that is painted

    @classmethod
    def of_first(cls, text: str) -> Self:
        """Read FILE or FILE@FRAME. Raises `UsageError` for every other text."""
        file, sign, frame = text.rpartition("@")
        if sign and file.strip() and (found := FRAME.fullmatch(frame)):
            return cls(file.strip(), int(found[1]))
        if not text.strip() or (sign and not re.search(r"[./\\]", frame)):
            raise UsageError(f"--first is {text!r}; give FILE, like first.png, or FILE@FRAME, like second.png@48")
        return cls(text.strip())

    @classmethod
    def of_key(cls, text: str) -> Self:
        """Read FRAME=FILE. Raises `UsageError` for every other text."""
        frame, _, file = text.partition("=")
        found = FRAME.fullmatch(frame)
        if not found or not file.strip():
            raise UsageError(f"--key is {text!r}; give FRAME=FILE, like 120=painted.png")
        return cls(file.strip(), int(found[1]))

    @classmethod
    def of_mask(cls, text: str) -> Self | None:
        """Read key:FILE@FRAME; None for a mask that is not of one frame. Raises `UsageError`."""
        if not text.startswith(MASK):
            return None
        file, _, frame = text.removeprefix(MASK).rpartition("@")
        found = FRAME.fullmatch(frame)
        if not found or not file.strip():
            raise UsageError(f"a mask is {text!r}; give key:FILE@FRAME, like key:face.png@0")
        return cls(file.strip(), int(found[1]))

    def as_first(self) -> str:
        """The text that `of_first` reads."""
        return self.file if self.frame is None else f"{self.file}@{self.frame}"

    def as_key(self) -> str:
        """The text that `of_key` reads."""
        return f"{self.frame}={self.file}"

    def as_mask(self) -> str:
        """The text that `of_mask` reads."""
        return f"{MASK}{self.file}@{self.frame}"

    def renamed(self, name: Callable[[str], str]) -> Self:
        """The same with the file by another name."""
        return replace(self, file=name(self.file))


def mask_file(mask: str) -> str:
    """The file that the text of a mask names."""
    key = KeyFile.of_mask(mask)
    return mask if key is None else key.file


def renamed_mask(mask: str, name: Callable[[str], str]) -> str:
    """The text of a mask with the file by another name."""
    key = KeyFile.of_mask(mask)
    return name(mask) if key is None else key.renamed(name).as_mask()

"""The journal of a job: one line for each frame that is painted and saved, with the hashes of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vidstyle.jobs.folder.records import as_json, parsed, read
from vidstyle.system.files import append, write_inside

HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A frame that is painted and saved."""

    index: int  #: of the frame
    losses: Mapping[str, float]
    iterations: int
    seconds: float
    sha256: str  #: of the picture's file
    state: str  #: SHA-256 of the file with the state after the frame
    device: str = ""  #: the kind that painted it; "" if that is not known

    def __post_init__(self) -> None:
        if self.index < 0 or not all(HASH.fullmatch(one) for one in (self.sha256, self.state)):
            raise ValueError(f"got {self!r}")


def read_journal(path: Path, frames: int) -> tuple[dict[int, Entry], list[int]]:
    """The entries of a journal by frame number, and the numbers of lines that are none.

    Of two lines for a frame the later one counts. A torn last line is what a kill leaves; it is dropped in silence.

    Args:
        frames: of the job; there is no frame of this number or a higher one.
    """
    text = path.read_bytes() if path.is_file() else b""
    entries, damaged = {}, []
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].split(b"\n")[:-1], 1):
        try:
            entry = read(Entry, parsed(line))
        except ValueError:
            entry = None
        if entry is None or entry.index >= frames:
            damaged.append(number)
        else:
            entries[entry.index] = entry
    return entries, damaged


def append_entry(path: Path, entry: Entry) -> None:
    """Add a line, which survives a kill. Raises `OSError`; then the journal is as it was."""
    append(path, _line(entry))


def write_journal(path: Path, entries: Mapping[int, Entry]) -> None:
    """A journal of just these entries. Raises `OSError`; then the journal is as it was."""
    write_inside(path, b"".join(_line(entry) for entry in entries.values()))


def _line(entry: Entry) -> bytes:
    return json.dumps(as_json(entry)).encode() + b"\n"

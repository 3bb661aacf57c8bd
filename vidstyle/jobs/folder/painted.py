"""A painted frame in the form in which it is kept: the bytes of its two files, and its line of the journal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vidstyle.jobs.folder import states
from vidstyle.jobs.folder.journal import Entry
from vidstyle.media.stills.codecs import encode
from vidstyle.types import Result, State

FAST = {"compress_level": 1}  # of a PNG: within a few per cent of the smallest for painted pictures


@dataclass(frozen=True, eq=False)
class Painted:
    """A painted frame with the state after it. Whoever makes one, only the process that holds the folder keeps it."""

    entry: Entry
    picture: bytes  #: of the PNG
    state: bytes  #: of the file that `states` writes

    @classmethod
    def of(cls, result: Result, state: State, device: str = "") -> Painted:
        """Of a painting and the state after it, which must be of the same frame."""
        if result.index != state.index:
            raise ValueError(f"got frame {result.index} with the state after frame {state.index}")
        picture, after = encode(result.image, ".png", **FAST), states.encoded(state)
        hashes = [hashlib.sha256(data).hexdigest() for data in (picture, after)]
        losses = dict(result.losses)
        entry = Entry(result.index, losses, result.iterations, result.seconds, hashes[0], hashes[1], device)
        return cls(entry, picture, after)

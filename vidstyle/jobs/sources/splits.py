"""Splits long shots into parts that are painted apart, so that workers can paint one shot at the same time.

A part begins like a shot, without a warm start. The part before a seam goes on for `OVERLAP` frames, which the part
after it paints, too; shown is a dissolve from one painting to the other.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise

from vidstyle.settings import OVERLAP
from vidstyle.types import Seams


def split(shots: Sequence[int], frames: int, most: int | None, flashes: Collection[int]) -> tuple[list[int], Seams]:
    """The first painted frames of all parts, and the seams among them, if no part is to show more than `most` frames.

    The parts of a shot have the same length, but none begins with a flash.

    Args:
        shots: numbers of the frames that begin one, in order; the first is 0.
        frames: of the clip.
        most: None for any number.
        flashes: numbers of the frames that no painting should begin with.
    """
    starts: list[int] = []
    seams: list[int] = []
    for first, end in pairwise([*shots, frames]):
        starts.append(first + OVERLAP * len(seams))
        parts, before = math.ceil((end - first) / (most or frames)), first
        for part in range(1, parts):
            begin = first + (end - first) * part // parts
            while begin in flashes:
                begin -= 1
            if begin - before >= OVERLAP:
                before = begin
                seams.append(begin + OVERLAP * (len(seams) + 1))
                starts.append(seams[-1])
    return starts, Seams(tuple(seams), OVERLAP) if seams else Seams()


def shown(seams: Seams, frames: int) -> Sequence[int]:
    """The painted frame that is shown of each frame of a clip: of those at a seam, the second."""
    if not seams.starts:
        return range(frames)
    first_paintings = {number for start in seams.starts for number in range(start - seams.overlap, start)}
    return [number for number in range(frames + len(first_paintings)) if number not in first_paintings]

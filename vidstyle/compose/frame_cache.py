"""The inputs of the compositor: content frames in any order, from a cache of decoded frames, and the styles."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vidstyle.media.stills.pictures import resize
from vidstyle.types import FrameSequence, Seams, is_transparent

KEPT_BYTES = 256_000_000  # of decoded frames that are kept to be shown backwards

At = Callable[[int], np.ndarray]


@dataclass(frozen=True, eq=False)
class CompositorInputs:
    """The pictures that a painting was made from, and its alpha. Those that are transparent are (H, W, 4)."""

    content: FrameSequence | np.ndarray | None = None  #: a clip, or a picture (H, W, 3) uint8; None if not shown
    styles: tuple[np.ndarray, ...] = ()  #: (H, W, 3) uint8 each
    alpha: tuple[float, ...] = ()  #: of each painted frame
    seams: Seams = field(default_factory=Seams)  #: where frames of a clip are painted twice
    transparent: bool = False  #: whether the painted frames are

    @contextmanager
    def opened(self, width: int, height: int, order: Sequence[int]) -> Iterator[At]:
        """The content of a painted frame by its number, at the size of the painting and to the pixel in its place.

        Args:
            order: in which the frames will be asked for.
        """
        if self.content is None:
            yield _nothing
        elif isinstance(self.content, np.ndarray):
            picture = resize(self.content, width, height)
            yield lambda number: picture
        else:
            goes_back = any(after < before for before, after in pairwise(order))
            with closing(FrameCache(self.content, width, height, KEPT_BYTES if goes_back else 0)) as cache:
                yield lambda number: cache.at(self.seams.content(number))


class FrameCache:
    """The frames of a sequence in any order. The last ones are kept, so that going back rarely decodes again."""

    def __init__(self, sequence: FrameSequence, width: int, height: int, kept_bytes: int = KEPT_BYTES) -> None:
        self.sequence, self.width, self.height = sequence, width, height
        self.keep = max(kept_bytes // (width * height * 3), 2)
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._next = 0
        self._running: Generator[np.ndarray] | None = None

    def at(self, number: int) -> np.ndarray:
        """Frame `number`, (H, W, 3 or 4) uint8. Raises `MediaError` if the clip has changed since it was surveyed."""
        if number not in self._kept:
            if self._running is None or number < self._next:
                self._read_from(max(number - self.keep + 1, 0))
            while self._next <= number:
                assert self._running is not None
                self._kept[self._next] = resize(next(self._running), self.width, self.height)
                self._next += 1
                if len(self._kept) > self.keep:
                    self._kept.popitem(last=False)
        return self._kept[number]

    def close(self) -> None:
        """Stop reading."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _read_from(self, number: int) -> None:
        self.close()
        self._kept.clear()
        sequence = self.sequence
        decode = sequence.decode_transparent if is_transparent(sequence) else sequence.decode
        self._running, self._next = decode(number), number


def _nothing(number: int) -> np.ndarray:
    raise ValueError(f"the content of frame {number} is not known")

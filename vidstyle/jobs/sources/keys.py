"""The key frames of a clip: frames that somebody has painted, to which the painting is led, and whose style it has."""

from __future__ import annotations

import bisect
import os
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from vidstyle.core.warp import carry
from vidstyle.errors import MediaError, UsageError
from vidstyle.jobs.sources.carried import Seen, backwards, require_painted
from vidstyle.media.stills import pictures
from vidstyle.media.stills.transparency import filled_colors
from vidstyle.motion.flow import Estimator
from vidstyle.motion.tracks import Track
from vidstyle.settings import KeyFile, KeySettings
from vidstyle.system.files import disk_errors
from vidstyle.types import KeyLead

SHAPES_APART = 0.01  # share by which the width of a key frame, at the height of the clip, may differ from the clip's


@dataclass(frozen=True, eq=False)
class KeyFrames:
    """The key frames of a clip."""

    pictures: Mapping[int, np.ndarray]  #: by their numbers in the order of painting, (H, W, 3) float32 of its size
    weight: float  #: share of them in the style, and in their frames

    def mix(self, index: int, shots: Sequence[int], mix: Sequence[float]) -> tuple[float, ...]:
        """The share of each style, whose own mix this is, and then of each key frame, in a frame.

        Between two key frames of a shot they share by distance. A shot without one has the style alone.
        """
        before, after = self.around(index, shots)
        shares = dict.fromkeys(self.pictures, 0.0)
        if before is None and after is None:
            return (*mix, *shares.values())
        near = [number for number in (before, after) if number is not None]
        for number in near:
            shares[number] = self.weight
        if before is not None and after is not None and before != after:
            shares[after] *= eased(index, before, after)
            shares[before] -= shares[after]
        return (*(share * (1 - self.weight) for share in mix), *shares.values())

    def weight_at(self, index: int, shots: Sequence[int]) -> float:
        """The share of key frames in the style of a frame."""
        return 0.0 if self.around(index, shots) == (None, None) else self.weight

    def around(self, index: int, shots: Sequence[int]) -> tuple[int | None, int | None]:
        """The nearest key frames of a frame's shot, up to the frame and from it on; None where there is none."""
        place = bisect.bisect_right(shots, index)
        first, end = shots[place - 1], shots[place] if place < len(shots) else None
        own = [number for number in sorted(self.pictures) if number >= first and (end is None or number < end)]
        before = [number for number in own if number <= index]
        after = [number for number in own if number >= index]
        return (before[-1] if before else None), (after[0] if after else None)

    def leads(self, start: int, seen: Seen, estimate: Estimator, lags: Sequence[int]) -> Generator[KeyLead | None]:
        """How each frame from number `start` on is led to the next key frame of its shot.

        Before the first frame of a stretch that leads to one, all its motion is estimated, from its end backwards.

        Args:
            seen: the pictures that motion is estimated from.
            lags: see `Track`.
        """
        index = start
        while index < seen.sequence.info.frames:
            before, target = self.around(index, seen.shots)
            if target is None:
                yield None
                index += 1
                continue
            begin = seen.shot(index).start if before is None else before
            height, width = self.pictures[target].shape[:2]
            with _Spool(height, width) as spool:
                for number, picture, visible in self._carried(index, target, seen, estimate, lags):
                    spool.put(number - index, picture, visible)
                for number in range(index, target):
                    left = [1 - eased(one, begin, target) for one in (number, number - 1)]
                    yield KeyLead(*spool.get(number - index), share=1 - left[0] / left[1])
            yield KeyLead(_tensor(self.pictures[target]), torch.ones(1, height, width), 1.0, self.weight)
            index = target + 1

    def _carried(
        self, first: int, target: int, seen: Seen, estimate: Estimator, lags: Sequence[int]
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """A key frame carried to the frames before it, back to `first`: their numbers, pictures and visibilities."""
        track: Track | None = None
        key = _tensor(self.pictures[target])
        numbers = range(target, first - 1, -1)
        for number, picture in zip(numbers, backwards(seen.decode, first, target + 1), strict=True):
            if track is None:
                track = Track(estimate, picture, lags)
            else:
                motion = track.add(picture)
                (picture_there,) = carry([key], [motion.flow], key.device)
                yield number, picture_there, motion.visible


def eased(index: int, before: int, after: int) -> float:
    """How much of a frame between two key frames belongs to the later one: 0 to 1, with little change at both."""
    t = max(index - before, 0) / (after - before)
    return t * t * (3 - 2 * t)


class _Spool:
    """Pictures and their visibilities in a temporary file, rounded to 8 bits: they may be too many for the memory."""

    def __init__(self, height: int, width: int) -> None:
        self.shape, self.size = (4, height, width), 4 * height * width

    def __enter__(self) -> _Spool:
        with disk_errors(Path(tempfile.gettempdir())):
            self.file: IO[bytes] = tempfile.TemporaryFile()
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def put(self, place: int, picture: Tensor, visible: Tensor) -> None:
        """Keep a picture (3, H, W) and its visibility (1, H, W)."""
        rounded = torch.cat([picture, visible]).mul(255).round().byte().numpy()
        with disk_errors(Path(tempfile.gettempdir())):
            self.file.seek(place * self.size)
            self.file.write(rounded.tobytes())

    def get(self, place: int) -> tuple[Tensor, Tensor]:
        """What was kept."""
        with disk_errors(Path(tempfile.gettempdir())):
            self.file.seek(place * self.size)
            found = np.frombuffer(self.file.read(self.size), np.uint8).reshape(self.shape)
        tensor = torch.from_numpy(found.astype(np.float32) / np.float32(255))
        return tensor[:3], tensor[3:]


def key_pictures(keys: Sequence[KeyFile], size: int) -> list[Tensor]:
    """The pictures of key frames in their order, for a painting of a size, as `Stylizer` takes styles.

    Raises `MediaError`.
    """
    return [_tensor(pictures.load_style(key.file, enough=size)) for key in keys]


def clip_keys(
    settings: KeySettings, own: tuple[int, int], painted: tuple[int, int], numbers: range, shots: Sequence[int]
) -> KeyFrames | None:
    """The key frames of a clip, checked; None if it has none.

    Args:
        own, painted: width and height of the clip and of its painting.
        numbers: of the frames that are painted, in the file.
        shots: the frames that begin one, in the order of painting.

    Raises:
        UsageError: a key frame is not among those that are painted or begins no shot although it should, or there are
            two of one frame.
        MediaError: a picture cannot be read, or has another shape.
    """
    found: dict[int, np.ndarray] = {}
    firsts = len(settings.first)
    for place, key in enumerate(settings.keys):
        text = f"--first {key.as_first()}" if place < firsts else f"--key {key.as_key()}"
        frame = numbers[0] if key.frame is None else key.frame
        require_painted(frame, numbers, text)
        index = frame - numbers[0]
        if place < firsts and index not in shots:
            begins = ", ".join(str(numbers[shot]) for shot in shots)
            raise UsageError(
                f"{text}: frame {frame} does not begin a shot; shots begin at {begins}. Any other frame is given as "
                f"--key {frame}={key.file}"
            )
        if index in found:
            raise UsageError(f"{text}: frame {frame} is given twice; give each frame one picture")
        found[index] = _fitted(os.path.abspath(key.file), own, painted)
    return KeyFrames(found, settings.first_weight) if found else None


def array_keys(
    keys: Mapping[int, np.ndarray], settings: KeySettings, own: tuple[int, int], painted: tuple[int, int], frames: int
) -> KeyFrames | None:
    """Key frames in memory, checked; None if there are none. Raises `UsageError`."""
    found = {}
    for number, picture in keys.items():
        if number not in range(frames):
            raise UsageError(f"there is a key frame {number}, and frames 0 to {frames - 1} are painted")
        _require_shape(f"key frame {number}", picture.shape[1::-1], own, UsageError)
        found[number] = filled_colors(pictures.resize(picture, *painted))
    return KeyFrames(found, settings.first_weight) if found else None


def _fitted(file: str, own: tuple[int, int], painted: tuple[int, int]) -> np.ndarray:
    """A picture at the size of the painting, (H, W, 3) float32. Raises `MediaError`."""
    _require_shape(f"the key frame {file}", pictures.picture_size(file), own, MediaError)
    return filled_colors(pictures.resize(pictures.load_picture(file, enough=max(painted), transparency=True), *painted))


def _require_shape(
    what: str, size: tuple[int, ...], own: tuple[int, int], error: type[MediaError] | type[UsageError]
) -> None:
    (width, height), (wide, tall) = size, own
    if abs(width * tall - height * wide) > SHAPES_APART * height * wide:
        raise error(f"{what} has {width}x{height} pixels, and the clip {wide}x{tall}; give one of that shape")


def _tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32))

"""Shots that workers paint: what travels to them, and how what comes back is kept in the job folder.

A shot is a pure function of its frames and the settings, so it does not matter who paints it, or when. The frames of
each shot come back one by one, in their order; the process that holds the job folder saves them.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.probe import no_bytes, require_memory
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import UsageError
from vidstyle.executors.dispatch import Do
from vidstyle.jobs.folder import states
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.inputs import Inputs
from vidstyle.jobs.folder.painted import Painted
from vidstyle.jobs.painting.rendering import OnFrame
from vidstyle.jobs.sources.clips import SequenceSource, VideoSource
from vidstyle.jobs.sources.lookahead import ahead
from vidstyle.jobs.sources.survey import Survey
from vidstyle.media.stills.codecs import decode
from vidstyle.motion.flow import Estimator
from vidstyle.schedule import OverTime
from vidstyle.settings import PaintingSettings, VideoSettings
from vidstyle.settings.keys import renamed_mask
from vidstyle.settings.texts import renamed_files
from vidstyle.system.devices import kind_of, pick_device
from vidstyle.system.notes import tell
from vidstyle.system.opencv import cv2
from vidstyle.types import ClipInfo, Frame, Progress, Result, State

FIRST = 3  # times a warm-started frame that the first of a shot takes, about; only for the order of the shots


OnProgress = Callable[[Progress], None]


class ShotSource(Protocol):
    """A source that can stop at the end of a shot."""

    info: ClipInfo

    def frames(self, start: int, end: int | None = None) -> Generator[Frame]:
        """The frames from number `start` on, until before `end`."""
        ...


class Opener(Protocol):
    """Opens a source on a worker."""

    def __call__(self) -> ShotSource: ...

    def moved(self, place: Callable[[str], str]) -> Opener:
        """The same where its files lie where `place` says."""
        ...


@dataclass(frozen=True, eq=False)
class ClipOpener:
    """Opens a clip that is surveyed already."""

    path: str
    settings: VideoSettings
    mix: Sequence[OverTime]
    estimator: Estimator
    survey: Survey

    @classmethod
    def of(cls, source: VideoSource) -> ClipOpener:
        """The opener of the same clip."""
        opener = cls(source.path, source.settings, source.mix, source.estimate, source.survey)
        return opener.moved(os.path.abspath)  # the working folder may be another by then

    def __call__(self) -> VideoSource:
        return VideoSource(self.path, self.settings, self.mix, self.estimator, self.survey)

    def moved(self, place: Callable[[str], str]) -> ClipOpener:
        """The same where its files lie where `place` says."""

        def there(file: str) -> str:
            return place(os.path.abspath(file))

        own = self.settings
        files = {name: renamed_files(name, getattr(own, name), there) for name in ("first", "key")}
        mask = None if own.mask is None else renamed_mask(own.mask, there)
        # A region is a text in which = ends the mask: a path with one can only be kept as it was given.
        masks = [(region.mask, renamed_mask(region.mask, there)) for region in own.regions]
        regions = (
            dataclasses.replace(one, mask=given if "=" in name else name)
            for one, (given, name) in zip(own.regions, masks, strict=True)
        )
        settings = dataclasses.replace(own, mask=mask, region=tuple(map(str, regions)), **files)
        return dataclasses.replace(self, path=there(self.path), settings=settings, survey=self.survey.moved(there))


@dataclass(frozen=True, eq=False)
class ShotUnit:
    """What is left of a shot."""

    first: int  #: frame of the shot
    start: int  #: the next frame to be painted
    end: int  #: the frame after its last
    state: State | None  #: that frame `start` needs; None at the beginning of a shot

    @property
    def size(self) -> float:
        """About how long it takes."""
        return self.end - self.start + (FIRST - 1) * (self.state is None)

    @property
    def place(self) -> str:
        """Where painting goes on."""
        return f"at frame {self.start}"


@dataclass(frozen=True, eq=False)
class ShotWork:
    """All that the shots of a job have in common."""

    open_source: Opener
    make_stylizer: Callable[[], Stylizer]
    settings: PaintingSettings
    network: FeatureNetwork
    threads: int  #: with which each worker computes
    files: Sequence[str] = ()  #: absolute paths that the source reads

    def moved(self, place: Callable[[str], str]) -> ShotWork:
        """The same for a machine where its files lie where `place` says."""
        return dataclasses.replace(self, open_source=self.open_source.moved(place))

    def begin(self) -> tuple[str, Do]:
        """On a worker: the name of its device, and what paints a shot. Raises `MemoryLimitError` if it is too small."""
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(self.threads)
        source, beside = self.open_source(), no_bytes
        # A worker with one thread keeps to one processor: nothing is done beside the painting.
        beside_painting = self.threads > 1 or pick_device(self.settings.device).type != "cpu"
        if isinstance(source, SequenceSource):
            source.estimated_at_once = max(self.threads // 2, 1) if beside_painting else 0
            beside = source.ahead.bytes
        require_memory(self.network, self.settings, (source.info.height, source.info.width), beside)
        stylizer = self.make_stylizer()
        device = kind_of(stylizer.device)
        return device, partial(_painted, source, stylizer, device, ahead if beside_painting else _one_by_one)


def _painted(
    source: ShotSource,
    stylizer: Stylizer,
    device: str,
    fetched: Callable[[Generator[Frame]], Generator[Frame]],
    unit: ShotUnit,
) -> Iterator[Painted]:
    """Paint what is left of a shot; `fetched` may fetch its frames in another thread."""
    state = unit.state
    with closing(fetched(source.frames(unit.start, unit.end))) as frames:
        for frame in frames:
            result, state = stylizer.step(frame, state)
            yield Painted.of(result, states.on_cpu(state), device)


def _one_by_one(frames: Generator[Frame]) -> Generator[Frame]:
    return frames


class ShotKeeper:
    """Saves what workers paint in the job folder, and tells how far they are.

    Args:
        inputs: checked for changes before a frame is saved.
        history: frames before one that it looks at, besides the one just before it.
        same_device: refuse a worker whose device is not that of all others, and of earlier calls.
        only_first: leave all but the first frame of each shot for later.
    """

    def __init__(
        self,
        job: JobFolder,
        inputs: Inputs,
        history: int,
        *,
        same_device: bool = False,
        only_first: bool = False,
        on_progress: OnProgress | None = None,
        on_frame: OnFrame | None = None,
    ) -> None:
        self._job, self._inputs, self._history, self._same_device = job, inputs, history, same_device
        self._on_progress, self._on_frame = on_progress, on_frame
        parts = job.parts()
        if only_first:
            parts = [dataclasses.replace(part, end=part.first + 1) for part in parts]
        self.units = [ShotUnit(part.first, part.start, part.end, part.state) for part in parts if part.start < part.end]
        self._painted = before = job.frames - sum(unit.end - unit.start for unit in self.units)
        self._before, self._began, self._shots = before, time.perf_counter(), 0
        self._devices = {entry.device for entry in job.results()} - {""}

    def ready(self, device: str) -> None:
        """A worker on this device paints from now on. Raises `UsageError` if all must be alike, and it is not."""
        if self._same_device and self._devices - {device}:
            raise UsageError(
                f"a worker would paint on {device}, and frames are painted on {min(self._devices - {device})}; leave "
                "out --same-device, or have workers of one kind"
            )
        self._devices.add(device)

    def keep(self, unit: ShotUnit, item: Painted) -> None:
        """Save a frame. Raises `MediaError` if an input has changed, and as `JobFolder.keep` does."""
        self._inputs.require_unchanged()
        self._job.keep(item, unit.first, self._history)
        self._painted += 1
        if self._on_frame is not None:
            entry = item.entry
            result = Result(entry.index, decode(item.picture), dict(entry.losses), entry.iterations, entry.seconds)
            self._on_frame(result, self._job.frames)
        self._tell()

    def again(self, unit: ShotUnit) -> ShotUnit | None:
        """What is left of a shot after the last frame that was saved."""
        part = self._job.part(unit.first, unit.end)
        self._job.log(f"a worker has died; painting goes on with frame {part.start}")
        return ShotUnit(part.first, part.start, part.end, part.state) if part.start < part.end else None

    def in_flight(self, units: int) -> None:
        """So many shots are being painted."""
        if units != self._shots:
            self._shots = units
            self._tell()

    def _tell(self) -> None:
        if self._on_progress is not None:
            rate = (self._painted - self._before) / (time.perf_counter() - self._began)
            self._on_progress(Progress(self._painted, self._job.frames, self._shots, rate))


def tell_devices(job: JobFolder) -> None:
    """Say so if the frames of a job were painted on devices of several kinds."""
    entries = {entry.index: entry.device for entry in job.results()}
    shots: dict[str, list[int]] = {}
    for number, part in enumerate(job.parts(), 1):
        for device in {entries[index] for index in range(part.first, part.end) if index in entries} - {""}:
            shots.setdefault(device, []).append(number)
    if len(shots) > 1:
        each = "; ".join(f"shots {_numbers(some)} on {device}" for device, some in sorted(shots.items()))
        tell(
            f"different devices have painted: {each}. The same command on others may give other last bits; "
            "--same-device refuses that"
        )


def _numbers(found: Sequence[int]) -> str:
    """Like 1, 3-5."""
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)

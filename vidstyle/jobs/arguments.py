"""Type checks of the public functions' arguments: a wrong one is refused with a sentence, before any work."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from vidstyle.errors import UsageError
from vidstyle.jobs.output.export import OnFitted
from vidstyle.jobs.painting.rendering import Observer, OnFrame
from vidstyle.jobs.painting.retiming import OnStep
from vidstyle.jobs.painting.shots import OnProgress
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.jobs.sources.survey import OnRead
from vidstyle.settings import (
    BalanceSettings,
    EncodeSettings,
    ImageSettings,
    Job,
    ReadingSettings,
    Settings,
    SheetSettings,
    VideoSettings,
)
from vidstyle.settings.ranges import FrameRange
from vidstyle.system.outofmemory import memory_errors

P = ParamSpec("P")
R = TypeVar("R")

Observe = Callable[[VideoSource], Observer]
CALLED: dict[str, tuple[Job, ...]] = {  # callbacks that not every job calls, and the jobs that do
    "on_fitted": ("video", "balance"),
    "observe": ("video",),
    "on_pilot": ("balance",),
    "on_progress": ("video", "sheet"),
    "on_read": ("video",),
}
PARALLEL: tuple[Job, ...] = ("video", "sheet")  # jobs of which workers can paint parts at the same time
MOST = 10_000  # workers or threads: more is a typing error
Workers = int | Literal["ray"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a call treats existing files, what it leaves, where it paints, and whom it tells.

    Nothing here changes what is painted, but for the last bits that depend on the number of threads on a CPU. Raises
    `UsageError` for what is none of the types, and when something is given to a job that would not use it.
    """

    overwrite: bool = False  #: replace existing outputs
    restart: bool = False  #: forget what an earlier, interrupted call has painted
    keep_job: bool = False  #: keep the job folder, with every frame as a PNG, when the outputs are complete
    #: of a clip: paint only the first frame of each shot, and a sheet of them beside the output, OUTPUT.first.png; the
    #: job folder is kept, and the same call without this goes on from there; `on_frame` is given numbers of shots
    only_first: bool = False
    #: of a clip whose finished job was kept: paint these frames again with these settings, FIRST-LAST by their numbers
    #: in the file or STARTs-ENDs, in step with what is around them; the outputs are made anew, and the job is kept.
    #: `restart` then forgets an interrupted call of this kind alone
    redo: str | None = None
    #: of a clip or a sheet: so many processes of this machine paint shots, or cells, at the same time; "ray": those of
    #: a cluster do; None: this process does
    workers: Workers | None = None
    ray_address: str | None = None  #: of the cluster; None for RAY_ADDRESS, else one on this machine, for this call
    #: of torch, in each worker; None for those of an interrupted call, or all processors, divided among the workers
    threads: int | None = None
    same_device: bool = False  #: refuse a worker on another kind of device than the others
    #: with workers: called with a `Progress` when a frame is kept, and when a worker begins or ends a shot
    on_progress: OnProgress | None = None
    on_frame: OnFrame | None = None  #: called after each painted frame with its `Result` and the number of all
    #: of a clip or an animation: called with what an output gave up for `max_size`, a `Fitted`
    on_fitted: OnFitted | None = None
    #: of a clip: called, before the painting, with the source of its frames; what it returns has a method `add`, called
    #: with each `Frame` and its painting, (H, W, 3) uint8, and `done`, called before the outputs are encoded
    observe: Observe | None = None
    #: of an animation: called after each painting of the pilot renders, by which equal steps are found, with its
    #: number from 1 and the number of all
    on_pilot: OnStep | None = None
    #: of a clip: called before the painting, after each frame that is decoded to find its cuts, with how many are, and
    #: about how many will be
    on_read: OnRead | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            require(field.name, str(field.type), getattr(self, field.name))
        if self.workers != "ray" and self.ray_address is not None:
            raise UsageError("--ray-address is about --workers ray; give that, too, or leave it out")
        report = self.observe is not None
        if self.only_first:
            self._require_alone("--only-first", report=report)
        if self.redo is not None:
            FrameRange.parsed(self.redo)
            self._require_alone("--redo", only_first=self.only_first, workers=self.workers is not None, report=report)
        if self.workers is None and self.same_device:
            raise UsageError("--same-device is about --workers; give that, too, or leave it out")

    def _require_alone(self, option: str, **others: bool) -> None:
        """Raise `UsageError` for the first of some options that is given and does not go together with another."""
        for name in (name for name, given in others.items() if given):
            raise UsageError(f"--{name.replace('_', '-')} does not go together with {option}; leave one of them out")

    def require_called(self, job: Job) -> None:
        """Raise `UsageError` for what `job` would not use."""
        for name in ("only_first", "redo"):
            if getattr(self, name) and job != "video":
                raise UsageError(f"{name} is given, and a job of the kind {job!r} has no shots; leave it out")
        if self.workers is not None and job not in PARALLEL:
            raise UsageError(
                f"--workers {self.workers} is given, and each frame of this job, a {job}, is painted from the one "
                "before; leave it out, or have several jobs at the same time"
            )
        for name, jobs in CALLED.items():
            if getattr(self, name) is not None and job not in jobs:
                raise UsageError(f"{name} is given, and a job of the kind {job!r} never calls it; leave it out")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, but a `UsageError` for an argument that is not what its annotation says.

    And a `MemoryLimitError` where memory runs out.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            require(name, str(signature.parameters[name].annotation), value)
        with memory_errors():
            return function(*args, **kwargs)

    return call


def require(name: str, annotation: str, value: object) -> None:
    """Raise `UsageError` if an argument is not what its annotation, one of `KINDS`, says."""
    fits, wanted = KINDS[annotation.removesuffix(" | None")]
    none = annotation.endswith(" | None")
    if not (fits(value) or (none and value is None)):
        raise UsageError(f"{name} is {_said(value)}; give {wanted}{', or None' * none}")


def _is_file(value: object) -> bool:
    return isinstance(value, str | Path)


def _are_files(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(map(_is_file, value))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST


def _are_whole(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, int) for one in value)


def _said(value: object) -> str:
    text = f"{value!r}"
    return text if len(text) <= 60 else f"{'an' if (kind := type(value).__name__)[0] in 'AEIOU' else 'a'} {kind}"


Kind = tuple[Callable[[Any], bool], str]  # whether a value is of it; what to give instead


def _settings(kind: type[Settings]) -> Kind:
    """Those of a job: of its own class, for another one's may have fields that it would ignore."""
    return lambda value: type(value) is kind, f"vidstyle.{kind.__name__}(...)"


CALL: Kind = (callable, "a function")
KINDS: dict[str, Kind] = {  # by annotation
    "File": (_is_file, "a path, as text or pathlib.Path"),
    "Sequence[File]": (_are_files, "a list of paths, even of a single one"),
    "Outputs": (lambda value: _is_file(value) or _are_files(value), "a path or a list of paths"),
    **{kind.__name__: _settings(kind) for kind in (VideoSettings, BalanceSettings, ImageSettings)},
    **{kind.__name__: _settings(kind) for kind in (SheetSettings, EncodeSettings)},
    "ReadingSettings": (lambda value: isinstance(value, ReadingSettings), "vidstyle.VideoSettings(...)"),
    "RunOptions": (lambda value: isinstance(value, RunOptions), "vidstyle.RunOptions(...)"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "int": (_is_count, "a whole number, at least 1"),
    "Workers": (lambda value: value == "ray" or _is_count(value), 'a whole number, at least 1, or "ray"'),
    "str": (lambda value: isinstance(value, str), "a text"),
    "Number": (lambda value: value == 0 or _is_count(value), "a whole number, at least 0"),
    "Sequence[int]": (_are_whole, "a list of whole numbers"),
    "Sequence[Sequence[int]]": (
        lambda value: isinstance(value, Sequence) and all(map(_are_whole, value)),
        "a list of lists of whole numbers",
    ),
    "OnMask": CALL,
    "OnFrame": CALL,
    "OnFitted": CALL,
    "Observe": CALL,
    "OnStep": CALL,
    "OnProgress": CALL,
    "OnRead": CALL,
}

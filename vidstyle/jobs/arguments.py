"""Type checks of the public functions' arguments: a wrong one is refused with a sentence, before any work."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from vidstyle.errors import UsageError
from vidstyle.jobs.output.export import OnFitted
from vidstyle.jobs.rendering import Observer, OnFrame
from vidstyle.jobs.retiming import OnStep
from vidstyle.jobs.sources import VideoSource
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
from vidstyle.system.outofmemory import memory_errors

P = ParamSpec("P")
R = TypeVar("R")

Observe = Callable[[VideoSource], Observer]
CALLED: dict[str, tuple[Job, ...]] = {  # callbacks that not every job calls, and the jobs that do
    "on_fitted": ("video", "balance"),
    "observe": ("video",),
    "on_pilot": ("balance",),
}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a call treats existing files, what it leaves, and whom it tells; nothing here changes what is painted.

    Raises `UsageError` for what is no bool or no function, and when it is given to a job that would not call one.
    """

    overwrite: bool = False  #: replace existing outputs
    restart: bool = False  #: forget what an earlier, interrupted call has painted
    keep_job: bool = False  #: keep the job folder, with every frame as a PNG, when the outputs are complete
    on_frame: OnFrame | None = None  #: called after each painted frame with its `Result` and the number of all
    #: of a clip or an animation: called with what an output gave up for `max_size`, a `Fitted`
    on_fitted: OnFitted | None = None
    #: of a clip: called, before the painting, with the source of its frames; what it returns has a method `add`, called
    #: with each `Frame` and its painting, (H, W, 3) uint8, and `done`, called before the outputs are encoded
    observe: Observe | None = None
    #: of an animation: called after each painting of the pilot renders, by which equal steps are found, with its
    #: number from 1 and the number of all
    on_pilot: OnStep | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            require(field.name, str(field.type), getattr(self, field.name))

    def require_called(self, job: Job) -> None:
        """Raise `UsageError` for a callback that `job` does not call."""
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
    "int": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "str": (lambda value: isinstance(value, str), "a text"),
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
}

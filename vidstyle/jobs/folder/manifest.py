"""The manifest of a job: what its frames depend on, how they are played, and which outputs are made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from vidstyle.errors import UsageError
from vidstyle.jobs.folder.inputs import hash_of
from vidstyle.jobs.folder.records import as_json, parsed, read
from vidstyle.jobs.sources.survey import KeptSurvey
from vidstyle.settings import JOBS, EncodeSettings, Job, PaintingSettings, VideoSettings
from vidstyle.types import ClipInfo, Seams

FORMAT = "vidstyle-job-10"
FORMATS = re.compile(r"vidstyle-job-\d+")  # of all versions of vidstyle
SIGNATURE = re.compile(rb'"format":\s*"vidstyle-job-\d')  # in all their manifests
WEIGHTS = ("weights", "flow_weights")  # settings that name files; where a file lies does not matter
HASH = re.compile(r"[0-9a-f]{64}")


class OtherFormatError(ValueError):
    """A manifest of another version of vidstyle."""


@dataclass(frozen=True)
class Played:
    """How the painted frames are shown, and what they were painted from."""

    info: ClipInfo  #: of the moving picture that they make
    order: tuple[int, ...]  #: the painted frame of each of its frames
    alpha: tuple[float, ...]  #: of each painted frame
    content: str  #: absolute path of the clip or picture
    styles: tuple[str, ...]  #: absolute paths of the pictures
    sound: bool = False  #: whether the content has sound that goes along
    start: float = 0.0  #: first second of the content that was painted
    end: float | None = None  #: second of the content before which the painting stopped

    def __post_init__(self) -> None:
        if len(self.order) != self.info.frames or min(self.order) < 0 or max(self.order) >= len(self.alpha):
            raise ValueError("the order of the frames does not fit their number")
        if not all(0 <= alpha <= 1 for alpha in self.alpha):
            raise ValueError("alpha lies outside 0 to 1")


@dataclass(frozen=True)
class Redone:
    """Frames of a finished job that were painted again with other settings."""

    first: int  #: in the order of painting
    end: int  #: the frame after the last
    range: str  #: their numbers in the file of the clip, like 120-140
    origin: str  #: what made them, as `output.origin` writes it
    alpha: tuple[float, ...]  #: of each of them

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.end or len(self.alpha) != self.end - self.first:
            raise ValueError(f"got frames {self.first} to {self.end} with {len(self.alpha)} alphas")

    def holds(self, index: int) -> bool:
        """Whether a frame is one of them."""
        return self.first <= index < self.end


@dataclass(frozen=True)
class Made:
    """An output as it was put in its place."""

    sha256: str  #: of a file; of a folder, over the names and hashes of its files
    size: int  #: bytes

    @classmethod
    def of(cls, path: Path) -> Made:
        """What lies there, a file or a folder of files. Raises `OSError`."""
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        return cls(hash_of(files), sum(file.stat().st_size for file in files))


@dataclass(frozen=True)
class Manifest:
    """What is written in `manifest.json`. Bad values are refused with a `ValueError`."""

    frames: int  #: to be painted
    vidstyle: str = ""  #: version
    inputs: Mapping[str, str] = field(default_factory=dict)  #: SHA-256 of content, styles and init, by these names
    network: str = ""  #: fingerprint of its weights
    flow_weights: str = ""  #: fingerprint of those of the motion's estimator
    settings: PaintingSettings = field(default_factory=VideoSettings)  #: of its job; what does not paint is default
    threads: int | None = None  #: with which torch computes; None where the frames do not depend on it
    remapped_times: tuple[Fraction, ...] = ()  #: seconds of each frame on the schedules, found by pilot renders
    played: Played | None = None  #: None before the painting begins
    survey: KeptSurvey | None = None  #: of a clip: what decoding it once has shown, so that the next call need not
    shots: tuple[int, ...] = ()  #: numbers of the frames that need no earlier one, besides the first; ascending
    seams: Seams = field(default_factory=Seams)  #: where shots are split; a part begins like a shot
    origin: str = ""  #: what the metadata of its outputs say; "" before the painting begins
    encoding: EncodeSettings | None = None  #: that `made` was encoded with; None before the painting begins
    made: Mapping[str, Made] = field(default_factory=dict)  #: outputs, by their path as seen from beside the folder
    redone: tuple[Redone, ...] = ()  #: what was painted again, in this order
    shows: int = 0  #: how many of `redone` the outputs in `made` show
    former: Mapping[str, Made] = field(default_factory=dict)  #: `made` before the outputs are made anew, until all are
    redo: Redone | None = None  #: of a job folder within one: what the last of its frames are

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 10**9 or (self.threads is not None and not 1 <= self.threads <= 10**5):
            raise ValueError(f"got {self.frames} frames, painted with {self.threads} threads")
        if any(not before < number < self.frames for before, number in pairwise((0, *self.shots))):
            raise ValueError(f"got shots that begin with frames {self.shots} of {self.frames}")
        if not set(self.seams.starts) <= set(self.shots):
            raise ValueError(f"got {self.seams} and shots that begin with frames {self.shots}")
        if self.played is not None and len(self.played.alpha) != self.frames:
            raise ValueError(f"got {len(self.played.alpha)} alphas for {self.frames} frames")
        if any(one.end > self.frames for one in self.redone) or not 0 <= self.shows <= len(self.redone):
            raise ValueError(f"got frames that were painted again beyond the {self.frames} frames")

    @property
    def job(self) -> Job:
        """The kind of the job."""
        return self.settings.job

    @property
    def outdated(self) -> bool:
        """Whether frames were painted again since the outputs were made."""
        return self.shows < len(self.redone)

    def has_made(self, key: str, found: Made) -> bool:
        """Whether an output of this name and content was made by this job."""
        return found in (self.made.get(key), self.former.get(key))

    def alphas(self, alpha: Sequence[float]) -> tuple[float, ...]:
        """The alpha of each painted frame, if `alpha` is that of the first painting."""
        found = list(alpha)
        for one in self.redone:
            found[one.first : one.end] = one.alpha
        return tuple(found)

    def encoded(self) -> bytes:
        """The text of the file, with a checksum."""
        found = {"format": FORMAT, "job": self.job, **as_json({**vars(self), "settings": _kept(self.settings)})}
        return json.dumps({**found, "sha256": _checksum(found)}, indent=2).encode()

    @staticmethod
    def is_one(text: bytes) -> bool:
        """Whether vidstyle wrote this text, though it may be of another version, or damaged."""
        return SIGNATURE.search(text) is not None

    @classmethod
    def decoded(cls, text: bytes) -> Manifest:
        """What `encoded` wrote.

        Raises:
            OtherFormatError: another version of vidstyle wrote it.
            ValueError: it is damaged, or somebody has edited it.
        """
        found = parsed(text)
        kind = found.get("format")
        if kind != FORMAT and isinstance(kind, str) and FORMATS.fullmatch(kind):
            raise OtherFormatError(f"it is of format {kind}, and this version of vidstyle reads {FORMAT}")
        if kind != FORMAT:
            raise ValueError("it names no format of vidstyle")
        checksum = found.pop("sha256", None)
        if checksum != _checksum(found):
            raise ValueError("it is not as vidstyle wrote it")
        del found["format"]
        settings = _settings(found.pop("job", None), found.pop("settings", None))
        return dataclasses.replace(read(cls, found), settings=settings)

    def changes(self, there: Manifest) -> list[str]:
        """In what `there`, written by an earlier call, would give other frames; a text for each."""
        old, new = (_flat(as_json(one.painted())) for one in (there, self))
        return [
            f"{name} was {_short(old.get(name, 'not set'))}, now {_short(new.get(name, 'not set'))}"
            for name in {**old, **new}
            if old.get(name, ...) != new.get(name, ...)
        ]

    def painted(self) -> dict[str, Any]:
        """All that another call must agree in. The number of threads is kept from the first."""
        names = ("frames", "vidstyle", "job", "inputs", "flow_weights")
        found = {name: getattr(self, name) for name in names}
        return found | {"weights": self.network, "settings": _kept(self.settings)}


def _kept(settings: PaintingSettings) -> dict[str, Any]:
    """The settings that change the painted frames. Files of weights are not among them: their hashes are kept."""
    return {name: value for name, value in settings.painting().items() if name not in WEIGHTS}


def _settings(job: object, found: object) -> PaintingSettings:
    """The settings of a job from what `_kept` gave. Raises `ValueError` if one is missing or unknown."""
    kind = JOBS.get(job) if isinstance(job, str) else None  # type: ignore[call-overload]
    if kind is None or not issubclass(kind, PaintingSettings) or not isinstance(found, dict):
        raise ValueError(f"{job!r:.40} with the settings {found!r:.40} is no job that paints")
    wanted = set(_kept(kind()))
    if other := min(wanted ^ set(found), default=None):
        raise ValueError(f"settings: {other!r} is {'unknown' if other in found else 'missing'}")
    try:
        settings: PaintingSettings = kind(**found)
        return settings
    except UsageError as error:
        raise ValueError(f"settings: {error}") from error


def output_key(folder: Path, output: Path) -> str:
    """The name of an output in the manifest of a job folder: as seen from beside the folder, so that both may be moved
    together; its whole path if it lies elsewhere."""
    output, beside = Path(os.path.abspath(output)), Path(os.path.abspath(folder.parent))
    return (output.relative_to(beside) if output.is_relative_to(beside) else output).as_posix()


def _checksum(found: dict[str, Any]) -> str:
    try:
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _flat(tree: Any, name: str = "") -> dict[str, Any]:
    """Leaves of a nested dict by name; a setting goes by its own name, all else by its path."""
    if not isinstance(tree, dict):
        return {name.removeprefix("settings."): tree}
    leaves = [_flat(value, f"{name}.{key}" if name else key) for key, value in tree.items()]
    return {key: value for part in leaves for key, value in part.items()}


def _short(value: Any) -> str:
    """A value as a person would say it, a hash by its beginning."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:8] + "…" if HASH.fullmatch(text) else text

"""What an instrument has found: the JSON that it is written as, and the statistics that all of them use."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vidstyle.errors import UsageError
from vidstyle.settings import Settings, options
from vidstyle.system.files import check_writable, plain, write_whole

FILES = ("weights", "flow_weights", "network", "init")  # settings that may name one


class Results:
    """Base of the dataclasses that are written as JSON: an object with the names of the fields, nested as they are.

    Frames count from 0. Null is where there is no number: nobody asked, or it is not finite. Fields that are not in the
    repr, like pictures, are left out.
    """

    def json(self) -> dict[str, Any]:
        """All of it as JSON knows it."""
        found: dict[str, Any] = plain(_bare(self))
        return found

    def save(self, path: Path, *, overwrite: bool = True) -> None:
        """Write it as JSON, whole or not at all. Raises `DiskError`, `OutputExistsError`."""
        write_whole(path, json.dumps(self.json(), indent=1, allow_nan=False) + "\n", overwrite=overwrite)


def _bare(value: Any) -> Any:
    """Dictionaries for dataclasses, text for paths."""
    if dataclasses.is_dataclass(value):
        value = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.repr}
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def check_report(
    path: Path, suffixes: Sequence[str] = (".json",), *, overwrite: bool, inputs: Iterable[str | Path] = ()
) -> None:
    """Find out before any measuring whether a report can be written.

    Raises:
        UsageError: its suffix is none of these, or it is one of the `inputs`.
        DiskError, OutputExistsError: as `files.check_writable` does.
    """
    if path.suffix.lower() not in suffixes:
        names = " or ".join(suffixes)
        raise UsageError(f"output {path} is not called {names}; a report is written as {names}")
    check_writable(path, overwrite=overwrite, inputs=inputs)


def used(settings: Settings) -> dict[str, Any]:
    """The settings of a job; of files the names only."""
    values = {name: getattr(settings, name) for name in options(type(settings))}
    return values | {name: Path(values[name]).name for name in FILES if values.get(name)}


def mean(values: Iterable[float]) -> float:
    """Of those that are numbers; nan if there is none."""
    seen = [value for value in values if not math.isnan(value)]
    return statistics.fmean(seen) if seen else math.nan


def ratio(part: float, whole: float) -> float:
    """part / whole; nan where the whole is zero."""
    return part / whole if whole else math.nan

"""Reads the jobs of a TOML file: defaults, then a table `[[job]]` for each, with the options by their CLI names."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidstyle.errors import MediaError, UsageError, VidstyleError
from vidstyle.jobs.output.export import READ
from vidstyle.jobs.output.figure import FILES
from vidstyle.settings import JOBS, Job, PaintingSettings, Settings
from vidstyle.settings.texts import by_flag, from_file, nearest, renamed_files

KINDS: dict[Job, type[Settings]] = {job: kind for job, kind in JOBS.items() if issubclass(kind, PaintingSettings)}
OWN = ("job", "name", "content", "styles", "output", "preset", "keep-job", "yes")  # what is no setting
WORDS = {"network": ("compact", "vgg19"), "init": ("content", "noise")}  # values of a setting that are no file
NAMING = ("mask", "region", "first", "key")  # settings in whose text files are named
HEADER = re.compile(r"\s*\[\[\s*(?:job|\"job\"|'job')\s*\]\]")
WILD = re.compile(r"[*?[]")


@dataclass(frozen=True)
class JobTable:
    """One job of the file; of a table whose contents are several, one for each."""

    line: int  #: of its table
    name: str  #: the stem of the content where the table gives none, or has several contents
    group: str  #: the name that the table gives; "" if none
    kind: Job
    content: str  #: like all files here, as seen from the working folder
    styles: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: PaintingSettings
    keep_job: bool
    overwrite: bool

    @property
    def written(self) -> list[str]:
        """All files that it makes, with poster and figure."""
        return [*self.outputs, *(file for name in FILES if (file := getattr(self.settings, name, None)))]


@dataclass(frozen=True)
class Trouble:
    """Why a job of the file cannot be painted."""

    line: int  #: of its table, or of what is wrong in it
    name: str  #: of the job, as far as it is known
    error: VidstyleError


def read_tables(file: Path, made: Collection[str] = ()) -> tuple[list[JobTable], list[Trouble]]:
    """The jobs of a TOML file, in its order, and what is wrong with others.

    Args:
        made: absolute paths of files that a pattern of contents leaves out: outputs of earlier calls.

    Raises:
        MediaError: the file cannot be read.
        UsageError: it is no TOML, or has no job, or its defaults are wrong.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise MediaError(f"{file} cannot be read ({error.strerror}); give the TOML file of a batch") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no TOML: byte {error.start} is no UTF-8; give a text file") from error
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is no TOML: {error}; vidstyle guide batch has an example") from error
    if other := next((name for name in found if name not in ("defaults", "job")), None):
        raise UsageError(f"{file} has {other!r}, and a batch has [defaults] and [[job]]{nearest(other, found)}")
    tables, defaults = found.get("job"), found.get("defaults", {})
    if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
        raise UsageError(f"{file} has no job; begin one with a line [[job]]")
    if not isinstance(defaults, dict):
        raise UsageError(f"{file}: defaults is {defaults!r:.40}; it must be a table, [defaults]")
    known = {*OWN, *(name for kind in KINDS.values() for name in by_flag(kind))}
    if other := next((name for name in defaults if name not in known), None):
        raise UsageError(f"{file}: [defaults] has {other!r}, which is an option of no job{nearest(other, known)}")
    reader = _Reader(file.parent, defaults, {os.path.abspath(one) for one in made})
    lines = text.splitlines()
    starts = header_lines(lines, len(tables))
    for start, end, table in zip(starts, [*starts[1:], len(lines) + 1], tables, strict=True):
        reader.add(table, start, lines[start - 1 : end - 1])
    return reader.jobs, reader.troubles


def header_lines(lines: Sequence[str], count: int) -> list[int]:
    """The numbers, from 1, of the lines that begin the tables of jobs; all 1 where they are written in another way."""
    found = [number for number, line in enumerate(lines, 1) if HEADER.match(line)]
    if len(found) > count:  # one stands in a text of several lines, which ends after it
        found = [number for number in found if _is_toml("\n".join(lines[:number]))]
    return found if len(found) == count else [1] * count


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


class _Reader:
    """Makes jobs of tables, one after the other; what is wrong is kept, and the next table is read."""

    def __init__(self, folder: Path, defaults: Mapping[str, Any], made: Collection[str]) -> None:
        self.folder, self.defaults, self.made = folder, defaults, made
        self.jobs: list[JobTable] = []
        self.troubles: list[Trouble] = []

    def add(self, table: Mapping[str, Any], line: int, lines: Sequence[str]) -> None:
        """Read a table that begins at a line of the file; `lines` are its own."""
        shown = table.get("name") or Path(str(table.get("content", ""))).stem

        def wrong(error: VidstyleError, key: str = "") -> None:
            there = next((number for number, one in enumerate(lines) if _sets(one, key)), 0) if key else 0
            self.troubles.append(Trouble(line + there, str(shown), error))

        before = len(self.troubles)
        job = {**self.defaults, **table}.get("job")
        kind = KINDS.get(job) if isinstance(job, str) else None  # type: ignore[call-overload]
        if kind is None:
            what = "no job is given" if job is None else f"job is {job!r:.40}"
            wrong(UsageError(f"{what}; it must be one of {', '.join(KINDS)}{nearest(str(job), KINDS)}"), "job")
            return
        fields = by_flag(kind)
        given = {name: value for name, value in self.defaults.items() if name in OWN or name in fields} | dict(table)
        values: dict[str, Any] = {}
        for key, value in given.items():
            if key not in OWN and key not in fields:
                wrong(UsageError(f"{key!r} is no option of {job}{_meant(key, fields)}"), key)
            elif key not in OWN:
                try:
                    values[fields[key]] = self._placed(fields[key], from_file(kind, fields[key], value))
                except UsageError as error:
                    wrong(error, key)
        for key, fits, wanted in (
            ("name", _is_text, "a text"),
            ("content", _are_texts, "a file, a pattern or a list of them"),
            ("styles", _are_texts, "a file or a list of files"),
            ("output", _are_texts, "a file or a list of files"),
            ("preset", _is_text, "the name of one"),
            *((key, _is_switch, "true or false") for key in ("keep-job", "yes")),
        ):
            if key in given and not fits(given[key]):
                wrong(UsageError(f"{key} is {given[key]!r:.40}; it must be {wanted}"), key)
        for key in ("content", "styles", "output"):
            if key not in given and not (key == "styles" and job == "sheet"):
                wrong(UsageError(f"no {key} is given; a job names its content, its styles and its output"))
        if len(self.troubles) > before:
            return
        try:
            preset = given.get("preset")
            settings = kind.preset(preset, **values) if preset else kind(**values)  # type: ignore[attr-defined]
            self.jobs += self._jobs(given, line, job, settings)  # type: ignore[arg-type]
        except VidstyleError as error:
            wrong(error)

    def _jobs(self, given: Mapping[str, Any], line: int, kind: Job, settings: PaintingSettings) -> Iterator[JobTable]:
        """A job for each content. Raises `UsageError` and `MediaError`."""
        contents = [*self._contents(_listed(given["content"]))]
        patterns, group = _listed(given["output"]), given.get("name", "")
        if len(contents) > 1 and (one := next((one for one in patterns if "{name}" not in one), None)):
            raise UsageError(
                f"{len(contents)} contents would be painted to one output {one}; write {{name}} where the name of each "
                f"goes, like {{name}}{Path(one).suffix}"
            )
        for content in contents:
            name = group if group and len(contents) == 1 else Path(content).stem or "job"
            companions = {
                companion: file.replace("{name}", name)
                for companion in FILES
                if (file := getattr(settings, companion, None))
            }
            yield JobTable(
                line=line,
                name=name,
                group=group,
                kind=kind,
                content=content,
                styles=tuple(self._file(style) for style in _listed(given.get("styles", []))),
                outputs=tuple(self._file(output.replace("{name}", name)) for output in patterns),
                settings=dataclasses.replace(settings, **companions),
                keep_job=given.get("keep-job", False),
                overwrite=given.get("yes", False),
            )

    def _contents(self, patterns: Sequence[str]) -> Iterator[str]:
        for pattern in patterns:
            path = self._file(pattern)
            if not WILD.search(pattern) or os.path.exists(path):
                yield path
                continue
            folder = glob.escape(f"{self.folder}{os.sep}") if not os.path.isabs(pattern) else ""
            found = sorted(glob.glob(f"{folder}{pattern}", recursive=True))
            found = [os.path.normpath(one) for one in found if os.path.abspath(one) not in self.made]
            if not found:
                raise MediaError(f"no file matches {path}; mend the pattern")
            yield from found

    def _placed(self, name: str, value: Any) -> Any:
        """A setting that names a file, as seen from the working folder."""
        if name in NAMING and _are_texts(value):
            return renamed_files(name, value, self._file)
        if name in (*READ, *FILES) and isinstance(value, str) and value not in WORDS.get(name, ()):
            return self._file(value)
        return value

    def _file(self, name: str) -> str:
        """A file that the TOML names as seen from its folder; a slash at the end of a folder stays."""
        slash = "/" if name.endswith(("/", os.sep)) else ""
        return os.path.normpath(self.folder / name) + slash


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _are_texts(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list | tuple) and bool(value) and all(map(_is_text, value)))


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _meant(key: str, fields: Mapping[str, str]) -> str:
    """What an unknown option may be: one of other jobs, or the nearest."""
    if others := [job for job, kind in KINDS.items() if key in by_flag(kind)]:
        return f", but of {' and '.join(others)}"
    return nearest(key.removeprefix("--").replace("_", "-"), [*fields, *OWN]) or "; the --help of that command has all"


def _sets(line: str, key: str) -> bool:
    """Whether a line of TOML gives `key` a value."""
    return re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line) is not None

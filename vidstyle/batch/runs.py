"""The jobs of a batch: checked in full before the first is painted, and painted as far as something has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vidstyle import api
from vidstyle.api import RunOptions
from vidstyle.batch.records import Records
from vidstyle.batch.tables import JobTable, Trouble, read_tables
from vidstyle.errors import UsageError, VidstyleError
from vidstyle.jobs.dependencies import dependencies
from vidstyle.jobs.folder.opening import folder_of
from vidstyle.jobs.output.export import files_read
from vidstyle.settings import Job
from vidstyle.settings.texts import nearest, renamed_files
from vidstyle.system.version import __version__

FUNCTIONS: dict[Job, Callable[..., Path]] = {
    "video": api.stylize_video,
    "balance": api.animate_balance,
    "image": api.stylize_image,
    "sheet": api.make_sheet,
}


class Batch:
    """The jobs of a TOML file; the constructor reads and checks all, and paints nothing.

    Args:
        only: names of jobs, or patterns of names: no others are painted, but those whose outputs they read.
        overwrite: replace outputs that are there and that no earlier call of this batch made.

    Attributes:
        jobs: those that can be painted, in the order in which they are.
        troubles: why others cannot, by the lines of the file.

    Raises:
        UsageError: the file is no TOML, has no job, or none that `only` names.
        VidstyleError: the file cannot be read, or the records beside it cannot be kept.
    """

    def __init__(self, file: Path, only: Sequence[str] = (), *, overwrite: bool = False) -> None:
        self._records, self._overwrite = Records(file), overwrite
        tables, self.troubles = read_tables(file, self._records.made)
        tables = self._apart(tables)
        self._makers = {_place(one): table for table in tables for one in table.written}
        ordered = self._ordered(tables)
        self.jobs = [table for table in ordered if table in self._chosen(ordered, only)]
        if only:
            self.troubles = [trouble for trouble in self.troubles if _named(trouble.name, "", only)]
        self._depends: dict[JobTable, str] = {}
        self._failed: dict[JobTable, type[VidstyleError]] = {}
        self._check()
        self.troubles.sort(key=lambda trouble: trouble.line)
        if self.jobs:
            self._records.require_writable()

    def awaited(self, job: JobTable) -> list[JobTable]:
        """The jobs whose outputs it reads."""
        read = [job.content, *job.styles, *files_read(job.settings)]
        found = [self._makers[place] for file in read if (place := _place(file)) in self._makers]
        return [maker for maker in dict.fromkeys(found) if maker != job]

    def is_due(self, job: JobTable) -> bool:
        """Whether there is something to paint: an output is missing, or something that it depends on has changed."""
        record = self._records.of(job.outputs[0])
        if job not in self._depends and any(map(self.is_due, self.awaited(job))):
            return True
        same = record is not None and record.complete and record.depends == self._known(job)
        return not (same and all(self._records.is_made(file, record) for file in job.written))

    def paint(self, job: JobTable, **told: Any) -> None:
        """Paint a job, and note that it is done.

        Args:
            told: the callbacks of `RunOptions`, and its `threads`.

        Raises `VidstyleError` as the functions of `api` do.
        """
        run = dataclasses.replace(self.begin(job), **told)
        try:
            FUNCTIONS[job.kind](job.content, list(job.styles), list(job.outputs), job.settings, run)
        except Exception as error:
            self.fail(job, error)
            raise
        self.finish(job)

    def begin(self, job: JobTable) -> RunOptions:
        """Note that a job starts: how it is to be painted. Raises `VidstyleError` if it cannot be."""
        try:
            if lost := next((maker for maker in self.awaited(job) if maker in self._failed), None):
                raise self._failed[lost](
                    f"the job at line {lost.line}, whose output it reads, has failed; mend that first"
                )
            first, depends, record = job.outputs[0], self._known(job), self._records.of(job.outputs[0])
            run = self.run_options(job)
            # What an interrupted call has painted of something else is of no use.
            restart = record is not None and record.depends != depends and folder_of(Path(first)).exists()
            self._records.start(first, depends)
            return dataclasses.replace(run, restart=restart)
        except Exception as error:
            self.fail(job, error)
            raise

    def finish(self, job: JobTable) -> None:
        """Note that a job is painted."""
        self._records.finish(job.outputs[0], self._known(job), job.written)

    def fail(self, job: JobTable, error: Exception) -> None:
        """Note that a job has failed: what reads its outputs fails, too."""
        self._failed[job] = type(error) if isinstance(error, VidstyleError) else VidstyleError

    def rounds(self) -> list[list[JobTable]]:
        """The jobs in groups of which each reads the outputs of earlier ones only."""
        found: dict[JobTable, int] = {}
        for job in self.jobs:
            found[job] = max((found[maker] + 1 for maker in self.awaited(job) if maker in found), default=0)
        return [
            [job for job in self.jobs if found[job] == number] for number in range(max(found.values(), default=-1) + 1)
        ]

    def _known(self, job: JobTable) -> str:
        """The hash of all that the outputs of a job depend on. Raises `VidstyleError` if the job cannot be painted."""
        if job not in self._depends:
            run = self.run_options(job)
            found = dependencies(job.content, job.styles, list(job.outputs), job.settings, run)
            self._depends[job] = _hash(job, found)
        return self._depends[job]

    def run_options(self, job: JobTable) -> RunOptions:
        """What an earlier call of this batch has made is painted anew; what somebody else made stays."""
        record, there = self._records.of(job.outputs[0]), [file for file in job.written if os.path.lexists(file)]
        ours = bool(there) and all(self._records.is_made(file, record) for file in there)
        return RunOptions(overwrite=ours or job.overwrite or self._overwrite, keep_job=job.keep_job)

    def _check(self) -> None:
        """Find out which jobs cannot be painted; of one that reads another's output, when that is up to date."""
        good: list[JobTable] = []
        for job in self.jobs:
            makers = self.awaited(job)
            try:
                if lost := next((maker for maker in makers if maker not in good), None):
                    raise UsageError(f"it reads an output of the job at line {lost.line}, which cannot be painted")
                if not any(map(self.is_due, makers)):
                    self._known(job)
            except VidstyleError as error:
                self.troubles.append(Trouble(job.line, job.name, error))
            else:
                good.append(job)
        self.jobs = good

    def _apart(self, tables: Sequence[JobTable]) -> list[JobTable]:
        """Those whose outputs no other one before them makes."""
        taken: dict[str, JobTable] = {}
        good = []
        for table in tables:
            places = [_place(one) for one in table.written]
            twice = next((number for number, place in enumerate(places) if place in taken), None)
            if twice is None:
                taken |= dict.fromkeys(places, table)
                good.append(table)
                continue
            error = UsageError(
                f"its output {table.written[twice]} is that of the job at line {taken[places[twice]].line}, too; give "
                "each its own"
            )
            self.troubles.append(Trouble(table.line, table.name, error))
        return good

    def _ordered(self, tables: Sequence[JobTable]) -> list[JobTable]:
        """In the order of the file, but what reads the output of another after that. What reads its own is refused."""
        ordered: list[JobTable] = []

        def add(table: JobTable, waiting: tuple[JobTable, ...] = ()) -> bool:
            if table in ordered:
                return True
            if table in waiting or not all(add(maker, (*waiting, table)) for maker in self.awaited(table)):
                return False
            ordered.append(table)
            return True

        for table in tables:
            if not add(table):
                error = UsageError("it reads an output of a job that waits for its own; let one of them read a file")
                self.troubles.append(Trouble(table.line, table.name, error))
        return ordered

    def _chosen(self, tables: Sequence[JobTable], only: Sequence[str]) -> Collection[JobTable]:
        """Those that `only` names, and what they read."""
        if not only:
            return tables
        names = {name for one in tables for name in (one.name, one.group) if name}
        names |= {trouble.name for trouble in self.troubles if trouble.name}
        for pattern in only:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(f"no job is called {pattern!r}{nearest(pattern, names)}; there are: {_list(names)}")
        chosen = [table for table in tables if _named(table.name, table.group, only)]
        for table in chosen:  # grows meanwhile
            chosen += [maker for maker in self.awaited(table) if maker not in chosen]
        return chosen


def _named(name: str, group: str, only: Sequence[str]) -> bool:
    return any(fnmatchcase(one, pattern) for one in (name, group) if one for pattern in only)


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _place(file: str) -> str:
    """A file by one name, whatever it is called."""
    return os.path.normcase(os.path.realpath(file))


def _hash(job: JobTable, found: Mapping[str, str]) -> str:
    """SHA-256 of what the outputs depend on: what is in the files that are read, what they are called, and the rest."""
    read = {os.path.basename(file) for file in files_read(job.settings)}
    settings = {name: value for name, value in vars(job.settings).items() if value not in files_read(job.settings)}
    settings = {name: renamed_files(name, value, os.path.basename) for name, value in settings.items()}
    known = {
        "vidstyle": __version__,
        "job": job.kind,
        "names": [os.path.basename(os.path.normpath(file)) for file in (job.content, *job.styles, *job.written)],
        "settings": {name: value for name, value in settings.items() if name not in ("poster", "figure")},
        "read": sorted(read),
        "hashes": dict(found),
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()

"""The jobs of a batch on workers: each is painted by a process of this machine, as a command of its own would."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from vidstyle.api import RunOptions
from vidstyle.batch.runs import FUNCTIONS, Batch
from vidstyle.batch.tables import JobTable
from vidstyle.errors import VidstyleError
from vidstyle.executors.dispatch import Do, dispatch
from vidstyle.executors.processes import Processes
from vidstyle.executors.worker import portable
from vidstyle.system import signals

Ended = Callable[[JobTable, Sequence[str], Exception | None], None]  # a job, its notes, and why it failed
DEATHS = 2  # of workers, after which a job has failed


@dataclass(frozen=True)
class JobUnit:
    """A job that is to be painted."""

    job: JobTable
    run: RunOptions

    size: float = 1.0  #: nobody has measured them: they start in their order

    @property
    def place(self) -> str:
        """What is painted, in words."""
        return f"in the job at line {self.job.line}"


@dataclass(frozen=True)
class JobWork:
    """What the jobs of a batch have in common."""

    threads: int
    files: Sequence[str] = ()

    def moved(self, place: Callable[[str], str]) -> JobWork:
        """Jobs of a batch stay on this machine."""
        return self

    def begin(self) -> tuple[str, Do]:
        """On a worker: what paints a job. A signal ends it as it ends a command, without a part of an output."""
        signals.install()
        torch.set_num_threads(self.threads)
        return "", _painted


def _painted(unit: JobUnit) -> Iterator[tuple[list[str], Exception | None]]:
    """Paint a job: its notes, and what it raised."""
    notes = _Notes()
    logger = logging.getLogger("vidstyle")
    logger.addHandler(notes)
    job, failed = unit.job, None
    try:
        FUNCTIONS[job.kind](job.content, list(job.styles), list(job.outputs), job.settings, unit.run)
    except Exception as error:
        failed = portable(error)
    finally:
        logger.removeHandler(notes)
    yield notes.told, failed


class _Notes(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@dataclass
class _Keeper:
    batch: Batch
    ended: Ended
    done: set[JobTable] = field(default_factory=set)
    deaths: Counter[JobTable] = field(default_factory=Counter)

    def ready(self, device: str) -> None:
        pass

    def keep(self, unit: JobUnit, item: tuple[list[str], Exception | None]) -> None:
        notes, error = item
        self._end(unit.job, notes, error)

    def again(self, unit: JobUnit) -> JobUnit | None:
        self.deaths[unit.job] += 1
        if unit.job in self.done:
            return None
        if self.deaths[unit.job] == DEATHS:
            self._end(unit.job, [], VidstyleError(f"{DEATHS} workers have died while they painted it"))
            return None
        return unit

    def in_flight(self, units: int) -> None:
        pass

    def _end(self, job: JobTable, notes: Sequence[str], error: Exception | None) -> None:
        self.done.add(job)
        if error is None:
            self.batch.finish(job)
        else:
            self.batch.fail(job, error)
        self.ended(job, notes, error)


def paint_at_once(batch: Batch, jobs: Sequence[JobTable], count: int, threads: int, ended: Ended) -> None:
    """Paint jobs that do not read each other's outputs, `count` at a time.

    Args:
        threads: of torch, for each.
        ended: called when a job has ended.
    """
    units = []
    for job in jobs:
        try:
            units.append(JobUnit(job, batch.begin(job)))
        except VidstyleError as error:
            ended(job, [], error)
    with Processes(JobWork(threads), count, [{"OMP_NUM_THREADS": str(threads)}]) as workers:
        dispatch(workers, units, _Keeper(batch, ended))

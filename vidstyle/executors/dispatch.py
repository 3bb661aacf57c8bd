"""Gives units of work to workers, the longest first, and takes the items that come back, one by one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from vidstyle.errors import VidstyleError

DEATHS = 3  # of workers at one place, or before they had one while no item came: more would die there, too
BEFORE = "before the first frame"
LOG = 2000  # characters at the end of a dead worker's log that are shown

Kind = Literal["ready", "item", "end", "error", "died"]
Do = Callable[[Any], Iterator[Any]]


class Work(Protocol):
    """What all units of a job have in common. It travels to each worker once, by pickle."""

    @property
    def files(self) -> Sequence[str]:
        """Absolute paths of the files that it reads on a worker."""
        ...

    def moved(self, place: Callable[[str], str]) -> Work:
        """The same for a machine where its files, and folders of them, lie where `place` says."""
        ...

    def begin(self) -> tuple[str, Do]:
        """Prepare, on the worker: the name of its device, and the function that does a unit, item by item."""
        ...


class Unit(Protocol):
    """A part of a job that needs none of the others. It travels to a worker by pickle."""

    @property
    def size(self) -> float:
        """How long it takes, in any measure."""
        ...

    @property
    def place(self) -> str:
        """Where its next item lies, in words: a unit that is started anew from there has the same."""
        ...


@dataclass(frozen=True)
class Event:
    """What a worker has told, or that it has died."""

    worker: int  #: its number
    kind: Kind
    value: Any = None  #: of ready, the name of the device; an item; an exception; of a death, the worker's log


class Workers(Protocol):
    """The workers of one job, by their numbers; a context manager that ends them all."""

    count: int  #: how many there may be at once

    def start(self, number: int) -> None:
        """Start the worker of a number, which is not running."""
        ...

    def give(self, number: int, unit: Unit) -> None:
        """Have a worker, which waits, do a unit."""
        ...

    def next(self) -> Event:
        """What happens next. Waits for it."""
        ...


class Keeper(Protocol):
    """Where the items of units go."""

    def ready(self, device: str) -> None:
        """A worker on this device takes units from now on. May refuse it with an exception."""
        ...

    def keep(self, unit: Any, item: Any) -> None:
        """Keep the next item of a unit."""
        ...

    def again(self, unit: Any) -> Any | None:
        """What is left of a unit whose worker has died; None if nothing is."""
        ...

    def in_flight(self, units: int) -> None:
        """So many units are being done."""
        ...


def dispatch(workers: Workers, units: Sequence[Unit], keeper: Keeper) -> None:
    """Do all units.

    Raises:
        VidstyleError: workers have died at one place again and again. What the work itself raises is raised as it is,
            and nothing of it is done again.
    """
    waiting = deque(sorted(units, key=lambda unit: -unit.size))
    doing: dict[int, Unit | None] = {}
    idle: set[int] = set()
    deaths: Counter[str] = Counter()

    def advance(number: int) -> None:
        idle.discard(number)
        if waiting:
            doing[number] = unit = waiting.popleft()
            workers.give(number, unit)
        else:
            doing[number] = None
            idle.add(number)

    for number in range(min(workers.count, len(waiting))):
        doing[number] = None
        workers.start(number)
    while waiting or any(doing.values()):
        event = workers.next()
        unit = doing[event.worker]
        if event.kind == "error":
            raise event.value
        if event.kind == "item":
            keeper.keep(unit, event.value)
            del deaths[BEFORE]
            continue
        if event.kind == "ready":
            keeper.ready(event.value)
        if event.kind == "died":
            rest = None if unit is None else keeper.again(unit)
            place = BEFORE if rest is None else rest.place
            if rest is not None or (unit is None and event.worker not in idle):
                deaths[place] += 1
            if deaths[place] == DEATHS:
                raise VidstyleError(_told(place, event.value))
            if rest is not None:
                waiting.appendleft(rest)
            doing[event.worker] = None
            idle.discard(event.worker)
        else:
            advance(event.worker)
        while waiting and idle:  # what is started anew, while others have nothing to do
            advance(idle.pop())
        if event.kind == "died" and waiting:
            workers.start(event.worker)
        keeper.in_flight(sum(one is not None for one in doing.values()))


def _told(place: str, log: str) -> str:
    ending = log.strip()[-LOG:]
    return f"{DEATHS} workers have died {place}, so the job has stopped; the same command goes on. " + (
        f"The last one's log ends with:\n{ending}" if ending else "The last one has left no log"
    )

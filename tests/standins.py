"""Work for executors that paints nothing: units of numbers, and places where a worker dies or fails."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vidstyle.errors import MediaError
from vidstyle.jobs.folder.journal import Entry
from vidstyle.jobs.folder.painted import Painted


@dataclass(frozen=True)
class Numbers:
    """A unit: the numbers from `start` until before `end`."""

    name: str
    start: int
    end: int

    @property
    def size(self) -> float:
        return self.end - self.start

    @property
    def place(self) -> str:
        return f"at {self.name} {self.start}"


@dataclass(frozen=True)
class Counting:
    """Work that gives back the numbers of a unit, each with that of its process.

    What it begins to do it notes in `folder`, by lines like "a 3 1234": the unit, the number and the process.
    """

    folder: Path
    dies_at: tuple[str, ...] = ()  #: places, like "a 3": the worker kills itself there, as often as they are given
    fails: str = ""  #: at this place it raises an error of ours, or "bug at ..." another
    device: str = "stand-in"
    fails_to_begin: bool = False
    payload: int = 0  #: bytes that go with each number
    files: tuple[str, ...] = ()  #: that it reads when it begins

    def moved(self, place):
        return dataclasses.replace(self, files=tuple(map(place, self.files)))

    def begin(self):
        if self.fails_to_begin:
            raise MediaError("it cannot begin")
        if self.files:
            return " ".join(Path(file).read_text() for file in self.files), self._do
        return self.device, self._do

    def _do(self, unit: Numbers) -> Iterator[tuple[str, int, int, bytes]]:
        for number in range(unit.start, unit.end):
            place = f"{unit.name} {number}"
            with open(self.folder / "begun", "a") as file:
                file.write(f"{place} {os.getpid()}\n")
            if begun(self.folder).count(place) <= self.dies_at.count(place):
                print("these are its last words", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fails == place:
                raise MediaError(f"{place} is damaged")
            if self.fails == f"bug at {place}":
                raise KeyError(place)
            yield unit.name, number, os.getpid(), bytes(self.payload)


def begun(folder: Path) -> list[str]:
    """The places that were begun, in order of time."""
    file = folder / "begun"
    return [line.rpartition(" ")[0] for line in file.read_text().splitlines()] if file.exists() else []


@dataclass
class Kept:
    """Where items go: the last number of each unit."""

    items: list[tuple[str, int]] = field(default_factory=list)
    processes: set[int] = field(default_factory=set)
    devices: list[str] = field(default_factory=list)
    flights: list[int] = field(default_factory=list)
    refuses: str = ""  #: a device

    def ready(self, device: str) -> None:
        if device == self.refuses:
            raise MediaError(f"no {device}")
        self.devices.append(device)

    def keep(self, unit: Numbers, item: tuple[str, int, int, bytes]) -> None:
        assert item[0] == unit.name
        self.items.append(item[:2])
        self.processes.add(item[2])

    def again(self, unit: Numbers) -> Numbers | None:
        start = max((number + 1 for name, number in self.items if name == unit.name), default=unit.start)
        return Numbers(unit.name, start, unit.end) if start < unit.end else None

    def in_flight(self, units: int) -> None:
        self.flights.append(units)


@dataclass(frozen=True)
class Painting:
    """Work that gives back frames as a worker paints them, of random bytes."""

    size: int  #: bytes of a picture; its state has four times as many
    files: tuple[str, ...] = ()

    def moved(self, place):
        return self

    def begin(self):
        return "stand-in", self._do

    def _do(self, unit) -> Iterator[Painted]:
        for index in range(unit.start, unit.end):
            picture, state = os.urandom(self.size), os.urandom(4 * self.size)
            hashes = [hashlib.sha256(data).hexdigest() for data in (picture, state)]
            yield Painted(Entry(index, {"total": 1.0}, 1, 0.1, hashes[0], hashes[1], "stand-in"), picture, state)

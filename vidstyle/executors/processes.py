"""Workers that are processes on this machine."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self, cast

from vidstyle.errors import VidstyleError
from vidstyle.executors.dispatch import Event, Unit, Work
from vidstyle.system import environment
from vidstyle.system.files import message_file, messages_in

CLEAN_UP = 3.0  # seconds that workers may take to clean up
# Modules are found where this process finds them, and nowhere else: not in the current folder.
BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from vidstyle.executors.worker import main; main()"


class Processes:
    """Processes of this machine as workers.

    Each is in a session of its own, so that Ctrl-C reaches only us, who then end it. Should we be killed, its standard
    input ends, and so it ends, too. Its log is a file without a name.

    Args:
        work: that they do.
        count: how many at once.
        environments: what each has in its environment besides ours, in turn.
    """

    def __init__(self, work: Work, count: int, environments: Sequence[Mapping[str, str]] = ({},)) -> None:
        self.count, self._environments = count, environments
        self._work = pickle.dumps(work)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._running: dict[int, _Process] = {}

    def start(self, number: int) -> None:
        """Start the worker of a number. Raises `VidstyleError` if the system lets no process start."""
        if number in self._running:
            self._running.pop(number).end(0)
        added = self._environments[number % len(self._environments)]
        self._running[number] = _Process(number, self._work, added, self._events)

    def give(self, number: int, unit: Unit) -> None:
        """Have a worker do a unit. One that has died says so by the next event."""
        with suppress(OSError):
            self._running[number].send(pickle.dumps(unit))

    def next(self) -> Event:
        """What happens next. Waits for it."""
        event = self._events.get()
        if event.kind in ("item", "end") and (process := self._running.get(event.worker)) is not None:
            process.heard.release()
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            process.ask()
        last = time.monotonic() + CLEAN_UP
        for process in self._running.values():
            process.end(max(last - time.monotonic(), 0))


class _Process:
    """A running worker, and the thread that hears it."""

    def __init__(self, number: int, work: bytes, added: Mapping[str, str], events: queue.SimpleQueue[Event]) -> None:
        environment.tidy()
        command = [sys.executable, "-P", "-c", BEGIN, *filter(os.path.isabs, sys.path)]
        self._log = message_file()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,
                env={**os.environ, **added},
            )
        except OSError as error:
            self._log.close()
            raise VidstyleError(f"a worker cannot be started ({error}); give fewer --workers") from error
        self.heard = threading.Semaphore(1)  # a message waits here, the next in the pipe: the worker waits, too
        self._ends = False
        self._thread = threading.Thread(target=self._hear, args=(number, events), name=f"worker-{number}", daemon=True)
        self._thread.start()
        try:
            with suppress(OSError):  # it has died already: the thread hears that
                self.send(work)
        except BaseException:
            self.end(0)
            raise

    def send(self, data: bytes) -> None:
        """Raises `OSError` if it has died."""
        stdin = cast(IO[bytes], self._process.stdin)
        stdin.write(data)
        stdin.flush()

    def ask(self) -> None:
        """Ask it to end: one that has something to clean up does so, others end at once. Harmless when it has ended."""
        self._ends = True
        self._process.terminate()
        self.heard.release()

    def end(self, seconds: float) -> None:
        """Wait so long until it has ended, then end it; and its thread, too."""
        self.ask()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                cast(IO[bytes], stream).close()
        self._log.close()

    def _hear(self, number: int, events: queue.SimpleQueue[Event]) -> None:
        """Put what it tells among the events, and at last its death."""
        try:
            while not self._ends:
                kind, value = cast(tuple[Any, Any], pickle.load(cast(IO[bytes], self._process.stdout)))
                if kind in ("item", "end"):
                    self.heard.acquire()
                events.put(Event(number, kind, value))
        except Exception:  # it has died, perhaps in the middle of a message
            self._process.kill()
            code = self._process.wait()
            if not self._ends:
                events.put(Event(number, "died", f"{messages_in(self._log)}\n{_ended(code)}"))


def _ended(code: int) -> str:
    if -code == getattr(signal, "SIGKILL", 9):
        return "(ended by signal 9: by somebody, or by the system for lack of memory)"
    return f"(ended by signal {-code})" if code < 0 else f"(ended with exit code {code})"

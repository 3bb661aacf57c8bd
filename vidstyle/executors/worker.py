"""What runs in a worker: it prepares the work once, and then does the units that it is given, item by item."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import IO, Any

from vidstyle.errors import VidstyleError
from vidstyle.executors.dispatch import Do, Kind, Work

Message = tuple[Kind, Any]


def prepared(work: Work) -> tuple[Message, Do | None]:
    """Prepare the work: what is to be told of that, and the function that does a unit, unless it failed."""
    try:
        device, do = work.begin()
    except Exception as error:
        return ("error", portable(error)), None
    return ("ready", device), do


def results(do: Do, unit: Any) -> Iterator[Message]:
    """Do a unit: what is to be told, message by message; the last one is its end or an error."""
    try:
        for item in do(unit):
            yield "item", item
    except Exception as error:
        yield "error", portable(error)
    else:
        yield "end", None


def portable(error: Exception) -> Exception:
    """An exception that another process can raise: one of ours as it is; of a bug, with where it happened."""
    if isinstance(error, VidstyleError | MemoryError):
        return type(error)(str(error))
    shown = "".join(traceback.format_exception(error)).rstrip()
    return RuntimeError(f"in a worker: {type(error).__name__}: {error}\n{shown}")


def main() -> None:
    """Do the work that standard input brings, and tell of it on standard output; what libraries print goes to the log.

    When standard input ends, whoever started this process has ended, and it ends, too, whatever it is doing.
    """
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    units: queue.SimpleQueue[Any] = queue.SimpleQueue()
    source = sys.stdin.buffer
    work = pickle.load(source)
    threading.Thread(target=_read, args=(source, units), daemon=True).start()
    message, do = prepared(work)
    _tell(told, message)
    while do is not None:
        for message in results(do, units.get()):
            _tell(told, message)


def _read(source: IO[bytes], units: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            units.put(pickle.load(source))
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)


def _tell(told: IO[bytes], message: Message) -> None:
    try:
        pickle.dump(message, told)
        told.flush()
    except OSError:  # nobody listens any more
        os._exit(0)

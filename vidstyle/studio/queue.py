"""The jobs of the studio: ordinary child processes of `python -m vidstyle`, one at a time, in an order that is kept.

The queue lies in a file, so that it outlives the server; a job that runs when the server dies goes on, and the next
server finds it by its process and its job folder. To stop a job is to interrupt it, and to resume it is to run the
same command again: the job folder keeps what is painted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vidstyle.api import JobStatus, JobWatcher
from vidstyle.errors import UsageError
from vidstyle.studio import texts
from vidstyle.system.files import STAGING, write_whole

State = Literal["waiting", "running", "paused", "stopped", "done", "failed"]

OWN_FOLDER = ".vidstyle-studio"  # below the folder: the queue, and what the jobs have printed
FILE = "queue.json"
FORMAT = "vidstyle-queue-1"
PROGRAM = (sys.executable, "-P", "-m", "vidstyle")  # -P: no module is imported from the folder
PERIOD = 0.3  # seconds between looks at the running process
PATIENCE = 10.0  # seconds after which an interrupted process is terminated
FOLDERLESS = ("encode", "measure")  # jobs without a job folder of their own
SAID = 2000  # letters of what a job has printed that are read


@dataclass(frozen=True)
class Entry:
    """A job in the queue."""

    key: str  #: by which the page names it
    arguments: tuple[str, ...]  #: of the command `vidstyle`
    output: str  #: name of the output in the folder
    job: str  #: kind, or "encode" or "measure"
    command: str  #: to be copied
    python: str = ""  #: to be copied; "" for an encoding
    state: State = "waiting"
    pid: int = 0  #: of the process that runs, or ran last
    message: str = ""  #: why it failed, or what an encoding gave up
    of: str = ""  #: key of the job that is encoded or measured

    @property
    def over(self) -> bool:
        """Whether it does not wait or run."""
        return self.state in ("stopped", "done", "failed")


class Queue:
    """The jobs, in order; `start` begins to run them in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = 0  #: grows with every change
        self._own = folder / OWN_FOLDER
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted: tuple[str, float] | None = None  # key of the job that was asked to stop, and when
        self._entries: list[Entry] = self._read()
        self._watchers: dict[str, JobWatcher] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vidstyle-queue", daemon=True)

    def start(self) -> None:
        """Look after what runs, and run what waits."""
        with self._lock:
            for entry in self._entries:
                if entry.state == "running" and not self._lives(entry):
                    self._change(entry.key, state="done" if self._made(entry) else "waiting", pid=0)
        self._thread.start()

    def close(self) -> None:
        """Run nothing more; what runs goes on without the studio."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def entries(self) -> list[Entry]:
        """The jobs in their order."""
        with self._lock:
            return list(self._entries)

    def __getitem__(self, key: str) -> Entry:
        """Raises `KeyError` for a job that is not there."""
        with self._lock:
            for entry in self._entries:
                if entry.key == key:
                    return entry
        raise KeyError(key)

    def add(
        self, arguments: Sequence[str], output: str, job: str, command: str, python: str = "", of: str = ""
    ) -> Entry:
        """Put a job at the end."""
        entry = Entry(secrets.token_hex(6), tuple(arguments), output, job, command, python, of=of)
        with self._lock:
            self._entries.append(entry)
            self._write()
        return entry

    def pause(self, key: str) -> None:
        """Interrupt a job; nothing else is run until it is resumed."""
        self._interrupt(key, "paused")

    def stop(self, key: str) -> None:
        """Interrupt a job, and go on with the next."""
        self._interrupt(key, "stopped")

    def resume(self, key: str) -> None:
        """Let a job run that was paused, stopped or failed."""
        with self._lock:
            if self[key].state in ("paused", "stopped", "failed"):
                self._change(key, state="waiting", message="")

    def move_up(self, key: str) -> None:
        """Let a job run before the one that it follows."""
        with self._lock:
            place = self._entries.index(self[key])
            if place:
                self._entries.insert(place - 1, self._entries.pop(place))
                self._write()

    def remove(self, key: str) -> None:
        """Take a job that does not run off the list; its files stay."""
        with self._lock:
            entry = self[key]
            if entry.state != "running":
                self._entries.remove(entry)
                self._watchers.pop(key, None)
                self._write()

    def watcher(self, key: str) -> JobWatcher:
        """Of the job folder of a job. Raises `KeyError`."""
        entry = self[key]
        if key not in self._watchers:
            self._watchers[key] = JobWatcher(self.folder / f"{entry.output}.job")
        return self._watchers[key]

    def status(self, key: str) -> JobStatus:
        """How far a job is. Raises `KeyError`."""
        return self.watcher(key).status()

    def _interrupt(self, key: str, state: State) -> None:
        with self._lock:
            entry = self[key]
            if entry.state == "waiting":
                self._change(key, state=state)
            elif entry.state == "running":
                self._interrupted = key, time.monotonic()
                self._change(key, state=state)
                _send(entry.pid, _interruption())
            elif entry.state == "paused":
                self._change(key, state=state)

    def _run(self) -> None:
        while not self._closing.wait(PERIOD):
            with self._lock:
                self._look()

    def _look(self) -> None:
        """See whether the running job has ended, and start the next one."""
        busy = next((entry for entry in self._entries if entry.pid), None)
        if busy is not None:
            if self._lives(busy):
                self._insist(busy)
                return
            self._ended(busy)
        if any(entry.state == "paused" for entry in self._entries):
            return
        if (ready := next((entry for entry in self._entries if entry.state == "waiting"), None)) is not None:
            self._begin(ready)

    def _begin(self, entry: Entry) -> None:
        self._own.mkdir(exist_ok=True)
        words = [*PROGRAM, *entry.arguments]
        options: dict[str, Any] = {"start_new_session": True}  # signals to the server are not for its jobs
        if os.name == "nt":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined,unused-ignore]
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        try:
            with open(self._log(entry), "wb") as log:
                self._process = subprocess.Popen(
                    words,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=environment,
                    **options,
                )
        except OSError as error:
            self._change(entry.key, state="failed", message=str(error))
            return
        self._change(entry.key, state="running", pid=self._process.pid, message="")

    def _ended(self, entry: Entry) -> None:
        """Keep how a job has ended."""
        code = self._process.returncode if self._process is not None else None
        self._process, self._interrupted = None, None
        made = code == 0 if code is not None else self._made(entry)
        if made:
            self._change(entry.key, state="done", pid=0, message=self._gave_up(entry))
        elif entry.state == "running":
            said = self._said(entry) or texts.INTERRUPTED
            self._change(entry.key, state="failed", pid=0, message=said)
        else:
            self._change(entry.key, pid=0)

    def _insist(self, entry: Entry) -> None:
        """Terminate a process that does not heed its interruption."""
        key, since = self._interrupted or ("", 0.0)
        if key == entry.key and time.monotonic() - since > PATIENCE:
            _send(entry.pid, signal.SIGTERM)
            self._interrupted = key, time.monotonic()

    def _lives(self, entry: Entry) -> bool:
        if self._process is not None and self._process.pid == entry.pid:
            return self._process.poll() is None
        if self.watcher(entry.key).status().running:
            return True
        return bool(entry.pid) and _is_ours(entry.pid, entry.output)

    def _made(self, entry: Entry) -> bool:
        """Whether a job whose end was not seen has made its output."""
        if not (self.folder / entry.output).exists():
            return False
        status = self.status(entry.key)
        return entry.job in FOLDERLESS or status.phase in ("finished", "gone")

    def _gave_up(self, entry: Entry) -> str:
        """What an encoding of limited size says of itself."""
        with contextlib.suppress(OSError):
            for line in self._log(entry).read_text("utf-8", "replace").splitlines():
                if line.startswith(f"{entry.output}: ") and "; gave up: " in line:
                    return line.removeprefix(f"{entry.output}: ")
        return ""

    def size(self, key: str) -> int:
        """Bytes of the output of a job: as it is made, the last that was tried so far; 0 if there is none."""
        entry = self[key]
        own = [self.folder / entry.output]
        if entry.state == "running":
            suffix = Path(entry.output).suffix
            tried = self.folder.glob(f"{STAGING}*/trial{suffix}")
            own = [*tried, *self.folder.glob(f"{STAGING}*/{glob.escape(entry.output)}")]
        for path in own:
            with contextlib.suppress(OSError):
                return path.stat().st_size
        return 0

    def _said(self, entry: Entry) -> str:
        """The last sentence that a job has printed."""
        with contextlib.suppress(OSError):
            text = self._log(entry).read_bytes()[-SAID:].decode("utf-8", "replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            told = [line for line in lines if line.startswith("vidstyle: ")] or lines
            return told[-1].removeprefix("vidstyle: ") if told else ""
        return ""

    def _log(self, entry: Entry) -> Path:
        return self._own / f"{entry.key}.log"

    def _change(self, key: str, **changes: Any) -> None:
        with self._lock:
            place = self._entries.index(self[key])
            self._entries[place] = dataclasses.replace(self._entries[place], **changes)
            self._write()

    def _write(self) -> None:
        self.version += 1
        self._own.mkdir(exist_ok=True)
        found = {"format": FORMAT, "entries": [dataclasses.asdict(entry) for entry in self._entries]}
        write_whole(self._own / FILE, json.dumps(found, indent=1))

    def _read(self) -> list[Entry]:
        """The queue as it was left. Raises `UsageError` if the file is damaged."""
        path = self._own / FILE
        try:
            found = json.loads(path.read_bytes())
            if found["format"] != FORMAT:
                raise ValueError(f"it is of format {found['format']}")
            entries = [Entry(**{**one, "arguments": tuple(one["arguments"])}) for one in found["entries"]]
            if any(entry.state not in get_args(State) for entry in entries):
                raise ValueError("a state in it is unknown")
            return entries
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise UsageError(f"{path} cannot be read ({error}); remove it to begin with an empty queue") from error


def _interruption() -> int:
    """The signal that stops a job: what Ctrl-C sends, unless the studio, and so its jobs, were told to ignore it."""
    if os.name == "nt":
        return signal.CTRL_BREAK_EVENT  # type: ignore[attr-defined,no-any-return,unused-ignore]
    return signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):  # it has just ended
        os.kill(pid, number)


def _is_ours(pid: int, output: str) -> bool:
    """Whether a process of an earlier server is a job with this output; no, where that is not known."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"vidstyle" in words and os.fsencode(output) in words

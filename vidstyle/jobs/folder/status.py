"""The progress of a job, read from its folder without a lock: for those who watch a job that another process paints."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from vidstyle.errors import JobError, MediaError
from vidstyle.jobs.folder.growing import GROWING
from vidstyle.jobs.folder.journal import Entry
from vidstyle.jobs.folder.layout import FRAME, JOURNAL, MANIFEST, record_of
from vidstyle.jobs.folder.locks import LEASE, LOCK, OWNER, SIGN, Owner
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.jobs.folder.opening import folder_of
from vidstyle.jobs.folder.records import parsed, read
from vidstyle.media.stills.codecs import decode
from vidstyle.media.stills.transparency import opaque
from vidstyle.system.limits import resident

Phase = Literal["starting", "painting", "encoding", "stopped", "finished", "gone"]

SPAN = 20  # frames over which the rate is measured
LOCK_TABLE = Path("/proc/locks")  # Linux: proc_locks(5)


@dataclass(frozen=True)
class JobStatus:
    """How far a job is."""

    folder: Path
    phase: Phase  #: gone: the folder is not there; of a job that ran, because it is finished
    frames: int = 0  #: of the job; 0 while that is not known
    painted: int = 0  #: frames that are saved
    newest: int | None = None  #: number of the frame that was saved last
    losses: Sequence[float] = field(default_factory=tuple)  #: total loss of the saved frames, in the order of saving
    evaluations: int = 0  #: of the loss, for the newest frame
    fps: float | None = None  #: frames per second that the running process has painted lately
    outputs: tuple[str, ...] = ()  #: that are made, as seen from beside the folder
    manifest: Manifest | None = None
    growing: int = 0  #: changes with the picture of the frame that is being painted; 0 if there is none yet

    memory: int | None = None  #: bytes that the process which works on it has, beside a GPU; None if that is not known

    @property
    def shots(self) -> int:
        """How many shots the clip has; 0 while that is not known."""
        return 0 if self.manifest is None else len(self.manifest.shots) + 1

    @property
    def shot(self) -> int:
        """The number, from 1, of the shot of the frame that was saved last."""
        starts = () if self.manifest is None else self.manifest.shots
        return 1 + sum(start <= (self.newest or 0) for start in starts)

    @property
    def running(self) -> bool:
        """Whether a process works on it."""
        return self.phase in ("starting", "painting", "encoding")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen unless somebody starts a process."""
        return self.phase in ("stopped", "finished", "gone")

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the last frame is painted, at the rate of late; None if that is not known."""
        left = self.frames - self.painted
        return left / self.fps if self.running and self.fps and left > 0 else None


class JobWatcher:
    """Reads the status of one job again and again; of the journal only the lines that are new.

    Nothing is locked or written, so the job is not disturbed. Safe to use from several threads.

    Args:
        job: its folder, OUTPUT.job, or its output.
    """

    def __init__(self, job: str | Path) -> None:
        path = Path(job)
        self.folder = path if path.name.endswith(".job") or (path / MANIFEST).is_file() else folder_of(path)
        self._file: tuple[int, int] | None = None  # device and inode of the journal that was read
        self._offset = 0
        self._losses: dict[int, float] = {}
        self._last: Entry | None = None
        self._manifest: tuple[tuple[int, int], Manifest] | None = None
        self._reading = threading.Lock()

    def require(self) -> None:
        """Raise `JobError` unless there is a job folder."""
        if not (self.folder / MANIFEST).is_file() and not record_of(self.folder).is_file():
            raise JobError(
                f"there is no job folder {self.folder}; it lies beside the first output while a job runs, after an "
                "interruption, and with --keep-job"
            )

    def status(self) -> JobStatus:
        """How far the job is now."""
        with self._reading:
            return self._status()

    def _status(self) -> JobStatus:
        if not self.folder.is_dir():
            return JobStatus(self.folder, "gone", painted=len(self._losses), losses=tuple(self._losses.values()))
        held = is_held(self.folder)  # before the journal is read: what is there afterwards is not less
        manifest = self._read_manifest()
        self._read_journal()
        frames, painted = (manifest.frames if manifest else 0), len(self._losses)
        complete = painted == frames > 0
        outputs = tuple(manifest.made) if manifest else ()
        growing = self._growing_now() if held and not complete else 0
        phase: Phase
        if held:
            phase = "encoding" if complete else "painting" if painted or growing else "starting"
        else:
            phase = "finished" if complete and outputs else "stopped"
        last = self._last
        return JobStatus(
            folder=self.folder,
            phase=phase,
            frames=frames,
            painted=painted,
            newest=None if last is None else last.index,
            losses=tuple(self._losses.values()),
            evaluations=0 if last is None else last.iterations,
            growing=growing,
            memory=owned_memory(self.folder) if held else None,
            fps=self._rate() if held else None,
            outputs=outputs,
            manifest=manifest,
        )

    def picture(self, index: int) -> np.ndarray | None:
        """A saved frame, over white, (H, W, 3) uint8; None if it is not there (any more)."""
        data = self.file(index)
        try:
            return None if data is None else opaque(decode(data))
        except MediaError:
            return None

    def growing(self) -> bytes | None:
        """A JPEG of the frame that is being painted, as far as it is; None if there is none."""
        try:
            return (self.folder / GROWING).read_bytes()
        except OSError:
            return None

    def newest(self, status: JobStatus) -> np.ndarray | None:
        """The picture that has changed last, (H, W, 3) uint8: the frame that is being painted, or was saved last."""
        if status.growing and (data := self.growing()) is not None:
            with suppress(MediaError, OSError):
                return decode(data)
        return None if status.newest is None else self.picture(status.newest)

    def file(self, index: int) -> bytes | None:
        """The PNG of a saved frame; None if it is not there (any more)."""
        try:
            return (self.folder / FRAME.format(index)).read_bytes()
        except OSError:
            return None

    def _growing_now(self) -> int:
        """When the running process has written the picture that grows, in nanoseconds; 0 for never."""
        try:
            when = (self.folder / GROWING).stat().st_mtime_ns
            return when if when >= (self.folder / OWNER).stat().st_mtime_ns else 0
        except OSError:
            return 0

    def _read_manifest(self) -> Manifest | None:
        path = self.folder / MANIFEST
        try:
            stat = path.stat()
            key = (stat.st_ino, stat.st_mtime_ns)
            if self._manifest is None or self._manifest[0] != key:
                self._manifest = key, Manifest.decoded(path.read_bytes())
        except (OSError, ValueError):  # it is just being made or removed, or of another version
            return None if self._manifest is None else self._manifest[1]
        return self._manifest[1]

    def _read_journal(self) -> None:
        try:
            with open(self.folder / JOURNAL, "rb") as file:
                stat = os.fstat(file.fileno())
                if (stat.st_dev, stat.st_ino) != self._file or stat.st_size < self._offset:  # written anew
                    self._file, self._offset, self._last = (stat.st_dev, stat.st_ino), 0, None
                    self._losses.clear()
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return
        end = new.rfind(b"\n") + 1  # a line that is just being written is read later
        self._offset += end
        for line in new[:end].splitlines():
            with suppress(ValueError):
                entry = read(Entry, parsed(line))
                self._losses.pop(entry.index, None)  # a frame that was painted again is the newest
                self._losses[entry.index] = entry.losses.get("total", 0.0)
                self._last = entry

    def _rate(self) -> float | None:
        """Frames per second, by the times of the last files that the running process has saved."""
        latest = list(self._losses)[-SPAN:]
        times = []
        for index in latest:
            with suppress(OSError):
                times.append((self.folder / FRAME.format(index)).stat().st_mtime)
        with suppress(OSError):
            began = (self.folder / OWNER).stat().st_mtime
            times = sorted(time for time in times if time >= began)
        if len(times) > 1 and times[-1] > times[0]:
            return (len(times) - 1) / (times[-1] - times[0])
        return 1 / self._last.seconds if self._last is not None and self._last.seconds > 0 else None


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a job folder. Takes no lock, so that nobody finds it held by us."""
    sign = folder / SIGN
    with suppress(OSError):
        if time.time() - sign.stat().st_mtime < LEASE:
            return True
    try:
        inode = (folder / LOCK).stat().st_ino
        owner = read(Owner, parsed((folder / OWNER).read_bytes()))
    except (OSError, ValueError):
        return False
    if owner.host != socket.gethostname():
        return False
    with suppress(OSError):
        held = [line.split() for line in LOCK_TABLE.read_text().splitlines()]
        return any("FLOCK" in words and any(word.endswith(f":{inode}") for word in words) for words in held)
    return _lives(owner.pid)


def owned_memory(folder: Path) -> int | None:
    """Bytes that the process has which holds the lock of a job folder; None if it is elsewhere, or not known."""
    try:
        owner = read(Owner, parsed((folder / OWNER).read_bytes()))
    except (OSError, ValueError):
        return None
    return resident(owner.pid) if owner.host == socket.gethostname() else None


def _lives(pid: int) -> bool:
    """Whether there is a process of this number. On Windows, where to ask would end it, it is taken to live."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

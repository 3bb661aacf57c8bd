"""The job folder beside the output: the painted frames, and the state from which painting resumes.

    OUT.job/
        manifest.json           what the frames depend on; another one means another job. And how they are shown
        frames/000000.png       painted frames, lossless
        states/000000.safetensors   what later frames need; of a shot the last few are kept, and of a loop the first
        journal.jsonl           one line for each finished frame, with the hashes of its two files
        job.log                 what a report of a bug needs
        lock, owner.json        held by the running process (see `locks`)
        redo/, redone/          frames that are painted again (see `redone`)

A frame is saved in the order picture, state, journal line. Every file appears under its name complete. So wherever a
process is killed, the last journal line has its picture and its state, and the next run continues from there with the
same bytes. A file that is not what the journal says counts as missing: painting steps back to the last frame that can
be continued. Once a second at most, and at the end of a shot, all is flushed to the disk; only then do states go that
nobody needs any more, so that a power cut costs little more than a second.

Shots share no state: workers paint them in any order, and within each its frames follow each other. Only the process
that holds the lock writes. Frames beyond a gap in a shot are painted anew, other shots are left alone.

While a finished job's folder is removed the manifest lies beside it, as OUT.job.json, and goes last: wherever that is
interrupted, the same command knows which outputs it has made, and ends as if it had not been interrupted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vidstyle.errors import JobError
from vidstyle.jobs.folder import states
from vidstyle.jobs.folder.inputs import file_hash
from vidstyle.jobs.folder.journal import Entry, append_entry, read_journal, write_journal
from vidstyle.jobs.folder.layout import (
    FOLDERS,
    FRAME,
    JOURNAL,
    LOG,
    MANIFEST,
    OURS,
    REDO,
    REDONE,
    REST,
    STATE,
    WHERE,
    record_of,
    remove_empty,
)
from vidstyle.jobs.folder.manifest import Made, Manifest, output_key
from vidstyle.jobs.folder.painted import Painted
from vidstyle.jobs.folder.redone import taken_over
from vidstyle.media.stills.codecs import decode
from vidstyle.system.facts import HOMES
from vidstyle.system.files import PART, append, disk_errors, flush, rename_new, write_inside
from vidstyle.types import Result, State

FOLDERS_ABOVE = re.compile(r"(?<![\w.~-])(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\:;,]+[/\\])+")  # of an absolute path
OPEN_FILES_GO = os.name != "nt"  # whether a file can be removed that is open, as that of a held lock is
MARGIN = 1  # states that are kept beyond those that are needed, in case that the last one gets damaged
FLUSH_EVERY = 1.0  # seconds at least, within a shot

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Part:
    """What is left to paint of a shot."""

    first: int  #: frame of the shot
    start: int  #: the next frame to be painted
    end: int  #: the frame after the shot's last
    state: State | None  #: that frame `start` needs; None at the beginning of the shot
    lost: int = 0  #: frames from `start` on that are painted, but whose state is missing or damaged


class JobFolder:
    """An open job folder; made by `opening.open_job`.

    Attributes:
        path: the folder.
        manifest: all that the frames depend on, and how they are shown.
        done: how many frames, counted from the first, are finished. Workers may have painted later ones, too.
        state: what frame number `done` needs from its predecessor; None at the start of a shot.
    """

    def __init__(
        self, path: Path, manifest: Manifest, there: Manifest | None, still_held: Callable[[], None] = lambda: None
    ) -> None:
        self.path, self.manifest, self.require_lock = path, there or manifest, still_held
        self.done, self.state = 0, None  # type: int, State | None
        self._last: Path | None = None  # what is left of a folder that is being removed
        self._unflushed: list[int] = []  # frames whose files and lines a power cut may take
        self._unneeded: dict[int, int] = {}  # last numbers of states that can go by then, by the least of each
        self._flushed = -math.inf  # when, by `time.monotonic`
        if there is None:
            self._remove(keep=MANIFEST)  # until the new one is there the folder is known to be ours
        self._write_manifest()
        if (path / REDONE / MANIFEST).is_file():
            self.take_over()
        elif (path / REDONE).is_dir():  # its removal was interrupted
            self.forget_redo()
        with self._disk():
            for file in self._files():
                if file.suffix == PART:
                    file.unlink()
            for folder in FOLDERS:
                (path / folder).mkdir(exist_ok=True)
            self._journal, damaged = self._read_journal()
            parts = self.parts()
            for part in parts[:-1]:  # in case that a process was killed before it did
                if part.start == part.end and (path / STATE.format(part.end - 1)).exists():
                    self._remove_states(part.end - 1, part.first)
            left = [part for part in parts if part.start < part.end]
            self.done = left[0].start if left else self.frames
            self.state = left[0].state if left else self._state_after(self.frames - 1)
        if not damaged:
            lost = (part for part in left if part.lost)
            damaged = [f"the state after frame {part.start + part.lost - 1} is missing or damaged" for part in lost]
        if damaged:
            self.note(f"{', '.join(damaged)}; painting goes on with frame {self.done} of {self.frames}")
        if self.state is not None:
            self._remove_states(*_unneeded_by(self.state))  # in case that a process was killed before it did

    @property
    def frames(self) -> int:
        """How many frames the job has."""
        return self.manifest.frames

    def describe(self, **changes: Any) -> None:
        """Keep what does not change the frames: fields of the manifest. Raises `DiskError` if that fails."""
        self.manifest = dataclasses.replace(self.manifest, **changes)
        self._write_manifest()

    def record(self, output: Path, part: Path) -> None:
        """Keep that `part`, a file or folder, is about to be put in the place of `output`. Raises `DiskError`."""
        with self._disk():
            made = Made.of(part)
        self.describe(made={**self.manifest.made, output_key(self.path, output): made})

    def has_made(self, output: Path) -> bool:
        """Whether an output is in its place as this job has put it there. Raises `DiskError`."""
        with self._disk():
            return output.exists() and self.manifest.has_made(output_key(self.path, output), Made.of(output))

    def save(self, result: Result, state: State, device: str = "", after: Callable[[], object] = lambda: None) -> None:
        """Keep a painted frame and the state after it. Several threads may each save one, if `after` orders them.

        Args:
            device: the kind that painted it.
            after: called when the files are written, before the journal says so; returns when the frames before this
                one are saved, or raises.

        Raises:
            DiskError: that failed; what was saved before is still good, and the next run continues after it.
            JobError: another process has taken the folder over.
        """
        self._keep(Painted.of(result, state, device), after)
        if result.index == self.done:
            self.done, self.state = result.index + 1, state
        self._let_go(*_unneeded_by(state))
        self._flush_if_due(result.index)

    def keep(self, painted: Painted, first: int, history: int) -> None:
        """Keep a frame that another process has painted; the frames of other shots may come before or after it.

        Args:
            first: frame of its shot.
            history: how many frames before it the next one of its shot needs.

        Raises as `save` does.
        """
        self._keep(painted)
        index = painted.entry.index
        self._let_go(index if self._ends_a_shot(index) else index - history - MARGIN - 1, first)
        self._flush_if_due(index)

    def flush(self) -> None:
        """Make all that was saved survive a power cut, and remove the states that nobody needs any more.

        Raises as `save` does.
        """
        unneeded, self._unneeded = self._unneeded, {}
        if self._unflushed:
            self.require_lock()
            with self._disk():
                for index in self._unflushed:
                    flush(self.path / FRAME.format(index))
                    if not any(least <= index <= last for least, last in unneeded.items()):
                        flush(self.path / STATE.format(index))
                for name in (*FOLDERS, JOURNAL):
                    flush(self.path / name)
                self._unflushed.clear()
        for least, last in unneeded.items():
            self._remove_states(last, least)
        self._flushed = time.monotonic()

    def _flush_if_due(self, index: int) -> None:
        """The same after the last frame of a shot, or if the last time is long ago."""
        if self._ends_a_shot(index) or time.monotonic() - self._flushed >= FLUSH_EVERY:
            self.flush()

    def _ends_a_shot(self, index: int) -> bool:
        """Whether nothing goes on from a frame."""
        return index + 1 == self.frames or index + 1 in self.manifest.shots

    def _let_go(self, last: int, least: int) -> None:
        """Nobody needs the states of the frames from `least` to `last` any more, once later ones are flushed."""
        self._unneeded[least] = max(last, self._unneeded.get(least, last))

    def _keep(self, painted: Painted, after: Callable[[], object] = lambda: None) -> None:
        entry = painted.entry
        if not 0 <= entry.index < self.frames:
            raise ValueError(f"got frame {entry.index} in a job of {self.frames} frames")
        self.require_lock()
        with self._disk():
            try:
                for name, data in ((FRAME, painted.picture), (STATE, painted.state)):
                    write_inside(self.path / name.format(entry.index), data, flush=False)
            finally:
                after()
            append_entry(self.path / JOURNAL, entry)
        self._unflushed.append(entry.index)
        self._journal[entry.index] = entry
        if any(one.holds(entry.index) for one in self.manifest.redone):  # one of them was missing or damaged
            self.note(f"frame {entry.index}, which was painted again once, is as it was at first")
            self.describe(redone=tuple(one for one in self.manifest.redone if not one.holds(entry.index)), shows=0)
        self.log(f"frame {entry.index}: {entry.iterations} evaluations, {entry.seconds:.3f} s")

    def take_over(self) -> None:
        """Put frames that are painted again, and whole, into their places; see `redone`."""
        with self._disk():
            self.manifest = taken_over(self.path, self.manifest)
            self._write_manifest()
            self._journal, _ = self._read_journal()
        self.forget_redo()

    def forget_redo(self) -> None:
        """Remove what there is of frames that are painted again, and not in their places."""
        with self._disk():
            nested = [file for file in self._files() if file.relative_to(self.path).parts[0] in (REDO, REDONE)]
            for file in sorted(nested, key=lambda file: file.name == MANIFEST):  # as long as it stands, it is known
                file.unlink()
            self._remove_nested()

    def _remove_nested(self) -> None:
        for name in (REDO, REDONE):
            for folder in (*FOLDERS, "."):
                remove_empty(self.path / name / folder)

    def parts(self) -> list[Part]:
        """The shots in order, each as far as it is to be painted yet; one that is finished starts at its end."""
        return [self.part(first, end) for first, end in pairwise([0, *self.manifest.shots, self.frames])]

    @property
    def painted(self) -> int:
        """How many frames are there, in whatever order they were painted."""
        return len(self._journal)

    def images(self, order: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Painted frames, (H, W, 3) uint8: all, or those of `order`; behind a seam, blends of both paintings.

        Raises `JobError` at one missing or damaged.
        """
        seams = self.manifest.seams
        for index in range(self.frames) if order is None else order:
            picture, share = self._picture(index), seams.share(index)
            if share is not None:
                before = np.float32(self._picture(index - seams.overlap))
                picture = np.rint(before + np.float32(share) * (picture - before)).astype(np.uint8)
            yield picture

    def _picture(self, index: int) -> np.ndarray:
        path = self.path / FRAME.format(index)
        if index not in self._journal:
            raise JobError(f"{path} is not painted yet; run the same command to continue")
        try:
            png = path.read_bytes()
        except OSError as error:
            raise JobError(f"{path} cannot be read ({error.strerror}); run the same command again") from error
        if hashlib.sha256(png).hexdigest() != self._journal[index].sha256:
            raise JobError(f"{path} is damaged; run the same command again to paint it anew")
        return decode(png)

    def results(self) -> list[Entry]:
        """The journal in frame order."""
        return [self._journal[index] for index in sorted(self._journal)]

    def log(self, text: str) -> None:
        """Append a line to the log, with the time. A log that cannot be written is no reason to stop.

        Of absolute paths only the last name is kept: a log is made to be shown to others.
        """
        bare = FOLDERS_ABOVE.sub("", HOMES.sub("/…", text.replace(f"{self.path.parent}{os.sep}", "")))
        logger.info("%s", bare)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with suppress(OSError):
            append(self.path / LOG, f"{stamp} {bare}\n".encode("utf-8", "backslashreplace"))

    def note(self, text: str) -> None:
        """Tell the user, and the log."""
        logger.warning("%s", text)
        self.log(text)

    def discard(self) -> None:
        """Remove the folder, once the output is safe. A file in it that vidstyle did not make stays, and its folder."""
        self._remove(keep=MANIFEST)  # as long as it stands, the folder is known to be ours
        with self._disk():
            self._remove_nested()
            for folder in FOLDERS:
                remove_empty(self.path / folder)
            manifest, last = self.path / MANIFEST, record_of(self.path)
            try:
                rename_new(manifest, last)
            except OSError:  # a file of that name is not ours, or so long a name is none
                last = manifest
                last.unlink(missing_ok=True)
        self._last = last
        if OPEN_FILES_GO:  # while the lock is held: nobody else then holds one on a file that goes
            self.released()

    def released(self) -> None:
        """Remove what is left of a discarded folder, at the latest when its lock is released."""
        last, self._last = self._last, None
        if last is None:
            return
        with self._disk():
            for name in REST:
                with suppress(*(() if OPEN_FILES_GO else (PermissionError,))):  # another process has the lock by now
                    (self.path / name).unlink(missing_ok=True)
            remove_empty(self.path)
            last.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """Files that vidstyle made, the journal first: without it no frame counts."""
        found = (path for folder in WHERE for path in (self.path / folder).glob("*"))
        ours = (path for path in found if OURS.fullmatch(path.relative_to(self.path).as_posix()))
        files = (path for path in ours if path.is_symlink() or not path.is_dir())
        return sorted(files, key=lambda path: (path.name != JOURNAL, path.name))

    def _remove(self, keep: str) -> None:
        with self._disk():
            for file in self._files():
                if file != self.path / keep:
                    file.unlink()

    def _read_journal(self) -> tuple[dict[int, Entry], list[str]]:
        """Frames whose picture is there as it was saved, by their numbers; and what is damaged, in a few words."""
        path = self.path / JOURNAL
        entries, lines = read_journal(path, self.frames)
        good = {index: entry for index, entry in entries.items() if self._holds(FRAME.format(index), entry.sha256)}
        damaged = [f"line {number} of {JOURNAL} is damaged" for number in lines]
        damaged += [f"{FRAME.format(index)} is missing or damaged" for index in sorted(set(entries) - set(good))]
        write_journal(path, good)
        return good, damaged[:3] + ["and more"] * (len(damaged) > 3)

    def _holds(self, name: str, sha256: str) -> bool:
        path = self.path / name
        return path.is_file() and file_hash(path) == sha256

    def part(self, first: int, end: int) -> Part:
        """A shot, by its first frame and the frame after its last, as far as it is to be painted yet."""
        painted = first
        while painted < end and painted in self._journal:
            painted += 1
        start, state = painted, None
        while first < start < end and (state := self._state_after(start - 1)) is None:
            start -= 1
        return Part(first, start, end, state, painted - start)

    def _state_after(self, index: int) -> State | None:
        """The state after a frame, with pastiches from the files of the frames before; None if one is not good."""
        try:
            state, history, loops = self._saved_state(index)
            earlier = tuple(self._saved_state(index - back)[0].pastiche for back in range(1, history + 1))
            first = self._saved_state(0)[0].pastiche if loops else None
        except ValueError:
            return None
        others = earlier if first is None else (*earlier, first)
        if state.index != index or any(one.shape != state.pastiche.shape for one in others):
            return None
        return dataclasses.replace(state, history=earlier, first=first)

    def _saved_state(self, index: int) -> tuple[State, int, bool]:
        """What `states.read_state` finds. Raises `ValueError` if the file is not as it was saved."""
        if index not in self._journal or not self._holds(STATE.format(index), self._journal[index].state):
            raise ValueError(f"the state after frame {index} is missing or damaged")
        return states.read_state(self.path / STATE.format(index))

    def _remove_states(self, number: int, least: int) -> None:
        """Remove the files of the states from `number` back to `least` or to the first that is not there.

        The oldest goes first: if that is interrupted, there is no gap before which some would stay for ever.
        """
        files = []
        with self._disk():
            while number >= least and (file := self.path / STATE.format(number)).is_file():
                files.append(file)
                number -= 1
            for file in reversed(files):
                file.unlink()

    def _write_manifest(self) -> None:
        with self._disk():
            write_inside(self.path / MANIFEST, self.manifest.encoded())

    def _disk(self) -> AbstractContextManager[None]:
        return disk_errors(self.path, lambda: f"; the same command will continue at frame {self.done}")


def _unneeded_by(state: State) -> tuple[int, int]:
    """Last and least number of the states before those that `state` remembers; a loop's first stays."""
    return state.index - len(state.history) - MARGIN - 1, 0 if state.first is None else 1

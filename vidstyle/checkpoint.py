"""The job folder beside the output: what has been painted, and how to go on from there.

    OUT.job/
        manifest.json           what the frames depend on; another one means another job. And how they are played
        frames/000000.png       painted frames, lossless
        states/000000.safetensors   what later frames need; only the last few are kept
        journal.jsonl           one line for each finished frame
        lock                    held by the running process; the kernel lets go of it when the process dies

A frame is saved in the order picture, state, journal line, and only then do states go that nobody needs any more.
Every file appears under its name complete and flushed. So wherever a process is killed, the last journal line has its
picture and its state, and the next run continues from there with the same bytes.

Frames beyond the first gap are left alone: another process may have painted them.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from filelock import FileLock, Timeout
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidstyle.errors import DiskError, JobError
from vidstyle.types import Result, State

FORMAT = "vidstyle-job-2"
PLAYBACK = "playback"  # a part of the manifest that no frame depends on
MANIFEST, JOURNAL, LOCK = "manifest.json", "journal.jsonl", "lock"
FRAME, STATE = "frames/{:06d}.png", "states/{:06d}.safetensors"
PART = ".part"  # the suffix of a file that is being written
OURS = re.compile(r"(manifest\.json|journal\.jsonl|frames/\d{6,}\.png|states/\d{6,}\.safetensors)(\.part)?")


@contextmanager
def open_job(output: Path, manifest: dict[str, Any], *, restart: bool = False, frames: int) -> Iterator[JobFolder]:
    """The job folder of `output`, made if need be and locked until the block is left.

    Args:
        output: the file that the job will make; the folder is `output` + ".job".
        manifest: all that the frames depend on, as JSON; must equal that of an existing folder.
        restart: forget what has been painted.
        frames: how many frames the job has.

    Raises:
        JobError: the folder belongs to other inputs or settings or to a running process, is damaged or no job folder.
        DiskError: the folder cannot be written.
    """
    path = output.with_name(output.name + ".job")
    with _disk(path):
        if not path.parent.is_dir():
            raise DiskError(f"there is no folder {path.parent}; make it, or choose another output")
        if path.exists():
            _refuse_foreign(path)
        path.mkdir(exist_ok=True)
    with _locked(path):
        yield JobFolder(path, {"format": FORMAT, "frames": frames, **manifest}, restart=restart)


@contextmanager
def reopen_job(path: Path) -> Iterator[JobFolder]:
    """A job folder as it was left, locked until the block is left.

    Raises:
        JobError: it is none, or damaged, or belongs to a running process.
        DiskError: the folder cannot be written.
    """
    if not (path / MANIFEST).is_file():
        raise JobError(f"{path} is no job folder of vidstyle; --keep-job keeps one beside an output, as OUTPUT.job")
    _refuse_foreign(path)
    with _locked(path):
        yield JobFolder(path, json.loads((path / MANIFEST).read_bytes()), restart=False)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path / LOCK)
    with _disk(path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            name = path.name.removesuffix(".job")
            raise JobError(f"{path} is in use: another vidstyle paints {name}; wait for it or stop it") from None
    try:
        yield
    finally:
        lock.release()


class JobFolder:
    """An open job folder; made by `open_job`.

    Attributes:
        path: the folder.
        manifest: all that the frames depend on, and how they are played.
        frames: how many frames the job has.
        done: how many of them, counted from the first, are finished.
        state: what frame number `done` needs from its predecessor; None at the start.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], *, restart: bool) -> None:
        self.path, self.manifest, self.frames = path, manifest, int(manifest["frames"])
        self.done, self.state = 0, None  # type: int, State | None
        if restart:
            self._remove(keep=MANIFEST)
        elif (path / MANIFEST).is_file():
            self.manifest = {PLAYBACK: self._compare(manifest).get(PLAYBACK, {}), **manifest}
        self._write(MANIFEST, json.dumps(self.manifest, indent=2).encode())
        with self._disk():
            for file in self._files():
                if file.suffix == PART:
                    file.unlink()
            for folder in ("frames", "states"):
                (path / folder).mkdir(exist_ok=True)
        self._journal = self._read_journal()
        self.done, self.state = self._resume_point()
        if self.state is not None:
            self._forget(self.state)  # in case that a process was killed before it did

    @property
    def playback(self) -> dict[str, Any]:
        """What is kept, as JSON, of how the frames are played; {} if nothing is."""
        playback: dict[str, Any] = self.manifest.get(PLAYBACK, {})
        return playback

    def describe(self, playback: dict[str, Any]) -> None:
        """Keep how the frames are played. Raises `DiskError` if that fails."""
        self.manifest = {**self.manifest, PLAYBACK: playback}
        self._write(MANIFEST, json.dumps(self.manifest, indent=2).encode())

    def save(self, result: Result, state: State) -> None:
        """Keep a painted frame and the state after it.

        Raises `DiskError` if that fails; what was saved before is still good, and the next run continues after it.
        """
        index = result.index
        if index != state.index or not 0 <= index < self.frames:
            raise ValueError(
                f"got frame {index} with the state after frame {state.index}, in a job of {self.frames} frames"
            )
        png = _encode_png(result.image)
        self._write(FRAME.format(index), png)
        self._write(STATE.format(index), _encode_state(state))
        entry = {name: value for name, value in vars(result).items() if name != "image"}
        self._append(index, {**entry, "sha256": hashlib.sha256(png).hexdigest()})
        if index == self.done:
            self.done, self.state = index + 1, state
        self._forget(state)

    @property
    def painted(self) -> int:
        """How many frames are there, in whatever order they were painted."""
        return sum((self.path / FRAME.format(index)).is_file() for index in self._journal)

    def images(self, order: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Painted frames, (H, W, 3) uint8: all, or those of `order`. Raises `JobError` at one missing or damaged."""
        for index in range(self.frames) if order is None else order:
            path = self.path / FRAME.format(index)
            if index not in self._journal or not path.is_file():
                raise JobError(f"{path} is not painted yet; run the same command to continue")
            png = path.read_bytes()
            if hashlib.sha256(png).hexdigest() != self._journal[index]["sha256"]:
                raise JobError(f"{path} is damaged; delete it and run the same command to paint it anew")
            with Image.open(io.BytesIO(png)) as image:
                yield np.array(image)

    def results(self) -> list[dict[str, Any]]:
        """The journal in frame order: index, losses, iterations, seconds, and the sha256 of the picture file."""
        return [self._journal[index] for index in sorted(self._journal)]

    def discard(self) -> None:
        """Remove the folder, once the output is safe. A file in it that vidstyle did not make stays, and its folder."""
        self._remove()
        with self._disk():
            (self.path / LOCK).unlink(missing_ok=True)
            for folder in (self.path / "frames", self.path / "states", self.path):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _compare(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """The manifest that is there. Raises `JobError` if the frames would be others."""
        there: dict[str, Any] = json.loads((self.path / MANIFEST).read_bytes())
        old = _flat(there)
        new = _flat(json.loads(json.dumps(manifest)))  # as it would be read: tuples are lists there
        changes = [
            f"{name} was {_short(old.get(name, 'not set'))}, now {_short(new.get(name, 'not set'))}"
            for name in {**old, **new}
            if not name.startswith(PLAYBACK) and old.get(name, ...) != new.get(name, ...)
        ]
        if changes:
            raise JobError(
                f"{self.path} was begun with something else: {'; '.join(changes)}. "
                "Give what it was begun with to continue it, or paint anew with --restart"
            )
        return there

    def _files(self) -> list[Path]:
        """Files that vidstyle made, the manifest last: as long as it stands, the folder is known to be ours."""
        found = (path for folder in (".", "frames", "states") for path in (self.path / folder).glob("*"))
        ours = (path for path in found if OURS.fullmatch(path.relative_to(self.path).as_posix()))
        return sorted(ours, key=lambda path: (path.name == MANIFEST, path.name != JOURNAL, path.name))

    def _remove(self, keep: str | None = None) -> None:
        with self._disk():
            for file in self._files():
                if file.name != keep:
                    file.unlink()

    def _read_journal(self) -> dict[int, dict[str, Any]]:
        """The journal by frame number; of two lines for a frame the later one counts. A torn last line is dropped."""
        path = self.path / JOURNAL
        text = path.read_bytes() if path.is_file() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            self._write(JOURNAL, whole)
        try:
            return {entry["index"]: entry for entry in map(json.loads, whole.splitlines())}
        except (ValueError, KeyError, TypeError) as error:
            raise JobError(f"{path} is damaged ({error}); paint anew with --restart") from error

    def _resume_point(self) -> tuple[int, State | None]:
        done = 0
        while done in self._journal and (self.path / FRAME.format(done)).is_file():
            done += 1
        state = None
        while done and (state := self._state_after(done - 1)) is None:
            done -= 1
        return done, state

    def _state_after(self, index: int) -> State | None:
        """The state after a frame, its past from the files of the frames before; None if one of the files is gone."""
        own = self.path / STATE.format(index)
        if not own.is_file():
            return None
        state, past = _read_state(own)
        earlier = [self.path / STATE.format(index - back) for back in range(1, past + 1)]
        if not all(file.is_file() for file in earlier):
            return None
        return dataclasses.replace(state, past=tuple(_read_state(file)[0].pastiche for file in earlier))

    def _forget(self, state: State) -> None:
        """Remove the files of the states before those that `state` remembers, back to the first gap."""
        number = state.index - len(state.past) - 1
        with self._disk():
            while (file := self.path / STATE.format(number)).is_file():
                file.unlink()
                number -= 1

    def _write(self, name: str, data: bytes) -> None:
        """Make a file that is either there in full or not at all, even after a power cut."""
        path = self.path / name
        part = path.with_name(path.name + PART)
        with self._disk():
            try:
                with open(part, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, path)
            except OSError:
                with suppress(OSError):
                    part.unlink()
                raise
            _flush_folder(path.parent)

    def _append(self, index: int, entry: dict[str, Any]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        with self._disk(), open(self.path / JOURNAL, "ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        self._journal[index] = json.loads(line)

    def _disk(self) -> AbstractContextManager[None]:
        return _disk(self.path, f"; the same command will continue at frame {self.done}")


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal. Raises `OSError` as `open` does."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _disk(path: Path, hope: str = "") -> Iterator[None]:
    """Turn what the operating system has against writing into a `DiskError` that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "free some space on that disk" if full else "make the folder writable, or choose another output"
        raise DiskError(f"cannot write {error.filename or path}: {error.strerror or error}; {advice}{hope}") from error


def _refuse_foreign(path: Path) -> None:
    """Raise `JobError` unless `path` is a job folder, or one that is just being made or removed."""
    try:
        known = json.loads((path / MANIFEST).read_bytes()).get("format") == FORMAT
    except FileNotFoundError:
        known = all(file.is_dir() or file.name in (LOCK, MANIFEST + PART) for file in path.rglob("*"))
    except (NotADirectoryError, ValueError, AttributeError):
        known = False
    if not known:
        raise JobError(f"{path} is in the way: it is no job folder of vidstyle; move it, or choose another output")


def _flush_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _encode_png(image: np.ndarray) -> bytes:
    """Lossless and fast rather than small: the fastest compression is within a few per cent for painted pictures."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _encode_state(state: State) -> bytes:
    """Tensors as they are, all else as JSON (which keeps every bit of a float); of the past only how much there is."""
    values = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    tensors = {name: value.detach().cpu().contiguous() for name, value in values.items() if isinstance(value, Tensor)}
    rest = {name: value for name, value in values.items() if name not in tensors} | {"past": len(state.past)}
    return safetensors.torch.save(tensors, metadata={"state": json.dumps(rest)})


def _read_state(path: Path) -> tuple[State, int]:
    """The state without its past, and of how many frames that consists."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            rest = json.loads(file.metadata()["state"])
            past = int(rest.pop("past"))
            return State(**rest, **tensors), past
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"{path} is damaged ({error}); delete it and run the same command, or paint anew with --restart"
        ) from error


def _flat(tree: Any, name: str = "") -> dict[str, Any]:
    """Leaves of a nested dict by name; a setting goes by its own name, all else by its path."""
    if not isinstance(tree, dict):
        return {name.removeprefix("settings."): tree}
    leaves = [_flat(value, f"{name}.{key}" if name else key) for key, value in tree.items()]
    return {key: value for part in leaves for key, value in part.items()}


def _short(value: Any) -> str:
    """A value as a person would say it, a hash by its beginning."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:8] + "…" if re.fullmatch(r"[0-9a-f]{64}", text) else text

"""Opens the folder of a job: checks that it is one, that nobody uses it, and that it fits inputs and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vidstyle.errors import DiskError, JobError
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.layout import FOLDERS, JOURNAL, MANIFEST, REDO, REDONE, REST, record_of
from vidstyle.jobs.folder.locks import locked
from vidstyle.jobs.folder.manifest import Made, Manifest, OtherFormatError, output_key
from vidstyle.settings import EncodeSettings
from vidstyle.system.files import PART, disk_errors


def folder_of(output: Path) -> Path:
    """Where the job lies whose first output this is."""
    return output.with_name(output.name + ".job")


@contextmanager
def open_job(output: Path, manifest: Manifest, *, restart: bool = False) -> Iterator[JobFolder]:
    """The job folder of `output`, made if need be and locked until the block is left.

    Args:
        output: the file that the job will make.
        manifest: all that the frames depend on; must agree with that of an existing folder that holds frames.
        restart: forget what has been painted.

    Raises:
        JobError: the folder belongs to other inputs or settings or to a running process, is damaged or no job folder.
        DiskError: the folder cannot be written.
    """
    path = folder_of(output)
    with disk_errors(path):
        if not path.parent.is_dir():
            raise DiskError(f"there is no folder {path.parent}; make it, or choose another output")
        _require_ours(path)
        path.mkdir(exist_ok=True)
    with ExitStack() as stack, _held(path) as still_held:
        _restore(path)
        there = None if restart else _continued(path, manifest)
        job = JobFolder(path, manifest, there, still_held)
        stack.callback(job.released)
        yield job


@contextmanager
def reopen_job(path: Path) -> Iterator[JobFolder]:
    """A job folder as it was left, locked until the block is left.

    Raises:
        JobError: it is none, or damaged, or belongs to a running process.
        DiskError: the folder cannot be written.
    """
    with disk_errors(path):
        if not (path / MANIFEST).is_file():
            raise JobError(f"{path} is no job folder of vidstyle; --keep-job keeps one beside an output, as OUTPUT.job")
        _require_ours(path)
    with _held(path) as still_held:
        there = _read(path / MANIFEST)
        yield JobFolder(path, there, there, still_held)


def made_before(output: Path, outputs: Sequence[Path], encoding: EncodeSettings) -> list[Path]:
    """Those of `outputs` that an earlier call, killed before it removed its job folder, has put where they are.

    Args:
        output: the first of that call's outputs.
        encoding: the settings that they must have been encoded with.
    """
    path = folder_of(output)
    try:
        manifest = _read(path / MANIFEST if (path / MANIFEST).is_file() else record_of(path))
        if manifest.encoding == encoding:
            there = [one for one in outputs if one.exists()]
            return [one for one in there if manifest.has_made(output_key(path, one), Made.of(one))]
    except (JobError, OSError):
        pass
    return []


def manifest_before(output: Path) -> Manifest | None:
    """The manifest of an earlier call; None if there is none that can be read. Nothing is changed or locked."""
    with suppress(JobError, OSError):
        return _read(folder_of(output) / MANIFEST)
    return None


def painted_before(output: Path, manifest: Manifest) -> frozenset[int]:
    """The numbers of the frames that an interrupted call has painted; nothing is changed or locked.

    Raises:
        JobError: the folder of the job is of other inputs or settings, or is none.
        DiskError: it cannot be read.
    """
    path = folder_of(output)
    with disk_errors(path):
        _require_ours(path)
        if not path.exists() or _continued(path, manifest) is None:
            return frozenset()
        return frozenset(int(file.stem) for file in (path / FOLDERS[0]).glob("*.png") if file.stem.isdecimal())


@contextmanager
def _held(path: Path) -> Iterator[Callable[[], None]]:
    with ExitStack() as stack:
        with disk_errors(path):
            still_held = stack.enter_context(locked(path, f"paints {path.name.removesuffix('.job')}"))
        yield still_held


def _restore(path: Path) -> None:
    """Put the manifest back into a folder whose removal was interrupted."""
    record = record_of(path)
    try:
        found = not record.is_symlink() and record.is_file() and Manifest.is_one(record.read_bytes())
    except OSError:  # it has gone just now, is not ours to read, or so long a name is none
        return
    if found:
        with disk_errors(record), suppress(FileNotFoundError):  # the call that removes the folder still runs
            if (path / MANIFEST).exists():
                record.unlink()
            else:
                record.rename(path / MANIFEST)


def _continued(path: Path, manifest: Manifest) -> Manifest | None:
    """The manifest that is there; None if there is none, or none that matters, since no frame was painted.

    Raises `JobError` if the frames that are there would be others.
    """
    frames = any((path / FOLDERS[0]).glob("*.png"))
    try:
        if not (path / MANIFEST).is_file():
            return None
        there = _read(path / MANIFEST)
    except JobError:
        if frames:
            raise
        return None
    changes = manifest.changes(there)
    if changes and frames:
        raise JobError(
            f"{path} was started with other inputs or settings: {'; '.join(changes)}. "
            "Give those again to continue it, or paint anew with --restart"
        )
    return None if changes else there


def _read(file: Path) -> Manifest:
    """A manifest. Raises `JobError` if it is damaged, `OSError` if it cannot be read."""
    try:
        return Manifest.decoded(file.read_bytes())
    except OtherFormatError as error:
        raise JobError(
            f"{file.parent} was started by another version of vidstyle ({error}); finish it with that version, or "
            "paint anew with --restart"
        ) from error
    except ValueError as error:
        raise JobError(f"{file} is damaged ({error}); paint anew with --restart") from error


def _require_ours(path: Path) -> None:
    """Raise `JobError` unless `path` is a job folder, one that is just being made or removed, or nothing."""
    ours = (path, *(path / name for name in (*FOLDERS, REDO, REDONE, MANIFEST, JOURNAL, *REST)))
    if link := next((one for one in ours if one.is_symlink()), None):
        raise JobError(
            f"{link} is a link, and what vidstyle removes in a job folder must lie in it; remove the link, or choose "
            "another output"
        )
    if not path.exists():
        return
    try:
        known = Manifest.is_one((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        known = all(file.is_dir() or file.name in (*REST, MANIFEST + PART) for file in path.rglob("*"))
    except NotADirectoryError:
        known = False
    if not known or any((path / folder).is_file() for folder in FOLDERS):
        raise JobError(f"{path} is in the way: it is no job folder of vidstyle; move it, or choose another output")

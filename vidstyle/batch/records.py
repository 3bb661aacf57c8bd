"""What is done of a batch: a file beside its TOML says which outputs were made of what, so that they are made once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vidstyle.errors import JobError
from vidstyle.jobs.folder.manifest import Made
from vidstyle.jobs.folder.records import as_json, parsed, read
from vidstyle.system.files import check_writable, disk_errors, write_whole

FORMAT = "vidstyle-batch-1"
SUFFIX = ".done.json"  # after the name of the TOML file


@dataclass(frozen=True)
class Record:
    """A job that was started, by all that its outputs depend on."""

    depends: str  #: SHA-256 over the inputs, the settings, the network and the version of vidstyle
    complete: bool  #: its outputs are made
    made: Mapping[str, Made] = field(default_factory=dict)  #: outputs, by their path as seen from beside the TOML


class Records:
    """The records of a TOML file, by the first output of each job.

    Raises `JobError` if the file of the records is damaged, `DiskError` if it cannot be read.
    """

    def __init__(self, toml: Path) -> None:
        self.path, self._folder = toml.with_name(toml.name + SUFFIX), toml.parent
        self._found = self._read()

    def of(self, output: str) -> Record | None:
        """The record of the job that makes `output` first."""
        return self._found.get(self.name(output))

    def name(self, output: str) -> str:
        """An output as seen from beside the TOML, so that all may be moved together."""
        return Path(os.path.relpath(output, self._folder)).as_posix()

    @property
    def made(self) -> list[str]:
        """All outputs that were made, as seen from the working folder."""
        return [str(self._folder / name) for record in self._found.values() for name in record.made]

    def is_made(self, output: str, record: Record | None) -> bool:
        """Whether an output is there as it was made."""
        made = record.made.get(self.name(output)) if record else None
        try:
            return made is not None and made == Made.of(Path(output))
        except OSError:
            return False

    def require_writable(self) -> None:
        """Raise `DiskError` if the records cannot be kept."""
        check_writable(self.path, overwrite=True)

    def start(self, output: str, depends: str) -> None:
        """Note that a job is started; what was made before is still known. Raises `DiskError`."""
        before = self.of(output)
        self._keep(output, Record(depends, False, before.made if before else {}))

    def finish(self, output: str, depends: str, written: list[str]) -> None:
        """Note that a job has made its outputs. Raises `DiskError`."""
        with disk_errors(self.path):
            made = {self.name(file): Made.of(Path(file)) for file in written}
        self._keep(output, Record(depends, True, made))

    def _keep(self, output: str, record: Record) -> None:
        self._found = {**self._read(), self.name(output): record}  # another call may have written meanwhile
        found = {"format": FORMAT, "jobs": {name: as_json(one) for name, one in sorted(self._found.items())}}
        write_whole(self.path, json.dumps(found, indent=1, ensure_ascii=True) + "\n")

    def _read(self) -> dict[str, Record]:
        with disk_errors(self.path):
            if not self.path.exists():
                return {}
            text = self.path.read_bytes()
        try:
            found = parsed(text)
            if found.get("format") != FORMAT or not isinstance(found.get("jobs"), dict):
                raise ValueError(f"it is not of format {FORMAT}")
            return {name: read(Record, one) for name, one in found["jobs"].items()}
        except ValueError as error:
            raise JobError(
                f"{self.path} is damaged ({error}); remove it, and give -y once: every job is painted anew"
            ) from error

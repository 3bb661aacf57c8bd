"""The output files of a call, and which of them an earlier call of the same job has made already."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.opening import made_before
from vidstyle.jobs.output.export import Outputs, check_job_folder, check_outputs, listed
from vidstyle.jobs.output.figure import FILES, check_companions
from vidstyle.settings import EncodeSettings
from vidstyle.system.files import disk_errors


class Targets:
    """Outputs, poster and figure of a call.

    A call that was killed when they were in their places, but its job folder was not yet removed, has recorded them
    there: they are neither in the way of the same command nor made again.

    Args:
        read: the files that the call reads; none of them may be an output.

    Attributes:
        outputs: absolute paths; the first gives the job folder its name.
        made: those of the outputs, of poster and figure that are there as this job has made them.
        encoding: the settings that they are encoded with, whatever poster and figure are called.

    Raises:
        UsageError, DiskError: as `check_outputs`, `check_job_folder` and `check_companions` do.
        OutputExistsError: one is there, and neither made by this job nor to be overwritten.
    """

    def __init__(
        self,
        outputs: Outputs,
        settings: EncodeSettings,
        read: Iterable[str | Path],
        *,
        moving: bool,
        overwrite: bool = False,
        restart: bool = False,
    ) -> None:
        read = list(read)
        self.settings, self.moving, self.overwrite, self.restart = settings, moving, overwrite, restart
        paths = check_outputs(
            outputs, moving=moving, overwrite=True, plays=settings.plays, limit=settings.limit, inputs=read
        )
        check_job_folder(paths[0], read)
        check_companions(settings, paths, overwrite=True, inputs=read)
        self.outputs = [Path(os.path.abspath(path)) for path in paths]
        self._given = dict(zip(self.outputs, listed(outputs), strict=True))
        self._companions = {Path(file): name for name in FILES if (file := getattr(settings, name)) is not None}
        self.encoding = dataclasses.replace(settings, poster=None, figure=None)
        self.made: set[Path] = set()
        self.replaces = overwrite  # whether what is there may be replaced
        if not overwrite and not restart:
            self.made.update(made_before(self.outputs[0], [*self.outputs, *self._companions], self.encoding))
        self._require_free()

    @property
    def all_made(self) -> bool:
        """Whether there is nothing left to do."""
        return self.made.issuperset([*self.outputs, *self._companions])

    @property
    def left(self) -> list[Path]:
        """The outputs that are still to be made."""
        return [path for path in self.outputs if path not in self.made]

    def claim(self, job: JobFolder) -> None:
        """See once more what is made, now that the job is known. Raises `OutputExistsError` as above."""
        if job.manifest.encoding != self.encoding:
            job.describe(encoding=self.encoding, made={})
        if not self.overwrite:
            self.made = {path for path in (*self.outputs, *self._companions) if job.has_made(path)}
            self._require_free()
            if job.manifest.outdated:  # they are this job's, and show frames that were painted again since
                self.made, self.replaces = set(), True
                job.describe(former=job.manifest.former or job.manifest.made)

    def remove_companions(self) -> None:
        """Remove those that this job has made before, to be written anew."""
        for path in self.made.intersection(self._companions):
            with disk_errors(path):
                path.unlink(missing_ok=True)

    def _require_free(self) -> None:
        """Refuse what is there and not made by this job."""
        if self.overwrite:
            return
        if taken := [self._given[path] for path in self.left if os.path.lexists(path)]:
            check_outputs(taken, moving=self.moving, overwrite=False)
        made: dict[str, Any] = {name: None for path, name in self._companions.items() if path in self.made}
        check_companions(dataclasses.replace(self.settings, **made), self.outputs, overwrite=False)

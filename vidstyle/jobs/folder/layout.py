"""The names of what lies in a job folder, and beside it."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from vidstyle.jobs.folder.locks import FILES as LOCKS

MANIFEST, JOURNAL, LOG = "manifest.json", "journal.jsonl", "job.log"
FRAME, STATE = "frames/{:06d}.png", "states/{:06d}.safetensors"
FOLDERS = ("frames", "states")
REDO, REDONE = "redo", "redone"  # job folders within one: frames that are painted again, and those that are whole
OURS = re.compile(
    r"(redo/|redone/)?(manifest\.json|journal\.jsonl|job\.log|growing\.jpg|frames/\d{6,}\.png|states/\d{6,}\.safetensors)(\.part)?"
)
REST = (LOG, *LOCKS)  # what may be there when the manifest is not, besides empty folders
WHERE = [f"{place}/{folder}" for place in (".", REDO, REDONE) for folder in (".", *FOLDERS)]  # files of ours lie
IN_USE = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR)


def record_of(path: Path) -> Path:
    """Where the manifest of a job folder lies while that is removed."""
    return path.with_name(path.name + ".json")


def remove_empty(folder: Path) -> None:
    """Remove a folder; one that holds something stays. Raises `OSError`."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in IN_USE:
            raise

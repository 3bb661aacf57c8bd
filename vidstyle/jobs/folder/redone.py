"""Frames that are painted again, in a job folder within that of the finished job, until they take their places.

    OUT.job/redo/      while they are painted: a job folder with frames, states and a journal of its own
    OUT.job/redone/    the same once all of them are there

The name says whether they are whole: changing it is one step of the file system. From then on each process that opens
the job puts them into their places first. Each step of that can be repeated, so wherever it is interrupted, the next
process does all of them: the pictures, the journal, the manifest. Only then the folder goes, its own manifest last.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from vidstyle.errors import JobError
from vidstyle.jobs.folder.journal import read_journal, write_journal
from vidstyle.jobs.folder.layout import FRAME, JOURNAL, MANIFEST, REDONE
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.system.files import write_inside


def taken_over(path: Path, manifest: Manifest) -> Manifest:
    """Put frames that are painted again into their places. Returns the manifest with them; it is not written yet.

    Raises:
        JobError: their folder is damaged.
        OSError: a file cannot be read or written.
    """
    there = path / REDONE
    try:
        own = Manifest.decoded((there / MANIFEST).read_bytes())
        if (redone := own.redo) is None:
            raise ValueError("it does not say what frames it holds")
        if manifest.redone[-1:] == (redone,):
            return manifest  # all of it was done, and the folder is being removed
        again, _ = read_journal(there / JOURNAL, own.frames)
        entries, _ = read_journal(path / JOURNAL, manifest.frames)
        before = redone.first - (own.frames - (redone.end - redone.first))  # number of the first frame in the folder
        for index in range(redone.first, redone.end):
            write_inside(path / FRAME.format(index), (there / FRAME.format(index - before)).read_bytes())
            entries[index] = dataclasses.replace(again[index - before], index=index)
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise JobError(f"{there} is damaged ({error}); remove it, and paint these frames again with --redo") from error
    write_journal(path / JOURNAL, entries)
    return dataclasses.replace(manifest, redone=(*manifest.redone, redone))

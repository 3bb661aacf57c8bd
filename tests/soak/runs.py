"""Runs of the command line in processes of their own, in which things go wrong; and what they leave on the disk."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soak.server import Request

TESTS = Path(__file__).parent.parent
TEMPORARY = "tmp"  # in the folder of each run: its folder for temporary files
# Files of a job that say when something was, or how long it took.
TOLD_ANEW = ("manifest.json", "journal.jsonl", "job.log", "lock", "owner.json")


@dataclass(frozen=True)
class Run:
    """How a run ended, or that it is held."""

    code: int | str | None  #: exit code, minus the signal that ended it, None if it is held, "hangs"
    pid: int
    out: str
    err: str
    changes: list[str]  #: of the disk; empty unless it ended by itself
    written: int  #: bytes that it wrote to files
    orphans_took: float  #: seconds of the processor that processes which it left behind took in all


class Runner:
    """Starts runs, in processes forked from one that has imported everything; a context manager.

    Args:
        notes: a folder for what runs say.
    """

    def __init__(self, notes: Path) -> None:
        self._notes, self._count = notes, 0
        self._held: dict[int, Path] = {}

    def __enter__(self) -> Runner:
        paths = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "soak.server"]
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def __call__(self, folder: Path, *arguments: Any, **how: Any) -> Run:
        """Run vidstyle with these arguments in `folder`; `how` is that of `Request`, and of `Faults`."""
        (folder / TEMPORARY).mkdir(exist_ok=True)
        self._count += 1
        notes = self._notes / str(self._count)
        faults = {name: how.pop(name) for name in ("kill", "hold", "room") if name in how}
        environment = {"TMPDIR": str(folder / TEMPORARY), **how.pop("environment", {})}
        words = [str(argument) for argument in arguments]
        request = Request(str(folder), str(notes), words, environment=environment, faults=faults, **how)
        return self._ask(vars(request), notes)

    def go_on(self, run: Run) -> Run:
        """Let a run that is held go on."""
        return self._ask({"pid": run.pid, "signal": signal.SIGCONT}, self._held.pop(run.pid))

    def end(self, run: Run) -> Run:
        """Kill a run that is held."""
        return self._ask({"pid": run.pid, "signal": signal.SIGKILL}, self._held.pop(run.pid))

    def _ask(self, request: dict[str, Any], notes: Path) -> Run:
        assert self._server.stdin is not None and self._server.stdout is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        answer = json.loads(self._server.stdout.readline())
        if answer["code"] is None:
            self._held[answer["pid"]] = notes
        told, out, err = (_text(notes.with_suffix(kind)) for kind in (".json", ".out", ".err"))
        facts = {"changes": [], "written": 0, **(json.loads(told) if told else {})}
        return Run(**answer, out=out, err=err, changes=facts["changes"], written=facts["written"])


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def tree(folder: Path) -> dict[str, str]:
    """Every file and folder below `folder` by its path, a file with a hash of its bytes, unless it says when it was."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or path.is_dir():
            found[name] = "a link" if path.is_symlink() else "a folder"
        else:
            told_anew = path.name in TOLD_ANEW
            found[name] = "a file" if told_anew else hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return found


def differences(found: dict[str, str], wanted: dict[str, str]) -> str:
    """What is not as wanted, in words; nothing if all is."""
    words = [f"{name} is left" for name in found.keys() - wanted.keys()]
    words += [f"{name} is missing" for name in wanted.keys() - found.keys()]
    words += [f"{name} has other bytes" for name in found.keys() & wanted.keys() if found[name] != wanted[name]]
    return ", ".join(sorted(words))

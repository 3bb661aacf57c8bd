"""A process that has imported everything, and forks itself for each run of the command line: several in a second.

It reads requests from its standard input, one line of JSON each, and answers each with one line.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import cv2
import psutil
import torch

from soak.faults import Changes, Faults, open_file
from vidstyle import __main__ as command

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 600  # seconds


@dataclasses.dataclass(frozen=True)
class Request:
    """A run of the command line, or of some code."""

    folder: str  #: it runs there
    notes: str  #: NOTES.out and .err are what it prints, .json the changes it made, if it ends by itself
    arguments: list[str] = dataclasses.field(default_factory=list)
    code: str | None = None  #: run in place of the command line
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    faults: dict[str, Any] = dataclasses.field(default_factory=dict)
    largest: int | None = None  #: bytes a file can have, whoever writes it
    user: int | None = None  #: who runs it
    threads: int = 1  #: that torch may use
    held: bool = False  #: whether it is held before its first line


class Server:
    """Starts runs, and waits for them and for the processes that they leave behind."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)  # threads do not survive a fork
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # an ffmpeg whose parent was killed becomes our child
        signal.signal(signal.SIGALRM, _give_up)
        self._held: set[int] = set()

    def serve(self) -> None:
        """Answer requests until there are no more."""
        for line in sys.stdin:
            asked = json.loads(line)
            if "signal" in asked:
                pid = asked["pid"]
                self._held.discard(pid)
                os.kill(pid, asked["signal"])
                answer = self._await(pid)
            else:
                request = Request(**asked)
                pid = os.fork()
                if pid == 0:
                    run(request)
                answer = self._await(pid)
                _import_what_was_needed(Path(f"{request.notes}.json"))
            print(json.dumps({"pid": pid, **answer}), flush=True)

    def _await(self, pid: int) -> dict[str, Any]:
        """Wait until a run is held, or has ended with all the processes that it started."""
        signal.alarm(PATIENCE)
        try:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                self._held.add(pid)
                return {"code": None, "orphans_took": 0.0}
            took = 0.0
            for orphan in psutil.Process().children():
                if orphan.pid not in self._held:
                    used = os.wait4(orphan.pid, 0)[2]
                    took += used.ru_utime + used.ru_stime
            return {"code": os.waitstatus_to_exitcode(status), "orphans_took": took}
        except TimeoutError:
            for child in psutil.Process().children(recursive=True):
                child.kill()
            return {"code": "hangs", "orphans_took": PATIENCE}
        finally:
            signal.alarm(0)


def run(request: Request) -> None:
    """In a forked process, which ends here."""
    import resource

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if request.held:
        os.kill(os.getpid(), signal.SIGSTOP)
    for descriptor, name in enumerate(("/dev/null", f"{request.notes}.out", f"{request.notes}.err")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), descriptor)
    sys.stdout, sys.stderr = (open_file(descriptor, "w", encoding="utf-8", buffering=1) for descriptor in (1, 2))
    notes, known = open_file(f"{request.notes}.json", "w"), set(sys.modules)
    os.environ.update(request.environment)
    tempfile.tempdir = os.environ["TMPDIR"]  # Python would find it by writing a file there
    torch.set_num_threads(request.threads)
    os.chdir(request.folder)
    if request.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.largest, resource.RLIM_INFINITY))
    if request.user is not None:
        os.setgroups([])
        os.setgid(request.user)
        os.setuid(request.user)
    changes = Changes(Faults(**request.faults))
    code = ended(request)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.stdout.flush()
    sys.stderr.flush()
    modules = sorted(set(sys.modules) - known)
    json.dump({"changes": changes.log, "written": changes.written, "modules": modules}, notes)
    notes.flush()
    os._exit(code)


def ended(request: Request) -> Any:
    """Do what is asked; the exit code."""
    try:
        if request.code is not None:
            exec(request.code, {})
        else:
            sys.argv = ["vidstyle", *request.arguments]
            command.main()
    except SystemExit as end:
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _import_what_was_needed(notes: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        for name in json.loads(notes.read_bytes())["modules"]:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _give_up(*_: Any) -> None:
    raise TimeoutError


if __name__ == "__main__":
    Server().serve()

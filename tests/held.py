"""vidstyle, held where a test wants it: no test then depends on who is faster.

    python tests/held.py vidstyle.core.stylizer:Stylizer.step 3 video CLIP STYLE -o OUT

runs the command, says "held" on its standard output at the third call of that function, before it does anything, and
goes on when its standard input is closed. `held` does that from a test.
"""

from __future__ import annotations

import functools
import importlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


@contextmanager
def held(place: str, call: int, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """The process of a command, held at that call; it is killed when the block is left."""
    line = [sys.executable, __file__, place, str(call), *map(str, arguments)]
    process = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        said = _pipe(process.stdout).readline()
        assert said == "held\n", (said, _pipe(process.stderr).read())
        yield process
    finally:
        process.kill()
        process.communicate()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
    place, number = sys.argv[1], int(sys.argv[2])
    del sys.argv[1:3]
    module, _, path = place.partition(":")
    owner = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real, calls = getattr(owner, name), iter(range(1, sys.maxsize))

    @functools.wraps(real)
    def held_here(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            print("held", flush=True)
            sys.stdin.read()
        return real(*args, **kwargs)

    setattr(owner, name, held_here)
    from vidstyle.__main__ import main as run
    from vidstyle.system import signals

    signals.DEAF = signals.CLEAN_UP = 600  # a busy machine may not run this process for some seconds

    run()


if __name__ == "__main__":
    main()

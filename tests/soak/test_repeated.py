"""The same command makes the same bytes, holds what the clip held, and says nothing that nobody asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

from soak.check_output import clicks_off, wrong
from soak.runs import TESTS, tree
from vidstyle.media.writers.sinks import STILLS, encoders

TIMES = [Fraction(number, 10) for number in range(3)]
TICKS = {".mp4": Fraction(1, 1000), ".webm": Fraction(1, 1000), ".gif": Fraction(1, 100)}


def test_every_format_twice(runner, inputs, tmp_path):
    outputs = [f"-o out{suffix}" for suffix in encoders()] + ["-o out/"]
    films = inputs.named(f"video {{clip}} {{style}} {' '.join(outputs)} --poster poster.png --figure figure.json")
    stills = inputs.named(f"image {{photo}} {{style}} {' '.join(f'-o still{suffix}' for suffix in STILLS)}")
    sheet = inputs.named("sheet {photo} {style} -o sheet.png")
    folders = [tmp_path / "once", tmp_path / "twice"]
    for folder in folders:
        folder.mkdir()
        for command in (films, stills, sheet):
            run = runner(folder, *command)
            assert (run.code, run.out, run.err) == (0, "", "")
    once, twice = map(tree, folders)
    assert once == twice
    assert len(once) > len(outputs) + len(STILLS)
    for suffix, tick in TICKS.items():
        file = folders[0] / f"out{suffix}"
        assert not wrong(file, times=TIMES, seconds=Fraction(3, 10), size=(32, 24), tick=tick), file
        if suffix != ".gif":
            assert clicks_off(file, [0.1, 0.2]) < 0.02


def test_no_warning_comes_from_vidstyle(inputs, tmp_path):
    """In a process of its own, where Python tells each."""
    command = [sys.executable, "-W", "always", "-m", "vidstyle"]
    arguments = inputs.named("video {clip} {style} -o out.mp4 -o out.gif -o out.webp")
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    run = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    told = [line for line in run.stderr.splitlines() if f"vidstyle{os.sep}" in line and "Warning" in line]
    assert not told, "\n".join(told)

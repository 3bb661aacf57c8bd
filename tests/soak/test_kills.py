"""Killed before any change of the disk: the same command makes the same bytes, and an older output is never harmed."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from soak.runs import Run, Runner, differences, tree
from soak.stages import Scenario, Stage, part

MOST = 4  # kills of a scenario where not all are tried
KILLED = -9
CALLS = (
    ",".join(  # those that this machine's kernel does not have are ignored
        f"?{name}{at}"
        for name in (
            "open",
            "creat",
            "write",
            "writev",
            "pwrite64",
            "ftruncate",
            "rename",
            "link",
            "symlink",
            "unlink",
            "mkdir",
        )
        for at in ("", "at")
    )
    + ",?renameat2,?rmdir"
)
RARELY = ("a folder",)  # the short version has one very like it
soak = pytest.mark.soak
LIVES_ON = 2  # seconds of the processor that an ffmpeg may take in all when vidstyle was killed

SCENARIOS = {
    "painting": Scenario("video {clip} {style} -o out.png --keep-job", ("out.png",)),
    "pilot renders": Scenario("balance {photo} {style} --seconds .3 --fps 10 -o out.png", ("out.png",)),
    "a still": Scenario("image {photo} {style} -o out.png", ("out.png",)),
    "encoding": Scenario("video {clip} {style} -o out.mp4", ("out.mp4",), painted=True),
    "onto an older file": Scenario("video {clip} {style} -o out.webm -y", ("out.webm",), painted=True, older=True),
    "two outputs": Scenario("video {clip} {style} -o out.gif -o out.mp4", ("out.gif", "out.mp4"), painted=True),
    "a folder": Scenario("video {clip} {style} -o out/", ("out",), painted=True),
    "onto an older folder": Scenario("video {clip} {style} -o out/ -y", ("out",), painted=True, older=True),
    "with companions": Scenario(
        "video {clip} {style} -o out.webp --poster poster.png --figure figure.json",
        ("out.webp", "poster.png", "figure.json"),
        painted=True,
    ),
}


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=soak)], ids=["some", "all"])
@pytest.mark.parametrize("name", [pytest.param(name, marks=soak) if name in RARELY else name for name in SCENARIOS])
def test_killed_before_a_change_of_the_disk(name, every, runner, inputs, tmp_path):
    stage = Stage(SCENARIOS[name], runner, inputs, tmp_path)
    numbers = range(1, len(stage.changes) + 1) if every else some_of(stage.changes)
    wrong = {number: words for number in numbers if (words := after_a_kill(stage, runner, number))}
    lines = [f"killed before change {n}, {stage.changes[n - 1]!r}: {words}" for n, words in wrong.items()]
    assert not lines, f"{len(lines)} of {len(numbers)} kills\n" + "\n".join(lines)


@pytest.mark.parametrize("kills", [3, pytest.param(200, marks=soak)])
def test_killed_again_and_again_onto_an_older_file(kills, runner, inputs, tmp_path):
    """One folder, and nobody cleans up between the kills."""
    stage = Stage(SCENARIOS["onto an older file"], runner, inputs, tmp_path)
    chance, folder = random.Random(0), stage.begin()
    for kill in range(kills):
        if runner(folder, *stage.command, kill=chance.randint(1, len(stage.changes))).code != KILLED:
            shutil.rmtree(folder)
            folder = stage.begin()  # it was done
        assert not harm(folder, stage), f"kill {kill}"
    assert runner(folder, *stage.command).code == 0
    assert not differences(tree(folder), stage.wanted)


@soak
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("name", ["encoding", "onto an older file", "onto an older folder"])
def test_killed_before_a_system_call(name, runner, inputs, tmp_path):
    """Those of C libraries, too, and of ffmpeg, which dies alone where it is the first to make so many calls."""
    stage, lines = Stage(SCENARIOS[name], runner, inputs, tmp_path), []
    for number in itertools.count(1):
        folder = stage.begin()
        if (run := traced(runner, folder, stage.command, number)).code == 0:
            break
        words = f"ffmpeg was killed: {run.err.strip()[-200:]}" if run.code == 1 else harm(folder, stage)
        words = words or when_run_again(folder, stage, runner)
        lines += [f"killed before call {number}, exit {run.code}: {words}"] if words else []
        shutil.rmtree(folder)
    assert number > 50
    assert not lines, f"{len(lines)} of {number} kills\n" + "\n".join(lines)


def traced(runner: Runner, folder: Path, command: Sequence[str], number: int) -> Run:
    """Run a command until one of its threads makes its call of this number that could change the disk."""
    run = runner(folder, *command, held=True)
    kill = f"inject={CALLS}:signal=KILL:when={number}"
    words = ["strace", "-f", "-o", os.devnull, "-e", f"trace={CALLS}", "-e", kill, "-p", str(run.pid)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        if "attached" not in (said := tracer.stderr.readline()):
            pytest.skip(f"nothing can be traced here: {said.strip()}")
        return runner.go_on(run)


def after_a_kill(stage: Stage, runner: Runner, number: int) -> str:
    """Kill a command before a change and give it again; what is wrong then, or nothing."""
    folder = stage.begin()
    run = runner(folder, *stage.command, kill=number)
    if run.code != KILLED:
        return "" if run.code == 0 else f"ends with {run.code} by itself"
    if run.orphans_took > LIVES_ON:
        return f"ffmpeg went on: it took {run.orphans_took:.1f} s of the processor"
    words = harm(folder, stage) or when_run_again(folder, stage, runner)
    shutil.rmtree(folder)
    return words


def harm(folder: Path, stage: Stage) -> str:
    """Which output is neither as it was nor complete."""
    found = tree(folder)
    whole = {output: (part(stage.older, output), part(stage.wanted, output)) for output in stage.outputs}
    harmed = [output for output in stage.outputs if part(found, output) not in whole[output]]
    return f"neither the old one nor the new one: {', '.join(harmed)}" if harmed else ""


def when_run_again(folder: Path, stage: Stage, runner: Runner) -> str:
    """What is wrong after the same command, unless all was done already."""
    if not differences(tree(folder), stage.wanted):
        return ""
    run = runner(folder, *stage.command)
    if run.code != 0:
        return f"the same command ends with {run.code}: {run.err.strip()[-300:]}"
    return differences(tree(folder), stage.wanted)


def some_of(changes: Sequence[str]) -> list[int]:
    """Numbers of changes, from 1: the last of each kind of file, of these as many as there is time for."""
    kinds = {re.sub(r"\d+|(?<=vidstyle-)\w{8}", "#", change): number for number, change in enumerate(changes, 1)}
    lasts = sorted(kinds.values())
    return lasts[:: -(-len(lasts) // MOST)]

"""Commands that something happens to, and the folders in which they begin."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soak.runs import TEMPORARY, Run, Runner, differences, tree


@dataclass(frozen=True)
class Scenario:
    """A command, and what there is when it begins."""

    command: str  #: with {clip}, {photo} and {style}
    outputs: tuple[str, ...]
    painted: bool = False  #: all its frames, but no output
    older: bool = False  #: outputs of these names, of another painting


class Stage:
    """As many folders as are wanted in which a scenario begins, and how it ends if nothing happens."""

    def __init__(self, scenario: Scenario, runner: Runner, inputs, folder: Path) -> None:
        self.scenario, self.outputs = scenario, scenario.outputs
        self._folder, self._count = folder, 0
        self.command = inputs.named(scenario.command)
        self._start = folder / "start"
        (self._start / TEMPORARY).mkdir(parents=True)
        if scenario.older:
            other = scenario.command.replace("{style}", "{photo}")
            assert runner(self._start, *inputs.named(other)).code == 0
        self.older = tree(self._start)
        if scenario.painted:
            changes = list(enumerate(runner(self.begin(), *self.command).changes, 1))
            saved = max(number for number, change in changes if re.match("write .*/journal", change))
            read = next(number for number, change in changes[saved:] if change.startswith("read"))
            assert runner(self._start, *self.command, kill=read).code == -9
        self.begun = tree(self._start)
        whole = self.begin()
        run = runner(whole, *self.command)
        assert run.code == 0, run.err
        self.changes, self.written, self.wanted = run.changes, run.written, tree(whole)
        self.made = {output: whole / output for output in self.outputs}

    def begin(self, place: Path | None = None) -> Path:
        """A new folder, in `place` if it is given, as it is when the scenario begins."""
        self._count += 1
        return shutil.copytree(self._start, (place or self._folder) / str(self._count), symlinks=True)


def part(found: dict[str, str], name: str) -> dict[str, str]:
    """Of a tree, a file or a folder with all in it."""
    return {path: what for path, what in found.items() if path == name or path.startswith(f"{name}/")}


def wrong_after_refusal(run: Run, folder: Path, stage: Stage, codes: Sequence[int]) -> str:
    """What is wrong about how a command ended that could not write; nothing if all is as promised.

    It ends with one of these codes: with 0 after all, or with one sentence, no output, nothing else but the job folder
    left behind, and nothing painted lost.
    """
    found = tree(folder)
    if run.code == 0 and 0 in codes:
        return differences(found, stage.wanted)
    if run.code not in codes or not run.err.startswith("vidstyle: ") or run.err.count("\n") != 1:
        return f"exit {run.code}: {run.err.strip()[-300:]}"
    harmed = [output for output in stage.outputs if part(found, output) != part(stage.begun, output)]
    left = [name for name in found.keys() - stage.begun.keys() if name.endswith(".part") or ".job" not in name]
    lost = [name for name in stage.begun.keys() - found.keys() if ".job/frames/" in name]
    return f"harmed: {harmed}, left: {left}, lost: {lost}" if harmed or left or lost else ""

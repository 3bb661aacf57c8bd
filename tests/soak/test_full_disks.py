"""Disks that get full while a job paints or encodes: one sentence, nothing half made, and later the same bytes."""

from __future__ import annotations

import itertools
import mmap
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from soak.runs import Runner, differences, tree
from soak.stages import Scenario, Stage, wrong_after_refusal
from vidstyle.media.writers.sinks import encoders

for library in ("av", "imageio_ffmpeg"):
    pytest.importorskip(library)
OUTPUTS = [*(f"out{suffix}" for suffix in encoders()), "out/"]
OFTEN = ("out.mp4", "out.png")  # tried in the short version, too: one that ffmpeg writes, one that PyAV writes
DISK_FULL = 7
PAGE = mmap.PAGESIZE
soak = pytest.mark.soak
some_outputs = pytest.mark.parametrize(
    "output", [pytest.param(name, marks=() if name in OFTEN else soak) for name in OUTPUTS]
)


@pytest.fixture(scope="module")
def stage_of(runner, inputs, tmp_path_factory):
    """A stage for each output and clip, made once."""
    stages: dict[tuple[str, str, bool], Stage] = {}

    def stage(output: str, *, clip: str = "clip", painted: bool = False) -> Stage:
        if (wanted := (output, clip, painted)) not in stages:
            command = f"video {{{clip}}} {{style}} -o {output} --size 160 --crf 4"
            scenario = Scenario(command, (output.rstrip("/"),), painted)
            stages[wanted] = Stage(scenario, runner, inputs, tmp_path_factory.mktemp("stage"))
        return stages[wanted]

    return stage


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def leave(disk: Path, pages: int) -> Path:
    """Fill a disk so that so many pages are free. Returns the file that fills it."""
    ballast = disk / "ballast"
    ballast.touch()
    ballast.write_bytes(bytes((os.statvfs(disk).f_bavail - pages) * PAGE))
    return ballast


def wrong_when_there_is_space_again(runner: Runner, folder: Path, stage: Stage) -> str:
    again = runner(folder, *stage.command)
    return again.err.strip()[-300:] if again.code else differences(tree(folder), stage.wanted)


@pytest.mark.parametrize("tries", [2, pytest.param(50, marks=soak)])
@pytest.mark.parametrize("painted", [False, True], ids=["painting", "encoding"])
def test_the_disk_is_full_after_so_many_bytes(painted, tries, stage_of, runner):
    """Of what Python writes: all of the job, and a folder of frames."""
    stage, lines = stage_of("out/", painted=painted), []
    for room in (stage.written * number // tries + 1 for number in range(tries)):
        folder = stage.begin()
        run = runner(folder, *stage.command, room=room)
        words = wrong_after_refusal(run, folder, stage, (0, DISK_FULL))
        words = words or wrong_when_there_is_space_again(runner, folder, stage)
        lines += [f"room for {room} of {stage.written} bytes: {words}"] if words else []
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("tries", [1, pytest.param(20, marks=soak)])
@some_outputs
def test_no_file_can_be_larger_than(output, tries, stage_of, runner):
    """Of what ffmpeg and PyAV write, too; the clip is larger than their buffers."""
    stage, lines = stage_of(output, clip="large", painted=True), []
    made = stage.made[stage.outputs[0]]
    size = max(file.stat().st_size for file in made.iterdir()) if made.is_dir() else made.stat().st_size
    for largest in (size * (number + 1) // (tries + 1) for number in range(tries)):
        folder = stage.begin()
        run = runner(folder, *stage.command, largest=largest)
        words = wrong_after_refusal(run, folder, stage, (0, DISK_FULL))
        words = words or wrong_when_there_is_space_again(runner, folder, stage)
        lines += [f"files of {largest} bytes, the output has {size}: {words}"] if words else []
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=soak)], ids=["some", "all"])
@some_outputs
def test_a_disk_with_so_many_free_pages(output, every, stage_of, runner, disk):
    stage, lines = stage_of(output), []
    sizes: Iterable[int] = itertools.count() if every else (2, 12)
    for pages in sizes:
        folder = stage.begin(disk)
        ballast = leave(disk, pages)
        run = runner(folder, *stage.command)
        words = wrong_after_refusal(run, folder, stage, (0, DISK_FULL))
        ballast.unlink()
        if run.code != 0:
            words = words or wrong_when_there_is_space_again(runner, folder, stage)
        lines += [f"{pages} pages: {words}"] if words else []
        if run.code == 0:
            break
    assert not lines, "\n".join(lines)


@some_outputs
def test_the_folder_for_temporary_files_is_full(output, stage_of, runner, disk):
    stage = stage_of(output)
    folder = stage.begin()
    leave(disk, 0)
    run = runner(folder, *stage.command, environment={"TMPDIR": str(disk)})
    assert not wrong_after_refusal(run, folder, stage, (0, DISK_FULL))
    assert not wrong_when_there_is_space_again(runner, folder, stage) or run.code == 0

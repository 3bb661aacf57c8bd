"""Inputs that are replaced, and a working folder that goes away, while a job paints."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from soak.runs import differences, tree
from soak.stages import Scenario, Stage

MOMENTS = {"painting": "write .*job/frames/000001", "encoding": "read .*job/frames/000000.png$"}
RENAMED = pytest.param(False, marks=pytest.mark.soak)
REPLACED = {"the clip": ("clip.mp4", "large.mp4"), "the style": ("style.png", "photo.png")}


@pytest.fixture(scope="module")
def stage(runner, inputs, tmp_path_factory):
    scenario = Scenario("video {clip} {style} -o out.mp4", ("out.mp4",))
    return Stage(scenario, runner, inputs, tmp_path_factory.mktemp("stage"))


@pytest.fixture
def own(inputs, tmp_path):
    """Inputs of its own for a test that harms them."""
    return type(inputs)(Path(shutil.copytree(inputs.folder, tmp_path / "inputs")))


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize(("name", "other"), REPLACED.values(), ids=REPLACED)
@pytest.mark.parametrize(
    "in_place", [pytest.param(False, marks=pytest.mark.soak), True], ids=["by a rename", "in place"]
)
def test_an_input_is_replaced(in_place, name, other, moment, runner, own, stage):
    """All of the film is of what was there at first; or a sentence, and no film."""
    folder, command = stage.begin(), own.named(stage.scenario.command)
    replaced, new = own.folder / name, own.folder / f"new-{name}"
    original = replaced.read_bytes()
    run = runner(folder, *command, hold=moment)
    assert run.code is None
    if in_place:
        replaced.write_bytes((own.folder / other).read_bytes())
    else:
        shutil.copyfile(own.folder / other, new)
        os.replace(new, replaced)
    run = runner.go_on(run)
    if run.code == 0:
        assert not differences(tree(folder), stage.wanted)
        return
    assert run.code in (3, 9) and run.err.startswith("vidstyle: ") and run.err.count("\n") == 1, run.err
    assert not (folder / "out.mp4").exists()
    assert runner(folder, *command).code == 9  # another input makes another job
    replaced.write_bytes(original)
    assert runner(folder, *command).code == 0
    assert not differences(tree(folder), stage.wanted)


def test_the_working_folder_is_deleted(runner, stage, tmp_path):
    place, working = tmp_path / "place", tmp_path / "working"
    place.mkdir()
    working.mkdir()
    command = [str(place / "out.mp4") if word == "out.mp4" else word for word in stage.command]
    run = runner(working, *command, environment={"TMPDIR": str(tmp_path)}, hold=MOMENTS["painting"])
    assert run.code is None
    shutil.rmtree(working)
    run = runner.go_on(run)
    assert run.code == 0, run.err
    assert (place / "out.mp4").read_bytes() == stage.made["out.mp4"].read_bytes()


ELSEWHERE = """
import os
from vidstyle import RunOptions, VideoSettings, stylize_video

def on_frame(result, total):
    os.chdir({elsewhere!r})

settings = VideoSettings(network="network.safetensors", size=32, first_iterations=1)
stylize_video("clip.mp4", ["style.png"], "out.mp4", settings, RunOptions(on_frame=on_frame))
"""


def test_the_caller_changes_the_working_folder(runner, own, stage, tmp_path):
    """Relative names are those of the call's beginning."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = runner(own.folder, code=ELSEWHERE.format(elsewhere=str(elsewhere)))
    assert run.code == 0, run.err
    assert (own.folder / "out.mp4").read_bytes() == stage.made["out.mp4"].read_bytes()
    assert not (own.folder / "out.mp4.job").exists() and not list(elsewhere.iterdir())

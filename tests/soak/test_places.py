"""Places that somebody else owns, and inputs or a working folder that change while a job paints."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from soak.runs import TEMPORARY
from soak.stages import Scenario, Stage, wrong_after_refusal

ffmpeg = pytest.importorskip("vidstyle.system.ffmpeg")
NOBODY = 65534
PAINT = Scenario("video {clip} {style} -o out.mp4", ("out.mp4",))
PAINTED = Scenario(PAINT.command, PAINT.outputs, painted=True)
LOCKED = {  # what nobody may write, and how a run of somebody else may end
    "the folder of the output": (PAINT, ".", (7,)),
    "the job folder": (PAINTED, "out.mp4.job", (7, 9)),
    "an older folder of frames": (Scenario("video {clip} {style} -o out/ -y", ("out",), older=True), "out", (0, 7)),
    "the folder for temporary files": (PAINT, TEMPORARY, (0, 7)),
}


@pytest.fixture
def public():
    """A folder that other users may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="vidstyle-soak-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize(("scenario", "place", "codes"), LOCKED.values(), ids=LOCKED)
def test_a_place_that_cannot_be_written(scenario, place, codes, runner, inputs, public, tmp_path):
    somebody = None
    if os.getuid() == 0:  # who may write everywhere
        somebody = NOBODY
        try:
            subprocess.run([ffmpeg.executable(), "-version"], capture_output=True, user=somebody, check=True)
        except OSError:
            pytest.skip("another user may not run this ffmpeg")
    copied = type(inputs)(Path(shutil.copytree(inputs.folder, public / "inputs")))
    for path in (copied.folder, *copied.folder.iterdir()):
        path.chmod(0o755)
    stage = Stage(scenario, runner, copied, tmp_path)
    folder = stage.begin(public)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    locked = folder / place
    locked.mkdir(exist_ok=True)
    for path in (locked, *locked.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    run = runner(folder, *stage.command, user=somebody)
    assert not wrong_after_refusal(run, folder, stage, codes)

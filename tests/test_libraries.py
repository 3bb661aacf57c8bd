"""On a machine without the libraries of clips: pictures are painted, the benchmark runs, and clips are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import pixels, texture
from PIL import Image

import vidstyle
from vidstyle.errors import UsageError
from vidstyle.jobs.sources.clips import SequenceSource
from vidstyle.lab import synthetic
from vidstyle.settings import VideoSettings
from vidstyle.system import libraries

BARE = """
import json, sys
for name in ("av", "imageio_ffmpeg"):
    sys.modules[name] = None  # so that importing it fails, as if it were not installed
from vidstyle import stylize_image
from typer.testing import CliRunner
from vidstyle.cli import app
if "bench" in sys.argv[1]:
    from vidstyle.lab.bench import machine, timings
    machine.BUDGET, machine.MATRIX_SIDE, machine.COPIED_BYTES, timings.IN_A_ROW = 0.0, {"cpu": 64}, 2**16, {"cpu": 2}
done = [CliRunner().invoke(app, arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([(one.exit_code, " ".join(one.output.split())) for one in done]))
"""
FAST = ["--size", 64, "--first-iterations", 2, "--device", "cpu"]


def run_bare(*commands):
    """Exit code and output, its lines joined, of each command, run where those libraries cannot be imported."""
    arguments = json.dumps([list(map(str, command)) for command in commands])
    environment = {**os.environ, "PYTHONPATH": str(Path(vidstyle.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", BARE, arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def picture_file(tmp_path):
    Image.fromarray(pixels(texture(40, 64, seed=1))).save(tmp_path / "picture.jpg")
    return tmp_path / "picture.jpg"


@pytest.mark.slow
def test_the_benchmark_takes_its_pictures_as_they_were_drawn(tmp_path, network):
    out = tmp_path / "bench.json"
    [(code, output)] = run_bare(["bench", "--network", network, *FAST, "--iterations", 2, "--frames", 3, "-o", out])
    assert code == 0, output
    assert "Decoding was not measured" in output
    job = json.loads(out.read_text())["job"]
    assert (job["frames"], job["decoded"]) == (3, False)
    names = {stage["name"] for stage in job["stages"]}
    assert {"flow", "wait", "warp", "optimise", "save"} <= names
    assert "decode" not in names


def test_pictures_are_painted_and_clips_refused_in_one_sentence(tmp_path, network, samples, picture_file):
    clip = samples / "ride.mp4"
    common = ["--network", network, *FAST]
    helped, image, *refused, doctor = run_bare(
        ["--help"],
        ["image", picture_file, picture_file, "-o", tmp_path / "out.png", "-q", *common],
        ["bench", clip, *common],
        ["bench", "--start", 1, *common],
        ["video", clip, picture_file, "-o", tmp_path / "out.mp4", "-q", *common],
        ["balance", picture_file, picture_file, "-o", tmp_path / "out.gif", "-q", *common],
        ["doctor"],
    )
    assert helped[0] == 0, helped
    assert image == [0, ""]
    with Image.open(tmp_path / "out.png") as painted:
        assert painted.size == (64, 40)
    reading = "vidstyle: reading a clip takes av, not installed here; run pip install av"
    writing = (
        "vidstyle: writing a clip takes av and imageio_ffmpeg, not installed here; run pip install av imageio-ffmpeg"
    )
    assert refused[0] == [2, reading]
    assert refused[1][0] == 2
    assert "--start" in refused[1][1]
    assert refused[2:] == [[2, writing], [2, writing]]
    assert doctor[0] == 1
    assert "MISSING clips" in doctor[1]
    assert "pip install av imageio-ffmpeg" in doctor[1]


def test_what_is_missing_is_named():
    assert libraries.missing(["numpy", "no_such_library"]) == ["no_such_library"]
    libraries.require("counting", "numpy", "json")
    with pytest.raises(UsageError, match=r"^counting takes no_such_library, .*pip install no-such-library$"):
        libraries.require("counting", "numpy", "no_such_library")


def test_a_drawn_clip_is_the_generated_one_and_can_be_entered_anywhere(tmp_path):
    clip = synthetic.GeneratedClip(tmp_path, 64, 4)
    wanted = list(synthetic.generated_frames(clip.info))
    assert clip.info.frames == 4
    for start in range(5):
        assert all(np.array_equal(*pair) for pair in zip(clip.decode(start), wanted[start:], strict=True))
    source = SequenceSource(clip, VideoSettings(size=48), (1.0,), cuts=[2])
    assert [frame.motion is None for frame in source.frames(0)] == [True, False, True, False]
    assert torch.equal(next(source.frames(3)).image, list(source.frames(0))[3].image)

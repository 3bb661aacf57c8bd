"""What a report of a bug holds, `--verbose` and `doctor --report`; what the doctor says where things are missing."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import pixels, texture
from PIL import Image

import vidstyle as package
from vidstyle.system import facts

# Runs the command line where painting fails as nobody foresaw, or where a library cannot be imported.
BROKEN = """
import sys
what, *sys.argv[1:] = sys.argv[1:]
if what == "bug":
    import vidstyle.core.stylizer
    def step(self, frame, state):
        raise KeyError("/home/some body/clips/secret.mp4")
    vidstyle.core.stylizer.Stylizer.step = step
elif what:
    sys.modules[what] = None
from vidstyle.__main__ import main
main()
"""


def run(what, *arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parent.parent), **variables}
    command = [sys.executable, "-c", BROKEN, what, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def job(tmp_path, network):
    home = tmp_path / "home" / "some body"
    home.mkdir(parents=True)
    Image.fromarray(pixels(texture(40, 48, seed=1))).save(home / "picture.png")
    picture = home / "picture.png"
    fast = ["--first-iterations", 1, "--size", 32, "--device", "cpu", "--network", network]
    return ["image", picture, picture, "-o", home / "out.png", "-q", *fast]


def holds_what_a_report_needs(text):
    assert f"Python {platform.python_version()}" in text
    for name in ("torch", "numpy", "pillow"):
        assert f"{name} {version(name)}" in text
    assert "device: c" in text
    assert "threads" in text
    assert "ffmpeg" in text


def test_verbose_prints_what_a_report_needs(vidstyle, job, tmp_path):
    done = vidstyle(*job, "--verbose")
    assert done.exit_code == 0, done.stderr
    holds_what_a_report_needs(done.stderr)
    assert "options: --size 32 --network FILE.safetensors" in done.stderr
    assert "optimise" in done.stderr.splitlines()[-1]
    assert str(tmp_path) not in done.stderr
    assert vidstyle(*job, "-y").stderr == ""


def test_an_error_that_nobody_foresaw_is_a_sentence_and_with_v_a_traceback(job, tmp_path):
    done = run("bug", *job)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "this is a bug in vidstyle (KeyError: " in done.stderr
    assert "-v" in done.stderr
    *report, last = run("bug", *job, "-v").stderr.splitlines()
    assert last == done.stderr.strip()
    text = "\n".join(report)
    holds_what_a_report_needs(text)
    assert 'File "vidstyle/jobs/tasks.py"' in text
    assert "KeyError: '…/secret.mp4'" in text
    assert "some body" not in text
    assert str(tmp_path) not in text


def test_the_doctor_reports(vidstyle, tmp_path):
    done = vidstyle("doctor", "--report")
    assert done.exit_code == 0, done.stderr
    holds_what_a_report_needs(done.stdout)
    (tmp_path / "job.log").write_text("what happened\n")
    done = vidstyle("doctor", "--report", tmp_path)
    assert done.stdout.endswith("job.log:\nwhat happened\n")
    assert vidstyle("doctor", "--report", tmp_path / "none").exit_code == 9
    assert vidstyle("doctor", tmp_path).exit_code == 2


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("av", 1),
        ("torch", 2),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("cv2", 1), ("torchvision", 1), ("numpy", 2))),
    ],
)
def test_the_doctor_names_a_library_that_cannot_be_imported(missing, code):
    done = run(missing, "doctor")
    assert done.returncode == code, done.stderr
    assert missing in done.stdout + done.stderr
    assert "pip install" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_finds_no_ffmpeg():
    done = run("", "doctor", IMAGEIO_FFMPEG_EXE="/no/such/ffmpeg")
    assert (done.returncode, "MISSING clips" in done.stdout, done.stderr) == (1, True, "")


PATHS = [
    ("/usr/lib/x/y.so is gone", "…/y.so is gone"),
    ("'/home/anna b/a/x.mp4'", "'…/x.mp4'"),
    ("/Users/anna/x", "…/x"),
    (r"C:\Users\anna\clips\x.mp4", "…/x.mp4"),
    ("a/b and 1/2 of ./c/d", "a/b and 1/2 of ./c/d"),
    (f"{Path(facts.__file__)}", "vidstyle/system/facts.py"),
]


@pytest.mark.parametrize(("text", "left"), PATHS)
def test_folders_are_left_out_of_paths(text, left):
    assert facts.scrubbed(text) == left

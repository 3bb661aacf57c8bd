"""Signals that ask to stop, sent to a process that is held at a known place: nothing is left behind."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from clips import make_clip, pan
from conftest import pixels, texture
from PIL import Image

import vidstyle as package

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
FAST = ["--size", "32", "--first-iterations", "1", "--iterations", "1", "--device", "cpu"]
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
# Runs `python -m vidstyle`, held where the first argument says: it writes a byte to one pipe and reads the other.
HELD = """
import ctypes, importlib, os, pathlib, runpy, sys
place, told, go, *sys.argv[1:] = sys.argv[1:]

def hold():
    os.write(int(told), b"x")
    os.read(int(go), 1)

def deaf():  # in C, where no Python code runs: a lock that nobody opens
    os.write(int(told), b"x")
    mutex, library = ctypes.create_string_buffer(128), ctypes.CDLL(None)
    while True:
        library.pthread_mutex_lock(mutex)

class Importing:
    def find_spec(self, name, path, target=None):
        if name == place:
            sys.meta_path.remove(self)
            hold()

def wrap(module, owner, name, at, then, begins=lambda: True):
    owner = getattr(importlib.import_module(module), owner)
    method, calls = getattr(owner, name), []
    def held(*args, **kwargs):
        if begins():
            calls.append(name)
        if len(calls) == at:
            calls.append("held")
            then()
        return method(*args, **kwargs)
    setattr(owner, name, held)

def all_painted():  # outputs are tried before, too
    journal = pathlib.Path(sys.argv[sys.argv.index("-o") + 1] + ".job", "journal.jsonl")
    return journal.exists() and len(journal.read_text().splitlines()) == 6

if place != "deaf":  # a process that a busy machine does not run for some seconds is not ended by force
    signals = importlib.import_module("vidstyle.system.signals")
    signals.DEAF = signals.CLEAN_UP = 600
for where in place.split("+"):
    match where:
        case "painting": wrap("vidstyle.core.stylizer", "Stylizer", "step", 3, hold)
        case "deaf": wrap("vidstyle.core.stylizer", "Stylizer", "step", 3, deaf)
        case "encoding": wrap("vidstyle.system.ffmpeg", "Process", "write", 3, hold, all_painted)
        case "clean-up": wrap("vidstyle.system.ffmpeg", "Process", "kill", 1, hold, all_painted)
        case _: sys.meta_path.insert(0, Importing())
runpy.run_module("vidstyle", run_name="__main__", alter_sys=True)
"""


class Held:
    """A process that waits at a place."""

    def __init__(self, place, *arguments, **options):
        (self.reached, told), (go, self.go) = os.pipe(), os.pipe()
        # A shell has what it runs in the background ignore SIGINT, nohup SIGHUP; and what is ignored stays so.
        options.setdefault("preexec_fn", lambda: [signal.signal(getattr(signal, n), signal.SIG_DFL) for n in CODES])
        command = [sys.executable, "-c", HELD, place, str(told), str(go), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parent.parent)}
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(told, go), env=environment, **options
        )
        os.close(told)
        os.close(go)

    def wait(self):
        """Until it is at the place."""
        assert os.read(self.reached, 1) == b"x", self.process.communicate()[1].decode()

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self):
        """Exit code and what it said."""
        text = self.process.communicate(timeout=600)[1].decode()
        return self.process.returncode, text

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        for end in (self.reached, self.go):
            os.close(end)


@pytest.fixture
def job(tmp_path, network):
    """A command that paints six frames."""
    clip = make_clip(tmp_path / "clip.mp4", pan(6, height=32, width=48))
    Image.fromarray(pixels(texture(40, 40, seed=2))).save(tmp_path / "style.png")
    return ["video", clip, tmp_path / "style.png", "-o", tmp_path / "out.mp4", "--network", network, *FAST]


def names(folder):
    return {path.name for path in folder.iterdir()}


PLACES = ["vidstyle.cli", "typer", "torch", "vidstyle.api", "painting", "encoding"]
USUAL = {*zip(PLACES, 2 * [*CODES], strict=True)}  # each place and, twice, each signal


def slow(*values, unless):
    return pytest.param(*values, marks=() if unless else pytest.mark.slow)


@pytest.mark.parametrize(
    ("place", "name"), [slow(*one, unless=one in USUAL) for one in itertools.product(PLACES, CODES)]
)
def test_a_signal_ends_the_run_with_a_sentence_and_leaves_nothing(vidstyle, tmp_path, job, place, name):
    before = names(tmp_path)
    with Held(place, *job) as run:
        run.wait()
        children = run.children()
        assert bool(children) == (place == "encoding")
        run.process.send_signal(getattr(signal, name))
        code, text = run.end()
    assert code == CODES[name], text
    said = "interrupted" if name == "SIGINT" else f"stopped by {name}"
    assert text.splitlines()[-1] == f"vidstyle: {said}; the same command goes on where this one stopped"
    assert "Traceback" not in text
    assert not psutil.wait_procs(children, timeout=600)[1]
    begun = {"out.mp4.job"} if place in ("painting", "encoding") else set()
    assert names(tmp_path) == before | begun
    if begun:
        again = vidstyle(*job)
        assert again.exit_code == 0, again.output
        assert names(tmp_path) == before | {"out.mp4"}


@pytest.mark.parametrize("name", [slow(name, unless=name == "SIGTERM") for name in CODES])
def test_a_second_signal_does_not_disturb_the_clean_up(tmp_path, job, name):
    before = names(tmp_path)
    with Held("encoding", *job) as plain:  # it has the frames
        plain.wait()
        plain.process.kill()
    with Held("clean-up+encoding", *job) as run:
        run.wait()
        run.process.send_signal(getattr(signal, name))
        run.wait()
        for _ in range(3):
            run.process.send_signal(signal.SIGINT)
        os.write(run.go, b"x")
        code, text = run.end()
    assert (code, "Traceback" in text) == (CODES[name], False), text
    assert names(tmp_path) - before <= {"out.mp4.job"}


def test_a_library_that_does_not_return_is_not_waited_for(vidstyle, tmp_path, job):
    with Held("deaf", *job) as run:
        run.wait()
        run.process.send_signal(signal.SIGTERM)
        code, text = run.end()
    assert (code, "the same command goes on" in text) == (143, True), text
    again = vidstyle(*job)
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("name", [slow(name, unless=name == "SIGHUP") for name in CODES])
def test_what_the_parent_ignores_stays_ignored(tmp_path, job, name):
    """As nohup and background jobs of a shell have it."""
    number = getattr(signal, name)
    with Held("painting", *job, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN)) as run:
        run.wait()
        run.process.send_signal(number)
        os.write(run.go, b"x")
        code, text = run.end()
    assert code == 0, text
    assert (tmp_path / "out.mp4").is_file()


def test_nobody_who_reads_is_no_traceback(tmp_path, job):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "vidstyle"]
    listing = subprocess.run([*command, "guide", "design"], stdout=writing, stderr=subprocess.PIPE, check=False)
    assert (listing.returncode, listing.stderr) == (141, b"")
    painting = subprocess.run([*command, *map(str, job)], stderr=writing, check=False)
    os.close(writing)
    assert painting.returncode == 0
    assert (tmp_path / "out.mp4").is_file()
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            told = subprocess.run([*command, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (told.returncode, told.stderr) == (7, "vidstyle: standard output cannot be written: its disk is full\n")

"""`vidstyle watch` and what it reads: the progress of a job that another process paints, or has painted."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from clips import make_clip, pan
from conftest import pixels, texture
from PIL import Image
from rich.color import Color

from vidstyle.api import JobWatcher
from vidstyle.cli.watching import curve, described, half_blocks, spoken
from vidstyle.errors import JobError
from vidstyle.jobs.folder import growing as growing_module
from vidstyle.jobs.folder import status as status_module
from vidstyle.jobs.folder.growing import GROWING, GrowingPicture
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.jobs.folder.status import JobStatus

FRAMES = 6
HOLD = """
import sys, json, os, socket, pathlib
from filelock import FileLock
folder = pathlib.Path(sys.argv[1])
with FileLock(folder / "lock"):
    (folder / "owner.json").write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def job(tmp_path, network, vidstyle, once):
    """The folder of a finished job."""

    def paint():
        clip = make_clip(tmp_path / "clip.mp4", pan(FRAMES), rate=12)
        Image.fromarray(pixels(texture(64, 64, 2))).save(tmp_path / "style.png")
        words = ["--network", network, "--iterations", 1, "--first-iterations", 1, "--device", "cpu", "--keep-job"]
        done = vidstyle("video", clip, tmp_path / "style.png", "-o", tmp_path / "out.gif", *words)
        assert done.exit_code == 0, done.output

    once(paint)
    return tmp_path / "out.gif.job"


@pytest.fixture
def held(job):
    """The same while another process holds its lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(job)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        yield job
        other.stdin.close()


def journal(job):
    return (job / "journal.jsonl").read_text().splitlines(keepends=True)


def keep(job, lines):
    """Let the journal be that of a job that has come so far."""
    (job / "journal.jsonl").write_text("".join(lines))


@pytest.mark.clips
def test_a_finished_job_is_read(job):
    before = {path: path.stat().st_mtime_ns for path in job.rglob("*")}
    status = JobWatcher(job).status()
    losses = [json.loads(line)["losses"]["total"] for line in journal(job)]
    assert (status.phase, status.frames, status.painted, status.newest) == ("finished", FRAMES, FRAMES, FRAMES - 1)
    assert list(status.losses) == losses
    assert status.outputs == ("out.gif",)
    assert status.ended and not status.running and status.fps is None and status.eta_seconds is None
    assert JobWatcher(job.with_name("out.gif")).folder == job
    assert {path: path.stat().st_mtime_ns for path in job.rglob("*")} == before


@pytest.mark.clips
def test_of_a_growing_journal_the_new_lines_are_read(held):
    lines = journal(held)
    keep(held, lines[:2])
    watcher = JobWatcher(held)
    assert (watcher.status().phase, watcher.status().painted) == ("painting", 2)
    with open(held / "journal.jsonl", "a") as file:
        file.write(lines[2] + lines[3][:20])
        file.flush()
        assert watcher.status().painted == 3  # a torn line does not count yet
        file.write(lines[3][20:])
    assert (watcher.status().painted, watcher.status().newest) == (4, 3)
    new = held / "new"
    new.write_text(lines[0])  # another run has written it anew
    new.replace(held / "journal.jsonl")
    assert (watcher.status().painted, watcher.status().newest) == (1, 0)


@pytest.mark.clips
def test_rate_and_time_left_are_those_of_the_running_process(held):
    keep(held, journal(held)[:4])
    began = (held / "owner.json").stat().st_mtime
    for number, when in enumerate((began - 500, began + 2, began + 4, began + 6)):  # the first was painted earlier
        os.utime(held / f"frames/{number:06d}.png", (when, when))
    status = JobWatcher(held).status()
    assert status.fps == pytest.approx(0.5)
    assert status.eta_seconds == pytest.approx((FRAMES - 4) / 0.5)


@pytest.mark.clips
def test_a_process_that_has_died_does_not_count(held, monkeypatch, tmp_path):
    assert status_module.is_held(held)
    monkeypatch.setattr(status_module, "LOCK_TABLE", tmp_path / "none")  # where a system has no such table
    assert status_module.is_held(held)
    (held / "owner.json").write_text(json.dumps({"pid": 2**22 + 1, "host": json.loads(owner(held))["host"]}))
    assert not status_module.is_held(held)


def owner(job):
    return (job / "owner.json").read_text()


@pytest.mark.clips
def test_a_pipe_gets_a_line_for_each_change_until_the_job_ends(held):
    lines = journal(held)
    keep(held, lines[:1])
    command = [sys.executable, "-m", "vidstyle", "watch", str(held), "--every", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert re.match(r"out\.gif: 1 of 6 frames, .*; painting\n", watching.stdout.readline())
        with open(held / "journal.jsonl", "a") as file:
            file.write("".join(lines[1:]))
        assert re.match(r"out\.gif: 6 of 6 frames, .*; encoding\n", watching.stdout.readline())
        held.rename(held.with_name("elsewhere"))  # at once, so that no part of it is seen
        assert "the job folder was removed" in watching.stdout.readline()
        assert watching.wait(60) == 0


@pytest.mark.clips
def test_once_prints_one_line(job, vidstyle):
    done = vidstyle("watch", job, "--once")
    assert (done.exit_code, done.output.count("\n")) == (0, 1)
    assert done.output.endswith("; finished\n")
    keep(job, journal(job)[:2])
    assert "2 of 6 frames" in vidstyle("watch", job.with_name("out.gif")).output


def test_what_is_no_job_is_refused(tmp_path, vidstyle):
    with pytest.raises(JobError, match="there is no job folder"):
        JobWatcher(tmp_path / "a.mp4").require()
    assert vidstyle("watch", tmp_path / "a.mp4").exit_code == 9
    assert JobWatcher(tmp_path / "a.mp4").status().phase == "gone"


def test_each_line_of_a_long_journal_is_read_once(tmp_path):
    """20,000 frames, looked at 40 times."""
    job = tmp_path / "a.gif.job"
    job.mkdir()
    entry = {"losses": {"total": 0.5}, "iterations": 5, "seconds": 1.0, "sha256": "0" * 64, "state": "0" * 64}
    watcher = JobWatcher(job)
    total, read = 20_000, 0
    with open(job / "journal.jsonl", "a") as file:
        for first in range(0, total, 500):
            file.write("".join(json.dumps(entry | {"index": first + n}) + "\n" for n in range(500)))
            file.flush()
            before = watcher._offset
            assert watcher.status().painted == first + 500
            read += watcher._offset - before
    assert read == (job / "journal.jsonl").stat().st_size


def test_a_curve_and_durations_are_drawn():
    assert curve([0, 1], 10, rows=1) == ["▁█"]
    assert curve([1, 1, 1], 10, rows=1) == ["▁▁▁"]
    assert curve([0, 8, 0, 0], 2, rows=2) == ["█", "█▁"]
    assert [spoken(seconds) for seconds in (5, 65, 3725)] == ["5 s", "1:05", "1:02:05"]
    fast = JobStatus(Path("a.gif.job"), "painting", 9, 3, 2, (0.5,), 7, 2.0)
    assert described(fast) == "a.gif: 3 of 9 frames, loss 0.5000, 7 evaluations, 2.00 frames/s, 3 s left; painting"


def test_half_blocks_show_two_pixels_a_character():
    picture = np.zeros((4, 3, 3), np.uint8)
    picture[0, 0], picture[1, 0] = (255, 0, 0), (0, 255, 0)
    text = half_blocks(picture, 10, 10)
    assert text.plain == "▀▀▀\n▀▀▀"
    first = text.spans[0].style
    assert (first.color, first.bgcolor) == (Color.from_rgb(255, 0, 0), Color.from_rgb(0, 255, 0))
    assert half_blocks(np.zeros((400, 600, 3), np.uint8), 30, 100).plain.count("\n") == 9  # 30 x 20 pixels


class Clock:
    """Stands for the time: each look at it takes a second."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1.0
        return self.now


@pytest.mark.clips
def test_the_frame_that_is_painted_is_seen_as_it_grows(held, monkeypatch):
    monkeypatch.setattr(growing_module, "time", Clock())
    keep(held, journal(held)[:2])
    watcher, grown = JobWatcher(held), GrowingPicture(held)
    pictures = [pixels(texture(900, 1200, seed)) for seed in (1, 2)]
    assert (watcher.status().growing, watcher.growing()) == (0, None)
    assert np.array_equal(watcher.newest(watcher.status()), watcher.picture(1))
    made = []

    def make(number):
        made.append(number)
        return pictures[number]

    while len(made) < 1:
        grown(lambda: make(0))
    first, shown = watcher.status().growing, watcher.newest(watcher.status())
    assert first and shown.shape == (480, 640, 3)
    small = cv2.resize(pictures[0], (640, 480), interpolation=cv2.INTER_AREA)
    assert abs(shown.astype(int) - small).mean() < 4
    for _ in range(50):
        grown(lambda: make(1))
    assert made == [0]  # a hundredth of the time is spent on it
    for _ in range(60):
        grown(lambda: make(1))
    assert made == [0, 1] and watcher.status().growing != first
    grown.saved()
    assert watcher.status().growing == 0 and not (held / GROWING).exists()


@pytest.mark.clips
def test_memory_and_shots_are_told(held, monkeypatch, vidstyle):
    manifest = Manifest.decoded((held / "manifest.json").read_bytes())
    (held / "manifest.json").write_bytes(dataclasses.replace(manifest, shots=(2, 4)).encoded())
    whole = journal(held)
    for painted, shot in ((1, 1), (2, 1), (3, 2), (5, 3)):
        keep(held, whole[:painted])
        status = JobWatcher(held).status()
        assert (status.shot, status.shots) == (shot, 3)
    line = vidstyle("watch", held, "--once").output
    assert "5 of 6 frames, shot 3 of 3" in line
    if sys.platform == "linux":
        pid = json.loads(owner(held))["pid"]
        assert status.memory == pytest.approx(psutil.Process(pid).memory_info().rss, rel=0.2)
        assert re.search(r"[\d.]+ MB of memory", line)
    monkeypatch.setattr(status_module.socket, "gethostname", lambda: "elsewhere")
    assert JobWatcher(held).status().memory is None


@pytest.mark.clips
def test_a_picture_that_a_killed_run_has_left_does_not_grow(held, job):
    keep(held, journal(held)[:2])
    (held / GROWING).write_bytes(b"old")
    began = (held / "owner.json").stat().st_mtime
    os.utime(held / GROWING, (began - 10, began - 10))
    watcher = JobWatcher(held)
    assert watcher.status().growing == 0
    os.utime(held / GROWING, (began + 10, began + 10))
    assert watcher.status().growing
    assert np.array_equal(watcher.newest(watcher.status()), watcher.picture(1))  # it is no picture


@pytest.mark.clips
def test_a_job_writes_the_picture_that_grows_and_removes_it(tmp_path, network, vidstyle, monkeypatch):
    seen = []
    saved = GrowingPicture.saved

    def looked(self):
        seen.append(JobWatcher(tmp_path / "out.gif.job").growing())
        saved(self)

    monkeypatch.setattr(growing_module, "EVERY", 0.0)
    monkeypatch.setattr(GrowingPicture, "saved", looked)
    clip = make_clip(tmp_path / "clip.mp4", pan(3), rate=12)
    Image.fromarray(pixels(texture(64, 64, 2))).save(tmp_path / "style.png")
    words = ["--network", network, "--iterations", 3, "--first-iterations", 3, "--device", "cpu"]
    done = vidstyle("video", clip, tmp_path / "style.png", "-o", tmp_path / "out.gif", *words)
    assert done.exit_code == 0, done.output
    assert len(seen) == 3 and seen[0][:2] == b"\xff\xd8"
    assert not (tmp_path / "out.gif.job").exists()

"""Shots painted by workers, through the command line: the same bytes, whoever paints them and whatever dies."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from clips import make_clip, pan
from conftest import network_file, pixels, random_network, texture
from PIL import Image
from torchvision.models import optical_flow

import vidstyle as package
from vidstyle import RunOptions, VideoSettings, stylize_video
from vidstyle.errors import JobError, UsageError

pytestmark = pytest.mark.clips
SHOTS = (4, 2, 5, 3)  # frames of each
FRAMES = sum(SHOTS)
ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'vidstyle[cluster]'")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
# Of every process of ours: notes each frame in a file when it is painted, and dies at one if it is told so.
NOTING = """
import os, signal, sys, time

class Hook:
    def find_spec(self, name, path, target=None):
        if name != "vidstyle.executors.worker":
            return
        sys.meta_path.remove(self)
        from vidstyle.core import stylizer
        step = stylizer.Stylizer.step
        def noted(self, frame, state):
            if str(frame.index) == os.environ.get("DIES_AT"):
                os.kill(os.getpid(), signal.SIGKILL)
            if str(frame.index) == os.environ.get("HOLDS_AT"):
                time.sleep(600)
            found = step(self, frame, state)
            with open(os.environ["NOTES"], "a") as file:
                file.write(f"{frame.index} {os.getpid()}\\n")
            return found
        stylizer.Stylizer.step = noted

sys.meta_path.insert(0, Hook())
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A clip of four shots, a style and a network."""
    folder = tmp_path_factory.mktemp("files")
    make_clip(folder / "clip.mp4", [frame for seed, count in enumerate(SHOTS) for frame in pan(count, seed=seed)])
    Image.fromarray(pixels(texture(40, 40, seed=2))).save(folder / "style.png")
    network_file(folder / "tiny.safetensors", random_network())
    (folder / "sitecustomize.py").write_text(NOTING)
    return folder


@pytest.fixture(scope="module")
def command(files):
    """What paints the clip, with one thread."""
    line = f"video {files}/clip.mp4 {files}/style.png --network {files}/tiny.safetensors --size 96 --threads 1"
    return [
        *line.split(),
        *["--first-iterations", "5", "--iterations", "3", "--device", "cpu", "--precision", "float32", "--keep-job"],
    ]


@pytest.fixture(scope="module")
def wanted(command, tmp_path_factory, vidstyle):
    """The frames and the output as this process paints them."""
    folder = tmp_path_factory.mktemp("local")
    done = vidstyle(*command, "-o", folder / "out.mp4")
    assert done.exit_code == 0, done.output
    return made(folder)


def made(folder):
    """What a kept job has painted and made."""
    files = [folder / "out.mp4", *sorted((folder / "out.mp4.job" / "frames").iterdir())]
    return {path.name: path.read_bytes() for path in files}


def journal(folder):
    file = folder / "out.mp4.job" / "journal.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Run:
    """The command in a process of its own, with two workers."""

    def __init__(self, command, files, folder, *more, **environment):
        self.folder, self.notes = folder, folder / "notes"
        paths = os.pathsep.join([str(Path(package.__file__).parent.parent), str(files)])
        added = {"PYTHONPATH": paths, "NOTES": str(self.notes), "OMP_NUM_THREADS": "1", **environment}
        words = [sys.executable, "-m", "vidstyle", *command, "-o", folder / "out.mp4", *more]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ | added)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()

    def wait_for(self, frames):
        """Until so many frames are kept."""
        while len(journal(self.folder)) < frames and self.process.poll() is None:
            time.sleep(0.02)

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def painted(self):
        """The frames that were painted, in order of time."""
        return [int(line.split()[0]) for line in self.notes.read_text().splitlines()]

    def end(self):
        text = self.process.communicate(timeout=600)[1]
        return self.process.returncode, text


def test_the_clip_has_these_shots(vidstyle, command):
    listed = vidstyle("video", command[1], "--shots").output.splitlines()[1:]
    assert [int(line.split()[2]) - int(line.split()[1]) + 1 for line in listed] == list(SHOTS)


@pytest.mark.parametrize("workers", [3, pytest.param(1, marks=pytest.mark.slow), pytest.param("ray", marks=ray)])
def test_any_workers_make_the_same_bytes(vidstyle, command, wanted, tmp_path, workers, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(package.__file__).parent.parent))
    done = vidstyle(*command, "-o", tmp_path / "out.mp4", "--workers", workers)
    assert done.exit_code == 0, done.output
    assert made(tmp_path) == wanted
    found = journal(tmp_path)
    assert sorted(one["index"] for one in found) == list(range(FRAMES))
    assert len({one["device"] for one in found}) == 1 and found[0]["device"].startswith("cpu")
    assert not list((tmp_path / "out.mp4.job" / "states").iterdir())
    manifest = json.loads((tmp_path / "out.mp4.job" / "manifest.json").read_text())
    assert manifest["shots"] == [4, 6, 11] and manifest["threads"] == 1


@posix
@pytest.mark.parametrize(
    "then", [pytest.param("--workers=3", marks=pytest.mark.slow), pytest.param("", marks=pytest.mark.soak)]
)
def test_another_number_of_workers_goes_on_after_a_kill(vidstyle, command, files, wanted, tmp_path, then):
    with Run(command, files, tmp_path, "--workers=2") as run:
        run.wait_for(4)
        children = run.children()
        run.process.kill()
    assert not psutil.wait_procs(children, timeout=60)[1]
    kept = {one["index"]: one["sha256"] for one in journal(tmp_path)}
    assert 4 <= len(kept) < FRAMES
    seconds = {one["index"]: one["seconds"] for one in journal(tmp_path)}
    done = vidstyle(*command, "-o", tmp_path / "out.mp4", *then.split())
    assert done.exit_code == 0, done.output
    assert made(tmp_path) == wanted
    assert {one["index"]: one["seconds"] for one in journal(tmp_path)}.items() >= seconds.items()  # not painted anew


@posix
@pytest.mark.parametrize("workers", ["2", pytest.param("ray", marks=ray)])
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), pytest.param("SIGTERM", 143, marks=pytest.mark.slow)])
def test_a_signal_ends_the_workers_and_the_folder_resumes(
    vidstyle, command, files, wanted, tmp_path, name, code, workers
):
    with Run(command, files, tmp_path, "--workers", workers, TMPDIR=str(tmp_path), HOLDS_AT="9") as run:
        run.wait_for(3)
        children = run.children()
        assert len(children) >= 2
        run.process.send_signal(getattr(signal, name))
        ended, text = run.end()
    assert ended == code, text
    assert "the same command goes on" in text and "Traceback" not in text
    assert not psutil.wait_procs(children, timeout=60)[1]
    assert {path.name for path in tmp_path.iterdir()} <= {"out.mp4.job", "notes"}
    assert vidstyle(*command, "-o", tmp_path / "out.mp4").exit_code == 0
    assert made(tmp_path) == wanted


@pytest.mark.slow
@posix
@pytest.mark.parametrize(("kills", "shots"), [(2, SHOTS), pytest.param(20, (9,) * 14, marks=pytest.mark.soak)])
def test_killed_workers_cost_a_frame_each_at_most(vidstyle, command, files, tmp_path, kills, shots):
    chance, killed, frames = random.Random(kills), 0, sum(shots)
    clip = make_clip(tmp_path / "clip.mp4", [one for seed, count in enumerate(shots) for one in pan(count, seed=seed)])
    command = ["video", clip, *command[2:]]
    for name in ("alone", "workers"):
        (tmp_path / name).mkdir()
    assert vidstyle(*command, "-o", tmp_path / "alone" / "out.mp4").exit_code == 0
    folder = tmp_path / "workers"
    with Run(command, files, folder, "--workers=2", TMPDIR=str(folder)) as run:
        run.wait_for(1)
        while run.process.poll() is None and killed < kills and len(journal(folder)) < frames - 2:
            if workers := run.children():
                chance.choice(workers).kill()
                killed += 1
            run.wait_for(len(journal(folder)) + chance.randint(1, max(frames // kills, 2)))
        children = run.children() if run.process.poll() is None else []
        code, text = run.end()
    assert code == 0, text
    assert killed
    assert made(folder) == made(tmp_path / "alone")
    painted = run.painted()
    print(f"{killed} kills: {len(painted)} paintings of {frames} frames")
    assert set(painted) == set(range(frames)) and len(painted) <= frames + killed
    assert not psutil.wait_procs(children, timeout=60)[1]
    assert {path.name for path in folder.iterdir()} == {"out.mp4", "out.mp4.job", "notes"}


@pytest.mark.slow
@posix
def test_three_deaths_at_a_frame_stop_the_job(vidstyle, command, files, wanted, tmp_path):
    with Run(command, files, tmp_path, "--workers=2", DIES_AT="7") as run:
        code, text = run.end()
    assert code == 1 and "3 workers have died at frame 7" in text and "ended by signal 9" in text, text
    assert "Traceback" not in text
    done = vidstyle(*command, "-o", tmp_path / "out.mp4", "--workers", 2)
    assert done.exit_code == 0, done.output
    assert made(tmp_path) == wanted


def test_the_library_hears_of_each_frame(files, command, wanted, tmp_path):
    settings = VideoSettings(
        size=96,
        first_iterations=5,
        iterations=3,
        device="cpu",
        precision="float32",
        network=f"{files}/tiny.safetensors",
    )
    results, progress = [], []
    run = RunOptions(
        workers=2,
        threads=1,
        keep_job=True,
        on_frame=lambda result, total: results.append((result, total)),
        on_progress=progress.append,
    )
    stylize_video(files / "clip.mp4", [files / "style.png"], tmp_path / "out.mp4", settings, run)
    assert made(tmp_path) == wanted
    assert {total for _, total in results} == {FRAMES}
    for result, _ in results:
        picture = np.asarray(Image.open(tmp_path / f"out.mp4.job/frames/{result.index:06d}.png"))
        assert np.array_equal(result.image, picture) and result.losses["total"] > 0
    assert sorted(result.index for result, _ in results) == list(range(FRAMES))
    assert (progress[-1].painted, progress[-1].frames, progress[-1].shots) == (FRAMES, FRAMES, 0)
    assert progress[-1].rate > 0 and max(now.shots for now in progress) == 2


@pytest.mark.slow
def test_a_report_and_a_loop_are_those_of_one_process(vidstyle, command, tmp_path):
    for name, more in (("alone", ()), ("workers", ("--workers", 2))):
        (tmp_path / name).mkdir()
        done = vidstyle(*command, "-o", tmp_path / name / "out.mp4", "--report", "--loop", *more)
        assert done.exit_code == 0, done.output
    assert "--loop makes one of all" in done.output
    alone, workers = (json.loads((tmp_path / name / "out.report.json").read_text()) for name in ("alone", "workers"))
    assert made(tmp_path / "alone") == made(tmp_path / "workers")
    assert alone["figures"] == workers["figures"] if "figures" in alone else alone.keys() == workers.keys()


@pytest.mark.slow
def test_masks_regions_and_a_learnt_flow_travel(vidstyle, command, files, tmp_path, monkeypatch):
    """By names relative to the working folder; with an initial picture and another precision, too."""
    monkeypatch.chdir(files)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(optical_flow.raft_small(weights=None).state_dict(), "raft.pth")
    Path("masks").mkdir()
    for number in range(FRAMES):
        mask = np.zeros((64, 96), np.uint8)
        mask[:, : 20 + 4 * number] = 255
        Image.fromarray(mask).save(f"masks/{number:02}.png")
    Image.fromarray(255 - mask).save("right.png")
    more = "--mask masks --region right.png=style.png,alpha=.1 --flow raft-small --flow-weights raft.pth"
    more += " --init style.png --precision bfloat16 --iterations 1 --end .4"
    for name, workers in (("alone", ()), ("workers", ("--workers", 2))):
        (tmp_path / name).mkdir()
        done = vidstyle(*command, "-o", tmp_path / name / "out.mp4", *more.split(), *workers)
        assert done.exit_code == 0, done.output
    assert made(tmp_path / "alone") == made(tmp_path / "workers")
    assert len(journal(tmp_path / "workers")) == 10  # those of three shots


@pytest.mark.slow
def test_key_frames_and_carried_masks_travel(vidstyle, command, files, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    Image.fromarray(pixels(texture(64, 96, seed=9))).save("painted.png")
    left = np.zeros((64, 96), np.uint8)
    left[:, :48] = 255
    Image.fromarray(left).save("left.png")
    more = "--first painted.png --key 8=painted.png --mask key:left.png@0 --iterations 1"
    more += " --region key:left.png@5=style.png,alpha=.1"
    for name, workers in (("alone", ()), ("workers", ("--workers", 2))):
        (tmp_path / name).mkdir()
        done = vidstyle(*command, "-o", tmp_path / name / "out.mp4", *more.split(), *workers)
        assert done.exit_code == 0, done.output
    assert made(tmp_path / "alone") == made(tmp_path / "workers")


def test_the_cells_of_a_sheet_are_units(vidstyle, files, tmp_path):
    line = f"sheet {files}/clip.mp4 {files}/style.png --network {files}/tiny.safetensors --size 64 --threads 1"
    for name, more in (("alone.png", ()), ("workers.png", ("--workers", 2))):
        done = vidstyle(*line.split(), "--first-iterations", 3, "--device", "cpu", "-o", tmp_path / name, *more)
        assert done.exit_code == 0, done.output
    assert np.array_equal(*(np.asarray(Image.open(tmp_path / name)) for name in ("alone.png", "workers.png")))


@pytest.mark.parametrize(
    ("more", "words", "code"),
    [
        ("--workers 0", "--workers is '0'; give a number", 2),
        ("--workers many", "or ray for a cluster", 2),
        ("--same-device", "--same-device is about --workers", 2),
        ("--ray-address a:1 --workers 2", "--ray-address is about --workers ray", 2),
        ("--workers ray --ray-address here", "give HOST:PORT", 2),
        ("--workers ray --ray-address 127.0.0.1:1", "nobody answers at --ray-address 127.0.0.1:1", 2),
    ],
)
def test_what_cannot_be_is_refused_at_once(vidstyle, command, tmp_path, more, words, code):
    if "ray-address" in more and "--workers ray" in more:
        pytest.importorskip("ray", reason="needs Ray: pip install 'vidstyle[cluster]'")
    began = time.monotonic()
    done = vidstyle(*command, "-o", tmp_path / "out.mp4", *more.split())
    assert done.exit_code == code and words in done.output, done.output
    assert time.monotonic() - began < 60
    assert not list(tmp_path.iterdir())


@ray
def test_what_the_cluster_lacks_is_refused(vidstyle, command, tmp_path):
    many = [word if word != "1" else "999" for word in command]
    done = vidstyle(*many, "-o", tmp_path / "out.mp4", "--workers", "ray")
    assert done.exit_code == 2 and "takes 999 CPUs, and no machine of the cluster has as many" in done.output
    assert not list(tmp_path.iterdir())


def test_an_animation_has_no_parts(files, vidstyle, tmp_path):
    with pytest.raises(UsageError, match="painted from the one before"):
        package.animate_balance(
            files / "style.png", [files / "style.png"], tmp_path / "o.gif", run=RunOptions(workers=2)
        )
    assert vidstyle("balance", "--workers", 2).exit_code == 2


def test_another_number_of_threads_is_refused(vidstyle, command, files, tmp_path):
    def stop(result, total):
        raise KeyboardInterrupt

    settings = VideoSettings(
        size=96,
        first_iterations=5,
        iterations=3,
        device="cpu",
        precision="float32",
        network=f"{files}/tiny.safetensors",
    )
    job = files / "clip.mp4", [files / "style.png"], tmp_path / "out.mp4", settings
    with pytest.raises(KeyboardInterrupt):
        stylize_video(*job, RunOptions(threads=1, on_frame=stop))
    with pytest.raises(JobError, match="--threads is 2, and what is painted was with 1"):
        stylize_video(*job, RunOptions(threads=2))


@pytest.mark.slow
def test_devices_of_several_kinds_are_told_or_refused(vidstyle, command, wanted, tmp_path):
    """Frames of an earlier call, as if another device had painted them."""
    out = tmp_path / "out.mp4"
    assert vidstyle(*command, "-o", out).exit_code == 0
    out.unlink()
    file = tmp_path / "out.mp4.job" / "journal.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    own = lines[0]["device"]
    some = [json.dumps(line | {"device": "another"}) for line in lines if line["index"] < 6]
    file.write_text("".join(f"{line}\n" for line in some))
    manifest = (tmp_path / "out.mp4.job" / "manifest.json").read_bytes()
    done = vidstyle(*command, "-o", out, "--workers", 2, "--same-device")
    assert done.exit_code == 2 and f"a worker would paint on {own}, and frames are painted on another" in done.output
    assert len(journal(tmp_path)) == 6 and manifest
    done = vidstyle(*command, "-o", out, "--workers", 2)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert f"shots 1-2 on another; shots 3-4 on {own}" in said
    assert made(tmp_path) == wanted

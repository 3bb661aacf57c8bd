"""vidstyle plan says what a job will take, paints nothing, and refuses what painting would refuse."""

import json
import shlex

import numpy as np
import pytest
import torch
from clips import make_clip, pan
from conftest import network_file, pixels, random_network, texture
from PIL import Image

from vidstyle import VideoSettings
from vidstyle.errors import UsageError
from vidstyle.jobs.folder import opening
from vidstyle.lab.plan.figures import FrameCost, bound, makespan
from vidstyle.lab.plan.model import FEWEST, FEWEST_FIRST, Change, Model, fit, seconds_of
from vidstyle.lab.plan.probe import Costs, pilot_size, shrunk
from vidstyle.system import memory
from vidstyle.types import Frame, Motion

FEW = "--network tiny.safetensors --size 64 --first-iterations 3 --iterations 2 --device cpu"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network_file(tmp_path / "tiny.safetensors", random_network())
    make_clip(tmp_path / "clip.mp4", (*pan(5, 96, 64), *pan(3, 96, 64, seed=9)), rate=8)
    for name, seed in (("photo", 1), ("style", 2)):
        Image.fromarray(pixels(texture(64, 96, seed))).save(f"{name}.png")
    return tmp_path


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def planned(vidstyle, line):
    done = vidstyle(*shlex.split(f"plan {line} --json -q"))
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_the_longest_shot_first():
    """5 and 4, then 3 after the 4, 3 after the 5, and the last 3 after the 4 and the 3."""
    assert makespan([3, 4, 3, 5, 3], 2) == 10
    assert bound([3, 4, 3, 5, 3], 2) == 9
    assert makespan([3, 4, 3, 5, 3], 1) == bound([3, 4, 3, 5, 3], 1) == 18
    assert makespan([3, 4, 3, 5, 3], 8) == bound([3, 4, 3, 5, 3], 8) == 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20m", 1200), ("90s", 90), ("1h30m", 5400), ("600", 600), ("1.5 h", 5400), ("2m5s", 125), ("3MIN", 180)],
)
def test_times_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "soon", "-5", "0", "20 m 3", "1e400", "nan"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="--time-budget"):
        seconds_of(text)


def model(**changes):
    """Two shots of 10 and 4 frames: 40 evaluations of a tenth of a second, then 8, 6, 4, 4, … of a twentieth."""
    first = FrameCost(0.1, 40, 40, 0.5, 0.25)
    later = FrameCost(0.05, 4, 40, 0.1, 0.2)
    given = {
        "done": frozenset(),
        "started_seconds": 3.0,
        "pilot_share": 0.0,
        "encoding_seconds": 2.0,
        "overlaps": False,
    }
    return Model(Costs(1.0, first, later, [8, 6]), [(0, 10), (10, 14)], **{**given, **changes})


def test_the_seconds_of_a_job():
    first = 0.5 + 4 + 0.25
    shots = [first + 9 * 0.3 + 0.05 * (8 + 6 + 7 * 4), first + 3 * 0.3 + 0.05 * (8 + 6 + 4)]
    assert model().painting() == pytest.approx(shots)
    assert model().seconds() == pytest.approx(3 + 1 + 2 + sum(shots))
    assert model(pilot_share=0.5).seconds() == pytest.approx(6 + 1.5 * sum(shots))
    assert model().seconds(Change(area=0.25)) == pytest.approx(3 + 0.25 * (1 + 2 + sum(shots)))
    fewer = [0.5 + 2 + 0.25 + 9 * 0.3 + 0.05 * 9 * 4, 0.5 + 2 + 0.25 + 3 * 0.3 + 0.05 * 3 * 4]
    assert model().painting(Change(first=20, later=4)) == pytest.approx(fewer)


def test_what_is_painted_costs_nothing_more():
    assert model(done=frozenset(range(12))).painting() == pytest.approx([0, 2 * 0.3 + 0.05 * (6 + 4)])
    assert model(done=frozenset(range(14))).seconds() == 3 + 2  # it is only read and encoded
    assert model(done={*range(3), *range(10, 13)}).painting() == pytest.approx([7 * 0.3 + 0.05 * 7 * 4, 0.3 + 0.05 * 4])
    assert [model(done=frozenset(range(12))).left(*shot) for shot in ((0, 10), (10, 14))] == [0, 2]


def test_beside_a_device_only_the_longer_counts():
    costs = [0.5 + 4 + 9 * 0.1 + 0.05 * 42, 0.5 + 4 + 3 * 0.1 + 0.05 * 18]
    assert model(overlaps=True).painting() == pytest.approx(costs)


def test_what_fits_a_time_has_fewer_evaluations_and_then_a_smaller_size():
    settings, total = VideoSettings(), model().seconds()

    def fitted(seconds):
        return fit(model(), settings, 512, seconds, lambda changed: f"{changed.size} {changed.iterations}")

    assert fitted(total).command == "512 40"
    some = fitted(total - 1)
    assert (some.size, some.fits, some.iterations) == (512, True, 5)
    assert FEWEST_FIRST <= some.first_iterations < 40
    small = fitted(9)
    assert (small.fits, small.iterations, small.first_iterations) == (True, FEWEST, FEWEST_FIRST)
    assert 32 < small.size < 512
    assert small.command == f"{small.size} 5"
    assert small.seconds <= 9
    assert not fitted(1).fits
    assert fitted(1).size == 32


def test_a_pilot_is_small_and_moves_as_much():
    assert pilot_size((288, 512)) == (144, 256)
    assert pilot_size((1080, 1920)) == (144, 256)
    assert pilot_size((60, 90)) == (60, 90)
    motion = Motion(torch.tensor([3.0, 1.0]).view(2, 1, 1).expand(2, 200, 400), torch.ones(1, 200, 400))
    frame = Frame(5, torch.rand(3, 200, 400), motion, 0.5, (1.0,), earlier={3: motion}, reach=3)
    small = shrunk(frame, (100, 200))
    assert small.image.shape == (3, 100, 200)
    assert torch.allclose(small.motion.flow, torch.tensor([1.5, 0.5]).view(2, 1, 1).expand(2, 100, 200))
    assert (small.earlier, small.reach) == ({}, 1)


@pytest.mark.clips
def test_a_plan_of_a_clip(vidstyle, folder):
    before = names(folder)
    found = planned(vidstyle, f"clip.mp4 style.png {FEW} --tolerance 0 --warm-tolerance 0")
    assert names(folder) == before
    shots = [(shot["first"], shot["end"], shot["start_seconds"], shot["end_seconds"]) for shot in found["shots"]]
    assert shots == [(0, 5, 0, 0.625), (5, 8, 0.625, 1)]
    assert (found["width"], found["height"], found["frames"], found["frames_left"]) == (64, 42, 8, 8)
    assert (found["first_frame"]["evaluations"], found["later_frame"]["evaluations"]) == (3, 2)
    assert found["job_folder_bytes"] == 64 * 42 * (8 * 2 + 24)  # PNGs of two bytes a pixel, and two states
    assert found["memory_bytes"] > 0 < found["disk_free_bytes"]
    assert [one["workers"] for one in found["workers"]] == [1, 2, 4, 8]
    assert found["workers"][0]["seconds"] == pytest.approx(found["seconds"])
    for one in found["workers"]:
        assert one["bound_seconds"] <= one["seconds"] + 1e-9
    parts = ("start_seconds", "pilot_seconds", "painting_seconds", "encoding_seconds")
    assert found["seconds"] == pytest.approx(sum(found[part] for part in parts))
    done = vidstyle(*shlex.split(found["command"])[1:])
    assert done.exit_code == 0, done.output
    assert names(folder) - before == {"clip-painted.mp4"}


@pytest.mark.clips
def test_a_plan_in_words(vidstyle, folder):
    (folder / "an other.png").write_bytes((folder / "style.png").read_bytes())
    done = vidstyle(*shlex.split(f"plan clip.mp4 'an other.png' {FEW} --time-budget 0.01s -o 'o o.gif'"))
    assert done.exit_code == 0, done.output
    assert "8 frames of 64x42 in 2 shots" in done.stdout
    assert "nothing fits 10.0 ms" in done.stdout
    command = next(line for line in done.stdout.splitlines() if line.startswith("vidstyle video"))
    assert "'an other.png' -o 'o o.gif'" in command
    assert shlex.split(command)[shlex.split(command).index("--size") + 1] == "32"
    assert vidstyle(*shlex.split(command)[1:]).exit_code == 0
    with Image.open("o o.gif") as made:
        assert max(made.size) == 32


REFUSED = {
    "none.mp4 style.png": 3,
    "clip.mp4 none.png": 3,
    "clip.mp4 style.png --alpha 2": 2,
    "clip.mp4 style.png --mix 1,2": 2,
    "clip.mp4 style.png --start 5": 2,
    "clip.mp4 style.png --network photo.png": 8,
    "clip.mp4 style.png -o there.mp4": 4,
    "clip.mp4 style.png -o o.txt": 2,
    "clip.mp4 style.png -o nowhere/o.mp4": 7,
    "clip.mp4 style.png -o taken.mp4": 9,
    "clip.mp4 style.png -o begun.mp4 -y --alpha .9": 9,
    "clip.mp4 style.png --size 0": 5,
}


@pytest.mark.clips
@pytest.mark.parametrize("line", REFUSED)
def test_it_refuses_what_painting_refuses(vidstyle, folder, monkeypatch, line):
    (folder / "there.mp4").write_bytes(b"precious")
    (folder / "taken.mp4.job").mkdir()
    (folder / "taken.mp4.job" / "letters.txt").write_text("private")
    small = FEW.replace("--network tiny.safetensors ", "") if "--network" in line else FEW
    if "begun" in line:
        assert vidstyle(*shlex.split(f"video clip.mp4 style.png -o begun.mp4 --keep-job {FEW}")).exit_code == 0
    if "--size" in line:
        make_clip(folder / "clip.mp4", pan(2, 640, 480), rate=8)
        small = small.replace("--size 64 ", "")
        monkeypatch.setattr(memory, "available", lambda *_, **__: 10**6)
    before = names(folder)
    plan = vidstyle(*shlex.split(f"plan {line} {small} -q"))
    assert names(folder) == before
    output = "" if " -o " in line else " -o o.mp4"
    video = vidstyle(*shlex.split(f"video {line}{output} {small} -q"))
    assert (plan.exit_code, video.exit_code) == (REFUSED[line], REFUSED[line]), (plan.output, video.output)
    assert plan.output == video.output


@pytest.mark.clips
def test_a_job_that_was_interrupted_is_planned_from_there(vidstyle, folder, monkeypatch):
    line = f"clip.mp4 style.png -o o.gif {FEW}"
    assert vidstyle(*shlex.split(f"video {line} --keep-job -q")).exit_code == 0
    (folder / "o.gif").unlink()
    done = planned(vidstyle, line)
    assert (done["frames_left"], done["painting_seconds"]) == (0, 0)
    monkeypatch.setattr("vidstyle.lab.plan.estimate.painted_before", lambda *_: frozenset(range(6)))
    found = planned(vidstyle, line)
    assert (found["frames_left"], [shot["frames_left"] for shot in found["shots"]]) == (2, [0, 2])
    assert planned(vidstyle, f"{line} --restart")["frames_left"] == 8


def test_a_plan_takes_no_lock(folder, monkeypatch):
    monkeypatch.setattr(opening, "locked", None)
    assert opening.painted_before(folder / "o.gif", None) == frozenset()
    assert not (folder / "o.gif.job").exists()


JOBS_FILE = """
[defaults]
styles = "style.png"
network = "tiny.safetensors"
first-iterations = 2
size = 64
device = "cpu"
[[job]]
job = "image"
content = "photo.png"
output = "image.png"
[[job]]
job = "video"
content = "clip.mp4"
output = "clip.gif"
iterations = 1
[[job]]
job = "balance"
name = "balance"
content = "photo.png"
output = "balance.gif"
seconds = 1
fps = 4
[[job]]
job = "sheet"
name = "sheet"
content = "photo.png"
output = "sheet.png"
[[job]]
job = "image"
name = "again"
content = "image.png"
output = "again.png"
"""


@pytest.mark.slow
@pytest.mark.clips
def test_a_plan_of_a_batch(vidstyle, folder):
    (folder / "jobs.toml").write_text(JOBS_FILE)
    before = names(folder)
    found = planned(vidstyle, "jobs.toml")
    assert names(folder) == before
    assert [job["name"] for job in found["jobs"]] == ["photo", "clip", "balance", "sheet", "again"]
    assert found["jobs"][4]["seconds"] is None
    assert found["jobs_without_time"] == 1
    assert found["seconds"] == pytest.approx(sum(job["seconds"] or 0 for job in found["jobs"]))
    plans = [job["plan"] for job in found["jobs"][:4]]
    assert [plan["job"] for plan in plans] == ["image", "video", "balance", "sheet"]
    assert [plan["frames"] for plan in plans] == [1, 8, 3, 6]
    assert [plan["pilot_seconds"] > 0 for plan in plans] == [False, False, True, False]
    assert vidstyle("batch", "jobs.toml", "--only", "photo", "-q").exit_code == 0
    found = planned(vidstyle, "jobs.toml")
    assert (found["jobs"][0]["what"], found["jobs"][0]["seconds"]) == ("up to date", 0)
    assert found["jobs"][4]["seconds"] > 0
    done = vidstyle("plan", "jobs.toml")
    assert done.exit_code == 0
    assert "one after the other, on this machine: " in done.stdout


@pytest.mark.clips
def test_what_cannot_be_painted_of_a_batch_is_told_as_the_batch_tells_it(vidstyle, folder):
    (folder / "jobs.toml").write_text(
        JOBS_FILE.replace('"photo.png"\noutput = "image.png"', '"a.png"\noutput = "o.png"')
    )
    plan, batch = vidstyle("plan", "jobs.toml", "-q"), vidstyle("batch", "jobs.toml", "--dry-run", "-q")
    assert plan.exit_code == batch.exit_code == 3
    assert plan.stderr == batch.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("jobs.toml style.png", "jobs.toml says itself what its jobs are"),
        ("jobs.toml --size 64", "jobs.toml says itself what its jobs are"),
        ("jobs.toml --time-budget 5m", "jobs.toml says itself what its jobs are"),
        ("clip.mp4", "takes a STYLE"),
        ("clip.mp4 style.png --time-budget soon", "give a time like 20m"),
    ],
)
def test_words_that_do_not_go_together(vidstyle, line, words):
    done = vidstyle("plan", *line.split())
    assert (done.exit_code, words in done.output) == (2, True), done.output


@pytest.mark.clips
def test_regions_are_planned(vidstyle, folder):
    Image.fromarray(np.repeat([[255], [0]], 48, axis=1).astype(np.uint8).repeat(32, axis=0).repeat(2, axis=1)).save(
        "mask.png"
    )
    found = planned(vidstyle, f"clip.mp4 style.png {FEW} --region mask.png=photo.png,alpha=.1")
    assert "--region mask.png=photo.png,alpha=0.1" in found["command"]
    jobs = '[[job]]\njob = "balance"\ncontent = "photo.png"\nstyles = "style.png"\noutput = "b.gif"\nseconds = 1\n'
    jobs += 'fps = 4\nnetwork = "tiny.safetensors"\nsize = 64\ndevice = "cpu"\nregion = "mask.png=style.png"\n'
    (folder / "jobs.toml").write_text(jobs)
    assert planned(vidstyle, "jobs.toml")["jobs"][0]["plan"]["seconds"] > 0
    region = torch.ones(1, 64, 96)
    region[..., 48:] = 0
    small = shrunk(Frame(0, torch.zeros(3, 64, 96), None, 0.4, (1.0,), regions=(region,)), (32, 48))
    assert torch.equal(small.regions[0], region[:, ::2, ::2])

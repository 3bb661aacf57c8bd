import dataclasses
import errno
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import in_fresh_process

from vidstyle.errors import DiskError, JobError
from vidstyle.jobs.folder import checkpoint
from vidstyle.jobs.folder.manifest import Manifest
from vidstyle.jobs.folder.opening import made_before, open_job
from vidstyle.jobs.folder.painted import Painted
from vidstyle.jobs.painting.rendering import stretches
from vidstyle.settings import BalanceSettings, EncodeSettings, VideoSettings
from vidstyle.system import files
from vidstyle.types import Result, State

FRAMES = 40
SETTINGS = VideoSettings(alpha=0.3, device="cpu")
MANIFEST = Manifest(FRAMES, "1.0", inputs={"content": "a" * 64}, settings=SETTINGS, encoding=EncodeSettings())
REACH = 3  # pastiches that a state of these tests remembers, within shots of ten frames

# Paints frames that depend on the state of the one before, like the real thing. Arguments: the output, seconds a frame.
PAINTER = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[3]]
from test_checkpoint import FRAMES, MANIFEST, paint
from vidstyle.jobs.folder import checkpoint
from vidstyle.jobs.folder.opening import made_before, open_job
with open_job(Path(sys.argv[1]), MANIFEST) as job:
    print("open", flush=True)
    state = job.state
    for index in range(job.done, FRAMES):
        result, state = paint(index, state)
        job.save(result, state)
        time.sleep(float(sys.argv[2]))
"""


def paint(index: int, before: State | None) -> tuple[Result, State]:
    generator = torch.Generator().manual_seed(index)
    pastiche = torch.rand(3, 16, 20, generator=generator)
    if before is not None:
        assert before.index == index - 1
        assert len(before.history) == min(before.index % 10, REACH)
        pastiche = torch.stack([pastiche, before.pastiche, *before.history]).mean(0)
    image = (pastiche * 255).byte().permute(1, 2, 0).numpy()
    result = Result(index=index, image=image, losses={"total": 1 / (index + 3)}, iterations=3, seconds=0.1)
    history = (before.pastiche, *before.history)[:REACH] if before is not None and index % 10 else ()
    return result, State(index=index, pastiche=pastiche, inverse_curvature=1 / (index + 3), history=history)


def paint_until(output: Path, end: int, frames: int = FRAMES, on_saved=lambda index: None) -> None:
    with open_job(output, dataclasses.replace(MANIFEST, frames=frames)) as job:
        state = job.state
        for index in range(job.done, end):
            result, state = paint(index, state)
            job.save(result, state)
            on_saved(index)


@contextmanager
def painter(output: Path, pause: float = 0.0):
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    command = [sys.executable, "-c", PAINTER, str(output), str(pause), str(here)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def pictures(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output.with_name(output.name + ".job") / "frames").iterdir()}


def hashes(output: Path) -> list[str]:
    with open_job(output, MANIFEST) as job:
        return [entry.sha256 for entry in job.results()]


def test_a_finished_job(tmp_path):
    output = tmp_path / "clip.mp4"
    paint_until(output, FRAMES)
    with open_job(output, MANIFEST) as job:
        assert job.done == FRAMES
        for index, image in enumerate(job.images()):
            assert image.dtype == np.uint8 and image.shape == (16, 20, 3)
            assert job.results()[index].index == index
        first, last = job.images([0, FRAMES - 1])
        assert np.array_equal(first, paint(0, None)[0].image) and not np.array_equal(first, last)
        assert job.results()[2].losses == {"total": 1 / 5}
        job.discard()
    assert not list(tmp_path.iterdir())


def paintings_of_shots() -> list[np.ndarray]:
    """The frames of four shots, painted in order and never stopped."""
    found, state = [], None
    for index in range(FRAMES):
        result, state = paint(index, state if index % 10 else None)
        found.append(result.image)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_shots_in_any_order_and_stopped_anywhere(tmp_path, seed):
    """What several processes paint is kept as if one had painted it, and any of them goes on."""
    several, chance = tmp_path / "several.mp4", random.Random(seed)
    manifest, painted = dataclasses.replace(MANIFEST, shots=(10, 20, 30)), 0
    while painted < FRAMES:
        with open_job(several, manifest) as job:
            left = {part.first: (part.start, part.state) for part in job.parts() if part.start < part.end}
            assert sum(part.end - part.start for part in job.parts()) == FRAMES - painted == FRAMES - job.painted
            for _ in range(chance.randint(1, 12)):
                if not left:
                    break
                first = chance.choice([*left])
                index, state = left.pop(first)
                result, state = paint(index, state)
                job.keep(Painted.of(result, state, "a device"), first, REACH)
                painted += 1
                assert {entry.device for entry in job.results()} == {"a device"}
                if index + 1 < first + 10:
                    left[first] = index + 1, state
            job.flush()
            kept = {int(file.stem) for file in (job.path / "states").iterdir()}
            begun = [(first, index) for first, (index, _) in left.items()]
            needed, most = (
                {index - back for first, index in begun for back in range(1, count + 1) if index - back >= first}
                for count in (REACH + 1, REACH + 1 + checkpoint.MARGIN)
            )
            assert needed <= kept <= most
    assert not kept
    with open_job(several, manifest) as job:
        assert all(map(np.array_equal, job.images(), paintings_of_shots()))


def test_one_process_goes_on_with_what_several_have_painted(tmp_path):
    several, manifest = tmp_path / "several.mp4", dataclasses.replace(MANIFEST, shots=(10, 20, 30))
    with open_job(several, manifest) as job:
        for first, end in ((20, 30), (0, 4), (30, 33)):
            state = None
            for index in range(first, end):
                result, state = paint(index, state)
                job.keep(Painted.of(result, state), first, REACH)
    with open_job(several, manifest) as job:
        assert job.done == 4 and job.state.index == 3
        found = [(start, end, part and (part.first, part.start)) for start, end, part in stretches(job.parts())]
        assert found == [(0, 4, None), (4, 20, (0, 4)), (20, 33, None), (33, 40, (30, 33))]
        for start, end, part in stretches(job.parts()):
            state = part and part.state
            for index in range(start, end) if part else ():
                result, state = paint(index, state if index % 10 else None)
                job.save(result, state)
        assert job.painted == FRAMES
        assert all(map(np.array_equal, job.images(), paintings_of_shots()))


def test_a_lost_state_costs_no_other_shot(tmp_path):
    output, manifest = tmp_path / "clip.mp4", dataclasses.replace(MANIFEST, shots=(10, 20, 30))
    with open_job(output, manifest) as job:
        for first, end in ((0, 10), (10, 15)):
            state = None
            for index in range(first, end):
                result, state = paint(index, state)
                job.keep(Painted.of(result, state), first, REACH)
        for file in (job.path / "states").iterdir():
            file.write_bytes(b"")
    with open_job(output, manifest) as job:
        assert [(part.first, part.start) for part in job.parts()] == [(0, 10), (10, 10), (20, 20), (30, 30)]
        assert job.done == 10 and job.state is None
        assert "the state after frame 14 is missing or damaged" in (job.path / "job.log").read_text()


def test_the_state_comes_back_bit_for_bit(tmp_path):
    with open_job(tmp_path / "a.gif", dataclasses.replace(MANIFEST, frames=9)) as job:
        assert job.done == 0 and job.state is None
        result, state = paint(0, None)
        job.save(result, state)
    with open_job(tmp_path / "a.gif", dataclasses.replace(MANIFEST, frames=9)) as job:
        assert job.done == 1 and job.state.index == 0
        assert job.state.inverse_curvature == state.inverse_curvature
        assert torch.equal(job.state.pastiche, state.pastiche)
    assert [path.name for path in (tmp_path / "a.gif.job" / "states").iterdir()] == ["000000.safetensors"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_job_resumes_with_the_same_bytes(tmp_path):
    in_fresh_process(kill_and_resume, tmp_path)


def kill_and_resume(folder: str) -> None:
    tmp_path = Path(folder)
    paint_until(tmp_path / "straight", FRAMES)
    killed, chance, done = tmp_path / "killed", random.Random(0), 0
    for _ in range(10):
        saved, tell = os.pipe()
        child = os.fork()  # a new interpreter would spend seconds importing torch, to be killed within milliseconds
        if child == 0:
            try:
                paint_until(killed, FRAMES, on_saved=lambda index, tell=tell: os.write(tell, b"."))
                signal.pause()  # however fast it is, it is killed
            finally:
                os._exit(1)
        for _ in range(min(chance.randrange(6), FRAMES - done)):
            os.read(saved, 1)
        time.sleep(chance.uniform(0, 0.003))  # somewhere in the next frame
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        os.close(saved)
        os.close(tell)
        with open_job(killed, MANIFEST) as job:
            assert (job.state.index + 1 if job.state else 0) == job.done
            assert len(job.results()) == job.done
            assert len(list(job.images(range(job.done)))) == job.done
            assert not list(job.path.rglob("*.part"))
            assert len(list((job.path / "states").iterdir())) <= 3 + REACH
            done = job.done
    paint_until(killed, FRAMES)
    assert hashes(killed) == hashes(tmp_path / "straight")


@pytest.mark.parametrize("flush_every", [0, 1])
def test_every_point_of_saving_can_be_the_last(tmp_path, monkeypatch, flush_every):
    """The process dies at the n-th call that changes the folder, for every n."""
    monkeypatch.setattr(checkpoint, "FLUSH_EVERY", flush_every)
    paint_until(tmp_path / "straight", 6, 6)
    changes = [(os, "replace"), (os, "fsync"), (Path, "unlink"), (files, "flush")]

    class Killed(BaseException):
        pass

    def deadly(real, calls, last):
        def call(*args, **kwargs):
            if next(calls) >= last:
                raise Killed
            return real(*args, **kwargs)

        return call

    for last in range(200):
        output, calls = tmp_path / f"killed {last}", itertools.count()
        with monkeypatch.context() as patch:
            for owner, name in changes:
                patch.setattr(owner, name, deadly(getattr(owner, name), calls, last))
            try:
                paint_until(output, 6, 6)
                break
            except Killed:
                pass
        paint_until(output, 6, 6)
        for name in (f"{index:06d}.png" for index in range(6)):
            written = [
                (tmp_path / job / "frames" / name).read_bytes() for job in (f"killed {last}.job", "straight.job")
            ]
            assert written[0] == written[1]
    assert last > 50


def test_states_are_forgotten_though_the_forgetting_is_interrupted(tmp_path, monkeypatch):
    """A new shot needs none of the states before it; the process dies before it has removed the n-th of them."""
    monkeypatch.setattr(checkpoint, "FLUSH_EVERY", 0)
    for last in range(REACH + 1):
        output, removed = tmp_path / str(last), itertools.count()
        paint_until(output, 10)
        states = output.with_name(f"{last}.job") / "states"
        assert len(list(states.iterdir())) == REACH + 2
        with open_job(output, MANIFEST) as job, monkeypatch.context() as patch:
            unlink = Path.unlink

            def die(self, missing_ok=False, unlink=unlink, removed=removed, last=last):
                if self.suffix == ".safetensors" and next(removed) == last:
                    raise KeyboardInterrupt
                unlink(self, missing_ok)

            patch.setattr(Path, "unlink", die)
            with pytest.raises(KeyboardInterrupt):
                job.save(*paint(10, job.state))
        paint_until(output, 11)
        assert sorted(path.stem for path in states.iterdir()) == ["000009", "000010"]


def test_the_removal_of_a_job_may_be_interrupted_anywhere(tmp_path, monkeypatch):
    """Its manifest goes last; from then on there is nothing left, and until then it is known what was made."""

    class Killed(BaseException):
        pass

    def deadly(real, calls, last):
        def call(*args, **kwargs):
            if next(calls) == last:
                raise Killed
            return real(*args, **kwargs)

        return call

    changes = [(Path, "unlink"), (Path, "rmdir"), (checkpoint, "rename_new")]
    for last in itertools.count():
        output, calls = tmp_path / f"{last}.png", itertools.count()
        paint_until(output, 3, 3)
        output.write_bytes(b"made")
        with open_job(output, dataclasses.replace(MANIFEST, frames=3)) as job:
            job.record(output, output)
            with monkeypatch.context() as patch:
                for owner, name in changes:
                    patch.setattr(owner, name, deadly(getattr(owner, name), calls, last))
                try:
                    job.discard()
                    break
                except Killed:
                    pass
        assert made_before(output, [output], EncodeSettings()) == [output]
        with open_job(output, dataclasses.replace(MANIFEST, frames=3)) as job:
            assert job.has_made(output)
            job.discard()
        assert sorted(tmp_path.iterdir()) == [output]
        output.unlink()
    assert last > 8
    assert sorted(tmp_path.iterdir()) == [output]


def test_a_file_in_the_place_of_the_record_is_left_alone(tmp_path):
    output, other = tmp_path / "a.png", tmp_path / "a.png.job.json"
    other.write_text("somebody's")
    paint_until(output, 3, 3)
    with open_job(output, dataclasses.replace(MANIFEST, frames=3)) as job:
        job.discard()
    assert other.read_text() == "somebody's" and list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize("length", [246, 251])  # bytes; with .job the longest is 255, so that there is no .job.json
def test_names_as_long_as_they_may_be(tmp_path, length):
    output = tmp_path / ("x" * (length - 4) + ".png")
    paint_until(output, 3, 3)
    with open_job(output, dataclasses.replace(MANIFEST, frames=3)) as job:
        job.discard()
    assert not list(tmp_path.iterdir())


def test_a_torn_journal_line_is_dropped(tmp_path):
    paint_until(tmp_path / "a", 3)
    journal = tmp_path / "a.job" / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"index": 3, "los')
    with open_job(tmp_path / "a", MANIFEST) as job:
        assert job.done == 3
    assert journal.read_bytes() == whole


@pytest.mark.parametrize("line", [b"rubbish", b"\xff\xfe", b"[" * 100_000, b'{"index": 1}', b"null", b"1e999", b""])
def test_a_damaged_line_costs_its_frame(tmp_path, line, caplog):
    paint_until(tmp_path / "straight", 6, 6)
    paint_until(tmp_path / "a", 4, 6)
    journal = tmp_path / "a.job" / "journal.jsonl"
    lines = journal.read_bytes().splitlines()
    journal.write_bytes(b"".join(one + b"\n" for one in [*lines[:3], line]))
    paint_until(tmp_path / "a", 6, 6)
    assert "line 4 of journal.jsonl is damaged; painting goes on with frame 3 of 6" in caplog.text
    assert pictures(tmp_path / "a") == pictures(tmp_path / "straight")


def test_steps_back_to_the_last_frame_that_can_be_continued(tmp_path, caplog):
    paint_until(tmp_path / "a", 5)
    (tmp_path / "a.job" / "frames" / "000003.png").unlink()
    with open_job(tmp_path / "a", MANIFEST) as job:
        assert job.done == 3 and job.state is not None and job.state.index == 2
        assert (job.path / "frames" / "000004.png").is_file()
    assert "frames/000003.png is missing or damaged" in caplog.text


def test_a_damaged_state_costs_one_frame(tmp_path, caplog):
    """Even the last one is more than the last that can be continued."""
    paint_until(tmp_path / "straight", 30)
    paint_until(tmp_path / "a", 28)
    file = tmp_path / "a.job" / "states" / "000027.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with open_job(tmp_path / "a", MANIFEST) as job:
        assert job.done == 27
    assert "the state after frame 27 is missing or damaged; painting goes on with frame 27 of 40" in caplog.text
    paint_until(tmp_path / "a", 30)
    assert pictures(tmp_path / "a") == pictures(tmp_path / "straight")


def test_frames_of_another_shot_are_left_alone(tmp_path):
    paint_until(tmp_path / "a", 2)
    result, state = paint(7, None)
    with open_job(tmp_path / "a", MANIFEST) as job:
        job.save(result, state)
        assert job.done == 2
    with open_job(tmp_path / "a", MANIFEST) as job:
        assert job.done == 2 and job.state.index == 1
        assert np.array_equal(next(job.images([7])), result.image)
        assert (job.path / "states" / "000007.safetensors").is_file()
        with pytest.raises(JobError, match=r"000002.png is not painted yet"):
            list(job.images())


def test_a_damaged_picture_is_painted_anew(tmp_path, caplog):
    paint_until(tmp_path / "straight", 9)
    paint_until(tmp_path / "a", 9)
    path = tmp_path / "a.job" / "frames" / "000001.png"
    path.write_bytes(path.read_bytes()[:-30])
    with open_job(tmp_path / "a", MANIFEST) as job:
        with pytest.raises(JobError, match=r"000001.png is not painted yet"):
            list(job.images([0, 1]))
        assert job.done <= 1
    assert "frames/000001.png is missing or damaged; painting goes on with frame" in caplog.text
    paint_until(tmp_path / "a", 9)
    assert pictures(tmp_path / "a") == pictures(tmp_path / "straight")


def test_a_picture_that_is_damaged_while_the_job_is_open(tmp_path):
    paint_until(tmp_path / "a", 2)
    with open_job(tmp_path / "a", MANIFEST) as job:
        (job.path / "frames" / "000001.png").write_bytes(b"")
        with pytest.raises(JobError, match="damaged; run the same command again"):
            list(job.images([0, 1]))


def test_a_running_job_is_locked_and_a_dead_one_is_not(tmp_path):
    with painter(tmp_path / "a", 0.2) as process:
        with pytest.raises(JobError, match="in use"), open_job(tmp_path / "a", MANIFEST):
            pass
        assert process.poll() is None
    with (
        open_job(tmp_path / "a", MANIFEST),
        pytest.raises(JobError, match="in use"),
        open_job(tmp_path / "a", MANIFEST),
    ):
        pass


def test_another_manifest_is_refused_with_the_differences(tmp_path):
    paint_until(tmp_path / "a", 2)
    settings = BalanceSettings(alpha=0.5, seconds=2, device="cpu")
    other = dataclasses.replace(MANIFEST, inputs={"content": "b" * 64}, settings=settings)
    with pytest.raises(JobError) as caught, open_job(tmp_path / "a", other):
        pass
    for text in (
        "alpha was 0.3, now 0.5",
        "inputs.content was aaaaaaaa…, now bbbbbbbb…",
        "seconds was not set, now 2",
        "job was video, now balance",
        "--restart",
    ):
        assert text in str(caught.value)
    assert "mix" not in str(caught.value)
    with open_job(tmp_path / "a", other, restart=True) as job:
        assert job.done == 0 and job.state is None and job.results() == []
    with open_job(tmp_path / "a", other) as job:
        assert not list((job.path / "frames").iterdir())


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("name", ["thesis.txt", "manifest.json", "frames/000000.png"])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path, restart, name):
    file = tmp_path / "a.job" / name
    file.parent.mkdir(parents=True)
    file.write_text('{"name": "a web page"}')
    with pytest.raises(JobError, match="no job folder"), open_job(tmp_path / "a", MANIFEST, restart=restart):
        pass
    assert [path for path in (tmp_path / "a.job").rglob("*") if path.is_file()] == [file]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "a.job").write_text("mine")
    with pytest.raises(JobError, match="in the way"), open_job(tmp_path / "a", MANIFEST):
        pass
    assert (tmp_path / "a.job").read_text() == "mine"


def test_foreign_files_in_a_job_folder_survive(tmp_path):
    paint_until(tmp_path / "a", 2)
    notes = tmp_path / "a.job" / "frames" / "notes.txt"
    notes.write_text("keep")
    with open_job(tmp_path / "a", MANIFEST, restart=True) as job:
        job.discard()
    assert [path for path in (tmp_path / "a.job").rglob("*") if path.is_file()] == [notes]


def test_no_folder_to_write_to(tmp_path):
    with (
        pytest.raises(DiskError, match="there is no folder"),
        open_job(tmp_path / "b" / "a", MANIFEST),
    ):
        pass


FULL = """
import resource, sys
from pathlib import Path
from test_checkpoint import FRAMES, MANIFEST, paint
from vidstyle.jobs.folder import checkpoint
from vidstyle.jobs.folder.opening import made_before, open_job
from vidstyle.errors import DiskError
with open_job(Path(sys.argv[1]), MANIFEST) as job:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    state = job.state
    try:
        for index in range(job.done, FRAMES):
            result, state = paint(index, state)
            job.save(result, state)
    except DiskError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to inject")
@pytest.mark.parametrize(
    "limit", [pytest.param(700, marks=pytest.mark.slow), pytest.param(2000, marks=pytest.mark.slow), 4500]
)  # of bytes in a file: neither fits; the picture fits; the journal fails
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, limit):
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "a"), str(limit)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert "cannot write" in run.stdout and "free some space" in run.stdout and "will continue at frame" in run.stdout
    assert not list(tmp_path.rglob("*.part"))
    with open_job(tmp_path / "a", MANIFEST) as job:
        assert f"frame {job.done}\n" in run.stdout
        assert (job.done > 0) == (limit > 4000)
    paint_until(tmp_path / "a", FRAMES)
    paint_until(tmp_path / "straight", FRAMES)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "straight")


def test_a_read_only_folder(tmp_path, monkeypatch):
    """Root may write anywhere, so the refusal is made by hand."""
    paint_until(tmp_path / "a", 1)

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with open_job(tmp_path / "a", MANIFEST) as job:
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(DiskError, match=r"Read-only.*make the folder writable.*continue at frame 1"):
            job.save(*paint(1, job.state))

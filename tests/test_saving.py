"""Frames are saved beside the painting, in order and few at once; neither a kill nor a power cut costs much."""

import dataclasses
import errno
import itertools
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from test_checkpoint import FRAMES, MANIFEST, REACH, paint, paintings_of_shots

from vidstyle.errors import DiskError, JobError
from vidstyle.jobs.folder import checkpoint
from vidstyle.jobs.folder.opening import open_job
from vidstyle.jobs.folder.painted import Painted
from vidstyle.jobs.folder.saving import QUEUED, THREADS, saving

SHOTS = dataclasses.replace(MANIFEST, shots=(10, 20, 30))


def save_until(output, end, on_given=lambda index: None):
    """Paint and save up to a frame; tells of each that it was given."""
    with open_job(output, SHOTS) as job:
        state = job.state
        with saving(job, "cpu") as save:
            for index in range(job.done, end):
                result, state = paint(index, state if index % 10 else None)
                save(result, state)
                on_given(index)


def lines(output):
    """The numbers of the frames in the journal, in its order."""
    with open(output.with_name(f"{output.name}.job") / "journal.jsonl") as file:
        return [int(line.split('"index": ')[1].split(",")[0]) for line in file]


def savers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("vidstyle-save")]


@pytest.fixture
def slow(monkeypatch):
    """Encoding takes long, of every other frame longer; how many frames are encoded at once at most."""
    real, lock, most, now = Painted.of, threading.Lock(), [], [0]

    def of(result, state, device=""):
        with lock:
            now[0] += 1
            most.append(now[0])
        time.sleep(0.02 if result.index % 2 else 0.06)
        with lock:
            now[0] -= 1
        return real(result, state, device)

    monkeypatch.setattr(Painted, "of", of)
    return most


def test_the_journal_is_in_order_whoever_is_ready_first(tmp_path, slow):
    output, ahead = tmp_path / "clip.mp4", []

    def count(index):
        done = lines(output) if (tmp_path / "clip.mp4.job/journal.jsonl").exists() else []
        ahead.append(index + 1 - len(done))

    save_until(output, FRAMES, count)
    assert lines(output) == list(range(FRAMES))
    assert max(slow) == THREADS
    assert THREADS < max(ahead) <= QUEUED
    assert not savers()
    with open_job(output, SHOTS) as job:
        assert all((one == other).all() for one, other in zip(job.images(), paintings_of_shots(), strict=True))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_given_is_saved_when_the_painting_ends_in_the_middle(tmp_path, slow, error):
    output = tmp_path / "clip.mp4"

    def stop(index):
        if index == 12:
            raise error

    with pytest.raises(error):
        save_until(output, FRAMES, stop)
    assert not savers()
    assert lines(output) == list(range(13))
    save_until(output, FRAMES)
    save_until(tmp_path / "straight", FRAMES)
    frames, straight = (sorted((tmp_path / f"{name}.job/frames").iterdir()) for name in ("clip.mp4", "straight"))
    assert [file.read_bytes() for file in frames] == [file.read_bytes() for file in straight]


@pytest.mark.parametrize("broken", ["frames/000007.png", "states/000007", "journal.jsonl"])
def test_a_full_disk_is_told_and_what_was_saved_before_is_good(tmp_path, monkeypatch, slow, broken):
    output, given = tmp_path / "clip.mp4", []

    def full(write):
        def call(path, *args, **kwargs):
            if str(path).split(".job/")[-1].startswith(broken) and (given and given[-1] >= 7):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            write(path, *args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("write_inside", "append_entry"):
            patch.setattr(checkpoint, name, full(getattr(checkpoint, name)))
        with pytest.raises(DiskError) as caught:
            save_until(output, FRAMES, given.append)
    saved = lines(output)
    assert saved == list(range(len(saved)))
    assert (len(saved) == 7) if broken != "journal.jsonl" else (3 <= len(saved) <= 7)
    assert f"free some space on that disk; the same command will continue at frame {len(saved)}" in str(caught.value)
    assert len(given) <= 7 + QUEUED + 1
    assert not savers()
    save_until(output, FRAMES)
    assert lines(output) == list(range(FRAMES))


def test_a_folder_that_another_process_has_taken_over_is_left_alone(tmp_path, monkeypatch):
    with open_job(tmp_path / "clip.mp4", SHOTS) as job:

        def lost():
            raise JobError("taken over")

        with saving(job, "cpu") as save:
            result, state = paint(0, None)
            save(result, state)
        monkeypatch.setattr(job, "require_lock", lost)
        with pytest.raises(JobError, match="taken over"), saving(job, "cpu") as save:
            save(*paint(1, state))


class TestFlushing:
    """What is on the disk, of what is in the folder, is what was flushed."""

    @pytest.fixture
    def flushed(self, monkeypatch):
        """The paths that are flushed, in their order."""
        found, real = [], checkpoint.flush

        def flush(path):
            found.append(path)
            real(path)

        monkeypatch.setattr(checkpoint, "flush", flush)
        return found

    def test_once_a_second_and_at_the_end_of_a_shot(self, tmp_path, monkeypatch, flushed):
        clock = itertools.count()
        monkeypatch.setattr(checkpoint.time, "monotonic", lambda: next(clock) / 16)  # asked once a frame, or twice
        save_until(tmp_path / "clip.mp4", FRAMES)
        journals = sum(path.name == "journal.jsonl" for path in flushed)
        assert 4 <= journals <= FRAMES / 10 + FRAMES / 16 + 2
        assert {path.name for path in flushed} >= {f"{index:06d}.png" for index in range(FRAMES)}
        assert flushed[-1].name == "journal.jsonl"

    @pytest.mark.parametrize("every", [3, 4])
    def test_after_a_power_cut_it_goes_on_from_what_was_flushed(self, tmp_path, monkeypatch, every):
        """The disk has what was flushed last, and lacks all that was removed."""
        output, disk, contents = tmp_path / "clip.mp4", tmp_path / "disk", {}
        real = checkpoint.flush
        clock = itertools.count()
        monkeypatch.setattr(checkpoint.time, "monotonic", lambda: next(clock) / every)

        def flush(path):
            real(path)
            if path.is_file():
                contents[path] = path.read_bytes()

        monkeypatch.setattr(checkpoint, "flush", flush)
        with open_job(output, SHOTS) as job:
            state = None
            for index in range(FRAMES):
                result, state = paint(index, state if index % 10 else None)
                job.save(result, state)
                journal = contents.get(job.path / "journal.jsonl", b"")
                shutil.rmtree(disk, ignore_errors=True)
                lay(disk / "clip.mp4.job", {path: data for path, data in contents.items() if path.exists()}, job.path)
                certain = journal.count(b"\n")
                assert certain >= index + 1 - every
                with monkeypatch.context() as patch:
                    patch.setattr(checkpoint, "flush", real)
                    with open_job(disk / "clip.mp4", SHOTS) as left:
                        assert left.done == certain
                        if certain % 10:
                            assert left.state is not None
                            assert len(left.state.history) == min((certain - 1) % 10, REACH)


def lay(folder: Path, contents, source: Path):
    """A job folder of these files, and the manifest of `source`."""
    folder.mkdir(parents=True)
    shutil.copy(source / "manifest.json", folder)
    for path, data in contents.items():
        place = folder / path.relative_to(source)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)

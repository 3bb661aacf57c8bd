"""Opening a job folder: which folders are refused and left alone, and who else may hold one."""

import dataclasses
import errno
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import in_fresh_process
from filelock import FileLock
from test_checkpoint import FRAMES, MANIFEST, SETTINGS, paint, paint_until, pictures

from vidstyle.errors import DiskError, JobError
from vidstyle.jobs.folder import checkpoint, locks
from vidstyle.jobs.folder.opening import open_job, reopen_job

OTHER = dataclasses.replace(MANIFEST, settings=dataclasses.replace(SETTINGS, alpha=0.5), frames=5)


def refuse(output: Path, match: str, manifest=MANIFEST, **options) -> None:
    with pytest.raises(JobError, match=match), open_job(output, manifest, **options):
        pass


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestLinks:
    """What is removed through a link is somebody else's."""

    @pytest.mark.parametrize("name", ["", "frames", "states", "manifest.json", "journal.jsonl", "job.log", "lock"])
    @pytest.mark.parametrize("restart", [False, True])
    def test_a_link_is_refused_and_what_it_leads_to_stays(self, tmp_path, name, restart):
        paint_until(tmp_path / "a", 3)
        job, victim = tmp_path / "a.job", tmp_path / "victim"
        (job / name).rename(victim)
        (job / name).symlink_to(victim)
        before = everything(tmp_path)
        refuse(tmp_path / "a", "is a link.*remove the link, or choose another output", restart=restart)
        with pytest.raises(JobError), reopen_job(job):
            pass
        assert everything(tmp_path) == before

    @pytest.mark.parametrize("name", ["manifest.json.part", "frames/000003.png.part", "frames/000003.png"])
    def test_nothing_is_written_through_a_link(self, tmp_path, name):
        paint_until(tmp_path / "a", 3)
        victim = tmp_path / "victim"
        victim.write_text("precious")
        (tmp_path / "a.job" / name).symlink_to(victim)
        paint_until(tmp_path / "a", 5)
        assert victim.read_text() == "precious"
        with open_job(tmp_path / "a", MANIFEST) as job:
            job.discard()
        assert [path.name for path in tmp_path.iterdir()] == ["victim"]


class TestWithoutFrames:
    """Nothing is lost, so nothing is in the way."""

    def test_the_mended_command_begins_anew(self, tmp_path):
        paint_until(tmp_path / "a", 0)
        with open_job(tmp_path / "a", OTHER) as job:
            assert (job.manifest, job.done) == (OTHER, 0)
        refuse_nothing = dataclasses.replace(OTHER, vidstyle="2.0")
        (tmp_path / "a.job" / "states" / "000000.safetensors").write_bytes(b"of nobody")
        with open_job(tmp_path / "a", refuse_nothing) as job:
            assert not list((job.path / "states").iterdir())

    def test_with_frames_it_is_refused(self, tmp_path):
        paint_until(tmp_path / "a", 1)
        refuse(tmp_path / "a", "alpha was 0.3, now 0.5.*--restart", OTHER)

    def test_a_manifest_of_before(self, tmp_path):
        paint_until(tmp_path / "a", 1)
        file = tmp_path / "a.job" / "manifest.json"
        file.write_bytes(file.read_bytes().replace(b"vidstyle-job-10", b"vidstyle-job-4"))
        words = "started by another version of vidstyle .*vidstyle-job-4.*vidstyle-job-10.*or paint anew with --restart"
        refuse(tmp_path / "a", words)
        with pytest.raises(JobError, match=words), reopen_job(tmp_path / "a.job"):
            pass
        with open_job(tmp_path / "a", MANIFEST, restart=True) as job:
            assert job.done == 0 and not list((job.path / "frames").iterdir())
        file.write_bytes(file.read_bytes().replace(b"vidstyle-job-10", b"vidstyle-job-4"))
        with open_job(tmp_path / "a", MANIFEST) as job:
            assert job.done == 0


def hold_and_die(output: str, number: str) -> None:
    """Die with the lock of a job, where locks fail with this error number."""
    import fcntl

    def flock(descriptor, operation):
        raise OSError(int(number), os.strerror(int(number)))

    fcntl.flock, locks.LEASE = flock, 0.6
    with open_job(Path(output), MANIFEST) as job:
        job.save(*paint(0, None))
        os._exit(0)


class TestLocks:
    def test_a_second_run_is_told_whom_to_wait_for(self, tmp_path):
        with open_job(tmp_path / "a", MANIFEST):
            wanted = f"in use: process {os.getpid()} on {socket.gethostname()} paints a; wait for it or stop it"
            refuse(tmp_path / "a", wanted)
            with ThreadPoolExecutor(1) as other, pytest.raises(JobError, match=wanted):
                other.submit(reopen_job(tmp_path / "a.job").__enter__).result()
        paint_until(tmp_path / "a", 1)

    @pytest.mark.parametrize("owner", [b"", b"{", b"[]", b'{"pid": 1e999, "host": 3}', b"\xff", b"[" * 10**5])
    def test_whatever_its_name_card_says(self, tmp_path, owner):
        with open_job(tmp_path / "a", MANIFEST) as job:
            (job.path / "owner.json").write_bytes(owner)
            refuse(tmp_path / "a", "in use: another vidstyle paints a")

    @pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
    def no_locks(self, request, monkeypatch):
        """A file system without locks, as some network drives are."""
        fcntl = pytest.importorskip("fcntl")
        number = getattr(errno, request.param)

        def flock(descriptor, operation):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        monkeypatch.setattr(locks, "LEASE", 0.6)
        return number

    @staticmethod
    def wait_for_a_lease(monkeypatch, seconds):
        """Whoever wants a lease that another holds waits so long, however long the lease is."""
        acquire = locks.SoftFileLease.acquire
        monkeypatch.setattr(locks.SoftFileLease, "acquire", lambda self, timeout: acquire(self, timeout=seconds))

    def test_a_file_does_for_a_lock(self, tmp_path, no_locks, monkeypatch):
        monkeypatch.setattr(locks, "LEASE", 600)  # a holder that a busy machine does not run for a while keeps it
        self.wait_for_a_lease(monkeypatch, 0.1)
        with open_job(tmp_path / "a", MANIFEST):
            refuse(tmp_path / "a", f"in use: process {os.getpid()} on")
        paint_until(tmp_path / "a", 2)
        with open_job(tmp_path / "a", MANIFEST) as job:
            assert job.done == 2
            job.discard()
        assert not list(tmp_path.iterdir())

    def test_a_dead_holder_is_no_obstacle(self, tmp_path, no_locks):
        in_fresh_process(hold_and_die, tmp_path / "a", no_locks)
        with open_job(tmp_path / "a", MANIFEST) as job:
            assert job.done == 1

    def test_a_holder_on_another_machine_that_gives_no_sign_of_life(self, tmp_path, no_locks, monkeypatch):
        self.wait_for_a_lease(monkeypatch, 600)
        paint_until(tmp_path / "a", 1)
        sign = tmp_path / "a.job" / "lock.lease"
        sign.write_text("filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=ab\nduration=0.6\n")
        with open_job(tmp_path / "a", MANIFEST) as job:
            assert job.done == 1

    def test_who_was_taken_over_stops(self, tmp_path, no_locks):
        with open_job(tmp_path / "a", MANIFEST) as job:
            (job.path / "lock.lease").unlink()
            wait_until(lambda: job.require_lock() is not None)
            with pytest.raises(JobError, match="taken over by another vidstyle"):
                job.save(*paint(0, None))

    def test_where_no_open_file_can_be_removed_the_lock_is_released_first(self, tmp_path, monkeypatch):
        """As on Windows, where a file that is open cannot be removed."""
        held, real = set(), Path.unlink

        def unlink(path, missing_ok=False):
            if path.name in held:
                raise PermissionError(errno.EACCES, "it is used by another process", str(path))
            real(path, missing_ok=missing_ok)

        def release(self, force=False):
            held.clear()
            return real_release(self, force)

        real_release = FileLock.release
        monkeypatch.setattr(checkpoint, "OPEN_FILES_GO", False)
        monkeypatch.setattr(Path, "unlink", unlink)
        monkeypatch.setattr(FileLock, "release", release)
        with open_job(tmp_path / "a", MANIFEST) as job:
            held.add("lock")
            job.save(*paint(0, None))
            job.discard()
            assert [path.name for path in job.path.iterdir() if path.name != "job.log"]  # the lock at least
        assert not held and not list(tmp_path.iterdir())

    def test_any_other_error_is_that_of_a_disk(self, tmp_path, monkeypatch):
        fcntl = pytest.importorskip("fcntl")

        def flock(descriptor, operation):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(DiskError), open_job(tmp_path / "a", MANIFEST):
            pass


def wait_until(raises) -> None:
    """Until a call raises; the test's own time limit is the only one."""
    while True:
        try:
            raises()
        except JobError:
            return


class TestForeignFiles:
    def test_they_stay_whatever_they_are_called(self, tmp_path):
        paint_until(tmp_path / "a", 2)
        job = tmp_path / "a.job"
        names = [
            "notes.txt",
            "frames/1.png",
            "frames/000001.PNG",
            "states/x.safetensors",
            "frames/000001.png~",
            "lock2",
        ]
        for name in names:
            (job / name).write_text("mine")
        (job / "frames" / "000007.png").mkdir()
        with open_job(tmp_path / "a", MANIFEST, restart=True) as folder:
            folder.discard()
        assert sorted(everything(job)) == sorted(names)

    @pytest.mark.parametrize("name", ["frames", "states"])
    def test_a_file_for_a_folder(self, tmp_path, name):
        paint_until(tmp_path / "a", 1)
        folder = tmp_path / "a.job" / name
        folder.rename(tmp_path / "moved")
        folder.write_text("mine")
        refuse(tmp_path / "a", "no job folder")
        assert folder.read_text() == "mine"


def test_a_moved_folder_continues(tmp_path):
    paint_until(tmp_path / "straight", 6, 6)
    (tmp_path / "one").mkdir()
    paint_until(tmp_path / "one" / "a", 3, 6)
    (tmp_path / "one").rename(tmp_path / "two")
    paint_until(tmp_path / "two" / "a", 6, 6)
    assert pictures(tmp_path / "two" / "a") == pictures(tmp_path / "straight")


def test_the_log_grows_by_lines_and_goes_with_the_folder(tmp_path):
    paint_until(tmp_path / "a", 2)
    with open_job(tmp_path / "a", MANIFEST) as job:
        job.log(f"cannot read {tmp_path}/my clip.mp4, /home/me/style.png (and C:\\films\\a.mp4): 3/4 of 24/1001")
        lines = (job.path / "job.log").read_text().splitlines()
        assert lines[-1].endswith("cannot read my clip.mp4, style.png (and a.mp4): 3/4 of 24/1001")
        job.log("two\nlines, and \ud800")
        lines = (job.path / "job.log").read_text().splitlines()
        assert [line.split(" ", 1)[1][:9] for line in lines[:2]] == ["frame 0: ", "frame 1: "]
        assert lines[-1].endswith("\\ud800")
        (job.path / "job.log").unlink()
        (job.path / "job.log").mkdir()
        job.log("nowhere")  # is no reason to stop
        (job.path / "job.log").rmdir()
        job.discard()
    assert not list(tmp_path.iterdir())


def test_what_is_recorded(tmp_path):
    out = tmp_path / "a.mp4"
    with open_job(out, MANIFEST) as job:
        (tmp_path / "part").write_bytes(b"film")
        job.record(out, tmp_path / "part")
        assert not job.has_made(out)
        (tmp_path / "part").rename(out)
        assert job.has_made(out)
        assert json.loads((job.path / "manifest.json").read_text())["made"]["a.mp4"]["size"] == 4
    with open_job(out, MANIFEST) as job:
        assert job.has_made(out)
        out.write_bytes(b"Film")
        assert not job.has_made(out)
    assert job.frames == FRAMES

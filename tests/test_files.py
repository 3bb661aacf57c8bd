"""Files that are there whole or not at all: what may be in their way, and what is left by whoever is killed."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import textwrap
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vidstyle
from vidstyle.errors import DiskError, OutputExistsError, UsageError
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.sinks import check_output, write_still
from vidstyle.media.writers.stills import FolderSink, StillSink, check_folder
from vidstyle.system import files
from vidstyle.types import ClipInfo

ROOT = Path(vidstyle.__file__).parents[1]
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
posix = pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")


def python(program, *arguments, **options):
    """Run a program in a Python of its own."""
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, **options)


def write_folder(path, count=2, *, overwrite=True, pixels=PIXELS):
    with FolderSink(path, ClipInfo(32, 24, Fraction(25), count), Encoding(), overwrite=overwrite) as sink:
        for _ in range(count):
            sink.write(pixels)


def names(folder):
    return sorted(entry.name for entry in os.scandir(folder))


class TestWriting:
    def test_text_and_bytes(self, tmp_path):
        files.write_whole(tmp_path / "a.json", "é\n")
        files.write_whole(tmp_path / "b", b"\xff")
        assert [(tmp_path / name).read_bytes() for name in ("a.json", "b")] == ["é\n".encode(), b"\xff"]
        assert names(tmp_path) == ["a.json", "b"]

    def test_names_that_are_no_utf8(self, tmp_path):
        name = os.fsdecode(b"a\xff.gif")
        files.write_whole(tmp_path / "a.json", json.dumps({"file": name}, ensure_ascii=False))
        assert json.loads((tmp_path / "a.json").read_bytes())["file"] == name

    @posix
    def test_modes_are_those_of_any_new_file(self, tmp_path):
        for mask, wanted in ((0o022, 0o644), (0o077, 0o600)):
            before = os.umask(mask)
            try:
                files.write_whole(tmp_path / "a", "a")
                files.write_inside(tmp_path / "b", b"b")
                write_folder(tmp_path / "c")
                write_still(PIXELS, [tmp_path / "d.png"])
            finally:
                os.umask(before)
            found = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "b", "c/000000.png", "d.png")}
            assert found == {wanted}

    @pytest.mark.parametrize("write", [files.write_whole, lambda path, text: files.write_inside(path, text.encode())])
    def test_an_error_leaves_the_old_file_alone(self, tmp_path, monkeypatch, write):
        (tmp_path / "a").write_text("old")

        def fail(path):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files, "flush", fail)
        with pytest.raises((DiskError, OSError), match="No space left"):
            write(tmp_path / "a", "new")
        assert ((tmp_path / "a").read_text(), names(tmp_path)) == ("old", ["a"])

    @posix
    def test_links_at_predictable_names_are_not_written_through(self, tmp_path):
        (tmp_path / "victim").write_text("precious")
        for name in ("a.part", ".a.part", ".a.png.part.png", ".a.part.png"):
            (tmp_path / name).symlink_to("victim")
        files.write_inside(tmp_path / "a", b"new")
        files.write_whole(tmp_path / "b", "new")
        write_still(PIXELS, [tmp_path / "a.png"])
        assert (tmp_path / "victim").read_text() == "precious"
        assert (tmp_path / "a").read_bytes() == b"new" and not (tmp_path / "a").is_symlink()

    @posix
    def test_what_is_not_complete_lies_where_nobody_else_can_enter(self, tmp_path):
        before = os.umask(0)
        try:
            with files.staging(tmp_path) as folder:
                assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        finally:
            os.umask(before)


class TestInTheWay:
    """Something appears at the output's place while it is made."""

    @pytest.fixture(params=["as it is", "no renameat2", "no links either"])
    def system(self, request, monkeypatch):
        def unknown(*arguments, **options):
            raise OSError(errno.EINVAL, "Invalid argument")

        if request.param != "as it is":
            monkeypatch.setattr(files, "_rename", unknown)
        if request.param == "no links either":
            monkeypatch.setattr(os, "link", unknown)

    @staticmethod
    def write(kind, path, appear):
        with kind(path, ClipInfo(32, 24, Fraction(1), 1), Encoding(), overwrite=False) as sink:
            sink.write(PIXELS)
            appear()

    @pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
    def test_it_is_left_as_it_is(self, tmp_path, system, kind):
        path = tmp_path / "a.png"
        (tmp_path / "other").write_text("precious")

        def appear():
            if kind == "file":
                path.write_text("precious")
            elif kind == "folder":
                path.mkdir()
            else:
                path.symlink_to("other" if kind == "link" else "none")

        with pytest.raises(OutputExistsError, match="-y"):
            self.write(StillSink, path, appear)
        assert (tmp_path / "other").read_text() == "precious"
        assert {"file": path.is_file(), "folder": path.is_dir()}.get(kind, path.is_symlink())
        assert names(tmp_path) == ["a.png", "other"]

    def test_a_folder(self, tmp_path, system):
        for there in ("none", "empty", "frames", "others"):
            path = tmp_path / there

            def appear(path=path, there=there):
                if there == "frames":
                    write_folder(path, 2)
                elif there != "none":
                    path.mkdir()
                    if there == "others":
                        (path / "thesis.txt").write_text("precious")

            with pytest.raises((DiskError, OutputExistsError)) if there in ("frames", "others") else nullcontext():
                self.write(FolderSink, path, appear)
            kept = {"frames": ["000000.png", "000001.png", "timing.json"], "others": ["thesis.txt"]}
            assert names(path) == kept.get(there, ["000000.png", "timing.json"])
        assert names(tmp_path) == ["empty", "frames", "none", "others"]

    def test_with_leave_it_is_replaced(self, tmp_path, system):
        (tmp_path / "a.png").write_text("old")
        write_still(PIXELS, [tmp_path / "a.png"], overwrite=True)
        write_folder(tmp_path / "f", 3)
        write_folder(tmp_path / "f", 1, pixels=PIXELS[::-1].copy())
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), PIXELS)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "f/000000.png")), PIXELS[::-1])
        assert names(tmp_path / "f") == ["000000.png", "timing.json"]
        assert names(tmp_path) == ["a.png", "f"]

    @pytest.mark.skipif(sys.platform != "linux", reason="how it is done elsewhere is not known")
    def test_an_old_folder_is_never_gone(self, tmp_path, monkeypatch):
        """Where the system can exchange two names, no other renaming touches the place."""
        if not _exchanges(tmp_path):
            pytest.skip("this file system cannot exchange names")
        write_folder(tmp_path / "f", 3)
        monkeypatch.setattr(os, "rename", lambda *names: pytest.fail("a moment without the folder"))
        write_folder(tmp_path / "f", 1)
        assert names(tmp_path / "f") == ["000000.png", "timing.json"]

    def test_files_that_come_at_the_last_moment_are_not_removed(self, tmp_path, system, monkeypatch):
        write_folder(tmp_path / "f", 3)
        exchange = files.exchange

        def late(new, old):
            monkeypatch.setattr(files, "exchange", exchange)
            (old / "thesis.txt").write_text("precious")
            return exchange(new, old)

        monkeypatch.setattr(files, "exchange", late)
        with pytest.raises(DiskError, match="no frames of vidstyle"):
            write_folder(tmp_path / "f", 1)
        assert names(tmp_path / "f") == ["000000.png", "000001.png", "000002.png", "thesis.txt", "timing.json"]
        assert names(tmp_path) == ["f"]


@posix
class TestLinks:
    """An output that is a link goes on pointing to where the file is: as ffmpeg, cp and redirection do."""

    def test_the_target_is_replaced(self, tmp_path):
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk/a.png").write_text("old")
        (tmp_path / "a.png").symlink_to("disk/a.png")
        (tmp_path / "f").symlink_to("disk/f")
        (tmp_path / "b.json").symlink_to("disk/b.json")  # of nothing
        write_still(PIXELS, [tmp_path / "a.png"])
        write_folder(tmp_path / "f")
        write_folder(tmp_path / "f", 1)
        files.write_whole(tmp_path / "b.json", "{}")
        assert all((tmp_path / name).is_symlink() for name in ("a.png", "f", "b.json"))
        assert np.array_equal(np.asarray(Image.open(tmp_path / "disk/a.png")), PIXELS)
        assert names(tmp_path / "disk") == ["a.png", "b.json", "f"]
        assert names(tmp_path / "disk/f") == ["000000.png", "timing.json"]

    def test_a_link_is_there_whatever_it_points_to(self, tmp_path):
        (tmp_path / "a.png").symlink_to("none.png")
        with pytest.raises(OutputExistsError):
            check_output(tmp_path / "a.png", moving=False, overwrite=False)
        assert check_output(tmp_path / "a.png", moving=False, overwrite=True) == tmp_path / "a.png"

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
    def test_what_is_no_file(self, tmp_path):
        os.mkfifo(tmp_path / "a.png")
        (tmp_path / "b.png").symlink_to("a.png")
        (tmp_path / "c.png").symlink_to("/dev/null")
        (tmp_path / "d.png").symlink_to(tmp_path)
        (tmp_path / "e.png").symlink_to("none/e.png")
        (tmp_path / "g.png").symlink_to("g.png")
        for name in "abcdeg":
            with pytest.raises((DiskError, OutputExistsError)):
                check_output(tmp_path / f"{name}.png", moving=False, overwrite=name != "g")
        (tmp_path / "f").symlink_to("a.png")
        with pytest.raises(DiskError, match="is a file"):
            check_folder(tmp_path / "f", overwrite=True)


class TestNames:
    @pytest.mark.parametrize("length", [5, 200, 240, 251])
    def test_long_ones(self, tmp_path, length):
        path = tmp_path / ("x" * (length - 4) + ".png")
        assert check_output(path, moving=False, overwrite=False) == path
        assert files.check_place(path, ".job") == path
        write_still(PIXELS, [path])
        files.write_whole(path.with_suffix(".jso"), "{}")
        write_folder(path.with_suffix(""))
        assert len(names(tmp_path)) == 3

    def test_too_long_ones_are_refused_before(self, tmp_path):
        for length, suffix in ((252, ".job"), (256, ""), (300, "")):
            with pytest.raises(DiskError, match="too long"):
                files.check_place(tmp_path / ("x" * length), suffix)
        with pytest.raises(DiskError, match="too long"):
            check_output(tmp_path / ("é" * 130 + ".png"), moving=False, overwrite=True)  # 264 bytes

    @pytest.mark.parametrize("name", [b"a\xff.png", b"-a.png", "…ü 100%d:.png".encode(), b"\n.png"])
    def test_odd_ones(self, tmp_path, name):
        write_still(PIXELS, [tmp_path / os.fsdecode(name)])
        assert names(tmp_path) == [os.fsdecode(name)]


class TestInputs:
    """An output that is an input is refused, whoever allowed it, by whatever name."""

    def refused(self, outputs, inputs):
        with pytest.raises(UsageError, match="input"):
            files.check_apart(outputs, inputs)
        return True

    def test_by_name_and_by_inode(self, tmp_path, monkeypatch):
        (tmp_path / "clip.mp4").write_text("precious")
        (tmp_path / "sub").mkdir()
        os.link(tmp_path / "clip.mp4", tmp_path / "hard.mp4")
        aliases = ["clip.mp4", "sub/../clip.mp4", "hard.mp4"]
        if os.name == "posix":
            (tmp_path / "soft.mp4").symlink_to("clip.mp4")
            (tmp_path / "here").symlink_to(".")
            aliases += ["soft.mp4", "here/clip.mp4", "here/soft.mp4"]
        monkeypatch.chdir(tmp_path)
        assert all(self.refused([one], [other]) for one in aliases for other in ("clip.mp4", tmp_path / "clip.mp4"))
        files.check_apart(["new.mp4", "sub"], ["clip.mp4", "none.png", "content", b"\0".decode()])
        with pytest.raises(UsageError, match=r"output hard\.mp4 is the input clip\.mp4"):
            files.check_writable(Path("hard.mp4"), overwrite=True, inputs=["clip.mp4"])
        with pytest.raises(UsageError, match=r"output clip\.mp4 is an input, too"):
            files.check_writable(Path("clip.mp4"), overwrite=False, inputs=["clip.mp4"])

    def test_folders_and_patterns(self, tmp_path):
        write_folder(tmp_path / "f", 2)
        first = tmp_path / "f/000000.png"
        for output, read in (
            (tmp_path / "f", first),  # a style from the old frames
            (first, tmp_path / "f"),
            (tmp_path / "f", tmp_path / "f"),
            (first, tmp_path / "f/%06d.png"),
            (tmp_path / "f", tmp_path / "f/*.png"),
        ):
            assert self.refused([output], [read])
        files.check_apart([tmp_path / "f/a.gif", tmp_path / "f.gif"], [tmp_path / "f", tmp_path / "f/%06d.png"])


class TestKilled:
    """A run is killed: what it leaves goes with the next one, and nothing else does."""

    KILL = """
        import os, signal, sys
        from fractions import Fraction
        from pathlib import Path
        import numpy as np
        from vidstyle.system import files
        from vidstyle.media.writers.stills import FolderSink
        from vidstyle.media.writers.base import Encoding
        from vidstyle.media.writers.sinks import write_still
        from vidstyle.types import ClipInfo

        CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link")
        left = None

        def count():
            global left
            left = left and left - 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def watch(event, arguments):
            if event in CHANGES or event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                count()

        def folder(count):
            with FolderSink(Path("a"), ClipInfo(8, 8, Fraction(25), count), Encoding()) as sink:
                for number in range(count):
                    sink.write(np.full((8, 8, 3), 10 * count, np.uint8))

        def inside(data):
            files.write_inside(Path("a"), data)

        def still(value):
            write_still(np.full((8, 8, 3), value, np.uint8), [Path("a.png")])

        MAKE = {
            "text": (lambda: files.write_whole(Path("a"), "old"), lambda: files.write_whole(Path("a"), "new")),
            "text inside": (lambda: inside(b"old"), lambda: inside(b"new")),
            "still": (lambda: still(0), lambda: still(9)),
            "folder": (lambda: folder(3), lambda: folder(2)),
        }

        def found():
            place = next(Path(name) for name in ("a", "a.png") if os.path.exists(name))
            inside = sorted(place.iterdir()) if place.is_dir() else [place]
            return [(file.name, file.read_bytes()) for file in inside]

        exact = files._rename
        files._rename = lambda *names: (count(), exact(*names), count())  # audit hooks see no call of the C library
        sys.addaudithook(watch)
        old, new = MAKE[sys.argv[1]]
        new(), (wanted := [found()]), old(), wanted.append(found())
        seen, number, status = [], 0, signal.SIGKILL
        while status == signal.SIGKILL:
            number += 1
            old()
            if not (child := os.fork()):
                left = number
                new()
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            seen.append(wanted.index(found()))
            if sys.argv[1] == "text inside":  # its folder knows that nothing else is called so
                Path("a.part").unlink(missing_ok=True)
            files.write_whole(Path("b"), "another run")
            os.unlink("b")
            assert len(os.listdir()) == 1, (number, os.listdir())
        assert (status, set(seen)) == (0, {0, 1}), (status, seen)
        print(number)
    """

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
    @pytest.mark.parametrize("kind", ["text", "text inside", "still", "folder"])
    def test_before_each_change_of_the_disk(self, tmp_path, kind):
        """Each time there is the old output or the new one, complete, and the next run removes all else."""
        done = python(self.KILL, kind, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > (3 if kind == "text inside" else 8)

    def test_what_others_use_or_made_stays(self, tmp_path):
        (tmp_path / ".vidstyle-notes").mkdir()
        (tmp_path / ".vidstyle-abcdefgh").mkdir()
        (tmp_path / ".vidstyle-abcdefgh/thesis.txt").write_text("precious")
        (tmp_path / ".vidstyle-file0000").write_text("precious")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / f"elsewhere/{files.LOCK}").touch()
        if os.name == "posix":
            (tmp_path / ".vidstyle-link0000").symlink_to("elsewhere")
        before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
        with files.staging(tmp_path) as used:
            (used / "part").write_text("half")
            files.write_whole(tmp_path / "a", "a")  # as another run does
            assert (used / "part").read_text() == "half"
        after = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
        assert after == before | {Path("a")}

    def test_a_file_system_without_locks(self, tmp_path, monkeypatch):
        def unsupported(*arguments, **options):
            raise NotImplementedError("no flock")

        monkeypatch.setattr(files.FileLock, "acquire", unsupported)
        files.write_whole(tmp_path / "a", "a")
        assert names(tmp_path) == ["a"]


@pytest.mark.skipif(shutil.which("setpriv") is None or os.name != "posix", reason="there is no setpriv")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become somebody else")
class TestAnotherUser:
    CHECK = """
        import sys
        from pathlib import Path
        from vidstyle.media.writers.stills import check_folder
        from vidstyle.errors import DiskError
        from vidstyle.system.files import check_writable
        for check in (check_writable, check_folder):
            try:
                check(Path(sys.argv[1]), overwrite=True)
                print("fine")
            except DiskError as error:
                print(error)
    """

    @pytest.mark.parametrize(("mode", "words"), [(0o555, "Permission denied"), (0o311, "fine"), (0o777, "fine")])
    def test_folders(self, tmp_path, mode, words):
        """One that may not be written; one that may be written but not listed."""
        place = tmp_path / "place"
        place.mkdir()
        os.chown(place, 65534, 65534)
        place.chmod(mode)
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(folder.stat().st_mode | 0o055)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c"]
        options = {"env": {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/"}, "capture_output": True, "text": True}
        if subprocess.run([*command, "import vidstyle.media.writers.stills"], **options).returncode:
            pytest.skip("another user cannot run this Python")
        done = subprocess.run([*command, textwrap.dedent(self.CHECK), str(place / "a.png")], **options)
        assert done.stdout.count(words) == 2, done.stdout + done.stderr
        assert names(place) == []


def _exchanges(folder):
    (folder / "one").mkdir()
    (folder / "other").mkdir()
    done = files.exchange(folder / "one", folder / "other")
    (folder / "one").rmdir()
    (folder / "other").rmdir()
    return done

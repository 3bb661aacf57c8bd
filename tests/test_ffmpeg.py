"""The processes that vidstyle starts: what they say when they fail, and that none is left when we end."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

import vidstyle
from vidstyle.errors import DiskError, EncodingError, UsageError
from vidstyle.system.files import write_whole

ffmpeg = pytest.importorskip("vidstyle.system.ffmpeg")
psutil = pytest.importorskip("psutil")

pytestmark = pytest.mark.clips
PICTURES = ["-f", "lavfi", "-i", "color=black:16x16:d=0.2"]
SURROUND = ["-f", "lavfi", "-i", "sine=d=0.2,aformat=channel_layouts=5.1"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([*SURROUND, "-c:a", "libopus", "-mapping_family", "0", "a.webm"], "Opus mapping family undefined for 6 chan"),
        ([*SURROUND, "-c:a", "libmp3lame", "-ar", "1000", "a.mp3"], "Specified sample rate 1000 is not supported"),
        ([*PICTURES, "-c:v", "mpeg4", "a.webm"], "Only VP8 or VP9 or AV1 video"),
        ([*PICTURES, "-vf", "nosuch", "a.mp4"], "No such filter: 'nosuch'"),
        ([*PICTURES, "-map", "0:7", "a.mp4"], "matches no streams"),
        (["-i", "none.mp4", "a.mp4"], "Error opening input: No such file or directory"),
        ([*PICTURES, "none/a.mp4"], "Error opening output none/a.mp4: No such file or directory"),
    ],
)
def test_the_reason_is_told(tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncodingError) as caught:
        ffmpeg.run(arguments)
    assert str(caught.value).startswith("ffmpeg failed: ")
    assert reason in str(caught.value)
    assert "@" not in str(caught.value)


def test_damage_before_is_not_the_reason():
    messages = """[h264 @ 0x5] error while decoding MB 3 4
[libopus @ 0x1] Opus mapping family undefined for 6 channels.
[aost#0:0/libopus @ 0x1] [enc:libopus @ 0x2] Error while opening encoder - maybe incorrect parameters
[af#0:0 @ 0x3] Task finished with error code: -22 (Invalid argument)
Conversion failed!"""
    assert ffmpeg.reason_in(messages) == "Opus mapping family undefined for 6 channels."
    assert ffmpeg.reason_in("") == ""


@pytest.mark.parametrize("name", ["none", "/none/ffmpeg", __file__])
def test_an_ffmpeg_that_is_none(monkeypatch, name):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", name)
    with pytest.raises(UsageError, match="IMAGEIO_FFMPEG_EXE"):
        ffmpeg.version()


@pytest.mark.skipif(os.name != "posix", reason="a script that can be run")
def test_a_name_is_looked_up_in_absolute_folders_only(tmp_path, monkeypatch):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my-ffmpeg").write_text(f"#!/bin/sh\necho from {folder}\n")
        (tmp_path / folder / "my-ffmpeg").chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "my-ffmpeg")
    monkeypatch.setenv("PATH", f":.:{tmp_path / 'there'}:{os.environ['PATH']}")
    assert ffmpeg.version() == "from there"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "./my-ffmpeg")  # said in full: meant
    assert ffmpeg.version() == "from here"


def test_no_room_for_temporary_files(monkeypatch):
    def full():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DiskError, match="TMPDIR"):
        ffmpeg.run(["-version"])


def started(program, folder):
    """A Python of its own that has printed a line, and the ffmpeg that it started."""
    environment = {**os.environ, "PYTHONPATH": str(Path(vidstyle.__file__).parents[1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=folder, env=environment, **pipes)
    assert process.stdout.readline() == b"fed\n"
    return process, *psutil.Process(process.pid).children()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_it_ends_with_us(tmp_path, number):
    """However we end: by an exception, which the first two become in the command line, or killed."""
    if sys.platform == "win32":
        pytest.skip("Windows has other signals")
    program = f"""
        import signal, sys
        from fractions import Fraction
        import numpy as np
        from vidstyle.media.writers.sinks import open_sink
        from vidstyle.types import ClipInfo

        def stop(number, frame):
            raise SystemExit(128 + number)

        if {number!r} != "SIGKILL":
            signal.signal(signal.{number}, stop)
        with open_sink("a.mp4", ClipInfo(64, 48, Fraction(25), 100)) as sink:
            for _ in range(60):  # more than the encoder keeps to itself
                sink.write(np.zeros((48, 64, 3), np.uint8))
            print("fed", flush=True)
            sys.stdin.read()
    """
    process, child = started(program, tmp_path)
    with process:
        process.send_signal(getattr(signal, number))
        process.wait(timeout=600)
        if number == "SIGKILL":
            psutil.wait_procs([child], timeout=600)  # it notices that its input has ended
            assert [path.name for path in tmp_path.iterdir()] != []
            write_whole(tmp_path / "b.json", "{}")  # the next run cleans up
            (tmp_path / "b.json").unlink()
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
        assert list(tmp_path.iterdir()) == []

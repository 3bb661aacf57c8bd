"""Nothing painted is lost when an output cannot be made: full disks, names that are taken, a dead ffmpeg."""

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import pixels, settings_of
from conftest import texture as noise
from PIL import Image

import vidstyle as package
from vidstyle import (
    BalanceSettings,
    EncodeSettings,
    ImageSettings,
    RunOptions,
    SheetSettings,
    VideoSettings,
    animate_balance,
    encode_job,
    stylize_image,
    stylize_video,
)
from vidstyle.errors import DiskError, EncodingError, MediaError, OutputExistsError, UsageError
from vidstyle.jobs.output.space import require_space
from vidstyle.types import ClipInfo

pytestmark = pytest.mark.clips
ROOT = Path(package.__file__).parents[1]
FAST = ["--size", 48, "--first-iterations", 1, "--iterations", 1, "--device", "cpu"]
ALL = ["a.mp4", "a.webm", "a.gif", "a.webp", "a.avif", "a.png", "frames"]


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(noise(48, 48, seed=2))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


@pytest.fixture
def settings(network):
    return VideoSettings(size=48, first_iterations=1, iterations=1, device="cpu", network=str(network))


@pytest.fixture
def animated(settings):
    return settings_of(BalanceSettings, settings, space="linear", seconds=1, fps=6)


@contextmanager
def no_file_above(size):
    """What a full disk answers for once: no file of this process may grow beyond so many bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def on_a_small_disk(program, folder, size):
    """Run a program where `folder` is a disk of its own of so many kB, which only root can make."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    mount = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size={size}k none {shlex.quote(str(folder))} && shift 0"]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    mount[-1] += ' && exec "$@"'
    command = [*mount, "sh", sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(
        command, cwd=folder.parent, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


@pytest.mark.parametrize("size", [20, 150])
def test_a_full_disk_while_encoding(tmp_path, size):
    """Every sink, on a disk that is full at its first file or in the middle: one sentence, and nothing is left."""
    (tmp_path / "disk").mkdir()
    program = f"""
        import os
        from fractions import Fraction
        import numpy as np
        from vidstyle.media.writers.sinks import open_sink
        from vidstyle.errors import DiskError
        from vidstyle.types import ClipInfo
        noise = np.random.default_rng(0).integers(0, 256, (12, 120, 160, 3), np.uint8)
        for name in {ALL}:
            try:
                with open_sink("disk/" + name, ClipInfo(160, 120, Fraction(25), 12)) as sink:
                    for frame in noise:
                        sink.write(frame)
            except DiskError as error:
                assert "disk is full" in str(error), error
                print(name, os.listdir("disk"))
            else:
                print(name, "fits", os.listdir("disk"))
                os.unlink("disk/" + name)
    """
    done = on_a_small_disk(program, tmp_path / "disk", size)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ALL
    assert {line.split(" ", 1)[1] for line in lines if "fits" not in line} == {"[]"}
    assert sum("fits" in line for line in lines) <= (2 if size > 20 else 0), lines


class TestNothingPaintedIsLost:
    def test_a_full_disk_and_the_command_that_it_names(self, vidstyle, tmp_path, style, settings):
        clip, output = make_clip(tmp_path / "clip.mp4", pan(4, 64, 48), rate=24), tmp_path / "a b.png"
        with no_file_above(3000) as limit, pytest.raises(DiskError, match="disk is full") as caught:
            stylize_video(clip, [style], output, settings, run=RunOptions(observe=lambda _: Mock(done=limit)))
        text = str(caught.value)
        assert not output.exists()
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == ["a b.png.job", "clip.mp4", "style.png", "tiny.safetensors"]
        command = text[text.index("vidstyle encode") :].partition(" makes")[0]
        words = shlex.split(command)
        assert words == ["vidstyle", "encode", str(tmp_path / "a b.png.job"), "-o", "FILE"]
        done = vidstyle(*words[1:-1], tmp_path / "other.gif")
        assert done.exit_code == 0, done.output
        frames = [np.asarray(Image.open(file)) for file in sorted((tmp_path / "a b.png.job/frames").iterdir())]
        stylize_video(
            clip, [style], output, settings, run=RunOptions(on_frame=lambda result, total: pytest.fail("it paints"))
        )
        with Image.open(output) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), frames[0])
        assert not (tmp_path / "a b.png.job").exists()

    @pytest.mark.parametrize("name", ["a.gif", "frames/", "a.png"])
    def test_a_name_that_is_taken_while_painting(self, tmp_path, style, animated, name):
        output, there = f"{tmp_path}/{name}", tmp_path / name.strip("/")

        def take(result, total):
            if result.index == 1:
                if name.endswith("/"):
                    there.mkdir()
                    (there / "thesis.txt").write_text("precious")
                else:
                    there.write_text("precious")

        with pytest.raises((OutputExistsError, DiskError), match=r"frames are kept in .*\.job.*vidstyle encode"):
            animate_balance(style, [style], output, animated, run=RunOptions(on_frame=take))
        assert (there / "thesis.txt" if name.endswith("/") else there).read_text() == "precious"
        encode_job(tmp_path / f"{there.name}.job", tmp_path / "b.webp")

    def test_a_dead_ffmpeg(self, tmp_path, style, animated, monkeypatch):
        """No bug of ours: not exit 1."""
        (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho '[x @ 0x1] it is broken' >&2\nexit 3\n")
        (tmp_path / "ffmpeg").chmod(0o755)

        def break_it(result, total):
            monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "ffmpeg"))

        with pytest.raises(EncodingError, match=r"it is broken.*frames are kept") as caught:
            animate_balance(style, [style], tmp_path / "a.mp4", animated, run=RunOptions(on_frame=break_it))
        assert caught.value.exit_code == 11
        monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
        encode_job(tmp_path / "a.mp4.job", tmp_path / "a.mp4")

    def test_the_poster_and_a_still(self, tmp_path, style, animated):
        poster = tmp_path / "p.png"
        with pytest.raises(OutputExistsError, match=r"p\.png has appeared.*frames are kept"):
            animate_balance(
                style,
                [style],
                tmp_path / "a.gif",
                dataclasses.replace(animated, poster=str(poster)),
                run=RunOptions(on_frame=lambda result, total: poster.write_text("precious")),
            )
        assert poster.read_text() == "precious"
        still = tmp_path / "still.png"
        own = settings_of(ImageSettings, animated)
        with pytest.raises(OutputExistsError, match=r"still\.png has appeared.*frames are kept"):
            stylize_image(style, [style], still, own, RunOptions(on_frame=lambda *told: still.write_text("precious")))
        assert still.read_text() == "precious"

    def test_a_sheet(self, vidstyle, tmp_path, style, network):
        """Its pictures cannot be encoded anew: the same command is named alone."""
        from vidstyle import make_sheet

        output = tmp_path / "s.png"
        settings = SheetSettings(size=96, alphas=(0.5,), first_iterations=1, device="cpu", network=str(network))
        with pytest.raises(OutputExistsError, match=r"kept in .*s\.png\.job") as caught:
            make_sheet(
                style, [style], output, settings, run=RunOptions(on_frame=lambda *told: output.write_text("precious"))
            )
        assert "vidstyle encode" not in str(caught.value)
        make_sheet(
            style,
            [style],
            output,
            settings,
            run=RunOptions(overwrite=True, on_frame=lambda *told: pytest.fail("it paints")),
        )
        assert Image.open(output).size[0] > 32


class TestSpace:
    @pytest.mark.parametrize("name", [pytest.param("a.mp4", marks=pytest.mark.slow), "a.png"])
    def test_too_little_is_refused_before(self, tmp_path, style, network, name):
        """A disk that cannot hold the frames, however well they compress: with the amount, and no folder is made."""
        (tmp_path / "disk").mkdir()
        arguments = ["balance", style, style, "-o", f"disk/{name}", "--network", network, "--seconds", 9, *FAST]
        program = f"""
            import os, sys
            from vidstyle.cli import app
            try:
                app({list(map(str, arguments))})
            except SystemExit as end:
                print(end.code, os.listdir("disk"))
        """
        done = on_a_small_disk(program, tmp_path / "disk", 40)
        assert done.stdout == "7 []\n", done.stderr
        assert "take about" in done.stderr and "41 kB are free" in done.stderr

    def test_what_is_needed(self, tmp_path, monkeypatch):
        def free(size, total=10**12):
            monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(total, 0, size))

        info, outputs = ClipInfo(1000, 1000, 25, 100), [tmp_path / "a.mp4"]
        free(60 * 10**6)
        with pytest.raises(DiskError, match=r"100 frames of 1000x1000.* take about 224 MB .* 60 MB are free"):
            require_space(outputs, info, 100, 200)
        free(75 * 10**6)
        require_space(outputs, info, 100, 200)
        with pytest.raises(DiskError, match="about 624 MB"):
            require_space([*outputs, tmp_path / "frames"], info, 100, 200)
        (tmp_path / "a.mp4.job/frames").mkdir(parents=True)
        for number in range(100):
            (tmp_path / f"a.mp4.job/frames/{number:06d}.png").touch()
        free(0)
        require_space(outputs, info, 100, 200)
        free(0, total=0)
        require_space([tmp_path / "b.mp4"], info, 100, 200)


class TestInputs:
    """No output replaces an input, whoever gives leave."""

    @pytest.fixture
    def clip(self, tmp_path):
        return make_clip(tmp_path / "clip.mp4", pan(4, 64, 48), rate=24)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["video", "clip.mp4", "style.png", "-o", "clip.mp4"],
            ["video", "clip.mp4", "style.png", "-o", "new.gif", "-o", "hard.mp4"],
            ["video", "clip.mp4", "style.png", "-o", "soft.mp4"],
            ["video", "soft.mp4", "style.png", "-o", "here/clip.mp4"],
            ["video", "clip.mp4", "style.png", "-o", "new.mp4", "--poster", "style.png"],
            ["video", "clip.mp4", "old/000001.png", "-o", "old/"],
            ["video", "clip.mp4", "new.mp4.job/frames/000001.png", "-o", "new.mp4", "--restart"],
            ["balance", "style.png", "style.png", "-o", "style.png"],
            ["image", "style.png", "other.png", "-o", "other.png"],
            ["image", "style.png", "style.png", "-o", "init.png", "--init", "init.png"],
            ["balance", "style.png", "style.png", "-o", "a.gif", "--figure", "net.json", "--network", "net.json"],
            ["sheet", "style.png", "other.png", "-o", "other.png"],
            ["sheet", "clip.mp4", "-o", "clip.png"],
            ["measure", "clip.mp4", "hard.mp4", "-o", "clip.json"],
            ["bench", "clip.mp4", "style.png", "-o", "clip.json"],
            ["consistency", "style.png", "-o", "style.json"],
            ["uniformity", "style.png", "style.png", "-o", "style.json"],
            ["compare", "pictures", "style.png", "-o", "pictures"],
        ],
    )
    def test_refused(self, vidstyle, tmp_path, clip, style, network, arguments, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("other.png", "init.png", "old/000001.png", "new.mp4.job/frames/000001.png", "pictures/sheet.png"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(style, name)
        Path("old/timing.json").write_text('{"format": "vidstyle-frames-1"}')
        shutil.copy(network, "net.json")
        os.link("clip.mp4", "hard.mp4")
        for name, target in (("soft.mp4", "clip.mp4"), ("here", "."), ("clip.json", "clip.mp4"), ("clip.png", clip)):
            os.symlink(target, name)
        os.symlink("style.png", "style.json")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        own = [] if "--network" in arguments else ["--network", network]
        own = [] if arguments[0] == "sheet" and len(arguments) == 4 else own
        done = vidstyle(*arguments, "-y", *own)
        assert done.exit_code == 2, done.output
        (sentence,) = [line for line in done.output.splitlines() if line.startswith("vidstyle: ")]
        assert "input" in sentence
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    def test_distill(self, tmp_path, capsys):
        from vidstyle.lab.distill.__main__ import main

        (tmp_path / "vgg.safetensors").write_text("precious")
        (tmp_path / "pictures").mkdir()
        for out, more in (("vgg.safetensors", []), ("new.st", ["--checkpoint", str(tmp_path / "vgg.safetensors")])):
            files = ["--teacher", str(tmp_path / "vgg.safetensors"), "--images", str(tmp_path / "pictures")]
            with pytest.raises(SystemExit) as end:
                main([*files, "--out", str(tmp_path / out), *more])
            assert end.value.code == 2 and "input" in capsys.readouterr().err
        assert (tmp_path / "vgg.safetensors").read_text() == "precious"


class TestEncode:
    @pytest.fixture
    def job(self, tmp_path, style, settings):
        clip = make_clip(tmp_path / "clip.mp4", pan(4, 64, 48), rate=24)
        stylize_video(clip, [style], tmp_path / "out.mp4", settings, run=RunOptions(keep_job=True))
        return tmp_path / "out.mp4.job"

    def test_inputs_that_are_gone_or_changed(self, vidstyle, tmp_path, job, style, settings):
        for name in ("clip.mp4", "style.png", "hard.mp4"):
            if name == "hard.mp4":
                os.link(tmp_path / "clip.mp4", tmp_path / name)
            done = vidstyle("encode", job, "-o", tmp_path / name.replace("style.png", "clip.mp4"), "-y")
            assert (done.exit_code, "input" in done.output) == (2, True)
        with pytest.raises(UsageError, match="input"):
            encode_job(job, tmp_path / "a.gif", EncodeSettings(poster=str(style)), overwrite=True)
        (tmp_path / "clip.mp4").rename(tmp_path / "moved.mp4")
        Image.fromarray(pixels(noise(48, 48, seed=7))).save(style)
        assert vidstyle("encode", job, "-o", tmp_path / "plain.gif").exit_code == 0
        for layout, code, words in (("pair", 3, "clip.mp4"), ("triptych", 3, "clip.mp4")):
            done = vidstyle("encode", job, "-o", tmp_path / "pair.gif", "--layout", layout)
            assert (done.exit_code, words in done.output) == (code, True), done.output
        (tmp_path / "moved.mp4").rename(tmp_path / "clip.mp4")
        with pytest.raises(MediaError, match="not the style"):
            encode_job(job, tmp_path / "t.gif", EncodeSettings(layout="triptych"))
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]

    def test_one_of_several_fails(self, tmp_path, job, monkeypatch):
        from vidstyle.media.writers import sinks

        def late(path, *arguments, **options):
            if Path(path).name == "b.webp":
                Path(path).write_text("precious")
            return open_sink(path, *arguments, **options)

        open_sink = sinks.open_sink
        monkeypatch.setattr("vidstyle.jobs.output.export.open_sink", late)
        outputs = [tmp_path / name for name in ("a.gif", "b.webp", "c.png")]
        with pytest.raises(OutputExistsError, match=r"b\.webp has appeared.*2 of 3 outputs are made.*with -y"):
            encode_job(job, outputs)
        assert [path.exists() for path in outputs] == [True, True, True]
        assert outputs[1].read_text() == "precious"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes no such names")
def test_names_that_are_no_utf8(vidstyle, tmp_path, style, network):
    odd = os.fsdecode(b"a\xff #1%.gif")
    shutil.copy(style, tmp_path / os.fsdecode(b"s\xfe.png"))
    done = vidstyle(
        "balance", style, tmp_path / os.fsdecode(b"s\xfe.png"), "-o", tmp_path / odd, "--network", network, *FAST,
        "--seconds", 1, "--fps", 6, "--space", "linear",
        "--figure", tmp_path / os.fsdecode(b"f\xfd.json"), "--poster", tmp_path / os.fsdecode(b"p\xfc.png"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    text = (tmp_path / os.fsdecode(b"f\xfd.json")).read_bytes().decode()  # it is UTF-8
    found = json.loads(text)
    assert found["outputs"][0]["file"] == odd
    assert 'src="a%FF%20%231%25.gif"' in found["html"] and 'srcset="p%FC.png"' in found["html"]
    assert "�" in found["alt"]

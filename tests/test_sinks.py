import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
from clips import clicks, heard_clicks, make_clip, number_of, numbered, pan, patch_error, patches, probe
from PIL import Image

from vidstyle.errors import DiskError, OutputExistsError, UsageError, VidstyleError
from vidstyle.media.writers import sinks
from vidstyle.media.writers.base import Encoding
from vidstyle.types import ClipInfo

av, ffmpeg, media = map(pytest.importorskip, ("av", "vidstyle.system.ffmpeg", "vidstyle.media.video"))
readback = pytest.importorskip("vidstyle.media.writers.readback")
TIMES = tuple(Fraction(sum([40, 40, 120, 33, 20, 200][n % 6] for n in range(number)), 1000) for number in range(30))


def feed(sink, frames):
    with sink:
        for frame in frames:
            sink.write(frame)


def write(path, frames, fps=25, times=None, **options):
    frames = list(frames)
    fps = Fraction(fps) if times is None else (len(times) - 1) / times[-1]
    info = ClipInfo(frames[0].shape[1], frames[0].shape[0], fps, len(frames), times)
    feed(sinks.open_sink(path, info, Encoding(**options)), frames)
    return info


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


class TestMp4:
    @pytest.mark.parametrize("fps", [24, 25, 15, 60, Fraction(30000, 1001), Fraction(12)])
    def test_frames_and_duration_are_exact(self, tmp_path, fps):
        info = write(tmp_path / "a.mp4", numbered(37), fps)
        seen = probe(tmp_path / "a.mp4")
        assert (seen["frames"], seen["seconds"]) == (37, info.seconds)
        clip = media.survey(tmp_path / "a.mp4")
        assert clip.info == info
        assert [number_of(frame) for frame in clip.decode()] == list(range(37))
        assert hidden(tmp_path) == []

    def test_colors(self, tmp_path):
        write(tmp_path / "a.mp4", [patches()] * 3)
        assert patch_error(next(media.survey(tmp_path / "a.mp4").decode())) <= 2
        with av.open(str(tmp_path / "a.mp4")) as container:
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
            assert frame.format.name == "yuv420p"
            assert patch_error(frame.to_ndarray(format="rgb24", src_colorspace="ITU709")) <= 2

    def test_index_comes_first(self, tmp_path):
        for sound in (None, media.survey(make_clip(tmp_path / "in.mp4", numbered(10), sound=clicks(0.4)))):
            write(tmp_path / "a.mp4", numbered(10), sound=sound)
            content = (tmp_path / "a.mp4").read_bytes()
            assert content.index(b"moov") < content.index(b"mdat")

    def test_odd_sides_grow_by_a_repeated_line(self, tmp_path):
        frames = list(pan(3, 97, 63))
        write(tmp_path / "a.mp4", frames, crf=1)
        clip = media.survey(tmp_path / "a.mp4")
        assert (clip.info.width, clip.info.height) == (98, 64)
        frame = next(clip.decode()).astype(int)
        assert np.abs(frame[:63, :97] - frames[0]).mean() < 3
        assert np.abs(frame[63, :97] - frames[0][62]).mean() < 5
        assert np.abs(frame[:63, 97] - frames[0][:, 96]).mean() < 5

    @pytest.mark.parametrize("with_sound", [False, True])
    def test_varying_rate_keeps_every_time(self, tmp_path, with_sound):
        source = make_clip(tmp_path / "in.mkv", numbered(30), times=TIMES, sound=clicks(2.0) if with_sound else None)
        clip = media.survey(source)
        info = write(tmp_path / "a.mp4", clip.decode(), times=clip.info.timestamps, sound=clip)
        again = media.survey(tmp_path / "a.mp4")
        assert again.info == info == dataclasses.replace(clip.info, end=None)  # which was not written
        assert again.info.timestamps == TIMES == tuple(probe(tmp_path / "a.mp4")["times"])
        assert [number_of(frame) for frame in again.decode()] == list(range(30))

    def test_same_frames_same_bytes(self, tmp_path):
        sound = media.survey(make_clip(tmp_path / "in.mp4", numbered(30), sound=clicks(1.2)), end=0.8)
        for options in ({}, {"sound": sound}):
            digests = set()
            for _ in range(2):
                write(tmp_path / "a.mp4", pan(20), **options)
                digests.add(hashlib.sha256((tmp_path / "a.mp4").read_bytes()).digest())
            assert len(digests) == 1


class TestSound:
    @pytest.mark.parametrize(
        ("suffix", "codec", "kept"),
        [
            (".mp4", "aac", "aac"),
            (".mkv", "libopus", "opus"),
            (".mkv", "ac3", "ac3"),
            (".mp4", "libmp3lame", "mp3float"),
            (".mov", "pcm_s16le", "aac"),
            (".mkv", "flac", "aac"),
            (".ts", "aac", "aac"),
        ],
    )
    def test_whole_clip(self, tmp_path, suffix, codec, kept):
        source = make_clip(tmp_path / f"in{suffix}", numbered(50), sound=clicks(2.3), sound_codec=codec)
        clip = media.survey(source)
        write(tmp_path / "a.mp4", clip.decode(), sound=clip)
        seen = probe(tmp_path / "a.mp4")
        assert (seen["audio"], seen["seconds"], seen["times"][0]) == ([kept], 2, 0)
        before, length_before = heard_clicks(source)
        after, length_after = heard_clicks(tmp_path / "a.mp4")
        assert length_after == pytest.approx(length_before, abs=0.03)  # longer than the pictures, as it was
        for click in [click - float(clip.origin) for click in before][2:]:
            assert min(abs(click - other) for other in after) < 0.001

    def test_copied_packets_are_the_same_bytes(self, tmp_path):
        source = make_clip(tmp_path / "in.mp4", numbered(50), sound=clicks(2.0))
        write(tmp_path / "a.mp4", numbered(50), sound=media.survey(source))
        packets = []
        for path in (source, tmp_path / "a.mp4"):
            with av.open(str(path)) as container:
                packets.append([(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size])
        assert packets[0] == packets[1]

    def test_selection_is_cut_to_the_sample(self, tmp_path):
        source = make_clip(tmp_path / "in.mp4", numbered(100), sound=clicks(4.0))
        clip = media.survey(source, start=0.52, end=1.32)
        write(tmp_path / "a.mp4", clip.decode(), sound=clip)
        after, _ = heard_clicks(tmp_path / "a.mp4")
        np.testing.assert_allclose(after, [0.08 + 0.1 * n for n in range(8)], atol=0.001)
        with av.open(str(tmp_path / "a.mp4")) as container:
            track = container.streams.audio[0]
            assert float(track.duration * track.time_base) == pytest.approx(0.8, abs=0.001)
            assert container.duration == 800_000

    def test_selection_behind_the_end_of_the_sound(self, tmp_path):
        clip = media.survey(make_clip(tmp_path / "in.mp4", numbered(50), sound=clicks(0.5)), start=1.0)
        write(tmp_path / "a.mp4", clip.decode(), sound=clip)
        assert probe(tmp_path / "a.mp4")["frames"] == 25

    def test_clip_without_sound(self, tmp_path):
        clip = media.survey(make_clip(tmp_path / "in.mp4", numbered(10)))
        write(tmp_path / "a.mp4", clip.decode(), sound=clip)
        assert probe(tmp_path / "a.mp4")["audio"] == []


class TestGif:
    @pytest.mark.parametrize("fps", [10, 12, 15, 24, 25, Fraction(30000, 1001), 50])
    def test_timing_is_exact(self, tmp_path, fps):
        info = write(tmp_path / "a.gif", numbered(37), fps)
        with Image.open(tmp_path / "a.gif") as image:
            assert image.n_frames == 37
            assert image.info["loop"] == 0
            delays = []
            for number in range(37):
                image.seek(number)
                delays.append(image.info["duration"])
        assert sum(delays) == 10 * round(info.seconds * 100)
        starts = np.cumsum([0, *delays[:-1]])
        assert max(abs(start - 1000 * n / float(fps)) for n, start in enumerate(starts)) <= 5

    def test_varying_rate(self, tmp_path):
        write(tmp_path / "a.gif", numbered(30), times=TIMES)
        times = media.survey(tmp_path / "a.gif").info.timestamps
        assert times == tuple(Fraction(round(time * 100), 100) for time in TIMES)

    def test_more_than_fifty_a_second_leaves_frames_out(self, tmp_path):
        write(tmp_path / "a.gif", numbered(60), 60)
        seen = probe(tmp_path / "a.gif")
        assert seen["seconds"] == 1
        assert min(b - a for a, b in zip(seen["times"], seen["times"][1:], strict=False)) == Fraction(2, 100)

    def test_frames_that_stay_the_same_are_kept(self, tmp_path):
        write(tmp_path / "a.gif", [patches()] * 10, 10)
        assert probe(tmp_path / "a.gif")["frames"] == 10

    def test_few_colors_are_exact_and_odd_sizes_stay(self, tmp_path):
        picture = patches()[:31, :255]
        write(tmp_path / "a.gif", [picture, picture], 10)
        frame = next(media.survey(tmp_path / "a.gif").decode())
        assert frame.shape == (31, 255, 3)
        assert np.abs(frame.astype(int) - picture).max() <= 1

    def test_many_colors_stay_near(self, tmp_path):
        frames = list(pan(12, 160, 120))
        write(tmp_path / "a.gif", frames, 12)
        again = list(media.survey(tmp_path / "a.gif").decode())
        assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(frames, again, strict=True)) < 8


class TestStill:
    def test_png_is_lossless(self, tmp_path):
        picture = next(pan(1, 97, 63))
        write(tmp_path / "a.png", [picture])
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)

    @pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
    def test_jpeg_keeps_colors_at_full_resolution(self, tmp_path, suffix):
        picture = next(pan(1, 97, 63))
        write(tmp_path / f"a{suffix}", [picture])
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert image.format == "JPEG"
            assert all(sampling == image.layer[0][1:3] for sampling in (layer[1:3] for layer in image.layer))
            assert np.abs(np.asarray(image).astype(int) - picture).mean() < 2

    def test_exactly_one_frame(self, tmp_path):
        with (
            pytest.raises(VidstyleError, match="0 frames"),
            sinks.open_sink(tmp_path / "a.png", ClipInfo(9, 9, Fraction(1), 1)),
        ):
            pass


class TestCheckOutput:
    def test_suffixes(self, tmp_path):
        for name, moving, known in (
            ("a.wmv", True, r"\.mp4, \.mov, \.mkv, \.webm, \.gif, \.webp, \.avif, \.png, or .* folder a/"),
            ("a", True, "no suffix"),
            ("a", False, ".png"),
            ("a/", False, ".png"),
            ("a.jpg", True, ".mp4"),
            ("a.gif", False, ".png"),
        ):
            with pytest.raises(UsageError, match=known):
                sinks.check_output(f"{tmp_path}/{name}", moving=moving, overwrite=True)
        sinks.check_output(tmp_path / "a.MP4", moving=True, overwrite=False)
        assert list(tmp_path.iterdir()) == []

    def test_existing(self, tmp_path):
        (tmp_path / "a.mp4").write_text("old")
        with pytest.raises(OutputExistsError, match="-y"):
            sinks.check_output(tmp_path / "a.mp4", moving=True, overwrite=False)
        sinks.check_output(tmp_path / "a.mp4", moving=True, overwrite=True)
        assert (tmp_path / "a.mp4").read_text() == "old"

    def test_places_that_cannot_be_written(self, tmp_path):
        (tmp_path / "folder.mp4").mkdir()
        places = [tmp_path / "none" / "a.mp4", tmp_path / "folder.mp4", tmp_path / ("x" * 300 + ".mp4")]
        if Path("/proc").is_dir():
            places.append(Path("/proc/a.mp4"))  # not even root can write there
        for path in places:
            with pytest.raises(DiskError):
                sinks.check_output(path, moving=True, overwrite=True)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
    def test_read_only_folder(self, tmp_path):
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(DiskError, match="Permission denied"):
                sinks.check_output(tmp_path / "a.mp4", moving=True, overwrite=False)
        finally:
            tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.webp", "a.avif", "b.png", "a.png", "a.jpg"])
class TestFailure:
    """Whatever goes wrong, an old output stays as it is and no part file is left."""

    @pytest.fixture
    def output(self, tmp_path, name):
        (tmp_path / name).write_text("old")
        yield tmp_path / name
        assert (tmp_path / name).read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def info(self, name):
        return ClipInfo(96, 64, Fraction(25), 1 if name in ("a.png", "a.jpg") else 20)

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_error_between_frames(self, output, name, error):
        def frames():
            yield next(pan(1))
            raise error

        with pytest.raises(error):
            feed(sinks.open_sink(output, self.info(name)), frames())

    def test_too_few_frames(self, output, name):
        with pytest.raises(VidstyleError, match="frames were written"), sinks.open_sink(output, self.info(name)):
            pass

    def test_encoder_is_killed(self, output, name):
        if output.suffix in (*sinks.STILLS, ".webp"):
            pytest.skip("no process is involved")
        sink = sinks.open_sink(output, self.info(name))

        def frames():
            for number, frame in enumerate(pan(20)):
                if number == 5:
                    os.kill(sink._process._process.pid, signal.SIGKILL)
                yield frame

        with pytest.raises(VidstyleError, match="signal 9"):
            feed(sink, frames())

    def test_file_reads_back_wrong(self, output, name, monkeypatch):
        if output.suffix in (*sinks.STILLS, ".webp"):
            pytest.skip("no process is involved")
        write = ffmpeg.Process.write
        count = iter(range(99))
        monkeypatch.setattr(ffmpeg.Process, "write", lambda self, data: next(count) == 7 or write(self, data))
        with pytest.raises(VidstyleError, match="reads back as 19 frames"):
            feed(sinks.open_sink(output, self.info(name)), pan(20))

    @pytest.mark.parametrize("wrong", ["one frame less", "longer", "another size", "one time off"])
    def test_another_reader_finds_something_else(self, output, name, wrong, monkeypatch):
        if self.info(name).frames == 1:
            pytest.skip("stills are compared by pixel")
        compare = readback.compare

        def changed(found, *rest):
            size, times = found
            if wrong == "another size":
                return compare(((96, 63), times), *rest)
            number = {"one frame less": slice(1, 2), "longer": slice(-1, None), "one time off": slice(1, 2)}[wrong]
            new = [] if wrong == "one frame less" else [times[number][0] + Fraction(3, 200)]
            return compare((size, [*times[: number.start], *new, *times[number.stop or len(times) :]]), *rest)

        monkeypatch.setattr(readback, "compare", changed)
        with pytest.raises(VidstyleError, match="reads back"):
            feed(sinks.open_sink(output, self.info(name)), pan(20))

    def test_wrong_frame(self, output, name):
        for frame in (np.zeros((64, 97, 3), np.uint8), np.zeros((64, 96, 3), np.float32)):
            with pytest.raises(ValueError, match="wanted"), sinks.open_sink(output, self.info(name)) as sink:
                sink.write(frame)

    def test_disk_is_full(self, output, name):
        """The stand-in for a full disk: in a process of its own, no file may grow beyond 2 kB."""
        program = f"""
            import resource, numpy as np
            from fractions import Fraction
            from vidstyle.media.writers import sinks
            from vidstyle.errors import DiskError
            from vidstyle.types import ClipInfo
            noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
            try:
                with sinks.open_sink({str(output)!r}, ClipInfo(96, 64, Fraction(25), {self.info(name).frames})) as sink:
                    for _ in range({self.info(name).frames}):
                        sink.write(noise)
            except DiskError as error:
                assert "the disk is full" in str(error), error
                print("refused")
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(sinks.__file__).parents[3])
        assert done.stdout == "refused\n", done.stderr


class TestFfmpeg:
    def test_version(self):
        assert ffmpeg.version().startswith("ffmpeg version")

    def test_the_last_line_is_told(self, tmp_path):
        with pytest.raises(VidstyleError, match=r"ffmpeg failed: .*No such file"):
            ffmpeg.run([*ffmpeg.file_input(tmp_path / "none.mp4", formats="mov"), ffmpeg.file_url(tmp_path / "a.mp4")])

    def test_a_full_disk_is_told(self):
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full")
        source = ffmpeg.frames_input(16, 16, Fraction(25))
        with pytest.raises(DiskError, match="disk is full"):
            ffmpeg.run([*source, "-f", "nut", "-c", "rawvideo", "file:/dev/full"], [bytes(768)] * 2000)

    def test_many_messages_do_not_block(self, tmp_path):
        """Half a megabyte on stderr, more than a pipe holds."""
        source = ["-loglevel", "trace", *ffmpeg.frames_input(16, 16, Fraction(25))]
        ffmpeg.run([*source, "-f", "nut", ffmpeg.file_url(tmp_path / "a.nut")], [bytes(768)] * 1000)
        assert (tmp_path / "a.nut").stat().st_size > 0

    def test_nothing_is_left_running_after_an_error(self, tmp_path):
        def frames():
            yield bytes(768)
            raise KeyboardInterrupt

        source = ffmpeg.frames_input(16, 16, Fraction(25))
        before = set(psutil.Process().children())  # of other tests
        with pytest.raises(KeyboardInterrupt):
            ffmpeg.run([*source, "-f", "nut", ffmpeg.file_url(tmp_path / "a.nut")], frames())
        assert set(psutil.Process().children()) <= before

    def test_an_input_opens_nothing_else(self, tmp_path):
        make_clip(tmp_path / "secret.mp4", numbered(5))
        (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n")
        source = ffmpeg.file_input(tmp_path / "a.mp4", formats=",".join(media.CLIP_FORMATS))
        with pytest.raises(VidstyleError):
            ffmpeg.run([*source, ffmpeg.file_url(tmp_path / "b.mp4")])


def test_names_that_look_like_something_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-y.mp4", "http:b.mp4", "c %03d ü.mp4", "d %03d.gif", "-e:f.gif", "g %03d.png"):
        write(name, [patches()] if name.endswith("png") else [patches()] * 3)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()


def test_unknown_suffix(tmp_path):
    with pytest.raises(UsageError, match=r"known: \.mp4"):
        sinks.open_sink(tmp_path / "a.xyz", ClipInfo(9, 9, Fraction(1), 1))

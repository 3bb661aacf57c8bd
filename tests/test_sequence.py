import json
from fractions import Fraction

import numpy as np
import pytest
from clips import make_clip, number_of, numbered, pan, probe
from PIL import Image

from vidstyle.errors import MediaError, UsageError
from vidstyle.media.stills.pictures import load_picture
from vidstyle.media.stills.sequence import input_files, is_sequence, survey_sequence

WAITS = (40, 40, 120, 33, 200, 2000)  # milliseconds of the frames of a clip


def folder(path, count=12, name="{}.png"):
    path.mkdir(exist_ok=True)
    for number, frame in enumerate(numbered(count, 64, 48)):
        Image.fromarray(frame).save(path / name.format(number))
    return path


def webp(path, waits=WAITS):
    first, *rest = map(Image.fromarray, numbered(len(waits), 64, 48))
    first.save(path, save_all=True, append_images=rest, duration=list(waits), lossless=True)
    return path


def numbers(clip, start=0):
    return [number_of(frame) for frame in clip.decode(start)]


class TestPictures:
    def test_a_folder_in_the_order_of_its_numbers(self, tmp_path):
        clip = survey_sequence(folder(tmp_path / "frames"))
        assert numbers(clip) == list(range(12))
        assert (clip.info.fps, clip.info.frames, clip.info.seconds) == (25, 12, Fraction(12, 25))
        assert clip.whole
        assert not clip.has_audio

    @pytest.mark.parametrize("pattern", ["%04d.png", "%d.png", "00*.png", "000[0-9].png"])
    def test_patterns(self, tmp_path, pattern):
        folder(tmp_path / "frames", 9, "{:04d}.png")
        folder(tmp_path / "frames", 3, "other{}.png")
        assert numbers(survey_sequence(tmp_path / "frames" / pattern)) == list(range(9))

    def test_more_digits_than_the_pattern_pads_to(self, tmp_path):
        folder(tmp_path / "frames", 12, "a{:01d}.png")
        assert numbers(survey_sequence(tmp_path / "frames" / "a%01d.png")) == list(range(12))

    def test_a_name_of_a_file_is_no_pattern(self, tmp_path):
        folder(tmp_path, 1, "a[{}]%d.png")
        assert not is_sequence(tmp_path / "a[0]%d.png")

    def test_a_part_at_a_rate(self, tmp_path):
        clip = survey_sequence(folder(tmp_path / "frames"), start=0.2, end=0.5, rate=10)
        assert numbers(clip) == [2, 3, 4]
        assert numbers(clip, 1) == [3, 4]
        assert (clip.first, clip.start_seconds, clip.end_seconds) == (2, Fraction(1, 5), Fraction(1, 2))
        assert not clip.whole

    def test_what_cannot_be_is_refused(self, tmp_path):
        frames = folder(tmp_path / "frames")
        with pytest.raises(UsageError, match="no frame from 9 s"):
            survey_sequence(frames, start=9)
        for path in (tmp_path / "none*.png", tmp_path / "no" / "%d.png"):
            with pytest.raises(MediaError, match="no file is named like"):
                survey_sequence(path)
        (tmp_path / "empty").mkdir()
        with pytest.raises(MediaError, match="holds no picture"):
            survey_sequence(tmp_path / "empty")
        Image.new("RGB", (64, 50)).save(frames / "7.png")
        with pytest.raises(MediaError, match=r"7\.png has 64x50 pixels, and 0\.png 64x48"):
            survey_sequence(frames)
        (frames / "7.png").write_bytes((frames / "6.png").read_bytes()[:90])
        with pytest.raises(MediaError, match=r"7\.png is damaged"):
            survey_sequence(frames)

    def test_damage_behind_the_end_does_not_matter(self, tmp_path):
        frames = folder(tmp_path / "frames")
        (frames / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        assert numbers(survey_sequence(frames, end=0.36)) == list(range(9))

    def test_it_is_made_of_every_file(self, tmp_path):
        frames = folder(tmp_path / "frames")
        every = [frames / f"{number}.png" for number in range(12)]
        assert input_files(frames) == input_files(frames / "*.png") == every
        (frames / "timing.json").write_text("{}")
        assert input_files(frames) == [*every, frames / "timing.json"]
        assert input_files(every[3]) == [every[3]]


class TestAnimatedWebp:
    def test_frames_and_times_are_exact(self, tmp_path):
        clip = survey_sequence(webp(tmp_path / "a.webp"))
        assert numbers(clip) == list(range(6))
        assert numbers(clip, 4) == [4, 5]
        assert clip.info.timestamps == tuple(Fraction(sum(WAITS[:number]), 1000) for number in range(6))
        assert clip.info.seconds == Fraction(sum(WAITS), 1000)

    def test_a_rate_that_milliseconds_round(self, tmp_path):
        clip = survey_sequence(webp(tmp_path / "a.webp", [42, 41, 42, 42, 41, 42]))
        assert clip.info.timestamps is None
        assert clip.info.fps == 24

    def test_a_part(self, tmp_path):
        clip = survey_sequence(webp(tmp_path / "a.webp"), start=0.08, end=0.3)
        assert (numbers(clip), clip.first, clip.times[0]) == ([2, 3, 4], 2, Fraction(80, 1000))

    def test_transparency_is_over_white(self, tmp_path):
        clear, red = Image.new("RGBA", (64, 48), (255, 0, 0, 0)), Image.new("RGBA", (64, 48), (255, 0, 0, 51))
        clear.save(tmp_path / "a.webp", save_all=True, append_images=[red], duration=100, lossless=True)
        first, second = survey_sequence(tmp_path / "a.webp").decode()
        assert first.min() == 255
        assert np.abs(second[0, 0].astype(int) - (255, 204, 204)).max() <= 1

    def test_a_frame_of_more_than_25_megapixels_is_refused(self, tmp_path):
        """Damage to six bytes of a small file would take gigabytes."""
        large = bytearray(webp(tmp_path / "a.webp").read_bytes())
        large[24:30] = (5200 - 1).to_bytes(3, "little") * 2  # width and height of its canvas
        (tmp_path / "a.webp").write_bytes(large)
        with pytest.raises(MediaError, match="5200x5200 pixels; at most 25 megapixels"):
            survey_sequence(tmp_path / "a.webp")
        with pytest.raises(MediaError, match="5200x5200 pixels; at most 25 megapixels"):
            load_picture(tmp_path / "a.webp")

    def test_stills_are_none_and_damage_is_said(self, tmp_path):
        Image.new("RGB", (64, 48)).save(tmp_path / "still.webp")
        assert not is_sequence(tmp_path / "still.webp")
        whole = webp(tmp_path / "a.webp").read_bytes()
        (tmp_path / "a.webp").write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(MediaError, match=r"damaged|cut short"):
            survey_sequence(tmp_path / "a.webp")
        whole = bytearray(whole)
        whole[24:30] = b"\xff" * 6  # the size of its canvas
        (tmp_path / "a.webp").write_bytes(whole)
        assert not is_sequence(tmp_path / "a.webp")


@pytest.mark.clips
class TestPainted:
    @pytest.fixture
    def paint(self, vidstyle, network):
        def run(job, *arguments):
            few = ("--iterations", "1") if job == "video" else ()
            done = vidstyle(job, *arguments, "--network", network, "--size", "64", "--first-iterations", "1", *few)
            assert done.exit_code == 0, done.output

        return run

    @pytest.fixture
    def style(self, tmp_path):
        Image.fromarray(next(pan(1, 64, 64, seed=3))).save(tmp_path / "style.png")
        return tmp_path / "style.png"

    def test_our_own_folder_reads_back_as_it_was_written(self, paint, tmp_path, style):
        times = [Fraction(sum(WAITS[:number]), 1000) for number in range(6)]
        make_clip(tmp_path / "in.mkv", numbered(6, 64, 48), times=times)
        paint("video", tmp_path / "in.mkv", style, "-o", f"{tmp_path / 'frames'}/", "--alpha", "1")
        written = json.loads((tmp_path / "frames" / "timing.json").read_text())
        clip = survey_sequence(tmp_path / "frames")
        assert [float(time) for time in clip.info.times] == written["seconds"] == [float(time) for time in times]
        assert float(clip.info.seconds) == written["end"]
        for number, frame in enumerate(clip.decode()):
            assert np.array_equal(frame, np.asarray(Image.open(tmp_path / "frames" / f"{number:06d}.png")))

    def test_a_folder_and_a_webp_become_a_clip(self, paint, tmp_path, style):
        folder(tmp_path / "frames", 5)
        webp(tmp_path / "a.webp", [100, 100, 100, 100, 100])
        for given in ("frames", "frames/%d.png", "frames/*.png"):
            paint("video", tmp_path / given, style, "-o", tmp_path / "a.mp4", "--input-fps", "10", "-y")
            found = probe(tmp_path / "a.mp4")
            assert (found["frames"], found["seconds"], found["size"]) == (5, Fraction(1, 2), (64, 48))
        paint("video", tmp_path / "a.webp", style, "-o", tmp_path / "b.mp4")
        assert probe(tmp_path / "b.mp4")["times"] == probe(tmp_path / "a.mp4")["times"]

    @pytest.mark.slow
    def test_on_a_sheet_and_measured(self, paint, vidstyle, network, tmp_path, style):
        (tmp_path / "frames").mkdir()
        for number, frame in enumerate(pan(5, 64, 48)):
            Image.fromarray(frame).save(tmp_path / "frames" / f"{number}.png")
        paint("sheet", tmp_path / "frames", style, "-o", tmp_path / "sheet.png")
        paint("video", tmp_path / "frames", style, "-o", f"{tmp_path / 'painted'}/", "-o", tmp_path / "painted.webp")
        for painted in ("painted", "painted.webp"):
            options = ("--network", network, "--size", "64", "--pairs", "1", "-q", "-o", tmp_path / "found.json", "-y")
            done = vidstyle("measure", tmp_path / "frames", tmp_path / painted, "--style", style, *options)
            assert done.exit_code == 0, done.output
            assert (tmp_path / "found.json").stat().st_size > 100

    def test_another_picture_in_the_folder_is_another_job(self, vidstyle, paint, network, tmp_path, style):
        folder(tmp_path / "frames", 3)
        paint("video", tmp_path / "frames", style, "-o", tmp_path / "a.gif", "--keep-job")
        Image.new("RGB", (64, 48)).save(tmp_path / "frames" / "2.png")
        again = ("video", tmp_path / "frames", style, "-o", tmp_path / "a.gif", "-y", "--network", network)
        done = vidstyle(*again, "--size", "64", "--first-iterations", "1", "--iterations", "1")
        assert (done.exit_code, "inputs.content was" in done.output) == (9, True)

    def test_a_rate_is_not_for_what_has_its_times(self, vidstyle, tmp_path, style):
        make_clip(tmp_path / "in.mp4", numbered(3))
        webp(tmp_path / "a.webp")
        for name in ("in.mp4", "a.webp"):
            done = vidstyle("video", tmp_path / name, style, "-o", tmp_path / "a.gif", "--input-fps", "10")
            assert (done.exit_code, "has its own" in done.output) == (2, True)

"""Key frames: frames that somebody has painted, to which a clip is led along its motion, and whose style it takes."""

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from clips import make_clip, pan, texture
from conftest import texture as noise
from maskfiles import FAST, paintings, saved, settings_for
from PIL import Image

from vidstyle import RunOptions, VideoSettings, stylize_frames, stylize_video
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import JobError, UsageError
from vidstyle.jobs.arrays import ArraySequence
from vidstyle.jobs.output.origin import origin_of
from vidstyle.jobs.sources.carried import backwards
from vidstyle.jobs.sources.clips import SequenceSource
from vidstyle.jobs.sources.keys import KeyFrames, array_keys
from vidstyle.lab.synthetic import synthetic_clip
from vidstyle.motion.flow import estimator, no_motion
from vidstyle.motion.tracks import Track
from vidstyle.settings import KeyFile
from vidstyle.types import ClipInfo, Frame, KeyLead

FRAMES = 6


@pytest.fixture
def files(tmp_path, network):
    """A folder of frames, a style, and three paintings of frames, one of them twice as large."""
    (tmp_path / "clip").mkdir()
    for number, frame in enumerate(pan(FRAMES, 96, 64)):
        saved(tmp_path / "clip" / f"{number}.png", frame)
    saved(tmp_path / "style.png", texture(48, 48, 2))
    for number, frame in enumerate(pan(FRAMES, 96, 64)):
        saved(tmp_path / f"red{number}.png", frame // 2 + np.array([120, 0, 0], np.uint8))
        saved(tmp_path / f"blue{number}.png", frame // 2 + np.array([0, 0, 120], np.uint8))
    saved(tmp_path / "large.png", texture(192, 128, 7))
    saved(tmp_path / "square.png", texture(64, 64, 7))
    return tmp_path


class TestText:
    @pytest.mark.parametrize(
        ("read", "write", "texts"),
        [
            ("of_first", "as_first", {"a.png": ("a.png", None), "a@2x.png": ("a@2x.png", None), "a.b@48": ("a.b", 48)}),
            ("of_key", "as_key", {"120=a.png": ("a.png", 120), "0=a=b.png": ("a=b.png", 0)}),
            ("of_mask", "as_mask", {"key:a@b.png@7": ("a@b.png", 7)}),
        ],
    )
    def test_it_is_read_and_written(self, read, write, texts):
        for text, (file, frame) in texts.items():
            key = getattr(KeyFile, read)(text)
            assert (key.file, key.frame, getattr(key, write)()) == (file, frame, text)

    @pytest.mark.parametrize(
        ("option", "text", "form"),
        [
            *(("first", text, "FILE@FRAME") for text in ("", "a.png@", "a.png@x", "a.png@-1")),
            *(("key", text, "FRAME=FILE") for text in ("", "a.png", "x=a.png", "12=", "-1=a.png", "1.5=a.png")),
        ],
    )
    def test_another_form_is_refused_with_the_form(self, option, text, form):
        with pytest.raises(UsageError, match=form):
            VideoSettings(**{option: [text]})

    def test_a_mask_of_one_frame_has_its_form_too(self):
        assert KeyFile.of_mask("mask.png") is None
        with pytest.raises(UsageError, match="key:FILE@FRAME"):
            KeyFile.of_mask("key:mask.png")


class TestMix:
    keys = KeyFrames({2: np.zeros((4, 4, 3)), 6: np.zeros((4, 4, 3)), 12: np.zeros((4, 4, 3))}, 1.0)

    def test_two_key_frames_share_by_distance(self):
        mixes = [self.keys.mix(index, [0, 10], (1.0,)) for index in range(14)]
        assert mixes[0] == mixes[2] == (0, 1, 0, 0)  # before the first one
        assert mixes[4] == (0, 0.5, 0.5, 0)
        assert mixes[3] == pytest.approx((0, 0.84375, 0.15625, 0))  # 1 - 3 t^2 + 2 t^3 at a quarter
        assert mixes[6] == mixes[9] == (0, 0, 1, 0)  # after the last one of the shot
        assert mixes[10] == mixes[13] == (0, 0, 0, 1)  # another shot

    def test_the_styles_have_the_rest(self):
        keys = dataclasses.replace(self.keys, weight=0.25)
        assert keys.mix(4, [0, 10], (0.4, 0.6)) == pytest.approx((0.3, 0.45, 0.125, 0.125, 0))
        assert keys.mix(4, [0, 4, 5], (0.4, 0.6)) == (0.4, 0.6, 0, 0, 0)  # a shot without one


class TestTrack:
    @pytest.mark.parametrize("name", ["pan", "zoom", "rotation"])
    def test_positions_are_those_of_the_true_motion(self, name):
        """Fifteen motions, composed, stay within a pixel of the truth on the mean; 95 % of it is seen."""
        clip = synthetic_clip(name, texture(320, 200, 5).astype(np.float32) / 255, 128, 16)
        track = Track(estimator("dis"), clip.frame(15))
        for number in range(14, -1, -1):
            motion = track.add(clip.frame(number))
        true = clip.motion(15, 0)
        there = (true.visible[0] > 0) & (motion.visible[0] > 0.5)
        error = (motion.flow - true.flow).square().sum(0).sqrt()[there]
        assert float(error.mean()) < 1
        assert float(there.sum() / true.visible.sum()) > 0.95

    def test_what_one_frame_hides_is_found_again(self):
        """A square covers a corner in one frame only: there nothing is seen, and after it everything."""
        still = texture(96, 64, 1)
        hidden = still.copy()
        hidden[8:40, 8:48] = 255 - texture(40, 32, 9)
        track = Track(estimator("dis"), still)
        covered, again = (track.add(picture).visible[0, 12:36, 12:44] for picture in (hidden, still))
        assert float(again.mean()) > 0.95 > 0.5 > float(covered.mean())

    @pytest.mark.parametrize(("first", "end"), [(0, 40), (5, 37), (39, 40)])
    def test_a_clip_is_read_backwards_in_blocks(self, first, end):
        held = []

        def decode(start):
            held.append(start)
            yield from (np.full(1, number) for number in range(start, 40))

        found = list(backwards(decode, first, end))
        assert [int(picture[0]) for picture in found] == list(range(end - 1, first - 1, -1))
        assert len(held) == -(-(end - first) // 16)


class TestFrames:
    @pytest.fixture
    def led(self, files):
        """The frames of a still clip between a red and a blue key frame, the last of them followed by one more."""
        keys = {
            0: np.full((64, 96, 3), (0.8, 0.2, 0.2), np.float32),
            4: np.full((64, 96, 3), (0.2, 0.2, 0.8), np.float32),
        }
        settings = settings_for(files, recolor=0.0)
        sequence = ArraySequence([texture(96, 64, 1)] * FRAMES, ClipInfo(96, 64, Fraction(25), FRAMES))
        given = array_keys(keys, settings, (96, 64), (96, 64), FRAMES)
        return SequenceSource(sequence, settings, (1.0,), keys=given), keys

    def test_painted_by_nothing_it_is_the_blend(self, led, tiny_network):
        """With one evaluation a frame is what it starts from: 3 t^2 - 2 t^3 of the way from one to the other."""
        source, keys = led
        stylizer = Stylizer(
            tiny_network,
            [noise(48, 48, 2)],
            source.settings,
            keys=[torch.from_numpy(one).permute(2, 0, 1) for one in keys.values()],
        )
        state, found = None, []
        for frame in source.frames(0):
            budget = None if frame.budget is None else dataclasses.replace(frame.budget, evaluations=1)
            result, state = stylizer.step(dataclasses.replace(frame, budget=budget), state)
            found.append(result.image[32, 48] / 255)
        for number in range(5):
            t = number / 4
            wanted = (1 - (3 * t**2 - 2 * t**3)) * keys[0][0, 0] + (3 * t**2 - 2 * t**3) * keys[4][0, 0]
            assert np.allclose(found[number], wanted, atol=0.01), number
        assert np.allclose(found[0], keys[0][0, 0], atol=1 / 255)
        assert np.allclose(found[4], keys[4][0, 0], atol=1 / 255)

    def test_a_source_begins_anywhere_with_the_same_frames(self, led):
        source, _ = led
        whole = list(source.frames(0))
        for start in range(1, FRAMES):
            for frame, other in zip(source.frames(start), whole[start:], strict=True):
                assert (frame.mix, frame.budget) == (other.mix, other.budget)
                assert (frame.lead is None) == (other.lead is None)
                if frame.lead is not None:
                    assert torch.equal(frame.lead.picture, other.lead.picture)
                    assert (frame.lead.share, frame.lead.hold) == (other.lead.share, other.lead.hold)

    def test_what_a_key_frame_does_not_show_is_left(self, tiny_network, picture, style):
        settings = VideoSettings(size=96, iterations=3, **FAST)
        visible = torch.zeros(1, 72, 96)
        visible[..., :40] = 1
        stylizer = Stylizer(tiny_network, [style], settings)
        cold = Frame(0, picture, None, 0.4, (1.0,))
        _, state = stylizer.step(cold, None)
        still = dataclasses.replace(cold, index=1, motion=no_motion(72, 96))
        lead = KeyLead(torch.ones(3, 72, 96), visible, 0.5)
        led, _ = stylizer.step(dataclasses.replace(still, lead=lead, budget=None), state)
        assert led.image[:, :40].mean() > led.image[:, 60:].mean() + 20


@pytest.mark.clips
class TestClip:
    def test_key_frames_are_in_it(self, files, vidstyle):
        out = files / "out"
        key = ["--first", files / "red0.png", "--key", f"3={files / 'large.png'}"]
        options = ["--network", files / "tiny.safetensors", "--size", 96, "--iterations", 3, "--first-iterations", 3]
        done = vidstyle(
            "video", files / "clip", files / "style.png", "-o", f"{out}/", "--device", "cpu", *options, *key
        )
        assert done.exit_code == 0, done.output
        found = paintings(out)
        assert np.array_equal(found[0], np.asarray(Image.open(files / "red0.png")))
        wanted = np.asarray(Image.open(files / "large.png").resize((96, 64), Image.Resampling.BOX)).astype(int)
        assert np.abs(found[3] - wanted).max() <= 2
        assert not np.array_equal(found[3], found[4])
        shown = vidstyle("show", out).output
        assert {"--first red0.png", "--key 3=large.png"} <= {
            f"--{one.strip()}" for one in shown.splitlines()[0].split("--")
        }
        assert "SHA-256 of key frame 2" in shown
        assert origin_of(out).values(VideoSettings)["key"] == ["3=large.png"]

    @pytest.mark.slow
    def test_a_report_compares_with_the_blend(self, files, vidstyle):
        """Half-way between two key frames the style is half of each; the blend has as many shares as pictures."""
        key = ["--first", files / "red0.png", "--key", f"4={files / 'blue4.png'}", "--report"]
        options = ["--network", files / "tiny.safetensors", "--size", 96, "--iterations", 2, "--first-iterations", 2]
        job = ["video", files / "clip", files / "style.png", "-o", f"{files}/out/", "--device", "cpu"]
        done = vidstyle(*job, *options, *key)
        assert done.exit_code == 0, done.output
        found = json.loads((files / "out.report.json").read_text())
        assert found["settings"]["first"]
        assert len(found["independence"]["pairs"]) == 3

    def test_a_frame_of_a_part_has_its_number_in_the_file(self, files):
        settings = settings_for(files, start=0.08, key=[f"4={files / 'red4.png'}"], input_fps=25)
        stylize_video(files / "clip", [files / "style.png"], f"{files}/out/", settings)
        assert np.array_equal(paintings(files / "out")[2], np.asarray(Image.open(files / "red4.png")))

    def test_a_key_frame_leads_its_own_shot_alone(self, files):
        two = [*pan(3, 96, 64), *(255 - frame for frame in pan(3, 96, 64, seed=9))]
        make_clip(files / "two.mp4", two, rate=24)
        plain = settings_for(files)
        stylize_video(files / "two.mp4", [files / "style.png"], f"{files}/plain/", plain)
        led = dataclasses.replace(plain, first=[f"{files / 'large.png'}@3"])
        stylize_video(files / "two.mp4", [files / "style.png"], f"{files}/led/", led)
        found, before = paintings(files / "led"), paintings(files / "plain")
        assert all(map(np.array_equal, found[:3], before[:3]))
        assert not any(map(np.array_equal, found[3:], before[3:]))

    def test_a_part_of_the_style(self, files):
        """With less weight a key frame is painted over; with none it is what its frame starts from."""
        own = np.asarray(Image.open(files / "red0.png")).astype(int)
        apart = {}
        for weight in (0, 0.5, 1):
            settings = settings_for(
                files, first=[str(files / "red0.png")], first_weight=weight, iterations=12, end=0.05
            )
            stylize_video(files / "clip", [files / "style.png"], f"{files}/w{10 * weight:g}/", settings)
            apart[weight] = np.abs(paintings(files / f"w{10 * weight:g}")[0] - own).mean()
        assert apart[0] > apart[0.5] > apart[1] == 0

    @pytest.mark.slow
    def test_interrupted_after_every_frame_it_goes_on_with_the_same_bytes(self, files):
        keys = {"key": [f"2={files / 'red2.png'}", f"5={files / 'blue5.png'}"]}
        settings = settings_for(files, long_term=(2,), **keys)
        whole = stylize_video(files / "clip", [files / "style.png"], f"{files}/whole/", settings)

        class Stop(Exception):
            pass

        for frame in range(FRAMES - 1):

            def stop(result, total, frame=frame):
                if result.index == frame:
                    raise Stop

            with pytest.raises(Stop):
                stylize_video(
                    files / "clip", [files / "style.png"], f"{files}/out/", settings, RunOptions(on_frame=stop)
                )
        manifest = json.loads((files / "out.job" / "manifest.json").read_text())
        assert manifest["settings"]["key"] == ["2=a file", "5=a file"]
        saved(files / "red2.png", np.asarray(Image.open(files / "red3.png")))
        with pytest.raises(JobError, match="key frame 1"):
            stylize_video(files / "clip", [files / "style.png"], f"{files}/out/", settings)
        saved(files / "red2.png", next(iter(pan(3, 96, 64))))  # another one once more
        saved(files / "red2.png", [*pan(FRAMES, 96, 64)][2] // 2 + np.array([120, 0, 0], np.uint8))
        stylize_video(files / "clip", [files / "style.png"], f"{files}/out/", settings)
        assert all(map(np.array_equal, paintings(files / "out"), paintings(whole)))

    def test_arrays_are_painted_as_files(self, files):
        settings = settings_for(files, first_weight=0.5, first=[str(files / "red0.png")], key=[f"4={files}/blue4.png"])
        stylize_video(files / "clip", [files / "style.png"], f"{files}/out/", settings)
        plain = settings_for(files)
        keys = {number: np.asarray(Image.open(files / name)) for number, name in ((0, "red0.png"), (4, "blue4.png"))}
        found = stylize_frames(list(pan(FRAMES, 96, 64)), [texture(48, 48, 2)], plain, keys=keys)
        whole = dataclasses.replace(settings, first_weight=1.0)
        stylize_video(files / "clip", [files / "style.png"], f"{files}/whole/", whole)
        assert all(map(np.array_equal, found, paintings(files / "whole")))

    def test_a_batch_reads_them_from_beside_the_table(self, files, vidstyle, monkeypatch):
        (files / "jobs.toml").write_text(
            '[[job]]\njob = "video"\ncontent = "clip"\nstyles = "style.png"\noutput = "o/"\nsize = 32\n'
            'network = "tiny.safetensors"\nfirst = "red0.png"\nkey = ["3=blue3.png"]\niterations = 1\ndevice = "cpu"\n'
        )
        (files / "elsewhere").mkdir()
        monkeypatch.chdir(files / "elsewhere")
        done = vidstyle("batch", files / "jobs.toml")
        assert done.exit_code == 0, done.output
        assert "up to date" in vidstyle("batch", files / "jobs.toml").output
        saved(files / "blue3.png", texture(96, 64, 8))
        assert "up to date" not in vidstyle("batch", files / "jobs.toml", "--dry-run").output


REFUSED = {
    "outside": (["--key", "6={red0}"], "frame 6 is not painted; frames 0 to 5 are", 2),
    "before the start": (["--start", ".1", "--key", "0={red0}"], "frame 0 is not painted", 2),
    "twice": (["--key", "3={red0}", "--key", "3={large}"], "frame 3 is given twice", 2),
    "first and key": (["--first", "{red0}", "--key", "0={large}"], "frame 0 is given twice", 2),
    "no shot": (["--first", "{red0}@3"], "frame 3 does not begin a shot; shots begin at 0", 2),
    "another shape": (["--key", "2={square}"], "64x64 pixels, and the clip 96x64", 3),
    "not there": (["--key", "2=nothing.png"], "nothing.png", 3),
    "malformed": (["--key", "{red0}"], "give FRAME=FILE, like 120=painted.png", 2),
    "weight of nothing": (["--first-weight", ".5"], "--first-weight belongs to --first or --key", 2),
    "no warp": (["--first", "{red0}", "--warm-start", "previous"], "--first belongs to --warm-start warped", 2),
}


@pytest.mark.clips
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_key_frame_is_refused_in_a_sentence(vidstyle, files, name):
    options, words, code = REFUSED[name]
    named = {one: files / f"{one}.png" for one in ("red0", "large", "square")}
    given = [option.format(**named) for option in options]
    done = vidstyle("video", files / "clip", files / "style.png", "-o", f"{files}/out/", "--device", "cpu", *given)
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (files / "out.job").exists()


def test_arrays_that_do_not_fit_are_refused():
    frames, settings = [texture(96, 64, 1)] * 3, VideoSettings()
    for keys, words in (
        ({3: frames[0]}, "frames 0 to 2"),
        ({0: texture(64, 64, 1)}, "64x64"),
        ({0: 1}, "key frame 0 is"),
    ):
        with pytest.raises(UsageError, match=words):
            stylize_frames(frames, [frames[0]], settings, keys=keys)
    with pytest.raises(UsageError, match=r"VideoSettings\.first"):
        stylize_frames(frames, [frames[0]], VideoSettings(first=["a.png"]))

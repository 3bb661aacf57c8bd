"""Several outputs of one painting, and encoding a finished job anew."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from clips import clicks, heard_clicks, make_clip, pan, probe
from conftest import pixels, settings_of
from conftest import texture as noise
from PIL import Image
from test_animations import seen

from vidstyle import (
    BalanceSettings,
    EncodeSettings,
    ImageSettings,
    RunOptions,
    VideoSettings,
    animate_balance,
    encode_job,
    stylize_image,
    stylize_video,
)
from vidstyle.errors import DiskError, JobError, MediaError, OutputExistsError, UsageError

pytestmark = pytest.mark.clips
FAST = ["--size", "64", "--first-iterations", "4", "--iterations", "3", "--device", "cpu"]


@pytest.fixture
def settings(network):
    return VideoSettings(size=64, first_iterations=4, iterations=3, device="cpu", network=str(network))


@pytest.fixture
def animated(settings):
    return settings_of(BalanceSettings, settings, seconds=1, fps=6)


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(noise(64, 64, seed=2))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", pan(6, 64, 48), rate=24, sound=clicks(6 / 24))


def test_every_format_from_one_painting(vidstyle, tmp_path, clip, style, network):
    names = ["a.mp4", "a.webm", "a.gif", "a.webp", "a.avif", "a.png", "frames/"]
    outputs = [word for name in names for word in ("-o", f"{tmp_path}/{name}")]
    done = vidstyle("video", clip, style, *outputs, "--network", network, *FAST)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [name.strip("/") for name in names] + ["clip.mp4", "style.png", "tiny.safetensors"]
    )
    frames = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "frames").glob("*.png"))]
    for name, error in (("a.png", 0), ("a.webp", 10), ("a.avif", 6)):
        again, _, end = seen(tmp_path / name)
        assert end == pytest.approx(250, abs=1)
        assert np.abs(np.array(again).astype(int) - frames).mean() <= error
    for name, sound in (("a.mp4", ["aac"]), ("a.webm", ["opus"]), ("a.gif", [])):
        found = probe(tmp_path / name)
        assert (found["frames"], found["audio"]) == (6, sound)


def test_nothing_is_painted_twice(tmp_path, style, settings, animated):
    outputs = [tmp_path / "a.gif", tmp_path / "b.webp"]
    painted = []
    made = animate_balance(
        style,
        [style],
        outputs,
        animated,
        run=RunOptions(on_frame=lambda result, total: painted.append(result.index)),
    )
    assert (made, painted) == (outputs[0], [0, 1, 2, 3])
    still = settings_of(ImageSettings, settings)
    assert stylize_image(style, [style], [tmp_path / "a.png", tmp_path / "a.jpg"], still) == tmp_path / "a.png"
    assert Image.open(tmp_path / "a.jpg").size == (64, 64)


def test_every_output_is_checked_before_painting(tmp_path, style, animated):
    (tmp_path / "there.gif").write_text("precious")
    for outputs, error, words in (
        (["a.gif", "there.gif"], OutputExistsError, "there.gif"),
        (["a.gif", "b.xyz"], UsageError, "b.xyz"),
        (["a.gif", "none/b.webp"], DiskError, "none"),
        (["a.gif", "b.webp", "./a.gif"], UsageError, "twice"),
        ([], UsageError, "no output"),
    ):
        with pytest.raises(error, match=words):
            animate_balance(
                style,
                [style],
                [tmp_path / output for output in outputs],
                animated,
                run=RunOptions(on_frame=lambda result, total: pytest.fail("it paints")),
            )
    assert not list(tmp_path.glob("*.job"))


def test_the_others_are_made_where_one_fails(tmp_path, style, animated, monkeypatch):
    from vidstyle.media.writers import animations

    outputs = [tmp_path / name for name in ("a.gif", "b.webp", "c.png")]

    finish = animations.WebpSink._finish

    def fail(self):
        if self.path.parent == tmp_path:
            raise OSError(28, "No space left on device")
        return finish(self)  # in miniature

    with monkeypatch.context() as patch:
        patch.setattr(animations.WebpSink, "_finish", fail)
        with pytest.raises(DiskError, match=r"disk is full.*2 of 3 outputs are made.*a\.gif\.job"):
            animate_balance(style, [style], outputs, animated)
    assert [output.exists() for output in outputs] == [True, False, True]
    assert not [path for path in tmp_path.iterdir() if "part" in path.name]
    painted = []
    animate_balance(
        style,
        [style],
        outputs,
        animated,
        run=RunOptions(overwrite=True, on_frame=lambda result, total: painted.append(result)),
    )
    assert painted == []
    assert outputs[1].exists()
    assert not list(tmp_path.glob("*.job"))


class Stop(Exception):
    pass


class TestEncode:
    @pytest.fixture
    def paint(self, tmp_path, clip, style, settings):
        return lambda: stylize_video(clip, [style], tmp_path / "out.mp4", settings, run=RunOptions(keep_job=True))

    @pytest.fixture
    def job(self, tmp_path, paint, once):
        once(paint)
        return tmp_path / "out.mp4.job"

    def test_the_same_settings_give_the_same_bytes(self, tmp_path, job):
        before = sorted((path, path.stat().st_mtime_ns) for path in (job / "frames").iterdir())
        encode_job(job, tmp_path / "again.mp4")
        assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "out.mp4").read_bytes()
        assert sorted((path, path.stat().st_mtime_ns) for path in (job / "frames").iterdir()) == before

    def test_other_settings(self, vidstyle, tmp_path, job):
        options = ["--pingpong", "--hold-first", ".5", "--hold-last", 1, "--width", 32, "--crf", 10]
        outputs = [word for name in ("a.mp4", "a.webm", "a.webp") for word in ("-o", tmp_path / name)]
        done = vidstyle("encode", job, *outputs, *options, "--plays", "once")
        assert done.exit_code == 0, done.output
        for name in ("a.mp4", "a.webm"):
            found = probe(tmp_path / name)
            assert (found["frames"], found["size"]) == (10, (32, 24))
            np.testing.assert_allclose(
                [float(time) for time in found["times"]],
                [0, *(0.5 + n / 24 for n in range(1, 6)), *(1.5 + n / 24 for n in range(6, 10))],
                atol=1e-3,
            )
            late = heard_clicks(tmp_path / name)[0]
            assert late[-1] == pytest.approx(0.5 + heard_clicks(tmp_path / "out.mp4")[0][-1], abs=2e-3)
        _, _, end = seen(tmp_path / "a.webp")
        assert end == pytest.approx(1500 + 10_000 / 24, abs=1)
        with Image.open(tmp_path / "a.webp") as image:
            assert image.info["loop"] == 1

    def test_fewer_frames_a_second(self, vidstyle, tmp_path, job):
        done = vidstyle("encode", job, "-o", tmp_path / "a.png", "--fps", 12)
        assert done.exit_code == 0, done.output
        frames, starts, end = seen(tmp_path / "a.png")
        np.testing.assert_allclose([*starts, end], [0, 1000 / 12, 2000 / 12, 250], atol=1)
        for frame, number in zip(frames, (0, 2, 4), strict=True):
            assert np.array_equal(frame, np.asarray(Image.open(job / f"frames/{number:06d}.png")))

    def test_smaller_pictures_are_averaged(self, tmp_path, job):
        encode_job(job, f"{tmp_path}/small/", EncodeSettings(width=32))
        painted = np.asarray(Image.open(job / "frames/000003.png"), dtype=float)
        small = np.asarray(Image.open(tmp_path / "small/000003.png"), dtype=float)
        assert np.abs(painted.reshape(24, 2, 32, 2, 3).mean((1, 3)) - small).max() <= 1

    def test_it_may_be_resumed_as_before(self, tmp_path, clip, style, settings, job):
        """What is kept for the encoding is none of what the frames depend on."""
        assert json.loads((job / "manifest.json").read_text())["played"]["order"] == list(range(6))
        stylize_video(
            clip,
            [style],
            tmp_path / "out.mp4",
            dataclasses.replace(settings, hold_last=1, width=32),
            run=RunOptions(overwrite=True, keep_job=True, on_frame=lambda result, total: pytest.fail("it paints")),
        )
        assert probe(tmp_path / "out.mp4")["size"] == (32, 24)
        encode_job(job, tmp_path / "b.gif")

    @pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [9] * 6, None, "all", [1e999]])
    def test_an_edited_manifest_is_refused(self, tmp_path, job, order):
        manifest = json.loads((job / "manifest.json").read_text())
        manifest["played"]["order"] = order
        (job / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(JobError, match=r"manifest.json is damaged \(it is not as vidstyle wrote it\).*--restart"):
            encode_job(job, tmp_path / "b.gif")

    def test_an_unfinished_job_is_refused(self, tmp_path, clip, style, settings):
        def stop(result, total):
            if result.index == 2:
                raise Stop

        with pytest.raises(Stop):
            stylize_video(clip, [style], tmp_path / "out.mp4", settings, run=RunOptions(on_frame=stop))
        with pytest.raises(JobError, match=r"[34] of 6 frames"):
            encode_job(tmp_path / "out.mp4.job", tmp_path / "a.gif")
        assert not (tmp_path / "a.gif").exists()

    def test_the_sound_of_a_clip_that_is_gone(self, tmp_path, clip, paint):
        paint()
        job = tmp_path / "out.mp4.job"
        encode_job(job, tmp_path / "silent.gif")
        shutil.move(clip, tmp_path / "elsewhere.mp4")
        with pytest.raises(MediaError, match=r"clip\.mp4.*--no-sound"):
            encode_job(job, tmp_path / "a.webm")
        make_clip(clip, pan(6, 64, 48, seed=9), rate=24, sound=clicks(6 / 24))
        with pytest.raises(MediaError, match="not the clip that was painted"):
            encode_job(job, tmp_path / "a.webm")
        encode_job(job, [tmp_path / "a.webm", tmp_path / "a.gif"], EncodeSettings(sound=False))
        assert probe(tmp_path / "a.webm")["audio"] == []

    def test_a_still_and_an_animation(self, tmp_path, style, settings):
        still = settings_of(ImageSettings, settings)
        stylize_image(style, [style], tmp_path / "a.png", still, run=RunOptions(keep_job=True))
        encode_job(tmp_path / "a.png.job", tmp_path / "a.jpg")
        assert Image.open(tmp_path / "a.jpg").size == (64, 64)
        with pytest.raises(UsageError, match="still"):
            encode_job(tmp_path / "a.png.job", tmp_path / "a.gif")
        shown = {"hold_last": 2, "plays": 3}
        animated = settings_of(BalanceSettings, settings, seconds=1, fps=6, first_iterations=20, iterations=20, **shown)
        Image.fromarray(pixels(noise(64, 64, seed=5))).save(tmp_path / "photo.png")
        animate_balance(tmp_path / "photo.png", [style], tmp_path / "b.webp", animated, run=RunOptions(keep_job=True))
        encode_job(tmp_path / "b.webp.job", tmp_path / "c.webp", EncodeSettings(**shown))
        assert (tmp_path / "b.webp").read_bytes() == (tmp_path / "c.webp").read_bytes()
        _, starts, end = seen(tmp_path / "c.webp")
        assert end == 3000
        assert np.diff([*starts, end]).max() == pytest.approx(2000 + 1000 / 6, abs=1)  # at the turn

    @pytest.mark.parametrize(
        ("code", "words", "arguments"),
        [
            (9, "no job folder", ["encode", "{}", "-o", "{}/o.gif"]),
            (9, "no job folder", ["encode", "{}/none.job", "-o", "{}/o.gif"]),
            (2, ".webm", ["encode", "{}/out.mp4.job", "-o", "{}/o.xyz"]),
            (4, "-y", ["encode", "{}/out.mp4.job", "-o", "{}/out.mp4"]),
            (7, "none", ["encode", "{}/out.mp4.job", "-o", "{}/none/o.gif"]),
            (2, "is an input", ["encode", "{}/out.mp4.job", "-o", "{}/out.mp4.job/frames/", "-y"]),
            (2, "at most 60", ["encode", "{}/out.mp4.job", "-o", "{}/o.gif", "--hold-last", "90"]),
            (2, "64 pixels", ["encode", "{}/out.mp4.job", "-o", "{}/o.gif", "--width", "100"]),
            (2, "forever or once", ["encode", "{}/out.mp4.job", "-o", "{}/o.gif", "--plays", "often"]),
            (2, "--plays is '--5'; give a number", ["encode", "{}/out.mp4.job", "-o", "{}/o.gif", "--plays=--5"]),
            (2, "--plays is for", ["encode", "{}/out.mp4.job", "-o", "{}/o.mp4", "--plays", "3"]),
            (2, "at most 120", ["encode", "{}/out.mp4.job", "-o", "{}/o.mp4", "--fps", "500"]),
            (2, "--plays is for", ["video", "{}/clip.mp4", "{}/style.png", "-o", "{}/o.mp4", "--plays", "once"]),
            (2, "64 pixels", ["video", "{}/clip.mp4", "{}/style.png", "-o", "{}/o.mp4", "--width", "65"]),
        ],
    )
    def test_refuses_in_one_sentence(self, vidstyle, tmp_path, job, code, words, arguments):
        before = set(tmp_path.rglob("*"))
        done = vidstyle(*(argument.format(tmp_path) for argument in arguments))
        assert done.exit_code == code, done.output
        assert words in done.output
        assert len([line for line in done.output.splitlines() if line.startswith("vidstyle:")]) == 1
        assert set(tmp_path.rglob("*")) == before

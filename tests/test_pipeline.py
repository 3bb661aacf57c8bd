"""The promises of the loop: same bytes however often it is stopped, independent shots, bounded memory."""

import dataclasses

import numpy as np
import pytest
from clips import make_clip, pan, texture
from conftest import pixels, settings_of
from conftest import texture as noise
from PIL import Image

from vidstyle import (
    BalanceSettings,
    ImageSettings,
    RunOptions,
    VideoSettings,
    VidstyleError,
    animate_balance,
    stylize_image,
    stylize_video,
)
from vidstyle.core import networks
from vidstyle.errors import JobError

FAST = VideoSettings(size=64, first_iterations=4, iterations=3, device="cpu")


@pytest.fixture
def settings(network):
    return dataclasses.replace(FAST, network=str(network))


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(noise(64, 64, seed=2))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


class Stop(Exception):
    pass


def stop_after(frame):
    def on_frame(result, total):
        if result.index == frame:
            raise Stop

    return on_frame


def frames_of(job):
    return [np.asarray(Image.open(path)) for path in sorted((job / "frames").iterdir())]


@pytest.mark.parametrize("loop", [False, True])
def test_stopped_after_every_frame_gives_the_same_bytes(tmp_path, style, settings, loop):
    settings = dataclasses.replace(settings, loop=loop, preserve_color=0.5 * loop)
    clip = make_clip(tmp_path / "clip.mp4", pan(6), rate=24)
    whole, out = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    stylize_video(clip, [style], whole, settings)
    for frame in range(6):
        with pytest.raises(Stop):
            stylize_video(clip, [style], out, settings, run=RunOptions(on_frame=stop_after(frame)))
        assert not out.exists()
    painted = []
    stylize_video(clip, [style], out, settings, run=RunOptions(on_frame=lambda result, total: painted.append(result)))
    assert painted == []  # all was there; only the encoding was left
    assert out.read_bytes() == whole.read_bytes()


def test_a_loop_keeps_its_first_pastiche_once(tmp_path, style, settings, monkeypatch):
    """It is written with the first frame, and not again; and where it gets lost, painting begins anew."""
    clip = make_clip(tmp_path / "clip.mp4", pan(8), rate=24)
    settings, sizes = dataclasses.replace(settings, long_term=()), {}
    for loop in (False, True):
        out = tmp_path / f"{loop}.mp4"
        with pytest.raises(Stop):
            stylize_video(
                clip, [style], out, dataclasses.replace(settings, loop=loop), RunOptions(on_frame=stop_after(6))
            )
        states = sorted((tmp_path / f"{loop}.mp4.job" / "states").iterdir())
        sizes[loop] = {int(path.stem): path.stat().st_size for path in states}
    assert sizes[True].keys() - sizes[False].keys() == {0}
    assert max(sizes[True].values()) <= max(sizes[False].values()) + 100  # not a picture more
    (tmp_path / "True.mp4.job" / "states" / "000000.safetensors").unlink()
    painted = []
    looped = dataclasses.replace(settings, loop=True)
    stylize_video(
        clip,
        [style],
        tmp_path / "True.mp4",
        looped,
        RunOptions(on_frame=lambda result, _: painted.append(result.index)),
    )
    assert painted == list(range(8))


def test_other_settings_and_inputs_do_not_continue_a_job(tmp_path, style, settings):
    clip = make_clip(tmp_path / "clip.mp4", pan(4), rate=24)
    out = tmp_path / "out.mp4"
    with pytest.raises(Stop):
        stylize_video(clip, [style], out, settings, run=RunOptions(on_frame=stop_after(1)))
    with pytest.raises(JobError, match="alpha") as caught:
        stylize_video(clip, [style], out, dataclasses.replace(settings, alpha=0.7))
    assert all(words in str(caught.value) for words in ("0.4", "0.7", "--restart"))
    Image.fromarray(pixels(noise(64, 64, seed=9))).save(style)
    with pytest.raises(JobError, match="style"):
        stylize_video(clip, [style], out, settings)
    seen = []
    stylize_video(
        clip,
        [style],
        out,
        settings,
        run=RunOptions(restart=True, on_frame=lambda result, total: seen.append((result.index, total))),
    )
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_a_finished_jobs_encoding_may_change(tmp_path, style, settings):
    clip = make_clip(tmp_path / "clip.mp4", pan(3), rate=24)
    with pytest.raises(Stop):
        stylize_video(clip, [style], tmp_path / "out.mp4", settings, run=RunOptions(on_frame=stop_after(2)))
    painted = []
    stylize_video(
        clip,
        [style],
        tmp_path / "out.mp4",
        dataclasses.replace(settings, crf=40),
        run=RunOptions(on_frame=lambda result, total: painted.append(result)),
    )
    assert painted == []


@pytest.mark.slow
def test_a_shot_is_painted_as_if_it_were_alone(tmp_path, style, settings):
    first, second = list(pan(12, seed=1)), list(pan(12, seed=5))
    lossless = {"codec": "libx264rgb", "pixels": "rgb24", "options": {"qp": "0"}}
    both = make_clip(tmp_path / "both.mp4", first + second, rate=24, **lossless)
    alone = make_clip(tmp_path / "alone.mp4", second, rate=24, **lossless)
    for clip in (both, alone):
        stylize_video(clip, [style], clip.with_suffix(".out.mp4"), settings, run=RunOptions(keep_job=True))
    together, apart = (frames_of(tmp_path / f"{name}.out.mp4.job") for name in ("both", "alone"))
    assert len(together) == 24
    assert all(np.array_equal(one, other) for one, other in zip(together[12:], apart, strict=True))
    stylize_video(
        both, [style], tmp_path / "uncut.mp4", dataclasses.replace(settings, cuts=False), run=RunOptions(keep_job=True)
    )
    assert not np.array_equal(frames_of(tmp_path / "uncut.mp4.job")[12], together[12])


def test_a_still_clip_stays_still_and_a_pan_is_followed(tmp_path, style, settings):
    """The warped previous pastiche is what a frame starts from: the painting moves with the picture."""
    settings = dataclasses.replace(settings, iterations=1, alpha=0.0, size=96)
    wide = texture(96 + 16, 64, seed=3)
    clip = make_clip(tmp_path / "clip.mp4", [wide[:, 4 * n : 4 * n + 96].copy() for n in range(4)], rate=24)
    stylize_video(clip, [style], tmp_path / "out.mp4", settings, run=RunOptions(keep_job=True))
    frames = [frame.astype(float) for frame in frames_of(tmp_path / "out.mp4.job")]
    moved = np.abs(frames[3][16:-16, 16:-32] - frames[0][16:-16, 28:-20]).mean()
    stuck = np.abs(frames[3][16:-16, 16:-32] - frames[0][16:-16, 16:-32]).mean()
    assert moved < stuck / 2
    settings = dataclasses.replace(settings, warm_start="previous")
    stylize_video(clip, [style], tmp_path / "none.mp4", settings, run=RunOptions(keep_job=True))
    frames = frames_of(tmp_path / "none.mp4.job")
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_alpha_one_is_the_content(tmp_path, style, settings):
    picture = tmp_path / "content.png"
    Image.fromarray(pixels(noise(64, 64, seed=4))).save(picture)
    stylize_image(picture, [style], tmp_path / "out.png", settings_of(ImageSettings, settings, alpha=1.0))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(Image.open(picture)))


def test_an_output_is_refused_before_anything_is_read(tmp_path, style, settings):
    settings = settings_of(ImageSettings, settings)
    (tmp_path / "out.png").write_bytes(b"precious")
    with pytest.raises(VidstyleError, match="-y"):
        stylize_image(tmp_path / "none.png", [style], tmp_path / "out.png", settings)
    stylize_image(style, [style], tmp_path / "out.png", settings, run=RunOptions(overwrite=True))
    assert Image.open(tmp_path / "out.png").size == (64, 64)


@pytest.mark.slow  # test_at_once looks at a hundred frames
def test_memory_does_not_grow_with_the_clip(tmp_path, style, settings):
    """What the process holds late in a job is within 5 % of what it holds early."""
    psutil = pytest.importorskip("psutil")
    clip = make_clip(tmp_path / "clip.mp4", pan(200, width=64), rate=24)
    process, held = psutil.Process(), []
    settings = dataclasses.replace(settings, iterations=1, first_iterations=1, cuts=False)
    stylize_video(
        clip,
        [style],
        tmp_path / "out.mp4",
        settings,
        run=RunOptions(on_frame=lambda result, total: held.append(process.memory_info().rss)),
    )
    assert len(held) == 200
    assert max(held) <= 1.05 * max(held[:50])


@pytest.mark.clips
def test_the_embedded_network_paints(tmp_path, samples):
    settings = BalanceSettings(size=96, seconds=0.5, fps=8, first_iterations=10, device="cpu")
    results = []
    animate_balance(
        samples / "harbor.jpg",
        [samples / "swirls.jpg"],
        tmp_path / "out.gif",
        settings,
        run=RunOptions(on_frame=lambda result, total: results.append(result)),
    )
    style = [result.losses["style"] for result in results]
    assert style == sorted(style, reverse=True)
    assert style[-1] < 0.3 * style[0]


@pytest.mark.cuda
def test_cuda_paints_what_the_cpu_paints(tmp_path, samples):
    from vidstyle.core.stylizer import Stylizer
    from vidstyle.jobs.sources.clips import to_tensor
    from vidstyle.types import Frame

    content, style = (noise(96, 128, seed=seed) for seed in (1, 2))
    losses = {}
    for device in ("cpu", "cuda"):
        settings = ImageSettings(device=device, first_iterations=30)
        stylizer = Stylizer(networks.compact(), [style], settings)
        result, state = stylizer.step(Frame(0, content, None, 0.3, (1.0,)), None)
        again, _ = stylizer.step(Frame(0, content, None, 0.3, (1.0,)), None)
        assert np.array_equal(result.image, again.image)  # the same bits at every run
        losses[device] = result.losses["total"]
        assert to_tensor(result.image).shape == state.pastiche.shape
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.05)

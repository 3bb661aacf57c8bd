"""The balance animation: when its numbers are reached, in which order it is painted, and how evenly it changes."""

import dataclasses
import json
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import pixels, settings_of, texture
from filelock import FileLock
from PIL import Image

from vidstyle import BalanceSettings, ImageSettings, RunOptions, animate_balance, stylize_image
from vidstyle.core.metrics import feature_distance
from vidstyle.core.networks import compact
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import JobError, UsageError
from vidstyle.jobs.painting.retiming import equal_steps, expected_times
from vidstyle.jobs.sources.balance import Animation, PictureSource, still_plan
from vidstyle.jobs.sources.clips import to_tensor

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@pytest.fixture
def pictures(tmp_path):
    for number in range(3):
        Image.fromarray(pixels(texture(72, 96, seed=number))).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(3)]


def frames_of(folder):
    """The painted frames of a job, (3, H, W) each, in the order shown."""
    order = json.loads((folder / "manifest.json").read_text())["played"]["order"]
    paintings = [Image.open(folder / "frames" / f"{number:06d}.png") for number in order]
    return [to_tensor(np.asarray(painting)) for painting in paintings]


def shown(settings):
    plan = Animation(settings, (1.0,)).plan()
    return [plan.curves.alpha[plan.painted[place]] for place in plan.shown]


def step_variation(changes):
    return np.std(changes) / np.mean(changes)


def test_it_goes_there_and_back():
    alphas = shown(BalanceSettings(seconds=2, fps=10))
    assert len(alphas) == 20
    assert alphas[0] == 1
    assert min(alphas) == alphas[10] == 0
    assert alphas[1:] == alphas[:0:-1]


@pytest.mark.parametrize("frames", [2, 3, 9, 15])
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_an_odd_number_of_frames_is_kept(frames, direction):
    settings = BalanceSettings(seconds=frames / 3, fps=3, direction=direction)
    alphas = shown(settings)
    assert len(alphas) == frames
    assert (alphas[0], alphas[frames // 2], alphas[(frames + 1) // 2]) == (1, 0, 0)
    assert alphas[1:] == alphas[:0:-1]  # so it loops: the first picture follows the second


def test_one_way():
    settings = BalanceSettings(seconds=1, fps=5, bounce=False, alpha_from=0.8, alpha_to=0.2)
    assert shown(settings) == pytest.approx([0.8, 0.65, 0.5, 0.35, 0.2])
    with pytest.raises(UsageError, match="it takes two"):
        Animation(BalanceSettings(seconds=0.1, fps=10), (1.0,))


def test_pictures_keep_more_than_eight_bits():
    picture = np.full((32, 32, 3), 0.12345, np.float32)
    source = PictureSource(picture, ImageSettings(size=0), still_plan(ImageSettings(), (1.0,), 0.5))
    assert next(source.frames(0)).image.unique().tolist() == [pytest.approx(0.12345)]


@pytest.mark.parametrize("bounce", [True, False])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_direction_says_where_the_painting_begins_not_what_is_shown(bounce, direction):
    there = BalanceSettings(seconds=2, fps=6, bounce=bounce, direction=direction)
    back = dataclasses.replace(there, alpha_from=0.0, alpha_to=1.0)
    plans = [Animation(settings, (1.0,)).plan() for settings in (there, back)]
    painted = [[plan.curves.alpha[number] for number in plan.painted] for plan in plans]
    assert painted[0] == pytest.approx(painted[1])
    assert painted[0][0] == (1 if direction == "forward" else 0)
    assert shown(there) == pytest.approx([1 - alpha for alpha in shown(back)])


def test_content_to_style_and_style_to_content_are_the_same_paintings(pictures, network, tmp_path):
    settings = BalanceSettings(
        size=64, network=str(network), seconds=1, fps=4, bounce=False, iterations=3, device="cpu"
    )
    there, back = tmp_path / "there.gif", tmp_path / "back.gif"
    animate_balance(pictures[0], pictures[1:2], there, settings, run=RunOptions(keep_job=True))
    changed = dataclasses.replace(settings, alpha_from=0.0, alpha_to=1.0)
    animate_balance(pictures[0], pictures[1:2], back, changed, run=RunOptions(keep_job=True))
    pairs = zip(frames_of(tmp_path / "there.gif.job"), reversed(frames_of(tmp_path / "back.gif.job")), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_both_ways_are_painted_if_asked_for():
    settings = BalanceSettings(seconds=1, fps=8, direction="both")
    plan = Animation(settings, (1.0,)).plan()
    assert len(plan.painted) == len(plan.shown) == 8
    assert shown(settings) == shown(dataclasses.replace(settings, direction="forward"))
    with pytest.raises(UsageError, match="there and back"):
        Animation(dataclasses.replace(settings, bounce=False), (1.0,))


def test_an_expected_pace_keeps_the_keys_and_their_order():
    schedule = "0s:1, 1s:1, 2s:0.2 ease, 3s:0.6 step, 4s:0"
    animation = Animation(BalanceSettings(seconds=4.5, fps=10, bounce=False, alpha=schedule), (1.0,))
    remapped_times = expected_times(animation)
    assert remapped_times == sorted(remapped_times)
    on_keys = [number for number, time in enumerate(animation.times) if time.denominator == 1]
    assert [remapped_times[number] for number in on_keys] == [animation.times[number] for number in on_keys]
    alpha, plain = animation.plan(remapped_times).curves.alpha, animation.plan().curves.alpha
    assert alpha[:11] == plain[:11] == (1,) * 11
    assert alpha[30:40] == plain[30:40] == (0.6,) * 10
    assert alpha[40:] == plain[40:]
    assert alpha[15] != plain[15]


def test_frames_go_where_equal_parts_of_the_way_lie():
    animation = Animation(BalanceSettings(seconds=4.1, fps=10, bounce=False), (1.0,))
    times = list(animation.times)
    # A picture that changes three times as fast in the second half of the time.
    changes = [1.0 if number < 20 else 3.0 for number in range(40)]
    remapped_times = equal_steps(animation, times, changes)
    way = [float(time) if time < 2 else 2 + 3 * (float(time) - 2) for time in remapped_times]
    assert step_variation(np.diff(way)) < 0.01
    assert (remapped_times[0], remapped_times[-1]) == (times[0], times[-1])
    still = equal_steps(animation, times, [0.0] * 40)
    assert still == times


def test_an_ease_is_kept():
    animation = Animation(BalanceSettings(seconds=4.1, fps=10, bounce=False, alpha="start:1 ease, end:0"), (1.0,))
    remapped_times = equal_steps(animation, animation.times, [1.0] * 40)
    share = [float(time) / 4 for time in remapped_times]
    assert share == pytest.approx([x * x * (3 - 2 * x) for x in np.linspace(0, 1, 41)], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"timelapse": True}], ids=["balance", "timelapse"])
def test_the_picture_changes_by_equal_steps(tmp_path, samples, options):
    """With the embedded network, on a photograph: far more evenly than where alpha has equal steps."""
    content, style = (samples / f"{name}.jpg" for name in ("valley", "swirls"))
    network = compact()
    found = {}
    for space in ("even", "linear"):
        settings = BalanceSettings(size=128, seconds=1.8, fps=10, bounce=False, space=space, device="cpu", **options)
        out = tmp_path / f"{space}.png"
        animate_balance(content, [style], out, settings, run=RunOptions(keep_job=True))
        frames = frames_of(tmp_path / f"{space}.png.job")
        found[space] = step_variation([feature_distance(network, *pair, LAYERS) for pair in pairwise(frames)])
    assert found["even"] < 0.2
    assert found["even"] < 0.6 * found["linear"]


def test_a_pace_that_was_found_is_used_again(pictures, network, tmp_path):
    """An interrupted animation goes on without other pilot renders and ends as the same bytes."""
    settings = BalanceSettings(size=64, network=str(network), seconds=1, fps=8, iterations=3, device="cpu")
    pilots = []

    def paint(name, stop=None, **options):
        def on_frame(result, total):
            if result.index == stop:
                raise KeyboardInterrupt

        def on_pilot(done, total):
            pilots.append((name, done, total))

        animate_balance(
            *(pictures[0], pictures[1:2], tmp_path / name, settings),
            run=RunOptions(on_frame=on_frame, on_pilot=on_pilot, **options),
        )

    paint("whole.gif")
    assert pilots == [("whole.gif", number, 10) for number in range(1, 11)]
    with pytest.raises(KeyboardInterrupt):
        paint("out.gif", stop=2)
    pilots.clear()
    paint("out.gif")
    assert not pilots
    assert (tmp_path / "out.gif").read_bytes() == (tmp_path / "whole.gif").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        paint("out.gif", stop=2, overwrite=True)
    pilots.clear()
    paint("out.gif", overwrite=True, restart=True)
    assert len(pilots) == 10


def test_it_begins_with_the_photograph_itself_and_leaves_it_at_once(samples):
    """At alpha = 1 there is nothing to do; rounding errors must not keep the next frame from moving."""
    content = to_tensor(np.asarray(Image.open(samples / "valley.jpg").resize((128, 88))))
    style = to_tensor(np.asarray(Image.open(samples / "swirls.jpg").resize((128, 128))))
    settings = BalanceSettings(size=0, device="cpu", space="linear", seconds=1, fps=5, alpha_to=0.9, bounce=False)
    source = PictureSource(content.permute(1, 2, 0).numpy(), settings, Animation(settings, (1.0,)).plan())
    stylizer, state, paintings = Stylizer(compact(), [style], settings), None, []
    for frame in source.frames(0):
        _, state = stylizer.step(frame, state)
        paintings.append(state.pastiche)
    assert torch.equal(paintings[0], content)
    assert all((now - before).abs().mean() > 1e-3 for before, now in pairwise(paintings))


@pytest.mark.slow
def test_a_timelapse_grows_from_the_photograph_to_what_an_image_is(tmp_path, samples):
    content, style = (samples / f"{name}.jpg" for name in ("valley", "swirls"))
    settings = BalanceSettings(
        size=128, seconds=1.6, fps=10, bounce=False, timelapse=True, alpha=0.2, space="linear", device="cpu"
    )
    losses = []
    animate_balance(
        content,
        [style],
        tmp_path / "out.png",
        settings,
        run=RunOptions(on_frame=lambda result, _: losses.append(result.losses)),
    )
    still = []
    stylize_image(
        content,
        [style],
        tmp_path / "still.png",
        settings_of(ImageSettings, settings, alpha=0.2),
        run=RunOptions(on_frame=lambda result, _: still.append(result.losses)),
    )

    assert losses[0]["content"] == pytest.approx(0, abs=1e-3)  # the photograph as it is; the others are recoloured
    curves = [terms["total"] for terms in losses]
    assert all(now < before for before, now in pairwise([curves[1], curves[5], curves[10], curves[15]]))
    assert curves[-1] < 1.3 * still[0]["total"]
    assert still[0]["style"] < 0.1 * losses[1]["style"]


def test_a_timelapse_has_one_alpha():
    with pytest.raises(UsageError, match="give a number"):
        Animation(BalanceSettings(timelapse=True, alpha="0s:1, end:0"), (1.0,))


def test_turns_of_a_loop_are_keys_too():
    mix = ("0s:1, 1s:0 ease, 2s:1 loop", "0s:0, 1s:1 ease, 2s:0 loop")
    animation = Animation(BalanceSettings(seconds=4.1, fps=10, bounce=False, alpha=0.2, mix=mix), mix)
    remapped_times = equal_steps(animation, animation.times, [1.0 + number % 3 for number in range(40)])
    for second in range(5):
        assert remapped_times[10 * second] == Fraction(second)
    assert remapped_times[15:20] != list(animation.times[15:20])


def test_what_can_be_refused_is_refused_before_the_pilot_renders(pictures, network, tmp_path):
    """Another job's folder, words that do not fit, a job that is running: all of it costs no painting."""
    settings = BalanceSettings(size=64, network=str(network), seconds=1, fps=8, iterations=2, device="cpu")
    out = tmp_path / "out.gif"

    def paint(stop=False, **changes):
        def on_frame(result, total):
            if stop:
                raise KeyboardInterrupt

        def on_pilot(done, total):
            if not stop:
                pytest.fail("it paints")

        changed = dataclasses.replace(settings, **changes)
        animate_balance(pictures[0], pictures[1:2], out, changed, run=RunOptions(on_frame=on_frame, on_pilot=on_pilot))

    with pytest.raises(UsageError, match="caption"):
        paint(caption="too small for words")
    assert not (tmp_path / "out.gif.job").exists()
    with pytest.raises(KeyboardInterrupt):
        paint(stop=True)
    with pytest.raises(JobError, match="tv_weight was"):
        paint(tv_weight=0.5)
    with FileLock(tmp_path / "out.gif.job" / "lock"), pytest.raises(JobError, match="in use"):
        paint()
    paint()
    assert out.is_file()


@pytest.mark.clips
def test_an_hour_says_what_it_takes_before_it_begins(tmp_path, network, pictures, caplog):
    settings = BalanceSettings(
        size=32, seconds=3600, fps=12, bounce=False, space="linear", network=str(network), first_iterations=1
    )

    def stop(result, total):
        assert total == 43200
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        animate_balance(pictures[0], pictures[1:2], tmp_path / "o.mp4", settings, run=RunOptions(on_frame=stop))
    assert "43200 frames of 32x" in caplog.text
    assert "12.0 hours at a second each" in caplog.text

"""Numbers that change over time, from the settings through sources and the loop to the command line and its plot."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch
from clips import make_clip, pan
from conftest import pixels, settings_of
from conftest import texture as noise
from PIL import Image

from vidstyle import (
    BalanceSettings,
    ImageSettings,
    RunOptions,
    SheetSettings,
    VideoSettings,
    animate_balance,
    stylize_video,
)
from vidstyle.api import plan_balance, plan_video
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import JobError, UsageError
from vidstyle.jobs.sources.balance import Animation, PictureSource
from vidstyle.jobs.sources.clips import SequenceSource, VideoSource
from vidstyle.jobs.sources.curves import ParameterCurves
from vidstyle.lab.plots import text_plots
from vidstyle.settings import typed
from vidstyle.types import Budget, ClipInfo, Frame

FALL = "start:1, end:0"
TIMES = [Fraction(number, 4) for number in range(5)]


class Still:
    """A sequence of one picture, repeated."""

    def __init__(self, frames, timestamps=None):
        self.frame = pixels(noise(48, 64, seed=4))
        self.info = ClipInfo(64, 48, Fraction(4), frames, timestamps)

    def decode(self, start=0):
        yield from [self.frame] * (self.info.frames - start)


@pytest.fixture
def settings(network):
    return VideoSettings(size=64, first_iterations=6, iterations=6, device="cpu", network=str(network))


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for number in (1, 2, 3):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels(noise(64, 64, seed=number))).save(paths[-1])
    return paths


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", pan(8), rate=24)


def test_settings_keep_numbers_and_the_shortest_spelling():
    assert VideoSettings(alpha=0.4).alpha == VideoSettings(alpha="0.4").alpha == 0.4
    assert VideoSettings(alpha="start:1,end:0") == VideoSettings(alpha="0s:1.0 linear, 100%:0")
    assert VideoSettings(alpha=FALL) != VideoSettings(alpha="start:1, end:0.1")
    assert typed(VideoSettings(mix=(FALL, 1)).mix) == "0s:1, end:0; 1"
    with pytest.raises(UsageError, match=r"--alpha is 1\.5; it must be at least 0 and at most 1"):
        VideoSettings(alpha="1.5")
    with pytest.raises(UsageError, match="--preserve-color: 2 is out of range"):
        VideoSettings(preserve_color="0s:0, end:2")
    with pytest.raises(UsageError, match="--mix must not be all zeros"):
        VideoSettings(mix=("0", "0s:0"))


def test_shares_sum_to_one_in_every_frame():
    curves = ParameterCurves.of(TIMES, Fraction(4), alpha=0.3, mix=("0s:3, end:1", 1.0))
    assert curves.mix == ((0.75, 0.25), *curves.mix[1:4], (0.5, 0.5))
    assert [sum(shares) for shares in curves.mix] == pytest.approx([1] * 5)
    with pytest.raises(UsageError, match=r"no style a share in frame 2, at 0\.5 s"):
        ParameterCurves.of(TIMES, Fraction(4), alpha=0.3, mix=("0s:1, 50%:0, end:1",) * 2)


def test_frames_of_a_film_carry_the_numbers_of_their_time():
    numbers = {"alpha": FALL, "preserve_color": "0s:0 step, 2f:1", "temporal_weight": "0s:0.1, 1s:0.5"}
    settings = VideoSettings(size=0, **numbers)
    source = SequenceSource(Still(5, tuple(Fraction(n, 4) for n in (0, 1, 2, 3, 8))), settings, (FALL, "0s:0, end:1"))
    whole = list(source.frames(0))
    assert [frame.alpha for frame in whole] == [1, 0.875, 0.75, 0.625, 0]
    assert [frame.mix for frame in whole] == [(a, 1 - a) for a in (1, 0.875, 0.75, 0.625, 0)]
    assert [frame.preserve_color for frame in whole] == [0, 0, 1, 1, 1]
    assert [frame.temporal_weight for frame in whole] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [frame.alpha for frame in source.frames(3)] == [0.625, 0]
    plain = dataclasses.replace(settings, warm_start="previous", temporal_weight=VideoSettings.temporal_weight)
    unwarped = SequenceSource(Still(5), plain, (1.0, 1.0))
    assert [frame.temporal_weight for frame in unwarped.frames(0)] == [0] * 5


def test_a_repeated_picture_is_done_already_unless_something_else_is_wanted_of_it():
    done = Budget(1, 0.0)

    def budgets(mix=(1.0,), **numbers):
        return [frame.budget for frame in SequenceSource(Still(4), VideoSettings(size=0, **numbers), mix).frames(0)]

    assert budgets() == budgets(preserve_color="0s:0, end:1") == [None, done, done, done]
    assert budgets(alpha=FALL) == budgets(mix=(FALL, 1.0)) == [None] * 4
    assert budgets(alpha="0s:1 step, 2f:0") == [None, done, None, done]


def test_an_animation_follows_a_schedule_there_and_back():
    picture = np.zeros((32, 48, 3), np.float32)
    settings = BalanceSettings(
        seconds=2, fps=4, space="linear", alpha="0s:1, 50%:0.6 step, end:0", preserve_color="0s:0, 0.5s:1"
    )
    source = PictureSource(picture, settings, Animation(settings, (1.0,)).plan())
    frames = list(source.frames(0))
    assert [frame.alpha for frame in frames] == pytest.approx([1, 0.8, 0.6, 0.6, 0])
    assert [frame.preserve_color for frame in frames] == [0, 0.5, 1, 1, 1]
    one_way = Animation(dataclasses.replace(settings, bounce=False, alpha=FALL), (1.0,)).plan()
    assert list(one_way.curves.alpha) == pytest.approx([1 - n / 7 for n in range(8)])
    with pytest.raises(UsageError, match="without them"):
        BalanceSettings(alpha=FALL, alpha_from=0.5)


def test_a_video_from_content_to_style(clip, pictures, settings, tmp_path):
    seen = []
    settings = dataclasses.replace(settings, alpha=FALL, iterations=20, tolerance=0.0)

    def on_frame(result, total):
        seen.append(result)

    stylize_video(clip, pictures[:1], tmp_path / "out.mp4", settings, run=RunOptions(on_frame=on_frame))
    source = VideoSource(str(clip), settings, (1.0,))
    assert np.array_equal(seen[0].image, pixels(next(source.frames(0)).image))
    style = [result.losses["style"] for result in seen]
    assert style[0] > 2 * style[1] > 4 * max(style[4:])
    assert seen[-1].losses["content"] > seen[0].losses["content"] == 0


class Stop(Exception):
    pass


def stop_after(frame):
    def on_frame(result, total):
        if result.index == frame:
            raise Stop

    return on_frame


def test_resuming_in_the_middle_of_a_schedule_gives_the_same_bytes(clip, pictures, settings, tmp_path):
    whole, out = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    settings = dataclasses.replace(settings, alpha=FALL, preserve_color="0s:1, end:0", mix=(FALL, "0s:0, end:1"))
    stylize_video(clip, pictures[:2], whole, settings)
    for frame in (2, 5):
        with pytest.raises(Stop):
            stylize_video(clip, pictures[:2], out, settings, run=RunOptions(on_frame=stop_after(frame)))
    other = dataclasses.replace(settings, alpha="0s:1, end:0.1")
    with pytest.raises(JobError, match=r"alpha was 0s:1, end:0, now 0s:1, end:0\.1"):
        stylize_video(clip, pictures[:2], out, other)
    spelt = dataclasses.replace(settings, alpha="start:1.0,100%:0")
    stylize_video(clip, pictures[:2], out, spelt)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.clips
def test_an_animation_has_an_alpha_over_time_from_python_too(pictures, settings, tmp_path):
    settings = settings_of(BalanceSettings, settings, alpha="0s:1, end:0.5", seconds=1, fps=4, space="linear")
    plan = plan_balance(settings)
    assert plan.alpha == (1, 0.75, 0.5, 0.75)
    assert plan.times == (0, 0.25, 0.5, 0.75)
    with pytest.raises(Stop):
        animate_balance(
            pictures[0], pictures[1:2], tmp_path / "out.gif", settings, run=RunOptions(on_frame=stop_after(1))
        )
    changed = dataclasses.replace(settings, alpha="0s:1, end:0.4")
    with pytest.raises(JobError, match=r"alpha was 0s:1, end:0\.5, now"):
        animate_balance(pictures[0], pictures[1:2], tmp_path / "out.gif", changed)


def test_a_still_refuses_to_change():
    for name, value in {"alpha": FALL, "preserve_color": FALL, "mix": (FALL, 1.0)}.items():
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is .* a still has no time"):
            ImageSettings(**{name: value})
    with pytest.raises(UsageError, match=r"--preserve-color is .* a still has no time"):
        SheetSettings(preserve_color=FALL)


def test_a_plan_takes_the_times_of_the_clip(clip, pictures):
    plan = plan_video(clip, pictures[:1], VideoSettings(alpha=FALL, end=0.2))
    assert plan.times == tuple(Fraction(number, 24) for number in range(5))
    assert plan.alpha == (1, 0.75, 0.5, 0.25, 0)


def test_a_chart_by_hand():
    curves = {"alpha": (1, 0.75, 0.5, 0.25, 0), "preserve-color": (0.2,) * 5, "weight": (0, 0.01, 0.02, 0.03, 0.04)}
    assert list(text_plots(curves, TIMES, 25)) == [
        "preserve-color: 0.2 all the time",
        "",
        "alpha: 1 at the start, 0 at the end, between 0 and 1",
        "  1 │█████",
        "    │█████▄▄▄▄▄",
        "    │██████████",
        "    │███████████████",
        "    │███████████████▄▄▄▄",
        "  0 │███████████████████",
        "    └────────────────────",
        "     0 s    0.5 s     1 s",
        "",
        "weight: 0 at the start, 0.04 at the end, between 0 and 0.04",
        "0.04 │                  █",
        "     │              ▄▄▄▄█",
        "     │              █████",
        "     │         ██████████",
        "     │     ▄▄▄▄██████████",
        "   0 │     ██████████████",
        "     └───────────────────",
        "      0 s    0.5 s    1 s",
    ]


def test_a_chart_keeps_its_width_except_where_there_is_none():
    for width in (0, 24, 80):
        lines = list(text_plots({"alpha": (1, 0)}, [Fraction(0), Fraction(99999)], width))[2:]
        assert max(map(len, lines)) == max(width, 24)
        assert lines[-1].endswith("1e+05 s")


def test_plot_schedule_draws_and_stops(vidstyle, clip, pictures, tmp_path):
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "out.mp4"
    mix = ["--mix", "0s:1, end:0; 0s:0 ease, end:1"]
    done = vidstyle("video", clip, *pictures[:2], "-o", out, "--alpha", FALL, *mix, "--plot-schedule")
    assert done.exit_code == 0, done.output
    weight = f"temporal-weight: {VideoSettings().temporal_weight} all the time"
    for line in ("alpha: 1 at the start, 0 at the end", "share of style 2: 0 at", weight):
        assert line in done.output
    assert done.output.count("█") > 100
    done = vidstyle(
        "balance", pictures[0], pictures[1], "-o", tmp_path / "out.gif", "--plot-schedule", "--space", "linear"
    )
    assert "alpha: 1 at the start, 0.95" in done.output.replace("0.9583", "0.95")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.clips
def test_scheduled_jobs_from_the_command_line(vidstyle, pictures, network, tmp_path):
    out = tmp_path / "out.gif"
    options = ["--network", network, "--size", 64, "--first-iterations", 3, "--iterations", 2, "--device", "cpu"]
    alpha = [
        "--alpha",
        "0s:1, 50%:0.4 ease, end:0",
        "--mix",
        "0s:1, end:0; 0s:0, end:1",
        "--preserve-color",
        "0s:1, end:0",
    ]
    done = vidstyle("balance", *pictures, "-o", out, "--seconds", 1, "--fps", 5, "--no-bounce", *alpha, *options)
    assert done.exit_code == 0, done.output
    with Image.open(out) as gif:
        assert gif.n_frames == 5
        first = np.asarray(gif.convert("RGB"), dtype=float)
    photo = np.asarray(Image.open(pictures[0]), dtype=float)
    assert np.abs(first - photo).mean() < 9  # a GIF has few colours, and all frames share them


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("video", ["--alpha", "0s:1, 50%:.4 eas, end:0"],
         ["--alpha: got 'eas'", "  0s:1, 50%:.4 eas, end:0", 15 * " " + "^"]),
        ("video", ["--alpha", "0s:1, end:7"], ["7 is out of range", "  0s:1, end:7", 12 * " " + "^"]),
        ("video", ["--temporal-weight", "0s:1, end:-1"], ["--temporal-weight: -1 is out of range", 12 * " " + "^"]),
        ("video", ["--mix", "1; 0s:1, end"], ["--mix, style 2: got the end where there must be a colon after end"]),
        ("video", ["--mix", "0s:1, end:0"], ["--mix has 1 numbers for 2 style image(s)"]),
        ("video", ["--alpha", "9s:1, end:0"], ["--alpha: this is at 0.2917 s, before the key", 8 * " " + "^"]),
        ("video", ["--alpha", "a lot"], ["--alpha: this is no number", "  a lot", "  ^"]),
        ("balance", ["--alpha", "0s:1, end:0", "--to", "0.2"], ["--alpha says all that --from and --to do"]),
        ("balance", ["--preserve-color", "0s:0 loop"], ["a loop needs two keys", 7 * " " + "^"]),
        ("image", ["--alpha", "0s:1, end:0"], ["--alpha is '0s:1, end:0', but a still has no time"]),
    ],
)  # fmt: skip
def test_refuses_with_a_caret(vidstyle, clip, pictures, tmp_path, command, options, words):
    content = clip if command == "video" else pictures[2]
    suffix = {"video": ".mp4", "balance": ".gif", "image": ".png"}[command]
    done = vidstyle(command, content, *pictures[:2], "-o", tmp_path / f"o{suffix}", *options, "-q")
    assert done.exit_code == 2, done.output
    for word in words:
        assert word in done.output.splitlines() or word in done.output.splitlines()[0], done.output
    assert not list(tmp_path.glob("o.*"))


def test_the_colours_that_are_kept_are_those_of_the_frame(tiny_network, settings):
    stylizer = Stylizer(tiny_network, [noise(64, 64, seed=2)], settings)
    frame = Frame(0, noise(48, 64, seed=1), None, 0.1, (1.0,))
    plain, kept = (stylizer.step(dataclasses.replace(frame, preserve_color=share), None) for share in (0.0, 1.0))
    assert torch.equal(plain[1].pastiche, kept[1].pastiche)
    assert not np.array_equal(plain[0].image, kept[0].image)

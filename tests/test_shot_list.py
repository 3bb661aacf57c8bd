"""The shots as their users meet them: listed, painted alone like in the clip, and whole through flashes and fades."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import pixels
from conftest import texture as noise
from PIL import Image

from vidstyle import RunOptions, VideoSettings, find_shots, stylize_video

pytestmark = pytest.mark.clips
FAST = ["--size", "64", "--first-iterations", "4", "--iterations", "3", "--device", "cpu", "-q", "--keep-job"]
LENGTHS = (7, 4, 9)


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(noise(64, 64, seed=2))).save(tmp_path / "style.png")
    return tmp_path / "style.png"


def shots():
    """The frames of three shots; in the last one it flashes."""
    frames = [frame for seed, length in enumerate(LENGTHS) for frame in pan(length, seed=seed)]
    frames[15] = np.full_like(frames[15], 255)
    return frames


def table(done):
    """The numbers of the table that was printed."""
    assert done.exit_code == 0, done.output
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["shot", "first", "last", "start", "s", "end", "s", "length", "s"]
    return [tuple(float(number) for number in row.split()) for row in rows]


def test_shots_are_listed_and_nothing_is_painted(vidstyle, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", shots(), rate=25)
    whole = [(1, 0, 6, 0.0, 0.28, 0.28), (2, 7, 10, 0.28, 0.44, 0.16), (3, 11, 19, 0.44, 0.8, 0.36)]
    assert table(vidstyle("video", clip, "--shots")) == whole
    part = [(1, 5, 6, 0.2, 0.28, 0.08), (2, 7, 10, 0.28, 0.44, 0.16), (3, 11, 11, 0.44, 0.48, 0.04)]
    assert table(vidstyle("video", clip, "--shots", "--start", 0.2, "--end", 0.45)) == part
    assert table(vidstyle("video", clip, "--shots", "--no-cuts", "--start", 0.2)) == [(1, 5, 19, 0.2, 0.8, 0.6)]
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("given", [[], ["style.png"], ["-o", "out.mp4"], ["-o", "out.mp4", "--plot-schedule"]])
def test_without_it_a_style_and_an_output_are_required(vidstyle, tmp_path, given):
    done = vidstyle("video", tmp_path / "clip.mp4", *given)
    assert done.exit_code == 2
    assert done.output == "vidstyle: to paint a clip takes a STYLE and -o FILE; only --shots does without\n"


def test_a_clip_that_cannot_be_read_has_no_shots(vidstyle, tmp_path):
    done = vidstyle("video", tmp_path / "clip.mp4", "--shots")
    assert done.exit_code == 3
    assert len(done.output.splitlines()) == 1


UNEVEN = [Fraction(sum((40, 33, 17, 120)[number % 4] for number in range(count)), 1000) for count in range(20)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp4", {"rate": 24}),
        pytest.param("clip.mkv", {"rate": Fraction(30000, 1001)}, marks=pytest.mark.slow),
        ("clip.mkv", {"times": UNEVEN}),
        pytest.param("clip.gif", {"rate": 12, "codec": "gif", "pixels": "rgb8"}, marks=pytest.mark.slow),
    ],
)
def test_a_shot_alone_is_painted_like_in_the_clip(vidstyle, tmp_path, style, network, name, options):
    """To the byte, between the times of the table."""
    clip = make_clip(tmp_path / name, shots(), **options)
    rows = table(vidstyle("video", clip, "--shots"))
    assert [row[1:3] for row in rows] == [(0, 6), (7, 10), (11, 19)]

    def paint(name, *bounds):
        out = tmp_path / name
        done = vidstyle("video", clip, style, "-o", out, "--network", network, *FAST, *bounds)
        assert done.exit_code == 0, done.output
        return [path.read_bytes() for path in sorted((tmp_path / f"{name}.job" / "frames").iterdir())]

    whole = paint("whole.mp4")
    assert len(whole) == sum(LENGTHS)
    for number, first, last, start, end, _ in rows:
        alone = paint(f"alone{number:.0f}.mp4", "--start", start, "--end", end)
        assert alone == whole[int(first) : int(last) + 1]


def test_the_library_gives_shots_too(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", shots(), rate=24)
    found = find_shots(clip)
    assert [(shot.first, shot.end) for shot in found] == [(0, 7), (7, 11), (11, 20)]
    assert [shot.start_seconds for shot in found] == [0, Fraction(7, 24), Fraction(11, 24)]
    assert found[-1].end_seconds == Fraction(20, 24)
    assert found[1].range == (0.291, 0.458)
    assert find_shots(clip, VideoSettings(start=0.291, end=0.458)) == [found[1]]


@pytest.mark.parametrize(
    "gains",
    [
        pytest.param({3: 9, 4: 9}, id="flash"),
        pytest.param({3: 0}, id="black", marks=pytest.mark.slow),
        pytest.param({3: 0.6, 4: 0.3, 5: 0.1, 6: 0.4}, id="fade", marks=pytest.mark.slow),
        pytest.param(dict.fromkeys(range(3, 8), 0.7), id="exposure", marks=pytest.mark.slow),
    ],
)
def test_a_painting_goes_on_through_changes_of_light(tmp_path, style, network, gains):
    """Afterwards it is nearly what it were without them, and far from what is painted from scratch."""
    wide = pixels(noise(64, 96 + 32, seed=3))
    frames = [wide[:, 3 * number : 3 * number + 96] for number in range(8)]
    lit = [(frame * float(gains.get(number, 1))).clip(0, 255).astype(np.uint8) for number, frame in enumerate(frames)]
    # With plain Gram matrices, whose steps are shorter with a random network: what is tested is where painting goes on.
    few = {"first_iterations": 30, "iterations": 1}
    settings = VideoSettings.preset(
        "gatys", size=96, network=str(network), device="cpu", alpha=0.0, init="noise", **few
    )

    def last(name, frames, **changes):
        clip = make_clip(tmp_path / f"{name}.mp4", frames, rate=24, options={"crf": "8"})
        stylize_video(
            clip,
            [style],
            tmp_path / f"{name}.gif",
            dataclasses.replace(settings, **changes),
            run=RunOptions(keep_job=True),
        )
        with Image.open(tmp_path / f"{name}.gif.job" / "frames" / "000007.png") as painted:
            return np.asarray(painted, float)[12:-12, 12:-32]

    plain, event = last("plain", frames), last("event", lit, long_term=())
    anew = last("anew", frames, warm_start="none", iterations=VideoSettings.iterations, seed=1)
    assert np.abs(event - plain).mean() < 0.4 * np.abs(anew - plain).mean()

"""Outputs of limited size: they fit, they use what they may, and they say what they gave up."""

import itertools
import re
from dataclasses import astuple, replace
from fractions import Fraction

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import pixels
from conftest import texture as noise
from PIL import Image
from test_animations import seen
from test_gif import distance

from vidstyle import BalanceSettings, EncodeSettings, RunOptions, animate_balance, encode_job
from vidstyle.errors import SizeError, UsageError
from vidstyle.jobs.output.reductions import Reduction, Trial, largest, search
from vidstyle.media.writers.base import Encoding
from vidstyle.system.sites import SITES, bytes_of, said
from vidstyle.types import ClipInfo

pytestmark = pytest.mark.clips
slow = pytest.mark.slow
FAST = ["--size", "160", "--first-iterations", "4", "--iterations", "3", "--device", "cpu"]
MOST = Reduction(narrower=10, slower=2, plainer=1)


@pytest.fixture
def pictures(tmp_path):
    """A picture and a style."""
    for name, seed, side in (("photo", 5, 160), ("style", 2, 64)):
        Image.fromarray(pixels(noise(side * 3 // 4, side, seed=seed))).save(tmp_path / f"{name}.png")
    return tmp_path / "photo.png", tmp_path / "style.png"


@pytest.fixture
def job(tmp_path, pictures, network, once):
    """A finished animation of 160x120 pixels, 24 frames at 12 a second."""
    settings = BalanceSettings(
        size=160, seconds=2, fps=12, first_iterations=12, iterations=4, device="cpu", network=str(network)
    )
    once(
        lambda: animate_balance(
            pictures[0], [pictures[1]], tmp_path / "full.gif", settings, run=RunOptions(keep_job=True)
        )
    )
    return tmp_path / "full.gif.job"


def looked_at(path):
    """Width, number of frames, colours and seconds of an animation."""
    frames, _, end = seen(path)
    return frames[0].shape[1], len(frames), len(np.unique(np.concatenate(frames).reshape(-1, 3), axis=0)), end / 1000


class TestSearch:
    """A size and an error that can be computed by hand."""

    @staticmethod
    def measure(reduction):
        size = 1e6 * 0.8**reduction.narrower / (1 + reduction.slower) * 0.9 ** (8 * reduction.plainer)
        return Trial(size, 1 + 0.1 * reduction.narrower + 2 * reduction.slower + 0.24 * reduction.plainer**2)

    @pytest.mark.parametrize("limit", [9e5, 5e5, 2e5, 1e5])
    def test_it_fits_and_uses_what_it_may(self, limit):
        found = self.measure(search(self.measure, MOST, limit))
        assert 0.95 * limit <= found.size <= limit

    @pytest.mark.parametrize("limit", [8e5, 5e5, 2e5, 3e4])
    def test_it_is_nearly_the_least_visible_of_all(self, limit):
        grid = itertools.product(np.arange(0, 10.1, 0.25), range(3), np.arange(0, 1.01, 0.05))
        fitting = [trial for one in grid if (trial := self.measure(Reduction(*one))).size <= limit]
        least = min(trial.error for trial in fitting)
        assert self.measure(search(self.measure, MOST, limit)).error <= 1.05 * least

    def test_what_fits_gives_up_nothing(self):
        assert search(self.measure, MOST, 1e6) == Reduction()

    def test_the_cheapest_is_given_up_first(self):
        assert search(self.measure, MOST, 5e5).slower == 0  # jerks cost most
        found = search(self.measure, MOST, 8.5e5)
        assert (found.narrower, found.slower) == (0, 0)  # the palette saves most for what it costs
        assert 0 < found.plainer <= 0.25

    def test_what_cannot_be_reached(self):
        least = self.measure(MOST).size
        assert search(self.measure, MOST, 0.99 * least) is None
        assert search(self.measure, MOST, 1.01 * least) is not None

    def test_never_beyond_the_most(self):
        found = search(self.measure, MOST, 1.2 * self.measure(MOST).size)
        assert all(0 <= value <= most for value, most in zip(astuple(found), astuple(MOST), strict=True))
        assert found.slower == int(found.slower)

    def test_the_last_resort_is_what_still_shows_something(self):
        info = ClipInfo(240, 180, Fraction(25), 50)
        _, last = largest(info)
        assert last.size(info) == (120, 90)
        assert info.fps / (1 + last.slower) >= 6
        assert (last.encoding(Encoding()).colors, last.encoding(Encoding()).dither) == (16, 0)


@pytest.mark.parametrize("share", [pytest.param(0.75, marks=slow), 0.4, pytest.param(0.15, marks=slow)])
def test_it_lands_near_the_limit(vidstyle, tmp_path, job, share):
    before = sorted((path, path.stat().st_mtime_ns) for path in (job / "frames").iterdir())
    limit = int(share * (tmp_path / "full.gif").stat().st_size)
    done = vidstyle("encode", job, "-o", tmp_path / "a.gif", "--max-size", limit)
    assert done.exit_code == 0, done.output
    assert 0.85 * limit <= (tmp_path / "a.gif").stat().st_size <= limit
    assert sorted((path, path.stat().st_mtime_ns) for path in (job / "frames").iterdir()) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    width, frames, colors, seconds = looked_at(tmp_path / "a.gif")
    said_so = " ".join(done.output.split())
    assert f"{said((tmp_path / 'a.gif').stat().st_size)} of {said(limit)}; gave up: " in said_so
    for text, full, now in (("px wide", 160, width), ("frames a second", 12, frames / seconds)):
        given = re.search(rf"{full} -> (\d+) {text}", said_so)
        assert round(now) == (int(given[1]) if given else full)
    given = re.search(r"255 -> (\d+) colours", said_so)
    assert colors <= (int(given[1]) if given else 255)
    assert seconds == 2


@pytest.mark.parametrize(
    "suffix", [".mp4", pytest.param(".webm", marks=slow), ".webp", pytest.param(".avif", marks=slow)]
)
def test_the_other_formats_become_coarser(vidstyle, tmp_path, job, suffix):
    encode_job(job, tmp_path / f"full{suffix}")
    size = (tmp_path / f"full{suffix}").stat().st_size
    for share in (1.2, 0.5):
        limit = int(share * size)
        done = vidstyle("encode", job, "-o", tmp_path / f"a{suffix}", "--max-size", limit, "-y", "--no-metadata")
        assert done.exit_code == 0, done.output
        assert (tmp_path / f"a{suffix}").stat().st_size <= limit
        text = " ".join(done.output.split())
        if share > 1:
            assert "gave up: nothing" in text
            continue
        crf = int(re.search(r"gave up: crf 18 -> (\d+)", text)[1])
        encode_job(job, tmp_path / f"better{suffix}", EncodeSettings(crf=crf - 1, metadata=False))
        assert (tmp_path / f"better{suffix}").stat().st_size > limit  # nothing better would have fitted
    done = vidstyle("encode", job, "-o", tmp_path / f"b{suffix}", "--max-size", "1kB")
    assert done.exit_code == SizeError.exit_code
    assert not (tmp_path / f"b{suffix}").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@slow
def test_a_larger_limit_looks_better(tmp_path, job):
    full, _, _ = seen(tmp_path / "full.gif")
    off = []
    for share in (0.1, 0.3, 0.8):
        limit = int(share * (tmp_path / "full.gif").stat().st_size)
        encode_job(job, tmp_path / "a.gif", EncodeSettings(max_size=str(limit)), overwrite=True)
        frames, _, _ = seen(tmp_path / "a.gif")
        every = len(full) // len(frames)
        larger = [np.asarray(Image.fromarray(one).resize((160, 120))) for one in frames]
        off.append(distance(full, [larger[number // every] for number in range(len(full))]))
    assert off == sorted(off, reverse=True)


def test_what_fits_is_as_without_a_limit(vidstyle, tmp_path, job):
    done = vidstyle("encode", job, "-o", tmp_path / "a.gif", "--max-size", "1 MiB", "--no-metadata")
    assert done.exit_code == 0, done.output
    assert "gave up: nothing" in done.output
    encode_job(job, tmp_path / "plain.gif", EncodeSettings(metadata=False))
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "plain.gif").read_bytes()
    assert vidstyle("encode", job, "-o", tmp_path / "b.gif", "--max-size", "1MiB", "-q").output == ""


def test_what_cannot_fit_says_so_and_loses_nothing(vidstyle, tmp_path, pictures, network):
    (tmp_path / "a.gif").write_text("precious")
    command = ["balance", *pictures, "-o", tmp_path / "a.gif", "-o", tmp_path / "b.png", "--network", network, *FAST]
    command = [*command, "--seconds", 1, "-y", "--max-size"]
    done = vidstyle(*command, "1kB")
    assert done.exit_code == 10
    text = " ".join(done.output.split())
    assert re.search(
        r"does not fit into 1 kB: .*160 -> 120 px wide, 12 -> 6 frames a second, 255 -> 16 colours, .* it takes", text
    )
    assert (tmp_path / "a.gif").read_text() == "precious"
    assert (tmp_path / "b.png").exists()  # which has no limit
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    size = re.search(r"it takes ([\d.]+ kB)", text)[1]
    frames = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "a.gif.job/frames").iterdir())
    done = vidstyle(*command, f"{float(size[:-3]) * 1.02}kB", "--keep-job")
    assert done.exit_code == 0, done.output
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "a.gif.job/frames").iterdir()) == frames


@slow
def test_a_clip(vidstyle, tmp_path, pictures, network):
    clip = make_clip(tmp_path / "clip.mp4", pan(20, 160, 120), rate=Fraction(24))
    outputs = ["-o", tmp_path / "a.gif", "-o", tmp_path / "b.mp4"]
    done = vidstyle("video", clip, pictures[1], *outputs, "--network", network, *FAST, "--max-size", "90kB")
    assert done.exit_code == 0, done.output
    assert 0.85 * 90e3 <= (tmp_path / "a.gif").stat().st_size <= 90e3
    assert "a.gif: " in done.output
    assert looked_at(tmp_path / "a.gif")[3] == pytest.approx(20 / 24, abs=0.006)


@pytest.mark.parametrize(
    ("text", "size"), [("5MB", 5e6), ("900 kB", 9e5), ("1.5MiB", 1.5 * 2**20), ("300000", 3e5), (".5mb", 5e5)]
)
def test_sizes(text, size):
    assert bytes_of(text) == size == EncodeSettings(max_size=text).limit


@pytest.mark.parametrize(
    ("size", "text"), [(4_711_000, "4.71 MB"), (312_400, "312 kB"), (999_900, "1 MB"), (12, "12 bytes")]
)
def test_sizes_said(size, text):
    assert said(size) == text


class TestPlaces:
    def test_each_names_its_source(self):
        for site in SITES.values():
            assert site.source.startswith("https://")
            assert bytes_of(site.max_size) >= 1e6

    def test_they_set_what_is_not_said(self):
        assert EncodeSettings(site="slack").limit == 2_000_000
        assert EncodeSettings(site="slack", max_size="900kB").limit == 900_000
        assert EncodeSettings().limit is None

    def test_they_set_the_width(self, vidstyle, tmp_path, pictures, network):
        settings = BalanceSettings(
            size=500,
            seconds=0.25,
            fps=12,
            first_iterations=2,
            iterations=1,
            device="cpu",
            network=str(network),
        )
        Image.fromarray(pixels(noise(80, 500, seed=5))).save(pictures[0])
        animate_balance(
            pictures[0],
            [pictures[1]],
            tmp_path / "a.gif",
            replace(settings, site="slack"),
            run=RunOptions(keep_job=True),
        )
        assert Image.open(tmp_path / "a.gif").size == (480, 77)
        for options, width in (([], 500), (["--for", "slack"], 480), (["--for", "slack", "--width", 490], 490)):
            done = vidstyle("encode", tmp_path / "a.gif.job", "-o", tmp_path / "b.gif", "-y", *options)
            assert done.exit_code == 0, done.output
            assert Image.open(tmp_path / "b.gif").width == width


@pytest.mark.parametrize(
    ("words", "output", "options"),
    [
        ("5MB, 900kB", "o.gif", ["--max-size", "small"]),
        ("5MB, 900kB", "o.gif", ["--max-size", "5 apples"]),
        ("5MB, 900kB", "o.gif", ["--max-size", "-3MB"]),
        ("less than 1000 bytes", "o.gif", ["--max-size", "0.2kB"]),
        ("--max-size is for .gif", "o.png", ["--max-size", "5MB"]),
        ("--max-size is for .gif", "o.png", ["--for", "github"]),
        ("anywhere, github", "o.gif", ["--for", "the moon"]),
    ],
)
def test_refuses_in_one_sentence_before_painting(vidstyle, tmp_path, pictures, words, output, options):
    before = set(tmp_path.rglob("*"))
    done = vidstyle("balance", *pictures, "-o", tmp_path / output, *options)
    assert done.exit_code == UsageError.exit_code, done.output
    assert words in " ".join(done.output.split())
    assert len([line for line in done.output.splitlines() if line.startswith("vidstyle:")]) == 1
    assert set(tmp_path.rglob("*")) == before


def test_the_error_of_the_library(tmp_path, job):
    with pytest.raises(SizeError, match="larger --max-size"):
        encode_job(job, tmp_path / "a.gif", EncodeSettings(max_size="1kB"))
    assert not (tmp_path / "a.gif").exists()

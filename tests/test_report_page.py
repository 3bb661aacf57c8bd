"""The reports of a measurement: what the commands write, what they refuse, and the page."""

import importlib
import itertools
import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import pixels, texture
from PIL import Image
from typer.testing import CliRunner

from vidstyle import RunOptions, VideoSettings, measure_clip, stylize_video
from vidstyle.cli import app
from vidstyle.jobs.sources.clips import VideoSource
from vidstyle.lab import plots
from vidstyle.lab.evaluate import page, patches, tables
from vidstyle.lab.evaluate.tables import command_line
from vidstyle.lab.plots import Line, heat, line_plot, ticks
from vidstyle.lab.tables import number, share, signed
from vidstyle.motion import flow

FAST = ["--first-iterations", 2, "--iterations", 2, "--device", "cpu", "--precision", "float32"]
VOID = {"meta", "img", "br"}


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    monkeypatch.setattr(patches, "COUNT", 100)


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", pan(4), rate=24)


@pytest.fixture
def style(tmp_path):
    Image.fromarray(pixels(texture(80, 80, seed=2))).save(tmp_path / "style <1>.png")
    return tmp_path / "style <1>.png"


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


class Reader(HTMLParser):
    """What is in a page; fails where an element is not closed, or closed twice."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.sources = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def check_page(text):
    """It needs nothing but itself, and can be read by who cannot see it."""
    assert "http" not in text
    assert "url(" not in text
    reader = Reader(text)
    for _, attributes in reader.found:
        assert not {"href", "srcset", "xlink:href", "onload"} & set(attributes)
        assert attributes.get("src", "data:").startswith("data:")
    assert not reader.all("script")
    assert not reader.all("link")
    assert all(picture["alt"] for picture in reader.all("img"))
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in reader.all("svg"))
    assert "prefers-color-scheme:dark" in text
    assert any(meta.get("name") == "viewport" for meta in reader.all("meta"))
    return reader


@pytest.mark.clips
def test_measure_writes_json_and_a_page(tmp_path, clip, network, style):
    outs = tmp_path / "m.json", tmp_path / "m.HTML"
    given = ["measure", clip, clip, "--style", style, "--network", network, "--pairs", 2, *FAST]
    done = run(*given, "-o", outs[0], "-o", outs[1])
    assert done.exit_code == 0, done.output
    for words in ("warping error", "without flow", "style distance", "sharpness", "luma", "One shot.", "4"):
        assert words in done.stdout
    found = json.loads(outs[0].read_text())
    assert [one["distance"] for one in found["consistency"]] == [1, 10, 30]
    assert [pair["frame"] for pair in found["consistency"][0]["pairs"]] == [1, 2, 3]
    assert found["consistency"][1]["warping"] == dict.fromkeys(("mean", "median", "worst", "worst_frame"))
    assert len(found["independence"]["pairs"]) == 2
    assert found["input"] == found["painted"] | {"name": "clip.mp4"}
    assert found["settings"]["first_iterations"] == 2
    assert not {"worst", "stills"} & set(found)
    assert str(tmp_path) not in outs[0].read_text() + outs[1].read_text()
    reader = check_page(outs[1].read_text())
    assert len(reader.all("img")) == 2 * 4 + 3  # the filmstrip and the worst pair
    assert len(reader.all("svg")) == 4
    assert "style &lt;1&gt;.png" in outs[1].read_text()
    assert [one["frame"] for one in found["patches"]] == [0, 1, 3]
    assert "5x5 patches, recall" in done.stdout and "5x5 patches, recall" in outs[1].read_text()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".HTML", ".json", ".mp4", ".png", ".safetensors"]


@pytest.mark.clips
def test_measure_needs_no_style_and_no_output(tmp_path, clip):
    before = set(tmp_path.iterdir())
    done = run("measure", clip, clip)
    assert done.exit_code == 0, done.output
    assert "No style was given" in done.stdout.replace("\n", " ")
    assert set(tmp_path.iterdir()) == before
    assert run("measure", clip, clip, "-q").output == ""


@pytest.mark.clips
def test_refusals(tmp_path, clip, style, network):
    shorter = make_clip(tmp_path / "shorter.mp4", pan(3), rate=24)
    there = tmp_path / "there.html"
    there.write_text("precious")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    cases = [
        (3, "3 frames", [clip, shorter]),
        (3, "no-such", [clip, tmp_path / "no-such.mp4"]),
        (3, "no-such", [clip, clip, "--style", tmp_path / "no-such.png"]),
        (4, "-y", [clip, clip, "-o", there]),
        (2, ".json or .html", [clip, clip, "-o", tmp_path / "m.txt"]),
        (7, "nowhere", [clip, clip, "-o", tmp_path / "nowhere" / "m.json"]),
        (2, "compact, vgg19", [clip, clip, "--style", style, "--judge", "me"]),
        (2, "--mix has 2", [clip, clip, "--style", style, "--mix", ".5,.5"]),
    ]
    for code, words, arguments in cases:
        done = run("measure", *arguments, "-q", "--network", network)
        assert (done.exit_code, done.stdout) == (code, ""), (arguments, done.output)
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run("measure", clip, clip, "-o", there, "-y").exit_code == 0
    check_page(there.read_text())


@pytest.mark.clips
@pytest.mark.parametrize("name", ["painted.mp4", "painted.gif"])
def test_a_job_reports_on_its_own_frames(tmp_path, clip, style, network, name):
    out, job = tmp_path / name, ["video", clip, style, "-o", tmp_path / name, "--network", network, *FAST, "--size", 64]
    done = run(*job, "--report", "--keep-job")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "painted.report.json").read_text())
    check_page((tmp_path / "painted.report.html").read_text())
    assert (found["painted"]["name"], found["painted"]["frames"]) == (name, 4)
    assert (found["painted"]["width"], found["painted"]["height"]) == (64, 42)
    assert found["command"].startswith(f"vidstyle video clip.mp4 'style <1>.png' -o {name} --report --size 64")
    frames = [np.asarray(Image.open(path)) for path in sorted((tmp_path / f"{name}.job" / "frames").iterdir())]
    change = np.mean([np.square((b.astype(float) - a) / 255).mean() for a, b in itertools.pairwise(frames)])
    assert found["consistency"][0]["plain"]["mean"] == pytest.approx(change, rel=1e-4)  # lossless
    assert len(found["independence"]["pairs"]) == 3
    assert "encoded" not in " ".join(found["notes"])
    out.unlink()
    (tmp_path / "painted.report.json").unlink()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = run(*job, "--report", "-q", "--restart")
    assert done.exit_code == 4
    assert "painted.report.html" in done.output
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert run(*job, "--report", "-q", "-y").exit_code == 0
    assert out.exists()
    assert (tmp_path / "painted.report.json").exists()


@pytest.mark.clips
def test_an_interrupted_report_is_gone_on_with(tmp_path, clip, style, network, monkeypatch):
    """The frames are measured before they are encoded: so the same command may come again."""
    job = ["video", clip, style, "-o", tmp_path / "o.mp4", "--network", network, *FAST, "--size", 64, "--report"]

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vidstyle.lab.evaluate.report.ClipEvaluation.measured", interrupted)
        assert run(*job).exit_code == 130
    assert not (tmp_path / "o.mp4").exists()
    done = run(*job)
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} >= {"o.mp4", "o.report.json", "o.report.html"}
    assert not (tmp_path / "o.mp4.job").exists()


@pytest.mark.clips
def test_an_interrupted_measurement_leaves_nothing(tmp_path, clip, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vidstyle.lab.evaluate.report.ClipEvaluation.run", interrupted)
    done = run("measure", clip, clip, "-o", tmp_path / "m.json")
    assert done.exit_code == 130
    assert "nothing was written" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.clips
@pytest.mark.parametrize("stop", [None, 0, 2, 3])
def test_each_frame_is_handed_over_with_its_painting_wherever_it_was_interrupted(tmp_path, clip, style, network, stop):
    settings = VideoSettings(network=str(network), first_iterations=2, iterations=2, device="cpu", size=64)
    out = tmp_path / "o.png"

    class Seen:
        def __init__(self, source):
            self.source, self.frames, self.end = source, [], 0

        def add(self, frame, painting):
            self.frames.append((frame, painting))

        def done(self):
            assert not out.exists()
            self.end = len(self.frames)

    def interrupt(result, total):
        if result.index == stop:
            raise KeyboardInterrupt

    if stop is not None:
        with pytest.raises(KeyboardInterrupt):
            stylize_video(clip, [style], out, settings, run=RunOptions(on_frame=interrupt))
    observers = []
    watched = RunOptions(observe=lambda source: observers.append(Seen(source)) or observers[0], keep_job=True)
    stylize_video(clip, [style], out, settings, run=watched)
    (seen,) = observers
    assert (seen.end, seen.source.info.frames) == (4, 4)
    for (frame, painting), path in zip(seen.frames, sorted((tmp_path / "o.png.job/frames").iterdir()), strict=True):
        assert path.stem == f"{frame.index:06d}"
        assert np.array_equal(painting, np.asarray(Image.open(path)))
        assert (frame.motion is None) == (frame.index == 0)


@pytest.mark.clips
@pytest.mark.parametrize("options", [[], ["--warm-start", "previous"]], ids=["along the flow", "along none"])
def test_a_report_decodes_and_estimates_nothing_that_the_painting_has(
    tmp_path, clip, style, network, monkeypatch, options
):
    """And says the same as a measurement of the frames from the beginning, with flow of its own."""
    decoded, estimated = [], []
    decode, estimator = VideoSource.frames, flow.estimator
    survey = importlib.import_module("vidstyle.media.video").survey

    class Counted:
        def __init__(self, *arguments):
            self.real = estimator(*arguments)
            self.fingerprint = self.real.fingerprint

        def __call__(self, *pair, **how):
            estimated.append(1)
            return self.real(*pair, **how)

    monkeypatch.setattr(VideoSource, "frames", lambda self, start: decoded.append(start) or decode(self, start))
    monkeypatch.setattr("vidstyle.media.video.survey", lambda *a, **k: decoded.append("survey") or survey(*a, **k))
    monkeypatch.setattr(flow, "estimator", Counted)
    words = [clip, style, "-o", tmp_path / "o.png", "--network", network, *FAST, "--size", 64, "--long-term", ""]
    words = words[:-2] if options else words
    done = run("video", *words, *options, "--report", "--keep-job")
    assert done.exit_code == 0, done.output
    if not options:
        assert decoded == ["survey", 0]
        assert len(estimated) == 3  # of four frames
    done = run("measure", clip, tmp_path / "o.png", "--style", style, "-o", tmp_path / "m.json", *words[4:], *options)
    assert done.exit_code == 0, done.output
    ours, theirs = (json.loads((tmp_path / name).read_text()) for name in ("o.report.json", "m.json"))
    for part in ("consistency", "independence", "drift", "frames", "patches"):
        assert ours[part] == theirs[part]


@pytest.mark.clips
def test_a_clip_without_pairs_has_a_page(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", pan(1))
    found = measure_clip(clip, clip)
    assert len(check_page(page.html(found)).all("img")) == 2
    assert list(tables.tables(found))


def test_the_command_names_what_differs_from_the_defaults(tmp_path):
    settings = VideoSettings(size=0, cuts=False, mix=(0.5, 0.5), network=str(tmp_path / "my net.safetensors"), end=1.5)
    line = command_line(["video", "a.mp4"], settings)
    assert line == "vidstyle video a.mp4 --size 0 --network 'my net.safetensors' --mix 0.5,0.5 --end 1.5 --no-cuts"


def test_numbers_are_round():
    for low, high, words in (
        (0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"),
        (-0.013, 0.04, "-0.01 0.00 0.01 0.02 0.03 0.04"),
        (0, 0.00021, "0.00000 0.00005 0.00010 0.00015 0.00020"),
        (-3, 12, "0 5 10"),
        (0, 1e-9, "0e+00 2e-10 4e-10 6e-10 8e-10 1e-09"),
    ):
        told = list(ticks(low, high))
        assert [word for _, word in told] == words.split()
        assert [number for number, _ in told] == pytest.approx(list(map(float, words.split())))
    assert (signed(-0.04), signed(-1.26)) == ("+0.0", "-1.3")
    for value, words in ((0.00123, "0.00123"), (12.345, "12.3"), (1234, "1234"), (1e-9, "1.0e-09"), (0, "0")):
        assert number(value) == words
    assert number(math.nan) == signed(math.nan) == share(math.nan) == "–"


def moves(plot, kind):
    """The lines of a plot: its path, split where the pen is lifted."""
    path = next(attributes["d"] for attributes in Reader(plot).all("path") if attributes["class"] == f"line {kind}")
    return [[word.split("h0")[0] for word in run.split("L")] for run in path.split("M")[1:]]


def test_a_line_has_gaps_and_breaks_at_cuts():
    values = [0.0, 1.0, math.nan, 3.0, 4.0, 5.0]
    plot = line_plot([Line("a", "painted", values)], range(6), alt="a < b", breaks={4})
    assert [len(run) for run in moves(plot, "painted")] == [2, 1, 2]
    heights = [float(point.split()[1]) for run in moves(plot, "painted") for point in run]
    assert heights == sorted(heights, reverse=True)  # upward
    assert Reader(plot).all("svg")[0]["aria-label"] == "a < b"
    assert len([one for one in Reader(plot).all("path") if one["class"] == "cut"]) == 1
    Reader(line_plot([Line("a", "input", [math.nan])], [0.0], alt="nothing"))


def test_a_long_line_stays_small_and_keeps_its_peaks():
    values = [0.0] * 50_000
    values[12_345] = 1.0
    plot = line_plot([Line("a", "painted", values)], [number / 25 for number in range(50_000)], alt="a")
    assert len(plot) < 30_000
    top = min(float(point.split()[1]) for point in moves(plot, "painted")[0])
    assert top < plots.TOP + 0.1 * plots.HEIGHT


def test_the_brightest_place_of_a_heat_map_is_the_worst():
    squares = np.zeros((40, 60), np.float32)
    squares[10:20, 30:40] = 0.25
    squares[:, :5] = math.nan
    picture, top = heat(squares)
    assert (picture[:, :5] == plots.UNSEEN).all()
    assert picture[15, 35].sum() > 600
    assert picture[30, 35].sum() < 20
    assert top == pytest.approx(0.5)

"""The benchmark: what it counts, what it reports, and the textbook program that it compares with."""

import itertools
import json
import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from clips import make_clip, pan
from conftest import pixels, texture
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.core import networks
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import MemoryLimitError
from vidstyle.lab import bench, synthetic, tables
from vidstyle.lab.bench import baseline, machine, roofline, timings
from vidstyle.lab.bench import tables as bench_tables
from vidstyle.settings import PRESETS, VideoSettings
from vidstyle.types import ClipInfo, Frame

FAST = ["--size", 64, "--first-iterations", 2, "--iterations", 2, "--device", "cpu", "--frames", 3]


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """No measurement is repeated more than it must be."""
    monkeypatch.setattr(machine, "BUDGET", 0.0)
    monkeypatch.setattr(machine, "MATRIX_SIDE", {"cpu": 64})
    monkeypatch.setattr(machine, "COPIED_BYTES", 2**16)
    monkeypatch.setattr(timings, "IN_A_ROW", {"cpu": 2})


@pytest.fixture
def weights(slim_vgg19):
    return slim_vgg19


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@pytest.mark.clips
def test_it_needs_no_files_and_tells_everything(tmp_path, network):
    out = tmp_path / "bench.json"
    done = run("--network", network, *FAST, "-o", out)
    assert done.exit_code == 0, done.output
    for words in ("an evaluation", "warm-started frame", "matrix product", "frames a second", "memory", "generated"):
        assert words in done.output
    found = json.loads(out.read_text())
    parts = ("vidstyle", "clip", "styles", "settings", "machine", "evaluation", "still", "warm", "job")
    assert set(found) == {*parts, "baseline", "scaling", "roofline"}
    assert (found["baseline"], found["scaling"], found["roofline"]) == (None, None, None)
    assert found["settings"]["size"] == 64
    one, limits, warm, job = (found[name] for name in ("evaluation", "machine", "warm", "job"))
    assert (one["width"], one["height"]) == (64, 36)
    shorter = min(one["seconds"], one["iteration_seconds"])
    assert one["peak_fraction"] == pytest.approx(one["flops"] / shorter / limits["peak_flops"])
    assert one["bandwidth_fraction"] == pytest.approx(one["traffic"] / shorter / limits["copy_bandwidth"])
    assert found["still"]["evaluations"] == warm["cold_evaluations"] == warm["evaluations"] == 2
    assert warm["frames"] == 2
    assert job["decoded"]
    assert warm["speedup"] == pytest.approx(warm["cold_seconds"] / warm["seconds"])
    assert job["frames_per_second"] == pytest.approx(3 / job["seconds"])
    assert job["first_frame_seconds"] < job["seconds"]
    assert list(job["seconds_after"]) == ["1", "2"]
    names = {stage["name"]: stage for stage in job["stages"]}
    assert {"decode", "flow", "wait", "warp", "aim", "evaluate", "optimise", "save"} <= set(names)
    (bar,) = (line for line in done.output.splitlines() if re.fullmatch(r"D*F*\.*W*A*E*r*S*", line) and "E" in line)
    assert len(bar) == bench_tables.BAR_WIDTH
    assert {name for name, stage in names.items() if stage["thread"] == "ahead"} == {"decode", "flow"}
    assert {name for name, stage in names.items() if stage["thread"] == "behind"} == {"save"}
    assert job["waiting"] == pytest.approx(names["wait"]["seconds"] / job["seconds"])
    work = sum(stage["seconds"] for name, stage in names.items() if name != "wait")
    assert job["overlap"] == pytest.approx(work / job["seconds"])
    in_loop = sum(stage["seconds"] for stage in names.values() if stage["thread"] == "loop")
    assert in_loop <= job["seconds"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "tiny.safetensors"]


def test_own_clip_and_styles(tmp_path, network):
    clip = make_clip(tmp_path / "clip.mp4", pan(2), rate=24)
    for seed in (1, 2):
        Image.fromarray(pixels(texture(40, 64, seed))).save(tmp_path / f"{seed}.png")
    done = run(clip, tmp_path / "1.png", tmp_path / "2.png", "--network", network, *FAST, "-o", tmp_path / "b.json")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "b.json").read_text())
    assert (found["clip"], found["styles"]) == ("clip.mp4", ["1.png", "2.png"])
    assert found["job"]["frames"] == 2  # the clip has no more


def test_refusals(tmp_path, network, weights):
    wide = make_clip(tmp_path / "wide.mp4", pan(2, 96, 32), rate=24)
    there, single = tmp_path / "there.json", make_clip(tmp_path / "single.mp4", pan(1), rate=24)
    there.write_text("precious")
    (tmp_path / "folder.json").mkdir()
    cases = [
        (2, "--network vgg19", ["--baseline"]),
        (4, "-y", ["-o", there]),
        (2, ".json", ["-o", tmp_path / "bench.txt"]),
        (7, "nowhere", ["-o", tmp_path / "nowhere" / "b.json"]),
        (7, "is a folder", ["-o", tmp_path / "folder.json"]),
        (2, "second frame", [single]),
        (2, "32 pixels", [wide, "--network", "vgg19", "--weights", weights, "--baseline"]),
        (3, "no-such", [tmp_path / "no-such.mp4"]),
        (2, "relu9_1", ["--style-layers", "relu9_1"]),
        (2, "--mix has 2", ["--mix", ".5,.5"]),
    ]
    for code, words, arguments in cases:
        done = run("--network", network, *FAST, *arguments)
        assert (done.exit_code, done.stdout) == (code, ""), (arguments, done.output)
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1
    assert there.read_text() == "precious"
    assert run("-o", there, "-y", "--network", network, *FAST).exit_code == 0
    assert json.loads(there.read_text())["job"]["frames"] == 3


def test_an_interruption_leaves_nothing(network, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "job_speed", interrupted)
    done = run("--network", network, *FAST, "-o", tmp_path / "bench.json")
    assert done.exit_code == 130
    assert "nothing was written" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_the_textbook_program_is_raced(tmp_path, weights):
    out = tmp_path / "bench.json"
    options = ["--network", "vgg19", "--weights", weights, "--precision", "float32", *FAST, "--size", 32]
    done = run(*options, "--baseline", "--baseline-steps", 2, "-o", out)
    assert done.exit_code == 0, done.output
    assert "textbook program" in done.output
    found = json.loads(out.read_text())["baseline"]
    assert (found["steps"], found["alpha"]) == (2, 0.5)
    assert found["evaluations"] >= 4
    assert found["last_loss"] < found["first_loss"]
    assert [race["judge"] for race in found["races"]] == ["vidstyle", "baseline"]
    for race in found["races"]:
        assert race["reached"] == (race["loss"] <= race["wanted"])
        assert race["evaluations"] in baseline.LADDER
        assert race["speedup"] == pytest.approx(found["seconds"] / race["seconds"])


def test_growth_stops_where_the_memory_or_the_patience_ends(network, monkeypatch, tmp_path):
    def no_more(network, settings, size):
        if max(size) > 48:
            raise MemoryLimitError("it is full")

    monkeypatch.setattr(timings, "SIZES", (32, 48, 64, 96))
    monkeypatch.setattr(timings, "require_memory", no_more)
    styles, out = tmp_path / "style.png", tmp_path / "bench.json"
    Image.fromarray(pixels(texture(40, 64, 3))).save(styles)
    small = ["--network", network, *FAST, "--size", 40, "-o", out, "-y"]
    done = run("--scaling", *small)
    assert done.exit_code == 0, done.output
    assert "it is full" in done.output
    found = json.loads(out.read_text())["scaling"]
    assert [point["size"] for point in found["sizes"]] == [32, 48]
    assert found["left_out"] == {"64": "it is full", "96": "it is full"}
    assert [point["styles"] for point in found["styles"]] == [1, 2, 4]
    assert all(point["seconds"] > 0 for point in found["sizes"] + found["styles"])
    assert all(abs(point["pixels"] / point["size"] ** 2 - 0.8) < 0.05 for point in found["sizes"])  # 40x32
    monkeypatch.setattr(timings, "PATIENCE", 0.0)
    assert run("--scaling", *small).exit_code == 0
    found = json.loads(out.read_text())["scaling"]
    assert [point["size"] for point in found["sizes"]] == [32]
    assert all("took" in reason for reason in found["left_out"].values())


def test_operations_are_those_of_a_hand_count():
    network = networks.FeatureNetwork(((2, 3), (4, 5)))
    layers = ("relu1_2", "relu2_1")
    # 48 positions below the halving, 12 above; conv2_2 is not needed.
    convolutions = 48 * 9 * (3 * 2 + 2 * 3) + 12 * 9 * 3 * 4
    grams = 48 * 3 * 3 + 12 * 4 * 4
    traffic = 4 * (48 * (2 + 3) + 12 * 4)  # values
    assert timings.work(network, layers, layers, 8, 6) == (4 * (convolutions + grams), 4 * traffic)
    assert timings.work(network, layers, layers[:1], 8, 6) == (4 * (convolutions + 48 * 3 * 3), 4 * traffic)
    assert timings.work(network.bfloat16(), layers, layers, 8, 6)[1] == 2 * traffic


@pytest.mark.parametrize("skip", [False, True])
def test_operations_are_those_that_torch_counts(skip, picture, style):
    network = networks.FeatureNetwork(((4, 4), (6, 6), (8, 8), (8, 8), (8,)), skip=skip).requires_grad_(False)
    settings = VideoSettings(device="cpu", precision="float32")
    stylizer = Stylizer(network, [style], settings)
    evaluate = timings.evaluator(stylizer, Frame(0, picture, None, 0.5, (1.0,)))
    with FlopCounterMode(display=False) as counter:
        evaluate()
    layers = (*settings.content_layers, *settings.style_layers)
    counted, _ = timings.work(network, layers, settings.style_layers, *picture.shape[1:])
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_a_counted_frame_is_that_of_a_hand_count():
    """Evaluations, and a look at the content that needs no gradient, which is half of one."""
    settings = VideoSettings()
    layers = (*settings.content_layers, *settings.style_layers)
    network = networks.FeatureNetwork(((32, 32), (48, 48), (64, 64), (64, 64), (64,))).requires_grad_(False)
    small, large = roofline.counted(network, "wide", settings, [(128, 96), (256, 192)])
    for one in (small, large):
        flops, _ = timings.work(network, layers, settings.style_layers, one.height, one.width)
        assert one.evaluations == 3
        # Beside it: the resampling of the warp, the memory of L-BFGS, and products of small matrices.
        assert 3.5 * flops < one.flops < 3.5 * flops * 1.1
        for gpu in roofline.GPUS:
            assert one.seconds[gpu.name] >= max(one.flops / gpu.flops, one.traffic / gpu.bandwidth)
            assert one.seconds[gpu.name] >= gpu.launch * one.kernels
    assert small.kernels == large.kernels
    assert large.traffic == pytest.approx(4 * small.traffic, rel=0.1)  # weights and statistics do not grow


def test_counted_bytes_are_those_that_are_read_and_written():
    x = torch.zeros(10, 20, device="meta")
    with roofline.Counter() as counter:
        x.T @ x
    assert (counter.kernels, counter.flops) == (1, 2 * 20 * 10 * 20)  # the transposed matrix is a view
    assert counter.traffic == 4 * (2 * 200 + 400)


@pytest.mark.clips
def test_frame_rates_by_count_are_told_to_be_counts(tmp_path, network, monkeypatch, slim_vgg19):
    monkeypatch.setattr(roofline, "SIZES", ((64, 48),))
    out = tmp_path / "bench.json"
    done = run("--network", network, *FAST, "--roofline", "-o", out)
    assert done.exit_code == 0, done.output
    assert "not measured" in done.output
    found = json.loads(out.read_text())["roofline"]
    assert [(one["network"], one["width"], one["height"]) for one in found] == [("compact", 64, 48), ("vgg19", 64, 48)]
    assert set(found[0]["seconds"]) == {"H100 SXM", "RTX 4070"}


def test_a_sum_of_stages():
    seconds = {"save": 1.0, "flow": 6.0, "decode": 8.0, "optimise": 10.0, "wait": 0.5, "new": 2.0}
    found = {stage.name: stage for stage in timings.stages_of(seconds, {"optimise": 4.0, "wait": 0.5, "save": 0.1}, 4)}
    assert list(found) == ["decode", "flow", "wait", "optimise", "save", "new"]
    assert found["decode"].frame_seconds == 2.0  # four frames were decoded, and saved
    assert found["save"].frame_seconds == 0.25
    assert found["flow"].frame_seconds == 2.0  # between them are three motions
    assert found["optimise"].frame_seconds == 2.0  # after the first frame
    assert found["wait"].frame_seconds == 0.0
    assert all(stage.frame_seconds is None for stage in timings.stages_of(seconds, {}, 1))


def test_the_textbook_gram_matrix():
    f = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, 1x2 positions
    assert torch.equal(baseline.gram(f), torch.tensor([[5.0, 11.0], [11.0, 25.0]]) / 4)


def test_the_textbook_program_has_the_weights_and_the_loss_of_the_blog_objective(weights):
    ours = networks.vgg19(weights, padding="zeros", normalize=False)
    layers = baseline.textbook_vgg19(ours)
    content, style, pastiche = (texture(32, 48, seed)[None] for seed in (1, 2, 3))
    seen = baseline.features(layers, pastiche)
    assert list(seen) == list(ours.convolutions)
    for layer, features in ours(pastiche, baseline.STYLE_LAYERS).items():
        torch.testing.assert_close(seen[layer], features)
    settings = VideoSettings.preset("blog", device="cpu", precision="float32")
    stylizer = Stylizer(ours, [style[0]], settings)
    objective = stylizer.objective(Frame(0, content[0], None, 0.3, (1.0,)))
    found = baseline.total_loss(layers, content, style, pastiche, 0.3)
    torch.testing.assert_close(found, objective(pastiche)[0], rtol=1e-3, atol=0)
    assert PRESETS["blog"]["style_layers"] == baseline.STYLE_LAYERS
    assert PRESETS["blog"]["content_layers"] == (baseline.CONTENT_LAYER,)


def test_the_textbook_program_paints(weights):
    layers = baseline.textbook_vgg19(networks.vgg19(weights))
    content, style = texture(32, 36, 1)[None], texture(24, 24, 2)[None]
    seen = list(baseline.paint(layers, content, style, steps=2))
    assert [one.step for one in seen] == [1, 2]
    losses, counts = [one.loss for one in seen], [one.evaluations for one in seen]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
    assert 2 <= counts[0] < counts[1] <= 50
    assert all(one.pastiche.shape == content.shape for one in seen)
    assert all(one.pastiche.min() >= 0 and one.pastiche.max() <= 1 for one in seen)
    again = next(baseline.paint(layers, content, style, steps=1))
    assert torch.equal(seen[0].pastiche, again.pastiche)


def test_numbers_that_are_not_finite_are_none_in_json():
    from vidstyle.lab.bench.figures import Race
    from vidstyle.system.files import plain

    race = Race("vidstyle", math.nan, False, 1.0, 3, 0.5, math.inf)
    assert plain({1: [race.wanted, race.loss], "x": (race.speedup, True)}) == {"1": [None, 1.0], "x": [None, True]}


def test_the_generated_clip_moves_in_two_ways_and_is_always_the_same(tmp_path):
    first, again = (list(synthetic.generated_frames(ClipInfo(128, 72, Fraction(25), 4))) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert first[0].shape == (72, 128, 3)
    assert all(np.abs(one.astype(int) - other).mean() > 1 for one, other in itertools.pairwise(first))
    with Image.open(synthetic.write_style(tmp_path, 20)) as picture:
        assert picture.size == (32, 32)


def test_the_peak_of_the_memory_is_seen_and_forgotten():
    device = torch.device("cpu")
    machine.forget_peak(device)
    before = machine.peak(device)
    if before is None:
        pytest.skip("this system does not tell the peak")
    tensor = torch.ones(2**24)
    high = machine.peak(device)
    assert high - before > 0.8 * tensor.nbytes
    del tensor
    machine.forget_peak(device)
    assert machine.peak(device) < high - 0.8 * 2**26


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00123, "1.23 ms"), (0.1704, "170 ms"), (2.314, "2.31 s"), (35.21, "35.2 s"), (900, "15.0 min")],
)
def test_durations_are_written_with_three_digits(seconds, text):
    assert tables.duration(seconds) == text


def test_numbers_get_a_prefix():
    assert [tables.si(x) for x in (0, 12, 1234, 1.72e11, 4e12, 5e15)] == [
        "0.00 ", "12.0 ", "1.23 k", "172 G", "4.00 T", "5000 T",
    ]  # fmt: skip
    assert tables.memory(None) == "unknown"


def test_bars_are_as_long_as_they_should_be():
    assert [bar.end for bar in tables.bars([1.0, 4.0])] == [1.0, 4.0]
    low, middle, high = (bar.end / bar.size for bar in tables.bars([1.0, 8.0, 64.0], logarithmic=True))
    assert high == 1.0
    assert middle - low == pytest.approx(high - middle)
    assert low > 0

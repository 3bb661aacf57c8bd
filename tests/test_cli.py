"""The tool as its users meet it: the three jobs, what is refused, and with which words and exit codes."""

import io
import json
import signal
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from clips import clicks, heard_clicks, make_clip, pan, probe
from conftest import pixels, texture
from held import held
from PIL import Image
from rich.console import Console

from vidstyle.cli import progress
from vidstyle.core import networks

FAST = ["--size", "96", "--first-iterations", "8", "--device", "cpu", "--precision", "float32"]


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "content.png"
    Image.fromarray(pixels(texture(128, 192, seed=1))).save(path)
    return path


@pytest.fixture
def style(tmp_path):
    path = tmp_path / "style.png"
    Image.fromarray(pixels(texture(80, 80, seed=2))).save(path)
    return path


@pytest.fixture
def clip(tmp_path):
    """Eight frames at 24 frames a second that pan over a texture, with sound."""
    return make_clip(tmp_path / "clip.mp4", pan(8), rate=24, sound=clicks(8 / 24))


def test_video(vidstyle, clip, style, network, tmp_path):
    out = tmp_path / "out.mp4"
    done = vidstyle("video", clip, style, "-o", out, "--network", network, *FAST)
    assert done.exit_code == 0, done.output
    before, after = probe(clip), probe(out)
    assert (after["frames"], after["audio"]) == (8, ["aac"])
    assert after["times"] == before["times"]
    assert heard_clicks(out)[0] == pytest.approx(heard_clicks(clip)[0], abs=1e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.mp4", "style.png", "tiny.safetensors"]


@pytest.mark.clips
def test_balance_makes_a_loop(vidstyle, content, style, network, tmp_path):
    out = tmp_path / "balance.gif"
    done = vidstyle("balance", content, style, "-o", out, "--network", network, "--seconds", 1, "--fps", 10, *FAST)
    assert done.exit_code == 0, done.output
    with Image.open(out) as gif:
        assert gif.n_frames == 10
        assert gif.info["loop"] == 0


@pytest.mark.clips
def test_a_folder_of_frames(vidstyle, content, style, network, tmp_path):
    out = f"{tmp_path}/frames/"
    done = vidstyle("balance", content, style, "-o", out, "--network", network, "--seconds", 1, "--fps", 4, *FAST)
    assert done.exit_code == 0, done.output
    assert [path.name for path in sorted((tmp_path / "frames").glob("*.png"))] == [f"{n:06d}.png" for n in range(4)]
    again = vidstyle("balance", content, style, "-o", out, "--network", network, "-q")
    assert (again.exit_code, "-y" in again.output) == (4, True)


@pytest.mark.clips
def test_the_gatys_preset_is_what_its_options_say(vidstyle, content, style, network, tmp_path):
    command = ["image", content, style, "--network", network, *FAST, "--first-iterations", 3, "--no-metadata"]
    options = [
        "--alpha",
        0.3,
        "--style-metric",
        "gram",
        "--recolor",
        0,
        "--match-colors",
        0,
        "--tv-weight",
        0,
        "--content-focus",
        0,
    ]
    for name, given in (("preset", ["--preset", "gatys"]), ("options", options), ("plain", [])):
        assert vidstyle(*command, *given, "-o", tmp_path / f"{name}.png").exit_code == 0
    preset, same, plain = ((tmp_path / f"{name}.png").read_bytes() for name in ("preset", "options", "plain"))
    assert preset == same != plain


def test_balance_begins_with_the_photo(vidstyle, content, style, network, tmp_path):
    out = tmp_path / "balance.gif"
    vidstyle(
        "balance",
        content,
        style,
        "-o",
        out,
        "--network",
        network,
        "--seconds",
        1,
        "--fps",
        10,
        "--keep-job",
        *FAST,
        "--size",
        0,
    )
    frames = [np.asarray(Image.open(p)) for p in sorted((tmp_path / "balance.gif.job" / "frames").iterdir())]
    photo = np.asarray(Image.open(content))
    change = [np.abs(frame.astype(int) - photo).mean() for frame in frames]
    assert change[0] == 0
    assert change[:4] == sorted(change[:4])
    assert all(now > 0.95 * before for before, now in pairwise(change))  # near the end it hardly grows any more
    assert change[-1] > 0.5


def test_image_with_two_styles_and_the_same_bytes_twice(vidstyle, content, style, network, tmp_path):
    outs = [tmp_path / "one.png", tmp_path / "two.png"]
    for out in outs:
        done = vidstyle(
            "image",
            content,
            style,
            content,
            "-o",
            out,
            "--network",
            network,
            "--mix",
            ".7,.3",
            "--init",
            "noise",
            *FAST,
        )
        assert done.exit_code == 0, done.output
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ("--optimizer", "adam"),
        ("--preserve-color", "1"),
        ("--tv-weight", ".1"),
        ("--style-scale", "0.7"),
        ("--no-coarse-to-fine",),
        ("--style-layers", "relu1_1,relu3_1", "--style-layer-weights", "1,2"),
        ("--seed", "3", "--init", "noise"),
        ("--precision", "bfloat16"),
    ],
)
def test_every_option_changes_the_picture(vidstyle, content, style, network, tmp_path, options):
    plain, other = tmp_path / "plain.png", tmp_path / "other.png"
    for out, added in ((plain, ()), (other, options)):
        done = vidstyle("image", content, style, "-o", out, "--network", network, *FAST, "--size", 192, *added)
        assert done.exit_code == 0, done.output
    assert plain.read_bytes() != other.read_bytes()


def test_preserve_color_preserves_color(vidstyle, content, style, network, tmp_path):
    out = tmp_path / "out.png"
    vidstyle(
        "image",
        content,
        style,
        "-o",
        out,
        "--network",
        network,
        "--alpha",
        0,
        "--preserve-color",
        1,
        *FAST,
        "--size",
        0,
    )
    painted, photo = (np.asarray(Image.open(p), dtype=float) for p in (out, content))

    def chroma(x):
        return x - (x @ [0.2126, 0.7152, 0.0722])[..., None]

    inside = ((painted > 0) & (painted < 255)).all(-1)
    assert inside.mean() > 0.5
    assert np.abs(chroma(painted) - chroma(photo))[inside].max() < 1.5


def test_a_picture_as_start(vidstyle, content, style, network, tmp_path):
    out = tmp_path / "out.png"
    done = vidstyle(
        "image", content, style, "-o", out, "--network", network, "--init", style, *FAST, "--first-iterations", 1
    )
    assert done.exit_code == 0, done.output
    begun = np.asarray(Image.open(style).resize((96, 64), Image.Resampling.BICUBIC), dtype=float)
    assert np.abs(np.asarray(Image.open(out), dtype=float) - begun).mean() < 3


def refusals(tmp_path, content, clip, style, network):
    text = tmp_path / "notes.jpg"
    text.write_text("these are notes")
    pickle = tmp_path / "weights.pth"
    torch.save({"surprise": print}, pickle)
    other = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(2, 3, 3, 3)}, other)
    out, gif, png = tmp_path / "o.mp4", tmp_path / "o.gif", tmp_path / "o.png"
    there = tmp_path / "there.png"
    there.write_bytes(b"precious")
    return {
        "missing clip": (3, "no-such", ["video", tmp_path / "no-such.mp4", style, "-o", out]),
        "not a clip": (3, "notes.jpg", ["video", text, style, "-o", out]),
        "not a picture": (3, "notes.jpg", ["image", text, style, "-o", png]),
        "unreadable style": (3, "notes.jpg", ["image", content, text, "-o", png]),
        "alpha": (2, "--alpha is 1.5", ["image", content, style, "-o", png, "--alpha", "1.5"]),
        "size": (2, "--size", ["image", content, style, "-o", png, "--size", "-5"]),
        "suffix": (2, ".mp4", ["balance", content, style, "-o", tmp_path / "o.xyz"]),
        "still suffix": (2, ".png", ["video", clip, style, "-o", tmp_path / "o.jpg"]),
        "folder": (7, "nowhere", ["image", content, style, "-o", tmp_path / "nowhere" / "o.png"]),
        "exists": (4, "-y", ["image", content, style, "-o", there]),
        "mix": (2, "--mix has 2", ["image", content, style, "-o", png, "--mix", ".5,.5"]),
        "mix text": (2, "--mix is 'a'", ["image", content, style, "-o", png, "--mix", "a"]),
        "layer": (2, "relu9_1", ["image", content, style, "-o", png, "--style-layers", "relu9_1"]),
        "preset": (2, "presets: blog", ["image", content, style, "-o", png, "--preset", "x"]),
        "optimizer": (2, "lbfgs, adam", ["image", content, style, "-o", png, "--optimizer", "sgd"]),
        "range": (2, "--end", ["video", clip, style, "-o", out, "--start", "2", "--end", "1"]),
        "too late": (2, "no frame from 200 s", ["video", clip, style, "-o", out, "--start", "200"]),
        "balance layer": (2, "relu9_9", ["balance", content, style, "-o", gif, "--style-layers", "relu9_9"]),
        "one frame": (2, "takes two", ["balance", content, style, "-o", gif, "--seconds", ".01"]),
        "pickle": (8, "weights.pth", ["image", content, style, "-o", png, "--network", "vgg19", "--weights", pickle]),
        "other network": (
            8,
            "features",
            ["image", content, style, "-o", png, "--network", "vgg19", "--weights", other],
        ),
        "no weights": (
            8,
            "no-such",
            ["image", content, style, "-o", png, "--network", "vgg19", "--weights", "no-such"],
        ),
        "not ours": (8, "other.pth", ["image", content, style, "-o", png, "--network", other]),
        "weights of compact": (2, "--weights", ["image", content, style, "-o", png, "--weights", network]),
        "init": (3, "no-such", ["image", content, style, "-o", png, "--init", "no-such.png"]),
    }


CASES = [
    "missing clip", "not a clip", "not a picture", "unreadable style", "alpha", "size", "suffix", "still suffix",
    "folder", "exists", "mix", "mix text", "layer", "balance layer", "preset", "optimizer", "range", "too late",
    "one frame", "pickle", "other network", "no weights", "not ours", "weights of compact", "init",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refuses_in_one_sentence(vidstyle, tmp_path, content, clip, style, network, case):
    code, words, arguments = refusals(tmp_path, content, clip, style, network)[case]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = vidstyle(*arguments, "-q")
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert "Traceback" not in done.output
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_diverged_network_names_the_frame(vidstyle, tmp_path, content, style, tiny_network, network):
    for convolution in tiny_network.convolutions.values():
        convolution.weight.fill_(6e4)  # finite, but their products are not
    networks.save_compact(tiny_network, network)
    done = vidstyle("image", content, style, "-o", tmp_path / "o.png", "--network", network, "-q", *FAST)
    assert done.exit_code == 6
    assert "frame 0" in done.output


def test_help_is_fast_and_does_not_import_torch():
    code = "import sys; from vidstyle.cli import app; app(['--help'], standalone_mode=False);"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")


@pytest.mark.clips
def test_doctor_finds_everything(vidstyle):
    done = vidstyle("doctor")
    assert done.exit_code == 0, done.output
    for subject in ("device", "memory", "ffmpeg", "compact network", "VGG-19 weights", "RAFT weights", "disk"):
        assert subject in done.output


STEP, WRITE = "vidstyle.core.stylizer:Stylizer.step", "vidstyle.media.writers.base:FileSink.write"


@pytest.mark.clips
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_interrupt_then_the_same_command_goes_on(vidstyle, clip, style, network, tmp_path):
    whole, out, job = tmp_path / "whole.mp4", tmp_path / "out.mp4", tmp_path / "out.mp4.job"
    options = ["--network", network, *FAST, "--iterations", 3]
    assert vidstyle("video", clip, style, "-o", whole, *options).exit_code == 0
    with held(STEP, 5, "video", clip, style, "-o", out, *options) as process:
        process.send_signal(signal.SIGINT)
        text = process.communicate()[1]
    assert process.returncode == 130, text
    assert "same command" in text
    assert not out.exists()
    lines = (job / "journal.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert json.loads(lines[0])["losses"]["total"] > 0
    assert vidstyle("video", clip, style, "-o", out, *options).exit_code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert not job.exists()


@pytest.mark.slow  # `soak` kills at some changes of the disk in every run
@pytest.mark.clips
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_killed_while_painting_and_encoding_gives_the_same_bytes(vidstyle, clip, style, network, tmp_path):
    """kill -9 before the first frame, between frames, while the output is encoded, and before the clean-up."""
    whole, out = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    options = ["--network", network, *FAST, "--iterations", 3]
    assert vidstyle("video", clip, style, "-o", whole, *options).exit_code == 0
    for place, call in ((STEP, 1), (STEP, 3), (STEP, 4), (WRITE, 1), (WRITE, 5)):
        with held(place, call, "video", clip, style, "-o", out, *options) as process:
            process.kill()
            process.wait()
        assert not out.exists()
    assert vidstyle("video", clip, style, "-o", out, *options).exit_code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


@pytest.mark.clips
@pytest.mark.parametrize("command", ["video", "balance", "image", "sheet", "measure"])
def test_quiet_shows_no_bar_even_on_a_terminal(vidstyle, clip, content, style, network, tmp_path, monkeypatch, command):
    """On a terminal a bar is drawn while it runs; without -q there is one here, too."""
    words = {
        "video": ["video", clip, style, "-o", tmp_path / "o.gif"],
        "balance": ["balance", content, style, "-o", tmp_path / "o.gif", "--seconds", 1, "--fps", 4],
        "image": ["image", content, style, "-o", tmp_path / "o.png"],
        "sheet": ["sheet", content, style, "-o", tmp_path / "o.png"],
        "measure": ["measure", clip, clip, "--style", style],
    }[command]
    for quiet in (True, False):
        screen = io.StringIO()
        monkeypatch.setattr(progress, "console", Console(file=screen, force_terminal=True))
        more = ["-q"] if quiet else [] if command == "measure" else ["-y"]
        done = vidstyle(*words, *more, "--network", network, *FAST)
        assert done.exit_code == 0, done.output
        assert bool(screen.getvalue()) != quiet
        assert not (quiet and done.output)

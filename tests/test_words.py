"""What the command line answers to words that it cannot take, and that what it prints can be read everywhere."""

import os
import subprocess
import sys

import pytest
from clips import make_clip, pan
from conftest import pixels, texture
from PIL import Image

SMALL = ["--iterations", 1, "--first-iterations", 1, "--device", "cpu"]


@pytest.fixture
def files(tmp_path, network):
    make_clip(tmp_path / "clip.mp4", pan(2), rate=24)
    for name, seed in (("photo", 1), ("style", 2)):
        Image.fromarray(pixels(texture(64, 96, seed))).save(tmp_path / f"{name}.png")
    return {name: str(tmp_path / name) for name in ("clip.mp4", "photo.png", "style.png", "tiny.safetensors")}


PRINTED = {  # by commands: one of these words is in it
    "--help": ("vidstyle",),
    "video --help": ("A,B,...", "A,B,…"),
    "balance --help": ("A,B,...", "A,B,…"),
    "balance a b -o c.gif --plot-schedule": ("|###", "│█"),
    "doctor": ("compact network",),
}
# Runs commands, after each a line that no command prints.
SEVERAL = f"""
import sys
from vidstyle.__main__ import main
for line in {[*PRINTED]}:
    sys.argv = ["vidstyle", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert end.code in (0, None), line
    print("==", flush=True)
"""


@pytest.mark.parametrize(
    "encoding", ["cp1252", *(pytest.param(name, marks=pytest.mark.slow) for name in ("latin-1", "ascii"))]
)
def test_what_is_printed_can_be_read_in_any_encoding(tmp_path, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "0"}
    with open(tmp_path / "text", "wb") as file:
        done = subprocess.run([sys.executable, "-c", SEVERAL], stdout=file, stderr=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    # Typer takes ASCII for a terminal that was never set up, and writes UTF-8.
    text = (tmp_path / "text").read_bytes().decode("utf-8" if encoding == "ascii" else encoding)
    *texts, rest = text.replace("\r\n", "\n").split("==\n")
    assert rest == ""
    for (line, words), one in zip(PRINTED.items(), texts, strict=True):
        assert any(word in one for word in words), line
        assert line == "doctor" or "?" not in one


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("clip.mp4 style.jpg -o out.mp4", "did you mean: vidstyle video clip.mp4 style.jpg -o out.mp4"),
        (
            "photo.jpg style.jpg -o out.png",
            "vidstyle image photo.jpg style.jpg -o out.png, or balance for",
        ),
        ("clip.gif style.jpg", "vidstyle video clip.gif"),
        ("out.mp4.job -o b.gif", "vidstyle encode out.mp4.job -o b.gif"),
        ("vidoe clip.mp4", "Did you mean 'video'"),
        ("video clip.mp4 --alhpa 1", "--alpha"),
    ],
)
def test_a_forgotten_or_mistyped_word_is_answered_with_the_likely_one(vidstyle, line, words):
    done = vidstyle(*line.split())
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("video {clip} --shots {style}", "--shots lists the shots of a clip and stops; leave out STYLE"),
        ("video {clip} --shots -o a.mp4", "leave out -o"),
        ("video {clip} --shots --report --alpha 1", "leave out --report, --alpha"),
        ("video {clip} --shots -q", "leave out --quiet"),
        ("video {clip} --shots --plot-schedule", "leave out --plot-schedule"),
        ("video {clip} {style} -o {out}.mp4 --plot-schedule -q", "--plot-schedule prints and stops; leave out --quiet"),
        ("video {clip} {style} -o {out}.mp4 --font a.ttf", "--font belongs to --caption or --title"),
        ("video {clip} {style} -o {out}.mp4 --title-seconds 3", "--title-seconds belongs to --title"),
        ("video {clip} {style} -o {out}.mp4 --flow-weights a", "--flow-weights belongs to --flow raft or raft-small"),
        ("video {clip} {style} -o {out}.mp4 --warm-start none --loop", "--loop belongs to --warm-start"),
        ("video {clip} {style} -o {out}.mp4 --warm-start none --iterations 3", "--iterations belongs to --warm-start"),
        (
            "video {clip} {style} -o {out}.mp4 --warm-start previous --flow raft",
            "--flow belongs to --warm-start",
        ),
        ("balance {photo} {style} -o {out}.gif --timelapse --to .5", "--to belongs to a balance without --timelapse"),
        ("balance {photo} {style} -o {out}.gif --alpha .5 --from .5", "--alpha says all that --from and --to do"),
        ("image {photo} {style} -o {out}.png --weights a", "--weights belongs to --network vgg19"),
        ("sheet {photo} {style} -o {out}.png --start 1", "--start, --end and --no-cuts are for a clip"),
        ("video {clip} {style} -o {out}.mp4 --plays 3", "--plays is for"),
        ("consistency --start 1", "No such option"),
        ("bench --crf 20", "No such option"),
        ("measure {clip} {clip} --caption a", "No such option"),
        ("encode a.job -o b.gif --restart", "No such option"),
    ],
)
def test_what_a_job_does_not_read_it_refuses(vidstyle, files, tmp_path, line, words):
    named = {"clip": files["clip.mp4"], "style": files["style.png"], "photo": files["photo.png"], "out": tmp_path / "o"}
    done = vidstyle(*(word.format(**named) for word in line.split()))
    assert (done.exit_code, words in " ".join(done.output.split())) == (2, True), done.output
    assert {path.name for path in tmp_path.iterdir()} == set(files)


@pytest.mark.clips
def test_notes_are_told_once_and_not_when_quiet(vidstyle, files, tmp_path):
    """What was done to a clip unasked: here it was deinterlaced. A report reads the clip a second time."""
    clip = make_clip(tmp_path / "fields.mp4", pan(2), rate=24, options={"x264-params": "tff=1"})
    line = [clip, files["style.png"], "--network", files["tiny.safetensors"], *SMALL]
    loud = vidstyle("video", *line, "-o", tmp_path / "a.gif", "--report")
    quiet = vidstyle("video", *line, "-o", tmp_path / "b.gif", "-q")
    assert (loud.exit_code, quiet.exit_code) == (0, 0), loud.output
    assert loud.output.count("was deinterlaced") == 1
    assert quiet.output == ""


@pytest.mark.clips
def test_a_balance_says_first_what_its_smaller_paintings_cost(vidstyle, files, tmp_path):
    line = ["balance", files["photo.png"], files["style.png"], "--network", files["tiny.safetensors"], *SMALL]
    for number, (added, told) in enumerate([([], True), (["-q"], False), (["--space", "linear"], False)]):
        done = vidstyle(*line, "-o", tmp_path / f"{number}.gif", "--seconds", 1, "--fps", 4, *added)
        assert done.exit_code == 0, done.output
        assert ("about as long as the painting itself, and --space linear leaves it out" in done.output) == told


def test_a_size_beyond_the_input_is_said(vidstyle, files, tmp_path):
    line = ["image", files["photo.png"], files["style.png"], "--network", files["tiny.safetensors"], *SMALL[2:]]
    for size, told in ((200, True), (64, False), (96, False), (0, False)):
        done = vidstyle(*line, "-o", tmp_path / f"{size}.png", "--size", size)
        assert done.exit_code == 0, done.output
        assert ("it is not enlarged: 96x64 is painted" in done.output) == told


def test_of_a_refusal_only_its_sentence_is_seen(vidstyle, tmp_path):
    done = vidstyle("image", tmp_path / "none.png", tmp_path / "style.png", "-o", tmp_path / "o.png")
    assert done.exit_code == 3
    assert done.output.strip().startswith("vidstyle: there is no file ")
    assert len(done.output.strip().splitlines()) == 1

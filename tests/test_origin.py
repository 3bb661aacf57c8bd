"""The settings that made a result come back out of it: read by other programs, by `show` and by `--params-from`."""

import json
import shlex
from hashlib import sha256

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import network_file, pixels, random_network, texture
from PIL import Image, ImageSequence

from vidstyle.errors import MediaError
from vidstyle.jobs.output.origin import Origin, origin_of
from vidstyle.media.embedding import embed, embedded

STILLS = (".png", ".jpg", ".webp", ".avif", ".tif")
MOVING = (".gif", ".webp", ".avif", ".png", ".mp4", ".mov", ".mkv", ".webm", "/")
FEW = ["--network", "tiny.safetensors", "--device", "cpu", "--first-iterations", 1, "--size", 48]
CHEAP = ["--iterations", 1, *FEW]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network_file(tmp_path / "tiny.safetensors", random_network())
    for name, seed in (("photo", 1), ("style", 2)):
        Image.fromarray(pixels(texture(48, 64, seed))).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def command(vidstyle, folder):
    """Runs a command line, which must work; what it printed."""

    def run(*words):
        done = vidstyle(*words)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    return run


def everything(path):
    """The bytes of a file, or of all in a folder."""
    return path.read_bytes() if path.is_file() else b"".join(one.read_bytes() for one in sorted(path.iterdir()))


def shown(animation):
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]


def raw(path):
    """The JSON in a result, found by its beginning, however it is wrapped."""
    text = everything(path).replace(b'\\"', b'"').replace(b"&quot;", b'"').decode("latin-1")
    return text.count('"format":"vidstyle-origin-1"')


def test_every_still_holds_its_settings_and_the_hashes_of_its_inputs(command, folder):
    outputs = [word for suffix in STILLS for word in ("-o", f"o{suffix}")]
    plain = [word for suffix in STILLS for word in ("-o", f"plain{suffix}")]
    command("image", "photo.png", "style.png", *outputs, "--alpha", 0.7, "--style-layers", "relu1_1", *FEW)
    command(
        "image", "photo.png", "style.png", *plain, "--alpha", 0.7, "--style-layers", "relu1_1", "--no-metadata", *FEW
    )
    for suffix in STILLS:
        origin = origin_of(folder / f"o{suffix}")
        assert origin.job == "image"
        assert origin.settings == {
            "alpha": 0.7, "first-iterations": 1, "network": "tiny.safetensors", "size": 48, "style-layers": ["relu1_1"]
        }  # fmt: skip
        assert (origin.content, origin.styles) == ("photo.png", ("style.png",))
        assert origin.sha256["style 1"] == sha256((folder / "style.png").read_bytes()).hexdigest()
        assert str(folder).encode() not in everything(folder / f"o{suffix}")
        with Image.open(folder / f"o{suffix}") as one, Image.open(folder / f"plain{suffix}") as other:
            assert np.array_equal(np.asarray(one), np.asarray(other))
            assert one.size == other.size
        with pytest.raises(MediaError, match="does not hold the settings"):
            origin_of(folder / f"plain{suffix}")


@pytest.mark.clips
def test_every_moving_picture_does(command, folder):
    outputs = [word for suffix in MOVING for word in ("-o", f"o{suffix}")]
    plain = [word for suffix in MOVING for word in ("-o", f"plain{suffix}")]
    line = ["balance", "photo.png", "style.png", "--seconds", 1, "--fps", 4, "--space", "linear", *CHEAP]
    command(*line, *outputs)
    command(*line, *plain, "--no-metadata")
    for suffix in MOVING:
        origin = origin_of(folder / f"o{suffix}")
        assert origin.settings["seconds"] == 1
        assert raw(folder / f"o{suffix}") >= 1
        assert raw(folder / f"plain{suffix}") == 0
        assert str(folder).encode() not in everything(folder / f"o{suffix}")
        if suffix in (".gif", ".webp", ".avif", ".png"):
            with Image.open(folder / f"o{suffix}") as one, Image.open(folder / f"plain{suffix}") as other:
                assert np.array_equal(shown(one), shown(other))
    before = {suffix: everything(folder / f"o{suffix}") for suffix in MOVING}
    command(*line, *outputs, "-y")
    assert before == {suffix: everything(folder / f"o{suffix}") for suffix in MOVING}


def test_other_programs_read_it(command, folder):
    command("image", "photo.png", "style.png", "-o", "o.png", "-o", "o.jpg", "-o", "o.tif", "-o", "o.webp", *FEW)
    text = origin_of(folder / "o.png").encoded()
    assert Image.open(folder / "o.png").text == {"vidstyle": text}
    assert Image.open(folder / "o.tif").tag_v2[270] == text
    for suffix in (".jpg", ".webp"):
        assert b"dc:description" in Image.open(folder / f"o{suffix}").info["xmp"]


@pytest.mark.clips
def test_the_shown_command_makes_the_same_again(command, folder):
    make_clip(folder / "clip.mp4", pan(3, 64, 48), rate=24)
    options = ["--alpha", "0s:.9, end:.2", "--no-cuts", "--long-term", "2,4", "--plays", 3, "--hold-last", 0.5]
    command("video", "clip.mp4", "style.png", "-o", "o.gif", *options, "--end", 0.1, *CHEAP)
    lines = command("show", "o.gif").splitlines()
    words = shlex.split(lines[0])
    assert words[:5] == ["vidstyle", "video", "clip.mp4", "style.png", "-o"]
    assert [line.startswith("# ") for line in lines[1:]] == [True] * 3
    made = (folder / "o.gif").read_bytes()
    command(*words[1:], "-y", "--device", "cpu")
    assert (folder / "o.gif").read_bytes() == made


@pytest.mark.clips
def test_what_is_encoded_again_shows_both_commands(command, folder):
    command("balance", "photo.png", "style.png", "-o", "k.gif", "--keep-job", "--seconds", 1, "--fps", 4, *CHEAP)
    command("encode", "k.gif.job", "-o", "same.gif")
    assert (folder / "same.gif").read_bytes() == (folder / "k.gif").read_bytes()
    command("encode", "k.gif.job", "-o", "o.gif", "--pingpong", "--hold-last", 1)
    made = (folder / "o.gif").read_bytes()
    for line in command("show", "o.gif").splitlines()[:2]:
        command(*shlex.split(line)[1:], "-y", *(["--device", "cpu"] if " balance " in line else []))
    assert (folder / "o.gif").read_bytes() == made
    command("encode", "k.gif.job", "-o", "again.gif", "--params-from", "o.gif")
    assert (folder / "again.gif").read_bytes() == made


def test_settings_of_a_result_are_defaults_of_the_next(command, folder):
    command("image", "photo.png", "style.png", "-o", "a.png", "--alpha", 0.8, "--recolor", 0.5, *FEW)
    command("image", "photo.png", "style.png", "-o", "b.png", "--params-from", "a.png", "--device", "cpu")
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()
    command("image", "photo.png", "style.png", "-o", "c.png", "--params-from", "a.png", "--alpha", 0.1)
    settings = origin_of(folder / "c.png").settings
    assert (settings["alpha"], settings["recolor"], settings["size"]) == (0.1, 0.5, 48)
    command("sheet", "photo.png", "style.png", "-o", "d.png", "--params-from", "a.png", "--alphas", 0.5)
    assert origin_of(folder / "d.png").settings["recolor"] == 0.5  # what another job has, too


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("show photo.png", 3, "photo.png does not hold the settings that made it"),
        ("show none.png", 3, "there is no file"),
        ("image photo.png style.png -o o.png --params-from photo.png", 3, "does not hold the settings"),
        ("image photo.png style.png -o o.png --params-from photo.png --preset blog", 2, "give one of them"),
    ],
)
def test_what_is_refused(vidstyle, folder, line, code, words):
    done = vidstyle(*line.split())
    assert (done.exit_code, words in done.output) == (code, True), done.output
    assert not (folder / "o.png").exists()


@pytest.mark.parametrize("text", ["", "{}", "no JSON", '{"job":"other"}', '{"settings":3}', "[" * 9999])
def test_texts_of_others_are_no_settings(folder, text):
    (folder / "o.png").write_bytes(embed((folder / "photo.png").read_bytes(), ".png", text))
    assert embedded((folder / "o.png").read_bytes()) == text
    with pytest.raises(MediaError, match="does not hold the settings"):
        origin_of(folder / "o.png")


def test_a_setting_of_another_version_is_refused_or_left_out(vidstyle, folder):
    found = json.loads(Origin("image", "photo.png", ("style.png",), {}, {"unknown": 3, "alpha": "x"}).encoded())
    (folder / "a.png").write_bytes(embed((folder / "photo.png").read_bytes(), ".png", json.dumps(found)))
    done = vidstyle("image", "photo.png", "style.png", "-o", "o.png", "--params-from", "a.png")
    assert done.exit_code == 2
    assert "--alpha: this is no number" in done.output


@pytest.mark.parametrize("suffix", [*STILLS, ".gif"])
def test_a_file_cut_short_raises_nothing(folder, suffix):
    Image.open(folder / "photo.png").convert("RGB").save(folder / f"a{suffix}")
    data = embed((folder / f"a{suffix}").read_bytes(), suffix, "words " * 100)
    assert embedded(data) == "words " * 100
    for length in range(0, len(data) - 700, 97):
        assert embedded(data[:length]) in (None, "words " * 100)

"""Each class of error is met by somebody at the command line, with its exit code and one sentence."""

import re

import pytest
from conftest import network_file, pixels, random_network, texture
from PIL import Image
from refusals import CLASSES, refusals

from vidstyle.errors import EncodingError
from vidstyle.media.writers.base import FileSink
from vidstyle.system import memory

# A command that is refused with each exit code. Code 1 is left: that is a bug.
MET = {
    2: "image photo.png style.png -o o.png --alpha 2",
    3: "image none.png style.png -o o.png",
    4: "image photo.png style.png -o there.png",
    5: "image large.png style.png -o o.png --size 0",
    6: "image photo.png style.png -o o.png --network broken.safetensors",
    7: "image photo.png style.png -o nowhere/o.png",
    8: "image photo.png style.png -o o.png --network photo.png",
    9: "image photo.png style.png -o taken.png",
    11: "balance photo.png style.png -o o.gif --seconds 1 --fps 4 --network tiny.safetensors",
    10: "balance photo.png style.png -o o.gif --fps 4 --seconds 1 --max-size 1000 --network tiny.safetensors",
}


def broken_encoder(self, pixels, write=FileSink.write):
    """Breaks after the trial, which is shorter."""
    if self.info.frames == 4:
        raise EncodingError("the encoder is broken; give another suffix")
    write(self, pixels)


def test_every_class_is_met():
    assert set(MET) == set(CLASSES.values()) - {1}


@pytest.mark.clips
@pytest.mark.parametrize("code", MET)
def test_a_refusal(vidstyle, tmp_path, monkeypatch, code):
    monkeypatch.chdir(tmp_path)
    for name, scale in (("photo", 1), ("style", 2), ("large", 8)):
        Image.fromarray(pixels(texture(64 * scale, 96 * scale, scale))).save(f"{name}.png")
    (tmp_path / "there.png").write_bytes(b"precious")
    (tmp_path / "taken.png.job").mkdir()
    (tmp_path / "taken.png.job" / "letters.txt").write_text("private")
    network_file(tmp_path / "tiny.safetensors", random_network())
    broken = random_network()
    for convolution in broken.convolutions.values():
        convolution.weight.fill_(6e4)  # finite, but their products are not
    network_file(tmp_path / "broken.safetensors", broken)
    if code == 5:
        monkeypatch.setattr(memory, "available", lambda *_, **__: 10**6)
    if code == 11:
        monkeypatch.setattr(FileSink, "write", broken_encoder)
    done = vidstyle(*MET[code].split(), "-q", "--first-iterations", 1)
    assert done.exit_code == code, done.output
    assert re.fullmatch(r"vidstyle: \S.{20,}", done.output.strip()), done.output


def test_every_refusal_has_a_sentence():
    """No full stop ends one: it may be quoted in another."""
    found = list(refusals())
    assert {refusal.error for refusal in found} >= set(CLASSES) - {"VidstyleError"}  # which is a bug
    for refusal in found:
        assert not refusal.text.endswith("."), refusal

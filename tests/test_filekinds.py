"""A file that cannot be read is named by its first bytes, with the likely slip; through the command line."""

import wave

import cv2
import numpy as np
import pytest
from clips import make_clip, pan
from PIL import Image

from vidstyle.jobs.folder import inputs
from vidstyle.media.stills.filekinds import described

STYLE = "swirls.jpg"
MADE = {  # files of many kinds, and what they are
    "a.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(99), "a PDF document"),
    "a.zip": (b"PK\3\4\x14\0\0\0" + bytes(99), "a ZIP archive"),
    "a.exe": (b"MZ\x90\0\3\0" + bytes(99), "a program"),
    "a.mp3": (b"ID3\4\0\0\0\0\0\0" + bytes(99), "an MP3 sound, which holds no pictures"),
    "a.flac": (b"fLaC\0\0\0\x22" + bytes(99), "a FLAC sound, which holds no pictures"),
    "a.ogg": (b"OggS\0\2" + bytes(22) + b"\1\x1e\1vorbis" + bytes(99), "an Ogg sound, which holds no pictures"),
    "a.html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page, not the file it shows"),
    "a.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing; export it as PNG"),
    "a.m3u": (b"#EXTM3U\na.mp4\n", "a playlist, which names other files"),
    "a.txt": (b"hello", "text"),
    "a.cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "a raw photo of a camera"),
    "a.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "a JPEG XL picture"),
    "a.npy": (b"\x93NUMPY\1\0" + bytes(99), "a NumPy array"),
    "a.bin": (b"\0\1\2" * 99, "of an unknown kind, or damaged at its start"),
    "a.dat": (b"", "empty"),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("command", ["image", pytest.param("video", marks=pytest.mark.clips)])
def test_what_is_no_input_is_named(vidstyle, samples, tmp_path, name, command):
    content, words = MADE[name]
    (tmp_path / name).write_bytes(content)
    output = tmp_path / ("o.png" if command == "image" else "o.gif")
    done = vidstyle(command, tmp_path / name, samples / STYLE, "-o", output, "-q")
    assert done.exit_code == 3
    assert f"it is {words}" in done.output
    assert done.output.count("\n") == 1


@pytest.fixture
def files(tmp_path, samples):
    """A good file of each common kind."""
    pixels = np.ascontiguousarray(next(pan(1, 64, 48)))
    for suffix in ("png", "jpg", "webp", "gif", "tif", "bmp", "avif"):
        Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(800))
    return tmp_path


@pytest.mark.clips
class TestGoodFilesInTheWrongPlace:
    @pytest.mark.parametrize(
        ("suffix", "words"),
        [
            (".mp4", "an MP4 clip"),
            (".mov", "a QuickTime clip"),
            (".mkv", "a Matroska clip"),
            (".webm", "a WebM clip"),
            (".avi", "an AVI clip"),
            (".ts", "an MPEG transport stream"),
            (".flv", "an FLV clip"),
        ],
    )
    def test_a_clip_for_a_picture(self, vidstyle, samples, tmp_path, suffix, words):
        codec = {".webm": "libvpx-vp9", ".flv": "flv1"}.get(suffix, "libx264")
        if codec == "flv1":
            codec = "flv"
        clip = make_clip(tmp_path / f"a{suffix}", pan(5), codec=codec)
        style = samples / STYLE
        for arguments in (("image", clip, style), ("image", style, style, "--init", clip)):
            done = vidstyle(*arguments, "-o", tmp_path / "o.png")
            assert done.exit_code == 3
            assert f"it is {words}; clips are painted with `vidstyle video`, the clip first" in done.output
        assert [path.name for path in tmp_path.iterdir()] == [clip.name]

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("a.jpg", "a JPEG picture"),
            ("a.webp", "a WebP picture"),
            ("a.tif", "a TIFF picture"),
            ("a.bmp", "a BMP picture"),
            ("a.png", "a PNG picture"),
            ("a.gif", "a GIF picture"),
            ("a.avif", "an AVIF picture"),
        ],
    )
    def test_a_picture_for_a_clip(self, vidstyle, samples, files, name, words):
        done = vidstyle("video", files / name, samples / STYLE, "-o", files / "o.gif")
        assert done.exit_code == 3
        assert f"it is {words}; pictures are painted with `vidstyle image`" in done.output

    def test_a_sound(self, vidstyle, samples, files):
        done = vidstyle("video", files / "a.wav", samples / STYLE, "-o", files / "o.gif")
        assert (done.exit_code, "a WAV sound, which holds no pictures" in done.output) == (3, True)

    def test_an_interrupted_recording(self, vidstyle, samples, tmp_path):
        whole = make_clip(tmp_path / "whole.mp4", pan(30)).read_bytes()
        assert whole.index(b"mdat") < whole.index(b"moov")
        (tmp_path / "a.mp4").write_bytes(whole[: whole.index(b"moov") - 100])
        for command, output in (("video", "o.gif"), ("image", "o.png")):
            done = vidstyle(command, tmp_path / "a.mp4", samples / STYLE, "-o", tmp_path / output)
            assert (done.exit_code, "index (moov)" in done.output) == (3, True)


@pytest.mark.parametrize("command", ["video", "image", "balance", "sheet"])
def test_ten_gigabytes_are_not_read_before_they_are_refused(vidstyle, tmp_path, samples, command, monkeypatch):
    """Hashed for half a minute, such a file was refused as no input only then."""
    with open(tmp_path / "a.mp4", "wb") as file:
        file.truncate(10**10)  # a hole, where the file system has such
    monkeypatch.setattr(inputs, "file_hash", lambda path: pytest.fail("it is hashed"))
    output = tmp_path / ("o.gif" if command in ("video", "balance") else "o.png")
    done = vidstyle(command, tmp_path / "a.mp4", samples / STYLE, "-o", output, "-q")
    assert (done.exit_code, done.output.count("\n")) == (3, 1), done.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_that_gigabytes_are_read_is_said_before(tmp_path, monkeypatch, caplog):
    (tmp_path / "small.mp4").write_bytes(bytes(100))
    with open(tmp_path / "large.mp4", "wb") as file:
        file.truncate(10**10)
    monkeypatch.setattr(inputs, "file_hash", lambda path: caplog.messages and str(path))
    assert inputs.Inputs({"style 1": [tmp_path / "small.mp4"]}).hashes and not caplog.messages
    assert inputs.Inputs({"content": [tmp_path / "large.mp4"]}).hashes["content"] == str(tmp_path / "large.mp4")
    assert caplog.messages == ["10 GB of inputs are read to the end first, to know them again: some seconds a gigabyte"]


def test_a_good_file_is_never_of_an_unknown_kind(files):
    cv2.imwrite(str(files / "a.hdr"), np.ones((8, 8, 3), np.float32))
    for path in sorted(files.iterdir()):
        assert "unknown" not in described(path), path
    for suffix in ("heic", "avif"):
        for brand in (b"heic", b"mif1", b"avif") if suffix == "heic" else (b"avis",):
            (files / f"b.{suffix}").write_bytes(b"\0\0\0\x20ftyp" + brand + bytes(99))
            assert "a HEIC photo" in described(files / f"b.{suffix}") or "an AVIF picture" in described(
                files / f"b.{suffix}"
            )


class TestMissing:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("https://example.org/a/b.jpg", "https://example.org/a/b.jpg is an address; download the file first"),
            ("~/Pictures/a.jpg", "the shell left the ~ as it is"),
            ("holiday*.jpg", "a pattern that matches nothing, or that quotes kept from the shell"),
            ("nowhere/a.jpg", "there is no folder nowhere"),
            ("sunnset.jpg", "did you mean sunset.jpg?"),
            ("Sunset.JPG", "did you mean sunset.jpg?"),
            ("sunset.jpeg", "did you mean sunset.jpg?"),
            ("other.png", "there is no file other.png\n"),
            (".", ". is a folder; give a file"),
        ],
    )
    def test_the_likely_slip(self, vidstyle, samples, tmp_path, monkeypatch, given, words):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "sunset.jpg").write_bytes((samples / STYLE).read_bytes())
        for arguments in ((given, samples / STYLE), (samples / STYLE, given)):
            done = vidstyle("image", *arguments, "-o", "o.png")
            assert (done.exit_code, words in done.output) == (3, True), done.output

    @pytest.mark.clips
    @pytest.mark.parametrize("command", ["video", "sheet", "measure"])
    def test_an_address_given_as_a_clip(self, vidstyle, samples, tmp_path, command):
        rest = [samples / "ride.mp4"] if command == "measure" else [samples / STYLE, "-o", tmp_path / "o.png"]
        done = vidstyle(command, "https://example.org/a/b.mp4", *rest)
        assert (done.exit_code, done.output.count("vidstyle: https://example.org/a/b.mp4 is an address")) == (3, 1)

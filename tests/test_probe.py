"""What fits the memory is known before painting."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest import texture
from PIL import Image
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.core import networks, probe
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import MemoryLimitError, UsageError
from vidstyle.jobs.sources.lookahead import Ahead
from vidstyle.media.stills import pictures
from vidstyle.media.stills.decoders import PillowPicture
from vidstyle.settings import VideoSettings
from vidstyle.system import limits, memory
from vidstyle.types import Frame

CPU = torch.device("cpu")
SETTINGS = VideoSettings(device="cpu", precision="float32", first_iterations=2, iterations=2)


@pytest.fixture
def wide_network():
    """A random network that takes more memory than all else, as the real ones do."""
    return networks.FeatureNetwork(((96, 96), (16, 16), (8, 8), (8, 8), (8,))).requires_grad_(False).eval()


def test_tensors_are_counted_as_they_come_and_go():
    def work():
        kept = torch.zeros(1000)
        for _ in range(5):
            kept = kept + torch.ones(1000)  # three at a time at most
        view = kept.view(10, 100).t()
        return view.add_(1)

    assert memory.peak_of(work, CPU) == 3 * 4000


def test_the_need_of_a_larger_picture_is_foreseen(wide_network):
    need = probe.measured(wide_network, SETTINGS)
    height, width = 256, 400
    stylizer = Stylizer(wide_network, [torch.rand(3, height, width)], SETTINGS)
    image = torch.rand(3, height, width)
    counted = memory.peak_of(lambda: stylizer.step(Frame(0, image, None, 0.5, (1.0,)), None), CPU)
    assert need.bytes(height * width) == pytest.approx(probe.OVERHEAD["cpu"] * counted, rel=0.1)


def test_what_does_not_fit_is_refused_with_what_would(wide_network, monkeypatch):
    need = probe.measured(wide_network, SETTINGS)
    for free in (need.bytes(1500000) + probe.OTHERS + 1, None):
        monkeypatch.setattr(memory, "available", lambda device, free=free: free)
        probe.require_memory(wide_network, SETTINGS, (1000, 1500))
    monkeypatch.setattr(memory, "available", lambda device: need.bytes(1500000 // 4) + probe.OTHERS)
    with pytest.raises(MemoryLimitError, match=r"--size that fits is 7[01]\d, and .* --low-memory or"):
        probe.require_memory(wide_network, SETTINGS, (1000, 1500))


def test_what_waits_beside_the_stylizer_counts(wide_network, monkeypatch):
    """The size that is named fits with it, and the next larger ones do not."""
    need = probe.measured(wide_network, SETTINGS)
    ahead = Ahead(frame_bytes=300.0, kept_bytes=100.0, most_frames=10, most_bytes=2e8, decoder_bytes=3e7)

    def needed(side):
        return need.bytes(side * side) + ahead.bytes(side * side) + probe.OTHERS

    free = int(needed(800)) + 1
    monkeypatch.setattr(memory, "available", lambda device: free)
    probe.require_memory(wide_network, SETTINGS, (800, 800), ahead.bytes)
    with pytest.raises(MemoryLimitError, match=r"--size that fits is \d+") as told:
        probe.require_memory(wide_network, SETTINGS, (801, 801), ahead.bytes)
    assert f"about {needed(801) / 1e9:.2f} GB" in str(told.value)
    fits = int(str(told.value).split("fits is ")[1].split(",")[0])
    assert needed(fits) <= probe.SAFE * free < needed(fits + 2)


def test_memory_that_is_allowed_overrides_what_is_counted(wide_network, monkeypatch):
    counted = []
    monkeypatch.setattr(memory, "available", lambda device: counted.append(device) or 1000)
    probe.require_memory(wide_network, dataclasses.replace(SETTINGS, memory="900GB"), (1000, 1500))
    with pytest.raises(MemoryLimitError, match=r"0\.06 GB are allowed by --memory; the largest --size"):
        probe.require_memory(wide_network, dataclasses.replace(SETTINGS, memory="60 MB"), (1000, 1500))
    assert not counted
    for text in ("", "six", "-1GB", "6 GB RAM"):
        with pytest.raises(UsageError, match=r"--memory is .*give a size like"):
            VideoSettings(memory=text)


def test_a_picture_that_cannot_be_painted_is_not_decoded(tmp_path, samples, monkeypatch):
    """98 megapixels with opacity would take gigabytes as numbers, only to be refused."""
    Image.new("RGBA", (14000, 7000), (200, 100, 50, 128)).save(tmp_path / "huge.png", compress_level=1)
    monkeypatch.setattr(PillowPicture, "srgb", lambda *args: pytest.fail("it is decoded"))
    for command, out in (("image", "out.png"), ("balance", "out.gif")):
        words = [str(tmp_path / "huge.png"), str(samples / "swirls.jpg"), "-o", str(tmp_path / out), "--size", "0"]
        real = pictures.load_picture
        monkeypatch.setattr(pictures, "load_picture", lambda *args, **kwargs: np.full((64, 64, 3), 0.5, np.float32))
        run = CliRunner().invoke(app, [command, *words, "--memory", "4GB"])
        monkeypatch.setattr(pictures, "load_picture", real)
        assert run.exit_code == 5, run.output
        assert "14000x7000 pixels need about" in run.stderr and "the largest --size that fits is" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["huge.png"]


def test_low_memory_takes_less_memory_for_nearly_the_same_picture(wide_network):
    image, style = texture(150, 90, seed=1), texture(80, 80, seed=2)
    found, needs = [], []
    for low_memory in (False, True):
        settings = dataclasses.replace(SETTINGS, first_iterations=6, coarse_to_fine=False, low_memory=low_memory)
        result, _ = Stylizer(wide_network, [style], settings).step(Frame(0, image, None, 0.3, (1.0,)), None)
        found.append(result)
        needs.append(probe.measured(wide_network, settings))
    plain, strips = found
    assert strips.losses["total"] == pytest.approx(plain.losses["total"], rel=1e-3)
    assert np.abs(strips.image.astype(int) - plain.image).mean() < 0.1  # of 255: rounding, grown in six steps
    assert needs[1].per_pixel < 0.5 * needs[0].per_pixel


def test_too_large_a_picture_is_refused_before_painting(tmp_path, samples, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 2 * 10**8)
    output = tmp_path / "out.png"
    run = CliRunner().invoke(
        app, ["image", str(samples / "valley.jpg"), str(samples / "swirls.jpg"), "-o", str(output)]
    )
    assert run.exit_code == 5, run.output
    assert "GB are free; the largest --size that fits is" in " ".join(run.stderr.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(limits.available() is None, reason="the system does not say")
def test_available_memory_is_said_by_the_system():
    assert 0 < memory.available(CPU) < 2**50


def test_where_nothing_fits_no_size_is_named(wide_network, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    with pytest.raises(MemoryLimitError, match=r"0\.00 GB are free; .*raise the limit$") as told:
        probe.require_memory(wide_network, SETTINGS, (1000, 1500))
    assert "--size" not in str(told.value)

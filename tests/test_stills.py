"""Still outputs, read back by OpenCV, Pillow and PyAV."""

import cv2
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from vidstyle.core.color import preserve_color
from vidstyle.jobs.sources.clips import to_tensor
from vidstyle.media.stills.pictures import load_content
from vidstyle.media.writers.sinks import STILLS


@pytest.fixture
def paint(vidstyle, network, samples, tmp_path):
    """Paint a small still; the outputs by their names."""

    def run(*arguments, outputs):
        given = [word for output in outputs for word in ("-o", tmp_path / output)]
        few = ("--network", network, "--size", "64", "--first-iterations", "2")
        return vidstyle("image", samples / "harbor.jpg", samples / "swirls.jpg", *given, *few, *arguments)

    return run


def sixteen(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :, ::-1]


def test_every_format(paint, tmp_path):
    outputs = [f"a{suffix}" for suffix in STILLS]
    done = paint(outputs=outputs)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*outputs, "tiny.safetensors"])
    exact = np.asarray(Image.open(tmp_path / "a.png"))
    for suffix, kind in STILLS.items():
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert (image.format, image.size, image.mode) == (Image.registered_extensions()[suffix], (64, 42), "RGB")
            error = np.abs(np.asarray(image).astype(int) - exact)
        assert error.max() == 0 if kind.lossless else error.mean() < 6


WITH_CONTENTS_COLORS = "--preserve-color", ".7", "--match-colors", "0"


class TestSixteenBits:
    def state(self, tmp_path, name):
        """The painting as it was kept, (H, W, 3) float."""
        return load_file(tmp_path / f"{name}.job" / "states" / "000000.safetensors")["pastiche"].transpose(1, 2, 0)

    def test_are_those_of_the_float_state(self, paint, tmp_path):
        done = paint("--bits", "16", "--keep-job", "--match-colors", 0, outputs=["a.png", "b.tiff"])
        assert done.exit_code == 0, done.output
        first, second = sixteen(tmp_path / "a.png"), sixteen(tmp_path / "b.tiff")
        assert first.dtype == np.uint16
        assert np.array_equal(first, second)
        assert len(np.unique(first)) > 1000
        assert np.abs(first / 65535 - self.state(tmp_path, "a.png")).max() <= 0.51 / 65535
        with Image.open(tmp_path / "a.png") as image:  # Pillow gives eight of them
            assert np.abs(np.asarray(image).astype(int) - first / 257).max() < 1

    def test_keep_the_colours_of_the_content(self, paint, tmp_path, samples):
        assert paint("--bits", "16", "--keep-job", *WITH_CONTENTS_COLORS, outputs=["a.png"]).exit_code == 0
        painting = self.state(tmp_path, "a.png")
        height, width = painting.shape[:2]
        content = cv2.resize(load_content(samples / "harbor.jpg", 64), (width, height), interpolation=cv2.INTER_AREA)
        painting, content = to_tensor(painting), to_tensor(content)
        wanted = preserve_color(painting, content, 0.7).permute(1, 2, 0).numpy()
        assert np.abs(sixteen(tmp_path / "a.png") / 65535 - wanted).max() < 1e-4

    def test_from_a_job_that_was_painted_before(self, paint, tmp_path):
        assert paint("--keep-job", outputs=["a.png"]).exit_code == 0
        eight = sixteen(tmp_path / "a.png")
        assert eight.dtype == np.uint8
        done = paint("--bits", "16", "-y", "--keep-job", outputs=["a.png"])
        assert done.exit_code == 0
        assert np.abs(sixteen(tmp_path / "a.png") / 65535 - eight / 255).max() <= 0.51 / 255

    @pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
    def test_are_refused_where_they_do_not_fit(self, paint, tmp_path, suffix):
        done = paint("--bits", "16", outputs=["a.png", f"a{suffix}"])
        assert done.exit_code == 2
        assert f"--bits 16 is for .png, .tif, .tiff, and {tmp_path / f'a{suffix}'} holds 8" in done.output
        assert [path.name for path in tmp_path.iterdir()] == ["tiny.safetensors"]

    def test_no_other_number(self, paint):
        done = paint("--bits", "12", outputs=["a.png"])
        assert (done.exit_code, "--bits is 12; it must be 8 or 16" in done.output) == (2, True)

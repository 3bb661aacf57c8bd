import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from clips import BLUE, RED, patches, quarters
from PIL import Image, ImageCms

from vidstyle.errors import MediaError
from vidstyle.media.stills import pictures


class TestPicture:
    def test_pixels_are_exact_floats(self, tmp_path):
        pixels = patches()
        Image.fromarray(pixels).save(tmp_path / "a.png")
        image = pictures.load_picture(tmp_path / "a.png")
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, pixels.astype(np.float32) / 255)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, tmp_path, orientation):
        upright = Image.fromarray(quarters()[:, :24])  # 24 wide, 32 high
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that the orientation undoes
        stored = upright if orientation == 1 else upright.transpose(undo[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / "a.png", exif=exif)
        np.testing.assert_array_equal(pictures.load_picture(tmp_path / "a.png") * 255, np.asarray(upright))

    def test_transparency_is_over_white(self, tmp_path):
        pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 51], [9, 9, 9, 0]]], np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        expected = [[[1, 0, 0], [1, 0.8, 0.8], [1, 1, 1]]]
        np.testing.assert_allclose(pictures.load_picture(tmp_path / "a.png"), expected, atol=1e-6)

    def test_sixteen_bits_are_kept(self, tmp_path):
        grey = np.array([[0, 257, 300, 65535]], np.uint16)
        Image.fromarray(grey).save(tmp_path / "a.png")
        image = pictures.load_picture(tmp_path / "a.png")
        np.testing.assert_allclose(image[0, :, 1], grey[0] / 65535, rtol=1e-6)

    @pytest.mark.parametrize(
        ("mode", "suffix"), [("L", ".png"), ("P", ".gif"), ("CMYK", ".jpg"), ("LA", ".png"), ("1", ".png")]
    )
    def test_other_modes(self, tmp_path, mode, suffix):
        Image.new("RGB", (20, 20), "white").convert(mode).save(tmp_path / f"a.{suffix}")
        image = pictures.load_picture(tmp_path / f"a.{suffix}")
        assert image.shape == (20, 20, 3)
        assert image.min() > 0.99

    def test_color_profile_is_applied(self, tmp_path):
        # sRGB with the primaries red and green swapped in its table of contents: what is stored as red looks green.
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        swapped = profile.replace(b"rXYZ", b"xxxx").replace(b"gXYZ", b"rXYZ").replace(b"xxxx", b"gXYZ")
        Image.new("RGB", (20, 20), RED).save(tmp_path / "a.png", icc_profile=swapped)
        np.testing.assert_allclose(pictures.load_picture(tmp_path / "a.png")[0, 0], [0, 1, 0], atol=2 / 255)

    def test_broken_profile_is_ignored(self, tmp_path):
        Image.new("RGB", (20, 20), RED).save(tmp_path / "a.png", icc_profile=b"no profile")
        np.testing.assert_array_equal(pictures.load_picture(tmp_path / "a.png")[0, 0], [1, 0, 0])

    def test_content_decides_not_the_suffix(self, tmp_path):
        Image.new("RGB", (20, 20), RED).save(tmp_path / "a.png")
        (tmp_path / "a.png").rename(tmp_path / "-a: b%03d ü.jpg")
        assert pictures.load_picture(tmp_path / "-a: b%03d ü.jpg")[0, 0].tolist() == [1, 0, 0]

    def test_animation_gives_its_first_frame(self, tmp_path):
        red, blue = Image.new("RGB", (20, 20), RED), Image.new("RGB", (20, 20), BLUE)
        red.save(tmp_path / "a.gif", save_all=True, append_images=[blue])
        assert pictures.load_picture(tmp_path / "a.gif")[0, 0].tolist() == [1, 0, 0]

    def test_too_large_is_refused_from_the_header(self, tmp_path):
        Image.new("1", (10_001, 10_000)).save(tmp_path / "a.png")
        with pytest.raises(MediaError, match="100 megapixels"):
            pictures.load_picture(tmp_path / "a.png")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
            (b"hello", "it is text"),
            (b"\0\1\2" * 99, "unknown kind"),
        ],
    )
    def test_what_is_no_picture_is_named(self, tmp_path, content, words):
        (tmp_path / "a.jpg").write_bytes(content)
        media = pytest.importorskip("vidstyle.media.video")
        for read in (pictures.load_picture, media.survey):
            with pytest.raises(MediaError, match=words):
                read(tmp_path / "a.jpg")

    def test_truncated(self, tmp_path):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.jpg")
        whole = (tmp_path / "a.jpg").read_bytes()
        (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(MediaError, match="damaged"):
            pictures.load_picture(tmp_path / "a.jpg")

    def test_missing_and_folder(self, tmp_path):
        media = pytest.importorskip("vidstyle.media.video")
        for read in (pictures.load_picture, media.survey):
            with pytest.raises(MediaError, match="there is no file"):
                read(tmp_path / "none.png")
            with pytest.raises(MediaError, match="folder"):
                read(tmp_path)


class TestSize:
    @pytest.mark.parametrize(
        ("size", "long_side", "expected"),
        [
            ((1920, 1080), 512, (512, 288)),
            ((1080, 1920), 512, (288, 512)),
            ((640, 480), 0, (640, 480)),
            ((437, 251), 0, (437, 251)),
            ((437, 251), 512, (436, 250)),
            ((100, 100), 99, (98, 98)),
        ],
    )
    def test_fit(self, size, long_side, expected):
        assert pictures.fit(*size, long_side) == expected

    def test_too_narrow(self):
        with pytest.raises(MediaError, match="16 pixels"):
            pictures.fit(2048, 64, 256)

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_resize_keeps_mean_and_range(self, dtype):
        image = quarters() if dtype == np.uint8 else (quarters() / 255).astype(np.float32)
        for size in ((16, 8), (100, 80), (8, 100)):
            new = pictures.resize(image, *size)
            assert new.shape == (size[1], size[0], 3)
            assert new.dtype == dtype
            assert new.max() <= (255 if dtype == np.uint8 else 1)
            assert new.min() >= 0
            np.testing.assert_allclose(new.mean((0, 1)), image.mean((0, 1)), rtol=0.02)


class TestMemory:
    """Peak memory of a process that reads one picture, above that of one that reads a tiny one."""

    PROGRAM = """
        import sys
        sys.path.insert(0, sys.argv.pop(1))
        from peak import peak
        from vidstyle.media.stills import pictures
        from vidstyle.errors import MediaError
        for path in sys.argv[2:]:
            before = peak()
            try:
                pictures.load_content(path, int(sys.argv[1]))
            except MediaError as error:
                print(error, file=sys.stderr)
        print((peak() - before) // 2**20)
    """

    @pytest.fixture
    def peak(self, tmp_path):
        pytest.importorskip("resource")
        Image.new("RGB", (64, 64)).save(tmp_path / "tiny.png")

        def run(path, size):
            """In MB, and what was said."""
            tests, program = Path(__file__).parent, textwrap.dedent(self.PROGRAM)
            command = [sys.executable, "-c", program, tests, str(size), tmp_path / "tiny.png", path]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return int(done.stdout), done.stderr

        return run

    def test_what_is_refused_is_not_decoded(self, peak, tmp_path):
        Image.new("RGB", (2048, 12288)).save(tmp_path / "a.jpg")
        megabytes, said = peak(tmp_path / "a.jpg", 64)
        assert "painted at 10x64" in said
        assert megabytes < 30

    def test_a_header_that_promises_much(self, peak, tmp_path):
        header = b"GIF89a" + (9000).to_bytes(2, "little") * 2 + b"\x80\0\0" + bytes([0, 0, 0, 255, 255, 255])
        block = b"," + bytes(4) + (9000).to_bytes(2, "little") * 2 + b"\0" + b"\2\2L\1\0;"
        (tmp_path / "a.gif").write_bytes(header + block)
        megabytes, said = peak(tmp_path / "a.gif", 512)
        assert "damaged" in said
        assert megabytes < 700

    @pytest.mark.parametrize(("suffix", "most"), [(".jpg", 150), (".png", 550)])
    def test_a_large_picture_that_is_painted_small(self, peak, tmp_path, suffix, most):
        Image.new("RGB", (8000, 6000), RED).save(tmp_path / f"a{suffix}")  # 576 MB as floats
        megabytes, said = peak(tmp_path / f"a{suffix}", 256)
        assert said == ""
        assert megabytes < most

    def test_a_large_picture_of_all_its_pixels_with_opacity(self, peak, tmp_path):
        Image.new("RGBA", (6000, 4000), (200, 100, 50, 128)).save(tmp_path / "a.png", compress_level=1)
        megabytes, said = peak(tmp_path / "a.png", 0)
        assert said == ""
        assert megabytes < 24 * (4 + 4 + 12) * 1.1  # as bytes, twice in Pillow, and as the numbers that it becomes


class TestEnough:
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
    def test_a_large_picture_is_averaged(self, tmp_path, suffix):
        """Twice as many pixels as will be used are left, and their means are those of the whole."""
        whole = np.repeat(np.repeat(quarters(63), 17, axis=0), 17, axis=1)  # 2142x2142, no multiple of anything
        Image.fromarray(whole).save(tmp_path / f"a{suffix}", quality=95)
        image = pictures.load_picture(tmp_path / f"a{suffix}", enough=100)
        assert len(image) == 200
        exact = pictures.resize(pictures.load_picture(tmp_path / f"a{suffix}"), 100, 100)
        np.testing.assert_allclose(pictures.resize(image, 100, 100), exact, atol=0.07)

    def test_a_small_one_is_left_alone(self, tmp_path):
        Image.fromarray(patches()).save(tmp_path / "a.png")
        exact = pictures.load_picture(tmp_path / "a.png")
        assert np.array_equal(pictures.load_picture(tmp_path / "a.png", enough=200), exact)

    def test_transparent_pixels_do_not_bleed(self, tmp_path):
        pixels = np.zeros((64, 64, 4), np.uint8)
        pixels[::2] = (255, 0, 0, 255)  # the others are black and clear
        Image.fromarray(pixels).save(tmp_path / "a.png")
        image = pictures.load_picture(tmp_path / "a.png", enough=8)
        np.testing.assert_allclose(image[2, 2], [1, 0.5, 0.5], atol=0.01)

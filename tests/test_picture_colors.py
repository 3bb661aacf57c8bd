"""Colours and bits of stills, by every way in which files say them. Right values: zimg's, or formulas of standards."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from vidstyle.errors import MediaError
from vidstyle.media.stills import decoders, pictures

SAMPLES = np.array([[60000, 20000, 10000], [20000, 60000, 30000], [50000, 45000, 40000], [65535] * 3], np.uint16)
# What zimg 3.0 makes of them in sRGB, 0 to 255, if they are of other primaries and sRGB's curve.
DISPLAY_P3 = [[253.38, 59.6, 0.52], [0, 237.35, 100.42], [198.59, 174.22, 153.07], [255] * 3]
BT2020 = [[255, 0, 0.4], [0, 245.4, 95.0], [207.2, 172.6, 152.7], [255] * 3]
PAL = [[237.54, 77.82, 39.62], [58.57, 233.46, 119.03], [195.35, 175.1, 155.89], [255] * 3]
P3_POINTS = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)  # white, red, green, blue


def block(colors, side=8):
    """A row of flat squares, (side, side * len(colors), 3)."""
    return np.repeat(np.repeat(np.asarray(colors)[None], side, axis=0), side, axis=1)


def loaded(path, count=4, side=8):
    """The middle of each square, 0 to 255."""
    image = pictures.load_picture(path)
    return image[side // 2, side // 2 :: side][:count] * 255


def png(path, pixels, *chunks):
    """A PNG with chunks before its pixels."""
    data = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))[1].tobytes()
    inner = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(data[:33] + inner + data[33:])
    return path


def avif(path, pixels, primaries, transfer):
    """An AVIF that says of its colours what it is told to."""
    Image.fromarray(pixels).save(path, quality=100, subsampling="4:4:4")
    before, said, after = path.read_bytes().partition(b"colrnclx")
    assert said
    path.write_bytes(before + said + struct.pack(">HH", primaries, transfer) + after[4:])
    return path


def gama(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


CHRM = b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in P3_POINTS))
ICC = b"iCCP", b"x\0\0" + zlib.compress(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def encoded(light):
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


class TestPng:
    @pytest.mark.parametrize(
        ("chunks", "expected"),
        [
            ([], SAMPLES / 257),
            ([(b"cICP", bytes([12, 13, 0, 1]))], DISPLAY_P3),
            ([(b"cICP", bytes([9, 13, 0, 1]))], BT2020),
            ([(b"cICP", bytes([5, 1, 0, 1]))], PAL),
            ([CHRM], DISPLAY_P3),
            ([gama(1 / 2.2), CHRM], DISPLAY_P3),
            ([gama(0.45455)], SAMPLES / 257),
            ([gama(1)], 255 * encoded(SAMPLES / 65535)),
            ([gama(0.5)], 255 * encoded((SAMPLES / 65535) ** 2)),
            ([(b"sRGB", b"\0"), gama(1), CHRM], SAMPLES / 257),  # what counts more comes first in the standard
            ([(b"cICP", bytes([12, 13, 0, 1])), ICC, gama(1)], DISPLAY_P3),
        ],
    )
    def test_chunks_of_colour(self, tmp_path, chunks, expected):
        found = loaded(png(tmp_path / "a.png", block(SAMPLES), *chunks))
        np.testing.assert_allclose(found, expected, atol=0.06)

    def test_a_profile_counts_more_than_a_gamma(self, tmp_path):
        found = loaded(png(tmp_path / "a.png", block(SAMPLES), ICC, gama(1)))
        np.testing.assert_allclose(found, SAMPLES / 257, atol=1.01)  # profiles are applied at 8 bits

    def test_impossible_primaries_are_left_aside(self, tmp_path):
        zeros = (b"cHRM", bytes(32))
        np.testing.assert_allclose(loaded(png(tmp_path / "a.png", block(SAMPLES), zeros)), SAMPLES / 257, atol=0.01)


class TestNumbers:
    """AVIF and HEIC say their colours in the numbers of ITU-T H.273."""

    @pytest.mark.parametrize(
        ("numbers", "expected"),
        [((1, 13), SAMPLES / 257), ((12, 13), DISPLAY_P3), ((9, 1), BT2020), ((2, 2), SAMPLES / 257)],
    )
    def test_primaries(self, tmp_path, numbers, expected):
        pixels = np.rint(block(SAMPLES) / 257).astype(np.uint8)
        np.testing.assert_allclose(loaded(avif(tmp_path / "a.avif", pixels, *numbers)), expected, atol=3)

    @pytest.mark.parametrize("numbers", [(12, 19), (99, 13)])
    def test_what_is_not_known_is_refused(self, tmp_path, numbers):
        path = avif(tmp_path / "a.avif", np.full((16, 16, 3), 99, np.uint8), *numbers)
        with pytest.raises(MediaError, match=r"number \d+ of H\.273"):
            pictures.load_picture(path)

    @pytest.mark.parametrize(
        ("transfer", "code", "nits"), [(16, 128, 93.5), (16, 148, 203.2), (18, 128, 51.6), (18, 191, 202.0)]
    )
    def test_hdr_without_highlights_keeps_its_brightness(self, tmp_path, transfer, code, nits):
        """Codes of BT.2100 in cd/m2; 203 of them are white."""
        path = avif(tmp_path / "a.avif", np.full((16, 16, 3), code, np.uint8), 9, transfer)
        np.testing.assert_allclose(pictures.load_picture(path), encoded(np.float64(min(nits / 203, 1))), atol=0.008)

    @pytest.mark.parametrize("transfer", [16, 18])
    def test_highlights_are_rolled_off(self, tmp_path, transfer):
        ramp = np.repeat(np.repeat(np.arange(0, 256, 5, dtype=np.uint8), 4)[None, :, None], 16, axis=0).repeat(
            3, axis=2
        )
        mapped = pictures.load_picture(avif(tmp_path / "a.avif", ramp, 9, transfer))[8, 2::4, 1]
        assert np.all(np.diff(mapped) > -0.004)
        assert mapped[-1] > 0.99
        white = 148 // 5 if transfer == 16 else 191 // 5
        assert 0.6 < mapped[white] < 0.95  # room is left for what is brighter
        assert len(np.unique(np.rint(mapped[white:] * 255))) > 5

    def test_ten_bits_are_kept(self, tmp_path):
        heif = pytest.importorskip("pillow_heif")
        ramp = np.repeat(np.arange(256, 320, dtype=np.uint16)[None, :, None], 64, axis=0).repeat(3, axis=2)
        options = {"color_primaries": 1, "transfer_characteristics": 13, "matrix_coefficients": 0, "full_range_flag": 1}
        picture = heif.from_bytes("RGB;16", (64, 64), (ramp << 6).tobytes())
        picture.save(tmp_path / "a.heic", quality=-1, **options)
        np.testing.assert_allclose(pictures.load_picture(tmp_path / "a.heic") * 1023, ramp, atol=1.01)


class TestHeic:
    @pytest.fixture
    def photo(self, tmp_path):
        pytest.importorskip("pillow_heif").register_heif_opener()
        pixels = block([(220, 40, 40), (40, 60, 220)], 32).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photo.jpg", format="HEIF", quality=95)
        return tmp_path / "photo.jpg"

    def test_is_read_whatever_its_suffix(self, photo):
        image = pictures.load_picture(photo) * 255
        assert image.shape == (32, 64, 3)
        assert pictures.picture_size(photo) == (64, 32)
        np.testing.assert_allclose(image[16, [16, 48]], [(220, 40, 40), (40, 60, 220)], atol=8)
        assert pictures.is_still(photo)

    def test_without_its_library_the_sentence_names_it(self, photo, monkeypatch, vidstyle, samples):
        monkeypatch.setattr(decoders, "find_spec", lambda name: None)
        for command in ("image", "sheet"):
            done = vidstyle(command, photo, samples / "swirls.jpg", "-o", photo.with_name("out.png"))
            assert done.exit_code == 3
            assert "it run pip install 'vidstyle[heif]'" in done.output


class TestBits:
    @pytest.fixture
    def deep(self):
        return np.random.default_rng(0).integers(0, 65536, (20, 24, 3)).astype(np.uint16)

    @pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
    def test_sixteen_bits_of_colour(self, tmp_path, deep, suffix):
        cv2.imwrite(str(tmp_path / f"a{suffix}"), deep[:, :, ::-1])
        (tmp_path / f"a{suffix}").rename(tmp_path / "a.jpg")
        np.testing.assert_array_equal(np.rint(pictures.load_picture(tmp_path / "a.jpg") * 65535), deep)

    def test_sixteen_bits_with_transparency(self, tmp_path, deep):
        alpha = np.full((20, 24, 1), 32768, np.uint16)
        cv2.imwrite(str(tmp_path / "a.png"), np.dstack([deep[:, :, ::-1], alpha]))
        expected = deep * (32768 / 65535) + 65535 * (1 - 32768 / 65535)
        np.testing.assert_allclose(pictures.load_picture(tmp_path / "a.png") * 65535, expected, atol=0.1)

    @pytest.mark.parametrize(("kind", "channels"), [("P5", 1), ("P6", 3)])
    @pytest.mark.parametrize("white", [255, 1000, 1023, 65535])
    def test_any_white_of_pnm(self, tmp_path, deep, kind, channels, white):
        samples = (deep[:, :, :channels].astype(int) % (white + 1)).astype(">u2" if white > 255 else "u1")
        (tmp_path / "a.pnm").write_bytes(f"{kind}\n24 20\n{white}\n".encode() + samples.tobytes())
        expected = np.broadcast_to(samples.astype(float) / white, (20, 24, 3))
        np.testing.assert_allclose(pictures.load_picture(tmp_path / "a.pnm"), expected, atol=1e-5)

    def test_a_large_one_is_averaged_before_it_is_a_float(self, tmp_path, deep):
        large = np.repeat(np.repeat(deep, 16, axis=0), 16, axis=1)
        cv2.imwrite(str(tmp_path / "a.png"), large[:, :, ::-1])
        found = pictures.load_picture(tmp_path / "a.png", enough=12)
        np.testing.assert_allclose(found * 65535, deep, atol=1)


def openexr(path, rgb, *, alpha=None):
    """An OpenEXR file, floats, not compressed, by its specification."""
    planes = {"B": rgb[:, :, 2], "G": rgb[:, :, 1], "R": rgb[:, :, 0]}
    planes = planes if alpha is None else {"A": alpha, **planes}
    height, width = rgb.shape[:2]

    def attribute(name, kind, body):
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(body)) + body

    channels = b"".join(name.encode() + b"\0" + struct.pack("<iB3xii", 2, 0, 1, 1) for name in planes) + b"\0"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<ii", 20000630, 2) + attribute(b"channels", b"chlist", channels)
    head += attribute(b"compression", b"compression", b"\0") + attribute(b"dataWindow", b"box2i", window)
    head += attribute(b"displayWindow", b"box2i", window) + attribute(b"lineOrder", b"lineOrder", b"\0")
    head += attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1))
    head += attribute(b"screenWindowCenter", b"v2f", bytes(8))
    head += attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)) + b"\0"
    size = 8 + 4 * width * len(planes)
    offsets = b"".join(struct.pack("<Q", len(head) + 8 * height + row * size) for row in range(height))
    rows = b"".join(
        struct.pack("<ii", row, size - 8) + b"".join(plane[row].astype("<f4").tobytes() for plane in planes.values())
        for row in range(height)
    )
    path.write_bytes(head + offsets + rows)
    return path


class TestLight:
    """Pictures of linear light."""

    LIGHT = block([(0.5, 0.1, 0.02), (0.0, 0.3, 1.0), (1.0, 1.0, 1.0)]).astype(np.float32)

    @pytest.mark.clips
    def test_openexr(self, tmp_path):
        image = pictures.load_picture(openexr(tmp_path / "a.png", self.LIGHT))
        np.testing.assert_allclose(image, encoded(self.LIGHT), atol=1e-4)
        assert pictures.picture_size(tmp_path / "a.png") == (24, 8)

    @pytest.mark.clips
    def test_openexr_with_transparency(self, tmp_path):
        alpha = np.full((8, 24), 0.25, np.float32)
        image = pictures.load_picture(openexr(tmp_path / "a.exr", self.LIGHT * 0.25, alpha=alpha))
        np.testing.assert_allclose(image, encoded(self.LIGHT * 0.25 + 0.75), atol=1e-4)
        kept = pictures.load_picture(tmp_path / "a.exr", transparency=True)
        np.testing.assert_allclose(kept[:, :, :3], encoded(self.LIGHT), atol=1e-4)
        np.testing.assert_array_equal(kept[:, :, 3], alpha)

    def test_radiance(self, tmp_path):
        cv2.imwrite(str(tmp_path / "a.hdr"), self.LIGHT[:, :, ::-1])
        np.testing.assert_allclose(pictures.load_picture(tmp_path / "a.hdr"), encoded(self.LIGHT), atol=0.01)
        assert pictures.picture_size(tmp_path / "a.hdr") == (24, 8)

    def test_highlights_keep_their_order_and_hue(self, tmp_path):
        light = block([(0.05, 0.02, 0.01), (2.0, 1.0, 0.5), (8.0, 4.0, 2.0)]).astype(np.float32)
        cv2.imwrite(str(tmp_path / "a.hdr"), light[:, :, ::-1])
        dark, bright, brighter = loaded(tmp_path / "a.hdr", 3)
        np.testing.assert_allclose(dark / 255, encoded(light[0, 0]), atol=0.01)
        assert bright[0] < brighter[0] <= 255
        assert bright[2] < bright[1] < bright[0] < 255

    @pytest.mark.clips
    def test_what_is_brighter_than_any_display_is_white(self, tmp_path):
        light = block([(np.inf, 3e38, 1e30), (-1, np.nan, 0.5)]).astype(np.float32)
        image = loaded(openexr(tmp_path / "a.exr", light), 2)
        np.testing.assert_allclose(image[0], 255, atol=0.01)
        np.testing.assert_allclose(image[1][:2], 0, atol=0.01)

    def test_too_large_is_refused_from_the_header(self, tmp_path):
        (tmp_path / "a.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20000 +X 20000\n")
        with pytest.raises(MediaError, match="100 megapixels"):
            pictures.load_picture(tmp_path / "a.hdr")


@pytest.mark.parametrize("suffix", [".tga", ".jp2", ".qoi", ".dds", ".bmp"])
def test_other_kinds(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(np.rint(pictures.load_picture(tmp_path / f"a{suffix}") * 255), pixels)


def test_the_preview_in_a_raw_photo_is_not_taken_for_it(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.dng", format="TIFF", tiffinfo={50706: b"\1\4\0\0"})
    with pytest.raises(MediaError, match="a raw photo of a camera"):
        pictures.load_picture(tmp_path / "a.dng")

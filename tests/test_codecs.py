"""imageio, the door of picture files, beside Pillow alone: the same pixels, times and files."""

import io

import numpy as np
import pytest
from PIL import Image

from vidstyle.media.stills import codecs

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("suffix", "options"), [(".png", {"compress_level": 1}), (".jpg", {"quality": 95}), (".tif", {})]
)
def test_a_picture_is_the_file_that_pillow_writes(suffix, options):
    wanted = io.BytesIO()
    Image.fromarray(PIXELS).save(wanted, Image.registered_extensions()[suffix], **options)
    assert codecs.encode(PIXELS, suffix, **options) == wanted.getvalue()
    decoded = codecs.decode(wanted.getvalue())
    assert np.array_equal(decoded, np.asarray(Image.open(wanted)))
    decoded[:] = 0  # the caller's own


def test_sixteen_bits_are_kept_by_its_other_plugin(tmp_path):
    deep = PIXELS.astype(np.uint16) * 251 + 3
    with pytest.raises(TypeError):  # Pillow has no such pictures; `writers.stills` goes around it
        codecs.encode(deep, ".png")
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), deep[:, :, ::-1])
    assert np.array_equal(codecs.decode(tmp_path / "a.png", "opencv", flags=cv2.IMREAD_UNCHANGED), deep)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "%02d.webp", "a.zip:b.webp", "~.webp", "a.mp4"])
def test_an_animation_whatever_it_is_called(tmp_path, name):
    """imageio reads some names as patterns, archives or devices; here a name is a file."""
    kind = {"gif": "GIF", "png": "PNG"}.get(name.rpartition(".")[2], "WEBP")
    shown = [Image.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (0, 90, 250)]
    options = {"lossless": True} if kind == "WEBP" else {}
    shown[0].save(tmp_path / name, kind, save_all=True, append_images=shown[1:], duration=[40, 80, 120], **options)
    assert codecs.count(tmp_path / name) == 3
    found = list(codecs.frames(tmp_path / name))
    assert [said["duration"] for _, said in found] == [40, 80, 120]
    assert [pixels[0, 0, 0] for pixels, _ in found] == pytest.approx([0, 90, 250], abs=1)


def test_a_damaged_one_is_told(tmp_path):
    (tmp_path / "a.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8X")
    with pytest.raises(OSError, match="pillow"):
        codecs.count(tmp_path / "a.webp")

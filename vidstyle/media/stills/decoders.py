"""Decoders of picture files: Pillow itself, or imageio's plugins where Pillow gives 8 of more bits or nothing.

The content of a file chooses its decoder, never its suffix, and no other program is started. imageio's plugin of Pillow
does not serve for files of others: it tries every format (of PostScript, Pillow starts Ghostscript), does not say which
samples were reduced to 8 bits, and neither decodes a JPEG at a smaller size nor applies a profile.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from vidstyle.errors import MediaError
from vidstyle.media.stills.codecs import decode
from vidstyle.media.stills.colorimetry import LINEAR, ColorTags, to_srgb
from vidstyle.media.stills.colortags import bits_of, item_properties, nclx_tags, png_tags
from vidstyle.media.stills.filekinds import EXR, HEIC, RADIANCE, RAW, Kind, kind_of
from vidstyle.media.stills.light import REFERENCE_WHITE
from vidstyle.media.stills.transparency import resized
from vidstyle.system.libraries import pip_install
from vidstyle.system.opencv import cv2

PILLOW_FORMATS = (
    *("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM"),
    *("JPEG2000", "TGA", "DDS", "QOI", "PSD"),
)
HEIF = "HEIF"  # Pillow's name of HEIC and its kin, where pillow-heif is installed
ANIMATED = ("GIF", "PNG", "AVIF", "WEBP")  # formats of pictures whose animations are clips, too
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION = 0x0112  # the tag of EXIF and TIFF
BITS_PER_SAMPLE, SUBFILE, DNG_VERSION = 258, 254, 50706  # tags of TIFF
ANIMATION = 0x02  # the flag of an animated WebP
WEBP_HEAD = 30  # bytes that say how large a WebP is
LIGHT = {RADIANCE: "opencv", EXR: "pyav"}  # linear light, and the door of imageio
BRIGHTEST = 10_000 / REFERENCE_WHITE  # linear light: the most that HDR displays are made for
BAND = 256  # rows that are converted at once: as numbers a large picture takes gigabytes
MAX_PIXELS = 100_000_000  # of a still
MAX_FRAME_PIXELS = 40_000_000  # of a frame of a clip: 8K; a decoder holds a dozen of them
MAX_WEBP_PIXELS = 25_000_000  # of an animated WebP, which takes Pillow 48 bytes a pixel
PNG_DEPTH = 24  # the byte of a PNG that says how many bits a channel has
HEADER = 1 << 16  # bytes in which the size of such a picture is looked for


@dataclass(frozen=True)
class Still:
    """A picture whose header has been read; what is decoded depends on how it is asked for."""

    path: Path
    size: tuple[int, int]  #: width and height as stored, before its orientation is applied

    @property
    def orientation(self) -> int:
        """As EXIF numbers it: 1 is upright, 5 to 8 lie on their side."""
        return 1

    @property
    def moves(self) -> bool:
        """Whether it is an animation."""
        return False

    def srgb(self, size: tuple[int, int], *, transparency: bool = False) -> np.ndarray:
        """(H, W, 3) float32 sRGB in [0, 1], as stored; shrunk to this width and height, by the means of pixels.

        Args:
            transparency: keep the opacity of a picture that has one, (H, W, 4); else it is laid over white.
        """
        raise NotImplementedError


@contextmanager
def opened(path: Path) -> Iterator[Still]:
    """The picture in a file, its header read and nothing decoded.

    Raises:
        MediaError: it takes a library that is not installed.
        UnidentifiedImageError: it is no picture that can be read.
        Exception: Pillow's headers raise a dozen kinds where they are damaged.
    """
    kind = kind_of(path)
    if kind in LIGHT:
        yield LightPicture(path, _light_size(path), LIGHT[kind])
        return
    formats: tuple[str, ...] = PILLOW_FORMATS
    if kind == RAW:
        raise UnidentifiedImageError(path)  # Pillow takes the preview in some for the photo
    if kind == HEIC:
        require_decoder(path, kind, "pillow_heif", "pip install 'vidstyle[heif]'")
        import pillow_heif

        pillow_heif.register_heif_opener()
        formats = (HEIF,)
    require_canvas(path)
    with Image.open(path, formats=formats) as image:
        if image.format == "TGA" and not _signed_tga(path) and path.suffix.lower() != ".tga":
            raise UnidentifiedImageError(path)  # TGA has no mark at its start: nearly anything could be taken for one
        tags = getattr(image, "tag_v2", {})
        if DNG_VERSION in tags or tags.get(SUBFILE, 0) & 1:
            raise MediaError(
                f"{path} is {RAW.name}, of which only a preview can be read; develop it to TIFF or PNG first"
            )
        yield PillowPicture(path, image.size, image)


def require_canvas(path: Path) -> None:
    """Raise `MediaError` if a WebP picture is too large; Pillow takes memory for all of it as it opens the file."""
    with open(path, "rb") as file:
        canvas = webp_canvas(file.read(WEBP_HEAD))
    if canvas is not None:
        width, height, moves = canvas
        require_pixels(path, width, height, MAX_WEBP_PIXELS if moves else MAX_PIXELS)


def webp_canvas(head: bytes) -> tuple[int, int, bool] | None:
    """Width, height and whether it moves, from the first `WEBP_HEAD` bytes of a WebP picture (RFC 9649); else None."""
    if len(head) < WEBP_HEAD or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    if head[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
        return width, height, bool(head[20] & ANIMATION)
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), False
    width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return width, height, False


def require_pixels(path: Path, width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Raise `MediaError` if the picture or frame in `path` has more than so many pixels."""
    if width * height > most:
        raise MediaError(
            f"{path} has {width}x{height} pixels; at most {most // 10**6} megapixels can be read: make it smaller first"
        )


def require_decoder(path: Path, kind: Kind, library: str, command: str) -> None:
    """Raise `MediaError` if the library that decodes such files is not installed."""
    if find_spec(library) is None:
        raise MediaError(f"{path} is {kind.name}; to read it run {command}, or convert it to PNG first")


@dataclass(frozen=True)
class PillowPicture(Still):
    """A picture that Pillow identifies."""

    image: Image.Image

    @property
    def orientation(self) -> int:
        if self.image.format == "TIFF":
            return 1  # Pillow turns these itself
        found = self.image.getexif().get(ORIENTATION, 1)
        return found if isinstance(found, int) and 1 <= found <= 8 else 1

    @property
    def moves(self) -> bool:
        return self.image.format in ANIMATED and getattr(self.image, "n_frames", 1) > 1

    def srgb(self, size: tuple[int, int], *, transparency: bool = False) -> np.ndarray:
        image, tags = self.image, self._tags()
        white = self._white()
        profile = image.info.get("icc_profile") if tags is None else None
        if white > 255 and not profile and (samples := self._deep(white)) is not None:
            samples = _reduced(samples, size)
        elif image.mode in SIXTEEN_BITS or (image.format == "PPM" and image.mode == "I"):
            image.load()
            grey, white = _reduced(np.asarray(image).astype(np.uint16), size), 65535
            samples = np.repeat(grey[:, :, None], 3, axis=2)
        elif image.mode in ("I", "F"):
            raise ValueError("32 bits a channel have no known scale")
        else:
            samples, white = _eight_bits(image, profile, size), 255
        if tags is not None and tags.hdr:  # its tone mapping depends on the whole picture
            return _converted(samples, white, tags, transparency=transparency)
        result = np.empty((*samples.shape[:2], samples.shape[2] if transparency else 3), np.float32)
        for top in range(0, len(samples), BAND):
            result[top : top + BAND] = _converted(samples[top : top + BAND], white, tags, transparency=transparency)
        return result

    def _tags(self) -> ColorTags | None:
        """The colours that the file says in numbers; None where an ICC profile or nothing does."""
        if self.image.format == "PNG":
            return png_tags(self.path, self.image.info)
        tags = nclx_tags(item_properties(self.path)) if self.image.format in ("AVIF", HEIF) else None
        if "icc_profile" in self.image.info and tags is not None and not tags.hdr:
            return None  # a profile says it better, but knows nothing of HDR
        return tags

    def _white(self) -> int:
        """The largest sample of a colour picture that has more bits than Pillow gives of it; 255 of any other."""
        image = self.image
        if image.mode not in ("RGB", "RGBA", "LA"):
            return 255
        tiles: Any = getattr(image, "tile", None)
        packing = tiles[0].args if tiles else None
        if image.format == "PNG":  # which may be loaded by now, for its orientation
            with open(self.path, "rb") as file:
                return 65535 if file.read(PNG_DEPTH + 1)[PNG_DEPTH:] == b"\x10" else 255
        if image.format == "PPM":
            return int(packing[1]) if isinstance(packing, tuple) else 255
        if image.format == "TIFF":
            tags = getattr(image, "tag_v2", {})
            upright = tags.get(ORIENTATION, 1) == 1  # OpenCV turns the others itself, some wrongly
            return 65535 if upright and set(tags.get(BITS_PER_SAMPLE, ())) == {16} else 255
        return 2 ** bits_of(item_properties(self.path)) - 1 if image.format in ("AVIF", HEIF) else 255

    def _deep(self, white: int) -> np.ndarray | None:
        """All the bits, (H, W, 3 or 4) uint16; None if they cannot be had."""
        if self.image.format == HEIF:
            import pillow_heif

            heif = pillow_heif.open_heif(self.path, convert_hdr_to_8bit=False)
            return np.asarray(heif) >> (16 - white.bit_length())
        try:
            samples = decode(self.path, "opencv", flags=cv2.IMREAD_UNCHANGED)
        except Exception:  # an OpenCV that lacks the decoder; a damaged file is found by Pillow, which tries next
            return None
        height, width = samples.shape[:2]
        known = samples.dtype == np.uint16 and samples.ndim == 3 and (width, height) == self.size
        return samples if known else None


@dataclass(frozen=True)
class LightPicture(Still):
    """A picture of linear light without an upper end, 1 = diffuse white, in the primaries of BT.709."""

    door: str  #: imageio's plugin

    def srgb(self, size: tuple[int, int], *, transparency: bool = False) -> np.ndarray:
        if self.door == "pyav":
            require_decoder(self.path, EXR, "av", pip_install(["av"]))
            light = decode(self.path, "pyav", format=None)
            if light.ndim == 3:  # FFmpeg's planes are G, B, R and opacity
                light = np.stack([light[plane] for plane in (2, 0, 1, 3)[: len(light)]], axis=2)
        else:
            light = decode(self.path, "opencv", flags=cv2.IMREAD_UNCHANGED)
        if light.dtype != np.float32 or light.shape[:2] != self.size[::-1]:
            raise ValueError("its channels are of another kind than RGB")
        light = np.repeat(light[:, :, None], 3, axis=2) if light.ndim == 2 else light
        light = np.nan_to_num(light).clip(0, BRIGHTEST)  # before means are taken, which could overflow
        light = _means(light, size)
        tags = ColorTags(transfer=LINEAR)
        if light.shape[2] == 3:
            return to_srgb(light, tags)
        colors, opacity = light[:, :, :3], light[:, :, 3:].clip(0, 1)  # premultiplied
        if transparency:
            return np.dstack([to_srgb(colors / np.where(opacity > 0, opacity, 1), tags), opacity])
        return to_srgb(colors + (1 - opacity), tags)


def _converted(samples: np.ndarray, white: int, tags: ColorTags | None, *, transparency: bool) -> np.ndarray:
    """(H, W, 3 or 4) samples up to `white`, in the colours of `tags` -> float32 sRGB, on a white ground or as it is."""
    rgb = _to_float(samples, white)
    if tags is not None:
        rgb = np.dstack([to_srgb(rgb[:, :, :3], tags), rgb[:, :, 3:]])
    return over_white(rgb) if rgb.shape[2] == 4 and not transparency else rgb


def over_white(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 4) float in [0, 1], the last channel how opaque, not premultiplied -> (H, W, 3) on a white ground."""
    alpha: np.ndarray = rgba[:, :, 3:]
    composited: np.ndarray = rgba[:, :, :3] * alpha
    composited += 1 - alpha  # in place: of a large picture each copy takes a gigabyte
    return composited


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, …) turned as EXIF's orientation says."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _eight_bits(image: Image.Image, profile: bytes | None, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3 or 4) uint8; with a profile, in sRGB."""
    if size != image.size and image.format in ("JPEG", "MPO"):
        _draft(image, size)
    image.load()
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
    elif image.mode in ("P", "1", "RGBX"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if size != image.size:
        image = _averaged(image, size)
    if image.mode == "RGBA" and not profile:
        return np.asarray(image)
    alpha = None
    if image.mode in ("LA", "RGBA"):
        alpha, image = image.getchannel("A"), image.convert("L" if image.mode == "LA" else "RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # broken, or of another kind of picture: left aside, as browsers do
    rgb = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return rgb if alpha is None else np.dstack([rgb, np.asarray(alpha)])


def _to_float(samples: np.ndarray, white: int) -> np.ndarray:
    scaled = samples.astype(np.float32)
    scaled /= white
    return scaled


def _draft(image: Image.Image, size: tuple[int, int]) -> None:
    """Have a JPEG decoded at an eighth, a quarter or a half that is still twice as large as `size`.

    Only where that divides its sides: else the last pixels would lie half outside, and the picture be out of place.
    """
    for part in (8, 4, 2):
        width, height = (side // part for side in image.size)
        if (width * part, height * part) == image.size and width >= 2 * size[0] and height >= 2 * size[1]:
            image.draft(image.mode, (width, height))
            return


def _averaged(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture of 8 bits at a smaller size; Pillow's own box filter counts pixels wholly or not at all."""
    mode = {"RGBA": "RGBa", "LA": "La"}.get(image.mode, image.mode)  # clear pixels must not count
    means = cv2.resize(
        np.asarray(image if image.mode == mode else image.convert(mode)), size, interpolation=cv2.INTER_AREA
    )
    averaged = Image.frombytes(mode, size, means.tobytes())
    if mode != "RGBa" or means[:, :, 3].min() > 0:
        return averaged if image.mode == mode else averaged.convert(image.mode)
    pixels = np.array(averaged.convert(image.mode))
    hidden = pixels[:, :, 3] == 0  # its colours are kept
    pixels[hidden, :3] = cv2.resize(np.asarray(image.convert("RGB")), size, interpolation=cv2.INTER_AREA)[hidden]
    return Image.fromarray(pixels)


def _reduced(samples: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means of pixels, as many as `size` says; of colours that are not premultiplied."""
    if samples.ndim == 3 and samples.shape[2] == 4 and samples.shape[1::-1] != size:
        return resized(samples, *size, cv2.INTER_AREA)
    return _means(samples, size)


def _means(samples: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return samples if samples.shape[1::-1] == size else cv2.resize(samples, size, interpolation=cv2.INTER_AREA)


def _light_size(path: Path) -> tuple[int, int]:
    """Width and height from the header of an OpenEXR or Radiance picture."""
    with open(path, "rb") as file:
        head = file.read(HEADER)
    if found := re.search(rb"dataWindow\0box2i\0\x10\0\0\0(.{16})", head, re.DOTALL):
        left, top, right, bottom = np.frombuffer(found[1], "<i4").tolist()
        return right - left + 1, bottom - top + 1
    if found := re.search(rb"\n-Y (\d{1,9}) \+X (\d{1,9})\n", head):
        return int(found[2]), int(found[1])
    raise ValueError("its header says no size")


def _signed_tga(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 18))
        return file.read() == b"TRUEVISION-XFILE.\0"

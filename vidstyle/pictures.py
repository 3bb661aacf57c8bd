"""Stills: the only module that opens input pictures, through Pillow; and the sizes at which they are painted.

Pillow is used directly, not through imageio: the size must be known before anything is decoded, colour profiles must be
applied, and the choice of decoder must not follow the suffix or reach programs like Ghostscript.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from vidstyle.errors import MediaError
from vidstyle.opencv import cv2

MAX_PIXELS = 100_000_000
MIN_SIDE = 16
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif")
ANIMATED = ("GIF", "PNG", "AVIF")  # formats of pictures whose animations are read as clips, too
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")


def load_picture(path: str | Path) -> np.ndarray:
    """A still picture, upright, in sRGB, (H, W, 3) float32 in [0, 1].

    Orientation (EXIF) and colour profile (ICC) are applied; a profile that is broken or belongs to another kind of
    picture is ignored, as browsers do. Transparency is composited over white. Grey pictures of 16 bits keep them;
    Pillow reads others at 8. Of an animation the first frame counts. The content decides, not the suffix.

    Raises:
        MediaError: the file is missing, damaged, no picture, or larger than 100 megapixels.
    """
    path = Path(path)
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what is checked here or does not matter
        try:
            with Image.open(path, formats=PICTURE_FORMATS) as image:
                require_pixels(path, image.width, image.height)
                image.load()
                return _to_srgb(ImageOps.exif_transpose(image))
        except (MediaError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise MediaError(f"{path} is larger than 100 megapixels; make it smaller first") from error
        except UnidentifiedImageError as error:
            raise MediaError(f"{path} is not a picture: {look(path)}") from error
        except Exception as error:  # Pillow's decoders raise a dozen kinds for damaged files
            raise MediaError(f"{path} is damaged or of a kind that cannot be read ({error})") from error


def is_still(path: str | Path) -> bool:
    """Whether a file is one picture, maybe a damaged one; False for an animation, and for what is no picture at all.

    Raises `MediaError` if it may not be read.
    """
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=PICTURE_FORMATS) as image:
                return image.format not in ANIMATED or getattr(image, "n_frames", 1) == 1
        except UnidentifiedImageError:
            return False
        except Exception:  # as above; whoever loads it is told what is wrong
            return True


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """`image` (H, W, 3), uint8 or float in [0, 1], at another size: averaged when shrinking, bicubic when enlarging."""
    if image.shape[:2] == (height, width):
        return image
    shrinking = width <= image.shape[1] and height <= image.shape[0]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    return resized if image.dtype == np.uint8 else np.clip(resized, 0, 1)  # bicubic overshoots; uint8 saturates itself


def fit(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Width and height of the same shape whose longer side is `long_side`, both even; never larger than given.

    0 keeps the size, odd or even. Raises `MediaError` if a side would be shorter than 16 pixels.
    """
    own = max(width, height)
    if long_side == 0:
        new = (width, height)
    else:
        long = min(long_side, own) // 2 * 2
        new_width, new_height = (long if side == own else round(side * long / own / 2) * 2 for side in (width, height))
        new = (new_width, new_height)
    if min(new) < MIN_SIDE:
        raise MediaError(
            f"a picture of {width}x{height} pixels would be painted at {new[0]}x{new[1]}; "
            f"each side needs at least {MIN_SIDE} pixels: take a larger or less narrow picture, or a larger --size"
        )
    return new


def in_folder(path: str | Path) -> list[Path]:
    """The picture at `path` or, if that is a folder, those in it with a picture's suffix, sorted by name.

    Raises `MediaError` if there is none.
    """
    path = Path(path)
    if not path.is_dir():
        check_file(path)
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise MediaError(f"the folder {path} holds no picture ({', '.join(PICTURE_SUFFIXES)})")
    return found


def check_file(path: str | Path) -> None:
    """Raise `MediaError` if `path` is not a file that may be read."""
    path = Path(path)
    try:
        if path.is_dir():
            raise MediaError(f"{path} is a folder; give a file")
        if not path.is_file():
            raise MediaError(f"there is no file {path}")
        if not os.access(path, os.R_OK):
            raise MediaError(f"{path} may not be read; change its permissions")
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero
        raise MediaError(f"{path} is no name of a file ({error})") from error


def require_pixels(path: Path, width: int, height: int) -> None:
    """Raise `MediaError` if the picture or frame in `path` is larger than 100 megapixels."""
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"{path} has {width}x{height} pixels; at most 100 megapixels can be read: make it smaller first"
        )


def look(path: Path) -> str:
    """What a file is that no decoder wants, for the text of an error."""
    with open(path, "rb") as file:
        head = file.read(1024)
    if not head:
        return "it is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; run `git lfs pull` to get the file itself"
    if b"\0" not in head:
        return "it is text"
    return "it is of an unknown kind, or damaged at its start"


def over_white(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 4) float in [0, 1], the last channel how opaque, not premultiplied -> (H, W, 3) on a white ground."""
    alpha: np.ndarray = rgba[:, :, 3:]
    return np.asarray(rgba[:, :, :3] * alpha + (1 - alpha))


def _to_srgb(image: Image.Image) -> np.ndarray:
    """Any mode that Pillow decodes -> (H, W, 3) float32 sRGB in [0, 1], transparency over white."""
    if image.mode in SIXTEEN_BITS:
        grey = np.asarray(image).astype(np.float32) / 65535
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a channel have no known scale")
    profile = image.info.get("icc_profile")
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if image.mode in ("P", "PA", "LA", "1", "RGBA", "RGBX"):
        image = image.convert("L" if image.mode in ("LA", "1") else "RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    rgb = np.asarray(image.convert("RGB")).astype(np.float32) / 255
    if alpha is None:
        return rgb
    return over_white(np.dstack([rgb, np.asarray(alpha).astype(np.float32) / 255]))

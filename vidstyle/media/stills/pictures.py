"""Stills: input pictures as sRGB, their sizes before decoding, and the sizes at which they are painted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from vidstyle.errors import MediaError
from vidstyle.media.stills.decoders import (
    MAX_FRAME_PIXELS,
    MAX_PIXELS,
    PillowPicture,
    Still,
    opened,
    over_white,
    require_pixels,
    upright,
)
from vidstyle.media.stills.filekinds import check_file, described
from vidstyle.media.stills.transparency import filled, is_transparent
from vidstyle.media.stills.transparency import resized as transparent_resized
from vidstyle.system.opencv import cv2

__all__ = ["check_file", "described", "over_white"]
MIN_SIDE = 16
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # BT.709
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".exr", ".tga")


def load_picture(path: str | Path, *, enough: int = 0, transparency: bool = False) -> np.ndarray:
    """A still picture, upright, in sRGB, (H, W, 3) float32 in [0, 1].

    Orientation and colours are applied as the file says: an ICC profile, the chunks of PNG, the numbers of AVIF and
    HEIC. A profile that is broken or belongs to another kind of picture is ignored, as browsers do. HDR is mapped to
    the range of sRGB. Transparency is composited over white. 16 bits a channel are kept, unless an ICC profile is
    applied. Of an animation the first frame counts. The content decides, not the suffix.

    Args:
        enough: pixels of the long side that will be used; a picture of more than twice as many is shrunk to that, by
            the means of pixels, while it takes little memory. 0 keeps all.
        transparency: give a picture that is transparent somewhere as (H, W, 4), with its opacity as the last channel.

    Raises:
        MediaError: the file is missing, damaged, no picture, of colours that are not known, or larger than 100
            megapixels; or it takes a library that is not installed.
    """
    with _opened(Path(path)) as still:
        scale = 2 * enough / max(still.size)
        width, height = (math.ceil(side * scale) if 0 < scale < 1 else side for side in still.size)
        return _decoded(still, (width, height), transparency=transparency)


def load_content(path: str | Path, long_side: int, *, transparency: bool = False) -> np.ndarray:
    """A picture that will be painted with this long side, as `load_picture` gives it; refused before it is decoded.

    Raises `MediaError` as `load_picture` and `fit` do.
    """
    with _opened(Path(path)) as still:
        width, height = fit(*_upright_size(still), long_side)
        # Twice as large as it is painted: rounded to 8 bits, the mean of four pixels is still fine enough.
        twice = (2 * width, 2 * height) if still.orientation < 5 else (2 * height, 2 * width)
        smaller = twice[0] < still.size[0] and twice[1] < still.size[1]
        return _decoded(still, twice if smaller else still.size, transparency=transparency)


def _decoded(still: Still, size: tuple[int, int], *, transparency: bool) -> np.ndarray:
    pixels = upright(still.srgb(size, transparency=transparency), still.orientation)
    return pixels if pixels.shape[2] == 3 or is_transparent(pixels) else pixels[:, :, :3]


def require_visible(pixels: np.ndarray, what: str) -> np.ndarray:
    """The same picture (H, W, 3 or 4). Raises `MediaError` for one that is transparent everywhere."""
    if pixels.shape[2] == 4 and not pixels[:, :, 3].any():
        raise MediaError(f"{what} is transparent everywhere, so there is nothing to be seen in it; give another")
    return pixels


def load_style(path: str | Path, *, enough: int = 0) -> np.ndarray:
    """A picture whose pixels count by their opacity: (H, W, 4) if it is transparent somewhere, `filled`.

    Takes and raises what `load_picture` does; and raises `MediaError` for one that is transparent everywhere.
    """
    found = require_visible(load_picture(path, enough=enough, transparency=True), f"the style {path}")
    return found if found.shape[2] == 3 else np.dstack([filled(found), found[:, :, 3]])


def load_mask(path: str | Path, *, enough: int = 0) -> np.ndarray:
    """A picture as a mask, upright, (H, W) uint8: its opacity if any of it is transparent, else its luma (BT.709).

    Takes and raises what `load_picture` does.
    """
    with _opened(Path(path)) as still:
        if isinstance(still, PillowPicture) and still.image.has_transparency_data:
            opacity = np.asarray(still.image.convert("RGBA"))[:, :, 3]
            if (opacity < 255).any():
                return upright(opacity, still.orientation)
    return luma(np.rint(255 * load_picture(path, enough=enough)).astype(np.uint8))


def luma(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB -> (H, W) uint8, of BT.709; white is 255."""
    found: np.ndarray = np.rint(pixels @ LUMA).astype(np.uint8)
    return found


def picture_size(path: str | Path) -> tuple[int, int]:
    """Width and height of a picture, upright. Decodes nothing. Raises `MediaError` as `load_picture` does."""
    with _opened(Path(path)) as still:
        return _upright_size(still)


def _upright_size(still: Still) -> tuple[int, int]:
    return still.size if still.orientation < 5 else (still.size[1], still.size[0])


def is_still(path: str | Path) -> bool:
    """Whether a file is one picture, maybe a damaged one; False for an animation, and for what is no picture at all.

    Raises `MediaError` if it may not be read.
    """
    path = Path(path)
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with opened(path) as still:
                return not still.moves
        except UnidentifiedImageError:
            return False
        except Exception:  # as in _opened; whoever loads it is told what is wrong
            return True


@contextmanager
def _opened(path: Path) -> Iterator[Still]:
    """The picture in a file, its header read; what is wrong with it, then or later, becomes a `MediaError`."""
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what is checked here or does not matter
        try:
            with opened(path) as still:
                width, height = still.size
                frame = width * height > MAX_FRAME_PIXELS and still.moves  # asked last: frames may have to be counted
                require_pixels(path, width, height, MAX_FRAME_PIXELS if frame else MAX_PIXELS)
                yield still
        except (MediaError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise MediaError(f"{path} is larger than 100 megapixels; make it smaller first") from error
        except UnidentifiedImageError as error:
            raise MediaError(f"{path} is not a picture that can be read: {described(path, 'picture')}") from error
        except Exception as error:  # decoders raise a dozen kinds for damaged files
            raise MediaError(f"{path} is damaged or of a kind that cannot be read ({error})") from error


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """`image` (H, W, 3), uint8 or float in [0, 1], at another size: averaged when shrinking, bicubic when enlarging.

    Of a picture (H, W, 4) colours count by the opacity in its last channel.
    """
    if image.shape[:2] == (height, width):
        return image
    shrinking = width <= image.shape[1] and height <= image.shape[0]
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    if image.ndim == 3 and image.shape[2] == 4:
        return transparent_resized(image, width, height, interpolation)
    resized = cv2.resize(image, (width, height), interpolation=interpolation)
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

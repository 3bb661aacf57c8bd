"""imageio, the door of picture files: stills and animations between bytes and arrays.

Its plugins are Pillow, OpenCV and PyAV. What it cannot do for files of others is done with Pillow, see `decoders`.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

imopen: Any = iio.imopen  # each plugin has a type of its own


def encode(pixels: np.ndarray, suffix: str, **options: Any) -> bytes:
    """A picture, (H, W, 3) uint8, as a file of the format that `suffix` names, with options of Pillow's encoder.

    Raises `OSError` or `ValueError` if the format cannot hold it.
    """
    _import_plugin("pillow")
    data: bytes = iio.imwrite("<bytes>", pixels, plugin="pillow", extension=suffix, **options)
    return data


def decode(file: bytes | Path, plugin: str = "pillow", **options: Any) -> np.ndarray:
    """The first picture of a file, as its plugin gives it, which takes the options. Raises what that raises."""
    if isinstance(file, Path):
        # Bytes, for PyAV: by its name a file could be taken for a numbered sequence, or for another format.
        file = file.absolute() if plugin == "opencv" else file.read_bytes()
    with _opened(file, plugin) as source:
        return np.asarray(source.read(index=0, **options))


def count(path: Path) -> int:
    """The frames of an animation. Raises what Pillow raises."""
    with open(path, "rb") as file, _opened(file, "pillow") as animation:
        return int(animation.properties(index=...).n_images)


def frames(path: Path) -> Generator[tuple[np.ndarray, Mapping[str, Any]]]:
    """The frames of an animation as Pillow decodes them, one after the other, and what the file says of each.

    That is, where it is said, `timestamp` and `duration` in milliseconds. Raises what Pillow raises.
    """
    with open(path, "rb") as file, _opened(file, "pillow") as animation:
        for number in range(animation.properties(index=...).n_images):
            pixels = animation.read(index=number, writeable_output=False)
            yield pixels, animation.metadata(index=number)


def _opened(file: Any, plugin: str) -> Any:
    _import_plugin(plugin)
    return imopen(file, "r", plugin=plugin)


def _import_plugin(plugin: str) -> None:
    """What imageio does itself when it opens a file, but it hides why it failed: there may be no memory left."""
    importlib.import_module(f"imageio.plugins.{plugin}")

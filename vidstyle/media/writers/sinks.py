"""The sinks of painted frames: one for each suffix, and that of a still.

Every sink works in a hidden folder beside the output, reads the result back, and only then puts it in its place. So an
output is there whole or not at all, and an old one stays until the new one is good.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import features

from vidstyle.errors import UsageError
from vidstyle.media.writers.base import Encoding, FileSink
from vidstyle.media.writers.stills import STILLS, FolderSink, StillFormat, StillSink, check_folder
from vidstyle.system import libraries
from vidstyle.system.files import Record, check_writable
from vidstyle.types import ClipInfo, Sink

TRANSPARENT = (".png", ".webp", ".avif", ".tif", ".tiff", ".gif", ".webm", "")  # outputs that can be; "" is a folder
SLASHES = tuple(filter(None, (os.sep, os.altsep)))


def check_output(path: str | Path, *, moving: bool, overwrite: bool) -> Path:
    """Find out before any painting whether `path` can be written.

    Args:
        path: moving pictures may go to a folder; a new one is told by a slash at its end.
        moving: whether there will be more than one frame.
        overwrite: whether what is there already may be replaced.

    Raises:
        UsageError: the suffix is unknown, or of a still where frames move or the other way round, or a library that
            writes or reads such files is not installed.
        DiskError: the folder is missing or cannot be written, or something else than an output of vidstyle is there.
        OutputExistsError: the file is there and may not be replaced.
    """
    folder = str(path).endswith(SLASHES) or os.path.isdir(path)
    path = Path(path)
    suffix = path.suffix.lower()
    if moving and folder and not suffix:
        check_folder(path, overwrite=overwrite)
        return path
    known: Mapping[str, StillFormat | type[FileSink]] = encoders() if moving else STILLS
    if suffix not in known:
        what = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        as_folder = f", or frame by frame into a folder {path.stem}/" if moving else ""
        kind = "moving" if moving else "still"
        raise UsageError(f"output {path} {what}; a {kind} picture is written as {', '.join(known)}{as_folder}")
    if (feature := known[suffix].reader) and not features.check(feature):
        raise UsageError(f"output {path} needs a Pillow that knows {feature.upper()}; run pip install --upgrade pillow")
    check_writable(path, overwrite=overwrite)
    return path


def open_sink(
    path: str | Path,
    info: ClipInfo,
    encoding: Encoding = Encoding(),  # noqa: B008 (frozen)
    *,
    overwrite: bool = True,
) -> Sink:
    """The sink for the suffix of `path`; without one, a folder of frames. A single frame may be a still, too.

    Args:
        info: of the frames that will be written.
        encoding: how; what the format does not know is left aside.
        overwrite: whether a file may be replaced that is there when this one is complete.

    Raises:
        UsageError: the suffix is unknown, or a library that writes clips is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not suffix:
        return FolderSink(path, info, encoding, overwrite=overwrite)
    if info.frames == 1 and suffix in STILLS:
        return StillSink(path, info, encoding, overwrite=overwrite)
    moving = encoders()
    if suffix not in moving:
        raise UsageError(f"output {path} has an unknown suffix; known: {', '.join(dict.fromkeys((*moving, *STILLS)))}")
    return moving[suffix](path, info, encoding, overwrite=overwrite)


def holds_transparency(path: Path) -> bool:
    """Whether an output can be transparent; a GIF wholly or not at all, at each pixel."""
    return path.suffix.lower() in TRANSPARENT


def encoders() -> Mapping[str, type[FileSink]]:
    """The sinks of moving pictures, by suffix. Raises `UsageError` if a library that writes clips is not installed."""
    libraries.require("writing a clip", "av", "imageio_ffmpeg")
    # Not at the top: whoever writes no clip needs no such library.
    from vidstyle.media.writers.animations import ANIMATIONS
    from vidstyle.media.writers.encoders import CLIPS

    return {**CLIPS, **ANIMATIONS}


def write_still(
    pixels: np.ndarray,
    paths: Iterable[Path],
    *,
    overwrite: bool = True,
    origin: str = "",
    record: Record | None = None,
) -> None:
    """Write one picture, (H, W, 3 or 4) uint8 or uint16 sRGB, to each of these places. Raises as a sink does.

    `origin` goes into the metadata of each. `record` is told of each, and of its part file, before that has its place.
    """
    info = ClipInfo(pixels.shape[1], pixels.shape[0], Fraction(1), 1)
    for path in paths:
        encoding = Encoding(origin=origin, record=record, transparent=pixels.shape[2] == 4)
        with StillSink(path, info, encoding, overwrite=overwrite) as sink:
            sink.write(pixels)

"""The styles of a job: pictures, and clips whose statistics are the mean of those of some of their frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidstyle.jobs.sources.clips import is_picture, to_tensor
from vidstyle.media.stills import pictures
from vidstyle.media.stills.transparency import filled_colors
from vidstyle.system import libraries
from vidstyle.types import is_transparent

FRAMES = 8  # of a clip that is a style, from the middle of as many equal parts of it


def load_styles(files: Sequence[str | Path], enough: int = 0) -> list[Tensor]:
    """Styles as `core.stylizer.Stylizer` takes them: (3, H, W) each, or (4, H, W) with opacity; of a clip (N, C, H, W).

    Args:
        enough: as `pictures.load_picture` takes it.

    Raises:
        MediaError: one cannot be read, or is transparent everywhere.
        UsageError: it is a clip, and a library that reads clips is not installed.
    """
    return [_load(os.path.abspath(file), enough) for file in files]


def thumbnail(style: Tensor) -> Tensor:
    """What stands for a style where it is shown, (3 or 4, H, W): of a clip the frame in the middle."""
    return style if style.dim() == 3 else style[len(style) // 2]


def _load(file: str, enough: int) -> Tensor:
    if is_picture(file):
        return to_tensor(pictures.load_style(file, enough=enough))
    libraries.require("reading a clip", "av")
    from vidstyle.media.video import survey  # not at the top: whoever has no clip needs no such library

    clip = survey(file)
    count = clip.info.frames
    some = min(FRAMES, count)
    chosen = {(2 * part + 1) * count // (2 * some) for part in range(some)}
    decode = clip.decode_transparent if is_transparent(clip) else clip.decode
    width, height = _size(clip.info.width, clip.info.height, enough)
    found = []
    with closing(decode()) as frames:
        for number, frame in enumerate(islice(frames, max(chosen) + 1)):
            if number in chosen:
                pixels = pictures.resize(frame, width, height)
                colors = filled_colors(pixels)
                found.append(to_tensor(colors if pixels.shape[2] == 3 else np.dstack([colors, pixels[:, :, 3] / 255])))
    visible = [one for one in found if len(one) == 3 or one[3].any()]
    return torch.stack(visible or found)


def _size(width: int, height: int, enough: int) -> tuple[int, int]:
    """Twice `enough`, as of a picture; no more than the clip has."""
    scale = min(2 * enough / max(width, height), 1) if enough else 1
    return max(round(width * scale), 1), max(round(height * scale), 1)

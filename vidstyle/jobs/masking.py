"""Makes masks: of a box in a picture, and carried from one frame of a clip through its shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from vidstyle.errors import MediaError, UsageError
from vidstyle.jobs.arguments import checked
from vidstyle.jobs.sources.carried import Carrier, require_painted
from vidstyle.jobs.sources.clips import VideoSource, is_picture
from vidstyle.media.stills import pictures
from vidstyle.media.stills.segmentation import Box, Point, cut_out, refined
from vidstyle.media.stills.sequence import input_files
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.sinks import check_output, open_sink, write_still
from vidstyle.settings import VideoSettings
from vidstyle.system.files import check_apart
from vidstyle.types import ClipInfo

CRF = 8  # quality of a clip of masks: levels near black and white are read as those

File = str | Path
Number = int  # at least 0
OnMask = Callable[[int, int], None]  # told how many masks of how many are made


@checked
def make_mask(
    content: File,
    output: File,
    *,
    box: Sequence[int],
    points: Sequence[Sequence[int]] = (),
    frame: Number | None = None,
    size: Number = 512,
    overwrite: bool = False,
    on_mask: OnMask | None = None,
) -> Path:
    """Write the mask of what is seen in a box, by GrabCut: one picture, or of a clip one for each frame.

    In a clip it is carried from one frame through its shot along the optical flow, and its border follows the edges of
    each frame; in other shots it is black.

    Args:
        content: a picture or a clip.
        output: of a picture .png or another still; of a clip one of the formats of `stylize_video`, best a folder.
        box: x, y, width and height in pixels of the content: what is outside does not belong to the mask.
        points: x and y of a pixel, and 1 if it belongs to the mask or 0 if not.
        frame: of the clip, counted in the file from 0, that shows the box; the first if None.
        size: long side of the masks in pixels; at most that of the content.
        overwrite: replace an existing output.
        on_mask: called after each mask with its number from 1 and the number of all.

    Returns:
        The path of the output.

    Raises:
        UsageError: box, points or frame lie outside of the content, or nothing is found in the box.
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    moving = not is_picture(content)
    check_apart([output], input_files(Path(content)))
    path = check_output(output, moving=moving, overwrite=overwrite)
    if not moving:
        if frame is not None:
            raise UsageError(f"--frame is for a clip, and {content} is a picture; leave it out")
        own = pictures.picture_size(content)
        picture = pictures.resize(pictures.load_content(content, size), *pictures.fit(*own, size))
        picture = np.rint(255 * picture).astype(np.uint8)
        mask = _of_box(picture, own, box, points)
        write_still(np.dstack([mask] * 3), [path], overwrite=overwrite)
        return path
    source = VideoSource(str(content), VideoSettings(size=size), (1.0,))
    carrier = Carrier(source.seen, source.estimate, source.settings.long_term, source.clip.first)
    number = 0 if frame is None else frame
    require_painted(number, carrier.numbers, f"--frame {number}")
    with closing(source.seen.decode(number)) as decoded:
        (picture,) = islice(decoded, 1)
    own = source.clip.info.width, source.clip.info.height
    carried = carrier.carried(_of_box(picture, own, box, points), number, refined)
    info: ClipInfo = source.info
    with open_sink(path, info, Encoding(crf=CRF), overwrite=overwrite) as sink, closing(carried.decode(0)) as masks:
        for index, mask in enumerate(masks, 1):
            sink.write(np.dstack([mask] * 3))
            if on_mask is not None:
                on_mask(index, info.frames)
    return path


@checked
def carry_mask(clip: File, mask: File, frame: Number, *, size: Number = 256) -> Callable[[int], np.ndarray]:
    """What gives the mask of each frame of a clip, carried there from the mask of one.

    Args:
        clip: a clip.
        mask: a picture, white where it is painted.
        frame: that the mask is of, counted in the file from 0.
        size: long side of the masks in pixels; at most that of the clip.

    Returns:
        A function of a frame, counted in the file, that gives its mask (H, W) uint8: black outside of the shot. It
        keeps what it has found.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws.
    """
    source = VideoSource(str(clip), VideoSettings(size=size), (1.0,))
    carrier = Carrier(source.seen, source.estimate, source.settings.long_term, source.clip.first)
    require_painted(frame, carrier.numbers, f"frame {frame}")
    carried = carrier.carried(pictures.load_mask(mask), frame)

    def mask_at(number: int) -> np.ndarray:
        require_painted(number, carrier.numbers, f"frame {number}")
        with closing(carried.decode(number - carrier.first)) as masks:
            return next(masks)

    return mask_at


def _of_box(
    picture: np.ndarray, own: tuple[int, int], box: Sequence[int], points: Sequence[Sequence[int]]
) -> np.ndarray:
    """The mask of a box in a picture (H, W, 3) uint8; box and points are in pixels of its own size."""
    if len(box) != 4:
        raise UsageError(f"the box is {list(box)}; give x, y, width and height in pixels")
    x, y, width, height = box
    wide, tall = own
    if min(x, y) < 0 or min(width, height) < 1 or x + width > wide or y + height > tall:
        raise UsageError(
            f"the box of {width}x{height} pixels at {x},{y} is not inside of {wide}x{tall} pixels; give x,y,w,h of one"
        )
    if outside := next((point for point in points if point[0] not in range(wide) or point[1] not in range(tall)), None):
        raise UsageError(f"the point {outside[0]},{outside[1]} is not inside of {wide}x{tall} pixels")
    if (width, height) == own and all(point[2] for point in points):
        raise UsageError(
            "the box is the whole picture, and nothing says what is outside; leave a margin around the thing"
        )
    across, down = picture.shape[1] / wide, picture.shape[0] / tall
    left, top = round(x * across), round(y * down)
    scaled: Box = (left, top, round((x + width) * across) - left, round((y + height) * down) - top)
    marks: list[Point] = [(int(point[0] * across), int(point[1] * down), bool(point[2])) for point in points]
    mask = cut_out(picture, scaled, marks)
    if not mask.any():
        raise MediaError("nothing stands out in the box; draw it closer around the thing, or give --points inside")
    return mask

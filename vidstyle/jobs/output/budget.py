"""An output of a limited size in bytes: reductions are measured on a sample, and the best one is encoded in full."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vidstyle.compose.compositor import Compositor
from vidstyle.errors import SizeError
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.output.reductions import NEAR, Measure, Reduction, Room, search, taken_back
from vidstyle.media.stills.pictures import resize
from vidstyle.media.writers.atomic import Encoding
from vidstyle.media.writers.containers import CONTAINERS
from vidstyle.media.writers.sinks import open_sink
from vidstyle.system.files import made_whole
from vidstyle.system.sites import SITES, said
from vidstyle.types import ClipInfo, Fitted

FITTED = (".gif", *CONTAINERS, ".webp", ".avif")  # outputs that can be made to fit
COARSEST = 40  # crf that is tried
TRIES = 6  # encodes of the whole, at most
ENOUGH = 0.9  # of the limit
HOPEFUL = 1.1  # of the limit: a sample may tell that much too much


def placed(compositor: Compositor) -> Compositor:
    """The compositor at the width that `settings.site` shows. Raises `UsageError` if that is too narrow."""
    site = SITES.get(compositor.settings.site)
    if site is None or compositor.settings.width is not None or compositor.info.width <= site.width:
        return compositor
    return compositor.changed(width=site.width)


def fit(
    output: Path, compositor: Compositor, job: JobFolder, encoding: Encoding, limit: int, *, overwrite: bool = True
) -> Fitted:
    """Write `output` in at most `limit` bytes, as good as can be.

    Raises:
        SizeError: not even the least reduction fits.
        VidstyleError: as encoding without a limit does.
    """
    from vidstyle.jobs.output import trials  # not at the top: it needs the libraries of clips

    rooms = trials.rooms(compositor.info)
    with made_whole(output, overwrite=overwrite, record=encoding.record) as kept:
        parts = kept.with_name(f"trial{output.suffix}"), kept
        encode = partial(_encode, parts[0], compositor, job, replace(encoding, record=None))
        if output.suffix.lower() == ".gif":
            measure = trials.GifTrials(compositor.frames(job), compositor.info)
            best, size = _best(encode, measure, rooms, limit, parts)
        else:
            most = {"narrower": rooms[0]["narrower"], "coarser": max(COARSEST - encoding.crf, 0)}
            best, size = _coarser(encode, most, limit, parts)
        gave_up = tuple(_given_up(best, compositor.info, encoding))
        if size > limit:
            raise SizeError(_refusal(output, job, gave_up, size, limit))
    return Fitted(output, size, limit, *trials.size_of(best, compositor.info), gave_up)


def _best(
    encode: Callable[[Reduction], int], measure: Measure, rooms: Sequence[Room], limit: int, parts: Sequence[Path]
) -> tuple[Reduction, int]:
    """The best reduction that fits, or the least of all if none does, and its bytes.

    A sample does not quite tell the size of the whole: after each encode the limit of the next search is corrected.

    Args:
        encode: a reduction into the first of `parts`; that of the best is left as the second.
    """
    least, best, sizes = Reduction(**rooms[-1]), None, {}  # type: Reduction, Reduction | None, dict[Reduction, int]
    wanted = NEAR * limit
    while len(sizes) < TRIES:
        if not sizes and measure(Reduction()).size <= HOPEFUL * limit:
            reduction = Reduction()
        elif best is not None:
            reduction = taken_back(measure, best, wanted)
        else:
            reduction = least
            if len(sizes) < TRIES - 1 and measure(least).size <= wanted:
                reduction = next(filter(None, (search(measure, room, wanted) for room in rooms)), least)
        if reduction in sizes:
            break
        size = sizes[reduction] = encode(reduction)
        if size <= limit and (best is None or size > sizes[best]):
            best = reduction
            os.replace(*parts)
            if size >= ENOUGH * limit or reduction == Reduction():
                break
        elif reduction == least:
            break
        wanted = NEAR * limit * measure(reduction).size / size
    best = best or least
    return best, sizes[best]


def _coarser(
    encode: Callable[[Reduction], int], room: Room, limit: int, parts: Sequence[Path]
) -> tuple[Reduction, int]:
    """The same where it is the quality that tells the size: the best one that fits, at the largest width at which the
    coarsest does."""
    sizes: dict[Reduction, int] = {}

    def fits(reduction: Reduction) -> bool:
        sizes[reduction] = encode(reduction)
        if sizes[reduction] <= limit:
            os.replace(*parts)
        return sizes[reduction] <= limit

    best = Reduction()
    if fits(best):
        return best, sizes[best]
    best = Reduction(coarser=room["coarser"])
    while not fits(best):
        if best.narrower >= room["narrower"]:
            return best, sizes[best]
        steps = math.log(limit / sizes[best]) / math.log(0.9) / 2  # the size goes with the area
        best = replace(best, narrower=min(best.narrower + max(steps, 1 / 4), room["narrower"]))
    low, high = -1, round(best.coarser)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(replace(best, coarser=middle)):
            high = middle
        else:
            low = middle
    best = replace(best, coarser=high)
    return best, sizes[best]


def _encode(path: Path, compositor: Compositor, job: JobFolder, encoding: Encoding, reduction: Reduction) -> int:
    """Encode all frames with a reduction. Returns the size in bytes."""
    from vidstyle.jobs.output import trials

    if reduction.slower:
        compositor = compositor.changed(fps=float(compositor.info.fps / (1 + round(reduction.slower))))
    width, height = trials.size_of(reduction, compositor.info)
    info = replace(compositor.info, width=width, height=height)
    with open_sink(path, info, trials.encoding_of(reduction, encoding)) as sink:
        for pixels in compositor.frames(job):
            sink.write(resize(pixels, width, height))
    return path.stat().st_size


def _given_up(reduction: Reduction, info: ClipInfo, encoding: Encoding) -> Iterator[str]:
    """The reduction in words, one for each property."""
    from vidstyle.jobs.output import trials

    (width, _), less = trials.size_of(reduction, info), trials.encoding_of(reduction, encoding)
    if width < info.width:
        yield f"{info.width} -> {width} px wide"
    if less.crf > encoding.crf:
        yield f"crf {encoding.crf} -> {less.crf}"
    if reduction.slower:
        yield f"{float(info.fps):.3g} -> {float(info.fps / (1 + round(reduction.slower))):.3g} frames a second"
    if less.colors < encoding.colors:
        yield f"{encoding.colors} -> {less.colors} colours"
    if less.dither < encoding.dither:
        yield f"{encoding.dither:.0%} -> {less.dither:.0%} dithering" if less.dither else "dithering"
    if less.still > encoding.still:
        yield f"changes of less than {less.still:.1%} of lightness"


def _refusal(output: Path, job: JobFolder, gave_up: Sequence[str], size: int, limit: int) -> str:
    """The text of the error when nothing fits."""
    even = f"even if it gives up {', '.join(gave_up)}, " if gave_up else ""
    return (
        f"{output} does not fit into {said(limit)}: {even}it takes {said(size)}, and would not look well with less; "
        f"give a larger --max-size or fewer seconds. The frames are kept in {job.path}: with another --max-size "
        "nothing is painted anew"
    )

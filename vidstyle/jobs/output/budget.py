"""An output of a limited size in bytes: reductions are measured on a sample, and the best one is encoded in full."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vidstyle.compose.compositor import Compositor
from vidstyle.errors import SizeError
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.output.reductions import Measure, Reduction, bisect, largest, search
from vidstyle.media.stills.pictures import resize
from vidstyle.media.writers.base import Encoding
from vidstyle.media.writers.containers import CONTAINERS
from vidstyle.media.writers.sinks import open_sink
from vidstyle.system.files import made_whole
from vidstyle.system.sites import SITES, said
from vidstyle.types import Fitted

FITTED = (".gif", *CONTAINERS, ".webp", ".avif")  # outputs that can be made to fit
COARSEST = 40  # crf that is tried
TRIES = 6  # encodes of the whole, at most
ENOUGH, NEAR = 0.9, 0.97  # of the limit: no better one is looked for; what a search aims at
HOPEFUL = 1.1  # of the limit: a sample may tell that much too much

Encode = Callable[[Reduction], int]  # all frames; the bytes it takes


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
    most = largest(compositor.info)
    with made_whole(output, overwrite=overwrite, record=encoding.record) as kept:
        parts = kept.with_name(f"trial{output.suffix}"), kept
        encode = partial(_encode, parts, compositor, job, replace(encoding, record=None), limit)
        if output.suffix.lower() == ".gif":
            from vidstyle.jobs.output.trials import GifTrials  # not at the top: it needs the libraries of clips

            best, size = _best(encode, GifTrials(compositor.frames(job), compositor.info), most, limit)
        else:
            best, size = _coarser(encode, most[0].narrower, max(COARSEST - encoding.crf, 0), limit)
        gave_up = tuple(best.in_words(compositor.info, encoding))
        if size > limit:
            raise SizeError(_refusal(output, job, gave_up, size, limit))
    return Fitted(output, size, limit, *best.size(compositor.info), gave_up)


def _best(encode: Encode, measure: Measure, most: Sequence[Reduction], limit: int) -> tuple[Reduction, int]:
    """The best reduction of a GIF that fits, or the largest of all if none does, and its bytes.

    A sample does not quite tell the size of the whole: after each encode the limit of the next search is corrected.
    """
    sizes: dict[Reduction, int] = {}
    wanted, reduction = NEAR * limit, Reduction()
    if measure(reduction).size > HOPEFUL * limit:
        reduction = _found(measure, most, wanted)
    while reduction not in sizes and len(sizes) < TRIES:
        size = sizes[reduction] = encode(reduction)
        if ENOUGH * limit <= size <= limit or (size <= limit and reduction == Reduction()):
            break
        wanted = NEAR * limit * measure(reduction).size / size
        last = len(sizes) == TRIES - 1 and min(sizes.values()) > limit
        reduction = most[-1] if last else _found(measure, most, wanted)
    return _kept(sizes, limit)


def _found(measure: Measure, most: Sequence[Reduction], limit: float) -> Reduction:
    return next(filter(None, (search(measure, one, limit) for one in most)), most[-1])


def _coarser(encode: Encode, narrowest: float, coarsest: int, limit: int) -> tuple[Reduction, int]:
    """The same where it is the quality that tells the size: the best one that fits, at the largest width at which the
    coarsest does."""
    sizes: dict[Reduction, int] = {}

    def fits(reduction: Reduction) -> bool:
        sizes[reduction] = encode(reduction)
        return sizes[reduction] <= limit

    best = Reduction()
    if not fits(best):
        best = Reduction(coarser=coarsest)
        while not fits(best) and best.narrower < narrowest:
            steps = math.log(limit / sizes[best]) / math.log(0.9) / 2  # the size goes with the area
            best = replace(best, narrower=min(best.narrower + max(steps, 1 / 4), narrowest))
        if sizes[best] <= limit:
            best = replace(best, coarser=bisect(lambda crf: fits(replace(best, coarser=crf)), coarsest))
    return _kept(sizes, limit)


def _kept(sizes: dict[Reduction, int], limit: int) -> tuple[Reduction, int]:
    """The largest that fits, which `_encode` has kept; the last one if none does."""
    fitting = {one: size for one, size in sizes.items() if size <= limit}
    return max(fitting.items(), key=lambda item: item[1]) if fitting else [*sizes.items()][-1]


def _encode(
    parts: Sequence[Path], compositor: Compositor, job: JobFolder, encoding: Encoding, limit: int, reduction: Reduction
) -> int:
    """Encode all frames with a reduction into the first of `parts`; the largest so far that fits becomes the second.

    Returns the size in bytes.
    """
    trial, kept = parts
    if reduction.slower:
        compositor = compositor.changed(fps=float(compositor.info.fps / (1 + reduction.slower)))
    width, height = reduction.size(compositor.info)
    info = replace(compositor.info, width=width, height=height)
    with open_sink(trial, info, reduction.encoding(encoding)) as sink:
        for pixels in compositor.frames(job):
            sink.write(resize(pixels, width, height))
    size = trial.stat().st_size
    if (kept.stat().st_size if kept.exists() else 0) < size <= limit:
        os.replace(trial, kept)
    return size


def _refusal(output: Path, job: JobFolder, gave_up: Sequence[str], size: int, limit: int) -> str:
    """The text of the error when nothing fits."""
    even = f"even if it gives up {', '.join(gave_up)}, " if gave_up else ""
    return (
        f"{output} does not fit into {said(limit)}: {even}it takes {said(size)}, and would not look well with less; "
        f"give a larger --max-size or fewer seconds. The frames are kept in {job.path}: with another --max-size "
        "nothing is painted anew"
    )

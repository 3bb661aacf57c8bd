"""The seams of a painted clip whose shots were split: how much they show, beside other frames of the shot."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from vidstyle.core.metrics import sharpness, warping_error
from vidstyle.core.warp import warp
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.painting.rendering import Observer
from vidstyle.jobs.sources.clips import SequenceSource, to_tensor
from vidstyle.system.notes import tell

STEP = 4  # every so many pairs of frames are measured: the flow takes longer than some GPUs take to paint


@dataclass(frozen=True)
class SeamFigures:
    """What a seam shows: changes of the painting along the motion of the clip, from each frame to the next."""

    frame: int  #: of the sequence: the first that is a blend
    seconds: float  #: when it is shown
    most: float  #: the largest warping error of the pairs that were measured of which one is a blend, or both are
    median: float  #: of the pairs beside it, from as many frames before the seam and behind it
    sharpness: float  #: of the frame in the middle of the seam / the median of those beside it

    def __str__(self) -> str:
        return (
            f"seam at {self.seconds:.2f} s: warping error {self.most:.5f} at most, beside it {self.median:.5f} in the "
            f"median pair; sharpness {self.sharpness:.0%}"
        )


def finish_seams(source: SequenceSource, job: JobFolder, observer: Observer | None = None) -> None:
    """Tell how much the seams show, once all frames are painted; and give an observer the frames as they are shown."""
    for figures in seam_figures(source, job):
        job.log(str(figures))
        tell(str(figures))
    if observer is not None:
        with closing(source.undivided(0)) as frames:
            for frame, painting in zip(frames, job.images(source.playback), strict=True):
                observer.add(frame, painting)


def seam_figures(source: SequenceSource, job: JobFolder) -> Iterator[SeamFigures]:
    """The figures of each seam, in order."""
    overlap, own = source.seams.overlap, source.info
    seams = [source.seams.content(start) for start in source.seams.starts]
    blended = {number for seam in seams for number in range(seam, seam + overlap + 1)}  # the later frames of pairs
    for seam in seams:
        shot = source.seen.shot(seam)
        around = range(max(seam - overlap - 1, shot.start), min(seam + 2 * overlap + 1, shot.stop))
        pairs = {number: (error, sharp) for number, error, sharp in _pairs(source, job, around, seam % STEP)}
        inside = [pairs[number] for number in range(seam, min(seam + overlap + 1, around.stop), STEP)]
        beside = [pair for number, pair in pairs.items() if number not in blended]
        median, crisp = map(statistics.median, zip(*(beside or inside), strict=True))
        yield SeamFigures(
            frame=seam,
            seconds=float(own.times[seam]),
            most=max(error for error, _ in inside),
            median=median,
            sharpness=pairs[seam + overlap // 2][1] / crisp if crisp else 1.0,
        )


def _pairs(source: SequenceSource, job: JobFolder, numbers: range, phase: int) -> Iterator[tuple[int, float, float]]:
    """Of some pairs of neighbours: the later frame, its warping error from the earlier one, and its sharpness."""
    shown = job.images(source.playback[numbers.start : numbers.stop])
    with closing(source.seen.decode(numbers.start)) as decoded:
        views: Iterator[tuple[np.ndarray, np.ndarray]] = zip(islice(decoded, len(numbers)), shown, strict=True)
        for number, ((photo, painted), (photo_now, painted_now)) in zip(numbers[1:], pairwise(views), strict=True):
            if number % STEP == phase:
                motion, now = source.estimate(photo, photo_now), to_tensor(painted_now)
                carried = warp(to_tensor(painted), motion.flow).clamp(0, 1)
                yield number, warping_error(carried, now, motion.visible), sharpness(now)

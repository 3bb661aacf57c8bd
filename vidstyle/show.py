"""What every output is made from: composed frames in the order shown, as often as they are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from vidstyle.checkpoint import JobFolder
from vidstyle.layouts import fitted
from vidstyle.pictures import resize
from vidstyle.playback import Playback
from vidstyle.settings import Settings
from vidstyle.types import ClipInfo


class Show:
    """How a job's frames are shown. Raises `UsageError` if what the settings ask for cannot be meant.

    Args:
        painted: how the frames are played before anybody edits that.
        settings: those of the encoding are read.
        moving: False for a still, which has no time.

    Attributes:
        info: of the moving picture that is shown.
        delay: seconds of it before the sound begins.
    """

    def __init__(self, painted: Playback, settings: Settings, *, moving: bool = True) -> None:
        self.painted, self.settings, self.moving = painted, settings, moving
        self.playback = painted.edited(settings) if moving else painted
        width, height = fitted(painted.info.width, painted.info.height, settings.width)
        self.info: ClipInfo = dataclasses.replace(self.playback.info, width=width, height=height)
        self.delay: Fraction = self.playback.delay

    def changed(self, **settings: Any) -> Show:
        """The same with other settings, like a smaller `width` or `frame_rate`."""
        return Show(self.painted, dataclasses.replace(self.settings, **settings), moving=self.moving)

    def frames(self, job: JobFolder) -> Iterator[np.ndarray]:
        """The frames as they are shown, (H, W, 3) uint8 each. Raises `JobError` if one is missing or damaged."""
        for pixels in job.images(self.playback.order):
            yield resize(pixels, self.info.width, self.info.height)

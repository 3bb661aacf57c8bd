"""A small still that is painted a few evaluations at a time, so that the effect of a setting is seen at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vidstyle.core.stylizer import Stylizer
from vidstyle.jobs.sources.balance import PictureSource, still_plan
from vidstyle.jobs.sources.clips import to_tensor
from vidstyle.jobs.task_inputs import load_network
from vidstyle.media.stills.pictures import fit, load_picture, resize
from vidstyle.motion.flow import no_motion
from vidstyle.settings import ImageSettings
from vidstyle.types import Budget, Result, State

OF_FRAME = ("alpha", "mix", "preserve_color")  # settings that a frame has; a stylizer need not be made anew for them


class StillPainter:
    """Paints one picture in certain styles, step by step; each step starts from the painting of the last.

    The painting comes near to that of `stylize` with the same settings, and is not the same.

    Args:
        content: (H, W, 3) float32 sRGB in [0, 1].
        styles: the same, one or more.
    """

    def __init__(self, content: np.ndarray, styles: Sequence[np.ndarray]) -> None:
        self.content = content
        self.styles = [to_tensor(style) for style in styles]
        self._stylizer: Stylizer | None = None

    @staticmethod
    def fitted(content: np.ndarray, size: int) -> np.ndarray:
        """The picture of a content as it is painted, (H, W, 3) uint8, with a long side of `size`."""
        width, height = fit(content.shape[1], content.shape[0], size)
        pixels: np.ndarray = np.rint(resize(content, width, height) * 255).astype(np.uint8)
        return pixels

    def step(
        self, settings: ImageSettings, state: State | None, evaluations: int, mask: np.ndarray | None = None
    ) -> tuple[Result, State]:
        """Paint with at most so many evaluations of the loss (the first time at each scale), on from `state`.

        Args:
            settings: may differ from those of the last step.
            state: that the last step gave, also of another painter; one of another size is not used.
            mask: where to paint, (H, W) uint8 of the shape of the content, 255 for wholly; None for everywhere.

        Raises:
            UsageError: `settings.mix` does not fit the styles.
            VidstyleError: of the class that `vidstyle.errors` draws.
        """
        plan = still_plan(settings, settings.shares(len(self.styles)), settings.alpha)
        (frame,) = PictureSource(self.content, settings, plan, mask).frames(0)
        _, height, width = frame.image.shape
        budget = Budget(evaluations, settings.tolerance)
        if state is None or state.pastiche.shape != frame.image.shape:
            state, frame = None, dataclasses.replace(frame, budget=budget)
        else:
            still = no_motion(height, width)
            frame = dataclasses.replace(frame, index=state.index + 1, motion=still, budget=budget)
        return self._prepared(settings).step(frame, state)

    def _prepared(self, settings: ImageSettings) -> Stylizer:
        defaults = ImageSettings()
        settings = dataclasses.replace(settings, **{name: getattr(defaults, name) for name in OF_FRAME})
        if self._stylizer is None or self._stylizer.settings != settings:
            init = None
            if settings.init not in ("content", "noise"):
                init = to_tensor(load_picture(settings.init, enough=settings.size))
            self._stylizer = Stylizer(load_network(settings), self.styles, settings, init=init)
        return self._stylizer

"""The compositor: painted frames with layout, overlay and title card, in playback order, for every output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import Any

import numpy as np

from vidstyle.compose import layouts, overlay
from vidstyle.compose.frame_cache import At, CompositorInputs
from vidstyle.compose.playback import TITLE, Playback
from vidstyle.errors import UsageError
from vidstyle.media.stills.pictures import resize
from vidstyle.media.stills.transparency import WHITE, opaque, with_opacity
from vidstyle.settings import EncodeSettings
from vidstyle.types import ClipInfo, PaintedFrames


class Compositor:
    """Composes the frames of an output from painted frames. Raises `UsageError` if the settings do not go together.

    Args:
        painted: the playback before editing.
        settings: of the encoding, whichever job painted the frames.
        inputs: content and styles, as far as they are shown.
        moving: False for a still, which has no time.

    Attributes:
        info: of the moving picture that is shown.
        delay: seconds of it before the sound starts.
        transparent: whether its frames are.
    """

    def __init__(
        self,
        painted: Playback,
        settings: EncodeSettings,
        inputs: CompositorInputs = CompositorInputs(),  # noqa: B008 (frozen)
        *,
        moving: bool = True,
    ) -> None:
        self.painted, self.settings, self.inputs, self.moving = painted, settings, inputs, moving
        if settings.title is not None and not moving:
            raise UsageError("a still has no time for a --title; give a --caption")
        self.playback = painted.edited(settings) if moving else painted
        own = painted.info.width, painted.info.height
        aspects = [style.shape[1] / style.shape[0] for style in inputs.styles]
        self.transparent = inputs.transparent and settings.keeps_transparency
        self._panels = layouts.arranged(settings.layout, own, aspects, settings.width)
        width, font = self._panels.width, settings.font
        self._overlay = overlay.make_overlay(width, gauge=settings.gauge, caption=settings.caption, font=font)
        self._canvas = self._bare()
        height = len(self._canvas)
        self._title = None
        if settings.title is not None:
            with self._content([0]) as content:
                pictures = content(0), *inputs.styles
            pictures = tuple(map(self._opaque, pictures))
            self._title = self._shown(overlay.title_card(width, height, settings.title, pictures, font))
        self.info: ClipInfo = dataclasses.replace(self.playback.info, width=width, height=height)
        self.delay: Fraction = self.playback.delay

    def changed(self, **settings: Any) -> Compositor:
        """The same with other settings, like a smaller `width` or `fps`."""
        return Compositor(self.painted, dataclasses.replace(self.settings, **settings), self.inputs, moving=self.moving)

    def opaque(self) -> Compositor:
        """The same for an output that cannot be transparent."""
        return self.changed(background="white") if self.transparent else self

    def still(self, painting: np.ndarray) -> np.ndarray:
        """The only frame of a still without anything beside it, in whatever integers it was painted."""
        with self._content([0]) as content:
            return self._shown(painting, lambda: content(0))

    def frames(self, paintings: PaintedFrames) -> Iterator[np.ndarray]:
        """The frames as they are shown, (H, W, 3) uint8 each, or (H, W, 4) if they are transparent.

        Raises:
            JobError: one in a job folder is missing or damaged.
            MediaError: the clip that is shown beside them has changed since it was surveyed.
        """
        order = [number for number in self.playback.order if number != TITLE]
        if self._title is not None:
            yield self._title
        seconds = float(self.info.seconds)
        with self._content(order) as content:
            for place, pastiche in enumerate(paintings.images(order)):
                position = layouts.line_at(place / len(order), seconds)
                yield self._composed(pastiche, order[place], content, position)

    def poster(self, paintings: PaintedFrames) -> np.ndarray:
        """One representative frame: where alpha is halfway if it changes, else the middle one; a wipe in the middle."""
        order = [number for number in self.playback.order if number != TITLE]
        number, alpha = order[len(order) // 2], self.inputs.alpha
        if max(alpha) > min(alpha):
            halfway = (min(alpha) + max(alpha)) / 2
            number = min(order, key=lambda number: abs(alpha[number] - halfway))
        with self._content([number]) as content:
            return self._composed(next(paintings.images([number])), number, content, 0.5)

    def _content(self, order: Sequence[int]) -> AbstractContextManager[At]:
        return self.inputs.opened(self.painted.info.width, self.painted.info.height, order)

    def _composed(self, pastiche: np.ndarray, number: int, content: At, position: float) -> np.ndarray:
        """Compose a painted frame with its content, styles and overlay; `position` is that of a wipe's line."""
        panels, canvas, size = self._panels, self._canvas.copy(), self._panels.pastiche.size
        pastiche = resize(self._shown(pastiche, lambda: content(number)), *size)
        if panels.content is not None:
            beside = self._shown(content(number), lambda: content(number))
            if self.settings.layout == "wipe":
                pastiche = layouts.wiped(resize(beside, *size), pastiche, position)
            else:
                layouts.paste(canvas, beside, panels.content)
        layouts.paste(canvas, pastiche, panels.pastiche)
        if self.settings.gauge:
            canvas[panels.height :] = self._shown(self._overlay.at(self.inputs.alpha[number]))
        return canvas

    def _shown(self, picture: np.ndarray, content: Callable[[], np.ndarray] | None = None) -> np.ndarray:
        """A picture as the frames are: transparent, or laid over the background; `content` gives the frame's."""
        if self.transparent:
            return with_opacity(picture)
        return self._opaque(picture, content)

    def _opaque(self, picture: np.ndarray, content: Callable[[], np.ndarray] | None = None) -> np.ndarray:
        if picture.shape[2] == 3:
            return picture
        ground = self.settings.ground
        if ground is None and content is not None:
            return opaque(picture, content()[:, :, :3])
        return opaque(picture, ground or WHITE)

    def _bare(self) -> np.ndarray:
        """The canvas with everything that is the same in all frames."""
        canvas = self._shown(overlay.ground(self._panels.width, self._panels.height + len(self._overlay.pixels)))
        for style, box in zip(self.inputs.styles, self._panels.styles, strict=False):
            layouts.paste(canvas, layouts.covering(self._shown(style), *box.size), box)
        canvas[self._panels.height :] = self._shown(self._overlay.pixels)
        return canvas

"""The preview: a small still, painted in a thread of its own, a few evaluations at a time, always on from the last."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass

import numpy as np

from vidstyle.api import StillPainter
from vidstyle.studio.choices import PREVIEW_SIZE, Choices
from vidstyle.studio.library import Library, jpeg, stencil
from vidstyle.system.exits import outcome
from vidstyle.types import State

EVALUATIONS = 5  # between two pictures that are shown
MOST = 60  # after which the still is left as it is
ALPHAS = (0.0, 0.3, 0.5, 0.8, 0.95)  # of the grid
MOST_STYLES = 4  # rows of the grid
CELL_SIZE = 128  # pixels of the long side of a picture of the grid
CELL_EVALUATIONS = 20
QUALITY = 90  # of the JPEGs
SETTLED = 0.004  # fraction by which a step must lower the loss for another to be made


@dataclass(frozen=True)
class Still:
    """What is shown."""

    version: int = 0
    jpeg: bytes = b""
    content: bytes = b""  #: the same frame unpainted, a JPEG
    content_version: int = 0
    width: int = 3
    height: int = 2
    loss: float = 0.0
    evaluations: int = 0  #: since the last change
    refining: bool = False
    error: str = ""
    mask: bytes = b""  #: where it is painted, as `library.stencil` gives it; empty for everywhere


@dataclass(frozen=True)
class Grid:
    """Small paintings to choose from, as far as they are there."""

    version: int = 0  #: of the question
    styles: tuple[str, ...] = ()  #: keys, of each row
    cells: tuple[bytes, ...] = ()  #: JPEGs row by row, in each row the `ALPHAS`; empty for one that is not painted yet


class Preview:
    """Paints what was asked for last."""

    def __init__(self, library: Library) -> None:
        self.still = Still()
        self.grid = Grid()
        self._library = library
        self._wanted: Choices | None = None
        self._comparing: Choices | None = None  # as long as the grid is not full
        self._cell_painter: tuple[tuple[int, str], StillPainter] | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="vidstyle-preview", daemon=True)
        self._thread.start()

    def ask(self, choices: Choices) -> None:
        """Paint this instead of what was asked for before."""
        with self._changed:
            self._wanted = choices
            self._changed.notify()

    def compare(self, choices: Choices) -> None:
        """Paint the content small, in each style at each of `ALPHAS`, whenever the still is left as it is."""
        styles = choices.styles[:MOST_STYLES]
        with self._changed:
            self._comparing = choices
            self.grid = Grid(self.grid.version + 1, styles, (b"",) * (len(styles) * len(ALPHAS)))
            self._changed.notify()

    def close(self) -> None:
        """End the thread after the step that it is in."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        painter: StillPainter | None = None
        inputs: object = None
        state: State | None = None
        while (found := self._next()) is not None:
            choices, small = found
            try:
                if small:
                    self._paint_cell(choices)
                    continue
                own = choices.content, choices.styles, choices.second
                if own != inputs:
                    content = self._library.picture(self._library[choices.content], choices.second, PREVIEW_SIZE)
                    styles = [self._library.picture(self._library[key], 0.0, PREVIEW_SIZE) for key in choices.styles]
                    same = inputs is not None and own[0] == inputs[0] and own[2] == inputs[2]  # type: ignore[index]
                    painter, inputs, state = StillPainter(content, styles), own, state if same else None
                    self._show_content(StillPainter.fitted(content, PREVIEW_SIZE), paints_on=same)
                assert painter is not None
                state = self._paint(painter, choices, state)
            except Exception as error:  # the thread lives on, whatever happens to one still
                self._show(error=outcome(error, "")[1], refining=False)
                inputs = state = self._comparing = None

    def _show_content(self, picture: np.ndarray, *, paints_on: bool) -> None:
        """Show what is painted; also in the place of the painting, unless that is of the same."""
        data = jpeg(picture, quality=QUALITY)
        changes: dict[str, object] = {"content": data, "content_version": self.still.content_version + 1}
        if not paints_on:
            changes |= {"jpeg": data, "evaluations": 0, "loss": 0.0, "refining": True, "mask": b"", "error": ""}
        self._show(height=picture.shape[0], width=picture.shape[1], **changes)

    def _paint(self, painter: StillPainter, choices: Choices, state: State | None) -> State | None:
        """Paint until nothing changes much, or something else is wanted."""
        settings, done, loss = choices.preview_settings(), 0, float("inf")
        mask = self._mask(choices)
        if (shown := b"" if mask is None else stencil(mask)) != self.still.mask:
            self._show(mask=shown)
        while done < MOST and not self._interrupted():
            result, state = painter.step(settings, state, EVALUATIONS, mask)
            done += result.iterations
            now = result.losses["total"]
            last = done >= MOST or now > loss * (1 - SETTLED)
            loss = now
            self._show(
                jpeg=jpeg(result.image, quality=QUALITY), loss=now, evaluations=done, refining=not last, error=""
            )
            if last:
                break
        return state

    def _mask(self, choices: Choices) -> np.ndarray | None:
        """Where to paint; in a clip the mask is carried to the frame that is shown."""
        if not choices.mask_file:
            return None
        item, frame = self._library[choices.content], choices.mask_frame
        if item.moves and frame is not None:
            return self._library.carried(item, choices.mask_file, frame, choices.second)
        return self._library.mask(choices.mask_file)

    def _paint_cell(self, choices: Choices) -> None:
        """The next picture of the grid, if that is still the one of these choices."""
        with self._changed:
            grid = self.grid
            if choices is not self._comparing:
                return
        place = grid.cells.index(b"")
        style, alpha = grid.styles[place // len(ALPHAS)], ALPHAS[place % len(ALPHAS)]
        if self._cell_painter is None or self._cell_painter[0] != (grid.version, style):
            content = self._library.picture(self._library[choices.content], choices.second, CELL_SIZE)
            own = StillPainter(content, [self._library.picture(self._library[style], 0.0, CELL_SIZE)])
            self._cell_painter = (grid.version, style), own
        settings = dataclasses.replace(choices.preview_settings(), alpha=alpha, mix=(), size=CELL_SIZE)
        result, _ = self._cell_painter[1].step(settings, None, CELL_EVALUATIONS)
        with self._changed:
            if self.grid is grid:
                cells = (*grid.cells[:place], jpeg(result.image, quality=QUALITY), *grid.cells[place + 1 :])
                self.grid = dataclasses.replace(grid, cells=cells)
                if all(cells):
                    self._comparing = self._cell_painter = None

    def _next(self) -> tuple[Choices, bool] | None:
        """What is wanted, once something is, and whether for the grid; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._wanted is not None or self._comparing is not None)
            wanted, self._wanted = self._wanted, None
            found = self._comparing if wanted is None else wanted
            return None if self._closing or found is None else (found, wanted is None)

    def _interrupted(self) -> bool:
        with self._changed:
            return self._closing or self._wanted is not None

    def _show(self, **changes: object) -> None:
        self.still = dataclasses.replace(self.still, version=self.still.version + 1, **changes)  # type: ignore[arg-type]

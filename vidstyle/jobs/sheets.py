"""Contact sheets to choose from: a picture painted at several alphas, or the shots of a clip painted in styles.

Every cell is painted from scratch, as a still is. Carried along from one alpha to the next, a row would take a third of
the time; but where alpha is low, its paintings would keep more of the photograph than those that are made at it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor

from vidstyle.compose.grid import Head, Size, Table, cards, side_by_side
from vidstyle.core.stylizer import to_pixels
from vidstyle.errors import UsageError
from vidstyle.jobs.sources.clips import VideoSource, opacity_of, to_tensor
from vidstyle.media.stills.pictures import MIN_SIDE, fit, resize
from vidstyle.media.stills.transparency import WHITE, Ground, filled_colors, opaque, to_unit
from vidstyle.media.writers.sinks import write_still
from vidstyle.schedule import constant
from vidstyle.settings import SheetSettings
from vidstyle.types import ClipInfo, Frame, Shot

ALPHAS = (1.0, 0.95, 0.8, 0.5, 0.3, 0.0)  # of a picture, where none are given: nearly even steps to the eye
MOST = 400  # pictures on a sheet
SHOWN = 3  # frames of a shot, where nothing is painted


class Sheet:
    """Independent paintings as a source, and the table that shows them.

    Args:
        cells: to be painted, all of one size, row by row.
        table: that they are shown in.
        originals: pictures before each row that are shown as they are, (H, W, 3) uint8.
        width: of the sheet, in pixels; as wide as it is if None.
        grounds: what each cell is laid over that is transparent; white if empty.

    Raises:
        UsageError: it is not so wide.
    """

    def __init__(
        self,
        cells: Sequence[Frame],
        table: Table,
        width: int | None,
        originals: Sequence[np.ndarray] = (),
        grounds: Sequence[Ground] = (),
    ) -> None:
        self.cells, self.table, self.originals, self.grounds = cells, table, originals, grounds
        height, across = cells[0].image.shape[1:]
        self.info = ClipInfo(across, height, Fraction(1), len(cells))
        self.playback: Sequence[int] = range(len(cells))
        self.size = shrunk(table.size, width)

    def frames(self, start: int) -> Generator[Frame]:
        """The cells from number `start` on."""
        yield from self.cells[start:]

    def drawn(self, painted: Iterator[np.ndarray]) -> np.ndarray:
        """The sheet, (H, W, 3) uint8, of the painted cells in order."""
        height, width = self.size
        return resize(self.table.drawn(self._shown(painted)), width, height)

    def _shown(self, painted: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        across = len(self.cells) // max(len(self.originals), 1)
        for number, cell in enumerate(painted):
            if self.originals and number % across == 0:
                yield self.originals[number // across]
            yield opaque(cell, self.grounds[number] if self.grounds else WHITE)


class Cells:
    """The cells of a sheet alone, as workers paint them. They read no file."""

    def __init__(self, cells: Sequence[Frame]) -> None:
        self._cells = cells
        height, across = cells[0].image.shape[1:]
        self.info = ClipInfo(across, height, Fraction(1), len(cells))

    def frames(self, start: int, end: int | None = None) -> Generator[Frame]:
        """The cells from number `start` on, until before `end`."""
        yield from self._cells[start:end]

    def __call__(self) -> Self:
        return self

    def moved(self, place: Callable[[str], str]) -> Self:
        """The same: it reads no file."""
        return self


@dataclass(frozen=True, eq=False)
class Style:
    """A style by its name."""

    name: str
    picture: Tensor  #: (3, H, W) float32 in [0, 1], or (4, H, W) with its opacity


def sheet_of_alphas(name: str, picture: np.ndarray, styles: Sequence[Style], settings: SheetSettings) -> Sheet:
    """A picture, (H, W, 3 or 4) float32 in [0, 1], in each style (rows) at each alpha (columns).

    Raises `UsageError` if that is too much for a sheet.
    """
    alphas = settings.alphas
    require_few(len(styles) * len(alphas), f"{len(styles)} styles at {len(alphas)} alphas")
    width, height = fit(picture.shape[1], picture.shape[0], settings.size)
    image = resize(picture, width, height)
    wanted = [(image, alpha, style) for style in range(len(styles)) for alpha in alphas]
    rows = [Head(style.name, picture=_thumbnail(style, settings)) for style in styles]
    columns = [Head("" if number else name, (_named(alpha),)) for number, alpha in enumerate(alphas)]
    table = Table((height, width), rows, columns)
    return Sheet(_cells(wanted, len(styles), settings), table, settings.width, (), _grounds(wanted, settings))


def sheet_of_shots(name: str, source: VideoSource, styles: Sequence[Style], settings: SheetSettings) -> Sheet:
    """A frame of each shot of a clip (rows) as it is and in each style at each alpha (columns).

    Raises `UsageError` if that is too much for a sheet.
    """
    shots, alphas = shots_of(source), settings.alphas
    count = len(shots) * len(styles) * len(alphas)
    require_few(count, f"{len(shots)} shots in {len(styles)} styles at {len(alphas)} alphas")
    middles = [_middle(source, shot) for shot in shots]
    frames = _pictures(source, middles)
    pictures = [frames[number] for number in middles]
    kinds = [(alpha, style) for style in range(len(styles)) for alpha in alphas]
    wanted = [(picture, *kind) for picture in pictures for kind in kinds]
    originals = [opaque(one, settings.ground or one[:, :, :3]) for one in pictures]
    rows = [Head(f"shot {number}", _when(shot)) for number, shot in enumerate(shots, 1)]
    columns = [Head(name)]
    for style in styles:
        columns.append(Head(style.name, (_named(alphas[0]),), _thumbnail(style, settings)))
        columns += [Head(facts=(_named(alpha),)) for alpha in alphas[1:]]
    table = Table((source.info.height, source.info.width), rows, columns)
    return Sheet(_cells(wanted, len(styles), settings), table, settings.width, originals, _grounds(wanted, settings))


def contact_sheet(source: VideoSource, width: int | None = None) -> np.ndarray:
    """The first, the middle and the last frame of each shot, (H, W, 3) uint8; of very many shots the middle ones.

    Args:
        width: of the sheet, in pixels; as wide as it is if None.

    Raises `UsageError` if even these are too many for a sheet, or if it is not so wide.
    """
    shots = shots_of(source)
    require_few(len(shots), f"{len(shots)} shots")
    before = source.clip.first
    numbers = [[_middle(source, shot)] for shot in shots]
    if SHOWN * len(shots) <= MOST:
        numbers = [
            sorted({shot.first - before, *middle, shot.end - 1 - before})
            for shot, middle in zip(shots, numbers, strict=True)
        ]
    found = _pictures(source, {number for some in numbers for number in some})
    frames = {number: opaque(picture) for number, picture in found.items()}
    rows = [side_by_side([frames[number] for number in some], max(map(len, numbers))) for some in numbers]
    sheet = cards(rows, [f"shot {number}: {', '.join(_when(shot))}" for number, shot in enumerate(shots, 1)])
    return resize(sheet, *reversed(shrunk(sheet.shape[:2], width)))


def sheet_of_firsts(source: VideoSource, firsts: Sequence[int], painted: Sequence[np.ndarray]) -> np.ndarray:
    """Frames of a clip, by their numbers in the order of painting, each beside its painting, (H, W, 3) uint8."""
    frames, before, ends = _pictures(source, firsts), source.clip.first, [*firsts[1:], source.info.frames]
    rows = [side_by_side([frames[first], each], 2) for first, each in zip(firsts, painted, strict=True)]
    times = (*source.clip.times, source.clip.end_seconds)
    shots = [
        Shot(before + first, before + end, times[first], times[end]) for first, end in zip(firsts, ends, strict=True)
    ]
    words = [f"shot {number}, frame {shot.first}: {', '.join(_when(shot))}" for number, shot in enumerate(shots, 1)]
    return cards(rows, words)


def write_contact_sheet(
    source: VideoSource, width: int | None, outputs: Sequence[Path], *, overwrite: bool = False
) -> None:
    """Write the frames of `contact_sheet`, which see, to each of these places."""
    write_still(contact_sheet(source, width), outputs, overwrite=overwrite)


def shrunk(size: Size, width: int | None) -> Size:
    """Height and width of a sheet of this size that is to be `width` wide. Raises `UsageError` if it is not so wide."""
    if width is None:
        return size
    if width > size[1]:
        raise UsageError(f"--width is {width}, but the sheet has {size[1]} pixels; give a larger --size")
    return max(round(size[0] * width / size[1]), MIN_SIDE), width


def shots_of(source: VideoSource) -> list[Shot]:
    """The shots of a clip."""
    before, times = source.clip.first, (*source.clip.times, source.clip.end_seconds)
    edges = pairwise([*sorted(source.shots), source.info.frames])
    return [Shot(before + first, before + end, times[first], times[end]) for first, end in edges]


def _thumbnail(style: Style, settings: SheetSettings) -> np.ndarray:
    return opaque(to_pixels(style.picture), settings.ground or WHITE)


def _grounds(wanted: Sequence[tuple[np.ndarray, float, int]], settings: SheetSettings) -> list[Ground]:
    """What cells are laid over."""
    return [settings.ground or np.rint(to_unit(picture[:, :, :3]) * 255) for picture, _, _ in wanted]


def _cells(wanted: Sequence[tuple[np.ndarray, float, int]], styles: int, settings: SheetSettings) -> list[Frame]:
    """Of pictures, the alphas they are to be painted at, and the numbers of their styles."""
    preserve_color = constant(settings.preserve_color, "--preserve-color")
    shares = [tuple(float(other == style) for other in range(styles)) for style in range(styles)]
    return [
        Frame(
            *(number, to_tensor(filled_colors(picture)), None, alpha, shares[style]),
            preserve_color=preserve_color,
            opacity=opacity_of(picture),
        )
        for number, (picture, alpha, style) in enumerate(wanted)
    ]


def _pictures(source: VideoSource, numbers: Collection[int]) -> dict[int, np.ndarray]:
    """Frames of a clip at the size of the cells, by their numbers."""
    found = {}
    with closing(source.decoded(0)) as decoded:
        for number, picture in zip(range(max(numbers) + 1), decoded, strict=False):
            if number in numbers:
                found[number] = resize(picture, source.info.width, source.info.height)
    return found


def _middle(source: VideoSource, shot: Shot) -> int:
    """The number of the frame in the middle of a shot or, if that is a flash or black, of the nearest that shows it."""
    first, end = shot.first - source.clip.first, shot.end - source.clip.first
    return min(range(first, end), key=lambda number: (number in source.flashes, abs(2 * number - first - end + 1)))


def _when(shot: Shot) -> tuple[str, str]:
    return f"at {float(shot.start_seconds):.2f} s", f"{float(shot.end_seconds - shot.start_seconds):.2f} s long"


def _named(alpha: float) -> str:
    return f"alpha {alpha:g}"


def require_few(count: int, what: str) -> None:
    """Raise `UsageError` for more pictures than a sheet holds."""
    if count > MOST:
        raise UsageError(
            f"{what} are {count} pictures, and a sheet holds {MOST}; give fewer, or a part with --start and --end"
        )

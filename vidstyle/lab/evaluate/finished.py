"""Finished pictures of another tool: which one belongs to which pair, and at which size it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidstyle.errors import MediaError, UsageError
from vidstyle.media.stills import pictures

Names = tuple[Path, Path]  # a content and a style


@dataclass(frozen=True)
class Finished:
    """A picture of another tool."""

    path: Path
    own_size: tuple[int, int]  #: width and height
    size: tuple[int, int]  #: those of the pastiche beside it


def find_finished(
    folder: Path, output: Path, pairs: Sequence[Names], chosen: Sequence[Names], long_side: int
) -> dict[Names, Finished]:
    """The picture in `folder` of each chosen pair: CONTENT-STYLE.png or CONTENT-STYLE-more.png, of any kind.

    Where the names of two pairs begin alike, as ride-dots and ride-dots-2 do, a picture belongs to the longer one.

    Args:
        output: the folder that gets pictures called like these, and so must be another.
        pairs: all contents and styles that there are.
        chosen: those that will be painted.
        long_side: of the pastiches, as the settings say.

    Raises:
        UsageError: `folder` is the output, or two pairs have one name, or a pair has several pictures.
        MediaError: the folder is missing, a pair has no picture, or one of other proportions.
    """
    if not folder.is_dir():
        raise MediaError(f"there is no folder {folder}; --beside takes a folder of finished pictures")
    if output.is_dir() and output.samefile(folder):
        raise UsageError(f"--beside {folder} is the output, too; give another folder with -o")
    names: dict[str, Names] = {}
    for pair in pairs:
        name = _name(pair)
        if name in names:
            one, two = (" in ".join(path.name for path in both) for both in (names[name], pair))
            raise UsageError(f"{one} and {two} would both be {name} in --beside; rename one")
        names[name] = pair
    owned: dict[str, list[Path]] = {name: [] for name in names}
    for picture in pictures.in_folder(folder):
        owners = [name for name in names if picture.name.startswith((f"{name}.", f"{name}-"))]
        if owners:
            owned[max(owners, key=len)].append(picture)
    return {pair: _finished(folder, _name(pair), owned[_name(pair)], pair[0], long_side) for pair in chosen}


def _name(pair: Names) -> str:
    return f"{pair[0].stem}-{pair[1].stem}"


def _finished(folder: Path, name: str, found: Sequence[Path], content: Path, long_side: int) -> Finished:
    """The only picture of a pair; its proportions are those of the pastiche, but for a pixel of rounding in each."""
    if not found:
        raise MediaError(f"{folder} holds no picture {name}.* or {name}-*; --beside needs one for each pair")
    if len(found) > 1:
        listed = ", ".join(picture.name for picture in found)
        raise UsageError(f"{folder} holds {len(found)} pictures of the pair {name} ({listed}); leave one of them")
    (width, height), own = pictures.fit(*pictures.picture_size(content), long_side), pictures.picture_size(found[0])
    if abs(own[0] * height - own[1] * width) > max(own) + max(width, height):
        raise MediaError(
            f"{found[0]} has {own[0]}x{own[1]} pixels and {content} is painted at {width}x{height}; "
            "their proportions must agree: crop it, or give the content that it was painted from"
        )
    return Finished(found[0], own, (width, height))

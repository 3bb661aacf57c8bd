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
    names = _names(pairs)
    owned: dict[str, list[Path]] = {name: [] for name in names}
    for picture in pictures.in_folder(folder):
        owners = [name for name in names if picture.name.startswith((f"{name}.", f"{name}-"))]
        if owners:
            owned[max(owners, key=len)].append(picture)
    found = {}
    for content, style in chosen:
        picture = _only(folder, f"{content.stem}-{style.stem}", owned)
        found[content, style] = _finished(picture, content, long_side)
    return found


def _names(pairs: Sequence[Names]) -> dict[str, Names]:
    """The pairs by their names."""
    names: dict[str, Names] = {}
    for content, style in pairs:
        name = f"{content.stem}-{style.stem}"
        if name in names:
            one, two = (" in ".join(path.name for path in pair) for pair in (names[name], (content, style)))
            raise UsageError(f"{one} and {two} would both be {name} in --beside; rename one")
        names[name] = content, style
    return names


def _only(folder: Path, name: str, owned: dict[str, list[Path]]) -> Path:
    match owned[name]:
        case [picture]:
            return picture
        case []:
            raise MediaError(f"{folder} holds no picture {name}.* or {name}-*; --beside needs one for each pair")
        case several:
            listed = ", ".join(picture.name for picture in several)
            raise UsageError(f"{folder} holds {len(several)} pictures of the pair {name} ({listed}); leave one of them")


def _finished(picture: Path, content: Path, long_side: int) -> Finished:
    """Raises `MediaError` if its proportions are not those of the pastiche, but for a pixel of rounding in each."""
    (width, height), own = pictures.fit(*pictures.picture_size(content), long_side), pictures.picture_size(picture)
    if abs(own[0] * height - own[1] * width) > max(own) + max(width, height):
        raise MediaError(
            f"{picture} has {own[0]}x{own[1]} pixels and {content} is painted at {width}x{height}; "
            "their proportions must agree: crop it, or give the content that it was painted from"
        )
    return Finished(picture, own, (width, height))

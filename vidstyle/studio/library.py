"""The files that may be chosen on the page, by numbers: samples, what lies in the folder, and what was dropped."""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vidstyle.api import carry_mask, find_shots
from vidstyle.errors import MediaError
from vidstyle.media.stills.pictures import PICTURE_SUFFIXES, fit, load_mask, load_picture, resize
from vidstyle.media.stills.segmentation import cut_out
from vidstyle.studio import texts
from vidstyle.system import libraries

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

UPLOADS = "uploads"  # below the folder
CLIP_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif")
SAMPLE_CONTENTS = ("valley.jpg", "harbor.jpg", "ride.mp4")
SAMPLE_STYLES = ("swirls.jpg", "woodcut.jpg", "facets.jpg", "dots.jpg")
MOST = 60  # files of the folder that are listed
CUT = 512  # pixels of the long side of a picture in which something is cut out
PREVIEWED = 256  # pixels of the long side of a mask as it is needed
THUMB = 160  # pixels of the long side
ALLOWED = re.compile(r"[^\w .()-]", re.UNICODE)
WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
LONGEST = 80  # letters of a name


@dataclass(frozen=True)
class Item:
    """A file that may be chosen."""

    key: str  #: by which the page names it; tells nothing about the path
    path: Path
    moves: bool  #: a clip

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class Facts:
    """What is known of a file once it is read."""

    width: int
    height: int
    seconds: float = 0.0  #: of a clip
    frames: int = 1
    shots: int = 1


class Library:
    """The items, by key; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._items: dict[str, Item] = {}
        self._facts: dict[str, Facts] = {}
        self._thumbs: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._carrying: tuple[tuple[str, str, int], Callable[[int], np.ndarray]] | None = (
            None  # the last mask of a clip
        )
        self.contents = [self._add(path) for path in _samples(SAMPLE_CONTENTS)]
        self.styles = [self._add(path) for path in _samples(SAMPLE_STYLES)]
        for place in (folder, folder / UPLOADS):
            for path in _listed(place):
                self._list(self._add(path))

    def __getitem__(self, key: str) -> Item:
        """Raises `KeyError` for what the page may not name."""
        return self._items[key]

    def typed(self, item: Item) -> str:
        """The path of an item as it is typed in the folder."""
        path = item.path.relative_to(self.folder) if item.path.is_relative_to(self.folder) else item.path
        text = path.as_posix() if os.name != "nt" else str(path)
        return f"./{text}" if text.startswith("-") else text

    def named(self, name: str, *, style: bool) -> Item | None:
        """The item of a name, as the metadata of a result have it."""
        return next((item for item in (self.styles if style else self.contents) if item.name == name), None)

    def receive(self, part: Path, name: str, *, style: bool) -> Item:
        """Take over a file that was dropped, read by the checks of a job.

        Args:
            part: where it lies now; it is moved or, if it is refused, removed.
            name: that the browser gave, which is not trusted.

        Raises `MediaError` or `UsageError` for what a job would refuse, too.
        """
        try:
            safe = safe_name(name)
            suffix = Path(safe).suffix.lower()
            if suffix not in (*PICTURE_SUFFIXES, *CLIP_SUFFIXES):
                raise MediaError(f"{safe} is no picture or clip by its suffix")
            checked = part.with_name("checked" + suffix)
            os.replace(part, checked)
            part = checked
            if suffix in PICTURE_SUFFIXES:
                load_picture(part)
            elif style:
                raise MediaError(f"{safe} moves; a style is a picture")
            else:
                libraries.require("reading a clip", "av")
                _clip_facts(part)
            target = _free(self.folder / UPLOADS / safe)
            target.parent.mkdir(exist_ok=True)
            os.rename(part, target)
        except MediaError as error:
            raise MediaError(str(error).replace(str(part), safe)) from error
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            item = self._add(target)
            self._list(item, first=True, style=style)
        return item

    def receive_mask(self, part: Path, item: Item) -> str:
        """Take over a mask that was drawn on a content, at its size; the path in the folder. Raises `MediaError`."""
        try:
            mask = load_mask(part)
        finally:
            part.unlink(missing_ok=True)
        if not mask.any():
            raise MediaError(texts.EMPTY_MASK)
        facts = self.facts(item)
        target = _free(self.folder / UPLOADS / "mask.png")
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(resize(mask, facts.width, facts.height)).save(target)
        return target.relative_to(self.folder).as_posix()

    def mask(self, file: str) -> np.ndarray:
        """A mask by its path in the folder, (H, W) uint8. Raises `MediaError`."""
        return load_mask(self.folder / file, enough=PREVIEWED)

    def cut_out(self, item: Item, second: float, box: tuple[float, float, float, float]) -> bytes:
        """What stands out in a box of a picture, or of a frame of a clip, as `stencil` gives it.

        Args:
            box: left, top, width and height, in shares of the picture.

        Raises `MediaError` if nothing does.
        """
        picture = self.picture(item, second, CUT)
        width, height = fit(picture.shape[1], picture.shape[0], CUT)
        pixels = np.rint(255 * resize(picture, width, height)).astype(np.uint8)
        left, right = (round(min(max(one, 0), 1) * width) for one in (box[0], box[0] + box[2]))
        top, bottom = (round(min(max(one, 0), 1) * height) for one in (box[1], box[1] + box[3]))
        whole = right - left >= width and bottom - top >= height
        found = (
            None
            if whole or right <= left or bottom <= top
            else cut_out(pixels, (left, top, right - left, bottom - top))
        )
        if found is None or not found.any():
            raise MediaError(texts.NOTHING_IN_BOX)
        return stencil(found)

    def carried(self, item: Item, file: str, frame: int, second: float) -> np.ndarray:
        """The mask of a frame of a clip, carried to another one, (H, W) uint8. Raises `MediaError`."""
        key = item.key, file, frame
        if self._carrying is None or self._carrying[0] != key:
            self._carrying = key, carry_mask(item.path, self.folder / file, frame, size=PREVIEWED)
        return self._carrying[1](self.frame_number(item, second))

    def frame_number(self, item: Item, second: float) -> int:
        """The number, in its file, of the frame of a clip that `picture` shows. Raises `MediaError`."""
        return self._cut(item, second).first

    def facts(self, item: Item) -> Facts:
        """Size, and of a clip its length and shots; decodes it the first time. Raises `MediaError`."""
        if item.key not in self._facts:
            if item.moves:
                self._facts[item.key] = _clip_facts(item.path)
            else:
                height, width = load_picture(item.path).shape[:2]
                self._facts[item.key] = Facts(width, height)
        return self._facts[item.key]

    def picture(self, item: Item, second: float, size: int) -> np.ndarray:
        """A picture, or a frame of a clip, (H, W, 3) float32 in [0, 1], not much larger than `size`.

        Raises `MediaError`.
        """
        if not item.moves:
            return load_picture(item.path, enough=size)
        with closing(self._cut(item, second).decode()) as frames:
            pixels = next(frames)
        width, height = fit(pixels.shape[1], pixels.shape[0], 2 * size)
        return resize(pixels, width, height).astype(np.float32) / 255

    def _cut(self, item: Item, second: float) -> Clip:
        """A clip from a second on."""
        from vidstyle.media.video import survey  # not at the top: it needs the libraries of clips

        last = self.facts(item).seconds
        start = round(min(max(second, 0.0), max(last - 0.1, 0.0)), 3)
        return survey(item.path, start=start, end=start + 1.0)

    def thumb(self, item: Item) -> bytes:
        """A small JPEG. Raises `MediaError`."""
        if item.key not in self._thumbs:
            self._thumbs[item.key] = jpeg(self.picture(item, 0.0, THUMB), THUMB)
        return self._thumbs[item.key]

    def _add(self, path: Path) -> Item:
        key = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        item = Item(key, path, path.suffix.lower() in CLIP_SUFFIXES)
        self._items[key] = item
        return item

    def _list(self, item: Item, *, first: bool = False, style: bool | None = None) -> None:
        for wanted, items in ((False, self.contents), (True, self.styles)):
            if item not in items and style in (None, wanted) and not (wanted and item.moves):
                items.insert(0, item) if first else items.append(item)


def safe_name(name: str) -> str:
    """A file name without folders, control characters and words of a system; letters of every language stay."""
    base = ALLOWED.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
    stem, dot, suffix = base.rpartition(".")
    base = f"{stem[: LONGEST - len(suffix) - 1]}{dot}{suffix}" if dot and len(suffix) < 8 else base[:LONGEST]
    base = base.lstrip("-. ")
    return base if base and not WINDOWS.fullmatch(base) else f"file_{base}"


def _free(path: Path) -> Path:
    """`path`, or the same with a number if that is taken."""
    taken = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 10**6))
    return path if not os.path.lexists(path) else next(one for one in taken if not os.path.lexists(one))


def jpeg(picture: np.ndarray, size: int = 0, quality: int = 85) -> bytes:
    """A JPEG of a picture, (H, W, 3) uint8 or float in [0, 1], at most `size` pixels long; 0 for its own size."""
    height, width = picture.shape[:2]
    scale = size / max(height, width) if size else 1
    if scale < 1:
        picture = resize(picture, max(round(width * scale), 1), max(round(height * scale), 1))
    pixels = picture if picture.dtype == np.uint8 else np.rint(picture * 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    return data.getvalue()


def stencil(mask: np.ndarray) -> bytes:
    """A mask, (H, W) uint8, as a PNG that is white where it is and transparent elsewhere."""
    white = np.full_like(mask, 255)
    data = io.BytesIO()
    Image.fromarray(np.dstack([white, white, white, mask])).save(data, "PNG")
    return data.getvalue()


def _clip_facts(path: Path) -> Facts:
    from vidstyle.media.video import survey  # not at the top: it needs the libraries of clips

    clip = survey(path)
    shots = find_shots(path)
    return Facts(clip.info.width, clip.info.height, float(clip.info.seconds), clip.info.frames, len(shots))


def _samples(names: tuple[str, ...]) -> Iterator[Path]:
    """The samples: in the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    for name in names:
        for place in (package / "assets" / "samples", package.parent / "samples"):
            if (place / name).is_file():
                yield place / name
                break


def _listed(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (*PICTURE_SUFFIXES, *CLIP_SUFFIXES))
    except OSError:
        return []
    return [path for path in found if path.is_file() and not path.is_symlink()][:MOST]

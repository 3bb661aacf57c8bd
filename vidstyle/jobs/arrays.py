"""Painting of arrays: pictures in memory, as the frames of a clip or as a still, without files."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vidstyle.core.probe import no_bytes, require_memory
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import UsageError
from vidstyle.jobs.arguments import require
from vidstyle.jobs.sources.balance import PictureSource, still_plan
from vidstyle.jobs.sources.clips import SequenceSource, to_tensor
from vidstyle.jobs.sources.keys import array_keys
from vidstyle.jobs.sources.lookahead import ahead
from vidstyle.jobs.sources.masks import array_masks
from vidstyle.jobs.sources.regions import array_regions, style_of
from vidstyle.jobs.task_inputs import load_network
from vidstyle.media.stills import pictures
from vidstyle.media.stills.transparency import filled_colors, opaque
from vidstyle.settings import ImageSettings, PaintingSettings, VideoSettings, option_name, options
from vidstyle.types import ClipInfo, Region, Source

OF_FILES = (
    "start",
    "end",
    "deinterlace",
    "hdr",
    "input_fps",
    "bits",
    "mask",
    "region",
    "first",
    "key",
    "split_after",
)  # settings of reading and writing files, and of workers
OF_MACHINE = ("cuda_graphs", "memory")  # the only ones that do not change a painting and yet are read


@dataclass(frozen=True, eq=False)
class ArraySequence:
    """Pictures in memory as a `types.FrameSequence`."""

    pictures: Sequence[np.ndarray]  #: (H, W, 3) uint8 sRGB each, or (H, W, 4) with their opacity
    info: ClipInfo
    transparent: bool = False  #: they have opacity

    def decode(self, start: int = 0) -> Generator[np.ndarray]:
        """The pictures from number `start` on, over white. Raises `UsageError` at one of another shape or type."""
        yield from map(opaque, self.decode_transparent(start))

    def decode_transparent(self, start: int = 0) -> Generator[np.ndarray]:
        """The pictures as they are. Raises as `decode` does."""
        wanted = self.info.height, self.info.width, 4 if self.transparent else 3
        for index in range(start, self.info.frames):
            picture = np.asarray(self.pictures[index])
            if picture.shape != wanted or picture.dtype != np.uint8:
                raise UsageError(f"frame {index} is {_kind(picture)}; all must be {wanted} uint8")
            yield picture


def painted_frames(
    frames: Sequence[np.ndarray],
    styles: Sequence[np.ndarray],
    settings: VideoSettings,
    fps: Fraction,
    masks: Sequence[np.ndarray] | np.ndarray | None,
    regions: Sequence[Region],
    keys: Mapping[int, np.ndarray],
) -> Iterator[np.ndarray]:
    """Paint pictures as the frames of a clip; everything is checked before the first is asked for.

    For the arguments and errors see `api.stylize_frames`.
    """
    _require_styles(styles)
    _require_no_files(settings, VideoSettings)
    if not len(frames):
        raise UsageError("there are no frames; give at least one, (H, W, 3) uint8")
    first = np.asarray(frames[0])
    if first.ndim != 3:
        raise UsageError(f"frame 0 is {_kind(first)}; it must be (H, W, 3) uint8, or (H, W, 4) with opacity")
    info = ClipInfo(first.shape[1], first.shape[0], fps, len(frames))
    sequence = ArraySequence(frames, info, first.shape[2] == 4)
    size = sequence.info.width, sequence.info.height, len(frames)
    given = array_masks(masks, settings, *size, regions=bool(regions))
    areas = array_regions(regions, settings, *size)
    cuts, flashes = _surveyed(sequence)
    mix, cuts = settings.shares(len(styles)), cuts if settings.cuts else ()
    floats = {number: _picture(picture, f"key frame {number}") for number, picture in keys.items()}
    painted = pictures.fit(*size[:2], settings.size)
    led = array_keys(floats, settings, size[:2], painted, len(frames))
    source = SequenceSource(sequence, settings, mix, cuts, flashes, masks=given, regions=areas, keys=led)
    return _painted(source, _stylizer(source, styles, settings, regions))


def painted_still(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    settings: ImageSettings,
    mask: np.ndarray | None,
    regions: Sequence[Region],
) -> np.ndarray:
    """Paint one picture. For the arguments and errors see `api.stylize`."""
    _require_styles(styles)
    _require_no_files(settings, ImageSettings)
    picture = _picture(content, "the content")
    size = picture.shape[1], picture.shape[0], 1
    given = array_masks(mask, settings, *size, regions=bool(regions))
    areas = array_regions(regions, settings, *size)
    plan = still_plan(settings, settings.shares(len(styles)), settings.alpha)
    masks = next(areas.decoded(0)) if areas else ()
    source = PictureSource(picture, settings, plan, next(given.decode(0)) if given else None, masks)
    (painted,) = _painted(source, _stylizer(source, styles, settings, regions))
    return painted


def _painted(source: Source, stylizer: Stylizer) -> Iterator[np.ndarray]:
    state = None
    with closing(ahead(source.frames(0))) as frames:
        for frame in frames:
            result, state = stylizer.step(frame, state)
            yield result.image


def _stylizer(
    source: Source, styles: Sequence[np.ndarray], settings: PaintingSettings, regions: Sequence[Region]
) -> Stylizer:
    network = load_network(settings)
    own = [
        style_of(_style(one.style, f"the style of region {n}"), one.style_mask, one.alpha, one.scale)
        for n, one in enumerate(regions, 1)
    ]
    beside = source.ahead.bytes if isinstance(source, SequenceSource) else no_bytes
    require_memory(network, settings, (source.info.height, source.info.width), beside)
    init = None
    if settings.init not in ("content", "noise"):
        init = to_tensor(pictures.load_picture(settings.init, enough=settings.size))
    seen = [to_tensor(_style(style, f"style {number}")) for number, style in enumerate(styles, 1)]
    keys = source.keys.pictures.values() if isinstance(source, SequenceSource) and source.keys else ()
    return Stylizer(network, seen, settings, init=init, regions=own, keys=[*map(to_tensor, keys)])


def _require_styles(styles: Sequence[np.ndarray]) -> None:
    if not len(styles):
        raise UsageError("no style was given; give at least one picture")


def _surveyed(sequence: ArraySequence) -> tuple[Collection[int], Collection[int]]:
    """Numbers of the frames that begin a shot, and of flashes."""
    from vidstyle.motion.shots import CutDetector  # not at the top: a still needs no such library

    detector = CutDetector()
    for picture in sequence.decode():
        detector.add(picture)
    return detector.cuts(), detector.flashes()


def _style(array: np.ndarray, what: str) -> np.ndarray:
    """A style as `pictures.load_style` gives it. Raises `UsageError`."""
    picture = _picture(array, what)
    return picture if picture.shape[2] == 3 else np.dstack([filled_colors(picture), picture[:, :, 3]])


def _picture(array: np.ndarray, what: str) -> np.ndarray:
    """As (H, W, 3 or 4) float32 in [0, 1]. Raises `UsageError`."""
    array = np.asarray(array)
    known = array.dtype == np.uint8 or np.issubdtype(array.dtype, np.floating)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or not known or not array.size:
        wanted = "it must be (H, W, 3), or (H, W, 4) with opacity, uint8 or float from 0 to 1"
        raise UsageError(f"{what} is {_kind(array)}; {wanted}")
    if array.shape[2] == 4 and not array[:, :, 3].any():
        raise UsageError(f"{what} is transparent everywhere, so there is nothing to be seen in it; give another")
    if array.dtype == np.uint8:
        array = array / np.float32(255)
    elif not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise UsageError(f"{what} has values from {array.min():g} to {array.max():g}; floats must lie between 0 and 1")
    floats: np.ndarray = array.astype(np.float32)
    return floats


def _kind(array: np.ndarray) -> str:
    return f"{array.shape} {array.dtype}"


def _require_no_files(settings: PaintingSettings, kind: type[PaintingSettings]) -> None:
    """Raise `UsageError` for settings of another job, and for one of `OF_FILES`."""
    require("settings", f"{kind.__name__} | None", settings)
    for name, option in options(kind).items():
        read = name not in OF_FILES and (option.metadata["paints"] or name in OF_MACHINE)
        if not read and getattr(settings, name) != option.default:
            raise UsageError(f"{kind.__name__}.{name} ({option_name(option)}) is not read here; leave it out")

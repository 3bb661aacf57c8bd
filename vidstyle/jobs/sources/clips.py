"""The sources of a clip's frames, with optical flow."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vidstyle.core.opacity import counted
from vidstyle.jobs.sources.carried import Carrier, Seen
from vidstyle.jobs.sources.curves import ParameterCurves
from vidstyle.jobs.sources.keys import KeyFrames, clip_keys
from vidstyle.jobs.sources.lookahead import Ahead, motion_workers
from vidstyle.jobs.sources.masks import Masks, clip_masks, visible_paint
from vidstyle.jobs.sources.regions import Regions, clip_regions, visible_regions
from vidstyle.jobs.sources.splits import shown, split
from vidstyle.jobs.sources.survey import KeptSurvey, OnRead, Survey, surveyed
from vidstyle.jobs.threads import computing_as_the_painting, pool
from vidstyle.media.stills import pictures
from vidstyle.media.stills.sequence import is_sequence
from vidstyle.media.stills.transparency import filled_colors, opaque
from vidstyle.motion import flow
from vidstyle.schedule import OverTime
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import pick_device
from vidstyle.system.stopwatch import each, stage
from vidstyle.types import Budget, Frame, FrameSequence, KeyLead, LoopClosure, Motion, is_transparent

if TYPE_CHECKING:
    from vidstyle.media.video import Clip

CLOSING = 24  # frames in which a loop goes over to its beginning
PATIENCE = 0.5  # of the tolerance, where a blend has to be painted over
LED = 0.1  # of the temporal weight counts where two paintings are blended: their mean is in the style of neither
NEGLIGIBLE = 0.002  # share of a picture that is not looked for in earlier frames


@dataclass(frozen=True, eq=False)
class _FrameInputs:
    """The pictures that a `Frame` is made from."""

    index: int
    pixels: np.ndarray  #: the picture, (H, W, 3) uint8; (H, W, 4) of a clip that is transparent somewhere
    seen: np.ndarray  #: the picture that motion is estimated from: in a flash, the last one before it
    before: tuple[np.ndarray, ...]  #: those seen in the frames before it in its shot, newest first
    repeats: bool  #: it is the same picture as that of the frame before, and so is its mask
    mask: Tensor | None  #: of this frame
    counted_before: tuple[Tensor | None, ...]  #: how far pixels counted in the frames before it, newest first
    regions: tuple[Tensor, ...]  #: of this frame
    regions_before: tuple[tuple[Tensor, ...], ...]  #: of the frames before it in its shot, newest first
    lead: KeyLead | None  #: of this frame


@dataclass(frozen=True, eq=False)
class _Opening:
    """The first picture of all, where a loop ends, with its mask and its regions."""

    pixels: np.ndarray  #: as motion is estimated from it
    counted: Tensor | None
    regions: tuple[Tensor, ...]


class SequenceSource:
    """A source of the frames of a clip, or of another sequence, at working size with their motion.

    Args:
        sequence: decoded again whenever frames are asked for.
        settings: size, flow and what may change over time are read.
        mix: share of each style.
        cuts: numbers of the frames that begin a new shot; the first frame of all does so anyway.
        flashes: numbers of the frames from which no motion can be estimated: flashes, black and other flat pictures.
        estimator: of the motion; the one of the settings if None.
        masks: where the frames are painted; None for everywhere.
        regions: that have styles of their own.
        keys: frames that are painted already.

    Raises:
        UsageError: a schedule does not fit the length of the sequence.
        WeightsError: that estimator's weights are missing or another network's.
    """

    def __init__(
        self,
        sequence: FrameSequence,
        settings: VideoSettings,
        mix: Sequence[OverTime],
        cuts: Iterable[int] = (),
        flashes: Iterable[int] = (),
        estimator: flow.Estimator | None = None,
        masks: Masks | None = None,
        regions: Regions | None = None,
        keys: KeyFrames | None = None,
    ) -> None:
        self.sequence, self.settings, self.mix = sequence, settings, mix
        self.masks, self.regions, self.keys = masks, regions, keys
        self.estimate = estimator or estimator_of(settings)
        self.shots, self.flashes = frozenset({0, *cuts}), frozenset(flashes)
        own = sequence.info
        width, height = pictures.fit(own.width, own.height, settings.size)
        self.info = dataclasses.replace(own, width=width, height=height)
        self.seen = Seen(sequence, width, height, sorted(self.shots), self.flashes)
        self.starts, self.seams = split(sorted(self.shots), own.frames, settings.split_after, self.flashes)
        self.playback: Sequence[int] = shown(self.seams, own.frames)
        self.curves = ParameterCurves.of(
            own.times,
            own.fps,
            alpha=settings.alpha,
            mix=mix,
            preserve_color=settings.preserve_color,
            # Without knowledge of the motion the term would only smear what moves.
            temporal_weight=settings.temporal_weight if settings.warm_start == "warped" else 0.0,
        )
        looks_back = settings.warm_start == "warped" and not settings.colors_only
        self.reach = max((1, *settings.long_term)) if looks_back else 1
        self.ahead = Ahead.of(settings, self.reach, own.width * own.height, transparent=self.transparent)
        self.estimated_at_once = motion_workers()  # frames; 0 for one by one, while nothing else is done

    @property
    def numbers(self) -> Sequence[int]:
        """The frame of the sequence that is painted in each painted frame: of those at a seam, there are two."""
        return [self.seams.content(number) for number in range(self.playback[-1] + 1)]

    def frames(self, start: int, end: int | None = None) -> Generator[Frame]:
        """The frames from number `start` on, in the numbers of painted frames.

        Args:
            end: number of the frame before which they stop.
        """
        total = self.playback[-1] + 1
        for first, stop in pairwise([0, *self.seams.starts, total]):
            begin, stop = max(first, start), min(stop, end or total)
            if begin < stop:
                content = self.seams.content
                with closing(self.undivided(content(begin), content(stop - 1) + 1, content(first))) as frames:
                    for number, frame in enumerate(frames, begin):
                        yield frame if frame.index == number else dataclasses.replace(frame, index=number)

    def undivided(self, start: int, end: int | None = None, anew: int = 0) -> Generator[Frame]:
        """The frames from number `start` on, each once, in the numbers of the sequence.

        Decodes from those before it that their motion is estimated from. Where there are processors to spare, the
        motion of several frames is estimated at once.

        Args:
            end: number of the frame before which they stop.
            anew: number of a frame that begins anew, as the first of a shot does.
        """
        first, ahead = self._first_needed(start), 0
        if self.estimated_at_once:
            ahead = self.ahead.pending(self.info.width * self.info.height)
        workers = max(1, min(ahead, self.estimated_at_once))
        previous: tuple[np.ndarray, Tensor | None, tuple[Tensor, ...]] | None = None
        before: deque[np.ndarray] = deque(maxlen=self.reach)
        counted_before: deque[Tensor | None] = deque(maxlen=self.reach)
        regions_before: deque[tuple[Tensor, ...]] = deque(maxlen=self.reach)
        opening = self._opening()
        pending: deque[Future[Frame]] = deque()
        with (
            closing(self.decoded(first)) as decoded,
            closing(self._masks(first)) as masks,
            closing(self._regions(first)) as all_regions,
            closing(self._leads(start)) as leads,
            pool(workers, "vidstyle-motion") as motions,
        ):
            try:
                for index, picture in enumerate(each("decode", decoded), first):
                    if index == end:
                        break
                    with stage("decode"):
                        pixels, mask = pictures.resize(picture, self.info.width, self.info.height), next(masks)
                        regions = next(all_regions)
                    if index in self.shots or index == anew:
                        before.clear()
                        counted_before.clear()
                        regions_before.clear()
                        previous = None
                    repeats = previous is not None and np.array_equal(pixels, previous[0]) and _same(mask, previous[1])
                    repeats = repeats and previous is not None and all(map(_same, regions, previous[2]))
                    # In a flash the painting stands still; the next motion is that since the frame before it.
                    seen = before[0] if before and index in self.flashes else opaque(pixels)
                    if index >= start:
                        earlier = tuple(before), tuple(counted_before), tuple(regions_before)
                        inputs = _FrameInputs(
                            *(index, pixels, seen, earlier[0], repeats, mask, earlier[1], regions, earlier[2]),
                            lead=next(leads),
                        )
                        pending.append(motions.submit(self._frame, inputs, opening))
                    before.appendleft(seen)
                    counted_before.appendleft(counted(mask, opacity_of(pixels)))
                    regions_before.appendleft(regions)
                    previous = pixels, mask, regions
                    if len(pending) > ahead:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                motions.shutdown(cancel_futures=True)

    @property
    def transparent(self) -> bool:
        """Whether its frames are, somewhere."""
        return is_transparent(self.sequence)

    def decoded(self, start: int) -> Generator[np.ndarray]:
        """The pictures from number `start` on, with their opacity if there is any."""
        sequence = self.sequence
        return sequence.decode_transparent(start) if is_transparent(sequence) else sequence.decode(start)

    def _masks(self, start: int) -> Generator[Tensor | None]:
        """The masks of the frames from number `start` on, at the size of the painting."""
        if self.masks is None:
            yield from repeat(None)
        else:
            yield from self.masks.sized(self.info.width, self.info.height, start)

    def _regions(self, start: int) -> Generator[tuple[Tensor, ...]]:
        """The regions of the frames from number `start` on, at the size of the painting."""
        if self.regions is None:
            yield from repeat(())
        else:
            yield from self.regions.sized(self.info.width, self.info.height, start)

    def _leads(self, start: int) -> Generator[KeyLead | None]:
        """How the frames from number `start` on are led to key frames."""
        if self.keys is None:
            yield from repeat(None)
        else:
            yield from self.keys.leads(start, self.seen, self.estimate, self.settings.long_term)

    def _first_needed(self, start: int) -> int:
        """The frame to decode from for the motion of frame `start`."""
        return self.seen.unflashed(max(start - self.reach, 0))

    def _frame(self, inputs: _FrameInputs, opening: _Opening | None) -> Frame:
        """One frame; `opening` is the first picture of all if this is to loop."""
        index, seen = inputs.index, inputs.seen
        with stage("flow"):
            motions = {
                lag: visible_regions(
                    visible_paint(motion, inputs.counted_before[lag - 1]),
                    inputs.regions,
                    inputs.regions_before[lag - 1],
                )
                for lag, motion in self._motions(seen, inputs.before).items()
            }
            left = self.info.frames - index
            loop_closure = None
            if opening is not None and left <= min(CLOSING, self.info.frames // 2):
                there = visible_paint(self.estimate(opening.pixels, seen, fine="backward"), opening.counted)
                loop_closure = LoopClosure(visible_regions(there, inputs.regions, opening.regions), 1 / left)
        # The same picture again, and the same is wanted of it.
        painted = (
            inputs.repeats
            and not self.settings.boil
            and loop_closure is None
            and inputs.lead is None
            and self.curves.unchanged_at(index)
        )
        painted = painted or (inputs.lead is not None and inputs.lead.hold == 1)
        own = self.curves.at(index)
        if self.keys is not None:
            own["mix"] = self.keys.mix(index, self.seen.shots, own["mix"])
            own["temporal_weight"] *= LED if inputs.lead is not None else 1
            # The colours of key frames are theirs already.
            own["match_share"] *= 1 - self.keys.weight_at(index, self.seen.shots)
        patient = Budget(self.settings.iterations, PATIENCE * self.settings.warm_tolerance)
        return Frame(
            index=index,
            image=to_tensor(filled_colors(inputs.pixels)),
            motion=motions.pop(1, None),
            earlier=motions,
            reach=self.reach,
            loop_closure=loop_closure,
            lead=inputs.lead,
            budget=Budget(1, 0.0) if painted else patient if inputs.lead is not None else None,
            mask=inputs.mask,
            regions=inputs.regions,
            opacity=opacity_of(inputs.pixels),
            **own,
        )

    def _opening(self) -> _Opening | None:
        """The first frame, if the end is to lead to it."""
        if not self.settings.loop:
            return None
        with (
            closing(self.decoded(0)) as decoded,
            closing(self._masks(0)) as masks,
            closing(self._regions(0)) as regions,
        ):
            pixels = pictures.resize(next(decoded), self.info.width, self.info.height)
            return _Opening(opaque(pixels), counted(next(masks), opacity_of(pixels)), next(regions))

    def _motions(self, pixels: np.ndarray, before: Sequence[np.ndarray]) -> dict[int, Motion]:
        """The motion from the previous frame, 1, and from earlier ones as far as they may show what it does not."""
        settings = self.settings
        if not before or settings.warm_start == "none":
            return {}
        if settings.warm_start == "previous" or settings.colors_only or np.array_equal(pixels, before[0]):
            return {1: flow.no_motion(*pixels.shape[:2])}
        motions = {}
        unseen = torch.ones(1, *pixels.shape[:2])
        for lag in (1, *sorted(settings.long_term)):
            if lag <= len(before) and unseen.mean() > NEGLIGIBLE:
                # What was hidden in the last frame is a small part, and painted over in the next ones.
                fine: flow.Fine = "backward" if lag == 1 else "neither"
                motions[lag] = motion = self.estimate(before[lag - 1], pixels, fine=fine)
                unseen = (unseen - motion.visible).clamp_min(0)
        return motions


class VideoSource(SequenceSource):
    """The frames of a clip at working size, with their motion.

    Decodes the clip once at birth, so that a damaged one is refused before any painting and cuts and flashes are known.

    Args:
        path: of the clip.
        settings: those of a sequence, and start, end, cuts, deinterlace, hdr, mask, feather, region, first and key.
        mix: share of each style.
        estimator: of the motion; the one of the settings if None.
        survey: what another process has found out of the same clip with the same settings; it is not decoded then.
        kept: the same, as it is kept in a job folder.
        on_read: called after each frame that is decoded with how many are, and about how many will be.

    Raises:
        MediaError: the clip cannot be read to its end, or a mask or a key frame does not fit it.
        UsageError: the time range or a key frame lies outside the clip, a schedule does not fit its length, or a
            library that reads clips is not installed.
    """

    def __init__(
        self,
        path: str,
        settings: VideoSettings,
        mix: Sequence[OverTime],
        estimator: flow.Estimator | None = None,
        survey: Survey | None = None,
        kept: KeptSurvey | None = None,
        on_read: OnRead | None = None,
    ) -> None:
        self.path = path
        self.survey = survey or surveyed(path, settings, kept, on_read)
        self.clip = clip = self.survey.clip
        own = clip.info
        estimator = estimator or estimator_of(settings)
        cuts, flashes = self.survey.cuts, self.survey.flashes
        painted, shots = pictures.fit(own.width, own.height, settings.size), sorted({0, *cuts})
        seen = Seen(clip, *painted, shots, frozenset(flashes))
        carrier = Carrier(seen, estimator, settings.long_term, clip.first)
        size = own.width, own.height, own.frames, clip.first
        masks = clip_masks(settings, *size, whole=clip.whole, carrier=carrier)
        regions = clip_regions(settings, *size, whole=clip.whole, carrier=carrier)
        keys = clip_keys(settings, (own.width, own.height), painted, carrier.numbers, shots)
        super().__init__(clip, settings, mix, cuts, flashes, estimator, masks, regions, keys)

    @property
    def sound(self) -> Clip | None:
        """The clip whose sound goes along; pictures have none."""
        return None if is_sequence(self.path) else self.clip


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether two masks are the same."""
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def opacity_of(pixels: np.ndarray) -> Tensor | None:
    """The opacity of a picture (H, W, 3 or 4), (1, H, W) in [0, 1]; None if it has none."""
    return None if pixels.shape[2] == 3 else to_tensor(pixels[:, :, 3:])


def is_picture(content: str | Path) -> bool:
    """Whether a content is one picture, and neither a clip nor pictures that make one. Raises `MediaError`."""
    return not is_sequence(content) and pictures.is_still(content)


def estimator_of(settings: VideoSettings) -> flow.Estimator:
    """The estimator of motion that the settings name. Raises `WeightsError`."""
    found = flow.estimator(settings.flow, settings.flow_weights, pick_device(settings.device))
    if found.fingerprint:
        found.search = _Learnt(found.search)
    return found


class _Learnt:
    """A network's search for flow, which on a CPU takes longer than the painting: it gets as many threads."""

    def __init__(self, search: flow.Search) -> None:
        self._search, self.fingerprint = search, search.fingerprint

    def __call__(
        self, previous: np.ndarray, current: np.ndarray, *, fine: flow.Fine = "both"
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `flow.Search` has it."""
        with computing_as_the_painting():
            return self._search(previous, current, fine=fine)


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(H, W, C) uint8, or float in [0, 1], as (C, H, W) float32 in [0, 1]."""
    unit = 255.0 if pixels.dtype == np.uint8 else 1.0
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32) / np.float32(unit))
